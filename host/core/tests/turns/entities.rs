//! Operations of entities: run one after another, exactly once, and undone when they fail.

use dacapo_core::entity::{Operation, OperationResult, SharedOperation};
use dacapo_core::event::Outcome;
use dacapo_core::execution::{LogLevel, Stopped};
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Event, Failure, RuntimeStatus, Timestamp, VersionId};

use crate::net::Net;
use crate::world::VERSION;

/// The result of a scripted entity that ends with this output and state.
pub fn result(output: &str, state: Option<String>) -> Result<OperationResult, Failure> {
    Ok(OperationResult { output: output.into(), state: state.map(Into::into) })
}

fn asked<T>(asked: Result<T, Stopped>) -> Result<T, Failure> {
    asked.map_err(|Stopped| Failure::permanent(Failure::TRAP, "stopped"))
}

pub fn number(state: &Option<dacapo_core::Payload>) -> i64 {
    state.as_ref().map_or(0, |state| state.parse().unwrap())
}

/// Counts, logs, sends or fails, depending on the operation.
fn counter(operation: &Operation, scope: &SharedOperation) -> Result<OperationResult, Failure> {
    let mut scope = scope.lock().unwrap();
    let value = number(&operation.state);
    let added = || operation.input.parse::<i64>().unwrap();
    match operation.name.as_str() {
        "add" => result(&(value + added()).to_string(), Some((value + added()).to_string())),
        "get" => result(&value.to_string(), operation.state.as_ref().map(|state| state.to_string())),
        "delete" => result("null", None),
        "restart" => {
            asked(scope.signal_entity("counter", "a", "add", "5".into(), None))?;
            result("null", None)
        }
        "fail" => {
            asked(scope.signal_entity("log", "l", "note", "\"of a failed one\"".into(), None))?;
            asked(scope.start_orchestration("child", "1".into(), None))?;
            scope.log(LogLevel::Info, "about to fail");
            Err(Failure::permanent("Bad", "luck"))
        }
        "send" => {
            asked(scope.signal_entity("LOG", "l", "note", "1".into(), None))?;
            asked(scope.signal_entity("log", "l", "note", "2".into(), Some(Timestamp(9_000_000))))?;
            let started = asked(scope.start_orchestration("child", "3".into(), None))?;
            asked(scope.start_orchestration("child", "4".into(), Some("named")))?;
            asked(scope.send_event("waits", "go", "5".into()))?;
            result(&format!("\"{started}\""), Some(value.to_string()))
        }
        "guid" => result(&format!("\"{}\"", scope.new_guid()), Some(value.to_string())),
        "bad-output" => result("{", Some("7".into())),
        "bad-state" => result("1", Some("{".into())),
        "bad-name" => {
            // A guest that ignores that it was stopped.
            let _ = scope.send_event("waits", "", "1".into());
            result("1", Some("7".into()))
        }
        other => Err(Failure::permanent("Unknown", format!("no operation '{other}'"))),
    }
}

fn log(operation: &Operation, _: &SharedOperation) -> Result<OperationResult, Failure> {
    let before = operation.state.as_ref().map_or(String::new(), |state| format!("{},", state.trim_matches(['[', ']'])));
    result("null", Some(format!("[{before}{}]", operation.input)))
}

fn script() -> Scripted {
    Scripted::new()
        .entity("Counter", counter)
        .entity("log", log)
        .orchestrator("child", |h| async move { Ok(h.input()) })
        .orchestrator("waits", |h| async move {
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await
        })
}

pub async fn call(h: &Handle, name: &str, key: &str, operation: &str, input: &str) -> Result<dacapo_core::Payload, Failure> {
    let task = h.act(|e| e.call_entity(name, key, operation, input.into())).await;
    h.outcome(task).await
}

