//! Turns as data: a script of functions, what arrives, and the history that must come out.
//!
//! Histories are written one event a line, as [`show`] prints them. Every case runs hot and cold, and the two must
//! give the same commits.

use std::time::Duration;

use dacapo_core::execution::{Limits, TaskId};
use dacapo_core::retry::RetryPolicy;
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::turn::{Memory, Turn};
use dacapo_core::{
    Commit, Delivery, Event, ExecutionId, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey,
    Row, RuntimeStatus, Seq, Timestamp, VersionId,
};

const VERSION: VersionId = VersionId([1; 32]);
const FIXED: VersionId = VersionId([2; 32]);

/// An instance between turns, as a store would keep it.
struct World {
    executor: Scripted,
    active_version: Option<VersionId>,
    limits: Limits,
    hot: bool,
    now: i64,
    record: InstanceRecord,
    history: Vec<HistoryEvent>,
    live: Option<dacapo_core::turn::Live>,
    inbox: Vec<(MessageKey, Message)>,
    sent: Vec<Message>,
    commits: Vec<Commit>,
    logs: Vec<String>,
}

impl World {
    fn new(executor: Scripted, hot: bool) -> Self {
        Self::limited(executor, hot, Limits::default())
    }

    fn limited(executor: Scripted, hot: bool, limits: Limits) -> Self {
        let start = message(Event::ExecutionStarted {
            execution: ExecutionId(uuid::Uuid::from_u128(7)),
            name: FunctionName::new("main").unwrap(),
            input: "\"in\"".into(),
            version: String::new(),
            parent: None,
        });
        let mut world = World {
            executor,
            active_version: Some(VERSION),
            limits,
            hot,
            now: 0,
            record: InstanceRecord::pending(Row(1), &start).unwrap(),
            history: Vec::new(),
            live: None,
            inbox: Vec::new(),
            sent: Vec::new(),
            commits: Vec::new(),
            logs: Vec::new(),
        };
        world.deliver(vec![start]);
        world
    }

    /// One turn with new messages, each at its own second.
    fn turn(&mut self, events: impl IntoIterator<Item = Event>) -> &mut Self {
        self.deliver(events.into_iter().map(message).collect());
        self
    }

    fn deliver(&mut self, messages: Vec<Message>) {
        self.now += 1_000_000;
        let stored = if self.record.status == RuntimeStatus::Suspended { std::mem::take(&mut self.inbox) } else { Vec::new() };
        let mut inbox: Vec<Delivery> =
            stored.iter().map(|(key, message)| Delivery { message: message.clone(), stored: Some(*key) }).collect();
        inbox.extend(messages.into_iter().map(|message| Delivery { message, stored: None }));
        let memory = match self.live.take() {
            Some(live) if self.hot => Memory::Hot(live),
            _ => Memory::Cold(self.history.clone()),
        };
        let turn = Turn {
            executor: &self.executor,
            limits: &self.limits,
            now: Timestamp(self.now),
            active_version: self.active_version,
        };
        let result = turn.run(self.record.clone(), memory, inbox);
        self.logs.extend(result.logs.into_iter().map(|line| line.message));
        self.live = result.live;
        self.inbox = stored;
        if let Some(commit) = result.commit {
            self.save(commit);
        }
    }

    /// What a store does with a commit.
    fn save(&mut self, commit: Commit) {
        self.inbox.retain(|(key, _)| !commit.consumed.contains(key));
        for message in &commit.kept {
            let number = self.inbox.last().map_or(0, |(key, _)| key.number) + 1;
            self.inbox.push((MessageKey { row: Row(1), number }, message.clone()));
        }
        if !commit.forgotten.is_empty() {
            self.history.clear();
        }
        self.history.extend(commit.history.iter().flat_map(|chunk| chunk.events.clone()));
        self.sent.extend(commit.sent.clone());
        self.record = commit.record.clone();
        self.commits.push(commit);
    }

    fn shown(&self) -> Vec<String> {
        self.history.iter().map(|e| show(&e.event)).collect()
    }
}

fn message(event: Event) -> Message {
    Message { to: InstanceId::any("i").unwrap(), execution: None, sent_at: Timestamp(0), event }
}

