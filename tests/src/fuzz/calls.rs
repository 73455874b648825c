//! Bytes as the calls of a guest: the orchestrator `babble` of the app `fixture-hostile` makes these calls, with any arguments,
//! and is replayed at every turn. It may end in any way, but as it repeats the same calls, it must not seem to diverge.

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::host::answer;

/// A guest can make no more calls in a second or two.
const BYTES_MAX: usize = 512;

#[derive(Deserialize)]
struct Started {
    id: String,
}

pub fn target(data: &[u8]) {
    let program = json!(&data[..data.len().min(BYTES_MAX)]).to_string();
    let start = "/runtime/webhooks/durabletask/orchestrators/babble?timeout=0.2&pollingInterval=0.1";
    let request = Request::post(start).header("content-type", "application/json").body(Body::from(program));
    let (status, body) = answer(request.expect("it is a request"));
    assert!(matches!(status.as_u16(), 200 | 202), "{status}: {}", String::from_utf8_lossy(&body));
    // The orchestrator's output is returned as it is, and `9e999` is valid JSON although no `Value` can hold it.
    serde_json::from_slice::<&RawValue>(&body).expect("it is JSON");
    if status.as_u16() == 202 {
        let Started { id } = serde_json::from_slice(&body).expect("it is the answer to a start");
        let show = format!("/runtime/webhooks/durabletask/instances/{id}");
        let (_, shown) = answer(Request::get(show).body(Body::empty()).expect("it is a request"));
        let shown = String::from_utf8_lossy(&shown);
        assert!(!shown.contains("\"runtimeStatus\":\"Suspended\""), "it is halted: {shown}");
        let end = format!("/runtime/webhooks/durabletask/instances/{id}/terminate");
        answer(Request::post(end).body(Body::empty()).expect("it is a request"));
    }
}