#[test]
fn every_signal_and_call_is_run_once_whatever_crashes() {
    let script = script().orchestrator("adds", |h| async move {
        for _ in 0..3 {
            h.act(|e| e.signal_entity("counter", "a", "add", "1".into(), None)).await;
            call(&h, "Counter", "a", "add", "10").await?;
        }
        call(&h, "counter", "a", "get", "null").await
    });
    for seed in 0..60 {
        let mut net = Net::seeded(script.clone(), seed);
        net.crash_every = (seed % 3 != 0).then_some(seed % 7 + 2);
        net.limits.operations_per_turn = 1 + seed as usize % 5;
        net.time.up_every = (seed % 5 == 0).then_some(1 + seed as u32 % 3);
        net.time.cut_off_every = (seed % 4 == 0).then_some(2 + seed as u32 % 3);
        for n in 0..8 {
            net.start(&format!("o{n}"), "adds", "null");
            net.signal("@counter@a", "add", "1000");
        }
        net.finish();
        assert_eq!(net.state("@counter@a"), Some((8 * (33 + 1000)).to_string()), "seed {seed}");
        assert_eq!(net.item("@counter@a").entity.operations, 8 * 8);
        assert!((0..8).all(|n| net.status(&format!("o{n}")) == RuntimeStatus::Completed));
        net.assert_quiet();
    }
}

/// 900 operations of some 40 ms each were once a single turn: a host that was killed before all were done saved none of them.
#[test]
fn a_turn_whose_time_is_up_saves_what_it_has_done_and_the_next_one_goes_on() {
    let mut net = Net::new(script());
    net.time.up_every = Some(1);
    for _ in 0..5 {
        net.signal("@counter@a", "add", "1");
    }
    net.settle();
    assert_eq!(net.state("@counter@a"), Some("5".into()));
    assert_eq!(net.turns, 5);
}

#[test]
fn an_operation_that_is_cut_off_has_not_been_run() {
    let mut net = Net::new(script());
    net.time.cut_off_every = Some(3);
    for amount in ["1", "10", "100", "1000"] {
        net.signal("@counter@a", "add", amount);
    }
    net.settle();
    assert_eq!(net.state("@counter@a"), Some("1111".into()));
    let item = net.item("@counter@a");
    assert_eq!((item.entity.operations, item.record.usage.operations), (4, 4));
    assert_eq!(net.turns, 2);
}

#[test]
fn an_operation_that_fails_changes_nothing_and_the_next_one_runs() {
    let mut net = Net::new(script().orchestrator("main", |h| async move {
        let mut seen = Vec::new();
        for operation in ["fail", "bad-output", "bad-state", "bad-name", "what"] {
            let failure = call(&h, "counter", "a", operation, "null").await.unwrap_err();
            seen.push(failure.error_type);
        }
        let value = call(&h, "counter", "a", "add", "1").await?;
        Ok(format!("\"{} {value}\"", seen.join(" ")).into())
    }));
    net.signal("@counter@a", "add", "41");
    net.signal("@counter@a", "fail", "null");
    net.settle();
    net.start("o", "main", "null");
    net.settle();
    assert_eq!(net.output("o"), "\"Bad InvalidOutput InvalidOutput InvalidArgument Unknown 42\"");
    assert!(net.find("@log@l").is_none(), "a failed operation sends nothing");
    assert_eq!(net.ids.len(), 2);
    assert_eq!(net.logs, ["about to fail", "the signal 'fail' failed: Bad: luck", "about to fail"]);
}

#[test]
fn an_operation_signals_starts_and_raises() {
    let mut net = Net::new(script());
    net.start("waits", "waits", "null");
    net.settle();
    net.signal("@counter@a", "send", "null");
    net.settle();
    assert_eq!(net.output("waits"), "5");
    assert_eq!(net.output("named"), "4");
    assert_eq!(net.ids.keys().filter(|id| !id.is_entity()).count(), 3);
    assert_eq!(net.state("@log@l"), Some("[1]".into()));
    net.finish();
    assert_eq!(net.state("@log@l"), Some("[1,2]".into()));
}

