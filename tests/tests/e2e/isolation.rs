//! Why hub A cannot read hub B: a test for each sentence of that section of `host/ARCHITECTURE.md`. Two that need access to
//! internals are in the crates concerned; the last test here checks that the tests that the section names exist.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dacapo_tests::host::{Answer, request};
use dacapo_tests::workspace;
use serde_json::{Value, json};

use crate::access::{World, holding, world};

const BASE: &str = "/runtime/webhooks/durabletask";
const MARK: &str = "only-for-red-eyes";

/// Two hubs, each with the same app and its own key. The red one has confidential data in everything that a hub stores.
struct Two {
    world: World,
    blue: String,
    red: String,
}

impl Two {
    fn open() -> Self {
        let world = world(&[]);
        let [blue, red] = ["blue", "red"].map(|hub| {
            world.make_hub(hub);
            let key = world.make_key(hub, "owner", "administer");
            assert_eq!(world.deploy(&key, "fixture-probe").status, 200);
            key
        });
        let two = Self { world, blue, red };
        let ended = two.world.start(&two.red, "echo_orchestrator", "treasure", json!(MARK));
        assert_eq!(ended.json(), MARK);
        two.wait_for_event(&two.red, "waiting");
        let signalled = two.post(&two.red, "entities/ledger/treasure?op=append", json!(MARK));
        assert_eq!(signalled.status, 202, "{signalled:?}");
        two
    }

    fn manage(&self, key: &str, path: &str) -> Answer {
        self.world.get(key, &format!("{BASE}/{path}"))
    }

    fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.world.send(key, "POST", &format!("{BASE}/{path}"), body)
    }

    /// Starts an instance that waits for the event `go`. Returns its links.
    fn wait_for_event(&self, key: &str, id: &str) -> Value {
        let started = self.post(key, &format!("orchestrators/wait_event/{id}"), json!("go"));
        assert_eq!(started.status, 202, "{started:?}");
        started.json()
    }

    /// Checks that nothing in the red hub has changed.
    fn red_is_untouched(&self) {
        assert_eq!(self.manage(&self.red, "instances/waiting").json()["runtimeStatus"], "Running");
        assert_eq!(self.manage(&self.red, "instances/treasure").json()["output"], MARK);
    }
}

/// Returns each operation of the OpenAPI document, with its path filled in for the hub `red`.
fn operations(two: &Two) -> Vec<(String, String)> {
    let document = two.world.get(&two.blue, "/openapi.json").json();
    let fill = |path: &str| {
        let names = [("{hubName}", "red"), ("{instanceId}", "treasure"), ("{appName}", "fixture-probe")];
        let path = names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
        path.split('/').map(|segment| if segment.starts_with('{') { "owner" } else { segment }).collect::<Vec<_>>().join("/")
    };
    let paths = document["paths"].as_object().unwrap().iter();
    let all =
        paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), fill(path))));
    all.collect()
}

#[test]
fn a_request_has_one_hub_and_its_key_must_be_of_that() {
    let two = Two::open();
    let operations = operations(&two);
    assert!(operations.len() > 40, "{operations:?}");
    for (method, path) in operations {
        if ["/healthz", "/openapi.json", "/admin/limits"].contains(&path.as_str()) {
            continue; // They concern no hub.
        }
        let refused = two.world.send(&two.blue, &method, &format!("{path}?taskHub=red&hub=red"), Value::Null);
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
        assert!(!refused.body.contains(MARK), "{refused:?}");
    }
    two.red_is_untouched();
}

#[test]
fn the_rows_of_a_hub_are_in_a_file_of_its_own() {
    let mut two = Two::open();
    assert_eq!(two.world.start(&two.blue, "echo_orchestrator", "mine", json!("for-blue-eyes")).json(), "for-blue-eyes");
    two.world.host.stop().unwrap();
    let data = two.world.directory.path();
    for (mark, file) in [(MARK, "hubs/red.redb"), ("for-blue-eyes", "hubs/blue.redb")] {
        assert_eq!(holding(data, mark.as_bytes()), [data.join(file)], "{mark}");
    }
}

#[test]
fn an_id_means_nothing_in_another_hub() {
    let two = Two::open();
    let none = |answer: Answer| assert!(matches!(answer.status, 400 | 404) && !answer.body.contains(MARK), "{answer:?}");
    for id in ["treasure", "waiting", "@ledger@treasure"] {
        for query in ["", "?showHistory=true&showHistoryOutput=true"] {
            none(two.manage(&two.blue, &format!("instances/{id}{query}")));
        }
        for act in ["terminate", "suspend", "resume", "rewind", "restart", "raiseEvent/go"] {
            none(two.post(&two.blue, &format!("instances/{id}/{act}"), json!("mine")));
        }
        none(two.world.get(&two.blue, &format!("/admin/instances/{id}/export")));
    }
    none(two.manage(&two.blue, "entities/ledger/treasure"));
    assert_eq!(two.manage(&two.blue, "instances").json(), json!([]));
    two.red_is_untouched();
    // The same id in the blue hub is another instance.
    two.wait_for_event(&two.blue, "treasure");
    assert_eq!(two.manage(&two.blue, "instances/treasure").json()["runtimeStatus"], "Running");
    two.red_is_untouched();
}

