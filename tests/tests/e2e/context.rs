//! All features of orchestrators, through the Rust SDK, hot and cold.

use dacapo_tests::host::Host;
use serde_json::{Value, json};

fn each_host(test: impl Fn(&Host)) {
    for arguments in [&[][..], &["--no-heat"]] {
        let (host, _directory) = Host::temporary(arguments).unwrap();
        host.deploy_guest("fixture-probe").unwrap();
        test(&host);
    }
}

#[test]
fn all_of_it_in_one_orchestration() {
    each_host(|host| {
        let seen = host.output("everything", Value::Null);
        let expected = json!({
            "round": 1, "plain": 2, "retried": 3, "gave_up": "Flaky", "missing": "ActivityNotFound", "child": "child", "derived": 2,
            "note": "to myself", "silence": null, "numbers": [1, 2, 3, 4, 5], "winner": 2, "outcome": "first", "sum": 15,
            "selected": 42,
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&seen[name], value, "{name}: {seen}");
        }
        let checks = seen["checks"].as_object().unwrap();
        let flags = checks.iter().filter(|(_, value)| value.is_boolean());
        assert!(
            flags.clone().count() >= 6 && flags.clone().all(|(name, value)| (name == "is_child") != (*value == true)),
            "{seen}"
        );
        assert_eq!((&checks["guid_version"], &checks["random_bytes"]), (&json!("5"), &json!(70_000)));
    });
}

#[test]
fn calls_in_sequence_side_by_side_and_in_a_race() {
    each_host(|host| {
        assert_eq!(host.output("chain", json!(20)), 20);
        assert_eq!(host.output("fan_out", json!(200)), 20_100);
        assert_eq!(host.output("nested_when_any", Value::Null), "0: [1,2,3]");
        assert_eq!(host.output("canceled_timer", Value::Null), "Canceled");
        assert_eq!(host.output("swallow_wait", json!({ "a": [1] })), json!({ "a": [1] }));
        assert_eq!(host.output("nan_timer", Value::Null), Value::Null);
    });
}

#[test]
fn retries_follow_their_policy() {
    each_host(|host| {
        let policy = json!({ "failures": 2, "max_attempts": 3, "first_interval_ms": 5, "backoff": 2.0 });
        assert_eq!(host.output("retry", policy), 3);
        for (policy, attempts) in [
            (json!({ "failures": 9, "max_attempts": 3, "first_interval_ms": 1 }), 3),
            (json!({ "failures": 9, "max_attempts": 9, "first_interval_ms": 1, "non_retriable": ["Flaky"] }), 1),
            (json!({ "failures": 9, "max_attempts": 9, "first_interval_ms": 60_000, "timeout_ms": 1_000 }), 1),
        ] {
            let id = host.start_new("retry", policy.clone()).unwrap();
            let status = host.wait(&id).unwrap();
            assert_eq!(status["runtimeStatus"], "Failed", "{policy}: {status}");
            let failed = host.history(&id).unwrap().iter().filter(|event| event["EventType"] == "TaskFailed").count();
            assert_eq!(failed, attempts, "{policy}");
        }
    });
}

#[test]
fn events_come_in_order_and_none_is_lost() {
    each_host(|host| {
        let id = host.start_new("wait_two_events_same_name", json!("go")).unwrap();
        host.raise_event(&id, "Go", json!(1)).unwrap();
        host.raise_event(&id, "GO", json!(2)).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"], json!([1, 2]));

        let id = host.start_new("collect_events", Value::Null).unwrap();
        (0..20).for_each(|number| host.raise_event(&id, "item", json!(number)).unwrap());
        host.raise_event(&id, "done", Value::Null).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"], json!((0..20).collect::<Vec<_>>()));

        // One event per execution: continue-as-new keeps the others.
        let id = host.start_new("keep_events", json!([10, []])).unwrap();
        (0..10).for_each(|number| host.raise_event(&id, "Item", json!(number)).unwrap());
        assert_eq!(host.wait(&id).unwrap()["output"], json!((0..10).collect::<Vec<_>>()));

        assert_eq!(host.output("wait_event_timeout", json!({ "name": "x", "timeout_ms": 20 })), Value::Null);
        let id = host.start_new("race_event_and_timer", json!(30)).unwrap();
        host.wait_until(&id, "past its timer", |_| {
            host.history(&id).is_ok_and(|history| history.iter().any(|event| event["EventType"] == "TimerFired"))
        })
        .unwrap();
        host.raise_event(&id, "Go", json!("late")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"], json!([false, "late"]));
    });
}

#[test]
fn children_continue_as_new_and_what_runs_on_its_own() {
    each_host(|host| {
        let child = |name: &str, id: &str| json!({ "name": name, "input": 3, "instance_id": id });
        assert_eq!(host.output("call_child", child("chain", "a-child")), json!({ "ok": 3 }));
        assert_eq!(host.status("a-child").unwrap()["output"], 3);
        let failed = host.output("call_child", json!({ "name": "panic", "input": "in the child" }));
        assert_eq!(
            (&failed["err"]["error_type"], &failed["err"]["message"]),
            (&json!("Panic"), &json!("Orchestrator function 'panic' failed: in the child"))
        );

        assert_eq!(host.output("count_to", json!({ "to": 7 })), 7);
        assert_eq!(host.output("start_detached", child("chain", "on-its-own")), "on-its-own");
        assert_eq!(host.wait("on-its-own").unwrap()["output"], 3);

        let id = host.start_new("wait_event", json!("hi")).unwrap();
        host.output("send", json!({ "instance_id": id, "name": "Hi", "data": [1, 2] }));
        assert_eq!(host.wait(&id).unwrap()["output"], json!([1, 2]));
        host.output("send", json!({ "instance_id": "nobody", "name": "x", "data": 1 }));
    });
}

#[test]
fn an_activity_knows_its_call() {
    each_host(|host| {
        let id = host.start_new("call", json!({ "name": "ATTEMPT" })).unwrap();
        let seen = host.wait(&id).unwrap()["output"]["ok"].clone();
        assert_eq!(seen, json!({ "name": "attempt", "instance_id": id, "task_id": 0, "attempt": 1 }));
    });
}

#[test]
fn a_label_of_a_version_reaches_the_orchestrator() {
    each_host(|host| {
        let answer = host.manage("POST", "orchestrators/seen?version=2.0%20beta", Some(&Value::Null)).unwrap();
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let seen = host.wait(&id).unwrap()["output"].clone();
        assert_eq!((&seen["version"], &seen["instance_id"]), (&json!("2.0 beta"), &json!(id)));
        assert_eq!(seen["parent"], Value::Null);
        let [a, b, c] = &seen["guids"].as_array().unwrap()[..] else { panic!("{seen}") };
        assert!(a != b && b != c && a != c, "{seen}");
    });
}
