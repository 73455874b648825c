//! How many hello sequences (three activities, one after the other: four commits) the store can save in a second, and how
//! many bare redb could with the same rows in the same batches.
//!
//!     cargo run --release -p dacapo-store --example commit_rate -- [DIRECTORY] [SECONDS]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dacapo_core::Row;
use dacapo_store::{QuickRepair, RedbStore, Store, StoreOptions, codec};
use redb::{Database, TableDefinition};

use sequence::{STEPS, Sequence};

mod sequence;

fn main() {
    let mut args = std::env::args().skip(1);
    let directory = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(3.0, |text| text.parse().expect("SECONDS is a number"));
    let length = Duration::from_secs_f64(seconds);
    println!(
        "{:>11} | {:>12} {:>12} {:>12} | {:>14}",
        "concurrency", "sequences/s", "commits/s", "quick repair", "bare redb, 1/s"
    );
    for concurrency in [1, 64, 256] {
        let path = directory.join(format!("commit-rate-{}.redb", std::process::id()));
        let rate = |quick_repair| {
            let rate = store_rate(&path, quick_repair, concurrency, length);
            std::fs::remove_file(&path).expect("the file was made above");
            rate
        };
        let (plain, quick) = (rate(QuickRepair::Never), rate(QuickRepair::Always));
        let floor = floor_rate(&path, concurrency, length);
        std::fs::remove_file(&path).expect("the file was made above");
        println!("{concurrency:>11} | {plain:>12.0} {:>12.0} {quick:>12.0} | {floor:>14.0}", plain * f64::from(STEPS));
    }
}

fn store_rate(path: &Path, quick_repair: QuickRepair, concurrency: usize, length: Duration) -> f64 {
    let store = RedbStore::open(path, StoreOptions { quick_repair, ..StoreOptions::default() }).expect("a new file");
    let (sender, receiver) = mpsc::channel();
    let submit = |sequence: Sequence, step: u32| {
        let sender = sender.clone();
        let commit = sequence.commit(step);
        store.commit(
            commit,
            Box::new(move |result| {
                result.expect("the commit follows the one before");
                sender.send((sequence, step + 1)).expect("the receiver waits for all");
            }),
        );
    };
    let begin = Instant::now();
    (0..concurrency).for_each(|_| submit(Sequence::new(store.next_row()), 0));
    let (mut finished, mut running) = (0u32, concurrency);
    while running > 0 {
        let (sequence, step) = receiver.recv().expect("a sender is kept");
        if step < STEPS {
            submit(sequence, step);
            continue;
        }
        finished += 1;
        if begin.elapsed() < length {
            submit(Sequence::new(store.next_row()), 0);
        } else {
            running -= 1;
        }
    }
    f64::from(finished) / begin.elapsed().as_secs_f64()
}

/// The same rows, encoded before the clock starts to run, one transaction for each step of `concurrency` sequences.
fn floor_rate(path: &Path, concurrency: usize, length: Duration) -> f64 {
    const IDS: TableDefinition<&str, u64> = TableDefinition::new("ids");
    const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
    const HISTORY: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("history");
    const ACTIVITIES: TableDefinition<(u64, u32), u32> = TableDefinition::new("activities");
    let database = Database::builder().set_cache_size(64 << 20).create(path).expect("a new file");
    let (mut busy, mut finished, mut next_row) = (Duration::ZERO, 0, 0);
    while busy < length {
        let sequences: Vec<Sequence> = (0..concurrency as u64).map(|i| Sequence::new(Row(next_row + i))).collect();
        next_row += concurrency as u64;
        for step in 0..STEPS {
            let rows: Vec<_> = sequences.iter().map(|sequence| encoded(sequence, step)).collect();
            let begin = Instant::now();
            let txn = database.begin_write().expect("the only writer");
            {
                let mut ids = txn.open_table(IDS).expect("a table");
                let mut records = txn.open_table(RECORDS).expect("a table");
                let mut history = txn.open_table(HISTORY).expect("a table");
                let mut activities = txn.open_table(ACTIVITIES).expect("a table");
                for (sequence, (record, events)) in sequences.iter().zip(&rows) {
                    let row = sequence.row.0;
                    if step == 0 {
                        ids.insert(sequence.id.as_str(), row).expect("room on the disk");
                    } else {
                        activities.remove((row, step - 1)).expect("room on the disk");
                    }
                    if step + 1 < STEPS {
                        activities.insert((row, step), step).expect("room on the disk");
                    }
                    records.insert(row, record.as_slice()).expect("room on the disk");
                    history.insert((row, step), events.as_slice()).expect("room on the disk");
                }
            }
            txn.commit().expect("room on the disk");
            busy += begin.elapsed();
        }
        finished += concurrency;
    }
    finished as f64 / busy.as_secs_f64()
}

/// The record and the events of a step as they are stored.
fn encoded(sequence: &Sequence, step: u32) -> (Vec<u8>, Vec<u8>) {
    let commit = sequence.commit(step);
    (codec::encode_record(&commit.record), codec::encode_history(&commit.history.expect("each step has a turn").events))
}
