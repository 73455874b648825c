//! The behaviour of a store, written once and run for every backend.
//!
//! A backend's test says how to open a hub and hands itself to [`conformance`], which panics at the first rule that is
//! broken. [`sample`] holds what these tests are made of.

use std::sync::mpsc;

use dacapo_core::commit::Timer;
use dacapo_core::{
    Commit, Event, ExecutionId, FunctionKind, FunctionName, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row,
    RuntimeStatus, Seq, Timestamp, VersionId,
};

use crate::{AppVersion, InstanceQuery, Receipt, Store, StoreError, TimerKey};

use sample::{Instance, at, change, id};

/// A hub that can be closed and opened again.
pub trait Hub {
    /// Opens the hub with what was stored in it before; the former store has been dropped.
    fn open(&self) -> Box<dyn Store>;
}

type Check = fn(&dyn Hub);

/// Runs every check, each on a new hub.
pub fn conformance<H: Hub>(new_hub: impl Fn() -> H) {
    let checks: [(&str, Check); 20] = [
        ("an empty hub answers everything", empty),
        ("a started instance is stored whole", start),
        ("turns add up to a history", history),
        ("a second start of a living id is stale", duplicate),
        ("a finished instance is replaced and purged", replace),
        ("a commit that does not follow is stale and stores nothing", stale),
        ("a message makes the instance that it starts", started_by_message),
        ("a start meets a living instance", refused),
        ("a start replaces a finished instance", restarted_by_message),
        ("messages to nobody are dropped", dropped),
        ("an inbox keeps its order and forgets what is consumed", inbox),
        ("continue-as-new starts the instance itself again", continue_as_new),
        ("timers are ordered and cleared", timers),
        ("activities are found with their turn", activities),
        ("what is stored but not delivered is found in pages", undelivered),
        ("pages of instances are stable", pages),
        ("queries choose instances", queries),
        ("a bad commit does not fail its group", isolation),
        ("apps have versions, and one is active", apps),
        ("rows are never used again", rows),
    ];
    for (name, check) in checks {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&new_hub())));
        if let Err(panic) = outcome {
            eprintln!("not conforming: {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Commits and waits until that is durable or has failed.
pub fn commit(store: &dyn Store, commit: Commit) -> Result<Receipt, StoreError> {
    let (sender, receiver) = mpsc::channel();
    store.commit(commit, Box::new(move |result| sender.send(result).expect("the test waits for it")));
    receiver.recv().expect("every commit is answered")
}

fn commit_ok(store: &dyn Store, change: Commit) -> Vec<(MessageKey, Message)> {
    commit(store, change).expect("the commit follows what is stored").delivered
}

fn is_stale(result: Result<Receipt, StoreError>) -> bool {
    matches!(result, Err(StoreError::Stale { .. }))
}

/// Everything that a store shows, to compare it before and after a change that must change nothing, or a reopening.
pub fn everything(store: &dyn Store) -> Vec<String> {
    let all = store.instances(&InstanceQuery::default(), None, usize::MAX).expect("a readable store");
    assert_eq!(all.next, None, "one page takes all");
    let mut lines = Vec::new();
    for record in all.records {
        assert_eq!(store.instance(&record.id).expect("a readable store").as_ref(), Some(&record));
        lines.push(format!("{record:?}"));
        lines.push(format!("{:?}", store.history(record.row, 0..u32::MAX).expect("a readable store")));
        lines.push(format!("{:?}", store.inbox(record.row).expect("a readable store")));
    }
    lines.push(format!("{:?}", store.undelivered(None, usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.timers(None, Timestamp(i64::MAX), usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.activities(None, usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.apps().expect("a readable store")));
    lines
}

/// Runs `check` on the store, and again on the same content after it was closed and opened.
fn before_and_after_reopening(hub: &dyn Hub, store: Box<dyn Store>, check: impl Fn(&dyn Store)) -> Box<dyn Store> {
    check(store.as_ref());
    let before = everything(store.as_ref());
    drop(store);
    let store = hub.open();
    assert_eq!(everything(store.as_ref()), before, "opened again, it shows the same");
    check(store.as_ref());
    store
}

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
    });
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
    let activities_without_turn = Commit { activities_set: vec![Seq(0)], ..change(&a.record) };
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

fn started_by_message(hub: &dyn Hub) {
    let store = hub.open();
    let mut parent = Instance::new("parent", store.next_row());
    let start = sample::message("child", sample::start_event("child", Some(&parent.record)));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![start.clone()], ..parent.turn(vec![parent.started()]) });
    let [(key, message)] = delivered.as_slice() else { panic!("one message is stored, not {delivered:?}") };
    assert_eq!(message, &start);
    let expected = InstanceRecord::pending(key.row, &start).expect("it starts an instance");
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("child")).expect("readable").as_ref(), Some(&expected));
        assert_eq!(store.inbox(key.row).expect("readable"), vec![(*key, start.clone())]);
    });
    assert!(store.next_row() > key.row);
    let mut child = Instance { record: expected };
    commit_ok(store.as_ref(), Commit { consumed: vec![*key], ..child.turn(vec![start.event.clone()]) });
    assert_eq!(store.inbox(key.row).expect("readable"), vec![]);
}

