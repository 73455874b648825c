//! Versions: instances stay on theirs; an instance that diverges is halted, and continues when the code is corrected.

use dacapo_tests::host::Host;
use serde_json::{Value, json};

#[test]
fn deploying_again_is_seen_by_new_instances_only() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let module = dacapo_tests::guest("fixture-probe").unwrap();
    let first = host.deploy("probe", &module).unwrap();
    assert_eq!((&first["changed"], &host.deploy("probe", &module).unwrap()["changed"]), (&json!(true), &json!(false)));
    let id = host.start_new("wait_event", json!("go")).unwrap();

    // The same functions under another digest: the module with one more custom section.
    let second = host.deploy("probe", &[&module[..], b"\0\x03\x02v2"].concat()).unwrap();
    assert_ne!(first["version"], second["version"]);
    host.raise_event(&id, "go", json!(1)).unwrap();
    assert_eq!(host.wait(&id).unwrap()["output"], 1);
    assert_eq!(host.run("chain", json!(3)).unwrap()["output"], 3);
}

/// An orchestrator that branches on whether it is replayed. While hot, it seems correct; the first replay detects the divergence.
#[test]
fn a_divergence_halts_the_instance_and_corrected_code_goes_on() {
    for (name, recorded, attempted) in [
        ("is_replaying_branch", "TaskScheduled add_one(1)", "TaskScheduled echo(1)"),
        ("is_replaying_input", "TaskScheduled add_one(1)", "TaskScheduled add_one(2)"),
        ("is_replaying_kind", "TaskScheduled add_one(1)", "TimerCreated"),
    ] {
        let (mut host, _directory) = Host::temporary(&[]).unwrap();
        let module = dacapo_tests::guest("fixture-probe").unwrap();
        let version = host.deploy("probe", &module).unwrap()["version"].as_str().unwrap().to_owned();
        let id = host.start_new(name, Value::Null).unwrap();
        host.wait_until(&id, "waiting", |_| host.history(&id).is_ok_and(|h| h.iter().any(|e| e["EventType"] == "TaskCompleted")))
            .unwrap();
        host.restart().unwrap();
        host.raise_event(&id, "Go", Value::Null).unwrap();
        let status = host.wait_until(&id, "halted", |status| status["halted"].is_string()).unwrap();
        assert_eq!(status["runtimeStatus"], "Suspended");
        let halted = status["halted"].as_str().unwrap();
        for part in [recorded, attempted, "at event", &version] {
            assert!(halted.contains(part), "{part} is missing: {halted}");
        }
        let before = host.history(&id).unwrap();

        // Resuming with the same code diverges again; nothing is lost.
        let resume = || host.manage("POST", &format!("instances/{id}/resume?reason=x"), None).unwrap().status;
        assert_eq!(resume(), 202);
        host.wait_until(&id, "halted", |status| status["halted"].is_string()).unwrap();
        assert_eq!(host.history(&id).unwrap(), before);

        host.deploy("probe", &dacapo_tests::guest("fixture-probe-corrected").unwrap()).unwrap();
        assert_eq!(resume(), 202);
        let status = host.wait(&id).unwrap();
        assert_eq!(status["runtimeStatus"], "Completed", "{status}");
        assert_eq!(status.get("halted"), None);
    }
}

/// The settings of orchestration versioning in `host.json`: `build` puts them into the manifest.
#[test]
fn instances_have_the_default_version_of_their_app_and_its_strategies() {
    let deploy = |host: &Host, durable: Value| {
        let manifest = json!({ "version": durable["defaultVersion"], "durableTask": durable }).to_string();
        let module = dacapo_wasm::Manifest::attach(manifest.as_bytes(), &dacapo_tests::guest("fixture-probe").unwrap()).unwrap();
        host.deploy("probe", &module).unwrap();
    };
    let start = |host: &Host, query: &str| host.manage("POST", &format!("orchestrators/seen{query}"), None).unwrap();
    let seen = |host: &Host, query: &str| {
        let started = start(host, query);
        assert_eq!(started.status, 202, "{started:?}");
        let id = started.json()["id"].as_str().unwrap().to_owned();
        (id.clone(), host.wait(&id).unwrap())
    };
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    deploy(&host, json!({ "defaultVersion": "2.0" }));
    let (id, status) = seen(&host, "");
    assert_eq!((&status["output"]["version"], &status["versionLabel"]), (&json!("2.0"), &json!("2.0")), "{status}");
    assert_eq!(seen(&host, "?version=1.5").1["output"]["version"], "1.5", "CurrentOrOlder");
    assert_eq!(start(&host, "?version=3.0").status, 400);

    deploy(&host, json!({ "defaultVersion": "2.1", "versionMatchStrategy": "Strict", "versionFailureStrategy": "Fail" }));
    assert_eq!(seen(&host, "").1["output"]["version"], "2.1");
    assert_eq!(seen(&host, "?version=2.1").1["output"]["version"], "2.1");
    let (_, refused) = seen(&host, "?version=1.0");
    assert_eq!(refused["runtimeStatus"], "Failed", "{refused}");
    deploy(&host, json!({ "defaultVersion": "2.2", "versionMatchStrategy": "None" }));
    assert_eq!(seen(&host, "?version=9.0").1["output"]["version"], "9.0");

    // It is in the history, and the strategies are in the hub.
    host.restart().unwrap();
    assert_eq!(host.status(&id).unwrap()["versionLabel"], "2.0");
    assert_eq!(seen(&host, "?version=9.0").1["output"]["version"], "9.0");
    let parent = host.run("call_child", json!({ "name": "seen" }));
    assert_eq!(parent.unwrap()["output"]["ok"]["version"], "2.2", "a child begins with the default of its app");
}
