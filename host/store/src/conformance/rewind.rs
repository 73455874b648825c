//! The one commit that takes turns back.

use dacapo_core::{Commit, Event, HistoryChunk, RuntimeStatus, Seq};

use super::sample::{self, Instance, change, id};
use super::{Check, Hub, before_and_after_reopening, commit, commit_ok, everything, is_stale};
use crate::Store;

pub(super) const CHECKS: &[Check] = &[
    ("a failed instance goes on before its last turns", goes_on),
    ("a rewound instance may end, or continue as new, at once", ends_at_once),
    ("activities go with the turns that scheduled them, and are set again", activities),
    ("nothing but a rewind takes turns back", nothing_looser),
];

/// An instance of this many turns, the last of which ended it.
fn ended(store: &dyn Store, name: &str, turns: u32, status: RuntimeStatus) -> Instance {
    let mut instance = Instance::new(name, store.next_row());
    commit_ok(store, instance.turn(vec![instance.started()]));
    for turn in 1..turns - 1 {
        commit_ok(store, instance.turn(vec![sample::scheduled(turn)]));
    }
    commit_ok(store, instance.end(status));
    instance
}

fn goes_on(hub: &dyn Hub) {
    let store = hub.open();
    for (name, status, from) in
        [("a", RuntimeStatus::Failed, 4), ("b", RuntimeStatus::Terminated, 2), ("c", RuntimeStatus::Failed, 0)]
    {
        let mut instance = ended(store.as_ref(), name, 5, status);
        let kept = store.history(instance.record.row, 0..from).expect("readable");
        let rewind = instance.rewind(from, vec![sample::raised("rewound", 1)]);
        let chunk = rewind.history.clone().expect("a turn").events;
        commit_ok(store.as_ref(), rewind);
        let expected = [kept, chunk].concat();
        assert_eq!(store.history(instance.record.row, 0..9).expect("readable"), expected, "{name}");
        assert_eq!(store.instance(&id(name)).expect("readable").as_ref(), Some(&instance.record));
        commit_ok(store.as_ref(), instance.turn(vec![sample::raised("next", 2)]));
        assert_eq!(instance.record.turns, 0..from + 2, "numbers are used again");
    }
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.stats().expect("readable").turns, 6 + 4 + 2);
    });
}

fn ends_at_once(hub: &dyn Hub) {
    let store = hub.open();
    let store = store.as_ref();
    for status in [RuntimeStatus::Completed, RuntimeStatus::Failed] {
        let mut instance = ended(store, status.name(), 3, RuntimeStatus::Failed);
        let rewind = instance.rewind(2, vec![]);
        instance.record.status = status;
        commit_ok(store, Commit { record: instance.record.clone(), ..rewind });
        assert_eq!(store.instance(&instance.record.id).expect("readable"), Some(instance.record));
    }
    for first in [1, 3] {
        let mut instance = ended(store, &format!("new-{first}"), 3, RuntimeStatus::Failed);
        let forgotten = instance.record.turns.clone();
        instance.record.execution = sample::execution("the next");
        instance.record.status = RuntimeStatus::Running;
        instance.record.turns = first..first;
        commit_ok(store, Commit { forgotten, ..change(&instance.record) });
        assert_eq!(store.history(instance.record.row, 0..9).expect("readable"), vec![]);
        commit_ok(store, instance.turn(vec![instance.started()]));
        assert_eq!(store.history(instance.record.row, 0..9).expect("readable").len(), 2);
    }
}

