//! Commands that change instances.

use super::canned::{Canned, check, json as canned};
use super::{Cli, host};
use dacapo_tests::host::is_finished;
use serde_json::json;

const RUNNING: &str = r#"{"name":"f","instanceId":"i","runtimeStatus":"Running","input":null,"customStatus":null,"output":null,"createdTime":"2026-01-31T12:00:00Z","lastUpdatedTime":"2026-01-31T12:00:00Z"}"#;
const FAILED: &str = r#"{"name":"f","instanceId":"i","runtimeStatus":"Failed","input":null,"customStatus":null,"output":"why","createdTime":"2026-01-31T12:00:00Z","lastUpdatedTime":"2026-01-31T12:00:00Z"}"#;

#[test]
fn starting_and_terminating_ask_for_what_was_said() {
    let started = || canned(202, r#"{"id":"i"}"#);
    check(
        &["start-new", "f", "--id", "i", "--version", "2 b"],
        &[("POST orchestrators/f/i?version=2%20b null", started())],
        0,
        "'i'",
    );
    check(
        &["start-new", "f", "--at", "2026-01-31T12:00:00Z", "--input", "5"],
        &[("POST orchestrators/f?startAt=2026-01-31T12%3A00%3A00.000000Z 5", started())],
        0,
        "It begins at",
    );
    let terminate = "POST instances/i/terminate?reason=no%20need&recursive=true";
    check(&["terminate", "i", "--reason", "no need", "--recursive"], &[(terminate, canned(202, ""))], 0, "Terminated");
    check(&["terminate", "i"], &[("POST instances/i/terminate", canned(410, ""))], 4, "has ended");
    check(&["terminate", "i"], &[("POST instances/i/terminate", canned(404, ""))], 3, "get-instances");
}

/// Some commands once printed nothing with `--json`.
#[test]
fn what_is_done_is_json_for_programs() {
    let raise = ("POST instances/i/raiseEvent/Go null", canned(202, ""));
    check(&["raise-event", "i", "Go", "--json"], &[raise], 0, r#"{"eventName":"Go","instanceId":"i"}"#);
    check(&["terminate", "i", "--json"], &[("POST instances/i/terminate", canned(202, ""))], 0, r#"{"instanceId":"i"}"#);
    let signal = ("POST entities/counter/a?op=add null", canned(202, ""));
    let said = r#"{"deliverAt":null,"entityId":"@counter@a","operation":"add"}"#;
    check(&["signal-entity", "counter", "a", "--operation", "add", "--json"], &[signal], 0, said);
}

#[test]
fn many_are_told_at_once() {
    let acted = || canned(200, r#"{"done":2,"refused":0,"refusals":[]}"#);
    let all = "createdTimeFrom=0001-01-01T00%3A00%3A00Z";
    check(
        &["suspend", "--function-name", "f", "--version", "2.0", "--reason", "lunch", "--yes"],
        &[(&format!("POST instances/suspend?reason=lunch&functionName=f&version=2.0&{all}"), acted())],
        0,
        "Suspended orchestrations of the function 'f' and on the version '2.0': 2",
    );
    check(
        &["terminate", "--id-prefix", "t-", "--recursive"],
        &[(&format!("POST instances/terminate?recursive=true&instanceIdPrefix=t-&{all}"), acted())],
        0,
        "Terminated orchestrations whose id begins with 't-': 2",
    );
    check(
        &["resume", "--all"],
        &[(&format!("POST instances/resume?{all}"), acted())],
        0,
        "Resumed orchestrations of the task hub: 2",
    );
    let refused = canned(200, r#"{"done":1,"refused":1,"refusals":[{"instanceId":"i","why":"its locks are gone"}]}"#);
    check(&["rewind", "--all"], &[(&format!("POST instances/rewind?{all}"), refused)], 1, "i: its locks are gone");
}

#[test]
fn a_rewind_shows_the_status_before_and_after() {
    let get = "GET instances/i?showInput=false";
    let post = "POST instances/i/rewind?reason=it%20works%20again";
    let after = "GET instances/i?showInput=false&wait=3";
    let line = ["rewind", "i", "--reason", "it works again"];
    let exchange = [(get, canned(200, FAILED)), (post, canned(202, "")), (after, canned(202, RUNNING))];
    check(&line, &exchange, 0, "Status before rewind: Failed\nStatus after rewind:  Running\n");
    let again = [(get, canned(200, FAILED)), (post, canned(202, "")), (after, canned(200, FAILED))];
    check(&line, &again, 0, "It has failed again: why");
    let refused = canned(412, r#""The instance 'i' cannot be rewound: it is Running""#);
    check(&line, &[(get, canned(202, RUNNING)), (post, refused)], 4, "cannot be rewound");
    check(&line, &[(get, canned(404, ""))], 3, "'i'");
}

#[test]
fn a_restart_names_the_new_instance() {
    let new = "POST instances/i/restart?restartWithNewInstanceId=true";
    check(&["restart", "i"], &[(new, canned(202, r#"{"id":"j"}"#))], 0, "Restarted 'i'. Instance ID: 'j'.");
    let missing = canned(
        400,
        r#"{"Message":"InstanceId does not match a valid orchestration instance.","ExceptionMessage":"InstanceId does not match a valid orchestration instance."}"#,
    );
    check(&["restart", "i"], &[(new, missing)], 3, "there is no instance with the id 'i'");
    let options = "POST instances/i/restartWithOptions?newInstanceId=j&version=2";
    check(
        &["restart", "i", "--new-id", "j", "--version", "2"],
        &[(options, canned(409, r#"{"Message":"in use"}"#))],
        4,
        "in use",
    );
}

#[test]
fn purging_says_how_many() {
    let one = [("DELETE instances/i", canned(200, r#"{"instancesDeleted":1}"#))];
    check(&["purge-history", "i"], &one, 0, "Instances deleted: 1");
    let running = canned(412, r#""Only orchestrations in a terminal state can be purged""#);
    check(&["purge-history", "--id", "i"], &[("DELETE instances/i", running)], 4, "terminal state");
    check(&["purge-history", "i"], &[("DELETE instances/i", canned(404, ""))], 3, "'i'");
    let all = "DELETE instances?runtimeStatus=failed%2Ccompleted&createdTimeFrom=0001-01-01T00%3A00%3A00Z";
    let line = ["purge-history", "--runtime-status", "failed", "completed", "--yes"];
    check(&line, &[(all, canned(200, r#"{"instancesDeleted":17}"#))], 0, "Instances deleted: 17");
    check(&line, &[(all, canned(404, ""))], 0, "Instances deleted: 0");
    check(&line, &[(all, canned(404, r#"{"Message":"no task hub"}"#))], 3, "no task hub");
    let between =
        "DELETE instances?createdTimeFrom=2026-01-01T00%3A00%3A00.000000Z&createdTimeTo=2026-02-01T00%3A00%3A00.000000Z";
    let line = ["purge-history", "--created-after", "2026-01-01T00:00:00Z", "--created-before", "2026-02-01T00:00:00Z"];
    check(&line, &[(between, canned(200, r#"{"instancesDeleted":2}"#))], 0, "created between '");
}

#[test]
fn lists_are_followed_to_the_last_page() {
    let first = Canned { headers: &[("x-ms-continuation-token", "t%201")], ..canned(200, r#"[{"n":1}, {"n":2}]"#) };
    let (page, next) = ("GET instances?showInput=true&top=1000", "GET instances?showInput=true&top=1000 token=t%201");
    let exchange = [(page, first.clone()), (next, canned(200, r#"[{"n":3}]"#))];
    check(&["get-instances", "--all", "--json"], &exchange, 0, r#"[{"n":1},{"n":2},{"n":3}]"#);
    let top = "GET instances?showInput=true&top=2";
    check(&["get-instances", "--top", "2", "--json"], &[(top, first)], 0, "Continuation token for next set of results: 't%201'");
    let filtered =
        "GET instances?showInput=false&createdTimeTo=2026-02-01T00%3A00%3A00.000000Z&instanceIdPrefix=o&top=10 token=t";
    let line = ["get-instances", "--created-before", "2026-02-01T00:00:00Z", "--id-prefix", "o", "--continuation-token", "t"];
    check(&line, &[(filtered, canned(200, "[]"))], 0, "No instances.");
}

#[test]
fn instances_are_suspended_and_resumed_and_their_state_counts() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "approval", "--id", "a b"]);
    assert!(cli.fails(4, &["resume", "a b"]).contains("not suspended"));
    assert!(cli.ok(&["suspend", "a b", "--reason", "lunch"]).contains("Suspended"));
    assert!(cli.fails(4, &["suspend", "--id", "a b"]).contains("suspended already"));
    assert_eq!(cli.json(&["get-runtime-status", "a b"])["runtimeStatus"], "Suspended");
    assert!(cli.ok(&["get-instances", "--runtime-status", "suspended", "--created-after", "1h"]).contains("a b"));
    assert!(!cli.ok(&["get-instances", "--created-before", "1h"]).contains("a b"));
    cli.ok(&["resume", "a b"]);
    cli.ok(&["terminate", "a b", "--reason", "enough"]);
    assert!(cli.fails(4, &["suspend", "a b"]).contains("has ended"));
    assert!(cli.fails(4, &["raise-event", "a b", "Approval"]).contains("has ended"));
    assert!(cli.fails(3, &["resume", "nobody"]).contains("nobody"));
}

#[test]
fn an_instance_is_purged_and_others_are_not() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    for id in ["one", "two", "three"] {
        cli.ok(&["start-new", "hello_sequence", "--id", id, "--wait"]);
    }
    cli.ok(&["start-new", "approval", "--id", "alive"]);
    assert!(cli.ok(&["purge-history", "one"]).contains("Instances deleted: 1"));
    assert!(cli.fails(3, &["get-runtime-status", "one"]).contains("one"));
    assert!(cli.fails(3, &["purge-history", "one"]).contains("one"));
    assert!(cli.fails(4, &["purge-history", "alive"]).contains("alive"));
    assert_eq!(cli.json(&["purge-history", "--runtime-status", "failed"]), json!({ "instancesDeleted": 0 }));
    assert_eq!(cli.json(&["purge-history", "--created-after", "1h"]), json!({ "instancesDeleted": 2 }));
    assert_eq!(cli.json(&["get-instances"]).as_array().unwrap().len(), 1);
}

#[test]
fn an_orchestration_is_restarted_under_the_same_and_another_id() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "hello_sequence", "--id", "one", "--input", r#"["Ada"]"#, "--wait"]);
    let output = cli.ok(&["restart", "one", "--new-id", "two", "--wait"]);
    assert!(output.contains("Hello, Ada!"), "{output}");
    assert!(cli.ok(&["restart", "one", "--same-id", "--wait"]).contains("Hello, Ada!"));
    let id = cli.json(&["restart", "one"])["id"].as_str().unwrap().to_owned();
    assert_eq!(host.wait(&id).unwrap()["output"], json!(["Hello, Ada!"]));
    cli.ok(&["start-new", "approval", "--id", "alive"]);
    assert!(cli.fails(4, &["restart", "alive", "--same-id"]).contains("alive"));
    assert!(cli.fails(3, &["restart", "nobody"]).contains("nobody"));
}

#[test]
fn only_what_has_failed_is_rewound() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "hello_sequence", "--id", "done", "--wait"]);
    assert!(cli.fails(4, &["rewind", "done"]).contains("rewound"));
    assert!(cli.fails(3, &["rewind", "nobody"]).contains("nobody"));
    // The orchestrator cannot read this input: with the same code it fails again.
    cli.fails(6, &["start-new", "hello_sequence", "--id", "bad", "--input", "17", "--wait"]);
    let rewound = cli.ok(&["rewind", "bad", "--reason", "try again"]);
    assert_eq!(rewound, "Status before rewind: Failed\nStatus after rewind:  Failed\n");
    assert_eq!(cli.json(&["rewind", "bad"])["runtimeStatus"], "Failed");
}

#[test]
fn a_scheduled_start_is_pending_until_its_time() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "hello_sequence", "--id", "later", "--at", "1h"]);
    assert_eq!(host.status("later").unwrap()["runtimeStatus"], "Pending");
    cli.ok(&["terminate", "later", "--recursive"]);
    assert!(is_finished(&host.status("later").unwrap()));
    assert!(cli.ok(&["start-new", "hello_sequence", "--at", "1s", "--wait=60"]).contains("Hello"));
}
