//! The command line, as used by people and by scripts.

mod administration;
mod building;
mod canned;
mod deployments;
mod durable;
mod entities;
mod hub;
mod managing;
mod schedules;
mod waiting;
mod watching;

use std::process::{Child, Command, Output, Stdio};

use dacapo_tests::host::{Host, binary};
use serde_json::{Value, json};

/// The command line of a host at some address.
struct Cli(String);

impl Cli {
    fn of(host: &Host) -> Self {
        Self(host.url().to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary().unwrap());
        command.args(arguments).env("DACAPO_SERVER", &self.0).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a command that runs concurrently with the test.
    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
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

/// A host with an orchestrator that waits for an event, and one that completes at once.
fn host() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("example-hello-sequence").unwrap();
    host.deploy_guest("example-human-interaction").unwrap();
    (host, directory)
}

#[test]
fn a_session_at_the_terminal() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
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
    let cli = Cli::of(&host);
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

#[test]
fn every_command_says_how_it_is_used() {
    let cli = Cli("http://127.0.0.1:1".into());
    let commands = cli.ok(&["help"]);
    let commands: Vec<&str> = commands
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   ")))
        .collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands.into_iter().filter(|&command| command != "help") {
        let help = cli.ok(&[command, "--help"]);
        assert!(help.contains(&format!("dacapo {command}")), "{help}");
        // Not only in the usage line.
        assert!(help.contains("\nExamples:\n"), "{help}");
    }
}

#[test]
fn shells_complete_the_command_line() {
    let cli = Cli("http://127.0.0.1:1".into());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.ok(&["completion", shell]);
        assert!(script.contains("purge-history") && script.contains("recursive"), "{shell}: {script}");
    }
    assert!(cli.fails(2, &["completion", "cmd"]).contains("bash"));
    // Of these shells, only bash is on every machine.
    let script = cli.ok(&["completion", "bash"]);
    let check =
        "source /dev/stdin; COMP_WORDS=(dacapo purge-h); COMP_CWORD=1; _dacapo dacapo purge-h dacapo; echo \"${COMPREPLY[@]}\"";
    let mut bash =
        Command::new("bash").args(["--norc", "-c", check]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let completed = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "purge-history");
}