fn activities(hub: &dyn Hub) {
    let store = hub.open();
    let mut a = Instance::new("a", store.next_row());
    commit_ok(
        store.as_ref(),
        Commit { activities_set: a.scheduled(0..2), ..a.turn(vec![sample::scheduled(0), sample::scheduled(1)]) },
    );
    let again = Instance { record: sample::with_turns(&a.record, 0..0) }.scheduled(0..1);
    commit_ok(store.as_ref(), Commit { activities_set: a.scheduled(2..3), ..a.turn(vec![sample::scheduled(2)]) });
    // The last turn leaves two running: one of the first turn, one of the second, which the rewind takes back.
    commit_ok(store.as_ref(), Commit { activities_cleared: vec![Seq(0)], ..a.end(RuntimeStatus::Failed) });
    let rewind = a.rewind(1, vec![sample::scheduled(7)]);
    let mut set = Instance { record: sample::with_turns(&a.record, 0..1) }.scheduled(7..8);
    set.extend(again);
    commit_ok(store.as_ref(), Commit { activities_set: set, ..rewind });
    before_and_after_reopening(hub, store, |store| {
        let pending = store.activities(None, 9).expect("readable");
        assert_eq!(pending.iter().map(|activity| activity.seq.0).collect::<Vec<_>>(), [0, 1, 7]);
        for activity in pending {
            let Event::TaskScheduled { name, attempt, .. } = sample::scheduled(activity.seq.0) else { unreachable!() };
            assert_eq!((activity.name, activity.attempt), (name, attempt), "each is found in its own turn");
        }
    });
}

/// A commit, and why it is no rewind.
type Looser = (&'static str, Commit);

fn nothing_looser(hub: &dyn Hub) {
    let store = hub.open();
    let store = store.as_ref();
    let failed = ended(store, "failed", 4, RuntimeStatus::Failed);
    let rewind = |from| failed.clone().rewind(from, vec![]);
    let chunk = |turn| Some(HistoryChunk { turn, ..rewind(2).history.expect("a turn") });
    let record = |turns| sample::with_turns(&rewind(2).record, turns);
    let all_go = |turns, execution: &str| {
        let record = dacapo_core::InstanceRecord { execution: sample::execution(execution), ..record(turns) };
        Commit { forgotten: 0..4, ..change(&record) }
    };
    let looser: Vec<Looser> = vec![
        ("nothing is forgotten", Commit { forgotten: 0..0, ..rewind(2) }),
        ("not the last turns", Commit { forgotten: 2..3, ..rewind(2) }),
        ("more than there are", Commit { forgotten: 2..5, ..rewind(2) }),
        ("a gap behind what is kept", Commit { forgotten: 1..4, ..rewind(2) }),
        ("a turn twice", Commit { forgotten: 3..4, ..rewind(2) }),
        ("it goes on elsewhere", Commit { history: chunk(3), ..rewind(2) }),
        ("the record says otherwise", Commit { record: record(0..4), ..rewind(2) }),
        ("earlier turns are lost", Commit { record: record(1..3), ..rewind(2) }),
        ("no turn takes their place", Commit { history: None, record: record(0..2), ..rewind(2) }),
        ("the next turn besides", Commit { history: chunk(4), record: record(0..5), ..rewind(2) }),
        ("another execution", {
            let rewind = rewind(2);
            let record = dacapo_core::InstanceRecord { execution: sample::execution("other"), ..rewind.record };
            Commit { record, ..rewind }
        }),
        ("all turns go, in the same execution", all_go(4..4, "failed")),
        ("all turns go, beyond their numbers", all_go(5..5, "the next")),
        ("all turns go, and some are left", all_go(3..4, "the next")),
        ("it just lives again", change(&record(0..4))),
    ];
    let before = everything(store);
    for (why, looser) in looser {
        assert!(is_stale(commit(store, looser)), "{why}");
        assert_eq!(everything(store), before, "{why}: nothing is stored");
    }
    for status in [RuntimeStatus::Completed, RuntimeStatus::Canceled, RuntimeStatus::Running] {
        let mut instance = ended(store, status.name(), 4, status);
        assert!(is_stale(commit(store, instance.rewind(2, vec![]))), "it is {}", status.name());
    }
    // A living instance forgets all of its turns or none.
    let mut living = Instance::new("living", store.next_row());
    commit_ok(store, living.turn(vec![living.started()]));
    commit_ok(store, living.turn(vec![]));
    let last_goes = Commit { forgotten: 1..2, ..living.clone().turn(vec![]) };
    assert!(is_stale(commit(store, last_goes)));
    let more_go = Commit { forgotten: 0..3, ..change(&sample::with_turns(&living.record, 2..2)) };
    assert!(is_stale(commit(store, more_go)));
}