fn refused(hub: &dyn Hub) {
    let store = hub.open();
    let (mut parent, mut taken) = (Instance::new("parent", store.next_row()), Instance::new("taken", store.next_row()));
    commit_ok(store.as_ref(), parent.turn(vec![parent.started()]));
    commit_ok(store.as_ref(), taken.turn(vec![taken.started()]));
    let awaited = sample::message("taken", sample::start_event("again", Some(&parent.record)));
    let detached = sample::message("taken", sample::start_event("again", None));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![awaited.clone(), detached], ..parent.turn(vec![]) });
    let refusal = awaited.refused(awaited.sent_at).expect("a parent waits");
    let [(key, message)] = delivered.as_slice() else { panic!("only the refusal is stored, not {delivered:?}") };
    assert_eq!((key.row, message), (parent.record.row, &refusal));
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.inbox(parent.record.row).expect("readable"), delivered);
        assert_eq!(store.inbox(taken.record.row).expect("readable"), vec![]);
        assert_eq!(store.instance(&id("taken")).expect("readable").as_ref(), Some(&taken.record));
    });
    // Sent by another instance, and the parent has ended: nobody is told.
    commit_ok(store.as_ref(), Commit { consumed: vec![*key], ..parent.end(RuntimeStatus::Terminated) });
    assert_eq!(commit_ok(store.as_ref(), Commit { sent: vec![awaited], ..taken.turn(vec![]) }), vec![]);
}

fn restarted_by_message(hub: &dyn Hub) {
    let store = hub.open();
    let (mut old, mut sender) = (Instance::new("a", store.next_row()), Instance::new("sender", store.next_row()));
    commit_ok(store.as_ref(), sender.turn(vec![sender.started()]));
    commit_ok(
        store.as_ref(),
        Commit { kept: vec![sample::message("a", sample::raised("x", 1))], ..old.turn(vec![old.started()]) },
    );
    commit_ok(store.as_ref(), old.end(RuntimeStatus::Completed));
    let start = sample::message("a", sample::start_event("second", None));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![start.clone()], ..sender.turn(vec![]) });
    let row = delivered[0].0.row;
    assert_ne!(row, old.record.row);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.instance(&id("a")).expect("readable"), InstanceRecord::pending(row, &start));
        assert_eq!(store.history(old.record.row, 0..9).expect("readable"), vec![]);
        assert_eq!(store.inbox(old.record.row).expect("readable"), vec![]);
        assert_eq!(store.undelivered(None, 9).expect("readable"), delivered);
    });
}

fn dropped(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut ended) = (Instance::new("a", store.next_row()), Instance::new("ended", store.next_row()));
    commit_ok(store.as_ref(), a.turn(vec![a.started()]));
    commit_ok(store.as_ref(), ended.turn(vec![ended.started()]));
    commit_ok(store.as_ref(), ended.end(RuntimeStatus::Completed));
    let sent = ["missing", "ended"].map(|to| sample::message(to, sample::raised("x", 1))).into();
    assert_eq!(commit_ok(store.as_ref(), Commit { sent, ..a.turn(vec![]) }), vec![]);
    before_and_after_reopening(hub, store, |store| assert_eq!(store.undelivered(None, 9).expect("readable"), vec![]));
}

