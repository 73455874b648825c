//! Divergence, broken rules and limits.

use dacapo_core::execution::Limits;
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Event, HistoryEvent, RuntimeStatus};

use crate::world::{FIXED, VERSION, World, after, done, event, raised};

/// Code that was changed under a running instance: the instance must be halted with the reason, lose nothing, and continue with
/// corrected code.
#[test]
fn a_divergence_halts_and_a_corrected_version_goes_on() {
    let good = || {
        Scripted::new().orchestrator("main", |h| async move {
            h.activity("A", "1").await?;
            h.activity("B", "2").await
        })
    };
    let changes: [(&str, Scripted); 5] = [
        (
            "at event 2: recorded TaskScheduled A(1) as action 0, attempted TaskScheduled X(1) as action 0",
            Scripted::new().orchestrator("main", |h| async move { h.activity("X", "1").await }),
        ),
        (
            "at event 2: recorded TaskScheduled A(1) as action 0, attempted TaskScheduled A(9) as action 0",
            Scripted::new().orchestrator("main", |h| async move { h.activity("A", "9").await }),
        ),
        (
            "at event 2: recorded TaskScheduled A(1) as action 0, attempted TimerCreated at 2000 ms as action 0",
            Scripted::new().orchestrator("main", |h| async move { h.outcome(after(&h, 1).await).await }),
        ),
        (
            "at event 2: recorded TaskScheduled A(1) as action 0, attempted nothing (it waits)",
            Scripted::new().orchestrator("main", |h| async move { h.outcome(event(&h, "never")).await }),
        ),
        (
            "at event 3: recorded nothing (it waits), attempted TimerCreated at 2000 ms as action 1",
            Scripted::new().orchestrator("main", |h| async move {
                let a = h.with(|e| e.call_activity("A", "1".into(), None)).unwrap();
                after(&h, 1).await;
                h.outcome(a).await
            }),
        ),
    ];
    for (diagnostic, changed) in changes {
        let executor = good().version(VERSION, good()).version(FIXED, good());
        let mut world = World::new(executor, false);
        world.executor = world.executor.version(VERSION, changed);
        let before = world.shown();
        world.turn([done(0, "5")]);
        assert_eq!(world.record.status, RuntimeStatus::Suspended);
        let halted = world.record.halted.clone().unwrap();
        assert!(halted.contains(diagnostic), "{halted}");
        assert!(halted.contains(&VERSION.to_string()), "{halted}");
        assert_eq!(world.shown(), before, "nothing is added to the history");
        world.turn([raised("x", "1")]);
        assert_eq!(world.inbox.len(), 2, "messages are kept");

        world.turn([Event::ExecutionResumed { reason: String::new() }]);
        assert!(world.record.halted.is_some(), "the same code diverges again");
        assert_eq!(world.inbox.len(), 2);

        world.active_version = Some(FIXED);
        world.turn([Event::ExecutionResumed { reason: String::new() }]);
        assert_eq!((world.record.halted.clone(), world.record.version), (None, Some(FIXED)));
        world.turn([done(1, "6")]);
        assert_eq!(world.record.status, RuntimeStatus::Completed);
        assert!(world.inbox.is_empty());
    }
}

#[test]
fn returning_early_on_replay_is_a_divergence() {
    let mut world = World::new(Scripted::new().orchestrator("main", |h| async move { h.activity("A", "1").await }), false);
    world.executor = Scripted::new().orchestrator("main", |_| async move { Ok("1".into()) });
    world.turn([done(0, "5")]);
    let halted = world.record.halted.unwrap();
    assert!(halted.contains("recorded TaskScheduled A(1) as action 0, attempted ExecutionCompleted with output 1"), "{halted}");
}

#[test]
fn breaking_a_rule_fails_the_instance_and_has_no_effects() {
    #[track_caller]
    fn fails(script: Scripted, limits: Limits, error_type: &str) {
        for hot in [false, true] {
            let mut world = World::limited(script.clone(), hot, limits.clone());
            world.turn([raised("go", "1")]);
            let Some(HistoryEvent { event: Event::ExecutionCompleted { outcome }, .. }) = world.history.last() else {
                panic!("{:?}", world.shown())
            };
            assert!(format!("{outcome:?}").contains(error_type), "{outcome:?}");
            assert_eq!(world.record.status, RuntimeStatus::Failed);
            assert!(world.commits.last().unwrap().activities_set.is_empty());
            assert!(world.sent.is_empty());
        }
    }
    let limits =
        Limits { actions_per_turn: 10, action_bytes_per_turn: 1_000, payload_bytes: 500, tasks: 50, ..Limits::default() };
    let after_go = |act: fn(&Handle) -> bool| {
        Scripted::new().orchestrator("main", move |h| async move {
            h.outcome(event(&h, "go")).await?;
            while act(&h) {}
            std::future::pending().await
        })
    };
    fails(after_go(|h| h.with(|e| e.call_activity("A", "1".into(), None)).is_ok()), limits.clone(), "more than 10 actions");
    fails(after_go(|h| h.with(|e| e.start_orchestration("A", "1".into(), None)).is_ok()), limits.clone(), "more than 10 actions");
    fails(after_go(|h| h.with(|e| e.wait_for_external_event("x")).is_ok()), limits.clone(), "more than 50 tasks");
    let long = |h: &Handle| h.with(|e| e.call_activity("A", format!("\"{}\"", "x".repeat(300)).into(), None)).is_ok();
    fails(after_go(long), limits.clone(), "more than 1000 bytes in one turn");
    let too_long = |h: &Handle| h.with(|e| e.call_activity("A", format!("\"{}\"", "x".repeat(600)).into(), None)).is_ok();
    fails(after_go(too_long), limits.clone(), "has 602 bytes, 500 are allowed (payload_bytes)");
    fails(after_go(|h| h.with(|e| e.call_activity("A", "{".into(), None)).is_ok()), limits.clone(), "is not JSON");
    fails(after_go(|h| h.with(|e| e.start_orchestration("", "1".into(), None)).is_ok()), limits.clone(), "not a function name");
    fails(after_go(|h| h.with(|e| e.wait(&[])).is_ok()), limits.clone(), "waits on nothing");
    fails(after_go(|h| h.with(|e| e.start_orchestration("A", "1".into(), Some("i"))).is_ok()), limits.clone(), "its parent");
    let invalid_output = Scripted::new().orchestrator("main", |h| async move {
        h.outcome(event(&h, "go")).await?;
        Ok("not json".into())
    });
    fails(invalid_output, limits, "InvalidOutput");
}

