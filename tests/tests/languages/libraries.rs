//! Packages that apps bring along, and what they expect of their language: each does its work against a local server.
//!
//! `tests/fixtures/libraries` has the apps and the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use dacapo_tests::host::Host;
use dacapo_tests::languages::{Language, build};
use dacapo_tests::workspace;
use serde_json::{Value, json};

const FOLDER: &str = "tests/fixtures/libraries";

#[test]
fn python() {
    let server = Server::start();
    let (host, _directory) = server.host();
    host.deploy("libraries", &built("python")).unwrap();
    let zone = "2024-07-01T12:00:00+02:00";
    let large = 300_000;
    let names = ["xml.etree.ElementTree", "logging.handlers", "sqlite3", "encodings.cp1250", "dateutil.zoneinfo", "wave"];
    for (activity, input, expected) in [
        ("zones", json!(null), json!([zone, zone, zone, true, "2024-05-03T10:00:00+00:00", 3])),
        ("package_data", json!(null), {
            json!([{ "own": true }, { "own": true }, true, true, ["adapters.py", "api.py", "auth.py"], true, true])
        }),
        ("temporary_files", json!(null), { json!([["one\n", "two"], ["a", "a/b", "a/b/c.bin"], ["source.py"], "zipped", []]) }),
        ("late_modules", json!(names), json!(names)),
        ("standard_library", json!(null), json!([16, true, { "x": 1, "y": 2 }, true, [1]])),
        ("plain_clients", json!(server.url), json!(["/echo/urllib", { "by": "requests" }, { "by": "httpx" }, "a=b"])),
        ("aiohttp_client", json!(server.url), {
            let refused = "http://not-granted.example/: HttpRequestDenied";
            json!(["/meet/a", "/meet/b", "/meet/c", { "by": "aiohttp" }, large, refused])
        }),
        ("httpx_client", json!(server.url), json!(["/meet/d", "/meet/e", "/meet/f", { "by": "httpx" }, large])),
        ("a_timeout_cancels_a_request", json!(server.url), json!("timed out")),
        ("asyncio_run", json!(server.url), json!(["/echo/run", "%"])),
        ("blobs_and_queues", json!(server.url), json!(["hello", "message-1"])),
        ("blobs_in_asyncio", json!(server.url), json!("hello again")),
        ("a_client_secret", json!(server.url), json!("a token")),
        ("validated", json!({ "id": "7", "items": ["a"] }), {
            json!([{ "id": 7, "items": ["a"], "note": null }, 1, { "a": [1, "two"] }])
        }),
    ] {
        assert_eq!(run(&host, "run", json!({ "activity": activity, "input": input })), expected, "{activity}");
    }
    assert_eq!(run(&host, "zones_in_an_orchestrator", json!(null)), json!(["9:00:00", 36]));
    let [claims, sentence, loads] = run(&host, "run", json!({ "activity": "what_needs_cryptography", "input": null }))
        .as_array()
        .and_then(|seen| <[Value; 3]>::try_from(seen.clone()).ok())
        .expect("it returns three values");
    assert_eq!((claims, loads), (json!({ "a": 1 }), json!(true)));
    assert!(sentence.as_str().is_some_and(|text| text.contains("machine code of `cryptography`")), "{sentence}");
}

#[test]
fn python_with_openai() {
    let server = Server::start();
    let (host, _directory) = server.host();
    host.deploy("openai", &built("python-openai")).unwrap();
    assert_eq!(run(&host, "chat", json!(server.url)), json!(["hello there", "hello there"]));
}

fn built(app: &str) -> Vec<u8> {
    std::fs::read(build(Language::Python, &format!("{FOLDER}/{app}")).unwrap()).unwrap()
}

/// The output of an orchestration.
fn run(host: &Host, orchestrator: &str, input: Value) -> Value {
    let id = host.start_new(orchestrator, input).unwrap();
    let status = host.wait(&id).unwrap();
    assert_eq!(status["runtimeStatus"], "Completed", "{status}");
    status["output"].clone()
}

/// The local server, which ends when it is dropped.
struct Server {
    child: Child,
    url: String,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.arg(workspace().join(FOLDER).join("server.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        Self { child, url: format!("http://{address}"), address }
    }

    /// A host whose activities may call it.
    fn host(&self) -> (Host, tempfile::TempDir) {
        Host::temporary(&["--allow-host", &self.address]).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
