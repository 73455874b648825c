//! The document of the API says what the table of routes says, and is sound.

use std::collections::HashSet;

use serde_json::Value;

use super::Host;
use super::conformance::{conforms, resolve};
use crate::api::table::GROUPS;
use crate::api::table::openapi::{document, path};

/// Every operation, with its path and method.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.collect()
}

#[tokio::test]
async fn it_is_served() {
    let host = Host::open();
    let answer = host.get("/OpenAPI.json").await;
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    answer.is(200, document());
    host.close().await;
}

#[test]
fn every_route_is_there_and_nothing_else() {
    let document = document();
    let mut expected: Vec<(String, String, &str)> = GROUPS
        .iter()
        .flat_map(|group| {
            group.routes.iter().map(move |route| (path(group, route), route.method.as_str().to_lowercase(), route.operation))
        })
        .collect();
    let mut found: Vec<_> = operations(&document)
        .into_iter()
        .map(|(path, method, operation)| (path.to_owned(), method.to_owned(), operation["operationId"].as_str().unwrap()))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let names: HashSet<&str> = found.iter().map(|(_, _, operation)| *operation).collect();
    assert_eq!(names.len(), found.len(), "names of operations are unique");
}

#[test]
fn parameters_are_complete_and_their_examples_are_right() {
    let document = document();
    for (path, _, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().unwrap();
        let mut names = HashSet::new();
        for parameter in parameters {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            assert!(names.insert((name.to_lowercase(), &parameter["in"])), "{path}: {name} stands there twice");
            assert!(parameter["description"].as_str().is_some_and(|text| text.ends_with('.')), "{path}: {name}");
            assert!(schema["type"].is_string(), "{path}: {name}");
            for value in [Some(&parameter["example"]), schema.get("default")].into_iter().flatten() {
                conforms(value, schema).unwrap_or_else(|why| panic!("{path}: {name}: {why}"));
            }
            assert_eq!(parameter["in"] == "path", path.contains(&format!("{{{name}}}")), "{path}: {name}");
        }
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        assert_eq!(in_path.count(), path.matches('{').count(), "{path}: every placeholder is a parameter");
    }
}

#[test]
fn answers_are_complete_and_every_reference_leads_somewhere() {
    fn check(value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    assert!(resolve(reference.as_str().unwrap()).is_some(), "{reference}");
                }
                members.values().for_each(check);
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    let document = document();
    check(&document);
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        assert!(responses.keys().any(|status| status.starts_with('4')), "{method} {path}");
        assert!(responses.values().all(|response| response["description"].is_string()), "{method} {path}");
    }
}
