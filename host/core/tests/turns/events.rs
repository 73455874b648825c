//! The delivery of external events to waits, and watching single tasks.

use dacapo_core::execution::{Limits, TaskId};
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Event, RuntimeStatus};

use crate::world::{World, after, check, done, event, fired, raised};

/// How a guest waits: with a list of tasks each time, or by watching them.
#[derive(Clone, Copy)]
enum Way {
    List,
    Watch,
}

const WAYS: [Way; 2] = [Way::List, Way::Watch];

/// Returns the index of the first task to complete. Other reported tasks are ignored and no longer waited for.
async fn first(h: &Handle, way: Way, tasks: &[TaskId]) -> usize {
    match way {
        Way::List => h.wait(tasks).await[0] as usize,
        Way::Watch => {
            tasks.iter().enumerate().for_each(|(key, &task)| h.with(|e| e.watch(task, key as u32)));
            let winner = h.wait_watched().await[0] as usize;
            tasks.iter().for_each(|&task| h.with(|e| e.unwatch(task)));
            winner
        }
    }
}

fn output(world: &World) -> String {
    world.shown().pop().unwrap_or_default()
}

/// Each round waits anew, for a second at most, and cancels nothing.
fn rounds(way: Way) -> Scripted {
    Scripted::new().orchestrator("main", move |h| async move {
        for round in 0..4 {
            let (go, deadline) = (event(&h, "go"), after(&h, 1).await);
            if first(&h, way, &[go, deadline]).await == 0 {
                return Ok(format!("[{round},{}]", h.outcome(go).await?).into());
            }
        }
        Ok("\"never\"".into())
    })
}

/// The waits of earlier rounds are older, but the guest no longer waits for them.
#[test]
fn an_event_goes_to_the_wait_of_its_round() {
    for way in WAYS {
        let history = [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TimerCreated 0 at 2s",
            "OrchestratorStarted",
            "TimerFired 0",
            "TimerCreated 1 at 3s",
            "OrchestratorStarted",
            "TimerFired 1",
            "TimerCreated 2 at 4s",
            "OrchestratorStarted",
            "EventRaised Go 7",
            "ExecutionCompleted Completed(\"[2,7]\")",
        ];
        check(
            rounds(way),
            |w| {
                w.turn([fired(0)]).turn([fired(1)]).turn([raised("Go", "7")]);
            },
            &history,
        );
    }
}

/// Timer and event arrive in one turn, and the timer wins: the event was delivered to a wait that the guest then ignores.
#[test]
fn an_event_that_came_right_behind_what_won_goes_to_the_next_round() {
    for way in WAYS {
        for hot in [true, false] {
            let mut world = World::new(rounds(way), hot);
            world.turn([fired(0), raised("go", "1"), raised("go", "2")]);
            assert_eq!(output(&world), "ExecutionCompleted Completed(\"[1,1]\")");
        }
    }
}

/// An older host recorded such a delivery, and a replay must repeat it.
#[test]
fn an_execution_that_began_before_gives_events_to_the_first_wait() {
    for way in WAYS {
        for hot in [true, false] {
            let mut world = World::with_events_to_the_first_made(rounds(way), hot);
            world.turn([fired(0)]).turn([raised("go", "7")]).turn([fired(1)]).turn([fired(2)]).turn([fired(3)]);
            assert_eq!(output(&world), "ExecutionCompleted Completed(\"\\\"never\\\"\")");
        }
    }
}

#[test]
fn an_event_that_comes_while_the_guest_waits_for_something_else_stays_unread() {
    for way in WAYS {
        for hot in [true, false] {
            let script = Scripted::new().orchestrator("main", move |h| async move {
                let (lost, deadline) = (event(&h, "go"), after(&h, 1).await);
                first(&h, way, &[lost, deadline]).await;
                h.activity("A", "0").await?;
                let next = event(&h, "go");
                first(&h, way, &[next]).await;
                h.outcome(next).await
            });
            let mut world = World::new(script, hot);
            world.turn([fired(0)]).turn([raised("go", "7")]).turn([done(1, "0")]);
            assert_eq!(output(&world), "ExecutionCompleted Completed(\"7\")");
        }
    }
}

