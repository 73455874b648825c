//! The state of an instance, as a status query and a listing show it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use dacapo_core::{InstanceRecord, RuntimeStatus, VersionId};

use crate::api::content::history;
use crate::api::content::json::{Moment, raw, seconds};
use crate::hub::Hub;

// The members and their order are those of the original; `input`, `customStatus` and `output` are `null` when there is
// none, and never missing: the JavaScript client fails without them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InstanceStatus", transform = history::add_to_status)]
pub(in crate::api) struct StatusBody<'a> {
    name: &'a str,
    instance_id: &'a str,
    #[schemars(schema_with = "any_status")]
    runtime_status: &'static str,
    /// Any JSON; `null` if it was not asked for. Of an entity: whether it has a state, and the state as a string.
    input: Option<Box<RawValue>>,
    /// Any JSON; `null` if there is none.
    custom_status: Option<Box<RawValue>>,
    /// Any JSON: the output, the message of a failure, or the reason of a termination.
    output: Option<Box<RawValue>>,
    created_time: Moment,
    last_updated_time: Moment,
    /// Why the host does not go on with the instance, which is `Suspended` then. Not part of Durable Functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<&'a str>,
    /// The digest of the version that it runs on. Not part of Durable Functions.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "digest")]
    #[schemars(with = "String")]
    version: Option<VersionId>,
    /// The label of that version. Not part of Durable Functions.
    #[serde(skip_serializing_if = "String::is_empty")]
    version_label: String,
}

impl<'a> StatusBody<'a> {
    /// `input` and `output` are none if they are not to be shown.
    pub fn new(record: &'a InstanceRecord, input: Option<&str>, output: Option<&str>) -> Self {
        Self {
            name: record.name.as_str(),
            instance_id: record.id.as_str(),
            runtime_status: record.status.name(),
            input: input.map(raw),
            custom_status: record.custom_status.as_deref().map(raw),
            output: output.map(raw),
            created_time: seconds(record.created),
            last_updated_time: seconds(record.updated),
            halted: record.halted.as_deref(),
            version: record.version,
            version_label: String::new(),
        }
    }

    /// Adds the label of its version.
    pub fn labelled(self, hub: &Hub) -> Self {
        let label = self.version.map_or_else(String::new, |version| hub.label_of(version));
        Self { version_label: label, ..self }
    }
}

fn any_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": RuntimeStatus::ALL.map(RuntimeStatus::name) })
}

fn digest<S: serde::Serializer>(version: &Option<VersionId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&version.map_or_else(String::new, |version| version.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dacapo_core::{EventDelivery, ExecutionId, FunctionName, InstanceId, Row, Timestamp};
    use uuid::Uuid;

    fn record(status: RuntimeStatus) -> InstanceRecord {
        InstanceRecord {
            id: InstanceId::orchestration("i").unwrap(),
            row: Row(1),
            name: FunctionName::new("Hello").unwrap(),
            execution: ExecutionId(Uuid::nil()),
            first_execution: ExecutionId(Uuid::nil()),
            version: None,
            version_label: String::new(),
            parent: None,
            status,
            custom_status: None,
            created: Timestamp(1_000_000),
            updated: Timestamp(2_500_000),
            turns: 0..1,
            halted: None,
            usage: Default::default(),
            event_delivery: EventDelivery::FirstAsked,
        }
    }

    #[track_caller]
    fn check(record: &InstanceRecord, input: Option<&str>, output: Option<&str>, expected: &str) {
        assert_eq!(serde_json::to_string(&StatusBody::new(record, input, output)).unwrap(), expected);
    }

    #[test]
    fn every_member_is_there_in_order() {
        let running = record(RuntimeStatus::Running);
        check(
            &running,
            Some(r#"{"b":1, "a":2}"#),
            None,
            r#"{"name":"Hello","instanceId":"i","runtimeStatus":"Running","input":{"b":1, "a":2},"customStatus":null,"output":null,"createdTime":"1970-01-01T00:00:01Z","lastUpdatedTime":"1970-01-01T00:00:02Z"}"#,
        );
        check(
            &record(RuntimeStatus::Terminated),
            None,
            Some("no longer needed"),
            r#"{"name":"Hello","instanceId":"i","runtimeStatus":"Terminated","input":null,"customStatus":null,"output":"no longer needed","createdTime":"1970-01-01T00:00:01Z","lastUpdatedTime":"1970-01-01T00:00:02Z"}"#,
        );
    }

    #[test]
    fn the_version_is_shown_once_there_is_one() {
        let record = InstanceRecord { version: Some(VersionId([0xab; 32])), ..record(RuntimeStatus::Running) };
        let shown = serde_json::to_value(StatusBody::new(&record, None, None)).unwrap();
        assert_eq!(shown["version"], "ab".repeat(32));
        assert_eq!(shown.get("versionLabel"), None);
    }

    #[test]
    fn a_halted_instance_is_shown_with_its_diagnostic() {
        let halted = Some("recorded A, attempted B".into());
        let record = InstanceRecord { halted, ..record(RuntimeStatus::Suspended) };
        let shown = serde_json::to_value(StatusBody::new(&record, None, None)).unwrap();
        assert_eq!(shown["runtimeStatus"], "Suspended");
        assert_eq!(shown["halted"], "recorded A, attempted B");
    }
}
