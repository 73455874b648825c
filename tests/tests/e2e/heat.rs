//! Heat affects only the speed: the same orchestrations have the same histories hot and cold, byte for byte except for timestamps
//! and ids.

use dacapo_tests::host::Host;
use serde_json::{Value, json};

/// Runs everything on a new host and returns each history in a comparable form.
fn histories(arguments: &[&str]) -> Vec<(String, String)> {
    let (host, _directory) = Host::temporary(arguments).unwrap();
    for guest in ["hello-sequence", "saga", "eternal", "sub-orchestrations"] {
        host.deploy_guest(&format!("example-{guest}")).unwrap();
    }
    host.deploy_guest("fixture-probe").unwrap();
    let runs: Vec<(&str, Value)> = vec![
        ("hello_sequence", Value::Null),
        ("book_trip", json!({ "traveller": "ada", "fails_at": "car", "flaky_attempts": 2 })),
        ("periodic_cleanup", json!({ "interval_ms": 5, "max_rounds": 4 })),
        ("provision_devices", json!(["lamp"])),
        ("everything", Value::Null),
        ("chain", json!(50)),
        ("canceled_timer", Value::Null),
        ("timer", json!(20)),
        ("count_to", json!({ "to": 5 })),
        ("seen", Value::Null),
        ("trap_after_wait", Value::Null),
        ("panic_after_wait", Value::Null),
        ("return_error", Value::Null),
        ("swallow_wait", json!("x")),
        ("call", json!({ "name": "activity_panic" })),
        ("retry", json!({ "failures": 2, "max_attempts": 4, "first_interval_ms": 5, "backoff": 2.0 })),
    ];
    let mut histories = Vec::new();
    for (name, input) in runs {
        let id = format!("run-{name}");
        let path = format!("orchestrators/{name}/{id}");
        let answer = host.manage("POST", &path, Some(&input)).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        host.wait(&id).unwrap();
        let history = host.history(&id).unwrap();
        histories.push((name.to_owned(), comparable(name, history)));
    }
    histories
}

/// Removes from a history what differs between two runs: timestamps and ids, and outputs that contain them. Results of concurrent
/// activities are sorted, as their order is a race.
fn comparable(name: &str, history: Vec<Value>) -> String {
    let mut events: Vec<Value> = history.iter().map(strip).collect();
    if matches!(name, "seen" | "timer")
        && let Some(last) = events.last_mut()
    {
        last["Result"] = Value::Null;
    }
    if name == "everything" {
        events.sort_by_key(|event| (event["EventType"] == "ExecutionCompleted", event.to_string()));
    }
    serde_json::to_string_pretty(&events).unwrap()
}

fn strip(value: &Value) -> Value {
    const DIFFERENT: [&str; 5] = ["Timestamp", "ScheduledTime", "FireAt", "ExecutionId", "InstanceId"];
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !DIFFERENT.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), strip(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
        other => other.clone(),
    }
}

#[test]
fn hot_and_cold_give_the_same_histories() {
    let hot = histories(&[]);
    let cold = histories(&["--no-heat"]);
    assert_eq!(hot.len(), cold.len());
    for ((name, hot), (_, cold)) in hot.into_iter().zip(cold) {
        assert_eq!(hot, cold, "{name}");
    }
}

#[test]
fn guests_give_way_while_the_process_holds_too_much() {
    // More than a request needs, and less than the process holds in any case.
    let (host, _directory) = Host::temporary(&["--set", "engine.memory_bytes=4194304"]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let answer = host.manage("POST", "orchestrators/chain/squeezed", Some(&json!(20))).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(host.wait("squeezed").unwrap()["runtimeStatus"], "Completed");
    let receipt = host.manage("GET", "instances/squeezed/receipt", None).unwrap();
    assert!(receipt.json()["replayedEvents"].as_u64().unwrap() > 0, "it stayed hot: {receipt:?}");
}