fn inbox(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    commit_ok(store.as_ref(), a.turn(vec![a.started()]));
    commit_ok(store.as_ref(), b.turn(vec![b.started()]));
    let event = |number| sample::message("b", sample::raised("x", number));
    let sent = commit_ok(store.as_ref(), Commit { sent: vec![event(1), event(2)], ..a.turn(vec![]) });
    let kept = commit_ok(store.as_ref(), Commit { kept: vec![event(3)], ..change(&b.record) });
    assert_eq!(kept, vec![], "kept messages are not delivered");
    let more = commit_ok(store.as_ref(), Commit { sent: vec![event(4)], ..b.turn(vec![]) });
    assert_eq!(more.len(), 1, "an instance may send to itself");
    let store = before_and_after_reopening(hub, store, |store| {
        let inbox = store.inbox(b.record.row).expect("readable");
        assert_eq!(inbox.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), (1..=4).map(event).collect::<Vec<_>>());
        assert!(inbox.is_sorted_by(|(one, _), (other, _)| one.number < other.number));
        assert_eq!(inbox[..2], sent);
        assert_eq!(inbox[3..], more);
        assert_eq!(store.inbox(a.record.row).expect("readable"), vec![]);
    });
    let all = store.inbox(b.record.row).expect("readable");
    commit_ok(store.as_ref(), Commit { consumed: vec![all[0].0, all[2].0], ..b.turn(vec![]) });
    assert_eq!(store.inbox(b.record.row).expect("readable"), vec![all[1].clone(), all[3].clone()]);
    let newest = commit_ok(store.as_ref(), Commit { sent: vec![event(5)], ..a.turn(vec![]) })[0].0;
    assert!(newest.number > all[3].0.number, "numbers rise, also after a reopening");
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
    commit_ok(store.as_ref(), Commit { activities_set: set(0..3), ..a.turn(scheduled(0..3)) });
    commit_ok(store.as_ref(), Commit { activities_set: set(0..1), ..b.turn(scheduled(0..1)) });
    commit_ok(store.as_ref(), Commit { activities_set: set(3..4), activities_cleared: set(1..2), ..a.turn(scheduled(3..5)) });
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
        let page = store.activities(Some((a.record.row, Seq(1))), 2).expect("readable");
        assert_eq!(page, all[1..3]);
    });
    commit_ok(store.as_ref(), Commit { activities_cleared: set(0..9), ..a.end(RuntimeStatus::Failed) });
    assert_eq!(store.activities(None, 9).expect("readable").len(), 1);
}

fn undelivered(hub: &dyn Hub) {
    let store = hub.open();
    let names = ["a", "b", "c"];
    let mut instances = names.map(|name| Instance::new(name, store.next_row()));
    for instance in &mut instances {
        commit_ok(store.as_ref(), instance.turn(vec![instance.started()]));
    }
    for number in 0..4 {
        let sent = names.iter().rev().map(|name| sample::message(name, sample::raised("x", number))).collect();
        commit_ok(store.as_ref(), Commit { sent, ..instances[0].turn(vec![]) });
    }
    before_and_after_reopening(hub, store, |store| {
        let all = store.undelivered(None, 99).expect("readable");
        assert_eq!(all.len(), 12);
        let of_each = instances.iter().map(|instance| store.inbox(instance.record.row).expect("readable"));
        assert_eq!(all, of_each.flatten().collect::<Vec<_>>());
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.undelivered(after, 5).expect("readable");
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            paged.extend(page);
        }
        assert_eq!(paged, all);
    });
}

fn pages(hub: &dyn Hub) {
    let store = hub.open();
    let store = store.as_ref();
    let name = |number: u32| format!("i-{:04}", number * 7919 % 1_000);
    for number in 0..30 {
        let mut instance = Instance::new(&name(number), store.next_row());
        commit_ok(store, instance.turn(vec![instance.started()]));
    }
    let (mut seen, mut after) = (Vec::new(), None);
    for number in 30.. {
        let page = store.instances(&InstanceQuery::default(), after.as_ref(), 7).expect("readable");
        assert!(page.records.len() <= 7);
        seen.extend(page.records.into_iter().map(|record| record.id));
        let Some(next) = page.next else { break };
        after = Some(next);
        // What comes between two pages moves none of the others.
        let mut between = Instance::new(&name(number), store.next_row());
        commit_ok(store, between.turn(vec![between.started()]));
    }
    assert!(seen.is_sorted_by(|one, other| one < other), "ordered by id, none twice");
    assert!((0..30).all(|number| seen.contains(&id(&name(number)))), "none that was there is missed");
}

