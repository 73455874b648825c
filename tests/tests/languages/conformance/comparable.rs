//! Histories without the parts that differ in every run.

use serde_json::Value;

/// Orchestrations whose output differs in every run.
const OWN_RESULTS: [&str; 1] = ["identity"];

/// Orchestrations with concurrent calls: the order of the results is a race.
const RACES: [&str; 2] = ["fan_out", "race"];

/// Returns the events of an instance without times, ids and turns: how many messages a turn takes in depends on timing. `own`
/// lists texts that differ for each instance, with placeholders for them.
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

/// A request without headers may have an empty member for them, or none.
fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn strip(value: &Value, own: &[(&str, &str)]) -> Value {
    /// The details of a failure depend on the language, such as a stack trace.
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
