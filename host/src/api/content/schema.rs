//! The schemas of the bodies that the API sends and takes. The tests hold every answer that they get against them.

use serde_json::{Map, Value, json};

use dacapo_core::RuntimeStatus;

use crate::access::Role;
use crate::api::request::parameter::{FromText as _, HubName, KeyName, SecretName};

pub(in crate::api) fn schemas() -> Value {
    let groups = [general(), administration()];
    groups.into_iter().flat_map(|group| group.as_object().cloned().unwrap_or_default()).collect::<Map<_, _>>().into()
}

fn general() -> Value {
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
        "VersionList": version_list(),
        "BulkOutcome": {
            "type": "object",
            "required": ["done", "refused", "refusals"],
            "properties": {
                "done": { "type": "integer" },
                "refused": { "type": "integer" },
                "refusals": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["instanceId", "why"],
                        "properties": { "instanceId": { "type": "string" }, "why": { "type": "string" } },
                        "additionalProperties": false,
                    },
                    "description": "The first of those who refused it.",
                },
            },
            "additionalProperties": false,
        },
        "Undeployed": {
            "type": "object",
            "required": ["removed", "terminated", "entitiesPurged"],
            "properties": {
                "removed": { "type": "array", "items": { "type": "string" }, "description": "The versions." },
                "terminated": { "type": "integer", "description": "Orchestrations that ran on one of them." },
                "entitiesPurged": { "type": "integer" },
            },
            "additionalProperties": false,
        },
        "DeploymentProgress": {
            "type": "object",
            "required": ["kind"],
            "properties": {
                "kind": { "type": "string", "enum": ["waiting", "compiling", "deployed", "refused"] },
                "seconds": { "type": "integer", "description": "Since the request came." },
                "app": reference("App"),
                "status": { "type": "integer", "description": "What the answer would have been." },
                "message": { "type": "string" },
            },
            "additionalProperties": false,
        },
        "RolledBack": {
            "type": "object",
            "required": ["app", "from", "active", "newStarts"],
            "properties": {
                "app": { "type": "string" },
                "from": named_version(),
                "active": named_version(),
                "newStarts": new_starts(),
            },
            "additionalProperties": false,
        },
        "Pruned": {
            "type": "object",
            "required": ["removed", "unreferenced"],
            "properties": {
                "removed": { "type": "array", "items": { "type": "string" } },
                "unreferenced": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Those that nothing in this task hub refers to any more.",
                },
            },
            "additionalProperties": false,
        },
        "ExportLine": { "type": "object", "required": ["kind"], "properties": { "kind": { "type": "string" } } },
        "Imported": {
            "type": "object",
            "required": ["instances", "versions", "waiting"],
            "properties": {
                "instances": { "type": "array", "items": { "type": "string" } },
                "waiting": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["instanceId", "on"],
                        "properties": {
                            "instanceId": { "type": "string" },
                            "on": { "type": "array", "items": { "type": "string" } },
                        },
                        "additionalProperties": false,
                    },
                    "description": "Instances that wait for sub-orchestrations or entities that are not in the task hub, or have \
                                    ended there, and so do not report to them.",
                },
                "versions": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Versions that were not deployed before.",
                },
            },
            "additionalProperties": false,
        },
        "Difference": difference(),
        "ReplayProgress": replay_progress(),
        "AppList": { "type": "array", "items": reference("App") },
        "Receipt": receipt(),
        "Health": { "type": "object", "required": ["status"], "properties": {
            "status": { "type": "string", "enum": ["ok", "unwell"] },
            "why": { "type": "string", "description": "What the host does not do, if it is not well." }
        } },
    })
}

