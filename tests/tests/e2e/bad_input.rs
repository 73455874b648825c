//! Bad input: each gets a clear error, nothing is lost, and the host keeps serving.

use dacapo_tests::host::{Answer, Host};
use serde_json::{Value, json};

/// A host with tight limits and the probe, and an unrelated orchestration that must survive each test.
struct Bench {
    host: Host,
    witness: String,
    _directory: tempfile::TempDir,
}

fn bench() -> Bench {
    let limits = [
        "--set=limits.activity_seconds=2",
        "--set=limits.activity_memory_bytes=33554432",
        "--set=limits.payload_bytes=100000",
        "--set=limits.fuel_per_turn=300000000",
    ];
    let (host, directory) = Host::temporary(&limits).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let witness = host.start_new("wait_event", json!("go")).unwrap();
    Bench { host, witness, _directory: directory }
}

impl Drop for Bench {
    /// Checks that the host still serves and nothing was lost.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.host.log().lines().filter(|line| !line.contains("again")).for_each(|line| eprintln!("{line}"));
            return;
        }
        assert_eq!(self.host.run("chain", json!(3)).unwrap()["output"], 3);
        self.host.raise_event(&self.witness, "go", json!("still here")).unwrap();
        assert_eq!(self.host.wait(&self.witness).unwrap()["output"], "still here");
    }
}

#[track_caller]
fn refused(answer: Answer, status: u16, parts: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let text = answer.body.to_lowercase();
    for part in parts {
        assert!(text.contains(&part.to_lowercase()), "'{part}' is missing: {answer:?}");
    }
}

#[test]
fn modules_that_are_none() {
    let bench = bench();
    let deploy = |bytes: &[u8]| bench.host.request("POST", "/admin/apps/bad", Some(bytes)).unwrap();
    let module = dacapo_tests::guest("fixture-probe").unwrap();
    refused(deploy(b""), 400, &["WebAssembly", "empty"]);
    refused(deploy(b"#!/bin/sh\necho hello"), 400, &["not WebAssembly"]);
    refused(deploy(&module[..module.len() / 2]), 400, &["complete"]);
    refused(deploy(&[b"\0asm\x0d\0\x01\0", &[0; 40][..]].concat()), 400, &[]);
    // A core module and a component without the exports of the world.
    refused(deploy(b"\0asm\x01\0\0\0"), 400, &["describe"]);
    refused(deploy(b"\0asm\x0d\0\x01\0"), 400, &["describe"]);
    let apps = bench.host.request("GET", "/admin/apps", None).unwrap().body;
    assert!(!apps.contains("\"bad\""), "{apps}");
}

#[test]
fn a_function_name_belongs_to_one_app() {
    let bench = bench();
    let answer = bench.host.request("POST", "/admin/apps/other", Some(&dacapo_tests::guest("fixture-probe").unwrap())).unwrap();
    refused(answer, 409, &["probe", "unique"]);
}

#[test]
fn requests_that_are_wrong() {
    let bench = bench();
    let post = |path: &str, body: &[u8]| {
        bench.host.request("POST", &format!("/runtime/webhooks/durabletask/{path}"), Some(body)).unwrap()
    };
    refused(post("orchestrators/nobody", b"null"), 400, &["ExceptionMessage", "doesn't exist", "'chain'"]);
    refused(post("orchestrators/chain", b"{\"a\":"), 400, &["Message", "JSON"]);
    refused(post("orchestrators/chain/a%2Fb", b"1"), 400, &["'/'"]);
    refused(post("orchestrators/chain/%40x%40y", b"1"), 400, &["@"]);
    refused(post(&format!("orchestrators/chain/{}", "x".repeat(300)), b"1"), 400, &["256"]);
    let large = format!("\"{}\"", "x".repeat(200_000));
    refused(post("orchestrators/echo_orchestrator", large.as_bytes()), 413, &["100000"]);
    refused(post(&format!("instances/{}/raiseEvent/go", bench.witness), large.as_bytes()), 413, &["100000"]);
    refused(post(&format!("instances/{}/raiseEvent/go", bench.witness), b"{"), 400, &["JSON"]);
    refused(post("orchestrators/wait_event/twice", b"\"go\""), 202, &[]);
    refused(post("orchestrators/wait_event/twice", b"\"go\""), 409, &["twice"]);
    refused(post("nonsense", b"1"), 404, &[]);
    refused(bench.host.manage("PUT", "instances/x", Some(&json!(1))).unwrap(), 404, &[]);
    refused(bench.host.manage("GET", "instances?createdTimeFrom=yesterday", None).unwrap(), 400, &["createdTimeFrom"]);
    refused(bench.host.manage("GET", "instances?runtimeStatus=Sleeping", None).unwrap(), 400, &["Sleeping"]);
    refused(bench.host.manage("GET", "instances?taskHub=elsewhere", None).unwrap(), 404, &["elsewhere"]);
}