/// The WIT contract does not mention hubs.
#[test]
fn a_guest_has_no_import_that_names_a_hub() {
    let contract = std::fs::read_to_string(workspace().join("guest-sdk/wit/dacapo.wit")).unwrap();
    let code = contract.lines().map(|line| line.split("//").next().unwrap_or_default().to_lowercase());
    let naming: Vec<String> = code.filter(|line| line.contains("hub") || line.contains("tenant")).collect();
    assert!(naming.is_empty(), "{naming:?}");
}

#[test]
fn what_a_guest_sends_stays_in_its_hub() {
    let two = Two::open();
    let run = |function: &str, input: Value| two.world.start(&two.blue, function, function, input);
    run("send", json!({ "instance_id": "waiting", "name": "go", "data": "from blue" }));
    run("signal_entity", json!({ "entity": { "name": "ledger", "key": "treasure" }, "operation": "append", "input": "blue" }));
    // A child with the same id is an instance of its own hub, and does not conflict with that of the other hub.
    let child = run("call_child", json!({ "name": "echo_orchestrator", "input": "child", "instance_id": "waiting" }));
    assert_eq!(child.json()["ok"], "child");
    let state = two.manage(&two.red, "entities/ledger/treasure").json();
    assert_eq!(state, json!({ "entries": [MARK] }));
    two.red_is_untouched();
}

#[test]
fn a_function_is_known_in_its_hub_only() {
    let two = Two::open();
    assert_eq!(two.world.deploy(&two.red, "example-hello-sequence").status, 200);
    let refused = two.post(&two.blue, "orchestrators/hello_sequence", json!([MARK]));
    assert!(refused.status == 400 && !refused.body.contains("'hello_sequence',"), "{refused:?}");
    let call = two.world.start(&two.blue, "call", "calls", json!({ "name": "say_hello", "input": "x" })).json();
    assert_eq!(call["err"]["error_type"], "ActivityNotFound", "{call}");
}

#[test]
fn a_digest_runs_only_where_it_is_deployed() {
    let two = Two::open();
    let deployed = two.world.deploy(&two.red, "example-hello-sequence").json();
    let digest = deployed["version"].as_str().unwrap();
    let app = "/admin/apps/fixture-probe";
    for (method, path) in [
        ("POST", format!("{app}/activate?version={digest}")),
        ("POST", format!("{app}/migrate?version={digest}")),
        ("POST", format!("{app}/check?version={digest}")),
        ("DELETE", format!("{app}/versions/{digest}")),
        ("POST", format!("/admin/apps/example-hello-sequence/activate?version={digest}")),
    ] {
        let refused = two.world.send(&two.blue, method, &path, Value::Null);
        assert!(matches!(refused.status, 400 | 404), "{method} {path}: {refused:?}");
    }
    // An imported file that names it without containing it does not bring it along, either.
    two.post(&two.red, "orchestrators/hello_sequence/moving?startAt=2100-01-01T00:00:00Z", json!([MARK]));
    let waiting = two.world.get(&two.red, "/admin/instances/waiting/export").body;
    let alien = world(&[]);
    alien.make_hub("green");
    let green = alien.make_key("green", "owner", "administer");
    let refused = alien.host.request_as(&green, "POST", "/admin/import", Some(waiting.as_bytes())).unwrap();
    assert!(refused.status == 409 && refused.body.contains("not deployed here"), "{refused:?}");
}

#[test]
fn a_link_opens_its_instance_in_its_hub() {
    let two = Two::open();
    let of = |links: &Value| {
        let link = links["statusQueryGetUri"].as_str().unwrap();
        link.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
    };
    let (blue, red) = (of(&two.wait_for_event(&two.blue, "same")), of(&two.wait_for_event(&two.red, "same")));
    assert_ne!(blue, red);
    let status = |hub: &str, id: &str, code: &str| {
        let url = format!("{}{BASE}/instances/{id}?taskHub={hub}&code={code}", two.world.host.url());
        request("GET", &url, None).unwrap().status
    };
    assert_eq!((status("blue", "same", &blue), status("red", "same", &red)), (202, 202));
    assert_eq!((status("red", "same", &blue), status("blue", "same", &red), status("red", "waiting", &blue)), (401, 401, 401));
}

