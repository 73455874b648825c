//! Keys, roles and hubs, seen from outside: what each key allows, for how long, and what is never shown.

use std::path::{Path, PathBuf};
use std::process::Command;

use dacapo_tests::host::{Answer, Host, HostOptions, binary, request};
use serde_json::{Value, json};

const BASE: &str = "/runtime/webhooks/durabletask";

/// A host that requires keys, and its administrator's key.
pub struct World {
    pub host: Host,
    pub root: String,
    pub directory: tempfile::TempDir,
}

pub fn world(arguments: &[&str]) -> World {
    let (host, directory) = Host::temporary_locked(arguments).unwrap();
    let root = host.administrator_key().expect("it is the first start").to_owned();
    World { host, root, directory }
}

#[test]
fn the_first_key_is_left_in_a_file_and_not_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let (mut host, _data) = Host::temporary_locked(&["--first-key-file", file.to_str().unwrap()]).unwrap();
    assert_eq!(host.administrator_key(), None);
    let key = std::fs::read_to_string(&file).unwrap();
    let ask = |host: &Host| host.request_as(key.trim(), "GET", "/admin/keys", None).unwrap().status;
    assert_eq!(ask(&host), 200);
    assert!(!host.log().contains(key.trim()), "nor logged");
    host.restart().unwrap();
    assert_eq!(ask(&host), 200);
}

impl World {
    pub fn send(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = Some(body.to_string()).filter(|_| body != Value::Null);
        self.host.request_as(key, method, path, body.as_deref().map(str::as_bytes)).unwrap()
    }

    pub fn get(&self, key: &str, path: &str) -> Answer {
        self.send(key, "GET", path, Value::Null)
    }

    pub fn make_hub(&self, name: &str) {
        let made = self.send(&self.root, "POST", "/admin/hubs", json!({ "name": name }));
        assert_eq!(made.status, 201, "{made:?}");
    }

    pub fn make_key(&self, hub: &str, name: &str, role: &str) -> String {
        let path = format!("/admin/hubs/{hub}/keys");
        let made = self.send(&self.root, "POST", &path, json!({ "name": name, "role": role }));
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["key"].as_str().unwrap().to_owned()
    }

    pub fn deploy(&self, key: &str, package: &str) -> Answer {
        let wasm = dacapo_tests::guest(package).unwrap();
        self.host.request_as(key, "POST", &format!("/admin/apps/{package}"), Some(&wasm)).unwrap()
    }

    pub fn start(&self, key: &str, function: &str, id: &str, input: Value) -> Answer {
        self.send(key, "POST", &format!("{BASE}/orchestrators/{function}/{id}?timeout=60"), input)
    }
}

/// Returns the files below a directory that contain these bytes.
pub fn holding(directory: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => holding(&path, needle),
        false => {
            let holds = std::fs::read(&path).unwrap().windows(needle.len()).any(|bytes| bytes == needle);
            Vec::from_iter(holds.then_some(path))
        }
    });
    found.collect()
}

fn holds(directory: &Path, needle: &[u8]) -> bool {
    !holding(directory, needle).is_empty()
}

