//! Commits of an instance, which follow one another.

use std::ops::Range;

use dacapo_core::commit::Timer;
use dacapo_core::{Commit, HistoryEvent, InstanceRecord, Row, RuntimeStatus, Seq, Timestamp};

use super::sample::{self, Instance, at, change, id};
use super::{Check, Hub, before_and_after_reopening, commit, commit_ok, everything, is_stale};
use crate::{EventPlace, HistoryPage, InstanceQuery, Store};

pub(super) const CHECKS: &[Check] = &[
    ("an empty hub answers everything", empty),
    ("a started instance is stored whole", start),
    ("turns add up to a history", history),
    ("a second start of a living id is stale", duplicate),
    ("a finished instance is replaced and leaves nothing", replace),
    ("a commit that does not follow is stale and stores nothing", stale),
    ("continue-as-new starts the instance itself again", continue_as_new),
    ("rows are never used again", rows),
];

fn empty(hub: &dyn Hub) {
    let store = hub.open();
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("a")).expect("readable"), None);
        assert_eq!(store.history(Row(1), 0..10).expect("readable"), vec![]);
        assert_eq!(store.inbox(Row(1)).expect("readable"), vec![]);
        assert_eq!(store.undelivered(None, 10).expect("readable"), vec![]);
        assert_eq!(store.timers(None, Timestamp(i64::MAX), 10).expect("readable"), vec![]);
        assert_eq!(store.next_timer(None).expect("readable"), None);
        assert_eq!(store.activities(None, 10).expect("readable"), vec![]);
        assert_eq!(store.instances(&InstanceQuery::default(), None, 10).expect("readable").records, vec![]);
        assert_eq!(store.apps().expect("readable"), vec![]);
        assert_eq!(store.stats().expect("readable").instances, 0);
    });
}

fn start(hub: &dyn Hub) {
    let store = hub.open();
    let mut instance = Instance::new("a", store.next_row());
    let first = instance.turn(vec![instance.started()]);
    assert_eq!(commit_ok(store.as_ref(), first), vec![]);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("a")).expect("readable").as_ref(), Some(&instance.record));
        assert_eq!(store.history(instance.record.row, 0..1).expect("readable").len(), 2);
        let stats = store.stats().expect("readable");
        assert_eq!((stats.instances, stats.turns), (1, 1));
    });
}

fn history(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    let mut expected: Vec<Vec<HistoryEvent>> = Vec::new();
    for turn in 0..5 {
        for instance in [&mut a, &mut b] {
            let change = instance.turn(vec![sample::raised(&format!("{}-{turn}", instance.record.id), turn)]);
            if instance.record.id == id("a") {
                expected.push(change.history.clone().expect("a turn").events);
            }
            commit_ok(store.as_ref(), change);
        }
    }
    before_and_after_reopening(hub, store, |store| {
        let read = |turns| store.history(a.record.row, turns).expect("readable");
        assert_eq!(read(0..5), expected.concat());
        assert_eq!(read(1..3), expected[1..3].concat());
        assert_eq!(read(4..9), expected[4]);
        assert_eq!(read(2..2), vec![]);
        pages_are_the_history(store, a.record.row, 0..5);
    });
}

/// Pages of any size, from any event on, give the same history.
fn pages_are_the_history(store: &dyn Store, row: Row, turns: Range<u32>) {
    let whole = store.history(row, turns.clone()).expect("readable");
    let page = |from, end, bytes| store.history_page(row, from, end, bytes).expect("readable");
    for bytes in [0, 1, 40, 100, usize::MAX] {
        let (mut events, mut from) = (Vec::new(), Some(EventPlace::of_turn(turns.start)));
        while let Some(place) = from {
            let page = page(place, turns.end, bytes).expect("it is stored");
            assert!(bytes > 1 || page.events.len() == 1, "{page:?}");
            assert_eq!(page.events[0].0, place);
            events.extend(page.events);
            from = page.next;
        }
        let places: Vec<EventPlace> = events.iter().rev().map(|(place, _)| *place).collect();
        assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
        let mut again = store.events_at(row, &places).expect("readable").expect("they are stored");
        again.reverse();
        assert_eq!(again, whole);
        assert_eq!(events.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), whole);
    }
    assert_eq!(page(EventPlace::of_turn(turns.end), turns.end, 1), Some(HistoryPage::default()));
    assert_eq!(page(EventPlace::of_turn(turns.start), turns.end + 1, usize::MAX), None, "its last turn is not stored");
    assert_eq!(page(EventPlace::of_turn(turns.end), turns.end + 1, usize::MAX), None);
    assert_eq!(store.events_at(row, &[EventPlace::of_turn(turns.end)]).expect("readable"), None);
    let bytes = |most| store.history_bytes(row, turns.clone(), most).expect("readable");
    assert!(bytes(usize::MAX) > bytes(1) && bytes(1) > 0);
}

fn duplicate(hub: &dyn Hub) {
    let store = hub.open();
    let mut first = Instance::new("a", store.next_row());
    commit_ok(store.as_ref(), first.turn(vec![first.started()]));
    let before = everything(store.as_ref());
    let mut second = Instance::new("a", store.next_row());
    let mut change = second.turn(vec![second.started()]);
    assert!(is_stale(commit(store.as_ref(), change.clone())));
    change.replaces = Some(first.record.clone());
    assert!(is_stale(commit(store.as_ref(), change)), "a living instance is not replaced");
    assert_eq!(everything(store.as_ref()), before);
}

