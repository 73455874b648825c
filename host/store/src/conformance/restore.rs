//! Instances that are moved from one hub to another.

use dacapo_core::commit::Timer;
use dacapo_core::{Commit, Event, InstanceRecord, RuntimeStatus, Seq, Timestamp};

use super::sample::{self, Instance, at};
use super::{Check, Hub, before_and_after_reopening, commit_ok, everything};
use crate::{Snapshot, Store, StoreError};

pub(super) const CHECKS: &[Check] = &[
    ("a snapshot holds all of an instance, and restores it", whole),
    ("an instance is restored in the place of another only if that is meant", replaced),
    ("what does not fit together is not restored", damaged),
];

/// An instance that has one of everything.
fn full(store: &dyn Store, name: &str) -> Instance {
    let mut instance = Instance::new(name, store.next_row());
    commit_ok(store, instance.turn(vec![instance.started()]));
    let timer = Timer { fire_at: at(5_000), seq: Seq(2) };
    let events = vec![sample::scheduled(0), sample::scheduled(1), Event::TimerCreated { seq: timer.seq, fire_at: timer.fire_at }];
    let activities_set = instance.scheduled(0..2);
    instance.record.status = RuntimeStatus::Suspended;
    let change = instance.turn(events);
    let kept = vec![sample::message(name, sample::raised("go", 1)), sample::message(name, sample::raised("go", 2))];
    commit_ok(store, Commit { activities_set, timers_set: vec![timer], kept, ..change });
    instance
}

fn snapshot(store: &dyn Store, name: &str) -> Snapshot {
    store.snapshot(&sample::id(name)).expect("readable").expect("it exists")
}

/// The snapshot as one of an instance in another row.
fn moved(store: &dyn Store, snapshot: &Snapshot, name: &str) -> Snapshot {
    let mut moved = snapshot.clone();
    moved.record = InstanceRecord { id: sample::id(name), row: store.next_row(), ..moved.record };
    moved.inbox.iter_mut().for_each(|message| message.to = sample::id(name));
    moved
}

fn whole(hub: &dyn Hub) {
    let store = hub.open();
    full(store.as_ref(), "other");
    let instance = full(store.as_ref(), "a");
    let taken = snapshot(store.as_ref(), "a");
    assert_eq!(taken.record, instance.record);
    assert_eq!(taken.history.iter().map(|chunk| chunk.turn).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((taken.inbox.len(), taken.timers.len(), &taken.activities[..]), (2, 1, &[(Seq(0), 1), (Seq(1), 1)][..]));
    assert_eq!(taken.check(), Ok(()));
    assert_eq!(store.snapshot(&sample::id("nobody")).expect("readable"), None);

    let copy = moved(store.as_ref(), &taken, "b");
    let delivered = store.restore(&copy, false).expect("its id is free").delivered;
    assert_eq!(delivered.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), copy.inbox);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(snapshot(store, "b"), copy);
        assert_eq!(snapshot(store, "a"), taken);
        let due = store.timers(None, Timestamp(i64::MAX), 99).expect("readable");
        assert!(due.iter().any(|timer| timer.instance == sample::id("b") && timer.key.row == copy.record.row));
        assert_eq!(store.activities(None, 99).expect("readable").len(), 6);
    });
}

fn replaced(hub: &dyn Hub) {
    let store = hub.open();
    let old = full(store.as_ref(), "a");
    let copy = moved(store.as_ref(), &snapshot(store.as_ref(), "a"), "a");
    let before = everything(store.as_ref());
    assert!(matches!(store.restore(&copy, false), Err(StoreError::Stale { .. })));
    assert_eq!(everything(store.as_ref()), before);
    store.restore(&copy, true).expect("it may replace");
    let stats = store.stats().expect("readable");
    assert_eq!((stats.instances, stats.turns, stats.messages, stats.timers, stats.activities), (1, 2, 2, 1, 2));
    let store = before_and_after_reopening(hub, store, |store| assert_eq!(snapshot(store, "a"), copy));
    let mut late = old;
    let result = super::commit(store.as_ref(), late.turn(vec![sample::completed(0)]));
    assert!(super::is_stale(result), "a turn of the one that was replaced comes too late");
}

fn damaged(hub: &dyn Hub) {
    let store = hub.open();
    full(store.as_ref(), "a");
    let good = moved(store.as_ref(), &snapshot(store.as_ref(), "a"), "b");
    let mut short = good.clone();
    short.history.pop();
    let mut activity = good.clone();
    activity.activities.push((Seq(7), 1));
    let mut foreign = good.clone();
    foreign.inbox.push(sample::message("a", sample::raised("go", 3)));
    let mut entity = good.clone();
    entity.entity = Some(dacapo_core::EntityState::default());
    let before = everything(store.as_ref());
    for bad in [short, activity, foreign, entity] {
        assert!(matches!(store.restore(&bad, true), Err(StoreError::Corrupt(_))));
    }
    assert_eq!(everything(store.as_ref()), before);
}