fn administration() -> Value {
    json!({
        "Grants": grants(),
        "Hub": hub(),
        "HubList": { "type": "array", "items": reference("Hub") },
        "NewHub": new_hub(),
        "HubChange": hub_change(),
        "LimitList": { "type": "array", "items": limit() },
        "Key": key(),
        "KeyList": { "type": "array", "items": reference("Key") },
        "NewKey": {
            "type": "object",
            "required": ["name", "role"],
            "properties": { "name": KeyName::schema(), "role": role() },
            "additionalProperties": false,
        },
        "SecretList": { "type": "array", "items": SecretName::schema() },
        "AuditLog": { "type": "array", "items": audit_line() },
        "HubUsage": hub_usage(),
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
            "version": { "type": "string", "description": "The digest of the version that it runs on. Not part of Durable Functions." },
            "versionLabel": { "type": "string", "description": "What people call that version. Not part of Durable Functions." },
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
            "Version": { "type": "string", "description": "The version that the instance was moved to." },
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

/// A line of the determinism report.
fn finding() -> Value {
    json!({
        "type": "object",
        "required": ["interface", "function", "what", "calledBy"],
        "properties": {
            "interface": { "type": "string" },
            "function": { "type": "string" },
            "what": { "type": "string", "description": "What happens when it is called." },
            "calledBy": { "type": "array", "items": { "type": "string" }, "description": "The app's functions that call it, as far as they are known." },
        },
        "additionalProperties": false,
    })
}

fn function() -> Value {
    json!({
        "type": "object",
        "required": ["name", "kind"],
        "properties": { "name": { "type": "string" }, "kind": { "type": "string", "enum": ["orchestrator", "activity", "entity"] } },
        "additionalProperties": false,
    })
}

fn version_list() -> Value {
    let version = json!({
        "type": "object",
        "required": ["version", "label", "deployedAt", "active", "weight", "size", "instances", "functions"],
        "properties": {
            "version": { "type": "string", "description": "The SHA-256 digest of the deployed file." },
            "label": { "type": "string" },
            "deployedAt": { "type": "string", "format": "date-time" },
            "active": { "type": "boolean" },
            "weight": { "type": "integer", "description": "Its share of new starts. All have 0: they go to the active one." },
            "size": { "type": "integer", "description": "Bytes of the deployed file." },
            "instances": { "type": "integer", "description": "Orchestrations that have not ended and run on it." },
            "functions": { "type": "array", "items": function() },
        },
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "required": ["app", "versions"],
        "properties": { "app": { "type": "string" }, "versions": { "type": "array", "items": version } },
        "additionalProperties": false,
    })
}

fn difference() -> Value {
    let changed = json!({
        "type": "object",
        "required": ["name", "from", "to"],
        "properties": { "name": { "type": "string" }, "from": { "type": "string" }, "to": { "type": "string" } },
        "additionalProperties": false,
    });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["app", "from", "to", "functions", "imports"],
        "properties": {
            "app": text(),
            "from": text(),
            "to": text(),
            "functions": {
                "type": "object",
                "required": ["added", "removed", "changed"],
                "properties": { "added": list(function()), "removed": list(function()), "changed": list(changed) },
                "additionalProperties": false,
            },
            "imports": {
                "type": "object",
                "required": ["added", "removed"],
                "properties": { "added": list(text()), "removed": list(text()) },
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
    })
}

fn replay_progress() -> Value {
    json!({
        "type": "object",
        "description": "Once `begun`, then `instance` for each instance, at the end `done`. A stream without that was cut off.",
        "required": ["kind"],
        "properties": {
            "kind": { "type": "string", "enum": ["begun", "instance", "done"] },
            "app": { "type": "string" },
            "version": { "description": "begun: the version that is checked, or moved to. instance: the one that it ran on." },
            "instances": { "type": "integer" },
            "instanceId": { "type": "string" },
            "name": { "type": "string" },
            "events": { "type": "integer", "description": "Events that were replayed." },
            "result": { "type": "string", "enum": ["passed", "migrated", "diverged", "refused", "gone"] },
            "position": { "type": "integer", "description": "Where in the history, counted from 0, the two part." },
            "recorded": { "type": "string" },
            "attempted": { "type": "string" },
            "why": { "type": "string" },
            "passed": { "type": "integer" },
            "migrated": { "type": "integer" },
            "diverged": { "type": "integer" },
            "refused": { "type": "integer" },
            "gone": { "type": "integer" },
            "seconds": { "type": "number" },
        },
        "additionalProperties": false,
    })
}

fn app() -> Value {
    json!({
        "type": "object",
        "required": ["app", "version", "label", "functions"],
        "properties": {
            "app": { "type": "string" },
            "version": { "type": "string", "description": "The SHA-256 digest of the deployed file." },
            "label": { "type": "string" },
            "functions": { "type": "array", "items": function() },
            "changed": { "type": "boolean", "description": "Whether new starts go elsewhere than before. Only after a change." },
            "active": { "type": "boolean", "description": "Whether it is the active version. Only after a change." },
            "report": {
                "type": "array",
                "items": finding(),
                "description": "What the version imports that traps in its orchestrators and entities. Only after a deployment.",
            },
            "formerLabel": { "type": "string", "description": "What it was called before this deployment." },
            "labelTakenFrom": { "type": "string", "description": "The version that had the label before, and has none now." },
            "newStarts": new_starts(),
        },
        "additionalProperties": false,
    })
}

fn new_starts() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["version", "label", "percent"],
            "properties": { "version": { "type": "string" }, "label": { "type": "string" }, "percent": { "type": "number" } },
            "additionalProperties": false,
        },
        "description": "Which versions get new starts now, and how many of 100. Only after a change.",
    })
}

