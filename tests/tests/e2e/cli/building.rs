//! Building apps, and the development loop. The apps here are in WAT, which needs no toolchain; those in other languages are in
//! `tests/tests/languages`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dacapo_tests::host::{Host, binary, request, request_with};
use dacapo_tests::{trigger_guest, workspace};
use serde_json::{Value, json};

use super::Cli;

/// The smallest app.
fn hello() -> String {
    fs::read_to_string(workspace().join("examples/wat/hello.wat")).unwrap()
}

/// A folder that contains an app in `app`.
fn app() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("app")).unwrap();
    fs::write(directory.path().join("app/hello.wat"), hello()).unwrap();
    directory
}

fn dacapo(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

#[track_caller]
fn refused(code: i32, arguments: &[&str], folder: &Path) -> String {
    let output = dacapo(arguments, folder).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_app_is_built_and_deployed() {
    let directory = app();
    let folder = directory.path().join("app");
    fs::write(folder.join("dacapo.json"), r#"{"name":"greeter","version":"1.1"}"#).unwrap();
    let said = stdout(dacapo(&["build"], &folder).output().unwrap());
    assert!(said.contains("app.wasm") && said.contains("say_hello"), "{said}");

    let (host, _data) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let deployed = cli.json(&["deploy", folder.join("app.wasm").to_str().unwrap()]);
    assert_eq!((&deployed["app"], &deployed["label"]), (&json!("greeter"), &json!("1.1")), "its manifest is in the file");
    assert_eq!(host.run("hello", json!("Ada")).unwrap()["output"], json!(["Hello", "Ada"]));
}

#[test]
fn what_was_built_is_told_to_programs() {
    let directory = app();
    let out = directory.path().join("built/hello.wasm");
    let output = dacapo(&["build", "app", "--out", out.to_str().unwrap(), "--json"], directory.path()).output().unwrap();
    let told: Value = serde_json::from_str(&stdout(output)).unwrap();
    assert_eq!(told["file"], json!(out));
    assert_eq!(told["language"], json!("WAT"));
    assert_eq!(told["bytes"], json!(fs::metadata(&out).unwrap().len()));
    let names: Vec<&Value> = told["functions"].as_array().unwrap().iter().map(|function| &function["name"]).collect();
    assert_eq!(names, [&json!("hello"), &json!("say_hello")]);
}

#[test]
fn a_build_shows_what_reaches_the_app() {
    let directory = tempfile::tempdir().unwrap();
    let http = r#"[{"type":"httpTrigger","methods":["get","post"],"route":"orders/{id}"}]"#;
    let triggers = [("orders", http), ("taken", r#"[{"type":"queueTrigger","queueName":"orders"}]"#)];
    fs::write(directory.path().join("app.wat"), trigger_guest::wat("echo", &triggers)).unwrap();
    fs::write(directory.path().join("host.json"), r#"{"extensions":{"http":{"routePrefix":""}}}"#).unwrap();
    let said = stdout(dacapo(&["build", "--out", "app.wasm"], directory.path()).output().unwrap());
    for part in ["[GET,POST] /orders/{id}", "queue orders", "echo"] {
        assert!(said.contains(part), "{said}");
    }
    let told = stdout(dacapo(&["build", "--out", "app.wasm", "--json"], directory.path()).output().unwrap());
    let expected = json!({ "type": "httpTrigger", "methods": ["GET", "POST"], "path": "/orders/{id}", "authLevel": "function" });
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["startedBy"]["orders"], expected);
}

#[test]
fn what_cannot_be_built_is_explained() {
    let directory = app();
    let folder = directory.path();
    assert!(refused(2, &["build", "nowhere"], folder).contains("there is no folder nowhere"));
    let unknown = refused(2, &["build"], folder);
    assert!(unknown.contains("no app of a known language") && unknown.contains("Zig: *.zig"), "{unknown}");
    fs::write(folder.join("app/app.c"), "").unwrap();
    assert!(refused(2, &["build", "app"], folder).contains("could be an app in C or in WAT: --language says which"));
    stdout(dacapo(&["build", "app", "--language", "wat"], folder).output().unwrap());
    let output = dacapo(&["build", "app", "--language", "go"], folder).env("PATH", folder).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("go is not on the PATH") && said.contains("apt-get install golang"), "{said}");
    fs::write(folder.join("app/hello.wat"), "(module (func $a (call $b)))").unwrap();
    assert!(refused(1, &["build", "app", "--language", "wat"], folder).contains("unknown func"));
}

#[test]
fn a_new_app_needs_a_name_and_a_folder_of_its_own() {
    let directory = app();
    let folder = directory.path();
    let said = stdout(dacapo(&["new", "orders", "--language", "python"], folder).output().unwrap());
    assert!(said.contains("cd orders") && said.contains("dacapo dev"), "{said}");
    assert!(folder.join("orders/function_app.py").is_file() && folder.join("orders/.dacapo/sdk/python/build.py").is_file());
    assert!(refused(2, &["new", "orders", "--language", "python"], folder).contains("is not empty"));
    assert!(refused(2, &["new", "Orders!", "--language", "python"], folder).contains("cannot be the name of an app"));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running `dacapo dev`.
struct Dev {
    child: Child,
    server: String,
    lines: Receiver<String>,
    /// The lines that it has printed so far.
    said: Vec<String>,
}

impl Dev {
    fn start(folder: &Path) -> Self {
        let server = format!("http://127.0.0.1:{}", free_port());
        Self::run(folder, &["--server", &server], server.clone())
    }

    /// Runs it with these arguments, at this address.
    fn run(folder: &Path, arguments: &[&str], server: String) -> Self {
        let mut child = dacapo(&[&["dev", "app"], arguments].concat(), folder);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Self { child, server, lines, said: Vec::new() }
    }

    /// Waits until it prints a line that contains `what`.
    #[track_caller]
    fn says(&mut self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.contains(what)) {
                return;
            }
        }
        panic!("it did not print '{what}' but\n{}", self.said.join("\n"));
    }

    fn output_of(&self, id: &str) -> Value {
        Cli(self.server.clone()).json(&["start-new", "hello", "--id", id, "--input", "\"Ada\"", "--wait"])["output"].clone()
    }

    /// Sends Ctrl-C and returns the exit code.
    fn interrupt(&mut self) -> Option<i32> {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_developer_changes_an_app_while_it_runs() {
    let directory = app();
    let source = directory.path().join("app/hello.wat");
    let mut dev = Dev::start(directory.path());
    dev.says("building");
    dev.says("in the task hub 'TestHubName'");
    dev.says("say_hello");
    let next = format!("it runs at {0}; in another terminal: dacapo start-new hello --input JSON --server {0}", dev.server);
    dev.says(&next);
    dev.says("waiting for changes");
    assert_eq!(dev.output_of("one"), json!(["Hello", "Ada"]));
    dev.says("one  hello  Completed");

    // It once rebuilt endlessly because of its own log, and deployed a version of unchanged sources.
    fs::write(directory.path().join("app/dev.log"), "building").unwrap();
    fs::write(&source, hello()).unwrap();
    dev.says("changed, building");
    dev.says("nothing changed");
    dev.says("waiting for changes");
    let formatted = format!("{}\n;; a remark\n", hello());
    fs::write(&source, formatted).unwrap();
    dev.says("changed, building");
    dev.says("nothing changed");
    dev.says("waiting for changes");

    fs::write(&source, "(module").unwrap();
    dev.says("changed, building");
    dev.says("expected `)`");
    dev.says("waiting for changes");

    fs::write(&source, hello().replace(r"[\22Hello\22,", r"[\22Howdy\22,")).unwrap();
    dev.says("in the task hub 'TestHubName'");
    dev.says("say_hello");
    dev.says("waiting for changes");
    assert_eq!(dev.output_of("two"), json!(["Howdy", "Ada"]));

    assert_eq!(dev.interrupt(), Some(0));
    assert_eq!(Cli(dev.server.clone()).run(&["apps"]).status.code(), Some(5), "its host has ended with it");
    assert!(directory.path().join("app/.dacapo/data/control.redb").is_file());
}

/// The hub of `host.json` was that of `func durable` only, and changed settings needed another `dacapo dev`.
#[test]
fn a_developer_has_the_hub_the_port_and_the_settings_of_the_app() {
    const ANONYMOUS: &str = r#"[{"type":"httpTrigger","methods":["post"],"authLevel":"anonymous"}]"#;
    const TIMER: &str = r#"[{"type":"timerTrigger","schedule":"0 0 0 1 1 *"}]"#;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join("app").join(name), text).unwrap();
    fs::create_dir(directory.path().join("app")).unwrap();
    write("app.wat", &trigger_guest::wat("echo", &[("start", ANONYMOUS), ("yearly", TIMER)]));
    write("host.json", r#"{"version":"2.0","extensions":{"durableTask":{"hubName":"%HUB%"},"http":{"routePrefix":"v1"}}}"#);
    let port = free_port();
    let settings = |disabled: bool| {
        let values = json!({ "HUB": "Greetings", "AzureWebJobs.start.Disabled": disabled });
        json!({ "Values": values, "Host": { "LocalHttpPort": port, "CORS": "http://page.example" } }).to_string()
    };
    write("local.settings.json", &settings(true));
    let mut dev = Dev::run(directory.path(), &[], format!("http://127.0.0.1:{port}"));
    dev.says("in the task hub 'Greetings'");
    dev.says(&format!("[POST] http://127.0.0.1:{port}/v1/start (disabled)"));
    dev.says("timer 0 0 0 1 1 *");
    dev.says("waiting for changes");
    let start = format!("{}/v1/start", dev.server);
    assert_eq!(request("POST", &start, Some(b"1")).unwrap().status, 404);

    write("local.settings.json", &settings(false));
    dev.says("see the changed settings of local.settings.json");
    dev.says("waiting for changes");
    let deadline = Instant::now() + Duration::from_secs(60);
    let started = loop {
        let answer = request_with("POST", &start, &[("origin", "http://page.example")], Some(b"1")).unwrap();
        assert!(Instant::now() < deadline, "{answer:?}");
        // As long as the trigger is disabled, its path is one where no page may send requests.
        if answer.status != 403 {
            break answer;
        }
    };
    assert_eq!((started.status, started.header("access-control-allow-origin")), (202, Some("http://page.example")));
    dev.says("echo  Completed");
    assert!(dev.said.iter().all(|line| !line.contains("BuiltIn::")), "{:?}", dev.said);
    let hubs = Cli(dev.server.clone()).ok(&["hub", "list"]);
    assert!(hubs.contains("Greetings") && !hubs.contains("TestHubName"), "{hubs}");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn a_host_that_runs_already_is_used() {
    let directory = app();
    let (host, _data) = Host::temporary(&[]).unwrap();
    let mut command = dacapo(&["dev", "app", "--server", host.url()], directory.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("say_hello")));
    assert_eq!(host.run("hello", json!("Ada")).unwrap()["output"], json!(["Hello", "Ada"]));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!directory.path().join("app/.dacapo/data").exists());
}
