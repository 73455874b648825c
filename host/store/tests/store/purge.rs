//! The space of purged instances is used again.

use std::path::Path;
use std::sync::mpsc;

use dacapo_core::{Row, RuntimeStatus};
use dacapo_store::conformance::purge;
use dacapo_store::conformance::sample::{Instance, raised};
use dacapo_store::{RedbStore, Store, StoreOptions};

const INSTANCES: usize = 3_000;
const BATCH: usize = 1_000;

fn fill(store: &RedbStore, round: usize) -> Vec<Row> {
    let (sender, receiver) = mpsc::channel();
    let mut rows = Vec::new();
    for number in 0..INSTANCES {
        // Ids in no particular order, as clients make them.
        let id = uuid::Uuid::from_u128(
            ((round * INSTANCES + number) as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        );
        let mut instance = Instance::new(&id.simple().to_string(), store.next_row());
        let first = instance.turn(vec![instance.started()]);
        let turns = [first, instance.turn(vec![raised("x", 1)]), instance.turn(vec![raised("y", 2)])];
        for commit in turns.into_iter().chain([instance.end(RuntimeStatus::Completed)]) {
            let sender = sender.clone();
            store.commit(commit, Box::new(move |result| sender.send(result.map(drop)).expect("the test waits")));
        }
        rows.push(instance.record.row);
    }
    drop(sender);
    receiver.into_iter().for_each(|result| result.expect("it follows"));
    rows
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("it is there").len()
}

#[test]
fn the_file_does_not_grow_with_what_was_purged() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
    let mut sizes = Vec::new();
    for round in 0..6 {
        let rows = fill(&store, round);
        for batch in rows.chunks(BATCH) {
            assert_eq!(purge(&store, batch.to_vec()).expect("there is room"), batch.len() as u64);
        }
        sizes.push(size(&path));
    }
    let stats = store.stats().expect("readable");
    assert_eq!((stats.instances, stats.turns, stats.messages, stats.activities), (0, 0, 0, 0));
    // How commits are grouped, and so how many extra pages are written, varies.
    assert!(sizes.iter().all(|size| *size < sizes[0] / 2 * 3), "the size after the first round is enough for all: {sizes:?}");
}