fn queries(hub: &dyn Hub) {
    let store = hub.open();
    for (number, name) in ["a", "order-1", "order-2", "order-3", "ordes", "z"].into_iter().enumerate() {
        let mut instance = Instance::new(name, store.next_row());
        instance.record.created = at(number as i64);
        commit_ok(store.as_ref(), instance.turn(vec![instance.started()]));
        if number % 2 == 1 {
            commit_ok(store.as_ref(), instance.end(RuntimeStatus::Completed));
        }
    }
    before_and_after_reopening(hub, store, |store| {
        let ask = |query: InstanceQuery| -> Vec<String> {
            let page = store.instances(&query, None, 99).expect("readable");
            page.records.into_iter().map(|record| record.id.to_string()).collect()
        };
        let prefix = |prefix: &str| InstanceQuery { id_prefix: prefix.into(), ..InstanceQuery::default() };
        assert_eq!(ask(prefix("order-")), ["order-1", "order-2", "order-3"]);
        assert_eq!(ask(prefix("order-2x")), Vec::<String>::new());
        assert_eq!(ask(InstanceQuery { created_from: Some(at(3)), ..prefix("orde") }), ["order-3", "ordes"]);
        assert_eq!(ask(InstanceQuery { created_to: Some(at(2)), ..prefix("") }), ["a", "order-1", "order-2"]);
        assert_eq!(ask(InstanceQuery { statuses: vec![RuntimeStatus::Completed], ..prefix("") }), ["order-1", "order-3", "z"]);
        assert_eq!(
            ask(InstanceQuery {
                statuses: vec![RuntimeStatus::Failed, RuntimeStatus::Running],
                created_from: Some(at(1)),
                created_to: Some(at(2)),
                ..prefix("o")
            }),
            ["order-2"]
        );
        let after = store.instances(&prefix("order-"), Some(&id("order-1")), 1).expect("readable");
        assert_eq!((after.records.len(), &after.records[0].id), (1, &id("order-2")));
        assert_eq!(after.next, Some(id("order-2")));
    });
}

fn isolation(hub: &dyn Hub) {
    let store = hub.open();
    let mut instances: Vec<Instance> = (0..50).map(|i| Instance::new(&format!("i-{i}"), store.next_row())).collect();
    let (sender, receiver) = mpsc::channel();
    for (number, instance) in instances.iter_mut().enumerate() {
        let good = instance.turn(vec![instance.started()]);
        let bad = Commit { record: sample::with_turns(&instance.record, 0..9), ..good.clone() };
        for (kind, change) in [("good", good.clone()), ("repeated", good), ("bad", bad)] {
            let sender = sender.clone();
            let done = move |result: Result<Receipt, StoreError>| {
                sender.send((number, kind, result.map_err(|e| e.to_string()))).expect("the test waits");
            };
            store.commit(change, Box::new(done));
        }
    }
    drop(sender);
    let outcomes: Vec<_> = receiver.iter().collect();
    assert_eq!(outcomes.len(), 150);
    for (position, (number, kind, result)) in outcomes.iter().enumerate() {
        assert_eq!(*number, position / 3, "answered in the order of the calls");
        assert_eq!(result.is_ok(), *kind == "good", "{kind}: {result:?}");
    }
    before_and_after_reopening(hub, store, |store| {
        for instance in &instances {
            assert_eq!(store.instance(&instance.record.id).expect("readable").as_ref(), Some(&instance.record));
        }
        assert_eq!(store.stats().expect("readable").turns, 50);
    });
}

