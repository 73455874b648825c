//! Triggers of every kind, and what they are given and give.

use std::collections::BTreeMap;

use dacapo_tests::host::{Answer, Host, request};
use dacapo_tests::languages::Subject;
use serde_json::{Value, json};

pub fn check(host: &Host, subject: &Subject) {
    requests_are_answered(host);
    if subject.answers_outcomes() {
        outcomes_are_answered(host);
    }
    messages_are_passed_on(host);
    operators_run_triggers(host);
}

fn requests_are_answered(host: &Host) {
    let mirror = |method: &str, path: &str, content_type: &str, body: Option<&[u8]>| {
        let headers = [("content-type", content_type), ("x-ask", "how are you, 1=2?")];
        host.exchange(method, &format!("/api/mirror/{path}"), &headers, body).unwrap()
    };
    let check = |answer: &Answer<Vec<u8>>, status: u16, [method, what, tag]: [&str; 3], content_type: &str, body: &[u8]| {
        let told = || format!("{answer:?}\n{}", host.log());
        assert_eq!((answer.status, &answer.body[..]), (status, body), "{}", told());
        let expected = [
            ("x-method", method),
            ("x-what", what),
            ("x-tag", tag),
            ("x-answer", "how are you, 1=2?"),
            ("content-type", content_type),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name}: {}", told());
        }
        let cookies =
            answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value.as_str());
        assert_eq!(cookies.collect::<Vec<_>>(), ["a=1; Path=/", "b=2; Path=/"], "{}", told());
    };
    let text = "Grüße, \"du\"\n".as_bytes();
    let answer = mirror("POST", "a%20desk?status=201&tag=two+words%21", "text/plain; charset=utf-8", Some(text));
    check(&answer, 201, ["POST", "a desk", "two words!"], "text/plain; charset=utf-8", text);
    let bytes: Vec<u8> = (0..=255).collect();
    let answer = mirror("POST", "bytes?status=418&tag=x&other=y", "application/octet-stream", Some(&bytes));
    check(&answer, 418, ["POST", "bytes", "x"], "application/octet-stream", &bytes);
    let answer = mirror("GET", "nothing?tag=1", "application/json", None);
    check(&answer, 200, ["GET", "nothing", "1"], "application/json", b"");
    assert_eq!(mirror("GET", "x?status=none", "text/plain", None).status, 500, "a trigger that fails");
    assert_eq!(mirror("GET", "x/y", "text/plain", None).status, 404);
    assert!(matches!(mirror("PUT", "x", "text/plain", Some(b"")).status, 404 | 405));
}

/// The response that waits for the end, or tells where to ask for it.
fn outcomes_are_answered(host: &Host) {
    let outcome = |id: &str, timeout: u32| host.request("GET", &format!("/api/outcome/{id}?timeout={timeout}"), None).unwrap();
    host.start_as("succeeds", "child", json!(21)).unwrap();
    let completed = outcome("succeeds", 60_000);
    assert_eq!((completed.status, completed.json()), (200, json!(42)), "{completed:?}");
    host.start_as("fails", "child", json!(-1)).unwrap();
    let failed = outcome("fails", 60_000);
    assert_eq!((failed.status, &failed.json()["runtimeStatus"]), (500, &json!("Failed")), "{failed:?}");
    host.start_as("waits", "mailbox", Value::Null).unwrap();
    let waiting = outcome("waits", 1);
    assert_eq!((waiting.status, waiting.header("retry-after")), (202, Some("10")), "{waiting:?}");
    let links = waiting.json();
    assert_eq!((waiting.header("location"), &links["id"]), (links["statusQueryGetUri"].as_str(), &json!("waits")));
    assert_eq!(outcome("nobody", 1).status, 404, "as the management API responds");
    let terminate = links["terminatePostUri"].as_str().unwrap().replace("{text}", "enough");
    assert_eq!(request("POST", &terminate, None).unwrap().status, 202);
    let terminated = outcome("waits", 60_000);
    assert_eq!((terminated.status, &terminated.json()["output"]), (200, &json!("enough")), "{terminated:?}");
}

/// From a queue through a trigger and its output to the next queue, whose trigger raises an event.
fn messages_are_passed_on(host: &Host) {
    host.start_as("by-queue", "mailbox", Value::Null).unwrap();
    let data = [json!({ "a": [1, 2.5, null], "b": "ü\n" }), json!("text"), json!([])];
    let letters: Value =
        ["First", "Second", "First"].iter().zip(&data).map(|(event, data)| letter("by-queue", event, data)).collect();
    let put = host.request("POST", "/runtime/webhooks/queues/letters", Some(letters.to_string().as_bytes())).unwrap();
    assert_eq!(put.status, 202, "{put:?}");
    // Messages may overtake one another.
    let seen = by_text(host.wait("by-queue").unwrap()["output"].clone());
    assert_eq!(seen, by_text(data.iter().map(|data| json!({ "data": data, "dequeueCount": 1 })).collect()), "{}", host.log());
}

/// In an order that does not depend on when they came.
fn by_text(values: Value) -> BTreeMap<String, Value> {
    let values = values.as_array().cloned().unwrap_or_default();
    values.into_iter().map(|value| (value.to_string(), value)).collect()
}

fn operators_run_triggers(host: &Host) {
    host.start_as("by-hand", "mailbox", Value::Null).unwrap();
    let run = |name: &str, input: Value| {
        let body = json!({ "input": input }).to_string();
        let answer = host.request("POST", &format!("/admin/functions/{name}"), Some(body.as_bytes())).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    run("by_hand", json!("a note, as it is: ü"));
    run("tick", Value::Null);
    run("forward", letter("by-hand", "First", &json!("third")));
    let expected = json!(["a note, as it is: ü", { "isPastDue": false }, { "data": "third", "dequeueCount": 1 }]);
    assert_eq!(by_text(host.wait("by-hand").unwrap()["output"].clone()), by_text(expected), "{}", host.log());
}

fn letter(id: &str, event: &str, data: &Value) -> Value {
    json!({ "id": id, "event": event, "data": data })
}