#[test]
fn two_tenants_share_a_host_and_nothing_else() {
    let world = world(&[]);
    for (hub, package) in [("blue", "example-hello-sequence"), ("red", "example-hello-sequence")] {
        world.make_hub(hub);
        let key = world.make_key(hub, "owner", "administer");
        assert_eq!(world.deploy(&key, package).status, 200);
        assert_eq!(world.start(&key, "hello_sequence", "same-id", json!([hub])).json(), json!([format!("Hello, {hub}!")]));
    }
    let (blue, red) = (world.make_key("blue", "b", "administer"), world.make_key("red", "r", "read"));
    let output = |key: &str| world.get(key, &format!("{BASE}/instances/same-id")).json()["output"].clone();
    assert_eq!((output(&blue), output(&red)), (json!(["Hello, blue!"]), json!(["Hello, red!"])));
    for path in ["/instances/same-id?taskHub=red", "/instances?taskHub=red", "/instances?taskHub=nowhere"] {
        let refused = world.get(&blue, &format!("{BASE}{path}"));
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(!refused.body.contains("Hello"), "{refused:?}");
    }
    for path in ["/admin/hubs", "/admin/hubs/red", "/admin/keys", "/admin/hubs/red/keys", "/admin/audit?hub=red"] {
        assert_eq!(world.get(&blue, path).status, 403, "{path}");
    }
    assert_eq!(world.send(&blue, "PATCH", "/admin/hubs/blue", json!({ "limits": { "apps": 1_000 } })).status, 403);
    assert_eq!(world.send(&blue, "DELETE", "/admin/hubs/red", Value::Null).status, 403);

    let gone = world.send(&world.root, "DELETE", "/admin/hubs/red", Value::Null);
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(world.get(&red, &format!("{BASE}/instances")).status, 401, "its keys went with it");
    world.make_hub("red");
    let heir = world.make_key("red", "heir", "read");
    assert_eq!(world.get(&heir, &format!("{BASE}/instances")).json(), json!([]), "and its instances");
    assert_eq!(output(&blue), json!(["Hello, blue!"]));
    let told = world.get(&world.root, "/admin/audit").json();
    let actions: Vec<&str> = told.as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).collect();
    assert!(actions.contains(&"hub.delete") && actions.contains(&"deleteHub"), "what was done and what was denied: {told}");
}

#[test]
fn a_role_is_what_its_holder_may_do() {
    let world = world(&[]);
    let hub = "TestHubName";
    let (read, operate, deploy) =
        (world.make_key(hub, "r", "read"), world.make_key(hub, "o", "operate"), world.make_key(hub, "d", "deploy"));
    assert_eq!(world.deploy(&operate, "fixture-probe").status, 403);
    assert_eq!(world.deploy(&deploy, "fixture-probe").status, 200);
    let started = |key: &str| world.send(key, "POST", &format!("{BASE}/orchestrators/wait_event/i"), json!("go")).status;
    assert_eq!((started(&read), started(&operate)), (403, 202));
    assert_eq!(world.get(&read, &format!("{BASE}/instances/i")).status, 202);
    let raise = |key: &str| world.send(key, "POST", &format!("{BASE}/instances/i/raiseEvent/go"), json!(1)).status;
    assert_eq!((raise(&read), raise(&operate)), (403, 202));
    assert_eq!(
        world.send(&deploy, "POST", &format!("/admin/hubs/{hub}/keys"), json!({ "name": "x", "role": "read" })).status,
        403
    );
}

#[test]
fn links_in_answers_open_their_instance_without_the_key_of_the_caller() {
    let world = world(&[]);
    let key = world.make_key("TestHubName", "owner", "administer");
    assert_eq!(world.deploy(&key, "fixture-probe").status, 200);
    let start = |id: &str| world.send(&key, "POST", &format!("{BASE}/orchestrators/wait_event/{id}?code={key}"), json!("go"));
    let (started, other) = (start("one"), start("two"));
    assert!(!started.body.contains("dcp_") && started.body.contains("code=dli_"), "{started:?}");
    let links = started.json();
    let link = |name: &str| links[name].as_str().unwrap().replace("{text}", "x").replace("{eventName}", "go");
    let call = |method: &str, url: &str| request(method, url, Some(b"\"x\"".as_slice()).filter(|_| method == "POST")).unwrap();

    let status = call("GET", &link("statusQueryGetUri"));
    assert_eq!(status.json()["runtimeStatus"], "Running");
    let location = status.header("location").unwrap();
    assert_eq!(call("GET", location).status, 202, "{location}");
    let polled = world.get(&key, &format!("{BASE}/instances/one?code={key}&showInput=false"));
    let location = polled.header("location").unwrap();
    assert!(location.contains("showInput=false&code=dli_") && !location.contains("dcp_"), "{location}");
    assert_eq!(call("GET", location).status, 202);

    let token = link("statusQueryGetUri").split("code=").nth(1).unwrap().to_owned();
    let with = |path: &str| format!("{}{path}{}code={token}", world.host.url(), if path.contains('?') { "&" } else { "?" });
    for path in ["/instances/two", "/instances/One", "/instances/one?taskHub=Elsewhere"] {
        assert_eq!(call("GET", &with(&format!("{BASE}{path}"))).status, 401, "{path}");
    }
    for path in [&format!("{BASE}/instances"), &format!("{BASE}/entities"), "/admin/apps", "/admin/limits", "/admin/hubs"] {
        assert_eq!(call("GET", &with(path)).status, 403, "{path}");
    }
    assert_eq!(call("POST", &with(&format!("{BASE}/orchestrators/wait_event"))).status, 403);

    assert_eq!(call("POST", &link("suspendPostUri")).status, 202);
    assert_eq!(call("POST", &link("resumePostUri")).status, 202);
    assert_eq!(call("POST", &link("sendEventPostUri")).status, 202);
    let ended = world.get(&key, &format!("{BASE}/instances/one?wait=60")).json();
    assert_eq!(ended["output"], "x");
    assert_eq!(call("DELETE", &link("purgeHistoryDeleteUri")).status, 200);
    assert_eq!(call("POST", &link("terminatePostUri")).status, 404);
    let two = other.json()["terminatePostUri"].as_str().unwrap().replace("{text}", "x");
    assert_eq!(call("POST", &two).status, 202);
}