fn show(event: &Event) -> String {
    let kind = event.kind();
    match event {
        Event::TaskCompleted { seq, result } | Event::SubOrchestrationInstanceCompleted { seq, result } => {
            format!("{kind} {seq} {result}")
        }
        Event::TaskFailed { seq, failure } | Event::SubOrchestrationInstanceFailed { seq, failure } => {
            format!("{kind} {seq} {failure}")
        }
        Event::TimerFired { seq, .. } => format!("{kind} {seq}"),
        Event::EventRaised { name, data } => format!("{kind} {name} {data}"),
        Event::TaskScheduled { seq, name, input, attempt } => format!("{kind} {seq} {name} {input} #{attempt}"),
        Event::SubOrchestrationInstanceCreated { seq, name, input, .. } => format!("{kind} {seq} {name} {input}"),
        Event::TimerCreated { seq, fire_at } => format!("{kind} {seq} at {}s", fire_at.0 / 1_000_000),
        Event::EventSent { seq, instance, name, data } => format!("{kind} {seq} {instance} {name} {data}"),
        Event::ExecutionCompleted { outcome } => format!("{kind} {outcome:?}"),
        _ => kind.to_owned(),
    }
}

/// Runs a case hot and cold; the commits and the logs must be equal, and the history must be the one given.
#[track_caller]
fn check(executor: Scripted, steps: impl Fn(&mut World), history: &[&str]) -> World {
    let [cold, hot] = [false, true].map(|hot| {
        let mut world = World::new(executor.clone(), hot);
        steps(&mut world);
        world
    });
    assert_eq!(hot.commits, cold.commits, "hot and cold commit the same");
    assert_eq!(hot.logs, cold.logs, "each line is logged once");
    assert_eq!(hot.shown(), history);
    hot
}

fn done(seq: u32, result: &str) -> Event {
    Event::TaskCompleted { seq: Seq(seq), result: result.into() }
}

fn failed(seq: u32, error_type: &str) -> Event {
    Event::TaskFailed { seq: Seq(seq), failure: Failure::retriable(error_type, "no") }
}

fn fired(seq: u32) -> Event {
    Event::TimerFired { seq: Seq(seq), fire_at: Timestamp(0) }
}

fn raised(name: &str, data: &str) -> Event {
    Event::EventRaised { name: name.into(), data: data.into() }
}

async fn after(handle: &Handle, seconds: u64) -> TaskId {
    handle.act(|e| e.create_timer(e.current_time().plus(Duration::from_secs(seconds)))).await
}

fn event(handle: &Handle, name: &str) -> TaskId {
    handle.with(|e| e.wait_for_external_event(name)).unwrap()
}

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
    assert_eq!(world.commits[1].activities_set, [Seq(1)]);
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

/// The timer and the event come in one turn, and the timer wins. The event was handed to a wait that is given up then:
/// it must not be lost, nor lose its place.
#[test]
fn an_event_that_lost_a_race_is_there_for_the_next_wait() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let (go, deadline) = (event(&h, "go"), after(&h, 1).await);
        assert_eq!(h.wait(&[go, deadline]).await, [1, 0]);
        assert!(h.with(|e| e.cancel(go)), "what was not read can be given up");
        let (first, second) = (event(&h, "go"), event(&h, "go"));
        let data = [h.outcome(first).await?, h.outcome(second).await?];
        assert!(!h.with(|e| e.cancel(first)), "what was read cannot");
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

#[test]
fn terminating_ends_an_instance_and_clears_what_is_open() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        after(&h, 60).await;
        h.activity("A", "0").await
    });
    let world = check(
        script,
        |w| {
            w.turn([Event::ExecutionTerminated { reason: "enough".into() }, done(1, "1")]);
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
    assert_eq!(world.record.turns, 2..3, "turn numbers go on");
    assert_eq!(world.commits[2].forgotten, 0..2);
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

/// Code that was changed under a running instance: the instance must be halted, say why, lose nothing, and go on when
/// corrected code is there.
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
        assert_eq!(world.inbox.len(), 2, "what comes is kept");

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
    fails(after_go(too_long), limits.clone(), "has 602 bytes, 500 are allowed");
    fails(after_go(|h| h.with(|e| e.call_activity("A", "{".into(), None)).is_ok()), limits.clone(), "is not JSON");
    fails(after_go(|h| h.with(|e| e.call_activity("", "1".into(), None)).is_ok()), limits.clone(), "not a function name");
    fails(after_go(|h| h.with(|e| e.wait(&[])).is_ok()), limits.clone(), "waits on nothing");
    fails(
        after_go(|h| h.with(|e| e.call_sub_orchestrator("A", "1".into(), Some("i"), None)).is_ok()),
        limits.clone(),
        "its parent",
    );
    let invalid_output = Scripted::new().orchestrator("main", |h| async move {
        h.outcome(event(&h, "go")).await?;
        Ok("not json".into())
    });
    fails(invalid_output, limits, "InvalidOutput");
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