#[test]
fn operations_of_one_sender_keep_their_order() {
    let script = script().orchestrator("notes", |h| async move {
        for n in 0..5 {
            let note = format!("\"{}{n}\"", h.input().trim_matches('"'));
            h.act(|e| e.signal_entity("log", "l", "note", note.into(), None)).await;
            if n % 2 == 0 {
                h.activity("pause", "1").await?;
            }
        }
        call(&h, "log", "l", "note", &h.input()).await
    });
    for seed in 0..40 {
        let mut net = Net::seeded(script.clone().activity("pause", |_| Ok("1".into())), seed);
        net.crash_every = (seed % 2 == 0).then_some(3);
        net.limits.operations_per_turn = 3;
        for sender in ["a", "b", "c", "d"] {
            net.start(sender, "notes", &format!("\"{sender}\""));
        }
        net.finish();
        let all: Vec<String> = serde_json::from_str(&net.state("@log@l").unwrap()).unwrap();
        assert_eq!(all.len(), 24);
        for sender in ["a", "b", "c", "d"] {
            let own: Vec<&str> = all.iter().filter(|note| note.starts_with(sender)).map(|note| &note[1..]).collect();
            assert_eq!(own, ["0", "1", "2", "3", "4", ""], "seed {seed}");
        }
    }
}

#[test]
fn scheduled_signals_wait_for_their_time_and_run_in_its_order() {
    for seed in 0..6 {
        let mut net = Net::seeded(script(), seed);
        for (note, second) in [("3", 30), ("1", 10), ("2", 20), ("22", 20)] {
            net.signal_at("@log@l", "note", note, Some(Timestamp(second * 1_000_000)));
            if seed > 1 {
                net.settle();
            }
        }
        net.signal("@log@l", "note", "0");
        net.settle();
        assert_eq!(net.state("@log@l"), Some("[0]".into()));
        let timers = net.item("@log@l").timers.iter().map(|(at, _)| at.0 / 1_000_000).collect::<Vec<_>>();
        assert!(timers.contains(&10), "the first one has a timer: {timers:?}");
        if seed > 3 {
            net.crash();
        }
        net.advance(9);
        assert_eq!(net.state("@log@l"), Some("[0,1]".into()), "seed {seed}");
        // The clock jumps: all signals are due at once.
        net.advance(100);
        assert_eq!(net.state("@log@l"), Some("[0,1,2,22,3]".into()));
        assert!(net.item("@log@l").timers.is_empty());
        net.assert_quiet();
    }
}

#[test]
fn one_turn_runs_what_waits_up_to_a_limit() {
    for seed in [0, 1] {
        let mut net = Net::seeded(script(), seed);
        for _ in 0..2_500 {
            net.signal("@counter@a", "add", "1");
        }
        net.settle();
        assert_eq!((net.state("@counter@a"), net.turns), (Some("2500".into()), 3));
        net.assert_quiet();
        net.limits.action_bytes_per_turn = 10;
        for _ in 0..10 {
            net.signal("@counter@a", "add", "1");
        }
        net.settle();
        assert_eq!((net.state("@counter@a"), net.turns), (Some("2510".into()), 7), "four bytes come back from each");
    }
}

#[test]
fn a_state_does_not_grow_when_there_is_no_room() {
    let mut net = Net::new(script());
    net.signal("@counter@a", "add", "90");
    net.settle();
    net.limits.no_room = Some("the task hub is full".into());
    net.signal("@counter@a", "add", "10");
    net.settle();
    assert_eq!(net.state("@counter@a"), Some("90".into()), "three digits are more than two");
    net.signal("@counter@a", "add", "9");
    net.settle();
    assert_eq!(net.state("@counter@a"), Some("99".into()));
}

