//! Heat is only speed: the same orchestrations, hot and cold, give the same histories, byte for byte apart from
//! timestamps and ids.

use std::collections::HashMap;

use dacapo_tests::host::Host;
use serde_json::{Value, json};

/// Runs everything on a host of its own and returns each history, made comparable.
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
        histories.push((name.to_owned(), comparable(&Value::Array(history), matches!(name, "seen" | "timer"))));
    }
    histories
}

/// A history without what differs between two runs: timestamps, ids of executions, and (where the orchestration returns
/// times, guids and random numbers) its result. Results that arrive together may arrive in either order.
fn comparable(history: &Value, returns_times: bool) -> String {
    let mut ids = HashMap::new();
    let mut events: Vec<Value> = history.as_array().unwrap().iter().map(|event| strip(event, &mut ids)).collect();
    if returns_times && let Some(last) = events.last_mut() {
        last["Result"] = Value::Null;
    }
    // Concurrent results: their order is a race, in both modes.
    events.sort_by_key(|event| (event["EventType"] == "ExecutionCompleted", event.to_string()));
    serde_json::to_string_pretty(&events).unwrap()
}

fn strip(value: &Value, ids: &mut HashMap<String, usize>) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| {
                !matches!(name.as_str(), "Timestamp" | "ScheduledTime" | "FireAt" | "ExecutionId" | "InstanceId")
            });
            Value::Object(kept.map(|(name, value)| (name.clone(), strip(value, ids))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| strip(item, ids)).collect()),
        // Backtraces hold addresses of code, which are the same; nothing else differs.
        other => other.clone(),
    }
}

#[test]
fn hot_and_cold_give_the_same_histories() {
    let hot = histories(&[]);
    let cold = histories(&["--hot-instances=0"]);
    assert_eq!(hot.len(), cold.len());
    for ((name, hot), (_, cold)) in hot.into_iter().zip(cold) {
        assert_eq!(hot, cold, "{name}");
    }
}
