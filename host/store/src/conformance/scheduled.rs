//! Timers and activities.

use dacapo_core::commit::Timer;
use dacapo_core::{Commit, Event, Once, RuntimeStatus, Seq, Timestamp};
use uuid::Uuid;

use super::sample::{self, Instance, at};
use super::{Check, Hub, before_and_after_reopening, commit_ok, purge};
use crate::{Store, TimerKey};

pub(super) const CHECKS: &[Check] = &[
    ("timers are ordered and cleared", timers),
    ("activities are found with their turn", activities),
    ("what a call has sent is known until the call has reported", once),
];

fn timers(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    let timer = |time, seq| Timer { fire_at: Timestamp(time), seq: Seq(seq) };
    let set = vec![timer(30, 0), timer(-5, 1), timer(30, 2), timer(10, 3)];
    commit_ok(store.as_ref(), Commit { timers_set: set, ..a.turn(vec![a.started()]) });
    commit_ok(store.as_ref(), Commit { timers_set: vec![timer(20, 0), timer(30, 0)], ..b.turn(vec![b.started()]) });
    let key = |instance: &Instance, time, seq| TimerKey { fire_at: Timestamp(time), row: instance.record.row, seq: Seq(seq) };
    let order = [key(&a, -5, 1), key(&a, 10, 3), key(&b, 20, 0), key(&a, 30, 0), key(&a, 30, 2), key(&b, 30, 0)];
    let store = before_and_after_reopening(hub, store, |store| {
        let read = |after, until, limit| -> Vec<TimerKey> {
            let due = store.timers(after, Timestamp(until), limit).expect("readable");
            due.iter().for_each(|timer| {
                let owner = if timer.key.row == a.record.row { &a } else { &b };
                assert_eq!((&timer.instance, timer.execution), (&owner.record.id, owner.record.execution));
            });
            due.into_iter().map(|timer| timer.key).collect()
        };
        assert_eq!(read(None, i64::MAX, 99), order);
        assert_eq!(read(None, 20, 99), order[..3], "what is due at this moment is due");
        assert_eq!(read(None, 19, 99), order[..2]);
        assert_eq!(read(Some(order[1]), i64::MAX, 2), order[2..4]);
        assert_eq!(read(Some(order[3]), 20, 99), vec![]);
        assert_eq!(store.next_timer(None).expect("readable"), Some(Timestamp(-5)));
        assert_eq!(store.next_timer(Some(order[2])).expect("readable"), Some(Timestamp(30)));
        assert_eq!(store.next_timer(Some(order[5])).expect("readable"), None);
    });
    let cleared = vec![timer(30, 2), timer(-5, 1), timer(99, 99)];
    commit_ok(store.as_ref(), Commit { timers_cleared: cleared, ..a.turn(vec![]) });
    let both = timer(1, 7);
    commit_ok(store.as_ref(), Commit { timers_set: vec![both], timers_cleared: vec![both], ..b.turn(vec![]) });
    let left: Vec<_> = store.timers(None, at(0), 9).expect("readable").into_iter().map(|timer| timer.key).collect();
    assert_eq!(left, [order[1], order[2], order[3], order[5]]);
}

