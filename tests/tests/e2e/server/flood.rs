//! More connections than the host accepts.

use std::time::{Duration, Instant};

use dacapo_tests::wire::{Wire, statuses};

use super::*;

const STRANGER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const REQUEST: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn connections_that_ask_for_nothing_give_way() {
    let (host, _directory) = host(&["http.connections=32"]);
    let mut flood: Vec<Wire> = (0..100).map(|_| Wire::open(host.url()).unwrap()).collect();
    serves(&host);
    let mut first = flood.remove(0);
    assert_eq!(first.read_to_end().unwrap(), "", "the oldest was closed");
    let mut last = flood.pop().unwrap();
    last.send(REQUEST).unwrap();
    assert_eq!(statuses(&last.read_answer().unwrap()), [200], "the youngest was not");
}

#[test]
fn one_address_cannot_take_the_place_of_others() {
    let (host, _directory) = host(&["http.connections=64", "http.connections_per_address=16"]);
    let mut honest = Wire::open(host.url()).unwrap();
    let mut flood: Vec<Wire> = (0..100).map(|_| Wire::open_from(STRANGER, host.url()).unwrap()).collect();
    let refused = flood.pop().unwrap().read_to_end().unwrap();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"), "{refused}");
    // A connection of another address that is older than the flood still works, too.
    honest.send(REQUEST).unwrap();
    assert_eq!(statuses(&honest.read_answer().unwrap()), [200]);
    serves(&host);
    drop(flood);
    while Wire::open_from(STRANGER, host.url()).and_then(|mut wire| wire.send(REQUEST).and_then(|()| wire.read_answer())).is_err()
    {
        std::thread::yield_now();
    }
}

/// The host once waited for the bodies of connections without a key, for as long as a client may stall, and refused all others
/// when there were many.
#[test]
fn who_has_no_key_is_told_before_the_body_has_come() {
    let (host, _directory) = Host::temporary_locked(&[]).unwrap();
    let head = |key: &str| {
        let path = "/runtime/webhooks/durabletask/orchestrators/nothing";
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{key}content-length: 1000000\r\n\r\n")
    };
    let strangers = [head(""), head("x-functions-key: dcp_wrong\r\n"), head("").replace("orchestrators", "nowhere")];
    for (head, status) in strangers.iter().zip([401, 401, 404]) {
        let mut wire = Wire::open(host.url()).unwrap();
        wire.send(head).unwrap();
        assert_eq!(statuses(&wire.read_to_end().unwrap()), [status], "{head}");
    }
}

/// Bodies that never end keep their reservations. Of 50,000 bytes, a task hub may take half.
#[test]
fn bodies_that_take_all_memory_are_told_when_to_come_again() {
    let (host, _directory) = host(&["http.bodies_bytes=50000"]);
    let made = host.request("POST", "/admin/hubs", Some(br#"{"name":"other"}"#)).unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let module = [b'x'; 9_000];
    let hold = || {
        let mut wire = Wire::open(host.url()).unwrap();
        let head = "POST /admin/apps/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9001\r\n\r\n";
        wire.send(format!("{head}{}", "x".repeat(module.len()))).unwrap();
        wire
    };
    let deploy = |hub: &str| host.request("POST", &format!("/admin/apps/a?taskHub={hub}"), Some(&module)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut held = Vec::new();
    let full = loop {
        // Two fill the hub's half. One that arrives while the deployment is read may be refused in its place, so the loop does
        // not end after a fixed number.
        held.push(hold());
        let answer = deploy("TESTHUBNAME");
        if answer.status == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    };
    assert_eq!(full.header("retry-after"), Some("1"), "{full:?}");
    assert!(full.body.contains("http.bodies_bytes"), "{full:?}");
    let other = deploy("other");
    assert_eq!(other.status, 400, "the other hub may send a body, and the file is not a module: {other:?}");
    drop(held);
    while deploy("TESTHUBNAME").status != 400 {
        assert!(Instant::now() < deadline, "the reservations of closed connections are not released");
    }
}