#[test]
fn of_several_waits_that_are_asked_for_the_first_that_was_made_is_served() {
    for way in WAYS {
        for hot in [true, false] {
            let script = Scripted::new().orchestrator("main", move |h| async move {
                let (lost, a, b) = (event(&h, "go"), event(&h, "go"), event(&h, "go"));
                let winners = [first(&h, way, &[b, a]).await, first(&h, way, &[b]).await, first(&h, way, &[lost]).await];
                let data = [h.outcome(a).await?, h.outcome(b).await?, h.outcome(lost).await?];
                Ok(format!("{winners:?} {data:?}").into())
            });
            let mut world = World::new(script, hot);
            world.turn([raised("go", "1")]).turn([raised("go", "2"), raised("go", "3")]);
            assert!(output(&world).contains(r#"[1, 0, 0] [\"1\", \"2\", \"3\"]"#), "{}", output(&world));
        }
    }
}

/// A guest drops its handles at any time, including that of a wait that lost.
#[test]
fn an_event_whose_wait_was_given_back_unread_goes_to_the_next() {
    for way in WAYS {
        for hot in [true, false] {
            let script = Scripted::new().orchestrator("main", move |h| async move {
                let (lost, deadline) = (event(&h, "go"), after(&h, 1).await);
                first(&h, way, &[lost, deadline]).await;
                h.with(|e| e.release(lost));
                let next = event(&h, "go");
                first(&h, way, &[next]).await;
                h.outcome(next).await
            });
            let mut world = World::new(script, hot);
            world.turn([fired(0), raised("go", "7")]);
            assert_eq!(output(&world), "ExecutionCompleted Completed(\"7\")");
        }
    }
}

#[test]
fn what_was_read_and_given_back_is_not_kept() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let task = h.with(|e| e.call_activity("A", "0".into(), None)).unwrap();
        h.wait(&[task]).await;
        let before = h.with(|e| e.payload_bytes());
        h.outcome(task).await?;
        h.with(|e| e.release(task));
        Ok(format!("{}", before - h.with(|e| e.payload_bytes())).into())
    });
    for hot in [true, false] {
        let mut world = World::new(script.clone(), hot);
        world.turn([done(0, "1234567890")]);
        assert_eq!(output(&world), "ExecutionCompleted Completed(\"10\")");
    }
}

/// A guest in C may read the outcome of the winner at any time.
#[test]
fn what_a_wait_reports_first_is_taken_with_that() {
    for way in WAYS {
        let script = Scripted::new().orchestrator("main", move |h| async move {
            let won = event(&h, "go");
            first(&h, way, &[won]).await;
            let next = event(&h, "go");
            first(&h, way, &[next]).await;
            let data = [h.outcome(won).await?, h.outcome(next).await?];
            Ok(format!("[{},{}]", data[0], data[1]).into())
        });
        let mut world = World::new(script, true);
        world.turn([raised("go", "1")]).turn([raised("go", "2")]);
        assert_eq!(output(&world), "ExecutionCompleted Completed(\"[1,2]\")");
    }
}

#[test]
fn an_event_can_be_polled_for() {
    for hot in [true, false] {
        let script = Scripted::new().orchestrator("main", |h| async move {
            h.activity("A", "0").await?;
            let (one, two) = (event(&h, "go"), event(&h, "go"));
            let first = h.with(|e| e.outcome(one).cloned()).expect("it has come")?;
            assert_eq!(h.with(|e| e.outcome(two).cloned()), None);
            Ok(first)
        });
        let mut world = World::new(script, hot);
        world.turn([raised("go", "1")]).turn([done(0, "0")]);
        assert_eq!(output(&world), "ExecutionCompleted Completed(\"1\")");
    }
}

#[test]
fn watched_tasks_are_reported_once_in_the_order_of_completion() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let tasks: Vec<TaskId> = (0..4).map(|n| h.with(|e| e.call_activity("A", n.to_string().into(), None)).unwrap()).collect();
        tasks.iter().zip(10..).for_each(|(&task, key)| h.with(|e| e.watch(task, key)));
        let mut reports = vec![h.wait_watched().await, h.wait_watched().await];
        h.with(|e| {
            e.unwatch(tasks[1]);
            // The first has completed already; and the last is given another key.
            e.watch(tasks[0], 5);
            e.watch(tasks[3], 6);
        });
        reports.push(h.wait_watched().await);
        reports.push(h.wait_watched().await);
        Ok(format!("{reports:?}").into())
    });
    let mut histories = Vec::new();
    for hot in [true, false] {
        let mut world = World::new(script.clone(), hot);
        world.turn([done(2, "0"), done(0, "0")]).turn([done(1, "0")]).turn([done(3, "0")]);
        assert_eq!(output(&world), "ExecutionCompleted Completed(\"[[12, 10], [11], [5], [6]]\")");
        histories.push(world.history);
    }
    assert_eq!(histories[0], histories[1]);
}

#[test]
fn with_nothing_watched_there_is_nothing_to_wait_for() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        h.wait_watched().await;
        Ok("null".into())
    });
    let world = World::new(script, true);
    assert_eq!(world.record.status, RuntimeStatus::Failed);
    assert!(output(&world).contains("InvalidArgument"), "{}", output(&world));
}

/// An endless orchestration is sent its unread events again each time it continues as new.
#[test]
fn events_that_are_carried_along_do_not_fill_the_history() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        h.activity("A", "0").await?;
        h.with(|e| e.continue_as_new("\"in\"".into())).unwrap();
        Ok("null".into())
    });
    let limits = Limits { history_events: 10, ..Limits::default() };
    for hot in [true, false] {
        let mut world = World::limited(script.clone(), hot, limits.clone());
        for round in 0..4 {
            // Five per round, so that in the end there are more than a history may have.
            world.turn((0..5).map(|n| raised("unread", &n.to_string())));
            world.turn([done(0, "0")]);
            assert_eq!(world.record.status, RuntimeStatus::Running, "{round}: {}", output(&world));
            let to_self: Vec<Event> = world.sent.drain(..).map(|message| message.event).collect();
            world.turn(to_self);
            assert_eq!(world.history.len(), 3 + 5 * (round + 1));
        }
        world.turn((0..9).map(|n| raised("unread", &n.to_string())));
        assert!(output(&world).contains("history_events"), "those that were raised in this execution count: {}", output(&world));
    }
}