fn activities(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    let scheduled = |seqs: std::ops::Range<u32>| seqs.map(sample::scheduled).collect::<Vec<_>>();
    let set = |seqs: std::ops::Range<u32>| seqs.map(Seq).collect::<Vec<_>>();
    commit_ok(store.as_ref(), Commit { activities_set: a.scheduled(0..3), ..a.turn(scheduled(0..3)) });
    commit_ok(store.as_ref(), Commit { activities_set: b.scheduled(0..1), ..b.turn(scheduled(0..1)) });
    commit_ok(
        store.as_ref(),
        Commit { activities_set: a.scheduled(3..4), activities_cleared: set(1..2), ..a.turn(scheduled(3..5)) },
    );
    let store = before_and_after_reopening(hub, store, |store| {
        let all = store.activities(None, 99).expect("readable");
        let seen: Vec<_> = all.iter().map(|activity| (activity.row, activity.seq.0)).collect();
        assert_eq!(seen, [(a.record.row, 0), (a.record.row, 2), (a.record.row, 3), (b.record.row, 0)]);
        for activity in &all {
            let owner = if activity.row == a.record.row { &a.record } else { &b.record };
            assert_eq!((&activity.instance, activity.execution, activity.version), (&owner.id, owner.execution, owner.version));
            let Event::TaskScheduled { name, input, attempt, .. } = sample::scheduled(activity.seq.0) else { unreachable!() };
            assert_eq!((&activity.name, &activity.input, activity.attempt), (&name, &input, attempt));
        }
        let keys: Vec<_> = all.iter().map(|activity| (activity.row, activity.seq)).collect();
        assert_eq!(store.activity_keys(None, 99).expect("readable"), keys);
        assert_eq!(store.activity_keys(Some(keys[0]), 2).expect("readable"), keys[1..3]);
        let page = store.activities(Some((a.record.row, Seq(1))), 2).expect("readable");
        assert_eq!(page, all[1..3]);
        assert_eq!(store.activities_page(Some((a.record.row, Seq(1))), 0).expect("readable"), all[1..2]);
        assert_eq!(store.activities_page(None, usize::MAX).expect("readable"), all);
    });
    commit_ok(store.as_ref(), Commit { activities_cleared: set(0..9), ..a.end(RuntimeStatus::Failed) });
    assert_eq!(store.activities(None, 9).expect("readable").len(), 1);
}

fn once(hub: &dyn Hub) {
    let store = hub.open();
    let (mut caller, mut other) = (Instance::new("caller", store.next_row()), Instance::new("other", store.next_row()));
    let mut target = Instance::new("target", store.next_row());
    let scheduled = |seqs: std::ops::Range<u32>| seqs.map(sample::scheduled).collect::<Vec<_>>();
    let name = |of: &Instance, call: Seq, id| Once { caller: of.record.row, call, id: Uuid::from_u128(id) };
    commit_ok(store.as_ref(), Commit { activities_set: caller.scheduled(0..2), ..caller.turn(scheduled(0..2)) });
    commit_ok(store.as_ref(), other.turn(vec![other.started()]));
    let (first, second) = (name(&caller, Seq(0), 7), name(&caller, Seq(1), 7));
    let (any, nobodys) = (name(&caller, Once::ANY_CALL, 9), name(&other, Seq(0), 7));
    let all = [first, second, any, nobodys];
    commit_ok(store.as_ref(), Commit { once: all.into(), ..target.turn(vec![target.started()]) });
    let known = |store: &dyn Store| all.map(|once| store.has_taken(&once).expect("readable"));
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(known(store), [true, true, true, false], "a caller without a pending activity repeats nothing");
        assert!(!store.has_taken(&name(&caller, Seq(0), 8)).expect("readable"));
    });
    commit_ok(store.as_ref(), Commit { activities_cleared: vec![Seq(0)], ..caller.turn(vec![]) });
    assert_eq!(known(store.as_ref()), [false, true, true, false]);
    commit_ok(store.as_ref(), Commit { activities_cleared: vec![Seq(1)], ..caller.end(RuntimeStatus::Completed) });
    assert_eq!(known(store.as_ref()), [false; 4]);

    // The activity of a call that nobody waits for may outlive its caller.
    let mut left = Instance::new("left", store.next_row());
    let late = name(&left, Once::ANY_CALL, 1);
    commit_ok(store.as_ref(), Commit { activities_set: left.scheduled(0..1), ..left.turn(scheduled(0..1)) });
    commit_ok(store.as_ref(), left.end(RuntimeStatus::Failed));
    commit_ok(store.as_ref(), Commit { once: vec![late], ..target.turn(vec![]) });
    assert!(store.has_taken(&late).expect("readable"));
    assert_eq!(purge(store.as_ref(), vec![left.record.row]).expect("it has ended"), 1);
    assert!(!store.has_taken(&late).expect("readable"));
}