/// A reader was given a link that allowed to terminate and purge, even after its key was revoked.
#[test]
fn the_link_of_a_reader_reads_and_ends_with_its_key() {
    let world = world(&[]);
    let (owner, reader) = (world.make_key("TestHubName", "owner", "administer"), world.make_key("TestHubName", "reader", "read"));
    assert_eq!(world.deploy(&owner, "fixture-probe").status, 200);
    let started = world.send(&owner, "POST", &format!("{BASE}/orchestrators/wait_event/victim"), json!("go"));
    let of_owner = started.header("location").unwrap().to_owned();
    let location = |of: &str| {
        let polled = request("GET", of, None).unwrap();
        polled.header("location").unwrap_or_else(|| panic!("{polled:?}")).to_owned()
    };
    let of_reader = world.get(&reader, &format!("{BASE}/instances/victim")).header("location").unwrap().to_owned();
    assert_eq!(location(&of_reader), of_reader, "a poll with a link returns the same link");
    let (path, query) = of_reader.split_once('?').unwrap();
    let acts = ["terminate", "suspend", "resume", "rewind", "raiseEvent/go", "restart"];
    for act in acts {
        let refused = request("POST", &format!("{path}/{act}?{query}"), Some(b"1".as_slice())).unwrap();
        assert!(refused.status == 403 && refused.body.contains("the role read"), "{act}: {refused:?}");
    }
    assert_eq!(request("DELETE", &of_reader, None).unwrap().status, 403);
    assert_eq!(request("GET", &of_reader, None).unwrap().status, 202);

    assert_eq!(world.send(&world.root, "DELETE", "/admin/hubs/TestHubName/keys/reader", Value::Null).status, 204);
    assert_eq!(request("GET", &of_reader, None).unwrap().status, 401);
    assert_eq!(request("GET", &location(&of_owner), None).unwrap().status, 202, "the link of another key stays valid");
    world.make_key("TestHubName", "reader", "operate");
    assert_eq!(request("GET", &of_reader, None).unwrap().status, 401, "a key of the same name is another one");
}

#[test]
fn the_links_that_an_activity_hands_on_open_their_instance() {
    let world = world(&[]);
    let key = world.make_key("TestHubName", "owner", "administer");
    assert_eq!(world.deploy(&key, "fixture-probe").status, 200);
    world.send(&key, "POST", &format!("{BASE}/orchestrators/wait_event/waiting"), json!("go"));
    let handed = world.start(&key, "call", "handing", json!({ "name": "management_links", "input": "waiting" })).json();
    let raise = handed["ok"]["sendEventPostUri"].as_str().unwrap_or_else(|| panic!("{handed}")).replace("{eventName}", "go");
    assert_eq!(request("POST", &raise, Some(b"\"outside\"")).unwrap().status, 202);
    assert_eq!(world.get(&key, &format!("{BASE}/instances/waiting?wait=60")).json()["output"], "outside");
}