fn named_version() -> Value {
    json!({
        "type": "object",
        "required": ["version", "label"],
        "properties": { "version": { "type": "string" }, "label": { "type": "string" } },
        "additionalProperties": false,
    })
}

fn grants() -> Value {
    let hosts = json!({ "type": "array", "items": { "type": "string" }, "description": "`[scheme://]host[:port]`, `*.example.org`, an address." });
    let directory = json!({
        "type": "object",
        "required": ["guest", "host"],
        "properties": {
            "guest": { "type": "string", "description": "The path at which activities see it." },
            "host": { "type": "string", "description": "Where it is on the host." },
            "writable": { "type": "boolean" },
        },
        "additionalProperties": false,
    });
    let secret = json!({
        "type": "object",
        "properties": {
            "hosts": hosts,
            "environment": { "description": "The environment variable in which activities see it; `null` if they never do." },
        },
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "description": "What activities may reach.",
        "properties": {
            "outbound": hosts,
            "directories": { "type": "array", "items": directory },
            "environment": { "type": "object", "additionalProperties": { "type": "string" } },
            "secrets": { "type": "object", "description": "How each secret may be used.", "additionalProperties": secret },
        },
        "additionalProperties": false,
    })
}

/// What an administrator says of a hub.
fn said_of_hub() -> serde_json::Map<String, Value> {
    let members = json!({
        "limits": {
            "type": "object",
            "description": "Limits that are not those of the host's configuration, by name.",
            "additionalProperties": { "type": "integer", "minimum": 1 },
        },
        "grants": reference("Grants"),
        "appGrants": {
            "type": "object",
            "description": "What the activities of an app may reach instead.",
            "additionalProperties": reference("Grants"),
        },
    });
    members.as_object().cloned().unwrap_or_default()
}

