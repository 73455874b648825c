//! How messages between instances are delivered.

use dacapo_core::{Commit, InstanceRecord, RuntimeStatus};

use crate::InboxPage;

use super::sample::{self, Instance, change, id};
use super::{Check, Hub, before_and_after_reopening, commit_ok};

pub(super) const CHECKS: &[Check] = &[
    ("a message makes the instance that it starts", started_by_message),
    ("a start meets a living instance", refused),
    ("a start replaces a finished instance", restarted_by_message),
    ("messages to nobody are dropped", dropped),
    ("a failed instance keeps what comes", kept_by_failed),
    ("an ask to rewind reaches who has ended", asked_to_rewind),
    ("an inbox keeps its order and forgets what is consumed", inbox),
    ("what is stored but not delivered is found in pages", undelivered),
];

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
    // Sent by another instance, and the parent has ended: no refusal is stored.
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
        let unread: Vec<_> = instances.iter().map(|instance| (instance.record.row, instance.record.id.clone())).collect();
        assert_eq!(store.unread(None, 9).expect("readable"), unread);
        assert_eq!(store.unread(Some(unread[0].0), 1).expect("readable"), unread[1..2]);
        let row = unread[1].0;
        let of_row = store.inbox(row).expect("readable");
        let size = store.inbox_size(row).expect("readable");
        assert!(size.messages == 4 && size.bytes > 40, "{size:?}");
        let first = store.inbox_page(row, None, 0).expect("readable");
        assert_eq!(first, InboxPage { messages: of_row[..1].to_vec(), more: true });
        let rest = store.inbox_page(row, Some(of_row[0].0), usize::MAX).expect("readable");
        assert_eq!(rest, InboxPage { messages: of_row[1..].to_vec(), more: false });
        let none = store.inbox_page(row, Some(of_row[3].0), 0).expect("readable");
        assert_eq!(none, InboxPage::default());
        let turns = store.history_bytes(row, 0..1, usize::MAX).expect("readable");
        assert!(turns > 0 && store.history_bytes(row, 0..0, usize::MAX).expect("readable") == 0);
    });
}

fn kept_by_failed(hub: &dyn Hub) {
    let store = hub.open();
    let (mut failed, mut other) = (Instance::new("failed", store.next_row()), Instance::new("other", store.next_row()));
    commit_ok(store.as_ref(), failed.turn(vec![failed.started()]));
    commit_ok(store.as_ref(), failed.end(RuntimeStatus::Failed));
    commit_ok(store.as_ref(), other.turn(vec![other.started()]));
    let result = sample::message("failed", sample::completed(1));
    // The parent has failed meanwhile: it gets the refusal all the same, because it may be rewound.
    let start = sample::message("other", sample::start_event("again", Some(&failed.record)));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![result.clone(), start.clone()], ..other.turn(vec![]) });
    let expected = [result, start.refused(start.sent_at).expect("a parent waits")];
    assert_eq!(delivered.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), expected);
    let kept = sample::message("failed", sample::raised("x", 1));
    commit_ok(store.as_ref(), Commit { kept: vec![kept.clone()], ..change(&failed.record) });
    let store = before_and_after_reopening(hub, store, |store| {
        let inbox = store.inbox(failed.record.row).expect("readable");
        assert_eq!(inbox[..2], delivered);
        assert_eq!((inbox.len(), &inbox[2].1), (3, &kept));
        assert_eq!(store.instance(&id("failed")).expect("readable").as_ref(), Some(&failed.record));
    });
    // A start replaces it, like any other instance that has ended.
    let start = sample::message("failed", sample::start_event("second", None));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![start], ..other.turn(vec![]) });
    assert_eq!(store.undelivered(None, 9).expect("readable"), delivered);
    assert_eq!(store.history(failed.record.row, 0..9).expect("readable"), vec![]);
}

fn asked_to_rewind(hub: &dyn Hub) {
    let store = hub.open();
    let mut sender = Instance::new("sender", store.next_row());
    commit_ok(store.as_ref(), sender.turn(vec![sender.started()]));
    let ended = [RuntimeStatus::Completed, RuntimeStatus::Failed, RuntimeStatus::Terminated];
    for status in ended {
        let mut instance = Instance::new(status.name(), store.next_row());
        commit_ok(store.as_ref(), instance.turn(vec![instance.started()]));
        commit_ok(store.as_ref(), instance.end(status));
    }
    let sent: Vec<_> = ended.map(|status| sample::message(status.name(), sample::rewound(&sender.record))).into();
    let delivered = commit_ok(store.as_ref(), Commit { sent: sent.clone(), ..sender.turn(vec![]) });
    assert_eq!(delivered.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), sent);
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.undelivered(None, 9).expect("readable"), delivered);
    });
}