#[test]
fn a_revoked_key_opens_nothing_also_after_a_restart() {
    let mut world = world(&[]);
    let (kept, revoked) = (world.make_key("TestHubName", "kept", "read"), world.make_key("TestHubName", "gone", "read"));
    let list = format!("{BASE}/instances");
    assert_eq!((world.get(&kept, &list).status, world.get(&revoked, &list).status), (200, 200));
    assert_eq!(world.send(&world.root, "DELETE", "/admin/hubs/testhubname/keys/GONE", Value::Null).status, 204);
    for _ in 0..2 {
        assert_eq!((world.get(&kept, &list).status, world.get(&revoked, &list).status), (200, 401));
        world.host.restart().unwrap();
        assert_eq!(world.host.administrator_key(), None, "there is an administrator's key already");
    }
    let keys = world.get(&world.root, "/admin/hubs/TestHubName/keys").json();
    let keys = keys.as_array().unwrap();
    assert_eq!((keys.len(), &keys[0]["name"]), (1, &json!("kept")));
    assert!(keys[0]["lastUsedAt"].is_string() && keys[0].get("key").is_none(), "{keys:?}");
}

#[test]
fn a_lost_key_is_replaced_while_no_host_runs() {
    let mut world = world(&[]);
    let data = world.directory.path().to_owned();
    let create = || {
        let mut command = Command::new(binary().unwrap());
        command.args(["key", "create", "spare", "--role", "administer", "--offline", "--data"]).arg(&data);
        command.env_remove("DACAPO_KEY").output().unwrap()
    };
    let refused = create();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("another process"), "{refused:?}");
    world.host.stop().unwrap();
    let made = create();
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let host = Host::start_locked(HostOptions { data, arguments: Vec::new() }).unwrap();
    assert_eq!(host.request_as(&key, "GET", "/admin/hubs", None).unwrap().status, 200);
    let told = host.request_as(&key, "GET", "/admin/audit", None).unwrap().json();
    assert_eq!((&told[0]["actor"], &told[0]["action"]), (&json!("offline"), &json!("key.create")));
}

#[test]
fn without_keys_a_host_serves_this_machine_only() {
    let directory = tempfile::tempdir().unwrap();
    let start = |address: &str| {
        let mut command = Command::new(binary().unwrap());
        command.args(["serve", "--dev", "--address", address, "--data"]).arg(directory.path()).output().unwrap()
    };
    let refused = start("0.0.0.0:0");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback"), "{refused:?}");
    let (host, _directory) = Host::temporary(&[]).unwrap();
    assert!(host.logged("--dev", 1) > 0, "{}", host.log());
    assert_eq!(host.request("GET", "/admin/hubs", None).unwrap().status, 200);
}

#[test]
fn a_secret_is_nowhere_to_be_read() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("key");
    let made = Command::new(binary().unwrap()).arg("new-secrets-key").arg(&file).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let setting = format!("secrets.key_file={}", file.display());
    let world = world(&["--set", &setting, "--log", "debug"]);
    let owner = world.make_key("TestHubName", "owner", "administer");
    let secret = "a-plaintext-that-nobody-sees-4711";
    let path = "/admin/hubs/TestHubName/secrets/token";
    let set = world.host.request_as(&owner, "PUT", path, Some(secret.as_bytes())).unwrap();
    assert_eq!(set.status, 204, "{set:?}");
    assert_eq!(world.get(&owner, path).status, 404);
    for path in ["/admin/hubs/TestHubName/secrets", "/admin/hubs/TestHubName", "/admin/audit"] {
        let answer = world.get(&world.root, path);
        assert!(answer.status == 200 && !answer.body.contains(secret), "{answer:?}");
    }
    let directory = world.directory.path();
    assert!(holds(directory, b"token"), "its name can be read");
    for hidden in [secret, &world.root, &owner, std::fs::read_to_string(&file).unwrap().trim()] {
        assert!(!holds(directory, hidden.as_bytes()), "neither secrets nor keys are in the data or in the log");
    }
}

