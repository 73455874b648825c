//! The actions and observations of an orchestrator, turn by turn.

use std::time::Duration;

use dacapo_core::execution::TaskId;
use dacapo_core::retry::RetryPolicy;
use dacapo_core::scripted::Scripted;
use dacapo_core::{Event, Failure, RuntimeStatus, Seq};

use crate::world::{VERSION, World, after, check, done, event, failed, fired, raised, show};

#[test]
fn a_chain_takes_one_turn_per_step() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        h.with(|e| e.log(dacapo_core::execution::LogLevel::Info, "begin"));
        let a = h.activity("A", "1").await?;
        let b = h.activity("B", &a).await?;
        h.with(|e| e.log(dacapo_core::execution::LogLevel::Info, "end"));
        Ok(b)
    });
    let world = check(
        script,
        |w| {
            w.turn([done(0, "2")]).turn([done(1, "3")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 1 #1",
            "OrchestratorStarted",
            "TaskCompleted 0 2",
            "TaskScheduled 1 B 2 #1",
            "OrchestratorStarted",
            "TaskCompleted 1 3",
            "ExecutionCompleted Completed(\"3\")",
        ],
    );
    assert_eq!(world.logs, ["begin", "end"]);
    assert_eq!(world.record.status, RuntimeStatus::Completed);
    assert_eq!(world.record.version, Some(VERSION));
    assert_eq!(world.commits[1].activities_cleared, [Seq(0)]);
    assert_eq!(world.commits[1].activities_set.iter().map(|activity| activity.seq).collect::<Vec<_>>(), [Seq(1)]);
}

#[test]
fn results_that_come_together_are_seen_in_the_order_of_their_arrival() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let tasks: Vec<TaskId> = (0..3).map(|n| h.with(|e| e.call_activity("A", n.to_string().into(), None)).unwrap()).collect();
        let order = h.wait(&tasks).await;
        Ok(format!("{order:?}").into())
    });
    check(
        script,
        |w| {
            w.turn([done(2, "0"), done(0, "0")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 0 #1",
            "TaskScheduled 1 A 1 #1",
            "TaskScheduled 2 A 2 #1",
            "OrchestratorStarted",
            "TaskCompleted 2 0",
            "TaskCompleted 0 0",
            "ExecutionCompleted Completed(\"[2, 0]\")",
        ],
    );
}

#[test]
fn a_retry_policy_waits_and_tries_again() {
    let policy = RetryPolicy {
        max_attempts: 3,
        first_interval: Duration::from_secs(5),
        backoff_coefficient: 2.0,
        max_interval: None,
        timeout: None,
        non_retriable_error_types: vec![],
    };
    let script = Scripted::new().orchestrator("main", move |h| {
        let policy = policy.clone();
        async move {
            let task = h.with(|e| e.call_activity("A", "1".into(), Some(policy))).unwrap();
            h.outcome(task).await
        }
    });
    let world = check(
        script,
        |w| {
            w.turn([failed(0, "Busy")]).turn([fired(1)]).turn([failed(2, "Busy")]).turn([fired(3)]).turn([failed(4, "Busy")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 1 #1",
            "OrchestratorStarted",
            "TaskFailed 0 Busy: no",
            "TimerCreated 1 at 7s",
            "OrchestratorStarted",
            "TimerFired 1",
            "TaskScheduled 2 A 1 #2",
            "OrchestratorStarted",
            "TaskFailed 2 Busy: no",
            "TimerCreated 3 at 14s",
            "OrchestratorStarted",
            "TimerFired 3",
            "TaskScheduled 4 A 1 #3",
            "OrchestratorStarted",
            "TaskFailed 4 Busy: no",
            "ExecutionCompleted Failed(Failure { error_type: \"Busy\", message: \"no\", details: None, retriable: true })",
        ],
    );
    assert_eq!(world.record.status, RuntimeStatus::Failed);
}

#[test]
fn an_event_beats_the_timer_which_is_cancelled() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let (approval, deadline) = (event(&h, "Approval"), after(&h, 72 * 3600).await);
        match h.wait(&[approval, deadline]).await[..] {
            [0, ..] => {
                assert!(h.with(|e| e.cancel(deadline)));
                h.outcome(approval).await
            }
            _ => Ok("\"escalated\"".into()),
        }
    });
    let world = check(
        script.clone(),
        |w| {
            w.turn([raised("APPROVAL", "true")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TimerCreated 0 at 259201s",
            "OrchestratorStarted",
            "EventRaised APPROVAL true",
            "ExecutionCompleted Completed(\"true\")",
        ],
    );
    assert_eq!(world.commits[1].timers_cleared, world.commits[0].timers_set);
    check(
        script,
        |w| {
            w.turn([fired(0)]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TimerCreated 0 at 259201s",
            "OrchestratorStarted",
            "TimerFired 0",
            "ExecutionCompleted Completed(\"\\\"escalated\\\"\")",
        ],
    );
}

#[test]
fn events_are_kept_until_they_are_read_first_come_first_served() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        h.activity("A", "0").await?;
        let waits = [event(&h, "go"), event(&h, "Go"), event(&h, "GO")];
        let mut data = Vec::new();
        for wait in waits {
            data.push(h.outcome(wait).await?.to_string());
        }
        Ok(format!("[{}]", data.join(",")).into())
    });
    check(
        script,
        |w| {
            w.turn([raised("Go", "1"), raised("gO", "2")]).turn([done(0, "0")]).turn([raised("go", "3")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 0 #1",
            "OrchestratorStarted",
            "EventRaised Go 1",
            "EventRaised gO 2",
            "OrchestratorStarted",
            "TaskCompleted 0 0",
            "OrchestratorStarted",
            "EventRaised go 3",
            "ExecutionCompleted Completed(\"[1,2,3]\")",
        ],
    );
}

/// The timer and the event arrive in one turn, and the timer wins. The event was delivered to a wait that is then cancelled: it
/// must neither be lost nor lose its position.
#[test]
fn an_event_that_lost_a_race_is_there_for_the_next_wait() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let (go, deadline) = (event(&h, "go"), after(&h, 1).await);
        assert_eq!(h.wait(&[go, deadline]).await, [1, 0]);
        assert!(h.with(|e| e.cancel(go)), "a wait that was not read can be cancelled");
        let (first, second) = (event(&h, "go"), event(&h, "go"));
        let data = [h.outcome(first).await?, h.outcome(second).await?];
        assert!(!h.with(|e| e.cancel(first)), "one that was read cannot");
        Ok(format!("[{},{}]", data[0], data[1]).into())
    });
    check(
        script,
        |w| {
            w.turn([fired(0), raised("go", "1"), raised("go", "2")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TimerCreated 0 at 2s",
            "OrchestratorStarted",
            "TimerFired 0",
            "EventRaised go 1",
            "EventRaised go 2",
            "ExecutionCompleted Completed(\"[1,2]\")",
        ],
    );
}

#[test]
fn results_that_come_twice_or_that_nobody_expects_are_dropped() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        h.activity("A", "0").await?;
        h.activity("B", "0").await
    });
    check(
        script,
        |w| {
            w.turn([done(0, "1"), done(0, "2")]).turn([done(0, "3"), fired(0), done(99, "4")]).turn([done(1, "5")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 A 0 #1",
            "OrchestratorStarted",
            "TaskCompleted 0 1",
            "TaskScheduled 1 B 0 #1",
            "OrchestratorStarted",
            "TaskCompleted 1 5",
            "ExecutionCompleted Completed(\"5\")",
        ],
    );
}

#[test]
fn children_are_started_with_derived_ids_and_report_to_their_parent() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let child = h.with(|e| e.call_sub_orchestrator("child", "1".into(), None, None)).unwrap();
        h.with(|e| e.start_orchestration("other", "2".into(), Some("x"))).unwrap();
        h.with(|e| e.send_event("y", "hi", "3".into())).unwrap();
        h.outcome(child).await
    });
    let world = check(
        script,
        |w| {
            w.turn([Event::SubOrchestrationInstanceFailed { seq: Seq(0), failure: Failure::permanent("Bad", "luck") }]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "SubOrchestrationInstanceCreated 0 child 1",
            "SubOrchestrationInstanceCreated 1 other 2",
            "EventSent 2 y hi 3",
            "OrchestratorStarted",
            "SubOrchestrationInstanceFailed 0 Bad: luck",
            "ExecutionCompleted Failed(Failure { error_type: \"Bad\", message: \"luck\", details: None, retriable: false })",
        ],
    );
    let [child, other, sent] = &world.sent[..] else { panic!("{:?}", world.sent) };
    assert!(child.to.as_str().ends_with(":0000"), "{}", child.to);
    let Event::ExecutionStarted { parent: Some(parent), .. } = &child.event else { panic!() };
    assert_eq!((parent.instance.as_str(), parent.seq), ("i", Seq(0)));
    assert!(matches!(&other.event, Event::ExecutionStarted { parent: None, .. }));
    assert_eq!((sent.to.as_str(), show(&sent.event)), ("y", "EventRaised hi 3".to_owned()));
}

#[test]
fn guids_and_random_numbers_are_the_same_again_on_replay_and_differ_between_executions() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut bytes = [0; 11];
            h.with(|e| e.random_bytes(&mut bytes));
            seen.push(format!("{} {bytes:?}", h.with(|e| e.new_guid())));
            h.activity("A", "0").await?;
        }
        Ok(format!("{:?}", seen.join("|")).into())
    });
    let mut outputs = [false, true].map(|hot| {
        let mut world = World::new(script.clone(), hot);
        world.turn([done(0, "0")]).turn([done(1, "0")]).turn([done(2, "0")]);
        world.shown().pop().unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
    outputs.sort();
    assert!(outputs[0].matches('|').count() == 2);
}
