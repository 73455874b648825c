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