/// The cause of the halt was gone, so the turn took nothing in, and the resume was not saved: it was answered with 202, but the
/// instance stayed halted. And one that had been suspended before had to be resumed twice.
#[test]
fn who_resumes_a_halted_instance_changes_it_though_nothing_waits_for_it() {
    for suspended in [false, true] {
        let script = Scripted::new().orchestrator("main", |h| async move { h.activity("A", "1").await });
        let mut world = World::new(script, false);
        if suspended {
            world.turn([Event::ExecutionSuspended { reason: String::new() }]);
        }
        world.record.halted = Some("the host panicked".into());
        world.record.status = RuntimeStatus::Suspended;
        let commits = world.commits.len();
        world.turn([Event::ExecutionResumed { reason: String::new() }]);
        assert_eq!(world.commits.len(), commits + 1, "it is saved");
        assert_eq!((world.record.halted.clone(), world.record.status), (None, RuntimeStatus::Running));
        world.turn([done(0, "5")]);
        assert_eq!(world.record.status, RuntimeStatus::Completed);
    }
}

/// The messages are kept, whatever the turn that the host could not finish.
#[test]
fn a_turn_that_the_host_cannot_finish_halts_its_instance_and_keeps_what_came() {
    let script = Scripted::new().orchestrator("main", |h| async move { h.activity("A", "1").await });
    let mut world = World::new(script, false);
    let inbox = vec![dacapo_core::Delivery { message: crate::world::message(done(0, "5")), stored: None }];
    let commit =
        dacapo_core::turn::halt(world.record.clone(), None, dacapo_core::Timestamp(9_000_000), inbox, "the host panicked: x");
    assert_eq!((commit.kept.len(), commit.activities_cleared.len()), (1, 1));
    world.save(commit);
    assert!(world.record.halted.clone().unwrap().contains("the host panicked: x (orchestrator 'main'"), "{:?}", world.record);
    world.turn([Event::ExecutionResumed { reason: String::new() }]);
    assert_eq!(world.record.status, RuntimeStatus::Completed);
}

/// Each of these was once a trap, which no language can catch: a URL with half an emoji ended the orchestration.
#[test]
fn a_call_that_names_what_cannot_be_is_a_task_that_has_failed() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let own = h.with(|e| e.context().instance.to_string());
        let long = "x".repeat(300);
        let http = |uri: &str| format!(r#"{{"method":"GET","uri":"{uri}"}}"#).into();
        let tasks = h.with(|e| {
            [
                e.call_activity("", "1".into(), None),
                e.call_sub_orchestrator("a/b", "1".into(), None, None),
                e.call_sub_orchestrator("Child", "1".into(), Some(&own), None),
                e.call_sub_orchestrator("Child", "1".into(), Some("@a@b"), None),
                e.call_sub_orchestrator_with_version("Child", "1".into(), &long, None, None),
                e.call_entity("", "key", "op", "1".into()),
                e.call_entity("Counter", "key", &long, "1".into()),
                e.lock_entities(&[("Counter".into(), long.clone())]),
                e.wait_for_external_event(""),
                e.call_http(http("http://shop-\u{fffd}.example.org/")),
                e.call_http(http("/relative")),
            ]
            .map(Result::unwrap)
        });
        let mut failed = 0;
        for task in tasks {
            let why = h.outcome(task).await.unwrap_err();
            failed += usize::from(why.error_type == "InvalidArgument" && !why.retriable);
        }
        h.activity("A", "0").await?;
        Ok(failed.to_string().into())
    });
    for hot in [true, false] {
        let mut world = World::new(script.clone(), hot);
        world.turn([done(0, "0")]);
        let (actions, end) =
            (world.shown().iter().filter(|event| event.starts_with("TaskScheduled")).count(), world.shown().pop());
        assert_eq!((actions, end.as_deref()), (1, Some("ExecutionCompleted Completed(\"11\")")), "nothing else is recorded");
    }
}