#[test]
fn an_entity_without_state_vanishes_and_comes_back_as_another() {
    let mut net = Net::new(script());
    net.signal("@counter@a", "add", "1");
    net.settle();
    let before = net.item("@counter@a").record.execution;
    net.signal("@counter@a", "delete", "null");
    net.settle();
    assert!(net.items.is_empty() && net.ids.is_empty());
    net.signal("@counter@a", "add", "2");
    net.settle();
    assert_eq!(net.state("@counter@a"), Some("2".into()));
    assert_ne!(net.item("@counter@a").record.execution, before);

    net.signal_at("@counter@a", "add", "3", Some(Timestamp(60_000_000)));
    net.post("@counter@a", Event::StatePurged);
    net.settle();
    assert_eq!(net.state("@counter@a"), None, "purged, but a message waits");
    net.finish();
    assert_eq!(net.state("@counter@a"), Some("3".into()));
    net.post("@counter@a", Event::StatePurged);
    net.settle();
    assert!(net.items.is_empty());
}

/// A message on its way to the entity when the entity could vanish, from itself or from another, must not be lost.
#[test]
fn an_entity_that_sends_to_itself_does_not_vanish() {
    let record = |net: &Net| net.item("@counter@a").record.clone();
    let mut net = Net::new(script());
    net.signal("@counter@a", "add", "1");
    net.settle();
    let before = record(&net).execution;
    net.signal("@counter@a", "restart", "null");
    net.step();
    assert!(!net.last_vanished, "its own signal would be lost");
    net.settle();
    assert_eq!((net.state("@counter@a"), record(&net).execution), (Some("5".into()), before));
}

#[test]
fn scheduled_signals_of_orchestrations_survive_crashes() {
    let script = script().orchestrator("main", |h| async move {
        for second in [30, 10, 20] {
            let at = Timestamp(second * 1_000_000);
            h.act(|e| e.signal_entity("log", "l", "note", second.to_string().into(), Some(at))).await;
        }
        Ok("1".into())
    });
    for seed in 0..6 {
        let mut net = Net::seeded(script.clone(), seed);
        net.crash_every = Some(1 + seed % 3);
        net.start("o", "main", "null");
        net.finish();
        assert_eq!((net.state("@log@l"), net.now), (Some("[10,20,30]".into()), 30_000_000));
        net.assert_quiet();
    }
}

#[test]
fn a_suspended_entity_keeps_everything_until_it_is_resumed() {
    for seed in [0, 1] {
        let mut net = Net::seeded(script(), seed);
        net.signal("@log@l", "note", "1");
        net.post("@log@l", Event::ExecutionSuspended { reason: String::new() });
        net.signal("@log@l", "note", "2");
        net.settle();
        net.signal("@log@l", "note", "3");
        net.settle();
        assert_eq!((net.state("@log@l"), net.status("@log@l")), (Some("[1]".into()), RuntimeStatus::Suspended));
        net.crash();
        net.post("@log@l", Event::ExecutionResumed { reason: String::new() });
        net.signal("@log@l", "note", "4");
        net.settle();
        assert_eq!((net.state("@log@l"), net.status("@log@l")), (Some("[1,2,3,4]".into()), RuntimeStatus::Running));
        net.assert_quiet();
    }
}

#[test]
fn an_entity_whose_code_is_missing_fails_before_its_first_operation_and_halts_after_it() {
    let script = script().orchestrator("main", |h| async move { call(&h, "counter", "a", "add", "1").await });
    let mut net = Net::new(script.version(VersionId([9; 32]), Scripted::new()));
    // The orchestrator has begun, so it can continue without an active version.
    net.start("o", "main", "null");
    while net.ids.len() < 2 {
        net.step();
    }
    net.active = None;
    net.settle();
    assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.error_type == Failure::ENTITY_NOT_FOUND));
    net.signal("@counter@a", "add", "1");
    net.settle();
    assert!(net.find("@counter@a").is_none());
    assert_eq!(net.logs, ["the signal 'add' failed: EntityNotFound: no active app has an entity 'counter'"]);

    net.active = Some(VERSION);
    net.signal("@counter@a", "add", "1");
    net.settle();
    for (active, reason) in [(None, "no active app has an entity"), (Some(VersionId([9; 32])), "no entity 'counter' in 0909")] {
        net.active = active;
        net.signal("@counter@a", "add", "1");
        net.signal("@counter@a", "add", "1");
        net.settle();
        let item = net.item("@counter@a");
        assert!(item.record.halted.as_ref().unwrap().contains(reason), "{:?}", item.record.halted);
        assert_eq!((item.record.status, item.inbox.len()), (RuntimeStatus::Suspended, 2));
        net.active = Some(VERSION);
        net.post("@counter@a", Event::ExecutionResumed { reason: String::new() });
        net.settle();
        assert_eq!(net.item("@counter@a").record.halted, None);
    }
    assert_eq!(net.state("@counter@a"), Some("5".into()));
    net.assert_quiet();
}

