//! The schemas of the bodies that the API sends. The tests hold every answer that they get against them.

use serde_json::{Value, json};

use dacapo_core::RuntimeStatus;

pub(super) fn schemas() -> Value {
    json!({
        "Any": { "description": "Any JSON." },
        "Object": { "type": "object" },
        "Error": {
            "type": "object",
            "required": ["Message", "ExceptionMessage"],
            "properties": {
                "Message": { "type": "string", "description": "What kind of trouble it is." },
                "ExceptionMessage": { "type": "string", "description": "What it is in this case; names the parameter that is wrong." },
            },
        },
        "ErrorText": { "type": "string" },
        "ErrorOrText": { "anyOf": [reference("Error"), reference("ErrorText")] },
        "ErrorOrStatus": { "anyOf": [reference("Error"), reference("InstanceStatus")] },
        "CheckStatus": check_status(),
        "InstanceStatus": instance_status(),
        "InstanceList": { "type": "array", "items": reference("InstanceStatus") },
        "HistoryEvent": history_event(),
        "PurgeResult": {
            "type": "object",
            "required": ["instancesDeleted"],
            "properties": { "instancesDeleted": { "type": "integer", "minimum": 0 } },
        },
        "Entity": entity(),
        "EntityList": { "type": "array", "items": reference("Entity") },
        "App": app(),
        "AppList": { "type": "array", "items": reference("App") },
        "Health": { "type": "object", "required": ["status"], "properties": { "status": { "type": "string", "const": "ok" } } },
    })
}

fn check_status() -> Value {
    let link = json!({ "type": "string", "format": "uri-template" });
    json!({
        "type": "object",
        "description": "Where to go on. In the links, `{eventName}` and `{text}` are for the client to fill in.",
        "required": [
            "id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri", "restartPostUri",
            "suspendPostUri", "resumePostUri",
        ],
        "properties": {
            "id": { "type": "string" },
            "statusQueryGetUri": link,
            "sendEventPostUri": link,
            "terminatePostUri": link,
            "purgeHistoryDeleteUri": link,
            "restartPostUri": link,
            "suspendPostUri": link,
            "resumePostUri": link,
        },
        "additionalProperties": false,
    })
}

fn instance_status() -> Value {
    let history = json!({ "type": "array", "items": reference("HistoryEvent") });
    json!({
        "type": "object",
        "required": [
            "name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime",
        ],
        "properties": {
            "name": { "type": "string" },
            "instanceId": { "type": "string" },
            "runtimeStatus": { "type": "string", "enum": RuntimeStatus::ALL.map(RuntimeStatus::name) },
            "input": { "description": "Any JSON; `null` if it is not to be shown. Of an entity: whether it has a state, and the state \
                                       as a text." },
            "customStatus": { "description": "Any JSON; `null` if there is none." },
            "output": { "description": "Any JSON: the output, the sentence of a failure, or the reason of a termination." },
            "createdTime": { "type": "string", "format": "date-time" },
            "lastUpdatedTime": { "type": "string", "format": "date-time" },
            "historyEvents": history,
            "history": history,
            "halted": { "type": "string", "description": "Why the host does not go on with the instance. Not part of Durable Functions." },
        },
        "additionalProperties": false,
    })
}

fn history_event() -> Value {
    json!({
        "type": "object",
        "description": "One event; its members depend on its type.",
        "required": ["EventType", "Timestamp"],
        "properties": {
            "EventType": { "type": "string" },
            "FunctionName": { "type": "string" },
            "Name": { "type": "string" },
            "InstanceId": { "type": "string" },
            "Operation": { "type": "string" },
            "LockSet": { "type": "array", "items": { "type": "string" } },
            "Attempt": { "type": "integer" },
            "Detached": { "type": "boolean" },
            "FireAt": { "type": "string", "format": "date-time" },
            "Input": { "description": "Any JSON." },
            "OrchestrationStatus": { "type": "string" },
            "Reason": { "type": "string" },
            "Details": { "type": "string" },
            "FailureDetails": { "type": "object" },
            "Result": { "description": "Any JSON." },
            "ScheduledTime": { "type": "string", "format": "date-time" },
            "ScheduledStartTime": { "type": "string", "format": "date-time" },
            "Timestamp": { "type": "string", "format": "date-time" },
        },
        "additionalProperties": false,
    })
}

fn entity() -> Value {
    json!({
        "type": "object",
        "required": ["entityId", "lastOperationTime", "state"],
        "properties": {
            "entityId": {
                "type": "object",
                "required": ["name", "key"],
                "properties": { "name": { "type": "string" }, "key": { "type": "string" } },
                "additionalProperties": false,
            },
            "lastOperationTime": { "type": "string", "format": "date-time" },
            "state": { "description": "Any JSON; `null` if it is not asked for, or there is none." },
        },
        "additionalProperties": false,
    })
}

fn app() -> Value {
    let function = json!({
        "type": "object",
        "required": ["name", "kind"],
        "properties": { "name": { "type": "string" }, "kind": { "type": "string", "enum": ["orchestrator", "activity", "entity"] } },
        "additionalProperties": false,
    });
    let finding = json!({
        "type": "object",
        "required": ["interface", "function", "what", "calledBy"],
        "properties": {
            "interface": { "type": "string" },
            "function": { "type": "string" },
            "what": { "type": "string", "description": "What happens when it is called." },
            "calledBy": { "type": "array", "items": { "type": "string" }, "description": "The app's functions that call it, as far as they are known." },
        },
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "required": ["app", "version", "label", "functions"],
        "properties": {
            "app": { "type": "string" },
            "version": { "type": "string", "description": "The SHA-256 digest of the deployed file." },
            "label": { "type": "string" },
            "functions": { "type": "array", "items": function },
            "changed": { "type": "boolean", "description": "Whether another version was active before. Only after a deployment." },
            "report": {
                "type": "array",
                "items": finding,
                "description": "What the version imports that traps in its orchestrators and entities. Only after a deployment.",
            },
        },
        "additionalProperties": false,
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
