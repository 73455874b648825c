//! Instances that are removed.

use dacapo_core::{Commit, Event, InstanceRecord, Message, Row, RuntimeStatus, Seq};

use super::sample::{self, Instance, change, id};
use super::{Check, Hub, before_and_after_reopening, commit, commit_ok, everything, is_stale, matching, purge};
use crate::{InstanceQuery, Store, StoreStats};

pub(super) const CHECKS: &[Check] = &[
    ("a purged instance leaves nothing", leaves_nothing),
    ("only who has ended is purged", only_ended),
    ("a result that comes after the purge does no harm", late_result),
    ("a parent learns that the child that it rewinds is gone", rewound_parent),
    ("what its parent is about to rewind is not purged", rewound_child),
    ("a parent learns that the child that it rewinds was replaced", replaced_child),
    ("also if a message replaced it", child_replaced_by_another),
    ("a purge of many leaves the others whole", among_others),
];

fn stats(store: &dyn Store) -> StoreStats {
    StoreStats { bytes: 0, transactions: 0, ..store.stats().expect("readable") }
}

/// An instance that has ended, with something in every table that it may leave something in.
fn ended(store: &dyn Store, name: &str, status: RuntimeStatus) -> Instance {
    let mut instance = Instance::new(name, store.next_row());
    let kept = vec![sample::message(name, sample::raised("unread", 1))];
    let scheduled = vec![instance.started(), sample::scheduled(0)];
    commit_ok(store, Commit { kept, activities_set: instance.scheduled(0..1), ..instance.turn(scheduled) });
    commit_ok(store, instance.turn(vec![]));
    commit_ok(store, instance.end(status));
    instance
}

fn leaves_nothing(hub: &dyn Hub) {
    let store = hub.open();
    let mut bystander = Instance::new("bystander", store.next_row());
    commit_ok(store.as_ref(), bystander.turn(vec![bystander.started()]));
    let before = (everything(store.as_ref()), stats(store.as_ref()));
    let statuses = [RuntimeStatus::Completed, RuntimeStatus::Failed, RuntimeStatus::Terminated, RuntimeStatus::Canceled];
    let gone = statuses.map(|status| ended(store.as_ref(), status.name(), status));
    assert_eq!(stats(store.as_ref()).activities, 4);
    let rows: Vec<Row> = gone.iter().map(|instance| instance.record.row).collect();
    assert_eq!(purge(store.as_ref(), rows.clone()).expect("there is room"), 4);
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!((everything(store), stats(store)), before);
        assert!(statuses.iter().all(|status| store.instance(&id(status.name())).expect("readable").is_none()));
    });
    assert_eq!(purge(store.as_ref(), rows).expect("there is room"), 0, "they are gone");
    let again = Instance::new("Completed", store.next_row());
    assert!(again.record.row > gone[3].record.row, "rows are never used again");
    commit_ok(store.as_ref(), again.clone().turn(vec![again.started()]));
}

fn only_ended(hub: &dyn Hub) {
    let store = hub.open();
    let living = [RuntimeStatus::Running, RuntimeStatus::Pending, RuntimeStatus::Suspended];
    let mut rows = vec![Row(0), Row(u64::MAX), Row(1 << 40)];
    for status in living {
        let mut instance = Instance::new(status.name(), store.next_row());
        let first = instance.turn(vec![instance.started()]);
        commit_ok(store.as_ref(), Commit { record: InstanceRecord { status, ..instance.record.clone() }, ..first });
        rows.push(instance.record.row);
    }
    let signal = sample::message("@counter@a", sample::operation(1, None));
    let entity = InstanceRecord::pending(store.next_row(), &signal).expect("it makes an entity");
    commit_ok(store.as_ref(), sample::entity_turn(&entity, Some("1")));
    // It was replaced, so its row is gone already.
    let replaced = ended(store.as_ref(), "replaced", RuntimeStatus::Completed);
    let mut next = Instance::new("replaced", store.next_row());
    commit_ok(store.as_ref(), Commit { replaces: Some(replaced.record.clone()), ..next.turn(vec![next.started()]) });
    rows.extend([entity.row, replaced.record.row]);
    let before = everything(store.as_ref());
    assert_eq!(purge(store.as_ref(), rows).expect("there is room"), 0);
    assert_eq!(purge(store.as_ref(), vec![]).expect("there is room"), 0);
    before_and_after_reopening(hub, store, |store| assert_eq!(everything(store), before));
}

fn late_result(hub: &dyn Hub) {
    let store = hub.open();
    let mut other = Instance::new("other", store.next_row());
    commit_ok(store.as_ref(), other.turn(vec![other.started()]));
    let mut gone = ended(store.as_ref(), "gone", RuntimeStatus::Completed);
    assert_eq!(purge(store.as_ref(), vec![gone.record.row; 3]).expect("there is room"), 1, "each counts once");
    let before = everything(store.as_ref());
    let late = [
        Commit { activities_cleared: vec![Seq(0)], ..change(&gone.record) },
        Commit { kept: vec![sample::message("gone", sample::completed(0))], ..change(&gone.record) },
        Commit { activities_cleared: vec![Seq(0)], ..gone.turn(vec![sample::completed(0)]) },
    ];
    for late in late {
        assert!(is_stale(commit(store.as_ref(), late)));
        assert_eq!(everything(store.as_ref()), before);
    }
    let sent = vec![sample::message("gone", sample::completed(0))];
    assert_eq!(commit_ok(store.as_ref(), Commit { sent, ..other.turn(vec![]) }), vec![]);
}

