//! The OpenAPI document of the API, made from the table of routes.

use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::access::Needs;
use crate::api::admission::body::BodyKind;
use crate::api::content::json::JSON;
use crate::api::error::ApiError;
use crate::api::handlers::apps::LINES;
use crate::api::request::Call;
use crate::api::request::parameter::{About, Location, PATH_PARAMETERS};
use crate::api::request::route::{Answer, Group, Route, Sends};
use crate::api::table::GROUPS;
use crate::api::table::schema::schemas;

/// `GET openapi.json`
pub(in crate::api) async fn serve(_call: Call) -> Result<Response, ApiError> {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_string());
    Ok((StatusCode::OK, [(CONTENT_TYPE, JSON)], document.as_str()).into_response())
}

pub(in crate::api) fn document() -> Value {
    let mut paths = Map::new();
    for group in GROUPS {
        for route in group.routes {
            let item = paths.entry(path(group, route)).or_insert_with(|| json!({}));
            item[route.method.as_str().to_ascii_lowercase()] = operation(group, route);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dacapo",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durable orchestrations and entities over HTTP: the management API of Durable Functions, and the host's \
                            own. Paths and names of parameters ignore case; parameters that are not listed are ignored, and one \
                            without a value is as if it were not there. A value that a listed parameter cannot have is refused \
                            with 400 and named. Durable Functions ignores such a value; but then a misspelt \
                            status would purge everything. Times are read as .NET reads them: \
                            `2026-01-31T12:00:00Z`, `2026-01-31 12:00`, `1/31/2026 12:00:00 PM` (the month first), \
                            `Sat, 31 Jan 2026 12:00:00 GMT`, a date alone; without a zone they are UTC.",
        },
        "servers": [{ "url": "/" }],
        "tags": GROUPS.iter().map(|group| tag(group)).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "schemas": schemas(), "securitySchemes": security_schemes() },
        "security": security(),
    })
}

fn tag(group: &Group) -> Value {
    let aliases: Vec<String> = group.bases[1..].iter().map(|base| format!("`/{base}`")).collect();
    let description = match aliases.is_empty() {
        true => group.description.to_owned(),
        false => format!("{} The same routes stand below {}.", group.description, aliases.join(" and ")),
    };
    json!({ "name": group.name, "description": description })
}

pub(in crate::api) fn path(group: &Group, route: &Route) -> String {
    match group.bases[0] {
        "" => format!("/{}", route.pattern),
        base => format!("/{base}/{}", route.pattern),
    }
}

fn operation(group: &Group, route: &Route) -> Value {
    let in_pattern = route.placeholders().filter_map(|name| PATH_PARAMETERS.iter().find(|about| about.name == name));
    let parameters = in_pattern.chain(group.parameters).chain(route.parameters).map(|about| parameter(about));
    let mut operation = json!({
        "operationId": route.operation,
        "tags": [group.name],
        "summary": route.summary,
        "description": describe(route.needs),
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": responses(group, route),
    });
    if route.needs == Needs::Nothing {
        operation["security"] = json!([]);
    }
    if let Some(body) = request_body(route.takes) {
        operation["requestBody"] = body;
    }
    operation
}

/// Who may.
fn describe(needs: Needs) -> String {
    match needs {
        Needs::Nothing => "Needs no key.".into(),
        Needs::Key => "Needs any key.".into(),
        Needs::Hub(role) => format!("Needs a key of the task hub, or of the host, with the role `{role}`."),
        Needs::Instance(role) => {
            format!("Needs a key of the task hub, or of the host, with the role `{role}`, or a link of the instance.")
        }
        Needs::Host(role) => format!("Needs a key of the host with the role `{role}`."),
    }
}

fn parameter(about: &About) -> Value {
    let mut schema = (about.schema)();
    if let Some(default) = about.default {
        schema["default"] = typed(default, &schema);
    }
    let location = match about.location {
        Location::Path => "path",
        Location::Query => "query",
        Location::Header => "header",
    };
    let mut parameter = json!({
        "name": about.name,
        "in": location,
        "required": about.required,
        "description": about.description,
        "example": typed(about.example, &schema),
        "schema": schema,
    });
    if about.repeated {
        // A list with commas.
        parameter["style"] = json!("form");
        parameter["explode"] = json!(false);
    }
    parameter
}

/// A text of a query as the value that its schema says it is.
fn typed(text: &str, schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("boolean" | "integer" | "number") => text.parse().unwrap_or_else(|_| json!(text)),
        Some("array") => text.split(',').collect(),
        _ => json!(text),
    }
}

fn request_body(takes: BodyKind) -> Option<Value> {
    let json_body = json!({ "schema": reference("Any") });
    let (content, required) = match takes {
        BodyKind::Nothing => return None,
        BodyKind::Payload => (json!({ "application/json": json_body }), false),
        BodyKind::PayloadOrText => {
            (json!({ "application/json": json_body, "text/plain": { "schema": { "type": "string" } } }), false)
        }
        BodyKind::Export => (json!({ LINES: {} }), true),
        BodyKind::Module => (json!({ "application/octet-stream": {} }), true),
        BodyKind::Json(schema) => (json!({ "application/json": { "schema": reference(schema) } }), true),
        BodyKind::Secret => (json!({ "text/plain": { "schema": { "type": "string", "minLength": 1 } } }), true),
    };
    Some(json!({ "required": required, "content": content }))
}

/// The places in which a key may stand.
fn security_schemes() -> Value {
    json!({
        "code": { "type": "apiKey", "in": "query", "name": "code" },
        "header": { "type": "apiKey", "in": "header", "name": "x-functions-key" },
        "bearer": { "type": "http", "scheme": "bearer" },
    })
}

fn security() -> Value {
    json!([{ "code": [] }, { "header": [] }, { "bearer": [] }])
}

/// What a route says of a status stands above what its group says of it.
fn responses(group: &Group, route: &Route) -> Value {
    let answers = group.answers.iter().chain(route.answers);
    answers.map(|answer| (answer.status.to_string(), response(answer))).collect::<Map<_, _>>().into()
}

fn response(answer: &Answer) -> Value {
    let mut response = json!({ "description": answer.when });
    match answer.body {
        Sends::Nothing => {}
        Sends::Json(schema) => response["content"] = json!({ "application/json": { "schema": reference(schema) } }),
        Sends::Text(media_type) => response["content"] = json!({ media_type: { "schema": { "type": "string" } } }),
        // OpenAPI 3.1 has no word for the events of a stream.
        Sends::Events(schema) => {
            let description = format!("Server-sent events; the data of most is `{schema}`.");
            response["content"] = json!({ "text/event-stream": { "schema": { "type": "string", "description": description } } });
        }
        Sends::Lines(schema) => response["content"] = json!({ LINES: lines(schema) }),
        Sends::JsonOrLines(schema, of_lines) => {
            let whole = json!({ "schema": reference(schema) });
            response["content"] = json!({ "application/json": whole, LINES: lines(of_lines) });
        }
    }
    if !answer.headers.is_empty() {
        let header = |(name, description): &(&str, &str)| {
            (name.to_string(), json!({ "description": description, "schema": { "type": "string" } }))
        };
        response["headers"] = answer.headers.iter().map(header).collect::<Map<_, _>>().into();
    }
    response
}

fn lines(schema: &str) -> Value {
    json!({ "schema": { "type": "string", "description": format!("Lines of JSON, each a `{schema}`.") } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
