//! Waiting for the end.

use std::process::{Child, Command};

use serde_json::{Value, json as value};

use super::canned::{check, hang_up, json};
use super::{Cli, host};

/// Sends Ctrl-C.
fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn waiting_prints_the_output_and_exits_by_how_it_ended() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    let approve = |id: &str| cli.ok(&["raise-event", id, "Approval", "--event-data", r#"{"approved":true}"#]);
    cli.ok(&["start-new", "approval", "--id", "one"]);
    let waiting = cli.spawn(&["wait", "one"]);
    approve("one");
    let waited = waiting.wait_with_output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let output: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!(output["decision"], "approved");
    assert_eq!(cli.json(&["wait", "--id", "one"])["output"], output);

    cli.ok(&["start-new", "approval", "--id", "two"]);
    let why = cli.fails(6, &["wait", "two", "--timeout", "0.2"]);
    assert!(why.contains("has not ended yet") && why.contains("dacapo wait two"), "{why}");
    let why = cli.fails(6, &["start-new", "approval", "--wait=0.1"]);
    assert!(why.contains("has not ended yet"), "{why}");
    cli.ok(&["terminate", "two", "--reason", "enough"]);
    assert!(cli.fails(6, &["wait", "two"]).contains("is Terminated: enough"));
    assert!(cli.fails(3, &["wait", "nobody"]).contains("nobody"));
    assert!(cli.fails(2, &["wait"]).contains("Usage"));
    assert!(cli.fails(2, &["wait", "one", "--timeout", "soon"]).contains("seconds"));
}

#[test]
fn several_are_waited_for_together() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    let ids: Vec<String> = (0..40).map(|number| format!("i{number}")).collect();
    for id in &ids {
        cli.ok(&["start-new", "approval", "--id", id]);
    }
    let line: Vec<&str> = std::iter::once("wait").chain(ids.iter().map(String::as_str)).collect();
    let waiting = cli.spawn(&line);
    for id in ids.iter().rev() {
        host.raise_event(id, "Approval", value!({ "approved": true })).unwrap();
    }
    let waited = waiting.wait_with_output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let table = String::from_utf8(waited.stdout).unwrap();
    assert!(table.starts_with("INSTANCE") && table.lines().count() == 41, "{table}");

    cli.ok(&["start-new", "approval", "--id", "open"]);
    let output = cli.run(&["wait", "i0", "open", "nobody", "--timeout", "0.2", "--json"]);
    assert_eq!(output.status.code(), Some(3), "a missing instance decides the code: {output:?}");
    let states: Value = serde_json::from_slice(&output.stdout).unwrap();
    let statuses: Vec<_> = states.as_array().unwrap().iter().map(|state| state["runtimeStatus"].clone()).collect();
    assert_eq!(statuses, [value!("Completed"), value!("Running"), Value::Null]);
    let table = String::from_utf8(cli.run(&["wait", "i0", "open", "--timeout", "0.2"]).stdout).unwrap();
    assert!(table.contains("Completed") && table.contains("Running"), "{table}");
}

#[test]
fn ctrl_c_ends_the_waiting_and_nothing_else() {
    let (host, _directory) = host();
    let cli = Cli::of(&host);
    cli.ok(&["start-new", "approval", "--id", "it's one"]);
    let waiting = cli.spawn(&["wait", "it's one"]);
    // It has its signal handler by the time it sends the request, which the host does not show: so check the process.
    let handles_sigint = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waiting.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&caught, 16).unwrap() & (1 << 1) != 0
    };
    while !handles_sigint() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    interrupt(&waiting);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(r"dacapo wait 'it'\''s one'"), "{said}");
    assert_eq!(cli.json(&["get-runtime-status", "it's one"])["runtimeStatus"], "Running");
}

#[test]
fn waiting_goes_on_when_the_host_is_started_again() {
    let state = |status: &str| {
        format!(
            r#"{{"name":"f","instanceId":"i","runtimeStatus":"{status}","input":null,"customStatus":null,"output":5,"createdTime":"2026-01-31T12:00:00Z","lastUpdatedTime":"2026-01-31T12:00:00Z"}}"#
        )
    };
    let exchange = [
        ("GET instances/i?wait=0", json(202, &state("Running"))),
        ("GET instances/i?wait=30", hang_up()),
        ("GET instances/i?wait=30", json(503, r#"{"Message":"the host is shutting down"}"#)),
        ("GET instances/i?wait=30", json(202, &state("Running"))),
        ("GET instances/i?wait=30", json(200, &state("Completed"))),
    ];
    check(&["wait", "i"], &exchange, 0, "5");
    check(&["wait", "i"], &[("GET instances/i?wait=0", hang_up())], 5, "cannot be reached");
}