/// The core decides what `Message::refused` returns; the store must send it.
fn rewound_parent(hub: &dyn Hub) {
    let store = hub.open();
    let mut parent = Instance::new("parent", store.next_row());
    commit_ok(store.as_ref(), parent.turn(vec![parent.started()]));
    let child = ended(store.as_ref(), "child", RuntimeStatus::Failed);
    purge(store.as_ref(), vec![child.record.row]).expect("there is room");
    let ask = sample::message("child", sample::rewound(&parent.record));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![ask.clone()], ..parent.turn(vec![]) });
    let expected: Vec<_> = ask.refused(ask.sent_at).into_iter().collect();
    assert_eq!(delivered.into_iter().map(|(_, message)| message).collect::<Vec<_>>(), expected);
}

/// A failed child, whose inbox holds the request of its living parent to rewind it.
fn about_to_be_rewound(store: &dyn Store) -> (Instance, Instance, Message) {
    let mut parent = Instance::new("parent", store.next_row());
    commit_ok(store, parent.turn(vec![parent.started()]));
    let child = ended(store, "child", RuntimeStatus::Failed);
    let ask = sample::message("child", sample::rewound(&parent.record));
    commit_ok(store, Commit { sent: vec![ask.clone()], ..parent.turn(vec![]) });
    (parent, child, ask)
}

fn rewound_child(hub: &dyn Hub) {
    let store = hub.open();
    let (_, child, ask) = about_to_be_rewound(store.as_ref());
    let before = everything(store.as_ref());
    assert_eq!(purge(store.as_ref(), vec![child.record.row]).expect("there is room"), 0);
    assert_eq!(everything(store.as_ref()), before);
    // Once the request is consumed, it can be purged like any other.
    let inbox = store.inbox(child.record.row).expect("readable");
    let consumed = inbox.into_iter().filter(|(_, message)| *message == ask).map(|(key, _)| key).collect();
    commit_ok(store.as_ref(), Commit { consumed, ..change(&child.record) });
    assert_eq!(purge(store.as_ref(), vec![child.record.row]).expect("there is room"), 1);
}

fn replaced_child(hub: &dyn Hub) {
    let store = hub.open();
    let (parent, child, ask) = about_to_be_rewound(store.as_ref());
    let mut next = Instance::new("child", store.next_row());
    let delivered = commit_ok(store.as_ref(), Commit { replaces: Some(child.record), ..next.turn(vec![next.started()]) });
    let told: Vec<_> = delivered.into_iter().map(|(key, message)| (key.row, message)).collect();
    let refusal = ask.refused(ask.sent_at).expect("the core answers");
    assert_eq!(told, vec![(parent.record.row, refusal)]);
}

fn child_replaced_by_another(hub: &dyn Hub) {
    let store = hub.open();
    let (mut parent, _, ask) = about_to_be_rewound(store.as_ref());
    let sent = vec![sample::message("child", Instance::new("child", Row(0)).started())];
    let delivered = commit_ok(store.as_ref(), Commit { sent: sent.clone(), ..parent.turn(vec![]) });
    let told: Vec<_> = delivered.into_iter().map(|(_, message)| message).collect();
    let refusal = ask.refused(ask.sent_at).expect("the core answers");
    assert_eq!(told, vec![refusal, sent[0].clone()]);
}

fn among_others(hub: &dyn Hub) {
    let store = hub.open();
    let mut purged = Vec::new();
    let mut left = Vec::new();
    for number in 0..600u32 {
        let mut instance = Instance::new(&format!("i-{}", number * 7919 % 600), store.next_row());
        let outcome = dacapo_core::event::Outcome::Completed("null".into());
        let turn = vec![instance.started(), Event::ExecutionCompleted { outcome }];
        // Alone, side by side, and whole zones.
        let goes = number % 7 == 0 || number % 11 < 3 || (200..520).contains(&number);
        instance.record.status = if number % 5 == 0 { RuntimeStatus::Failed } else { RuntimeStatus::Completed };
        store.commit(instance.turn(turn), Box::new(|result| drop(result.expect("it follows"))));
        if goes { purged.push(instance.record) } else { left.push(instance.record) }
    }
    let mut rows: Vec<Row> = purged.iter().map(|record| record.row).collect();
    rows.reverse();
    assert_eq!(purge(store.as_ref(), rows).expect("there is room"), purged.len() as u64);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(matching(store, &InstanceQuery::default()), left);
        assert!(purged.iter().all(|record| store.history(record.row, 0..9).expect("readable").is_empty()));
        assert!(left.iter().all(|record| store.history(record.row, 0..9).expect("readable").len() == 3));
        assert_eq!(stats(store).turns, left.len() as u64);
    });
}