#[test]
fn no_two_operations_get_the_same_guid() {
    let mut net = Net::new(script().orchestrator("main", |h| async move {
        let mut all = Vec::new();
        for key in ["a", "a", "b"] {
            all.push(call(&h, "counter", key, "guid", "null").await?.to_string());
        }
        Ok(format!("[{}]", all.join(",")).into())
    }));
    net.start("o", "main", "null");
    net.settle();
    let mut guids: Vec<String> = serde_json::from_str(&net.output("o")).unwrap();
    guids.sort();
    guids.dedup();
    assert_eq!(guids.len(), 3);
}

/// A message of any kind is consumed once and has no unexpected effect.
#[test]
fn messages_of_the_wrong_kind_are_consumed_without_effect() {
    let parent = dacapo_core::Parent {
        name: dacapo_core::FunctionName::new("p").unwrap(),
        instance: crate::net::id("p"),
        execution: dacapo_core::ExecutionId(uuid::Uuid::nil()),
        seq: dacapo_core::Seq(3),
    };
    let seq = dacapo_core::Seq(0);
    let owner = || parent.clone();
    let odd = || {
        vec![
            Event::EventRaised { name: "x".into(), data: "1".into() },
            Event::ExecutionTerminated { reason: String::new(), recurse: true, parent: None },
            Event::ExecutionRewound { reason: String::new(), parent: None },
            Event::ExecutionRewound { reason: String::new(), parent: Some(owner()) },
            Event::TaskCompleted { seq, result: "1".into() },
            Event::EntityOperationCompleted { seq, result: "1".into() },
            Event::EntityLockGranted { seq },
            Event::TimerFired { seq, fire_at: Timestamp(0) },
            Event::OrchestratorStarted { conditions: None },
            Event::TimerCreated { seq, fire_at: Timestamp(0) },
            Event::LockRequested { entities: vec![], position: 7, owner: owner() },
            Event::LockRequested { entities: vec![crate::net::id("@x@y")], position: 0, owner: owner() },
            Event::LockReleased { entities: vec![crate::net::id("@x@y")], position: u32::MAX, owner: owner() },
        ]
    };
    let mut net = Net::new(script());
    net.signal("@counter@a", "add", "1");
    net.settle();
    for event in odd() {
        net.post("@counter@a", event);
        net.settle();
    }
    assert_eq!((net.state("@counter@a"), net.status("@counter@a")), (Some("1".into()), RuntimeStatus::Running));
    net.assert_quiet();

    net.start("w", "waits", "null");
    net.settle();
    let requested = Event::OperationRequested { operation: "x".into(), input: "1".into(), caller: None, deliver_at: None };
    for event in odd().into_iter().chain([requested, Event::StatePurged]) {
        if !matches!(event, Event::ExecutionTerminated { .. }) {
            net.post("w", event);
            net.settle();
        }
    }
    assert_eq!(net.status("w"), RuntimeStatus::Running);
    net.raise("w", "go", "1");
    net.settle();
    assert_eq!(net.output("w"), "1");
    for event in odd() {
        net.post("w", event);
        net.settle();
    }
    assert_eq!(net.output("w"), "1");
}