#[test]
fn orchestrators_that_misbehave_fail_with_a_reason() {
    let bench = bench();
    let failure = |name: &str, input: Value| {
        let status = bench.host.run(name, input).unwrap();
        assert_eq!(status["runtimeStatus"], "Failed", "{name}: {status}");
        status["output"].as_str().unwrap().to_owned()
    };
    for (name, input, part) in [
        ("loop_forever", Value::Null, "fuel"),
        ("loop_forever_calling", Value::Null, "fuel"),
        ("loop_forever_logging", Value::Null, "fuel"),
        ("allocate_forever", Value::Null, "memory"),
        ("recurse_forever", Value::Null, "stack"),
        ("schedule_forever", Value::Null, "in one turn"),
        ("trap", Value::Null, "unreachable"),
        ("trap_after_wait", Value::Null, "unreachable"),
        ("panic", json!("oh no"), "oh no"),
        ("panic_after_wait", Value::Null, "the probe panics after a wait"),
        ("return_error", Value::Null, "the probe fails"),
        ("invalid_json", Value::Null, "not JSON"),
        ("invalid_json_input", Value::Null, "not JSON"),
        ("invalid_status", Value::Null, "not JSON"),
        ("wait_on_nothing", Value::Null, "durable"),
        ("wait_on_empty_list", Value::Null, "waits on nothing"),
        ("set_status", json!(20_000), "16384"),
        ("big_output", json!(200_000), "100000"),
        ("chain", json!("no number"), "input"),
    ] {
        let message = failure(name, input);
        assert!(message.contains(part), "{name}: '{part}' is missing: {message}");
        assert!(message.starts_with(&format!("Orchestrator function '{name}' failed: ")), "{message}");
    }
}

#[test]
fn activities_that_misbehave_fail_with_a_type_that_the_caller_can_match_on() {
    let bench = bench();
    for (name, input, error_type, part) in [
        ("activity_loop_forever", Value::Null, "Timeout", "2"),
        ("activity_never_return", Value::Null, "Timeout", "2"),
        ("activity_sleep_forever", Value::Null, "Timeout", "2"),
        ("activity_allocate_forever", Value::Null, "OutOfMemory", "memory"),
        ("activity_recurse_forever", Value::Null, "StackOverflow", "stack"),
        ("activity_trap", Value::Null, "Trap", "unreachable"),
        ("activity_panic", json!("oh no"), "Panic", "oh no"),
        (
            "activity_return_error",
            json!({ "error_type": "Mine", "message": "m", "details": "d", "retriable": false }),
            "Mine",
            "m",
        ),
        ("activity_invalid_json", Value::Null, "InvalidOutput", "JSON"),
        ("activity_wait_on_nothing", Value::Null, "", ""),
        ("activity_uses_orchestration", Value::Null, "", "orchestrator"),
        ("no_such_activity", Value::Null, "ActivityNotFound", "no_such_activity"),
        ("big", json!(200_000), "LimitExceeded", "100000"),
        ("http_get", json!("http://127.0.0.1:1/"), "", "127.0.0.1"),
        ("http_get", json!("http://169.254.169.254/latest/meta-data"), "", "169.254.169.254"),
        ("read_file", json!("/etc/passwd"), "", ""),
    ] {
        let status = bench.host.run("call", json!({ "name": name, "input": input })).unwrap();
        let failure = &status["output"]["err"];
        assert!(failure.is_object(), "{name} did not fail: {status}");
        let (seen_type, message) = (failure["error_type"].as_str().unwrap(), failure["message"].as_str().unwrap());
        assert!(error_type.is_empty() || seen_type == error_type, "{name}: {failure}");
        assert!(message.contains(part), "{name}: '{part}' is missing: {failure}");
    }
}

#[test]
fn a_child_that_is_none_and_a_child_whose_id_is_in_use() {
    let bench = bench();
    let run = |input: Value| bench.host.run("call_child", input).unwrap()["output"]["err"].clone();
    assert_eq!(run(json!({ "name": "nobody" }))["error_type"], "OrchestratorNotFound");
    let taken = run(json!({ "name": "chain", "input": 1, "instance_id": bench.witness }));
    assert_eq!(taken["error_type"], "InstanceAlreadyExists", "{taken}");
}

/// A loop has a worker for one slice at a time: others get their turns in between, or they would wait for an hour.
#[test]
fn loops_do_not_keep_others_from_their_turns() {
    let options = ["--set=limits.activity_seconds=3600", "--set=engine.shutdown_grace_seconds=0"];
    let (mut host, _directory) = Host::temporary(&options).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let call = json!({ "name": "activity_loop_forever" });
    let loops: Vec<String> = (0..8).map(|_| host.start_new("call", call.clone()).unwrap()).collect();
    assert_eq!(host.run("chain", json!(5)).unwrap()["output"], 5);
    for id in loops {
        assert_eq!(host.status(&id).unwrap()["runtimeStatus"], "Running");
    }
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
}
