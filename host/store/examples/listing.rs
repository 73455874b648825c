//! How long a page of 100 instances takes out of many that have finished, by what is asked for and where it begins; and how
//! fast instances are purged, alone and beside starts that wait for nothing else.
//!
//!     cargo run --release -p dacapo-store --example listing -- [INSTANCES] [DIRECTORY]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dacapo_core::{Row, RuntimeStatus, Timestamp};
use dacapo_store::codec::Zone;
use dacapo_store::{Cursor, InstanceQuery, RedbStore, Store, StoreOptions};

use sequence::{STEPS, Sequence};

mod sequence;

const PAGE: usize = 100;
const RUNS: usize = 15;
const PURGED: usize = 100_000;
const BATCH: usize = 1_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let instances = args.next().map_or(1_000_000, |text| text.parse().expect("INSTANCES is a number"));
    let directory = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("listing-{}.redb", std::process::id()));
    let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
    let begin = Instant::now();
    (0..instances).for_each(|_| submit(&store, &next_sequence(&store)));
    store.forget_announcements(0).expect("room on the disk");
    let stats = store.stats().expect("readable");
    assert_eq!((stats.instances, stats.turns), (instances, instances * u64::from(STEPS)));
    println!("{instances} instances in {:.1?}, {} MB", begin.elapsed(), stats.bytes >> 20);
    show_pages(&store, instances);
    show_purge(&store, instances);
    drop(store);
    std::fs::remove_file(&path).expect("it was made above");
}

/// One in each zone was terminated, one in 10,000 has failed, the others have completed.
fn next_sequence(store: &RedbStore) -> Sequence {
    let row = store.next_row();
    let status = match row.0 {
        number if number % 10_000 == 9_999 => RuntimeStatus::Failed,
        number if number % Zone::ROWS as u64 == 7 => RuntimeStatus::Terminated,
        _ => RuntimeStatus::Completed,
    };
    Sequence { status, ..Sequence::new(row) }
}

/// Commits are stored in the order of the calls, so each may be queued before the one that it follows is stored.
fn submit(store: &RedbStore, sequence: &Sequence) {
    for step in 0..STEPS {
        store.commit(sequence.commit(step), Box::new(|result| drop(result.expect("it follows the one before"))));
    }
}

fn show_pages(store: &RedbStore, instances: u64) {
    let of = |statuses: &[RuntimeStatus]| InstanceQuery { statuses: statuses.to_vec(), ..InstanceQuery::default() };
    let created = |row: u64| Timestamp(Sequence::new(Row(row)).created.0);
    let between = |query: InstanceQuery, from: u64, to: u64| InstanceQuery {
        created_from: Some(created(from)),
        created_to: Some(created(to)),
        ..query
    };
    let middle = instances / 2;
    let failed_or_terminated = of(&[RuntimeStatus::Failed, RuntimeStatus::Terminated]);
    let queries = [
        ("all", of(&[])),
        ("Completed: most of them", of(&[RuntimeStatus::Completed])),
        ("Terminated: one in 256", of(&[RuntimeStatus::Terminated])),
        ("Failed: one in 10,000", of(&[RuntimeStatus::Failed])),
        ("Running: none", of(&[RuntimeStatus::Running])),
        ("created in the middle, 1,000", between(of(&[]), middle, middle + 1_000)),
        ("created in the middle, one", between(of(&[]), middle, middle)),
        ("created in the last tenth", between(of(&[]), instances / 10 * 9, instances)),
        ("created in the middle half, Failed", between(of(&[RuntimeStatus::Failed]), instances / 4, instances / 4 * 3)),
        ("Failed or Terminated", failed_or_terminated),
    ];
    println!("{:<36} | {:^20} | {:^20} | {:^20}", "a page of 100: ms (matches)", "from the first", "the middle", "near the last");
    for (name, query) in queries {
        let near_the_last = instances.saturating_sub(3_000);
        let [first, middle, last] = [None, Some(middle), Some(near_the_last)].map(|after| page(store, &query, after));
        println!("{name:<36} | {first:^20} | {middle:^20} | {last:^20}");
    }
}

/// The median and the slowest of some runs.
fn page(store: &RedbStore, query: &InstanceQuery, after: Option<u64>) -> String {
    let after = after.map(|row| Cursor::Row(Row(row)));
    let mut matches = 0;
    let run = |_| {
        let begin = Instant::now();
        matches = store.instances(query, after.as_ref(), PAGE).expect("readable").records.len();
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..RUNS).map(run).collect();
    times.sort();
    format!("{:.2} {:.2} ({matches})", millis(times[RUNS / 2]), millis(times[RUNS - 1]))
}

fn show_purge(store: &RedbStore, instances: u64) {
    let half = (PURGED / 2).min(instances as usize / 2);
    println!("purge in batches of {BATCH}, the oldest first");
    let (purged, elapsed) = purge(store, half);
    println!("  alone:               {:>9.0} instances/s", purged as f64 / elapsed.as_secs_f64());
    let alone = starts(store, || std::thread::sleep(Duration::from_secs(2))).0;
    let (beside, (purged, elapsed)) = starts(store, || purge(store, half));
    println!("  beside starts:       {:>9.0} instances/s", purged as f64 / elapsed.as_secs_f64());
    println!("  starts without it:   {alone:>9.0} /s, 64 at a time");
    println!("  starts beside it:    {beside:>9.0} /s");
    println!(
        "  left: {} instances, {} MB",
        store.stats().expect("readable").instances,
        store.stats().expect("readable").bytes >> 20
    );
}

/// Purges as a hub does: page by page of what the index gives, each batch when the one before is stored.
fn purge(store: &RedbStore, count: usize) -> (u64, Duration) {
    let query = InstanceQuery { statuses: vec![RuntimeStatus::Completed], ..InstanceQuery::default() };
    let (begin, mut purged) = (Instant::now(), 0);
    while purged < count as u64 {
        let page = store.instances(&query, None, BATCH).expect("readable");
        let rows = page.records.into_iter().map(|record| record.row).collect();
        let (sender, receiver) = mpsc::channel();
        store.purge(rows, Box::new(move |result| sender.send(result.expect("room on the disk")).expect("it waits")));
        match receiver.recv().expect("every purge is answered") {
            0 => break,
            batch => purged += batch,
        }
    }
    (purged, begin.elapsed())
}

/// Starts instances while something else goes on, 64 at a time. Returns how many in a second, and what came of it.
fn starts<T: Send>(store: &RedbStore, beside: impl FnOnce() -> T + Send) -> (f64, T) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let (sender, receiver) = mpsc::channel();
            let (begin, mut started) = (Instant::now(), 0u64);
            let start = || {
                let sender = sender.clone();
                let commit = Sequence::new(store.next_row()).commit(0);
                store.commit(commit, Box::new(move |result| _ = sender.send(result.is_ok())));
            };
            (0..64).for_each(|_| start());
            while !over.load(Ordering::Relaxed) {
                assert!(receiver.recv().expect("a sender is kept"), "it starts an instance");
                started += 1;
                start();
            }
            started as f64 / begin.elapsed().as_secs_f64()
        });
        let result = beside();
        over.store(true, Ordering::Relaxed);
        (starts.join().expect("it does not panic"), result)
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
