//! The state of an instance, as a status query and a listing show it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::history::Entry;
use super::json::{raw, seconds};
use crate::hub::InstanceState;

/// The members and their order are those of the original; `input`, `customStatus` and `output` are `null` when there is
/// none, and never missing: the JavaScript client fails without them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusBody<'a> {
    name: &'a str,
    instance_id: &'a str,
    runtime_status: &'static str,
    input: Option<Box<RawValue>>,
    custom_status: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    created_time: String,
    last_updated_time: String,
    /// Durable Functions' own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<&'a [Entry<'a>]>,
    /// The same again: the name that the JavaScript client reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a [Entry<'a>]>,
    /// Why the host does not go on with the instance, which is `Suspended` then. Dacapo's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<&'a str>,
}

impl<'a> StatusBody<'a> {
    pub fn new(state: &'a InstanceState, show_input: bool, history: Option<&'a [Entry<'a>]>) -> Self {
        let InstanceState { record, input, output } = state;
        Self {
            name: record.name.as_str(),
            instance_id: record.id.as_str(),
            runtime_status: record.status.name(),
            input: input.as_deref().filter(|_| show_input).map(raw),
            custom_status: record.custom_status.as_deref().map(raw),
            output: output.as_deref().map(raw),
            created_time: seconds(record.created),
            last_updated_time: seconds(record.updated),
            history_events: history,
            history,
            halted: record.halted.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dacapo_core::{ExecutionId, FunctionName, InstanceId, InstanceRecord, Row, RuntimeStatus, Timestamp};
    use uuid::Uuid;

    fn state(status: RuntimeStatus) -> InstanceState {
        let record = InstanceRecord {
            id: InstanceId::orchestration("i").unwrap(),
            row: Row(1),
            name: FunctionName::new("Hello").unwrap(),
            execution: ExecutionId(Uuid::nil()),
            version: None,
            version_label: String::new(),
            parent: None,
            status,
            custom_status: None,
            created: Timestamp(1_000_000),
            updated: Timestamp(2_500_000),
            turns: 0..1,
            halted: None,
        };
        InstanceState { record, input: Some(r#"{"b":1, "a":2}"#.into()), output: None }
    }

    #[track_caller]
    fn check(state: &InstanceState, show_input: bool, expected: &str) {
        assert_eq!(serde_json::to_string(&StatusBody::new(state, show_input, None)).unwrap(), expected);
    }

    #[test]
    fn every_member_is_there_in_order() {
        let mut state = state(RuntimeStatus::Running);
        check(
            &state,
            true,
            r#"{"name":"Hello","instanceId":"i","runtimeStatus":"Running","input":{"b":1, "a":2},"customStatus":null,"output":null,"createdTime":"1970-01-01T00:00:01Z","lastUpdatedTime":"1970-01-01T00:00:02Z"}"#,
        );
        state.record.status = RuntimeStatus::Terminated;
        state.output = Some("no longer needed".into());
        check(
            &state,
            false,
            r#"{"name":"Hello","instanceId":"i","runtimeStatus":"Terminated","input":null,"customStatus":null,"output":"no longer needed","createdTime":"1970-01-01T00:00:01Z","lastUpdatedTime":"1970-01-01T00:00:02Z"}"#,
        );
    }

    #[test]
    fn a_halted_instance_is_shown_with_its_diagnostic() {
        let mut state = state(RuntimeStatus::Suspended);
        state.record.halted = Some("recorded A, attempted B".into());
        let shown = serde_json::to_value(StatusBody::new(&state, true, Some(&[]))).unwrap();
        assert_eq!(shown["runtimeStatus"], "Suspended");
        assert_eq!(shown["halted"], "recorded A, attempted B");
        assert_eq!(shown["historyEvents"], serde_json::json!([]));
        assert_eq!(shown["history"], serde_json::json!([]));
    }
}
