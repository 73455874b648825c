//! Watching changes of instances.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use super::canned::{CannedHost, check, json as canned, stream};
use super::{Cli, host};

const RUNNING: &str = "event: status\ndata: {\"name\":\"f\",\"instanceId\":\"i\",\"runtimeStatus\":\"Running\",\"input\":null,\"customStatus\":{\"step\":\ndata:  1},\"output\":null,\"createdTime\":\"2026-01-31T12:00:00Z\",\"lastUpdatedTime\":\"2026-01-31T12:00:01Z\"}\n\n";
const COMPLETED: &str = ": alive\n\nevent: status\ndata: {\"name\":\"f\",\"instanceId\":\"i\",\"runtimeStatus\":\"Completed\",\"input\":null,\"customStatus\":null,\"output\":[1],\"createdTime\":\"2026-01-31T12:00:00Z\",\"lastUpdatedTime\":\"2026-01-31T12:00:02Z\"}\n\n";
const FAILED: &str = "event: status\ndata: {\"name\":\"f\",\"instanceId\":\"i\",\"runtimeStatus\":\"Failed\",\"input\":null,\"customStatus\":null,\"output\":\"why\",\"createdTime\":\"2026-01-31T12:00:00Z\",\"lastUpdatedTime\":\"2026-01-31T12:00:02Z\"}\n\n";

#[test]
fn an_instance_is_followed_to_its_end_across_lost_connections() {
    let host = CannedHost::new(&[stream(RUNNING), stream(&format!("{RUNNING}{COMPLETED}"))]);
    let output = host.cli().run(&["watch", "i"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(host.requests(), ["GET instances/i/events", "GET instances/i/events"]);
    let lines = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("  i  f  Running  {\"step\": 1}"), "{lines:?}");
    assert!(lines[1].ends_with("  i  f  Completed  [1]"), "{lines:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the connection is lost"), "{output:?}");

    let host = CannedHost::new(&[stream(RUNNING), stream(COMPLETED)]);
    let output = host.cli().run(&["watch", "--id", "i", "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let statuses: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["runtimeStatus"].clone()).collect();
    assert_eq!(statuses, ["Running", "Completed"]);
}

#[test]
fn how_it_ends_decides_the_exit_code() {
    let events = "GET instances/i/events";
    check(&["watch", "i"], &[(events, stream(FAILED))], 6, "is Failed: why");
    check(&["watch", "i"], &[(events, canned(404, ""))], 3, "there is no instance with the id 'i'");
    check(
        &["watch", "i"],
        &[(
            events,
            stream(
                "event: purged\ndata: {\"name\":\"f\",\"instanceId\":\"i\",\"runtimeStatus\":\"Failed\",\"createdTime\":\"\",\"lastUpdatedTime\":\"\"}\n\n",
            ),
        )],
        3,
        "was purged",
    );
    check(&["watch", "i"], &[(events, stream(RUNNING)), (events, canned(404, ""))], 3, "was purged");
    check(&["watch", "i"], &[(events, canned(200, "[]"))], 1, "does not answer with events");
    assert_eq!(Cli("http://127.0.0.1:1".into()).run(&["watch"]).status.code(), Some(5));
}

#[test]
fn all_instances_are_followed_and_what_is_lost_is_told() {
    let host = CannedHost::new(&[
        stream(
            "event: status\ndata: {\"name\":\"f\",\"instanceId\":\"o-1\",\"runtimeStatus\":\"Running\",\"createdTime\":\"\",\"lastUpdatedTime\":\"\"}\n\n\
         event: missed\ndata: 17\n\n\
         event: status\ndata: {\"name\":\"f\",\"instanceId\":\"o-2\",\"runtimeStatus\":\"Failed\",\"output\":\"why\",\"createdTime\":\"\",\"lastUpdatedTime\":\"\"}\n\n",
        ),
        canned(400, r#"{"Message":"that is enough"}"#),
    ]);
    let output = host.cli().run(&["watch", "--id-prefix", "o-", "--runtime-status", "failed"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(host.requests()[0], "GET events?instanceIdPrefix=o-");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "o-2  f  Failed  \"why\"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("17 changes") && said.contains("that is enough"), "{said}");
}

#[test]
fn a_real_host_is_followed() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "approval", "--id", "one"]);
    host.wait_until("one", "waiting", |status| status["customStatus"].is_string()).unwrap();
    let mut watching = cli.spawn(&["watch", "one", "--json"]);
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["runtimeStatus"], "Running", "the current state");
    cli.ok(&["suspend", "one"]);
    assert_eq!(next()["runtimeStatus"], "Suspended");
    cli.ok(&["resume", "one"]);
    assert_eq!(next()["runtimeStatus"], "Running");
    host.raise_event("one", "Approval", json!({ "approved": true })).unwrap();
    let end = std::iter::repeat_with(next).find(|status| status["runtimeStatus"] != "Running").unwrap();
    assert_eq!((&end["runtimeStatus"], &end["output"]["decision"]), (&json!("Completed"), &json!("approved")));
    assert!(watching.wait().unwrap().success());
    assert!(cli.ok(&["watch", "one"]).contains("Completed"), "the state of one that has ended is shown");
    assert!(cli.fails(3, &["watch", "nobody"]).contains("nobody"));
}

#[test]
fn a_real_hub_is_followed() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    let mut watching = cli.spawn(&["watch", "--runtime-status", "completed", "--json"]);
    let (sender, receiver) = std::sync::mpsc::channel();
    let stdout = watching.stdout.take().unwrap();
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    // The watch begins some time after the process starts: earlier changes are not shown.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let line = loop {
        host.run("hello_sequence", json!(["x"])).unwrap();
        if let Ok(line) = receiver.recv_timeout(std::time::Duration::from_millis(100)) {
            break line;
        }
        assert!(std::time::Instant::now() < deadline, "{}", host.log());
    };
    let status: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&status["name"], &status["output"]), (&json!("hello_sequence"), &json!(["Hello, x!"])));
    watching.kill().unwrap();
    watching.wait().unwrap();
}
