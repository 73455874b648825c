//! The examples do what their READMEs claim.

use dacapo_tests::host::Host;
use serde_json::{Value, json};

fn host(example: &str, arguments: &[&str]) -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(arguments).unwrap();
    host.deploy_guest(&format!("example-{example}")).unwrap();
    (host, directory)
}

#[test]
fn hello_sequence_greets_in_order() {
    let (host, _directory) = host("hello-sequence", &[]);
    assert_eq!(host.output("hello_sequence", Value::Null), json!(["Hello, Tokyo!", "Hello, Seattle!", "Hello, London!"]));
    assert_eq!(host.output("HELLO_sequence", json!(["Ada"])), json!(["Hello, Ada!"]), "names compare ignoring case");
}

#[test]
fn file_index_reads_only_what_is_granted() {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("sub")).unwrap();
    std::fs::write(files.path().join("a.txt"), "hello world\nhello again\n").unwrap();
    std::fs::write(files.path().join("sub/b.md"), "hello durable world").unwrap();
    std::fs::write(files.path().join("c.bin"), [0, 159, 146, 150]).unwrap();
    std::fs::write(files.path().join("d.txt"), [0xff, 0xfe]).unwrap();
    let grant = format!("--dir=/data={}", files.path().display());
    let (host, _directory) = host("file-index", &[&grant]);
    let index = host.output("file_index", json!({ "directory": "/data" }));
    assert_eq!((&index["files"], &index["words"]), (&json!(2), &json!(7)), "{index}");
    assert_eq!(index["top_words"][0], json!({ "word": "hello", "count": 3 }));
    assert_eq!(index["skipped"].as_object().map(|skipped| skipped.len()), Some(1), "d.txt is not text: {index}");

    for outside in ["/", "/etc", "/data/.."] {
        let status = host.run("file_index", json!({ "directory": outside })).unwrap();
        let lists_nothing = status["runtimeStatus"] == "Failed" || status["output"]["files"] == 0;
        assert!(lists_nothing, "{outside} is not granted: {status}");
    }
}

#[test]
fn a_long_job_shows_its_progress_and_its_result() {
    let (host, _directory) = host("async-http-api", &[]);
    let id = host.start_new("long_job", json!({ "up_to": 1000, "parts": 4, "pause_ms": 100 })).unwrap();
    let status = host.wait_until(&id, "half done", |status| status["customStatus"]["percent"].as_u64() >= Some(25)).unwrap();
    assert_eq!(status["runtimeStatus"], "Running");
    assert_eq!(host.wait(&id).unwrap()["output"]["primes"], 168);
}

#[test]
fn a_monitor_reaches_the_allowed_host_only() {
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = service.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (number, mut stream) in service.incoming().flatten().enumerate() {
            use std::io::{Read as _, Write as _};
            let _ = stream.read(&mut [0; 2048]);
            let body = if number < 2 { "wait" } else { "ready" };
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    });
    let (allowed, _directory) = host("monitor", &["--allow-host", &authority]);
    let watch = json!({ "url": format!("http://{authority}/"), "first_interval_ms": 20 });
    let report = allowed.output("monitor", watch.clone());
    assert_eq!((&report["ready"], &report["polls"]), (&json!(true), &json!(3)), "{report}");

    let (denied, _directory) = host("monitor", &[]);
    let status = denied.run("monitor", watch).unwrap();
    assert_eq!(status["runtimeStatus"], "Failed", "{status}");
    assert!(status["output"].as_str().unwrap().contains("127.0.0.1"), "the refusal names the host: {status}");
}

#[test]
fn an_approval_is_decided_by_an_event_or_escalated_by_the_timer() {
    let (host, _directory) = host("human-interaction", &[]);
    for (approved, decision) in [(true, "approved"), (false, "rejected")] {
        let id = host.start_new("approval", json!({ "amount": 10.0 })).unwrap();
        host.raise_event(&id, "approval", json!({ "approved": approved })).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"]["decision"], decision);
    }
    let report = host.output("approval", json!({ "timeout_seconds": 0.05 }));
    assert_eq!(report["decision"], "escalated");
}

#[test]
fn a_saga_undoes_in_reverse() {
    let (host, _directory) = host("saga", &[]);
    let booked = host.output("book_trip", json!({ "traveller": "ada", "flaky_attempts": 2 }));
    assert_eq!(booked["booked"], json!(["flight-ada", "hotel-ada", "car-ada"]));
    let undone = host.output("book_trip", json!({ "traveller": "ada", "fails_at": "car", "flaky_attempts": 0 }));
    assert_eq!(undone["undone"], json!(["hotel-ada", "flight-ada"]));
    assert_eq!(undone["failure"]["error_type"], "SoldOut", "{undone}");
}

#[test]
fn an_eternal_orchestration_keeps_a_short_history_and_stops_by_an_event() {
    let (host, _directory) = host("eternal", &[]);
    let id = host.start_new("periodic_cleanup", json!({ "interval_ms": 5 })).unwrap();
    let rounds = |status: &Value| status["customStatus"].as_str().and_then(|s| s.split(' ').next()?.parse::<u64>().ok());
    host.wait_until(&id, "in its 20th round", |status| rounds(status) >= Some(20)).unwrap();
    assert!(host.history(&id).unwrap().len() < 12, "a fresh start forgets the history");
    host.raise_event(&id, "Stop", json!("the test")).unwrap();
    assert_eq!(host.wait(&id).unwrap()["output"]["stopped_by"], "the test");
}

#[test]
fn children_do_their_part() {
    let (host, _directory) = host("sub-orchestrations", &[]);
    let id = host.start_new("provision_devices", json!(["lamp", "", "lock"])).unwrap();
    let report = host.wait(&id).unwrap()["output"].clone();
    assert_eq!(report["ready"][0]["name"], "lamp", "{report}");
    assert_eq!(report["failed"][0][1]["error_type"], "InvalidDevice", "{report}");
    let child = host.status(&format!("{id}-lamp")).unwrap();
    assert_eq!((&child["name"], &child["runtimeStatus"]), (&json!("provision_device"), &json!("Completed")));
}
