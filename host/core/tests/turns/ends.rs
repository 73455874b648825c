//! Suspending and ending instances, and messages after that.

use dacapo_core::scripted::Scripted;
use dacapo_core::{Event, ExecutionId, InstanceRecord, Message, Row, RuntimeStatus, Seq};

use crate::world::{World, after, check, done, message, raised, show};

#[test]
fn a_suspended_instance_keeps_everything_until_it_is_resumed() {
    let script = Scripted::new().orchestrator("main", |h| async move { h.activity("A", "0").await });
    let world = check(
        script,
        |w| {
            w.turn([Event::ExecutionSuspended { reason: "r".into() }]);
            w.turn([done(0, "1")]).turn([raised("x", "2")]);
            assert_eq!(w.record.status, RuntimeStatus::Suspended);
            assert_eq!(w.inbox.len(), 2);
            w.turn([Event::ExecutionResumed { reason: "go".into() }]);
            assert!(w.inbox.is_empty());
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 0 #1",
            "OrchestratorStarted",
            "ExecutionSuspended",
            "OrchestratorStarted",
            "ExecutionResumed",
            "TaskCompleted 0 1",
            "EventRaised x 2",
            "ExecutionCompleted Completed(\"1\")",
        ],
    );
    assert_eq!(world.record.status, RuntimeStatus::Completed);
}

/// Instances are imported in this state: the record says at once that only a resume is to be taken in. The history once said so
/// only after the resume.
#[test]
fn what_suspends_an_imported_instance_is_in_its_history_at_once() {
    let script = Scripted::new().orchestrator("main", |h| async move { h.activity("A", "0").await });
    check(
        script,
        |w| {
            w.record.status = RuntimeStatus::Suspended;
            w.turn([Event::ExecutionSuspended { reason: "imported".into() }]);
            // Two clients may suspend it concurrently.
            w.turn([done(0, "1"), Event::ExecutionSuspended { reason: "again".into() }]);
            assert_eq!((w.record.status, w.inbox.len()), (RuntimeStatus::Suspended, 1));
            w.turn([Event::ExecutionResumed { reason: "go".into() }]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 0 #1",
            "OrchestratorStarted",
            "ExecutionSuspended",
            "OrchestratorStarted",
            "ExecutionResumed",
            "TaskCompleted 0 1",
            "ExecutionCompleted Completed(\"1\")",
        ],
    );
}

#[test]
fn terminating_ends_an_instance_and_clears_what_is_open() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        after(&h, 60).await;
        h.activity("A", "0").await
    });
    let world = check(
        script,
        |w| {
            w.turn([Event::ExecutionTerminated { reason: "enough".into(), recurse: false, parent: None }, done(1, "1")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TimerCreated 0 at 61s",
            "TaskScheduled 1 A 0 #1",
            "OrchestratorStarted",
            "ExecutionTerminated",
            "ExecutionCompleted Terminated { reason: \"enough\" }",
        ],
    );
    assert_eq!(world.record.status, RuntimeStatus::Terminated);
    let last = world.commits.last().unwrap();
    assert_eq!((last.timers_cleared.len(), &last.activities_cleared[..]), (1, &[Seq(1)][..]));
}

#[test]
fn continue_as_new_forgets_the_history_and_keeps_unread_events() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        if &*h.input() == "\"in\"" {
            h.activity("A", "0").await?;
            h.with(|e| e.continue_as_new("\"again\"".into())).unwrap();
        }
        Ok("\"ended\"".into())
    });
    let mut first_execution = None;
    let world = check(
        script,
        |w| {
            w.turn([raised("b", "1"), raised("a", "2")]).turn([done(0, "0"), raised("b", "3")]);
            assert_eq!(w.record.status, RuntimeStatus::Running);
            assert!(w.history.is_empty());
            let to_self: Vec<Event> = w.sent.drain(..).map(|message| message.event).collect();
            assert_eq!(
                to_self[1..].iter().map(show).collect::<Vec<_>>(),
                ["EventRaised b 1", "EventRaised a 2", "EventRaised b 3"]
            );
            w.turn(to_self);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "EventRaised b 1",
            "EventRaised a 2",
            "EventRaised b 3",
            "ExecutionCompleted Completed(\"\\\"ended\\\"\")",
        ],
    );
    first_execution.get_or_insert(world.commits[0].record.execution);
    assert_ne!(Some(world.record.execution), first_execution);
    assert_eq!(world.record.turns, 2..3, "turn numbers continue");
    assert_eq!(world.commits[2].forgotten, 0..2);
}

#[test]
fn an_orchestrator_that_no_app_holds_fails() {
    let mut world = World::new(Scripted::new(), true);
    assert!(world.record.halted.is_some(), "the version cannot be loaded: halted, not failed");
    world.active_version = None;
    let start = message(world.inbox.remove(0).1.event);
    world.record = InstanceRecord::pending(Row(1), &start).unwrap();
    world.deliver(vec![start]);
    assert!(world.shown().last().unwrap().contains("OrchestratorNotFound"));
}

#[test]
fn messages_of_an_ended_execution_are_consumed() {
    let mut world = World::new(Scripted::new().orchestrator("main", |h| async move { h.activity("A", "1").await }), false);
    let stale = Message { execution: Some(ExecutionId(uuid::Uuid::from_u128(99))), ..message(done(0, "1")) };
    world.deliver(vec![stale]);
    assert_eq!(world.shown().len(), 3, "nothing was taken in");
    world.turn([done(0, "1")]);
    assert_eq!(world.record.status, RuntimeStatus::Completed);
    let commits = world.commits.len();
    world.turn([raised("late", "1"), done(0, "2")]);
    assert_eq!(world.commits[commits..].iter().map(|c| c.history.is_some()).collect::<Vec<_>>(), [false]);
}
