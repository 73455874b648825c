//! The document of the API, as a running host serves it.

use crate::contract::{Contract, is_empty};

/// Whatever the document promises is there: no path of it is unknown to the host.
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
            // Nothing has this name, so that nothing is done, and each route but a few says so.
            let url = path.split('/').map(|segment| if segment.starts_with('{') { "nobody" } else { segment });
            let url = url.collect::<Vec<_>>().join("/");
            if operation["responses"]["200"]["content"].get("text/event-stream").is_some() && !url.contains("nobody") {
                continue; // It has no end.
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