#[test]
fn the_successor_of_a_hub_finds_nothing() {
    let two = Two::open();
    let links = two.wait_for_event(&two.red, "linked");
    let root = &two.world.root;
    assert_eq!(two.world.send(root, "DELETE", "/admin/hubs/red", Value::Null).status, 204);
    two.world.make_hub("red");
    assert_eq!(two.manage(&two.red, "instances").status, 401, "the keys are gone");
    let heir = two.world.make_key("red", "owner", "administer");
    for (path, nothing) in [
        (format!("{BASE}/instances"), json!([])),
        (format!("{BASE}/entities"), json!([])),
        ("/admin/apps".to_owned(), json!([])),
        ("/admin/hubs/red/secrets".to_owned(), json!([])),
    ] {
        assert_eq!(two.world.get(&heir, &path).json(), nothing, "{path}");
    }
    let audit = two.world.get(&heir, "/admin/audit").json();
    let told: Vec<&str> = audit.as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).collect();
    assert_eq!(told, ["key.create", "hub.create"]);
    // The old links do not work even for an instance with the same id.
    assert_eq!(two.world.deploy(&heir, "fixture-probe").status, 200);
    two.wait_for_event(&heir, "linked");
    assert_eq!(request("GET", links["statusQueryGetUri"].as_str().unwrap(), None).unwrap().status, 401);
}

#[test]
fn what_is_told_of_a_hub_is_told_to_its_keys_only() {
    let two = Two::open();
    let audit = two.world.get(&two.blue, "/admin/audit").json();
    assert!(audit.as_array().is_some_and(|lines| !lines.is_empty() && lines.iter().all(|line| line["hub"] == "blue")), "{audit}");
    for path in ["/admin/audit?hub=red", "/admin/hubs/red", "/admin/hubs/red/keys", "/admin/hubs/red/limits", "/admin/hubs"] {
        let refused = two.world.get(&two.blue, path);
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
}

#[test]
fn an_export_holds_its_own_hub_only() {
    let two = Two::open();
    assert_eq!(two.world.start(&two.blue, "echo_orchestrator", "mine", json!("for-blue-eyes")).json(), "for-blue-eyes");
    let export = |key: &str| plain(&two.world.get(key, "/admin/export").body);
    let (blue, red) = (export(&two.blue), export(&two.red));
    assert!(blue.contains("for-blue-eyes") && !blue.contains(MARK), "{blue}");
    assert!(red.contains(MARK) && !red.contains("for-blue-eyes"), "{red}");
}

/// Returns an export with its Base64 data decoded.
fn plain(export: &str) -> String {
    let mut text = String::new();
    for line in export.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = line["value"].as_str().map(|value| BASE64_STANDARD.decode(value).unwrap()).unwrap_or_default();
        text.push_str(&format!("{line} {}\n", String::from_utf8_lossy(&bytes)));
    }
    text
}

#[test]
fn a_guest_does_not_reach_the_host_that_runs_it() {
    let two = Two::open();
    let url = format!("{}/healthz", two.world.host.url());
    let refused = two.world.start(&two.blue, "call", "reaching", json!({ "name": "http_get", "input": url })).json();
    assert_eq!(refused["err"]["error_type"], "HttpRequestDenied", "{refused}");
    let message = refused["err"]["message"].as_str().unwrap();
    let why = "the host did not send a request to http://127.0.0.1:";
    assert!(message.contains(why) && message.contains("the operator does not allow"), "its author is told why: {message}");
}

/// Sentences end with the test that shows them: `` (`name` in `path`) ``.
#[test]
fn every_sentence_names_a_test_that_exists() {
    let page = std::fs::read_to_string(workspace().join("host/ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once("\n## Why hub A cannot read hub B\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or(section);
    let (sentences, _not_closed) = section.split_once("\nNot closed").expect("it says what is not closed");
    let mut named = 0;
    for (number, sentence) in (1..).zip(sentences.split("\n\n").filter(|paragraph| paragraph.starts_with(char::is_numeric))) {
        assert!(sentence.starts_with(&format!("{number}. ")), "{sentence}");
        let words: Vec<&str> = sentence.split('`').collect();
        let tests = words.windows(3).filter(|words| words[1].split_whitespace().eq(["in"]));
        let before = named;
        for test in tests {
            let (name, path) = (test[0], workspace().join(Path::new(test[2])));
            let source = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert!(source.contains(&format!("fn {name}()")), "{name} is not in {}", path.display());
            named += 1;
        }
        assert!(named > before, "no test is named: {sentence}");
    }
    assert!(named >= 15, "{named}");
}
