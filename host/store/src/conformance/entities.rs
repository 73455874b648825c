//! Instances with a state and without a history.

use dacapo_core::commit::Timer;
use dacapo_core::{Commit, EntityState, Event, HistoryChunk, InstanceId, InstanceRecord, RuntimeStatus, Seq};

use super::sample::{self, Instance, at, change, id};
use super::{Check, Hub, before_and_after_reopening, commit, commit_ok, everything, is_stale};
use crate::{InstanceQuery, Store, StoreStats};

pub(super) const CHECKS: &[Check] = &[
    ("an entity keeps its state, and no history", state),
    ("a message makes the entity that it is for", made_by_message),
    ("an entity vanishes with all its rows", vanishes),
    ("an entity does not vanish over a message that it has not seen", message_before_vanishing),
    ("only entities have states", only_entities),
];

const COUNTER: &str = "@counter@a";

fn first(store: &dyn Store) -> InstanceRecord {
    let message = sample::message(COUNTER, sample::operation(1, None));
    InstanceRecord::pending(store.next_row(), &message).expect("it makes an entity")
}

fn stats(store: &dyn Store) -> StoreStats {
    StoreStats { bytes: 0, transactions: 0, ..store.stats().expect("readable") }
}

fn state(hub: &dyn Hub) {
    let store = hub.open();
    let mut sender = Instance::new("sender", store.next_row());
    commit_ok(store.as_ref(), sender.turn(vec![sender.started()]));
    let record = first(store.as_ref());
    let locked = EntityState {
        state: Some("{\"count\":2}".into()),
        lock: Some(sample::waiting(&sender.record)),
        operations: 70_000,
        waiting: true,
    };
    commit_ok(store.as_ref(), sample::entity_turn(&record, Some("1")));
    commit_ok(store.as_ref(), Commit { entity: Some(locked.clone()), ..change(&record) });
    // A commit without a state leaves the stored one as it is.
    let suspended = InstanceRecord { status: RuntimeStatus::Suspended, ..record.clone() };
    commit_ok(store.as_ref(), change(&suspended));
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.entity(record.row).expect("readable").as_ref(), Some(&locked));
        assert_eq!(store.entity(sender.record.row).expect("readable"), None);
        assert_eq!(store.instance(&record.id).expect("readable").as_ref(), Some(&suspended));
        assert_eq!(store.history(record.row, 0..9).expect("readable"), vec![]);
        let query = InstanceQuery { id_prefix: "@counter@".into(), ..InstanceQuery::default() };
        assert_eq!(store.instances(&query, None, 9).expect("readable").records, vec![suspended.clone()]);
        assert_eq!((stats(store).entities, stats(store).instances), (1, 2));
    });
}

fn made_by_message(hub: &dyn Hub) {
    let store = hub.open();
    let mut sender = Instance::new("sender", store.next_row());
    commit_ok(store.as_ref(), sender.turn(vec![sender.started()]));
    let entities: Vec<InstanceId> = ["@counter@b", "@counter@c"].map(id).into();
    let owner = sample::waiting(&sender.record);
    let sent = vec![
        sample::message(COUNTER, sample::operation(1, Some(&sender.record))),
        sample::message(COUNTER, sample::operation(2, None)),
        sample::message("@counter@b", Event::LockRequested { entities: entities.clone(), position: 0, owner: owner.clone() }),
        sample::message("@counter@c", Event::LockReleased { entities, position: 1, owner }),
    ];
    // These create nothing: there is no state to purge, and an orchestration runs no operations.
    let idle = vec![sample::message("@counter@d", Event::StatePurged), sample::message("nobody", sample::operation(1, None))];
    let delivered = commit_ok(store.as_ref(), Commit { sent: [sent.clone(), idle].concat(), ..sender.turn(vec![]) });
    assert_eq!(delivered.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), sent);
    assert_eq!(delivered[0].0.row, delivered[1].0.row, "one entity is made");
    let store = before_and_after_reopening(hub, store, |store| {
        for (key, message) in [&delivered[0], &delivered[2], &delivered[3]] {
            let expected = InstanceRecord::pending(key.row, message);
            assert_eq!(store.instance(&message.to).expect("readable"), expected);
            assert_eq!(store.entity(key.row).expect("readable"), Some(EntityState::default()));
        }
        assert_eq!(store.inbox(delivered[0].0.row).expect("readable"), delivered[..2]);
        assert_eq!((stats(store).entities, stats(store).instances), (3, 4));
    });
    let record = store.instance(&id(COUNTER)).expect("readable").expect("it was made");
    let consumed = delivered[..2].iter().map(|(key, _)| *key).collect();
    commit_ok(store.as_ref(), Commit { consumed, ..sample::entity_turn(&record, Some("3")) });
    assert_eq!(store.inbox(record.row).expect("readable"), vec![]);
    assert!(store.next_row() > delivered[3].0.row);
}