fn replace(hub: &dyn Hub) {
    let store = hub.open();
    let mut first = Instance::new("a", store.next_row());
    commit_ok(store.as_ref(), first.turn(vec![first.started()]));
    commit_ok(store.as_ref(), first.end(RuntimeStatus::Failed));
    let mut second = Instance::new("a", store.next_row());
    let mut change = second.turn(vec![second.started()]);
    assert!(is_stale(commit(store.as_ref(), change.clone())), "it must say what it replaces");
    change.replaces = Some(first.record.clone());
    commit_ok(store.as_ref(), change);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("a")).expect("readable").as_ref(), Some(&second.record));
        assert_eq!(store.history(first.record.row, 0..9).expect("readable"), vec![]);
        assert_eq!(store.history(second.record.row, 0..9).expect("readable").len(), 2);
        let stats = store.stats().expect("readable");
        assert_eq!((stats.instances, stats.turns), (1, 1), "nothing of the first is left");
    });
}

fn stale(hub: &dyn Hub) {
    let store = hub.open();
    let store = store.as_ref();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    commit_ok(store, a.turn(vec![a.started()]));
    commit_ok(store, b.turn(vec![b.started()]));
    let key = commit_ok(store, Commit { sent: vec![sample::message("b", sample::raised("x", 1))], ..change(&a.record) })[0].0;
    let before = everything(store);

    let mut late = a.clone();
    let same_turn_again = Instance { record: sample::with_turns(&a.record, 0..0) }.turn(vec![]);
    let _ = late.turn(vec![]);
    let two_turns_on = late.turn(vec![]);
    let turns_without_history = change(&sample::with_turns(&a.record, 0..2));
    let turns_taken_back = change(&sample::with_turns(&a.record, 0..0));
    let of_another_row = change(&InstanceRecord { row: b.record.row, ..a.record.clone() });
    let consumes_anothers = Commit { consumed: vec![key], ..change(&a.record) };
    let activities_without_turn = Commit { activities_set: a.scheduled(0..1), ..change(&a.record) };
    let bad = [
        same_turn_again,
        two_turns_on,
        turns_without_history,
        turns_taken_back,
        of_another_row,
        consumes_anothers,
        activities_without_turn,
    ];
    for (number, mut bad) in bad.into_iter().enumerate() {
        bad.sent.push(sample::message("c", sample::start_event("c", None)));
        bad.timers_set.push(Timer { fire_at: at(1), seq: Seq(1) });
        assert!(is_stale(commit(store, bad)), "commit {number} does not follow");
        assert_eq!(everything(store), before, "commit {number} stored nothing");
    }
    commit_ok(store, a.end(RuntimeStatus::Completed));
    let back_to_life = change(&InstanceRecord { status: RuntimeStatus::Running, ..a.record.clone() });
    assert!(is_stale(commit(store, back_to_life)), "who has ended does not go on");
}

fn continue_as_new(hub: &dyn Hub) {
    let store = hub.open();
    let mut a = Instance::new("a", store.next_row());
    commit_ok(store.as_ref(), a.turn(vec![a.started()]));
    commit_ok(store.as_ref(), a.turn(vec![]));
    let forgotten = a.record.turns.clone();
    a.record.execution = sample::execution("a, second execution");
    a.record.turns = 2..2;
    let sent = vec![
        sample::message("a", a.started()),
        sample::message("a", sample::raised("unread", 1)),
        // Another start of the same id is refused, as ever.
        sample::message("a", sample::start_event("other", None)),
    ];
    let delivered = commit_ok(store.as_ref(), Commit { forgotten, sent: sent.clone(), ..change(&a.record) });
    assert_eq!(delivered.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), sent[..2]);
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("a")).expect("readable").as_ref(), Some(&a.record));
        assert_eq!(store.history(a.record.row, 0..9).expect("readable"), vec![]);
        assert_eq!(store.inbox(a.record.row).expect("readable"), delivered);
    });
    let consumed = delivered.iter().map(|(key, _)| *key).collect();
    commit_ok(store.as_ref(), Commit { consumed, ..a.turn(vec![a.started()]) });
    assert_eq!(store.history(a.record.row, 2..3).expect("readable").len(), 2, "turn numbers go on");
}

fn rows(hub: &dyn Hub) {
    let mut highest = Row(0);
    for round in 0..3 {
        let store = hub.open();
        for number in 0..3 {
            let row = store.next_row();
            assert!(row > highest, "{row:?} is new");
            let mut instance = Instance::new(&format!("{round}-{number}"), row);
            let name = format!("child-{round}-{number}");
            let sent = vec![sample::message(&name, sample::start_event(&name, None))];
            let child = commit_ok(store.as_ref(), Commit { sent, ..instance.turn(vec![instance.started()]) })[0].0.row;
            assert!(child > row);
            highest = child;
            // Rows of instances that are gone stay used: this one and its child are replaced at once.
            commit_ok(store.as_ref(), instance.end(RuntimeStatus::Completed));
            let mut next = Instance::new(&format!("{round}-{number}"), store.next_row());
            let replaces = Some(instance.record);
            commit_ok(store.as_ref(), Commit { replaces, ..next.turn(vec![next.started()]) });
            highest = highest.max(next.record.row);
        }
    }
}
