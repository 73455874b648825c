//! Power fails at random moments, repeatedly. Acknowledged commits are there afterwards; of the others, each is there in full or
//! not at all, and none without those before it.

use std::sync::mpsc;
use std::time::Duration;

use dacapo_store::conformance::everything;
use dacapo_store::redb::Medium;
use dacapo_store::{QuickRepair, RedbStore, Store, StoreError, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::Database;

use crate::disk::Disk;
use crate::model::{Answer, Model, Operation};
use crate::random_steps::take;
use crate::{from_env, zones};

/// The number of crashes of one disk.
const CRASHES: u64 = 10;

#[test]
fn what_was_acknowledged_survives_any_crash() {
    let first = from_env("DACAPO_SEED", 1);
    let (mut acknowledged, mut lost, mut kept) = (0, 0, 0);
    for seed in first..first + from_env("DACAPO_ROUNDS", 20) {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let (disk, mut model) = (Disk::default(), Model::new());
        for _ in 0..CRASHES {
            let life = live_until_power_goes(&disk, &mut model, &mut rng);
            acknowledged += life.acknowledged;
            lost += life.lost;
            kept += life.kept;
        }
    }
    println!("{acknowledged} commits were acknowledged; of those under way when power failed, {kept} were stored and {lost} not");
    assert!(acknowledged > 0 && lost > 0, "the crashes tested nothing, as they lost nothing");
}

/// The number of commits between two power failures: acknowledged, and of the others those that were stored and lost.
struct Life {
    acknowledged: usize,
    lost: usize,
    kept: usize,
}

/// Opens the store, checks that its contents equal `model`, commits until power fails, and updates `model` to what must be there
/// afterwards.
fn live_until_power_goes(disk: &Disk, model: &mut Model, rng: &mut StdRng) -> Life {
    let store = open_through_crashes(disk, rng);
    assert_eq!(everything(&store), model.everything(), "before the next crash");
    model.next_row = store.next_row().0 + 1;
    let mut own_rows: Vec<_> = (0..200).map(|_| store.next_row()).collect();
    model.next_row += 200;

    // `Forget` blocks until it is durable, so it is run before power can fail.
    let forget = Operation::Forget(rng.random_range(0..3_000));
    assert_eq!(take(&store, forget.clone()), model.apply(&forget));

    // Every state that the store goes through.
    let mut states = vec![model.clone()];
    let (sender, receiver) = mpsc::channel();
    disk.light_fuse(rng.random_range(0..400));
    for _ in 0..rng.random_range(1..150) {
        let step = model.random_change(rng, &mut || own_rows.pop().expect("fewer commits than rows"));
        let follows = model.apply(&step) != Answer::Stale;
        states.extend(follows.then(|| model.clone()));
        let sender = sender.clone();
        let done = move |result: Result<(), StoreError>| sender.send((follows, result)).expect("the test waits");
        match step {
            Operation::Commit(change) => store.commit(*change, Box::new(move |result| done(result.map(drop)))),
            Operation::Purge(rows) => store.purge(rows, Box::new(move |result| done(result.map(drop)))),
            Operation::Forget(_) => unreachable!("it would wait for power"),
        }
        if rng.random_bool(0.1) {
            // Lets the writer catch up, so that groups of various sizes occur.
            let _ = store.stats();
        }
    }
    drop(sender);
    // If power has not failed yet, it fails while the store is closed, or later.
    drop(store);
    let mut acknowledged = 0;
    for (follows, result) in receiver {
        match result {
            Ok(()) if follows => acknowledged += 1,
            Err(StoreError::Stale { .. }) if !follows => {}
            Err(_) if disk.is_dark() => {}
            unexpected => panic!("with power on, a commit that follows ({follows}) gave {unexpected:?}"),
        }
    }
    disk.power_up(rng);
    let found = everything(&open_through_crashes(disk, rng));
    zones::assert_exact(&disk.open(&Database::builder()).expect("it was closed"));
    let stored = states.iter().rposition(|state| state.everything() == found).expect("the state after one of the commits");
    assert!(stored >= acknowledged, "{acknowledged} commits were acknowledged, {stored} are stored");
    let under_way = states.len() - 1 - acknowledged;
    *model = states.swap_remove(stored);
    Life { acknowledged, kept: stored - acknowledged, lost: under_way - (stored - acknowledged) }
}

/// Opens the store; sometimes power fails while it is opened.
fn open_through_crashes(disk: &Disk, rng: &mut StdRng) -> RedbStore {
    let quick_repair = [QuickRepair::Never, QuickRepair::Always, QuickRepair::Above(200 << 10)][rng.random_range(0..3)];
    let options = StoreOptions { cache_bytes: 1 << 20, quick_repair, reopen_pause: Duration::from_millis(1) };
    while rng.random_bool(0.3) {
        disk.light_fuse(rng.random_range(0..6));
        drop(RedbStore::open_on(disk.clone(), options.clone()));
        disk.power_up(rng);
    }
    RedbStore::open_on(disk.clone(), options).expect("a crash never leaves a file that cannot be opened")
}
