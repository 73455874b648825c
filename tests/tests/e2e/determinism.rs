//! Random orchestrators: every prefix of every history is replayed cold, with the same actions and no divergence.

use std::collections::VecDeque;
use std::sync::Arc;

use dacapo_core::execution::Limits;
use dacapo_core::turn::{Memory, NoVersion, Turn};
use dacapo_core::{Delivery, Event, Executor, HistoryEvent, InstanceRecord, Message, Row, RuntimeStatus};
use dacapo_store::{InstanceQuery, RedbStore, Store as _, StoreOptions};
use dacapo_tests::host::{Host, HostOptions};
use dacapo_tests::program;
use serde_json::{Value, json};

/// Runs programs on a real host (hot), stops it, and replays the histories of its store.
#[test]
fn every_prefix_of_every_history_replays() {
    let (mut host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-interpreter").unwrap();
    let programs: Vec<(u64, u32)> = (0..60).map(|seed| (seed * 7919 + 1, 4 + (seed % 9) as u32)).collect();
    let ids: Vec<String> = programs
        .iter()
        .map(|(seed, steps)| host.start_new("random_program", json!({ "seed": seed, "steps": steps })).unwrap())
        .collect();
    for ((seed, steps), id) in programs.iter().zip(&ids) {
        let status = host.wait(id).unwrap();
        assert_eq!(status["output"], program::expected(*seed, *steps), "program {seed}/{steps}: {status}\n{}", host.log());
    }
    assert_eq!(host.stop().unwrap(), Some(0));

    let executor = executor(directory.path());
    let store =
        RedbStore::open(&directory.path().join("hubs").join(hub_file(directory.path())), StoreOptions::default()).unwrap();
    let page = store.instances(&InstanceQuery::default(), None, 10_000).unwrap();
    let mut prefixes = 0;
    for record in page.records {
        let history = store.history(record.row, record.turns.clone()).unwrap();
        prefixes += replay_every_prefix(executor.as_ref(), &record, &history);
    }
    println!("{prefixes} prefixes of {} histories", ids.len());
    assert!(prefixes > 300, "{prefixes}");
}

fn hub_file(data: &std::path::Path) -> String {
    let mut files = std::fs::read_dir(data.join("hubs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.find(|name| name.ends_with(".redb")).unwrap()
}

fn executor(data: &std::path::Path) -> Arc<dyn Executor> {
    let settings = dacapo::config::Settings { data: data.to_owned(), ..dacapo::config::Settings::default() };
    let runtime = dacapo_wasm::Runtime::new(settings.runtime()).unwrap();
    Arc::new(runtime.tenant(dacapo_wasm::Account::default(), settings.policy(&settings.limits).unwrap()))
}

/// Splits the history into turns. For each turn, replays the earlier ones cold and delivers its messages: the resulting turn must
/// be the recorded one.
fn replay_every_prefix(executor: &dyn Executor, record: &InstanceRecord, history: &[HistoryEvent]) -> usize {
    let mut turns: VecDeque<Vec<HistoryEvent>> = VecDeque::new();
    for event in history {
        if matches!(event.event, Event::OrchestratorStarted { .. }) {
            turns.push_back(Vec::new());
        }
        turns.back_mut().expect("a history begins with a turn").push(event.clone());
    }
    let total = turns.len();
    let mut before: Vec<HistoryEvent> = Vec::new();
    for (number, recorded) in turns.into_iter().enumerate() {
        let running = InstanceRecord {
            row: Row(0),
            status: if number == 0 { RuntimeStatus::Pending } else { RuntimeStatus::Running },
            turns: 0..number as u32,
            updated: before.last().map_or(record.created, |e| e.at),
            custom_status: None,
            ..record.clone()
        };
        let inbox = recorded
            .iter()
            .filter(|e| !e.event.is_action() && !matches!(e.event, Event::OrchestratorStarted { .. }))
            .map(|e| Delivery {
                message: Message { to: record.id.clone(), execution: None, sent_at: e.at, event: e.event.clone() },
                stored: None,
            })
            .collect();
        let begins_on = record.version.ok_or_else(|| NoVersion::unknown(&record.name));
        let turn = Turn { executor, limits: &Limits::default(), now: recorded[0].at, begins_on, active_version: None };
        let result = turn.run(running, Memory::cold(before.clone()), inbox);
        let commit = result.commit.expect("a recorded turn changes something");
        assert_eq!(commit.record.halted, None, "{}: turn {number}", record.id);
        assert_eq!(commit.history.expect("the turn is written down").events, recorded, "{}: turn {number}", record.id);
        before.extend(recorded);
    }
    total
}

/// A lowered limit or a changed variable once halted instances whose past turns had needed the old value. What a guest can notice
/// is now recorded with its history.
#[test]
fn a_host_that_is_configured_otherwise_since_goes_on_with_what_it_finds() {
    let directory = tempfile::tempdir().unwrap();
    let start = |settings: &[&str]| {
        let arguments = settings.iter().flat_map(|setting| ["--set".to_owned(), setting.to_string()]).collect();
        Host::start(HostOptions { data: directory.path().to_owned(), arguments }).unwrap()
    };
    let mut host = start(&["environment={ MODE = \"old\", MORE = \"1\" }", "engine.stack_bytes=2000000"]);
    host.deploy_guest("fixture-wasi-probe").unwrap();
    host.start_as("before", "notices", json!(10_000_000)).unwrap();
    while !host.history("before").unwrap().iter().any(|event| event["EventType"] == "TaskCompleted") {
        std::thread::yield_now();
    }
    assert_eq!(host.stop().unwrap(), Some(0));

    let host = start(&[
        "environment={ MODE = \"new\" }",
        "engine.stack_bytes=100000",
        "limits.orchestrator_memory_bytes=33554432",
        "limits.table_elements=5000",
        "limits.fuel_per_turn=5000000",
        "limits.tasks=10",
        "limits.actions_per_turn=10",
    ]);
    host.raise_event("before", "Go", json!(1)).unwrap();
    let output = host.wait("before").unwrap()["output"].clone();
    assert_eq!(output, json!({ "variables": [["MODE", "old"], ["MORE", "1"]], "room": true }), "{}", host.log());

    host.start_as("since", "notices", json!(1)).unwrap();
    host.raise_event("since", "Go", json!(1)).unwrap();
    let output = host.wait("since").unwrap()["output"].clone();
    assert_eq!(output, json!({ "variables": [["MODE", "new"]], "room": false }), "{}", host.log());
}

/// What an orchestrator does through WASI is deterministic, durable, or refused with a message.
#[test]
fn wasi_in_an_orchestrator_behaves_as_designed() {
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for arguments in [&[][..], &["--no-heat"]] {
        let (host, _directory) = Host::temporary(arguments).unwrap();
        host.deploy_guest("fixture-wasi-probe").unwrap();
        let run = |name: &str, input: Value| {
            let status = host.run(name, input).unwrap();
            assert_eq!(status["runtimeStatus"], "Completed", "{name}: {status}\n{}", host.log());
            status["output"].clone()
        };
        let clocks = run("wasi_clocks", Value::Null);
        for moment in ["before", "after"] {
            let (wall, context) = (&clocks[moment]["wall_ms"], &clocks[moment]["context_ms"]);
            assert_eq!(
                wall.as_f64().unwrap().floor(),
                context.as_f64().unwrap().floor(),
                "the clock is that of the turn: {clocks}"
            );
        }
        let environment = run("wasi_environment", Value::Null);
        assert_eq!(environment["before"]["variables"], json!([]), "nothing of the host's environment: {environment}");
        assert_eq!(run("wasi_files", Value::Null)["before"], json!([]), "no directory is granted");
        let slept = run("wasi_sleep", json!(60));
        assert!(slept["first_ms"].as_u64() >= Some(60) && slept["second_ms"].as_u64() >= Some(60), "{slept}");
        assert_eq!(run("wasi_poll", Value::Null), json!([1]), "the shorter timer");
        let id = host.start_new("wasi_sleep_between", json!(20)).unwrap();
        host.wait(&id).unwrap();
        let timers = host.history(&id).unwrap().iter().filter(|event| event["EventType"] == "TimerFired").count();
        assert_eq!(timers, 3, "a sleep is a durable timer");
        run("wasi_output", Value::Null);
        for line in ["a line to stdout", "a line to stderr"] {
            assert_eq!(host.logged(line, 2), 2, "{line}: {}", host.log());
        }
        for name in ["wasi_sockets", "wasi_name_lookup", "wasi_http"] {
            let status = host.run(name, Value::Null).unwrap();
            assert_eq!(status["runtimeStatus"], "Failed", "{name}: {status}");
            assert!(status["output"].as_str().unwrap().contains("activity"), "{name} says what to do: {status}");
        }
        // Random numbers come from the execution, so it draws the same ones hot, cold, and on replay.
        seen.push(vec![run("wasi_random", Value::Null)["before"]["seed"].clone()]);
    }
    assert_ne!(seen[0], seen[1], "two executions draw different numbers");
}
