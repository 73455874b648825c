//! Changing code under running instances: versions, shares of new starts, the replay gate, migration.

use dacapo_tests::host::{Answer, Host};
use serde_json::{Value, json};

/// The same functions under another digest: the module with one more custom section.
fn another(module: &[u8], number: u8) -> Vec<u8> {
    [module, &[0, 3, 2, b'v', number]].concat()
}

fn probe() -> Vec<u8> {
    dacapo_tests::guest("fixture-probe").unwrap()
}

fn corrected() -> Vec<u8> {
    dacapo_tests::guest("fixture-probe-corrected").unwrap()
}

/// A host with the versions 1.0 and 2.0 of the probe, the second of which is active.
fn host(arguments: &[&str]) -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(arguments).unwrap();
    deploy(&host, "label=1.0", &probe());
    deploy(&host, "label=2.0", &another(&probe(), 2));
    (host, directory)
}

#[track_caller]
fn deploy(host: &Host, query: &str, module: &[u8]) -> Value {
    let answer = host.request("POST", &format!("/admin/apps/probe?{query}"), Some(module)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn post(host: &Host, path: &str) -> Answer {
    host.request("POST", &format!("/admin/apps/probe/{path}"), Some(b"")).unwrap()
}

/// The label, the active flag, the weight and the number of instances of each version.
fn versions(host: &Host) -> Vec<(String, bool, u64, u64)> {
    let answer = host.request("GET", "/admin/apps/probe", None).unwrap();
    let shown = |version: &Value| {
        let number = |name: &str| version[name].as_u64().unwrap();
        let label = version["label"].as_str().unwrap().to_owned();
        (label, version["active"] == true, number("weight"), number("instances"))
    };
    answer.json()["versions"].as_array().unwrap().iter().map(shown).collect()
}

fn version(label: &str, active: bool, weight: u64, instances: u64) -> (String, bool, u64, u64) {
    (label.to_owned(), active, weight, instances)
}

/// Starts an orchestration and waits until it waits for the event `go`.
#[track_caller]
fn start(host: &Host, id: &str, query: &str) {
    let answer = host.manage("POST", &format!("orchestrators/wait_event/{id}{query}"), Some(&json!("go"))).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    host.wait_until(id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn new_starts_go_back_to_an_earlier_version_and_idle_versions_go() {
    let (mut host, _directory) = host(&[]);
    start(&host, "a", "");
    assert_eq!(versions(&host), [version("1.0", false, 0, 0), version("2.0", true, 0, 1)]);
    let back = post(&host, "activate?version=1.0").json();
    assert_eq!((&back["changed"], &back["active"], &back["label"]), (&json!(true), &json!(true), &json!("1.0")));
    assert_eq!(post(&host, "activate?version=1.0").json()["changed"], false);
    start(&host, "b", "");
    let expected = [version("1.0", true, 0, 1), version("2.0", false, 0, 1)];
    assert_eq!(versions(&host), expected);
    host.restart().unwrap();
    assert_eq!(versions(&host), expected);

    // An idle version can be removed.
    let remove = |version: &str| host.request("DELETE", &format!("/admin/apps/probe/versions/{version}"), None).unwrap();
    for (version, why) in [("1.0", "active"), ("2.0", "1 instances run on it")] {
        let refusal = remove(version);
        assert_eq!(refusal.status, 409);
        assert!(refusal.body.contains(why), "{refusal:?}");
    }
    assert_eq!(post(&host, "prune").json()["removed"], json!([]));
    host.raise_event("a", "go", json!(1)).unwrap();
    host.wait("a").unwrap();
    let pruned = post(&host, "prune").json();
    assert_eq!((pruned["removed"].as_array().unwrap().len(), &pruned["removed"]), (1, &pruned["unreferenced"]));
    assert_eq!(versions(&host), [version("1.0", true, 0, 1)]);
    assert_eq!(remove("2.0").status, 404);
    assert_eq!(host.request("GET", "/admin/apps/none", None).unwrap().status, 404);
}

#[test]
fn versions_are_named_by_label_or_by_the_beginning_of_a_digest() {
    let (host, _directory) = host(&[]);
    let digests: Vec<String> = host.request("GET", "/admin/apps/probe", None).unwrap().json()["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_str().unwrap().to_owned())
        .collect();
    for (name, status) in [(&digests[0][..6], 200), (&digests[0].to_uppercase()[..], 200), (&digests[0][..5], 404), ("3.0", 404)]
    {
        assert_eq!(post(&host, &format!("activate?version={name}")).status, status, "{name}");
    }
    // A label refers to the newest version that has it.
    deploy(&host, "label=1.0", &another(&probe(), 3));
    assert_ne!(post(&host, "activate?version=1.0").json()["version"], digests[0].as_str());
}

#[test]
fn a_share_of_the_new_starts_meets_a_new_version() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    deploy(&host, "label=1.0", &probe());
    let deployed = deploy(&host, "label=2.0&weight=40", &another(&probe(), 2));
    assert_eq!((&deployed["changed"], &deployed["active"]), (&json!(true), &json!(false)));
    (0..60).for_each(|number| start(&host, &format!("i-{number}"), ""));
    let shared = versions(&host);
    assert_eq!((shared[0].2, shared[1].2, shared[0].3 + shared[1].3), (60, 40, 60), "{shared:?}");
    assert!(shared.iter().all(|version| version.3 > 10), "{shared:?}");

    // The same id is given the same version, also after a crash.
    let before = shared[1].3;
    (0..60).for_each(|number| {
        host.raise_event(&format!("i-{number}"), "go", json!(1)).unwrap();
        host.wait(&format!("i-{number}")).unwrap();
    });
    host.restart().unwrap();
    (0..60).for_each(|number| start(&host, &format!("i-{number}"), ""));
    assert_eq!(versions(&host)[1].3, before);

    let weigh = |body: &str| host.request("POST", "/admin/apps/probe/weights", Some(body.as_bytes())).unwrap();
    assert_eq!(weigh(r#"{"2.0": 1}"#).status, 200);
    start(&host, "all", "");
    assert_eq!(versions(&host)[1], version("2.0", false, 1, before + 1));
    for (body, status) in [("", 400), ("[]", 400), (r#"{"2.0":-1}"#, 400), (r#"{"2.0":"1"}"#, 400), (r#"{"9.0":1}"#, 404)] {
        assert_eq!(weigh(body).status, status, "{body}");
    }
    // Weights that are all zero once left it open who gets the starts; of a version named twice, the last weight counted.
    for (body, why) in [(r#"{"2.0":0}"#, "would get new starts"), (r#"{"2.0":1,"2.0":2}"#, "which share is it to get?")] {
        let refused = weigh(body);
        assert!(refused.status == 400 && refused.body.contains(why), "{refused:?}");
    }
    assert_eq!(weigh("{}").json()["versions"][0]["weight"], 0);
}

#[test]
fn a_start_asks_for_a_version() {
    let (host, _directory) = host(&[]);
    start(&host, "one", "?version=1.0");
    start(&host, "between", "?version=1.5");
    assert_eq!(versions(&host), [version("1.0", false, 0, 1), version("2.0", true, 0, 1)], "its own, or a later one");
    let refused = host.manage("POST", "orchestrators/wait_event?version=2.1", Some(&json!("go"))).unwrap();
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("'2.1'") && refused.body.contains("'2.0'"), "{refused:?}");

    // A child runs on the version of its parent, by default.
    let call = json!({ "name": "wait_event", "input": "go", "instance_id": "child" });
    let answer = host.manage("POST", "orchestrators/call_child/parent?version=1.0", Some(&call)).unwrap();
    assert_eq!(answer.status, 202);
    while host.status("child").is_err() {}
    host.wait_until("child", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    assert_eq!(versions(&host), [version("1.0", false, 0, 3), version("2.0", true, 0, 1)]);

    // A child with a requested version is given the one that a client's start would get, and reads that version.
    let call = json!({ "name": "wait_event", "input": "go", "instance_id": "newer", "version": "1.5" });
    let answer = host.manage("POST", "orchestrators/call_child/other?version=1.0", Some(&call)).unwrap();
    assert_eq!(answer.status, 202);
    while host.status("newer").is_err() {}
    host.wait_until("newer", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    assert_eq!(versions(&host), [version("1.0", false, 0, 4), version("2.0", true, 0, 2)]);

    // An execution that continues as new begins on the active version.
    let answer = host.manage("POST", "orchestrators/keep_events/again?version=1.0", Some(&json!([2, []]))).unwrap();
    assert_eq!(answer.status, 202);
    host.raise_event("again", "Item", json!(1)).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while versions(&host)[1].3 != 3 {
        assert!(std::time::Instant::now() < deadline, "{:?}", host.status("again"));
    }
}

#[test]
fn strategies_say_what_becomes_of_a_start_that_nothing_matches() {
    let (strict, _directory) = host(&["--set", "versions.match=Strict", "--set", "versions.failure=Fail"]);
    start(&strict, "one", "?version=1.0");
    let answer = strict.manage("POST", "orchestrators/wait_event/failed?version=1.5", Some(&json!("go"))).unwrap();
    assert_eq!(answer.status, 202);
    let failed = strict.wait("failed").unwrap();
    assert_eq!(failed["runtimeStatus"], "Failed");
    assert!(
        failed["output"].as_str().unwrap().contains("no deployed version takes 'wait_event' with the version '1.5'"),
        "{failed}"
    );

    let (none, _directory) = host(&["--set", "versions.match=None"]);
    start(&none, "any", "?version=1.0");
    assert_eq!(versions(&none)[1].3, 1, "the requested version is ignored");
    let wrong = Host::temporary(&["--set", "versions.match=Newest"]);
    assert!(format!("{:#}", wrong.err().unwrap()).contains("CurrentOrOlder"));
}

#[test]
fn apps_and_versions_are_limited() {
    let (host, _directory) = host(&["--set", "limits.versions=2", "--set", "limits.apps=1"]);
    let third = host.request("POST", "/admin/apps/probe", Some(&another(&probe(), 3))).unwrap();
    assert_eq!(third.status, 403);
    assert!(third.body.contains("the limit versions of the task hub is 2") && third.body.contains("set-limit"), "{third:?}");
    let other = host.request("POST", "/admin/apps/other", Some(&dacapo_tests::guest("example-hello-sequence").unwrap())).unwrap();
    assert!(other.status == 403 && other.body.contains("the limit apps of the task hub is 1"), "{other:?}");
    assert_eq!(post(&host, "prune").json()["removed"].as_array().unwrap().len(), 1);
    deploy(&host, "label=3.0", &another(&probe(), 3));
}

#[test]
fn an_app_goes_when_nothing_needs_it_or_with_what_does() {
    let (mut host, directory) = host(&[]);
    start(&host, "a", "?version=1.0");
    start(&host, "later", "");
    let answer =
        host.manage("POST", "orchestrators/wait_event/scheduled?startAt=2100-01-01T00:00:00Z", Some(&json!("go"))).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let signal = host.manage("POST", "entities/ledger/e?op=append", Some(&json!("entry"))).unwrap();
    assert_eq!(signal.status, 202, "{signal:?}");
    assert_eq!(host.manage("GET", "entities/ledger/e", None).unwrap().status, 200);
    host.deploy_guest("example-hello-sequence").unwrap();
    let undeploy = |host: &Host, query: &str| host.request("DELETE", &format!("/admin/apps/probe{query}"), None).unwrap();

    let refused = undeploy(&host, "");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("3 orchestrations") && refused.body.contains("1 entities"), "{refused:?}");
    assert_eq!(versions(&host).len(), 2);
    let gone = undeploy(&host, "?withInstances=true");
    assert_eq!(gone.status, 200, "{gone:?}");
    let gone = gone.json();
    assert_eq!((&gone["terminated"], &gone["entitiesPurged"]), (&json!(3), &json!(1)), "{gone}");
    assert_eq!(gone["removed"].as_array().unwrap().len(), 2);
    for id in ["a", "later", "scheduled"] {
        assert_eq!(host.status(id).unwrap()["runtimeStatus"], "Terminated", "{id}");
    }
    assert_eq!(undeploy(&host, "").status, 404);
    host.restart().unwrap();
    assert_eq!(host.request("GET", "/admin/apps/probe", None).unwrap().status, 404);
    let modules = std::fs::read_dir(directory.path().join("modules")).unwrap().count();
    assert_eq!(modules, 1, "that of the other app");
    assert_eq!(host.run("hello_sequence", json!(["Ada"])).unwrap()["output"], json!(["Hello, Ada!"]));

    // The names of the app and of its functions can be used again.
    let other = host.request("POST", "/admin/apps/other", Some(&probe())).unwrap();
    assert_eq!(other.status, 200, "{other:?}");
    let taken = host.request("POST", "/admin/apps/probe", Some(&another(&probe(), 2))).unwrap();
    assert_eq!(taken.status, 409);
    for part in ["belongs to the app 'other'", "--app other", "dacapo undeploy other"] {
        assert!(taken.body.contains(part), "{taken:?}");
    }
    assert_eq!(host.request("DELETE", "/admin/apps/other", None).unwrap().status, 200, "ended instances need no app");
}

#[test]
fn what_would_be_pruned_is_said() {
    let (host, _directory) = host(&[]);
    let would = post(&host, "prune?dryRun=true").json();
    assert_eq!((would["removed"].as_array().unwrap().len(), versions(&host).len()), (1, 2));
    assert_eq!(post(&host, "prune").json()["removed"], would["removed"]);
    assert_eq!(post(&host, "prune?dryRun=true").json()["removed"], json!([]));
}

#[test]
fn what_is_done_to_apps_and_instances_is_in_the_audit_log() {
    let (host, _directory) = Host::temporary_locked(&[]).unwrap();
    let key = host.administrator_key().unwrap().to_owned();
    let ask = |method: &str, path: &str, body: Option<&[u8]>| {
        let answer = host.request_as(&key, method, path, body).unwrap();
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer
    };
    let app = "/admin/apps/probe";
    ask("POST", &format!("{app}?label=1.0"), Some(&probe()));
    ask("POST", &format!("{app}?label=2.0&weight=10"), Some(&another(&probe(), 2)));
    ask("POST", &format!("{app}/weights"), Some(br#"{"1.0":1,"2.0":1}"#));
    ask("POST", &format!("{app}/rollback"), Some(b""));
    ask("POST", &format!("{app}/activate?version=2.0"), Some(b""));
    ask("POST", &format!("{app}/migrate?version=2.0"), Some(b""));
    let base = "/runtime/webhooks/durabletask";
    ask("POST", &format!("{base}/orchestrators/wait_event/one"), Some(b"\"go\""));
    ask("POST", &format!("{base}/instances/one/terminate?reason=enough"), Some(b""));
    ask("DELETE", &format!("{base}/instances/one"), None);
    ask("POST", &format!("{base}/orchestrators/chain/two?timeout=30"), Some(b"1"));
    ask("DELETE", &format!("{base}/instances?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Completed"), None);
    ask("POST", &format!("{app}/prune"), Some(b""));
    ask("DELETE", app, None);
    let lines = || ask("GET", "/admin/audit?hub=TestHubName", None).json().as_array().unwrap().clone();
    let actions = |lines: &[Value]| lines.iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    // The entries of single instances are written a moment later.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while actions(&lines()).iter().filter(|action| action.starts_with("instance.")).count() < 2 {
        assert!(std::time::Instant::now() < deadline, "{:?}", lines());
    }
    let lines = lines();
    let of = |action: &str| lines.iter().filter(|line| line["action"] == action).cloned().collect::<Vec<_>>();
    for action in [
        "app.route",
        "app.rollback",
        "app.activate",
        "app.migrate",
        "app.prune",
        "app.undeploy",
        "instance.terminate",
        "instance.purge",
        "instances.purge",
    ] {
        assert_eq!(of(action).len(), 1, "{action}: {:?}", actions(&lines));
        assert_eq!(of(action)[0]["actor"], "*/root", "{action}");
    }
    let deployed = of("app.deploy");
    assert_eq!((&deployed[1]["details"]["label"], &deployed[0]["details"]["weight"]), (&json!("1.0"), &json!(10)));
    assert_eq!(of("app.route")[0]["details"]["weights"], json!({ "1.0": 1, "2.0": 1 }));
    assert_eq!(of("app.rollback")[0]["details"]["from"]["label"], "2.0");
    assert_eq!(of("instance.terminate")[0]["details"], json!({ "instance": "one", "reason": "enough", "recursive": false }));
    assert_eq!(of("instances.purge")[0]["details"]["runtimeStatus"], "Completed");
}

#[test]
fn a_difference_names_functions_and_imports() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    deploy(&host, "label=1.0", &probe());
    deploy(&host, "label=2.0", &corrected());
    let diff =
        |from: &str, to: &str| host.request("GET", &format!("/admin/apps/probe/diff?from={from}&to={to}"), None).unwrap().json();
    let there = diff("1.0", "2.0");
    let removed = there["functions"]["removed"].as_array().unwrap();
    assert!(removed.contains(&json!({ "name": "wait_event", "kind": "orchestrator" })), "{there}");
    assert_eq!((&there["functions"]["added"], &there["functions"]["changed"]), (&json!([]), &json!([])));
    assert_eq!(diff("2.0", "1.0")["functions"]["added"], there["functions"]["removed"]);
    assert_eq!(diff("2.0", "1.0")["imports"]["added"], there["imports"]["removed"]);
    assert_eq!(diff("1.0", "1.0")["functions"]["removed"], json!([]));
}

/// Starts an orchestrator that branches on whether it is replayed, and waits until its activity has ended.
fn start_diverging(host: &Host) -> String {
    let id = host.start_new("is_replaying_branch", Value::Null).unwrap();
    let called = |_: &Value| host.history(&id).is_ok_and(|h| h.iter().any(|e| e["EventType"] == "TaskCompleted"));
    host.wait_until(&id, "waiting", called).unwrap();
    id
}

#[test]
fn a_check_replays_histories_and_changes_nothing() {
    let (host, _directory) = host(&[]);
    start(&host, "waiting", "");
    let diverging = start_diverging(&host);
    let before = (host.history("waiting").unwrap(), host.history(&diverging).unwrap(), versions(&host));

    let same = lines(&post(&host, "check?version=1.0"));
    let (begun, done) = (&same[0], same.last().unwrap());
    assert_eq!((&begun["kind"], &begun["instances"], same.len()), (&json!("begun"), &json!(2), 4));
    assert_eq!((&done["kind"], &done["passed"], &done["diverged"]), (&json!("done"), &json!(1), &json!(1)));
    let found = same.iter().find(|line| line["instanceId"] == diverging.as_str()).unwrap();
    assert_eq!((&found["result"], &found["position"]), (&json!("diverged"), &json!(2)));
    assert_eq!(found["recorded"], "TaskScheduled add_one(1) as action 0");
    assert_eq!(found["attempted"], "TaskScheduled echo(1) as action 0");

    let answer = host.request("POST", "/admin/apps/probe/check", Some(&corrected())).unwrap();
    let checked = lines(&answer);
    let result = |id: &str| checked.iter().find(|line| line["instanceId"] == id).unwrap();
    assert_eq!(result(&diverging)["result"], "passed");
    assert_eq!(result("waiting")["why"], "the version has no orchestrator 'wait_event'");
    assert_eq!(lines(&post(&host, "check?version=1.0&sample=1"))[0]["instances"], 1);
    assert_eq!((host.history("waiting").unwrap(), host.history(&diverging).unwrap(), versions(&host)), before);

    let wrong = |path: &str, body: &[u8]| host.request("POST", path, Some(body)).unwrap();
    assert_eq!(wrong("/admin/apps/probe/check", b"").status, 400);
    assert_eq!(wrong("/admin/apps/probe/check", b"not wasm").status, 400);
    assert_eq!(wrong("/admin/apps/none/check", &corrected()).status, 404);
    assert_eq!(wrong("/admin/apps/probe/check?version=9.0", b"").status, 404);
    assert!(wrong("/admin/apps/probe/check?version=1.0", &corrected()).body.contains("give only one"));
}

#[test]
fn instances_are_moved_as_far_as_their_histories_allow() {
    for heat in [&[][..], &["--no-heat"]] {
        let (mut host, _directory) = host(heat);
        start(&host, "a", "?version=1.0");
        start(&host, "b", "?version=1.0");
        let migrate = |host: &Host, to: &str, body: &str| {
            host.request("POST", &format!("/admin/apps/probe/migrate?version={to}"), Some(body.as_bytes())).unwrap()
        };
        let moved = lines(&migrate(&host, "2.0", r#"{"instances":["a","nobody"]}"#));
        assert_eq!((&moved[1]["result"], &moved[2]["result"]), (&json!("migrated"), &json!("refused")), "{moved:?}");
        assert_eq!(versions(&host), [version("1.0", false, 0, 1), version("2.0", true, 0, 1)]);
        let events = host.history("a").unwrap();
        assert_eq!(events.last().unwrap()["EventType"], "ExecutionMigrated", "{events:?}");
        assert_eq!(lines(&migrate(&host, "2.0", "")).last().unwrap()["migrated"], 2, "one of them was on it already");
        host.restart().unwrap();
        for id in ["a", "b"] {
            host.raise_event(id, "go", json!(id)).unwrap();
            assert_eq!(host.wait(id).unwrap()["output"], id);
        }
        for (to, body, status) in [("9.0", "", 404), ("2.0", "{}", 400), ("2.0", r#"{"instances":[7]}"#, 400)] {
            assert_eq!(migrate(&host, to, body).status, status, "{to} {body}");
        }
    }
}

#[test]
fn a_halted_instance_is_moved_to_corrected_code_and_goes_on() {
    let (mut host, _directory) = host(&[]);
    let id = start_diverging(&host);
    host.restart().unwrap();
    host.raise_event(&id, "Go", Value::Null).unwrap();
    host.wait_until(&id, "halted", |status| status["halted"].is_string()).unwrap();
    let migrate = |to: &str| lines(&post(&host, &format!("migrate?version={to}")));
    let refused = migrate("1.0");
    assert_eq!(refused[1]["result"], "refused");
    assert!(refused[1]["why"].as_str().unwrap().contains("recorded TaskScheduled add_one(1)"), "{refused:?}");
    assert!(host.status(&id).unwrap()["halted"].is_string());

    deploy(&host, "label=2.1&weight=0", &corrected());
    assert_eq!(versions(&host)[1], version("2.0", true, 0, 1), "it is deployed, and nothing else has changed");
    assert_eq!(migrate("2.1")[1]["result"], "migrated");
    let status = host.wait(&id).unwrap();
    assert_eq!((&status["runtimeStatus"], status.get("halted")), (&json!("Completed"), None), "{status}");
}
