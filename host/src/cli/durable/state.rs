//! The state of an instance as the original's command line prints it: an `OrchestrationState` of Durable Task.

use std::borrow::Cow;

use dacapo_core::RuntimeStatus;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::instance::{Instance, Shown};

/// Payloads are texts that hold JSON. Sizes are those of the original's storage: there are none here. Members of which a status
/// query of the host knows nothing are `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OrchestrationState<'a> {
    completed_time: &'a str,
    compressed_size: u64,
    created_time: &'a str,
    input: Option<&'a str>,
    last_updated_time: &'a str,
    name: &'a str,
    orchestration_instance: OrchestrationInstance<'a>,
    orchestration_status: i32,
    output: Option<Cow<'a, str>>,
    parent_instance: Option<()>,
    size: u64,
    status: Option<&'a str>,
    tags: Option<()>,
    version: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OrchestrationInstance<'a> {
    instance_id: &'a str,
    execution_id: Option<()>,
}

/// The time of what has not ended.
const NEVER: &str = "0001-01-01T00:00:00";

impl<'a> OrchestrationState<'a> {
    pub fn new(instance: &'a Instance, shown: Shown) -> Self {
        let text = |payload: &'a Option<Box<RawValue>>| payload.as_deref().map(RawValue::get);
        let status = RuntimeStatus::ALL.into_iter().find(|status| status.name() == instance.runtime_status);
        let output = text(&instance.output).filter(|_| shown.output).map(|output| match status {
            // A plain text, which the host sends as a JSON string.
            Some(RuntimeStatus::Failed | RuntimeStatus::Terminated) => Cow::Owned(instance.plain_output()),
            _ => Cow::Borrowed(output),
        });
        Self {
            completed_time: if instance.has_ended() { &instance.last_updated_time } else { NEVER },
            compressed_size: 0,
            created_time: &instance.created_time,
            input: text(&instance.input).filter(|_| shown.input),
            last_updated_time: &instance.last_updated_time,
            name: &instance.name,
            orchestration_instance: OrchestrationInstance { instance_id: &instance.instance_id, execution_id: None },
            orchestration_status: status.map_or(UNKNOWN, number),
            output,
            parent_instance: None,
            size: 0,
            status: text(&instance.custom_status),
            tags: None,
            version: &instance.version_label,
        }
    }
}

const UNKNOWN: i32 = -1;

/// The number of a status in Durable Task.
pub(super) fn number(status: RuntimeStatus) -> i32 {
    status as i32
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn state(status: &str, output: &str, shown: Shown) -> Value {
        let instance: Instance = serde_json::from_str(&format!(
            r#"{{"name":"f","instanceId":"i","runtimeStatus":"{status}","input":{{"a": 1}},"customStatus":"half","output":{output},"createdTime":"2026-01-31T12:00:00Z","lastUpdatedTime":"2026-01-31T12:00:01Z","versionLabel":"2.0"}}"#
        ))
        .unwrap();
        serde_json::to_value(OrchestrationState::new(&instance, shown)).unwrap()
    }

    #[test]
    fn a_state_has_the_members_of_durable_task() {
        let all = Shown { input: true, output: true };
        assert_eq!(
            state("Completed", r#"["x"]"#, all),
            json!({
                "CompletedTime": "2026-01-31T12:00:01Z", "CompressedSize": 0, "CreatedTime": "2026-01-31T12:00:00Z",
                "Input": "{\"a\": 1}", "LastUpdatedTime": "2026-01-31T12:00:01Z", "Name": "f",
                "OrchestrationInstance": { "InstanceId": "i", "ExecutionId": null }, "OrchestrationStatus": 1,
                "Output": "[\"x\"]", "ParentInstance": null, "Size": 0, "Status": "\"half\"", "Tags": null, "Version": "2.0",
            })
        );
        let hidden = state("Running", "null", Shown { input: false, output: false });
        assert_eq!((&hidden["Input"], &hidden["Output"]), (&Value::Null, &Value::Null));
        assert_eq!((&hidden["CompletedTime"], &hidden["OrchestrationStatus"]), (&json!(NEVER), &json!(0)));
        assert_eq!(state("Failed", r#""why\n""#, all)["Output"], "why\n");
        assert_eq!(state("Completed", r#""why""#, all)["Output"], "\"why\"");
        assert_eq!(state("Suspended", "null", all)["OrchestrationStatus"], 7);
        assert_eq!(state("Elsewhere", "null", all)["OrchestrationStatus"], -1);
    }
}
