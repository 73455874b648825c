//! Random commits on a store and on the model give the same.

use std::path::Path;

use dacapo_store::conformance::{commit, everything};
use dacapo_store::{RedbStore, Store, StoreError, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::from_env;
use crate::model::Model;

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
        let change = model.random_commit(&mut rng, &mut || store.next_row());
        model.next_row = store.next_row().0 + 1;
        match (commit(&store, change.clone()), model.apply(&change)) {
            (Ok(receipt), Some(delivered)) => assert_eq!(receipt.delivered, delivered, "step {step}"),
            (Err(StoreError::Stale { .. }), None) => {}
            (store, model) => panic!("step {step}: the store says {store:?}, the model {model:?} of {change:?}"),
        }
        if rng.random_bool(0.03) {
            drop(store);
            store = open(path);
        }
        if step % 10 == 0 {
            assert_eq!(everything(&store), model.everything(), "after step {step}");
        }
    }
    drop(store);
    assert_eq!(everything(&open(path)), model.everything());
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, StoreOptions::default()).expect("nobody else has the file")
}
