//! Turns whose guest cannot be started at present, because the host is short of slots or memory, or the version is not loaded:
//! they have no effect, and are run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dacapo_core::entity::{SharedOperation, Untimed};
use dacapo_core::execution::{Conditions, Limits};
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::scripted::Scripted;
use dacapo_core::{
    ActivityCall, Delivery, EntityGuest, EntityMemory, EntityTurn, Event, Executor, Failure, Guest, InstanceId, InstanceRecord,
    Message, MessageKey, NotNow, Row, RuntimeStatus, Seq, StartError, Timestamp, VersionId,
};

use super::entities::{number, result};
use super::world::{FIXED, VERSION, World, done};

fn script() -> Scripted {
    Scripted::new().orchestrator("main", |h| async move {
        h.activity("A", "1").await?;
        h.activity("B", "2").await
    })
}

fn resumed() -> Event {
    Event::ExecutionResumed { reason: "try again".into() }
}

#[test]
fn a_turn_whose_guest_cannot_be_started_now_has_not_been() {
    for why in [NotNow::NoRoom(VERSION), NotNow::NotLoaded(VERSION)] {
        let mut world = World::new(script(), false);
        world.turn([done(0, "5")]);
        let (history, record, commits) = (world.history.clone(), world.record.clone(), world.commits.len());
        world.executor = script().not_now(why);
        for event in [done(1, "6"), Event::ExecutionMigrated { version: FIXED }, resumed()] {
            world.turn([event]);
            assert_eq!((world.put_back, world.refused.clone()), (Some(why), None));
            assert_eq!((&world.history, &world.record, world.commits.len()), (&history, &record, commits));
        }
        world.executor = script();
        world.turn([done(1, "6")]);
        assert_eq!((world.put_back, world.record.status), (None, RuntimeStatus::Completed));
    }
}

#[test]
fn a_rewind_for_which_there_is_no_room_is_not_refused() {
    let failing = || Scripted::new().orchestrator("main", |h| async move { h.activity("A", "1").await });
    let mut world = World::new(failing(), false);
    let failure = Failure::permanent("Broken", "for now");
    world.turn([Event::TaskFailed { seq: Seq(0), failure }]);
    assert_eq!(world.record.status, RuntimeStatus::Failed);
    let (record, commits) = (world.record.clone(), world.commits.len());
    world.executor = failing().not_now(NotNow::NoRoom(VERSION));
    let rewound = || Event::ExecutionRewound { reason: String::new(), parent: None };
    world.turn([rewound()]);
    assert_eq!(world.put_back, Some(NotNow::NoRoom(VERSION)));
    assert_eq!((&world.record, world.commits.len()), (&record, commits));
    world.executor = failing();
    world.turn([rewound()]);
    assert_eq!(world.record.status, RuntimeStatus::Running);
}

/// Starts `left` guests, and no more after that.
struct Room {
    functions: Scripted,
    left: AtomicUsize,
}

impl Executor for Room {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        self.functions.start(version, execution)
    }

    fn conditions(&self, version: VersionId) -> Arc<Conditions> {
        self.functions.conditions(version)
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(1).ok_or(NotNow::NoRoom(version))?;
        self.left.store(left, Ordering::Relaxed);
        self.functions.start_entity(version, scope)
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        self.functions.run_activity(version, call, client)
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        self.functions.run_http(caller, call)
    }
}

#[test]
fn operations_wait_for_room_and_those_that_were_run_are_saved() {
    let functions = Scripted::new().entity("counter", |operation, _| match operation.name.as_str() {
        "add" => result("null", Some((number(&operation.state) + 1).to_string())),
        _ => Err(Failure::permanent("Bad", "luck")),
    });
    let entity = InstanceId::any("@counter@a").unwrap();
    let signal = |number: u64, operation: &str| Delivery {
        message: Message {
            to: entity.clone(),
            execution: None,
            sent_at: Timestamp(1),
            event: Event::OperationRequested {
                operation: operation.into(),
                input: "null".into(),
                caller: None,
                deliver_at: None,
            },
        },
        stored: Some(MessageKey { row: Row(1), number }),
    };
    // After a failed operation, the next one needs another guest.
    let inbox = vec![signal(1, "add"), signal(2, "fail"), signal(3, "add")];
    let record = InstanceRecord::pending(Row(1), &inbox[0].message).unwrap();
    let run = |guests: usize| {
        let executor = Room { functions: functions.clone(), left: AtomicUsize::new(guests) };
        let limits = Limits::default();
        let turn =
            EntityTurn { executor: &executor, limits: &limits, now: Timestamp(2), active_version: Some(VERSION), time: &Untimed };
        turn.run(record.clone(), EntityMemory::default(), inbox.clone())
    };
    let none = run(0);
    assert!(none.commit.is_none() && !none.again);
    assert_eq!(none.put_back, Some(NotNow::NoRoom(VERSION)));

    let one = run(1);
    let commit = one.commit.unwrap();
    assert_eq!(commit.consumed.iter().map(|key| key.number).collect::<Vec<_>>(), [1, 2]);
    let state = commit.entity.unwrap();
    assert_eq!((state.state.as_deref(), state.waiting, one.again, one.put_back), (Some("1"), true, true, None));
    assert_eq!(commit.record.halted, None);

    let both = run(2);
    assert_eq!(both.commit.unwrap().entity.unwrap().state.as_deref(), Some("2"));
    assert!(!both.again);
}
