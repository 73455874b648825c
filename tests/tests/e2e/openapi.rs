//! The OpenAPI document, as served by a running host.

use crate::contract::{Contract, is_empty};

/// Everything that the document describes exists: the host knows each of its paths.
#[test]
fn every_documented_operation_is_answered_with_a_documented_status() {
    let contract = Contract::open(&[]);
    let document = contract.host.request("GET", "/openapi.json", None).unwrap();
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Nothing has this name, so no operation has an effect, and most routes report that.
            let url = path.split('/').map(|segment| if segment.starts_with('{') { "nobody" } else { segment });
            let url = url.collect::<Vec<_>>().join("/");
            if operation["responses"]["200"]["content"].get("text/event-stream").is_some() && !url.contains("nobody") {
                continue; // It never ends.
            }
            let answer = contract.host.request(&method.to_uppercase(), &url, None).unwrap();
            let documented = &operation["responses"][answer.status.to_string()];
            assert!(documented.is_object(), "{method} {url}: {answer:?}");
            assert!(answer.status < 500, "{method} {url}: {answer:?}");
            operations += 1;
        }
    }
    assert!(operations > 20, "{operations}");
    is_empty(&contract.send("OPTIONS", "instances", &[], b""), 404);
}
