//! The command line, as a person and as a script use it.

use std::process::{Command, Output};

use dacapo_tests::host::{Host, binary};
use serde_json::{Value, json};

struct Cli<'a>(&'a Host);

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(binary().unwrap()).args(arguments).env("DACAPO_SERVER", self.0.url()).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
    }

    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_session_at_the_terminal() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli(&host);
    let module = dacapo_tests::guest_path("example-hello-sequence").unwrap();
    let approval = dacapo_tests::guest_path("example-human-interaction").unwrap();
    let deployed = cli.ok(&["deploy", module.to_str().unwrap(), "--name", "hello"]);
    assert!(deployed.contains("hello_sequence") && deployed.contains("say_hello"), "{deployed}");
    cli.ok(&["deploy", approval.to_str().unwrap()]);
    assert!(cli.ok(&["apps"]).contains("hello"));

    let started = cli.ok(&["start-new", "--function-name", "hello_sequence", "--id", "one", "--input", r#"["Ada"]"#]);
    assert!(started.contains("one"), "{started}");
    host.wait("one").unwrap();
    let status = cli.ok(&["get-runtime-status", "--id", "one", "--show-output"]);
    assert!(status.contains("Completed") && status.contains("Hello, Ada!"), "{status}");
    assert_eq!(cli.json(&["get-runtime-status", "--id", "one", "--show-output"])["output"], json!(["Hello, Ada!"]));
    assert!(cli.ok(&["get-history", "--id", "one"]).contains("TaskCompleted"));
    assert!(cli.ok(&["get-instances"]).contains("one"));

    let file = directory.path().join("input.json");
    std::fs::write(&file, r#"["Grace"]"#).unwrap();
    let waited = cli.ok(&["start-new", "hello_sequence", "--input", &format!("@{}", file.display()), "--wait"]);
    assert!(waited.contains("Hello, Grace!"), "{waited}");

    cli.ok(&["start-new", "approval", "--id", "two"]);
    cli.ok(&["raise-event", "--id", "two", "--event-name", "Approval", "--event-data", r#"{"approved":true}"#]);
    assert_eq!(host.wait("two").unwrap()["output"]["decision"], "approved");
    cli.ok(&["start-new", "approval", "--id", "three"]);
    cli.ok(&["suspend", "--id", "three", "--reason", "lunch"]);
    cli.ok(&["resume", "--id", "three"]);
    cli.ok(&["terminate", "--id", "three", "--reason", "enough"]);
    assert_eq!(host.wait("three").unwrap()["output"], "enough");
}

#[test]
fn errors_say_what_to_do_and_have_their_exit_codes() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli(&host);
    assert!(cli.fails(3, &["get-runtime-status", "--id", "nobody"]).contains("nobody"));
    assert!(cli.fails(2, &["start-new"]).contains("Usage"));
    let hint = cli.fails(2, &["start-new", "x", "--input", "text"]);
    assert!(hint.contains("JSON") && hint.contains("text"), "{hint}");
    assert!(cli.fails(1, &["start-new", "nobody"]).contains("nobody"));
    let not_wasm = directory.path().join("x.wasm");
    std::fs::write(&not_wasm, "hello").unwrap();
    assert!(cli.fails(1, &["deploy", not_wasm.to_str().unwrap()]).contains("not WebAssembly"));
    let unreachable = Command::new(binary().unwrap()).args(["get-instances", "--server", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(unreachable.status.code(), Some(5), "{unreachable:?}");
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("dacapo serve"), "{unreachable:?}");
}
