//! What it costs to open a hub's file after a crash, and what quick repair costs each commit, by the size of the file.
//!
//!     cargo run --release -p dacapo-store --example repair_cost -- [DIRECTORY] [MEGABYTES...]
//!
//! A crash is played by copying the file while the database is open: what was synced is there, the close is not.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Builder, Database, ReadableDatabase, TableDefinition};

const HISTORY: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("history");
const COMMITS: u32 = 300;

fn main() {
    let mut args = std::env::args().skip(1);
    let directory = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mut sizes: Vec<u64> = args.map(|text| text.parse().expect("a number of megabytes")).collect();
    if sizes.is_empty() {
        sizes = vec![10, 100, 1_000];
    }
    println!("                 open after a crash, ms         |   one commit, ms (median of {COMMITS})");
    println!("     MB     plain  plain, cold      quick       |  1 row  1, quick  100 rows  100, quick");
    for megabytes in sizes {
        measure(&directory, megabytes);
    }
}

fn measure(directory: &Path, megabytes: u64) {
    let path = directory.join(format!("repair-cost-{}.redb", std::process::id()));
    let copy = directory.join(format!("repair-cost-{}-crashed.redb", std::process::id()));
    let database = builder().create(&path).expect("a new file");
    let mut row = fill(&database, &path, megabytes);
    let mut commit = |rows, quick| median((0..COMMITS).map(|_| commit(&database, &mut row, rows, quick)).collect());
    let costs = [commit(1, false), commit(1, true), commit(100, false), commit(100, true)];
    let open_after = |quick, cold| {
        commit_once(&database, &mut row_of(&database), quick);
        std::fs::copy(&path, &copy).expect("room on the disk");
        if cold {
            drop_from_memory(&copy);
        } else {
            read_all(&copy);
        }
        let begin = Instant::now();
        let opened = builder().open(&copy).expect("a file that can be repaired");
        let elapsed = begin.elapsed();
        drop(opened);
        std::fs::remove_file(&copy).expect("it was made above");
        elapsed
    };
    let opens = [open_after(false, false), open_after(false, true), open_after(true, true)];
    let size = std::fs::metadata(&path).expect("it is open").len() >> 20;
    let [plain, cold, quick] = opens.map(millis);
    let [one, one_quick, many, many_quick] = costs.map(millis);
    println!(
        "{size:>7} {plain:>9.1} {cold:>12.1} {quick:>10.1}       | {one:>6.2} {one_quick:>9.2} {many:>9.2} {many_quick:>11.2}"
    );
    drop(database);
    std::fs::remove_file(&path).expect("it was made above");
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(64 << 20);
    builder
}

/// Turns of 300 bytes, 2,000 in a transaction, four to an instance.
fn fill(database: &Database, path: &Path, megabytes: u64) -> u64 {
    let mut row = 0;
    while std::fs::metadata(path).expect("it is open").len() < megabytes << 20 {
        for _ in 0..10 {
            commit(database, &mut row, 2_000, false);
        }
    }
    row
}

fn commit(database: &Database, row: &mut u64, rows: u64, quick: bool) -> Duration {
    let begin = Instant::now();
    let mut txn = database.begin_write().expect("the only writer");
    txn.set_quick_repair(quick);
    {
        let mut history = txn.open_table(HISTORY).expect("a table");
        for _ in 0..rows {
            *row += 1;
            history.insert((*row / 4, (*row % 4) as u32), [7u8; 300].as_slice()).expect("room on the disk");
        }
    }
    txn.commit().expect("room on the disk");
    begin.elapsed()
}

fn commit_once(database: &Database, row: &mut u64, quick: bool) {
    commit(database, row, 1, quick);
}

fn row_of(database: &Database) -> u64 {
    let txn = database.begin_read().expect("the database is open");
    let table = txn.open_table(HISTORY).expect("a table");
    redb::ReadableTable::last(&table).expect("a readable file").map_or(0, |(key, _)| key.value().0 * 4 + 4)
}

fn read_all(path: &Path) {
    let mut buffer = vec![0; 1 << 20];
    let mut file = File::open(path).expect("it was made above");
    while file.read(&mut buffer).expect("a readable file") > 0 {}
}

/// Asks the system to forget the file's pages, so that opening it reads the disk.
fn drop_from_memory(path: &Path) {
    File::open(path).and_then(|file| file.sync_all()).expect("a writable disk");
    let status = std::process::Command::new("dd")
        .arg(format!("if={}", path.display()))
        .args(["of=/dev/null", "iflag=nocache", "count=0", "status=none"])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("the file's pages could not be dropped from memory: the cold figure is a warm one");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
