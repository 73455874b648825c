//! Clients that stall.

use dacapo_tests::wire::{Wire, statuses};

use super::*;

const BASE: &str = "/runtime/webhooks/durabletask";

#[test]
fn a_head_that_does_not_end() {
    let (host, _directory) = host(&["http.head_seconds=1"]);
    for begun in ["", "G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-padding: 1\r\n"] {
        assert_eq!(all_answers(&host, begun), "", "{begun}");
    }
    assert!(host.logged("Head", 1) > 0, "{}", host.log());
    serves(&host);
}

#[test]
fn a_body_that_does_not_end() {
    let (host, _directory) = host(&["http.stall_seconds=1"]);
    let head = format!("POST {BASE}/orchestrators/any HTTP/1.1\r\nhost: localhost\r\n");
    for begun in
        ["content-length: 1000\r\n\r\n", "content-length: 1000\r\n\r\n\"x", "transfer-encoding: chunked\r\n\r\n5\r\n\"xx"]
    {
        assert_eq!(all_answers(&host, format!("{head}{begun}")), "", "{begun}");
    }
    assert!(host.logged("Body", 1) > 0, "{}", host.log());
    serves(&host);
}

#[test]
fn an_answer_that_is_not_taken() {
    let (host, _directory) = host(&["http.stall_seconds=1"]);
    let mut wire = Wire::open(host.url()).unwrap();
    // More than all buffers in between can hold: requests are sent until the host reads no more.
    let request = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let asked = (0..4_000).take_while(|_| wire.send(request).is_ok()).count();
    while !host.log().contains("Answer") {
        std::thread::yield_now();
    }
    assert!(statuses(&wire.read_to_end().unwrap()).len() < asked);
    serves(&host);
}

#[test]
fn a_connection_that_is_not_used() {
    let (host, _directory) = host(&["http.idle_seconds=1"]);
    let answers = all_answers(&host, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(statuses(&answers), [200]);
    assert!(host.logged("Idle", 1) > 0, "{}", host.log());
}

/// Waiting for a start's result, or for a stream without events, does not count as stalling.
#[test]
fn who_waits_for_the_host_is_not_cut_off() {
    let (host, _directory) = host(&["http.stall_seconds=1", "http.idle_seconds=1", "http.head_seconds=1"]);
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("wait_event", serde_json::json!("go")).unwrap();
    let mut stream = Wire::open(host.url()).unwrap();
    stream.send(format!("GET {BASE}/instances/{id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n")).unwrap();
    let waits = format!("{BASE}/orchestrators/wait_event?timeout=4&pollingInterval=1");
    assert_eq!(host.request("POST", &waits, Some(b"\"never\"")).unwrap().status, 202);
    host.raise_event(&id, "go", serde_json::json!("at last")).unwrap();
    let events = stream.read_to_end().unwrap();
    assert!(events.contains("Completed"), "{events}");
}