#[test]
fn a_host_without_a_key_for_secrets_says_what_to_do() {
    let world = world(&[]);
    let path = "/admin/hubs/TestHubName/secrets/token";
    let refused = world.host.request_as(&world.root, "PUT", path, Some(b"x")).unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("new-secrets-key") && refused.body.contains("key_file"), "{refused:?}");

    let inside = world.directory.path().join("key");
    Command::new(binary().unwrap()).arg("new-secrets-key").arg(&inside).output().unwrap();
    let setting = format!("secrets.key_file={}", inside.display());
    drop(world.host);
    let arguments = vec!["--set".into(), setting];
    let options = HostOptions { data: world.directory.path().to_owned(), arguments };
    let why = Host::start_locked(options).err().expect("the key lies with the data").to_string();
    assert!(why.contains("data directory"), "{why}");
}

/// Sends a request whose response has no end of its own; the receiver gets its status, and whether it was complete, when it ends.
/// A stream is open when this returns.
fn ask(world: &World, key: &str, path: &str) -> std::sync::mpsc::Receiver<(u16, bool)> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let url = format!("{}{BASE}/{path}", world.host.url());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.get(url).header("x-functions-key", key);
    let finish = move |response: ureq::http::Response<ureq::Body>| {
        let status = response.status().as_u16();
        let whole = std::io::copy(&mut response.into_body().into_reader(), &mut std::io::sink()).is_ok();
        let _ = sender.send((status, whole));
    };
    if path.ends_with("events") {
        let response = request.call().unwrap();
        std::thread::spawn(move || finish(response));
    } else {
        std::thread::spawn(move || finish(request.call().unwrap()));
    }
    receiver
}

#[test]
fn what_a_key_has_opened_ends_when_the_key_is_revoked_or_the_hub_is_gone() {
    use std::sync::mpsc::TryRecvError;
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
    let world = world(&[]);
    let paths = ["events", "instances/i/events", "instances/i?wait=200"];
    for hub in ["blue", "red", "green"] {
        world.make_hub(hub);
        let owner = world.make_key(hub, "owner", "administer");
        assert_eq!(world.deploy(&owner, "fixture-probe").status, 200);
        let started = world.send(&owner, "POST", &format!("{BASE}/orchestrators/wait_event/i"), json!("go"));
        assert_eq!(started.status, 202);
    }
    let (gone, kept) = (world.make_key("blue", "gone", "read"), world.make_key("blue", "kept", "read"));
    let opened = |key: &str| paths.map(|path| ask(&world, key, path));
    let (ending, staying) = (opened(&gone), opened(&kept));
    let elsewhere = ["red", "green"].map(|hub| (hub, opened(&world.make_key(hub, "other", "read"))));
    assert_eq!(world.send(&world.root, "DELETE", "/admin/hubs/blue/keys/gone", Value::Null).status, 204);
    let ended = ending.map(|ended| ended.recv_timeout(PATIENCE).expect("it ends"));
    assert_eq!(ended, [(200, false), (200, false), (401, true)], "streams are cut off, a wait is refused");
    for still in staying.iter().chain(elsewhere.iter().flat_map(|(_, opened)| opened)) {
        assert_eq!(still.try_recv(), Err(TryRecvError::Empty), "other keys are not affected");
    }
    for (hub, opened) in elsewhere {
        let path = format!("/admin/hubs/{hub}");
        let done = match hub {
            "red" => world.send(&world.root, "PATCH", &path, json!({ "suspended": "unpaid" })),
            _ => world.send(&world.root, "DELETE", &path, Value::Null),
        };
        assert!((200..300).contains(&done.status), "{done:?}");
        for ended in opened {
            ended.recv_timeout(PATIENCE).expect("it ends with the hub");
        }
    }
}
