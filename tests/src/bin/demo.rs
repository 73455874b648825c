//! The demo: builds everything, starts the host, deploys the examples, runs them on real input, kills the host during a run, and
//! shows that nothing is lost.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use dacapo_tests::host::{Host, HostOptions, is_finished};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Runs every example on this machine, kills the host during a run, and shows that nothing is lost")]
struct Options {
    /// The directory whose text files are indexed, granted read-only. [default: this repository's sources]
    directory: Option<PathBuf>,
}

const EXAMPLES: [&str; 12] = [
    "hello-sequence",
    "file-index",
    "async-http-api",
    "monitor",
    "human-interaction",
    "saga",
    "eternal",
    "sub-orchestrations",
    "counter",
    "account-transfer",
    "aggregator",
    "call-http",
];

fn main() -> Result<()> {
    let options = Options::parse();
    let workspace = dacapo_tests::workspace();
    let directory = options.directory.unwrap_or_else(|| workspace.join("host"));
    let directory = directory.canonicalize().with_context(|| format!("finding the directory {}", directory.display()))?;

    section("Building the host, most of which is built already, and the first example (wasm)");
    let binary = dacapo_tests::host::binary()?;
    let (first, others) = EXAMPLES.split_first().context("there are examples")?;
    build(&[first])?;

    let data = workspace.join("target/demo-data");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("clearing {}", data.display()))?;
    }
    let service = Service::start()?;
    section("Starting the host on the embedded store");
    let mut host = start(&data, &directory, &service)?;
    say(&format!("dacapo serve listens on {} and keeps its data in {}", host.url(), data.display()));

    section("Function chaining: hello_sequence");
    deploy(&host, first)?;
    show(&finished(&host, "hello_sequence", json!(["Tokyo", "Seattle", "London"]))?["output"]);

    section("Building and deploying the other examples");
    build(others)?;
    others.iter().try_for_each(|example| deploy(&host, example))?;

    section(&format!("Fan-out and fan-in on real files: file_index of {}", directory.display()));
    show(&finished(&host, "file_index", json!({ "directory": "/data" }))?["output"]);

    section("Async HTTP API: long_job, polled by its status address");
    let id = host.start_new("long_job", json!({ "up_to": 400_000, "parts": 5, "pause_ms": 100 }))?;
    show(&follow(&host, &id)?["output"]);

    section(&format!("Monitor: polls {} until it is ready", service.url));
    let watch = json!({ "url": service.url, "first_interval_ms": 100 });
    show(&finished(&host, "monitor", watch)?["output"]);

    section("Human interaction: approval, with an escalation after 72 hours; we approve");
    let id = host.start_new("approval", json!({ "employee": "ada", "amount": 250.0, "approver": "grace" }))?;
    host.wait_until(&id, "waiting", |status| status["customStatus"].is_string())?;
    host.raise_event(&id, "Approval", json!({ "approved": true, "comment": "well spent" }))?;
    show(&host.wait(&id)?["output"]);

    section("Retry and compensation: book_trip, where no car is left");
    show(&finished(&host, "book_trip", json!({ "traveller": "ada", "fails_at": "car" }))?["output"]);

    section("Eternal orchestration: periodic_cleanup continues as new, until an event stops it");
    let id = host.start_new("periodic_cleanup", json!({ "interval_ms": 50 }))?;
    host.wait_until(&id, "in its fifth round", |status| status["customStatus"].as_str().is_some_and(|s| s >= "5"))?;
    host.raise_event(&id, "Stop", json!("the demo"))?;
    show(&host.wait(&id)?["output"]);

    section("Sub-orchestrations: provision_devices");
    show(&finished(&host, "provision_devices", json!(["lamp", "lock", "thermostat"]))?["output"]);

    section("Entity: 1,000 signals to a counter, from ten concurrent orchestrations; none is lost or counted twice");
    let ids: Vec<String> =
        (0..10).map(|_| host.start_new("count_often", json!({ "counter": "demo", "times": 100 }))).collect::<Result<_>>()?;
    ids.iter().try_for_each(|id| host.wait(id).map(drop))?;
    show(&entity(&host, "counter/demo")?);
    ensure!(entity(&host, "counter/demo")?["value"] == json!(1_000), "the counter is wrong");

    section("Critical section: money moves between two locked accounts, or does not move at all");
    ensure!(host.manage("POST", "entities/account/ada?op=deposit", Some(&json!(100)))?.status == 202, "the deposit was refused");
    let transfer = |amount: u32| json!({ "from": "ada", "to": "bob", "amount": amount });
    show(&finished(&host, "transfer", transfer(60))?["output"]);
    show(&host.run("transfer", transfer(60))?["output"]);

    section("Aggregator: an entity combines the signals of many senders");
    show(&finished(&host, "feed", json!({ "sensor": "roof", "values": [17.5, 21, 19.25] }))?["output"]);

    section("Durable HTTP: a slow API answers 202, and is polled by durable timers");
    show(&finished(&host, "order_report", json!({ "url": format!("http://{}/report", service.authority) }))?["output"]);

    section("And now: kill -9 during a job");
    let id = host.start_new("long_job", json!({ "up_to": 400_000, "parts": 8, "pause_ms": 300 }))?;
    let before = host.wait_until(&id, "half done", |status| status["customStatus"]["percent"].as_u64() >= Some(40))?;
    say(&format!("before: {} {}", before["runtimeStatus"], before["customStatus"]));
    say(&format!("kill -9 {}", host.pid()));
    host.kill()?;
    let begin = Instant::now();
    host = start(&data, &directory, &service)?;
    say(&format!("the host is up again after {} ms", begin.elapsed().as_millis()));
    let after = follow(&host, &id)?;
    ensure!(after["runtimeStatus"] == json!("Completed"), "the job did not finish: {after}");
    show(&after["output"]);
    let steps = host.history(&id)?.iter().filter(|event| event["EventType"] == json!("TaskCompleted")).count();
    ensure!(steps == 8, "{steps} of 8 parts are in the history");
    say("it finished: every part is in its history exactly once");
    host.stop()?;

    section("Where to go next");
    println!("  The data of this demo is kept; serve it again and look around:");
    println!("    {} serve --dev --data {}", shown(binary), shown(&data));
    println!("    {} get-instances", shown(binary));
    println!("    {} start-new hello_sequence --wait", shown(binary));
    println!("  README.md takes you to an orchestrator of your own in ten minutes; examples/ has the code that just ran.");
    Ok(())
}

