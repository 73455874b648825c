//! Random steps have the same results on a store and on the model.

use std::path::Path;

use dacapo_store::conformance::{commit, everything, purge};
use dacapo_store::{RedbStore, Store, StoreError, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::Database;

use crate::model::{Answer, Model, Operation};
use crate::{from_env, zones};

#[test]
fn random_steps_agree_with_the_model() {
    let first = from_env("DACAPO_SEED", 1);
    for seed in first..first + from_env("DACAPO_ROUNDS", 4) {
        println!("seed {seed}");
        let directory = tempfile::tempdir().expect("a writable directory for temporary files");
        run(&directory.path().join("hub.redb"), seed);
    }
}

fn run(path: &Path, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model = Model::new();
    let mut store = open(path);
    for step in 0..300 {
        let next = model.random_step(&mut rng, &mut || store.next_row());
        model.next_row = store.next_row().0 + 1;
        assert_eq!(take(&store, next.clone()), model.apply(&next), "step {step}: {next:?}");
        if rng.random_bool(0.03) {
            drop(store);
            zones::assert_exact(&Database::open(path).expect("it was closed"));
            store = open(path);
        }
        if step % 10 == 0 {
            assert_eq!(everything(&store), model.everything(), "after step {step}");
        }
    }
    drop(store);
    assert_eq!(everything(&open(path)), model.everything());
    zones::assert_exact(&Database::open(path).expect("it was closed"));
}

pub fn take(store: &RedbStore, step: Operation) -> Answer {
    match step {
        Operation::Commit(change) => match commit(store, *change) {
            Ok(receipt) => Answer::Delivered(receipt.delivered),
            Err(StoreError::Stale { .. }) => Answer::Stale,
            Err(other) => panic!("the file works: {other}"),
        },
        Operation::Purge(rows) => Answer::Purged(purge(store, rows).expect("the file works")),
        Operation::Forget(up_to) => {
            store.forget_announcements(up_to).expect("the file works");
            Answer::Forgotten
        }
    }
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, StoreOptions::default()).expect("no other process has the file")
}
