//! Orchestrations that activities start.

use std::time::{Duration, Instant};

use dacapo_tests::host::Host;
use serde_json::{Value, json};

fn host() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    host.deploy("probe", &dacapo_tests::guest("fixture-probe").unwrap()).unwrap();
    (host, directory)
}

/// Runs an activity that starts these orchestrations, and returns the result of its call.
#[track_caller]
fn start(host: &Host, calls: Value) -> Value {
    host.output("call", json!({ "name": "start_all", "input": [calls, 0] }))
}

#[test]
fn what_an_activity_starts_runs_on_its_own() {
    let (host, _directory) = host();
    let ended = start(
        &host,
        json!([
            { "name": "echo_orchestrator", "input": { "a": 1 }, "instance_id": "chosen" },
            { "name": "Echo_Orchestrator", "input": 2 },
            { "name": "echo_orchestrator", "input": 3 },
        ]),
    );
    let ids: Vec<&str> = ended["ok"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(ids[0], "chosen");
    assert_ne!(ids[1], ids[2]);
    for (id, output) in ids.into_iter().zip([json!({ "a": 1 }), json!(2), json!(3)]) {
        let status = host.wait(id).unwrap();
        assert_eq!(status["output"], output, "{status}");
    }
}

#[test]
fn what_cannot_be_started_is_a_failure_with_a_name() {
    let (host, _directory) = host();
    host.start_as("waiting", "wait_event", json!("go")).unwrap();
    for (call, error_type, message) in [
        (json!({ "name": "nobody" }), "OrchestratorNotFound", "The function 'nobody' doesn't exist"),
        (json!({ "name": "echo" }), "OrchestratorNotFound", "not an orchestrator function"),
        (json!({ "name": "echo_orchestrator", "instance_id": "waiting" }), "InstanceAlreadyExists", "'waiting' already exists"),
        (json!({ "name": "echo_orchestrator", "instance_id": "@a@b" }), "InvalidArgument", "'@a@b' is not an instance id"),
        (json!({ "name": "" }), "InvalidArgument", "is not a function name"),
        (json!({ "name": "echo_orchestrator", "version": "x".repeat(300) }), "InvalidArgument", "more than 256 characters"),
    ] {
        let ended = start(&host, json!([call]));
        assert_eq!(ended["err"]["error_type"], error_type, "{ended}");
        assert!(ended["err"]["message"].as_str().unwrap().contains(message), "{ended}");
    }
    let (limited, _directory) = Host::temporary(&["--set", "limits.instances_alive=2"]).unwrap();
    limited.deploy("probe", &dacapo_tests::guest("fixture-probe").unwrap()).unwrap();
    limited.start_as("waiting", "wait_event", json!("go")).unwrap();
    let ended = start(&limited, json!([{ "name": "echo_orchestrator" }]));
    assert_eq!(ended["err"]["error_type"], "LimitExceeded", "{ended}");
}

/// Activities run at least once: a repeated one must not start its orchestrations again.
#[test]
fn what_was_started_before_a_crash_is_not_started_again() {
    let (mut host, _directory) = host();
    let calls = json!([
        { "name": "wait_event", "input": "go", "instance_id": "waiting" },
        { "name": "echo_orchestrator", "instance_id": "ended" },
        { "name": "wait_event", "input": "go" },
    ]);
    host.start_as("caller", "call", json!({ "name": "start_all", "input": [calls, 1_000] })).unwrap();
    // The last one has a generated id, so wait until there are four instances in all.
    let instances = |host: &Host| host.manage("GET", "instances", None).unwrap().json().as_array().unwrap().len();
    let deadline = Instant::now() + Duration::from_secs(30);
    while instances(&host) < 4 {
        assert!(Instant::now() < deadline, "{}", host.log());
    }
    let before = host.wait("ended").unwrap();
    host.restart().unwrap();

    let caller = host.wait("caller").unwrap();
    assert_eq!(caller["output"]["ok"].as_array().unwrap().len(), 3, "{caller}");
    assert_eq!(host.wait("ended").unwrap()["createdTime"], before["createdTime"]);
    assert_eq!(instances(&host), 4);
    assert_eq!(host.status("waiting").unwrap()["runtimeStatus"], "Running");
}

/// An orchestration may continue as new, or end, while the activity that started it still runs: its execution is then no longer
/// the one that was started.
#[test]
fn what_was_started_and_has_continued_as_new_is_not_started_again() {
    let (mut host, _directory) = host();
    let calls = json!([
        { "name": "keep_events", "input": [3, []], "instance_id": "goes-on" },
        { "name": "keep_events", "input": [2, []], "instance_id": "ends" },
    ]);
    host.start_as("caller", "call", json!({ "name": "start_all", "input": [calls, 3_000] })).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.status("ends").is_err() {
        assert!(Instant::now() < deadline, "{}", host.log());
    }
    for (id, item) in [("goes-on", 1), ("ends", 1), ("ends", 2)] {
        host.raise_event(id, "Item", json!(item)).unwrap();
    }
    let before = host.wait("ends").unwrap();
    assert_eq!(host.status("caller").unwrap()["runtimeStatus"], "Running", "{}", host.log());
    host.restart().unwrap();

    let caller = host.wait("caller").unwrap();
    assert_eq!(caller["output"]["ok"], json!(["goes-on", "ends"]), "{caller}");
    assert_eq!(host.status("ends").unwrap(), before);
    assert_eq!(host.status("goes-on").unwrap()["runtimeStatus"], "Running");
}