fn start(data: &Path, directory: &Path, service: &Service) -> Result<Host> {
    let grants = ["--dir".to_owned(), format!("/data={}", directory.display())];
    let hosts = ["--allow-host".to_owned(), service.authority.clone()];
    Host::start(HostOptions { data: data.to_owned(), arguments: [grants, hosts].concat() })
}

fn package(example: &str) -> String {
    format!("example-{example}")
}

/// Builds examples, and no other guests of this repository.
fn build(examples: &[&str]) -> Result<()> {
    let packages: Vec<String> = examples.iter().map(|example| package(example)).collect();
    dacapo_tests::guests::build_packages(&packages).map(drop)
}

fn deploy(host: &Host, example: &str) -> Result<()> {
    let module = dacapo_tests::guests::module(&package(example));
    let wasm = std::fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    let deployed = host.deploy(&package(example), &wasm)?;
    let functions = deployed["functions"].as_array().into_iter().flatten();
    let functions: Vec<&str> = functions.filter_map(|function| function["name"].as_str()).collect();
    say(&format!("{example}: {}", functions.join(", ")));
    Ok(())
}

/// Runs an orchestration to its end, and fails unless it completes.
fn finished(host: &Host, name: &str, input: Value) -> Result<Value> {
    let status = host.run(name, input)?;
    ensure!(status["runtimeStatus"] == json!("Completed"), "{name} did not complete: {status}");
    Ok(status)
}

/// Polls an instance as a client would, and prints its progress as it changes.
fn follow(host: &Host, id: &str) -> Result<Value> {
    let mut last = Value::Null;
    loop {
        let status = host.status(id)?;
        if is_finished(&status) {
            return Ok(status);
        }
        if status["customStatus"] != last {
            last = status["customStatus"].clone();
            say(&format!("{} {last}", status["runtimeStatus"].as_str().unwrap_or_default()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The state of an entity.
fn entity(host: &Host, path: &str) -> Result<Value> {
    let answer = host.manage("GET", &format!("entities/{path}"), None)?;
    ensure!(answer.status == 200, "the entity {path}: {answer:?}");
    Ok(answer.json())
}

/// Two services: one to monitor, which is ready from the fourth request on, and one that takes some time to make a report.
struct Service {
    authority: String,
    url: String,
}

impl Service {
    fn start() -> Result<Service> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let read = stream.read(&mut request);
                let line = String::from_utf8_lossy(&request);
                let (status, text) = match line.split_whitespace().nth(1) {
                    Some("/report") => ("202 Accepted\r\nLocation: /report/1\r\nRetry-After: 1", ""),
                    Some("/report/1") => ("200 OK", "here is your report"),
                    _ if requests.fetch_add(1, Ordering::SeqCst) < 3 => ("200 OK", "starting"),
                    _ => ("200 OK", "ready"),
                };
                let length = text.len();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}");
                // The client may have disconnected.
                let _ = read.and_then(|_| stream.write_all(answer.as_bytes()));
            }
        });
        Ok(Service { url: format!("http://{authority}/health"), authority })
    }
}

fn section(title: &str) {
    println!("\n== {title}");
}

fn say(text: &str) {
    println!("   {text}");
}

fn show(value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines().for_each(say);
}

/// Returns a path relative to the current directory, if it is inside.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
