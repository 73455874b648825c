//! Histories without what is different in every run.

use serde_json::Value;

/// Orchestrations whose result is their own.
const OWN_RESULTS: [&str; 1] = ["identity"];

/// Orchestrations that have several things done side by side: the order of the results is a race.
const RACES: [&str; 2] = ["fan_out", "race"];

/// The events of an instance without times and ids, and without where turns began: how many messages a turn takes in is a
/// matter of time. `own` are texts that are the instance's own, and what to call them.
pub fn comparable(function: &str, history: Vec<Value>, own: &[(&str, &str)]) -> Vec<Value> {
    const TURN: &str = "OrchestratorStarted";
    let mut events: Vec<Value> =
        history.iter().filter(|event| event["EventType"] != TURN).map(|event| strip(event, own)).collect();
    if OWN_RESULTS.contains(&function)
        && let Some(last) = events.last_mut()
    {
        last["Result"] = Value::Null;
    }
    if RACES.contains(&function) {
        events.sort_by_key(|event| (event["EventType"] == "ExecutionCompleted", event.to_string()));
    }
    events
}

/// A request without headers says so, or says nothing of headers.
fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn strip(value: &Value, own: &[(&str, &str)]) -> Value {
    /// Details of a failure are a language's own: a stack trace, say.
    const DIFFERENT: [&str; 7] = ["Timestamp", "ScheduledTime", "FireAt", "ExecutionId", "InstanceId", "Details", "StackTrace"];
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| !DIFFERENT.contains(&name.as_str()) && !is_empty(value));
            Value::Object(kept.map(|(name, value)| (name.clone(), strip(value, own))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| strip(item, own)).collect()),
        Value::String(text) => Value::String(own.iter().fold(text.clone(), |text, (own, name)| text.replace(own, name))),
        other => other.clone(),
    }
}
