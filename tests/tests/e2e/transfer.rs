//! Moving instances to another host as a file.

use std::process::Command;

use dacapo_tests::host::{Answer, Host, binary};
use serde_json::{Value, json};

fn probe() -> Vec<u8> {
    dacapo_tests::guest("fixture-probe").unwrap()
}

/// A host with instances in every state: waiting, with an open timer, suspended, scheduled and ended, and an entity.
fn busy() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    host.deploy("probe", &probe()).unwrap();
    let start = |name: &str, id: &str, query: &str, input: Value| {
        let answer = host.manage("POST", &format!("orchestrators/{name}/{id}{query}"), Some(&input)).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    start("wait_event", "waiting", "", json!("go"));
    start("wait_event_timeout", "timing", "", json!({ "name": "go", "timeout_ms": 3_600_000 }));
    start("wait_event", "resting", "", json!("go"));
    host.wait_until("resting", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    assert_eq!(host.manage("POST", "instances/resting/suspend", None).unwrap().status, 202);
    host.raise_event("resting", "go", json!("kept")).unwrap();
    start("wait_event", "scheduled", "?startAt=2100-01-01T00:00:00Z", json!("go"));
    start("chain", "ended", "", json!(3));
    host.wait("ended").unwrap();
    let signal = host.manage("POST", "entities/ledger/a?op=append", Some(&json!("entry"))).unwrap();
    assert_eq!(signal.status, 202, "{signal:?}");
    for id in ["waiting", "timing"] {
        host.wait_until(id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
    }
    (host, directory)
}

fn export(host: &Host, path: &str) -> String {
    let answer = host.request("GET", path, None).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")), "{answer:?}");
    assert!(answer.body.trim_end().ends_with('}') && answer.body.contains(r#"{"kind":"done""#), "{}", answer.body);
    answer.body
}

fn import(host: &Host, query: &str, file: &str) -> Answer {
    host.request("POST", &format!("/admin/import?{query}"), Some(file.as_bytes())).unwrap()
}

#[test]
fn a_hub_is_moved_whole() {
    let (from, _directory) = busy();
    let file = export(&from, "/admin/export");
    let (mut to, _other) = Host::temporary(&[]).unwrap();
    let answer = import(&to, "resume=true", &file);
    assert_eq!(answer.status, 200, "{answer:?}");
    let imported = answer.json();
    assert_eq!((imported["instances"].as_array().unwrap().len(), imported["versions"].as_array().unwrap().len()), (6, 1));
    for id in ["waiting", "timing", "resting", "scheduled", "ended"] {
        let (before, after) = (from.status(id).unwrap(), to.status(id).unwrap());
        for member in ["runtimeStatus", "input", "output", "createdTime", "name"] {
            assert_eq!(before[member], after[member], "{id}");
        }
        assert_eq!(from.history(id).unwrap(), to.history(id).unwrap(), "{id}");
    }
    assert_eq!(to.manage("GET", "entities/ledger/a", None).unwrap().json(), json!({ "entries": ["entry"] }));
    // They continue on the new host, also after a crash.
    to.restart().unwrap();
    assert_eq!(to.manage("POST", "instances/resting/resume", None).unwrap().status, 202);
    assert_eq!(to.wait("resting").unwrap()["output"], "kept");
    for id in ["waiting", "timing"] {
        to.raise_event(id, "go", json!(id)).unwrap();
        assert_eq!(to.wait(id).unwrap()["output"], id);
    }
    // A moved history is bit for bit the same, and so is its export.
    let again = export(&from, "/admin/instances/ended/export");
    assert_eq!(export(&to, "/admin/instances/ended/export").lines().last(), again.lines().last());
    let value = |file: &str| file.lines().filter(|line| line.contains(r#""kind":"turn""#)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(value(&export(&to, "/admin/instances/ended/export")), value(&again));
}

/// The oldest version once became the active one, and the weights were lost.
#[test]
fn versions_keep_their_order_and_who_gets_new_starts() {
    let (from, _directory) = Host::temporary(&[]).unwrap();
    for (number, query) in [(1_u8, "label=1.0"), (2, "label=2.0"), (3, "label=3.0&weight=10")] {
        let module = [&probe()[..], &[0, 3, 2, b'v', number]].concat();
        let answer = from.request("POST", &format!("/admin/apps/probe?{query}"), Some(&module)).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let versions = |host: &Host| {
        let versions = host.request("GET", "/admin/apps/probe", None).unwrap().json()["versions"].as_array().unwrap().clone();
        let shown = |v: &Value| (v["label"].as_str().unwrap().to_owned(), v["active"] == true, v["weight"].as_u64().unwrap());
        versions.iter().map(shown).collect::<Vec<_>>()
    };
    let version = |label: &str, active: bool, weight: u64| (label.to_owned(), active, weight);
    let file = export(&from, "/admin/export");
    let (mut to, _other) = Host::temporary(&[]).unwrap();
    assert_eq!(import(&to, "", &file).json()["versions"].as_array().unwrap().len(), 3);
    let expected = [version("1.0", false, 0), version("2.0", true, 90), version("3.0", false, 10)];
    assert_eq!((versions(&from), versions(&to)), (expected.to_vec(), expected.to_vec()));
    to.restart().unwrap();
    assert_eq!(versions(&to), expected);
    let roll_back = |host: &Host| host.request("POST", "/admin/apps/probe/rollback", Some(b"")).unwrap().json();
    for (lost, active) in [("3.0", "2.0"), ("2.0", "1.0")] {
        let back = roll_back(&to);
        assert_eq!((&back["from"]["label"], &back["active"]["label"]), (&json!(lost), &json!(active)));
    }

    // Where the app is deployed already, the target host's active version and weights are kept.
    let (own, _other) = Host::temporary(&[]).unwrap();
    assert_eq!(own.request("POST", "/admin/apps/probe?label=3.0", Some(&probe())).unwrap().status, 200);
    assert_eq!(import(&own, "", &file).status, 200);
    let expected = [version("1.0", false, 0), version("2.0", false, 0), version("", false, 0), version("3.0", true, 0)];
    assert_eq!(versions(&own), expected);
}

/// A parent imported without the child that it waits for once stayed Running for ever, without a message.
#[test]
fn who_waits_for_what_did_not_come_is_named() {
    let (from, _directory) = Host::temporary(&[]).unwrap();
    from.deploy_guest("fixture-probe").unwrap();
    let call = json!({ "name": "wait_event", "input": "go", "instance_id": "child" });
    from.start_as("parent", "call_child", call).unwrap();
    from.wait_until("child", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    let parent = export(&from, "/admin/instances/parent/export?withModules=true");
    let child = export(&from, "/admin/instances/child/export");
    let both = export(&from, "/admin/export");
    let waiting = |answer: &Answer| answer.json()["waiting"].clone();
    let told = json!([{ "instanceId": "parent", "on": ["child"] }]);

    let (to, _other) = Host::temporary(&[]).unwrap();
    assert_eq!(waiting(&import(&to, "resume=true", &parent)), told);
    assert_eq!(waiting(&import(&to, "resume=true", &child)), json!([]), "the parent has its child");
    to.raise_event("child", "go", json!("here")).unwrap();
    assert_eq!(to.wait("parent").unwrap()["output"], json!({ "ok": "here" }));
    assert_eq!(waiting(&import(&to, "replace=true", &parent)), told, "a child that has ended does not report again");

    let (whole, _other) = Host::temporary(&[]).unwrap();
    assert_eq!(waiting(&import(&whole, "", &both)), json!([]));

    // The command prints advice.
    let (third, directory) = Host::temporary(&[]).unwrap();
    let file = directory.path().join("parent.jsonl");
    std::fs::write(&file, &parent).unwrap();
    let output = Command::new(binary().unwrap()).arg("import").arg(&file).env("DACAPO_SERVER", third.url()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("'parent' waits for 'child'") && said.contains("dacapo terminate parent"),
        "{said}"
    );
}

#[test]
fn what_is_imported_is_suspended_unless_it_is_to_go_on() {
    let (from, _directory) = busy();
    let file = export(&from, "/admin/instances/waiting/export?withModules=true");
    let (to, _other) = Host::temporary(&[]).unwrap();
    assert_eq!(import(&to, "", &file).status, 200);
    to.wait_until("waiting", "suspended", |status| status["runtimeStatus"] == "Suspended").unwrap();
    to.raise_event("waiting", "go", json!(1)).unwrap();
    let last = |host: &Host| host.history("waiting").unwrap().last().cloned().unwrap();
    while last(&to)["EventType"] != "ExecutionSuspended" {}
    assert_eq!(last(&to)["Reason"], "it was imported");
    assert_eq!(to.status("waiting").unwrap()["runtimeStatus"], "Suspended");
    assert_eq!(to.manage("POST", "instances/waiting/resume", None).unwrap().status, 202);
    assert_eq!(to.wait("waiting").unwrap()["output"], 1);
}

#[test]
fn ids_in_use_are_refused_unless_they_are_to_be_replaced() {
    let (host, _directory) = busy();
    let file = export(&host, "/admin/instances/waiting/export");
    let hub = export(&host, "/admin/export");
    for file in [&file, &hub] {
        let refused = import(&host, "", file);
        assert!(refused.status == 409 && refused.body.contains("already exists"), "{refused:?}");
    }
    // The instance makes progress, and the import resets it to the exported state.
    host.raise_event("waiting", "go", json!("first")).unwrap();
    assert_eq!(host.wait("waiting").unwrap()["output"], "first");
    assert_eq!(import(&host, "replace=true&resume=true", &file).status, 200);
    host.wait_until("waiting", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    // Another import replaces an instance that is running and hot.
    assert_eq!(import(&host, "replace=true&resume=true", &file).status, 200);
    host.raise_event("waiting", "go", json!("second")).unwrap();
    assert_eq!(host.wait("waiting").unwrap()["output"], "second");
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let (from, _directory) = busy();
    let file = export(&from, "/admin/instances/waiting/export?withModules=true");
    let bare = export(&from, "/admin/instances/waiting/export");
    let (to, _other) = Host::temporary(&[]).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    let cut = lines[..lines.len() - 1].join("\n");
    let damaged = file.replacen(r#""value":"AQ"#, r#""value":"CQ"#, 1);
    let foreign = bare.replace(r#"{"kind":"done""#, r#"{"kind":"dune""#);
    for (body, status, why) in [
        ("", 400, "too early"),
        ("not json", 400, "line 1"),
        (&cut, 400, "too early"),
        (&damaged, 400, "newer release"),
        (&foreign, 400, "no line of an export"),
        (&bare, 409, "not deployed here"),
    ] {
        let refused = import(&to, "", body);
        assert!(refused.status == status && refused.body.contains(why), "{why}: {refused:?}");
    }
    assert_eq!(to.manage("GET", "instances", None).unwrap().json(), json!([]));
    assert_eq!(from.request("GET", "/admin/instances/nobody/export", None).unwrap().status, 404);
}