fn hub() -> Value {
    let mut properties = said_of_hub();
    properties.extend([
        ("name".into(), HubName::schema()),
        ("createdAt".into(), json!({ "type": "string", "format": "date-time" })),
        ("suspended".into(), json!({ "description": "Why it serves nobody at present; `null` if it serves." })),
    ]);
    json!({
        "type": "object",
        "required": ["name", "createdAt", "suspended", "limits", "grants", "appGrants"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn new_hub() -> Value {
    let mut properties = said_of_hub();
    properties.insert("name".into(), HubName::schema());
    json!({ "type": "object", "required": ["name"], "properties": properties, "additionalProperties": false })
}

fn hub_change() -> Value {
    json!({
        "type": "object",
        "description": "What is absent stays as it is.",
        "properties": {
            "limits": { "type": "object", "description": "New values by name; `null` for that of the host's configuration." },
            "grants": { "description": "`Grants` in the place of the former; `null` for none." },
            "appGrants": { "type": "object", "description": "`Grants` by app; `null` for those of the hub." },
            "suspended": { "description": "Why the hub is to serve nobody; `null` resumes it." },
        },
        "additionalProperties": false,
    })
}

fn limit() -> Value {
    json!({
        "type": "object",
        "required": ["name", "value", "default", "unit", "then", "what"],
        "properties": {
            "name": { "type": "string" },
            "value": { "type": "integer", "minimum": 1 },
            "default": { "type": "integer", "minimum": 1, "description": "That of the host's configuration." },
            "unit": { "type": "string" },
            "then": {
                "type": "string",
                "description": "What becomes of whoever meets it.",
                "enum": ["too-large", "try-later", "forbidden", "no-room", "fails", "waits", "dropped"],
            },
            "what": { "type": "string" },
        },
        "additionalProperties": false,
    })
}

fn role() -> Value {
    json!({ "type": "string", "enum": Role::ALL.map(Role::name), "description": "Each includes those before it." })
}

fn key() -> Value {
    json!({
        "type": "object",
        "required": ["name", "hub", "role", "createdAt", "lastUsedAt"],
        "properties": {
            "name": KeyName::schema(),
            "hub": { "type": "string", "description": "`*` for a key of the host." },
            "role": role(),
            "createdAt": { "type": "string", "format": "date-time" },
            "lastUsedAt": { "description": "To the minute, about; `null` if it never was." },
            "key": { "type": "string", "description": "The key itself: only in the answer that makes it." },
        },
        "additionalProperties": false,
    })
}

fn audit_line() -> Value {
    json!({
        "type": "object",
        "required": ["number", "at", "actor", "hub", "action", "denied", "details"],
        "properties": {
            "number": { "type": "integer", "minimum": 1 },
            "at": { "type": "string", "format": "date-time" },
            "actor": {
                "type": "string",
                "description": "A key as `HUB/NAME`, `*/NAME` if it is one of the host; `dev` where no keys are needed; `offline` on \
                                the data directory itself; `host`.",
            },
            "hub": { "type": "string", "description": "What it was done to; `*` for the host." },
            "action": { "type": "string" },
            "denied": { "type": "boolean", "description": "It was refused, and nothing was done." },
            "details": { "description": "What was given; never a key or a secret." },
        },
        "additionalProperties": false,
    })
}

fn hub_usage() -> Value {
    let function = json!({
        "type": "object",
        "required": [
            "name", "kind", "executions", "failures", "turns", "replayedEvents", "fuel", "activityMicros", "bytesIn", "bytesOut",
        ],
        "properties": {
            "name": { "type": "string", "description": "As it was first called. `@others`: those beyond the first 1,000 names." },
            "kind": { "type": "string", "enum": ["orchestrator", "activity", "entity", ""], "description": "Empty for `@others`." },
            "executions": count("Executions of an orchestrator that have begun, operations of an entity, attempts of an activity."),
            "failures": count("Of these, those that have failed or were cut off. Not counted for entities."),
            "turns": count("Turns of an orchestrator or an entity."),
            "replayedEvents": count("Events that were replayed to bring an orchestrator back into memory."),
            "fuel": count("About one unit for each wasm instruction, replays included. Not counted for activities."),
            "activityMicros": count("Microseconds that attempts of an activity have had their places, to compute or to wait."),
            "bytesIn": count("Bytes of payload taken in."),
            "bytesOut": count("Bytes of payload given out."),
        },
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "required": [
            "hub", "since", "open", "instances", "storageBytes", "requests", "throttled", "outboundBytesIn", "outboundBytesOut",
            "functions",
        ],
        "properties": {
            "hub": { "type": "string" },
            "since": { "type": "string", "format": "date-time", "description": "When it was created." },
            "open": { "type": "boolean", "description": "Whether it is in memory at present." },
            "instances": { "type": ["integer", "null"], "description": "Instances in it, of whatever status; `null` if it is not open." },
            "storageBytes": count("Bytes that it has on disk."),
            "requests": count("Requests to it that came with a key of it."),
            "throttled": count("Of these, those that were refused because of a limit, with the status 429."),
            "outboundBytesIn": count("Bytes that outgoing HTTP requests of its functions have received, as they went over their connections."),
            "outboundBytesOut": count("The same that were sent."),
            "functions": { "type": "array", "items": function, "description": "By name." },
        },
        "additionalProperties": false,
    })
}

fn receipt() -> Value {
    json!({
        "type": "object",
        "required": [
            "name", "instanceId", "turns", "replayedEvents", "fuel", "operations", "activities", "activityMicros", "bytesIn",
            "bytesOut",
        ],
        "properties": {
            "name": { "type": "string" },
            "instanceId": { "type": "string" },
            "turns": count("Its turns."),
            "replayedEvents": count("Events that were replayed to bring it back into memory."),
            "fuel": count("About one unit for each wasm instruction, replays included."),
            "operations": count("Operations of an entity."),
            "activities": count("Attempts of its activities whose results it has taken in."),
            "activityMicros": count("Microseconds that these have taken, to compute or to wait."),
            "bytesIn": count("Bytes of payload taken in."),
            "bytesOut": count("Bytes of payload given out."),
        },
        "additionalProperties": false,
    })
}

/// A number that only grows.
fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