fn apps(hub: &dyn Hub) {
    let store = hub.open();
    let version = |app: &str, digest: u8, time: i64| AppVersion {
        app: app.into(),
        version: VersionId([digest; 32]),
        deployed_at: at(time),
        label: format!("v{digest}"),
        functions: vec![
            (FunctionName::new("Hello").expect("valid"), FunctionKind::Orchestrator),
            (FunctionName::new("say").expect("valid"), FunctionKind::Activity),
            (FunctionName::new("counter").expect("valid"), FunctionKind::Entity),
        ],
        size: 12_345,
    };
    let (a1, a2, b1) = (version("a", 9, 1), version("a", 2, 2), version("b", 9, 3));
    for version in [&a1, &b1, &a2] {
        store.put_app(version).expect("there is room");
    }
    let store = before_and_after_reopening(hub, store, |store| {
        let expected = vec![(a1.clone(), false), (a2.clone(), true), (b1.clone(), true)];
        assert_eq!(store.apps().expect("readable"), expected);
    });
    let again = AppVersion { deployed_at: at(4), ..a1.clone() };
    store.put_app(&again).expect("there is room");
    assert_eq!(store.apps().expect("readable"), vec![(a2, false), (again, true), (b1, true)]);
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

pub mod sample {
    //! Instances that take turns, and the messages between them.

    use dacapo_core::{HistoryChunk, Parent};
    use uuid::Uuid;

    use super::*;

    /// An instance as its owner sees it: each change is a commit that follows the one before.
    #[derive(Debug, Clone)]
    pub struct Instance {
        pub record: InstanceRecord,
    }

    impl Instance {
        pub fn new(name: &str, row: Row) -> Self {
            let start = message(name, start_event(name, None));
            let pending = InstanceRecord::pending(row, &start).expect("it starts an instance");
            Self { record: InstanceRecord { status: RuntimeStatus::Running, version: Some(VersionId([5; 32])), ..pending } }
        }

        /// The event that starts its execution.
        pub fn started(&self) -> Event {
            let Event::ExecutionStarted { name, input, version, parent, .. } = start_event(self.record.id.as_str(), None) else {
                unreachable!("it is a start")
            };
            Event::ExecutionStarted { execution: self.record.execution, name, input, version, parent }
        }

        /// One more turn, in which this happens.
        pub fn turn(&mut self, events: Vec<Event>) -> Commit {
            let turn = self.record.turns.end;
            self.record.turns.end += 1;
            self.record.updated = at(turn.into());
            let events = [Event::OrchestratorStarted].into_iter().chain(events);
            let events = events.map(|event| HistoryEvent { at: at(turn.into()), event }).collect();
            Commit { history: Some(HistoryChunk { turn, events }), ..change(&self.record) }
        }

        /// Its last turn.
        pub fn end(&mut self, status: RuntimeStatus) -> Commit {
            self.record.status = status;
            let outcome = dacapo_core::event::Outcome::Completed("null".into());
            self.turn(vec![Event::ExecutionCompleted { outcome }])
        }
    }

    /// A commit that changes the record and nothing else.
    pub fn change(record: &InstanceRecord) -> Commit {
        Commit {
            record: record.clone(),
            replaces: None,
            forgotten: 0..0,
            history: None,
            consumed: vec![],
            kept: vec![],
            sent: vec![],
            timers_set: vec![],
            timers_cleared: vec![],
            activities_set: vec![],
            activities_cleared: vec![],
        }
    }

    pub fn with_turns(record: &InstanceRecord, turns: std::ops::Range<u32>) -> InstanceRecord {
        InstanceRecord { turns, ..record.clone() }
    }

    pub fn id(text: &str) -> InstanceId {
        InstanceId::any(text).expect("a valid id")
    }

    pub fn execution(name: &str) -> ExecutionId {
        ExecutionId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    pub fn at(millis: i64) -> Timestamp {
        Timestamp(1_700_000_000_000_000 + millis * 1_000)
    }

    pub fn message(to: &str, event: Event) -> Message {
        Message { to: id(to), execution: None, sent_at: at(0), event }
    }

    /// Starts the execution that `name` names, for a parent that waits if there is one.
    pub fn start_event(name: &str, parent: Option<&InstanceRecord>) -> Event {
        Event::ExecutionStarted {
            execution: execution(name),
            name: FunctionName::new("sample").expect("a valid name"),
            input: format!("\"for {name}\"").into(),
            version: String::new(),
            parent: parent.map(|parent| Parent {
                name: parent.name.clone(),
                instance: parent.id.clone(),
                execution: parent.execution,
                seq: Seq(3),
            }),
        }
    }

    pub fn raised(name: &str, number: u32) -> Event {
        Event::EventRaised { name: name.into(), data: number.to_string().into() }
    }

    pub fn scheduled(seq: u32) -> Event {
        let name = FunctionName::new(&format!("activity{seq}")).expect("a valid name");
        Event::TaskScheduled { seq: Seq(seq), name, input: format!("{{\"seq\":{seq}}}").into(), attempt: seq + 1 }
    }
}