fn vanishes(hub: &dyn Hub) {
    let store = hub.open();
    let mut other = Instance::new("other", store.next_row());
    commit_ok(store.as_ref(), other.turn(vec![other.started()]));
    let record = first(store.as_ref());
    let before = (everything(store.as_ref()), stats(store.as_ref()));
    let wake = Timer { fire_at: at(5), seq: Seq(0) };
    let signal = sample::message(COUNTER, sample::operation(1, None));
    commit_ok(store.as_ref(), Commit { kept: vec![signal], timers_set: vec![wake], ..sample::entity_turn(&record, Some("1")) });
    let consumed = store.inbox(record.row).expect("readable").into_iter().map(|(key, _)| key).collect();
    let last = Commit { vanishes: true, timers_cleared: vec![wake], consumed, ..sample::entity_turn(&record, None) };
    commit_ok(store.as_ref(), last);
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!((everything(store), stats(store)), before);
        assert_eq!(store.instance(&record.id).expect("readable"), None);
        assert_eq!(store.entity(record.row).expect("readable"), None);
    });
    // It is created and vanishes in the same commit, and what it sends is sent.
    let sent = vec![sample::message("other", sample::raised("x", 1))];
    let record = first(store.as_ref());
    let delivered = commit_ok(store.as_ref(), Commit { vanishes: true, sent, ..sample::entity_turn(&record, None) });
    assert_eq!(store.inbox(other.record.row).expect("readable"), delivered);
    assert_eq!(store.instance(&record.id).expect("readable"), None);
    // It comes back in another row.
    let sent = vec![sample::message(COUNTER, sample::operation(2, None))];
    let again = commit_ok(store.as_ref(), Commit { sent, ..other.turn(vec![]) });
    assert!(again[0].0.row > record.row);
    assert_eq!(store.entity(again[0].0.row).expect("readable"), Some(EntityState::default()));
}

fn message_before_vanishing(hub: &dyn Hub) {
    let store = hub.open();
    let mut sender = Instance::new("sender", store.next_row());
    commit_ok(store.as_ref(), sender.turn(vec![sender.started()]));
    let record = first(store.as_ref());
    commit_ok(store.as_ref(), sample::entity_turn(&record, Some("1")));
    // The entity is loaded; then a message is stored, and only then the commit of its turn.
    let signal = sample::message(COUNTER, sample::operation(7, None));
    let delivered = commit_ok(store.as_ref(), Commit { sent: vec![signal.clone()], ..sender.turn(vec![]) });
    let last = Commit { vanishes: true, ..sample::entity_turn(&record, None) };
    let expected = last.entity.clone();
    commit_ok(store.as_ref(), last);
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.inbox(record.row).expect("readable"), delivered, "the message is not lost");
        assert_eq!(store.instance(&record.id).expect("readable").as_ref(), Some(&record));
        assert_eq!(store.entity(record.row).expect("readable"), expected, "what the commit says is applied");
    });
    // The same holds for a message that it sends to itself.
    let consumed = vec![delivered[0].0];
    let to_itself = Commit { vanishes: true, consumed, sent: vec![signal], ..sample::entity_turn(&record, None) };
    let delivered = commit_ok(store.as_ref(), to_itself);
    assert_eq!(store.inbox(record.row).expect("readable"), delivered);
    let consumed = vec![delivered[0].0];
    commit_ok(store.as_ref(), Commit { vanishes: true, consumed, ..sample::entity_turn(&record, None) });
    assert_eq!(store.instance(&record.id).expect("readable"), None);
}

fn only_entities(hub: &dyn Hub) {
    let store = hub.open();
    let mut a = Instance::new("a", store.next_row());
    commit_ok(store.as_ref(), a.turn(vec![a.started()]));
    let entity = first(store.as_ref());
    commit_ok(store.as_ref(), sample::entity_turn(&entity, Some("1")));
    let before = everything(store.as_ref());
    let with_history = Commit {
        history: Some(HistoryChunk { turn: 0, events: vec![] }),
        ..sample::entity_turn(&sample::with_turns(&entity, 0..1), None)
    };
    let bad = [sample::entity_turn(&a.record, Some("1")), Commit { vanishes: true, ..change(&a.record) }, with_history];
    for bad in bad {
        assert!(is_stale(commit(store.as_ref(), bad)));
        assert_eq!(everything(store.as_ref()), before);
    }
}
