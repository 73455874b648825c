//! The schemas of the bodies that the API sends and takes, made from the types that are written and read. The tests hold every
//! answer that they get against them.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::api::content::history;
use crate::api::content::links::CheckStatus;
use crate::api::content::status::StatusBody;
use crate::api::error::ErrorBody;
use crate::api::handlers::administration::{HubBody, HubChange, LimitBody, NewHub};
use crate::api::handlers::apps::{
    AppBody, DeploymentProgress, DifferenceBody, PrunedBody, ReplayProgressBody, RolledBackBody, UndeployedBody, VersionList,
};
use crate::api::handlers::audit::LineBody;
use crate::api::handlers::entities::EntityBody;
use crate::api::handlers::health::Health;
use crate::api::handlers::keys::{KeyBody, NewKey};
use crate::api::handlers::messages::OutcomeBody;
use crate::api::handlers::purge::PurgeResult;
use crate::api::handlers::queues::{CountBody, EnqueuedBody, MessageBody, QueueBody};
use crate::api::handlers::schedules::{BackfilledBody, ScheduleBody, SummaryBody, TriggeredBody};
use crate::api::handlers::transfer::Imported;
use crate::api::handlers::usage::{Bill, Receipt};
use crate::api::request::parameter::{FromText as _, SecretName};
use crate::export;
use crate::schedules::Specification;

/// All of them, by name.
pub(in crate::api) fn schemas() -> Map<String, Value> {
    let mut schemas = untyped();
    schemas.extend(sent());
    // What is both taken and sent, such as grants, is described as it may be taken: with members that can be left out.
    schemas.extend(taken());
    schemas
}

/// Those of bodies that are of more than one type, or of none.
fn untyped() -> Map<String, Value> {
    let schemas = json!({
        "Any": { "description": "Any JSON." },
        "Object": { "type": "object" },
        "ErrorText": { "type": "string" },
        "ErrorOrText": { "anyOf": [reference("Error"), reference("ErrorText")] },
        "ErrorOrStatus": { "anyOf": [reference("Error"), reference("InstanceStatus")] },
        "SecretList": { "type": "array", "items": SecretName::schema() },
    });
    schemas.as_object().cloned().unwrap_or_default()
}

fn sent() -> Map<String, Value> {
    let mut schemas = Schemas::new(SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(as_sent)));
    schemas.add::<ErrorBody>();
    schemas.add::<CheckStatus>();
    schemas.add::<StatusBody>();
    schemas.add_list::<StatusBody>("InstanceList");
    schemas.add::<history::Entry>();
    schemas.add::<PurgeResult>();
    schemas.add_list::<EntityBody>("EntityList");
    schemas.add::<AppBody>();
    schemas.add_list::<AppBody>("AppList");
    schemas.add::<VersionList>();
    schemas.add::<OutcomeBody>();
    schemas.add::<UndeployedBody>();
    schemas.add::<DeploymentProgress>();
    schemas.add::<RolledBackBody>();
    schemas.add::<PrunedBody>();
    schemas.add::<export::Line>();
    schemas.add::<Imported>();
    schemas.add::<DifferenceBody>();
    schemas.add::<ReplayProgressBody>();
    schemas.add::<Receipt>();
    schemas.add::<Health>();
    schemas.add::<HubBody>();
    schemas.add_list::<HubBody>("HubList");
    schemas.add_list::<LimitBody>("LimitList");
    schemas.add::<KeyBody>();
    schemas.add_list::<KeyBody>("KeyList");
    schemas.add_list::<LineBody>("AuditLog");
    schemas.add::<Bill>();
    schemas.add::<EnqueuedBody>();
    schemas.add::<CountBody>();
    schemas.add_list::<QueueBody>("QueueList");
    schemas.add_list::<MessageBody>("MessageList");
    schemas.add::<ScheduleBody>();
    schemas.add_list::<SummaryBody>("ScheduleList");
    schemas.add::<TriggeredBody>();
    schemas.add::<BackfilledBody>();
    schemas.finish()
}

fn taken() -> Map<String, Value> {
    let mut schemas = Schemas::new(SchemaSettings::draft2020_12());
    schemas.add::<NewHub>();
    schemas.add::<HubChange>();
    schemas.add::<NewKey>();
    schemas.add::<Specification>();
    schemas.finish()
}

/// Schemas that are made from types, with those that they refer to.
struct Schemas {
    generator: SchemaGenerator,
    lists: Map<String, Value>,
}

impl Schemas {
    fn new(settings: SchemaSettings) -> Self {
        let settings = settings.with(|settings| settings.definitions_path = "/components/schemas".into());
        let generator = settings.with_transform(RecursiveTransform(as_described)).into_generator();
        Self { generator, lists: Map::new() }
    }

    /// Under the name that the type gives itself.
    fn add<T: JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
    }

    fn add_list<T: JsonSchema>(&mut self, name: &str) {
        let list = self.generator.subschema_for::<Vec<T>>();
        self.lists.insert(name.into(), list.into());
    }

    fn finish(mut self) -> Map<String, Value> {
        self.lists.extend(self.generator.take_definitions(true));
        self.lists
    }
}

/// A comment has lines. A default is left to the description: what is absent need not be as if it were the default.
fn as_described(schema: &mut Schema) {
    schema.remove("default");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Nothing is sent but what the type has, and what may be absent is never `null`.
fn as_sent(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let required = object.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|required| required == name));
    let Some(Value::Object(members)) = object.get_mut("properties") else { return };
    members.iter_mut().filter(|(name, _)| !is_required(name)).for_each(|(_, member)| forbid_null(member));
    object.insert("additionalProperties".into(), false.into());
}

fn forbid_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    // An optional reference is one of these two.
    if let Some([referred, Value::Object(null)]) = schema["anyOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
    {
        let referred = referred["$ref"].clone();
        schema["$ref"] = referred;
        schema.as_object_mut().expect("it has a member").remove("anyOf");
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
