//! Checks that a response is one that the OpenAPI document declares.

use std::sync::LazyLock;

use axum::http::Method;
use serde_json::Value;

use super::Answer;
use crate::api::table::{lookup, openapi};

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// Panics unless the route of the request declares the response. Responses to requests without a route are not checked.
#[track_caller]
pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let segments = path.split('?').next().map(lookup::split).unwrap().unwrap_or_default();
    let Some(found) = lookup::find(&method, &segments) else { return };
    let status = answer.status.as_u16().to_string();
    let documented = openapi::path(found.group, found.route);
    let response = &DOCUMENT["paths"][documented][method.as_str().to_ascii_lowercase()]["responses"][&status];
    assert!(response.is_object(), "{method} {path}: {status} is not documented");
    let Some(schema) = response["content"]["application/json"].get("schema") else { return };
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|why| panic!("{method} {path}: {why}: {}", answer.body));
    if let Err(why) = conforms(&body, schema) {
        panic!("{method} {path}: {status}: {why}: {body}");
    }
}

/// The part of JSON Schema that the document uses.
pub(super) fn conforms(value: &Value, schema: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return conforms(value, resolve(reference).ok_or_else(|| format!("{reference} does not exist"))?);
    }
    if let Some(alternatives) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let fits = alternatives.iter().any(|alternative| conforms(value, alternative).is_ok());
        return if fits { Ok(()) } else { Err(format!("none of {schema}")) };
    }
    let wanted = &schema["type"];
    let mut types = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice).iter().filter_map(Value::as_str);
    if !wanted.is_null() && !types.any(|wanted| is_a(value, wanted)) {
        return Err(format!("{value} is no {wanted}"));
    }
    let listed = schema["enum"].as_array().is_none_or(|listed| listed.contains(value));
    if !listed || schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{value} is not one of {schema}"));
    }
    if let Some(number) = value.as_f64()
        && (schema["minimum"].as_f64().is_some_and(|min| number < min)
            || schema["maximum"].as_f64().is_some_and(|max| number > max))
    {
        return Err(format!("{value} is out of range"));
    }
    if let Some(items) = schema.get("items") {
        return value.as_array().into_iter().flatten().try_for_each(|item| conforms(item, items));
    }
    value.as_object().map_or(Ok(()), |members| conforms_by_member(members, schema))
}

fn conforms_by_member(members: &serde_json::Map<String, Value>, schema: &Value) -> Result<(), String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !members.contains_key(*name)) {
        return Err(format!("{missing} is missing"));
    }
    members.iter().try_for_each(|(name, value)| match schema["properties"].get(name) {
        Some(schema) => conforms(value, schema).map_err(|why| format!("{name}: {why}")),
        None if schema["additionalProperties"] == false => Err(format!("{name} is not documented")),
        None => conforms(value, &schema["additionalProperties"]).map_err(|why| format!("{name}: {why}")),
    })
}

pub(super) fn resolve(reference: &str) -> Option<&'static Value> {
    DOCUMENT.pointer(reference.strip_prefix('#')?)
}

fn is_a(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => panic!("the document uses the type {wanted}"),
    }
}

#[test]
fn what_does_not_conform_is_found() {
    let wrong = [
        serde_json::json!({ "Message": "m" }),
        serde_json::json!({ "Message": "m", "ExceptionMessage": 1 }),
        serde_json::json!([]),
    ];
    for value in wrong {
        assert!(conforms(&value, resolve("#/components/schemas/Error").unwrap()).is_err(), "{value}");
    }
    assert!(
        conforms(&serde_json::json!({ "instancesDeleted": -1 }), resolve("#/components/schemas/PurgeResult").unwrap()).is_err()
    );
    assert!(conforms(&serde_json::json!([{ "app": "a" }]), resolve("#/components/schemas/AppList").unwrap()).is_err());
}
