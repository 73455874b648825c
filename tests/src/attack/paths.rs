//! Names with a meaning for a file system, a shell, a header or a web page, wherever a route takes a name.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::Value;

use super::attacker::{Attacker, Tally};
use super::attacks::Played;
use crate::connection::Answer;

const NAMES: [&str; 12] = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cetc",
    "%2fetc%2fpasswd",
    "%00",
    "a%00b",
    "a%0d%0aset-cookie:%20x=1",
    ".",
    "..",
    "hubs%2fTestHubName.redb",
    "control.redb",
    "%3cscript%3e",
    "%ff%fe",
];

/// An operation of the OpenAPI document.
pub struct Operation {
    pub method: Method,
    /// The path with its parameters in braces.
    pub path: String,
}

impl Operation {
    /// Returns all operations of the document.
    pub async fn all(attacker: &Attacker) -> Result<Vec<Self>> {
        let answer = attacker.connect().await?.send(Method::GET, "/openapi.json", "").await?;
        let document: Value = serde_json::from_slice(&answer.body)?;
        let paths = document["paths"].as_object().context("the document has paths")?;
        let mut operations = Vec::new();
        for (path, item) in paths {
            for method in item.as_object().context("a path has operations")?.keys() {
                if let Ok(method) = method.to_uppercase().parse() {
                    operations.push(Self { method, path: path.clone() });
                }
            }
        }
        Ok(operations)
    }

    /// Returns the path with each parameter replaced.
    pub fn filled(&self, fill: impl Fn(&str) -> String) -> String {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => fill(name),
            None => segment.to_owned(),
        };
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }
}

pub fn names(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let operations = Operation::all(&attacker).await?;
        let mut connection = attacker.connect().await?;
        for name in NAMES {
            for operation in &operations {
                let in_path = operation.filled(|_| name.to_owned());
                let in_query = format!("{}?taskHub={name}", operation.filled(|_| "nobody".to_owned()));
                let tried = [Some(in_path).filter(|_| operation.has_parameters()), Some(in_query)];
                for path in tried.into_iter().flatten() {
                    let answer = connection.send(operation.method.clone(), &path, "").await?;
                    let held = is_harmless(operation, &path, &answer);
                    tally.count(&if held { answer.status.to_string() } else { format!("{} {path}", answer.status) }, held);
                }
            }
        }
        Ok(())
    })
}

/// Whether the request had no effect: it was refused, or returned an empty list. A route that takes no name behaves as usual.
fn is_harmless(operation: &Operation, path: &str, answer: &Answer) -> bool {
    let reads = operation.method == Method::GET && answer.status == 200;
    let names_nothing = !operation.has_parameters() && path.contains("?taskHub=");
    (400..500).contains(&answer.status) || reads && (names_nothing || answer.body == "[]")
}
