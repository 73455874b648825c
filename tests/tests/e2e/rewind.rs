//! Rewinding, restarting, terminating and purging instances.

use std::time::{Duration, Instant};

use dacapo_tests::host::{Host, HostOptions};
use dacapo_tests::model::service::Service;
use serde_json::{Value, json};

/// Runs the test on a hot and a cold host, with the service that the orchestrations of the fixture `model` call.
fn each_host(test: impl Fn(&mut Host, &Service)) {
    for heat in [&[][..], &["--no-heat"]] {
        let service = Service::start().unwrap();
        let arguments = [&["--allow-host", &service.authority], heat].concat();
        let (mut host, _directory) = Host::temporary(&arguments).unwrap();
        host.deploy_guest("fixture-model").unwrap();
        host.deploy_guest("fixture-probe").unwrap();
        test(&mut host, &service);
    }
}

/// The status code of a request below `instances/`.
fn post(host: &Host, path: &str) -> u16 {
    host.manage("POST", &format!("instances/{path}"), None).unwrap().status
}

fn purge(host: &Host, path: &str) -> (u16, Value) {
    let answer = host.manage("DELETE", path, None).unwrap();
    let deleted = if answer.status == 200 { answer.json()["instancesDeleted"].clone() } else { Value::Null };
    (answer.status, deleted)
}

#[track_caller]
fn ends(host: &Host, id: &str, status: &str, output: Value) {
    let seen = host.wait(id).unwrap();
    assert_eq!((&seen["runtimeStatus"], &seen["output"]), (&json!(status), &output), "{seen}\n{}", host.log());
}

fn refused(name: &str) -> Value {
    json!(format!("Orchestrator function '{name}' failed: Activity function 'ask' failed: the service says 503"))
}

fn kinds(host: &Host, id: &str) -> Vec<String> {
    host.history(id).unwrap().iter().map(|event| event["EventType"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn all_that_failed_are_rewound_at_once() {
    let service = Service::start().unwrap();
    let (host, _directory) = Host::temporary(&["--allow-host", &service.authority]).unwrap();
    host.deploy_guest("fixture-model").unwrap();
    service.switch("fragile", false);
    for id in ["one", "two"] {
        host.start_as(id, "fragile", json!(service.url("fragile"))).unwrap();
        host.raise_event(id, "go", json!(7)).unwrap();
        ends(&host, id, "Failed", refused("fragile"));
    }
    service.switch("fragile", true);
    let rewind = |query: &str| host.manage("POST", &format!("instances/rewind?{query}"), None).unwrap().json();
    assert_eq!(rewind("functionName=patient")["done"], 0);
    assert_eq!(rewind("functionName=fragile&reason=mended"), json!({ "done": 2, "refused": 0, "refusals": [] }));
    for id in ["one", "two"] {
        ends(&host, id, "Completed", json!([7, "yes"]));
    }
}

#[test]
fn what_failed_is_done_again_and_what_succeeded_is_not() {
    each_host(|host, service| {
        for (name, output) in [("fragile", json!([7, "yes"])), ("patient", json!([7, "yes"]))] {
            service.switch(name, false);
            host.start_as(name, name, json!(service.url(name))).unwrap();
            host.raise_event(name, "go", json!(7)).unwrap();
            ends(host, name, "Failed", refused(name));
            // The service still refuses: it fails again.
            assert_eq!(post(host, &format!("{name}/rewind?reason=too%20early")), 202);
            ends(host, name, "Failed", refused(name));
            service.switch(name, true);
            assert_eq!(post(host, &format!("{name}/rewind?reason=mended")), 202);
            ends(host, name, "Completed", output);
            let history = host.history(name).unwrap();
            let rewound = history.iter().rfind(|event| event["EventType"] == "ExecutionRewound").unwrap();
            assert_eq!(rewound["Reason"], "mended", "{history:#?}");
        }
        assert_eq!((service.counted(), service.repeated()), (2, Vec::new()));
    });
}

#[test]
fn timers_that_were_open_are_open_again() {
    each_host(|host, service| {
        service.switch("t", false);
        host.start_as("t", "with_timer", json!(service.url("t"))).unwrap();
        ends(host, "t", "Failed", refused("with_timer"));
        service.switch("t", true);
        assert_eq!(post(host, "t/rewind"), 202);
        ends(host, "t", "Completed", json!("yes"));
        assert!(kinds(host, "t").contains(&"TimerFired".to_owned()));
    });
}

#[test]
fn an_activity_that_still_ran_when_its_caller_failed_is_not_run_again() {
    each_host(|host, service| {
        for (id, waits) in [("at-once", false), ("later", true)] {
            service.switch(id, false);
            host.start_as(id, "side_by_side", json!(service.url(id))).unwrap();
            ends(host, id, "Failed", refused("side_by_side"));
            service.switch(id, true);
            if waits {
                // By then the result has most probably arrived, and is kept.
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_eq!(post(host, &format!("{id}/rewind")), 202);
            ends(host, id, "Completed", json!(["yes", "yes"]));
        }
        assert_eq!((service.counted(), service.repeated()), (2, Vec::new()));
    });
}

#[test]
fn after_a_crash_a_rewound_instance_goes_on() {
    each_host(|host, service| {
        service.switch("c", false);
        host.start_as("c", "with_timer", json!(service.url("c"))).unwrap();
        ends(host, "c", "Failed", refused("with_timer"));
        host.restart().unwrap();
        service.switch("c", true);
        assert_eq!(post(host, "c/rewind"), 202);
        host.restart().unwrap();
        ends(host, "c", "Completed", json!("yes"));
    });
}

#[test]
fn a_failed_child_is_rewound_with_its_parent() {
    each_host(|host, service| {
        service.switch("p", false);
        host.start_as("p", "parent", json!(service.url("p"))).unwrap();
        host.raise_event("p.child", "go", json!(1)).unwrap();
        ends(host, "p", "Failed", refused("parent' failed: Orchestrator function 'fragile"));
        ends(host, "p.child", "Failed", refused("fragile"));
        service.switch("p", true);
        assert_eq!(post(host, "p/rewind?reason=mended"), 202);
        ends(host, "p", "Completed", json!([1, "yes"]));
        ends(host, "p.child", "Completed", json!([1, "yes"]));
        assert_eq!(service.repeated(), Vec::<String>::new());
    });
}

#[test]
fn the_result_of_a_child_that_was_rewound_alone_waits_for_its_parent() {
    each_host(|host, service| {
        service.switch("p", false);
        host.start_as("p", "parent", json!(service.url("p"))).unwrap();
        host.raise_event("p.child", "go", json!(2)).unwrap();
        ends(host, "p", "Failed", refused("parent' failed: Orchestrator function 'fragile"));
        service.switch("p", true);
        assert_eq!(post(host, "p.child/rewind"), 202);
        ends(host, "p.child", "Completed", json!([2, "yes"]));
        ends(host, "p", "Failed", refused("parent' failed: Orchestrator function 'fragile"));
        assert_eq!(post(host, "p/rewind"), 202);
        ends(host, "p", "Completed", json!([2, "yes"]));
    });
}

#[test]
fn a_terminated_child_is_rewound_with_its_parent_and_a_purged_one_is_missed() {
    each_host(|host, service| {
        for id in ["a", "b"] {
            host.start_as(id, "parent", json!(service.url(id))).unwrap();
            host.wait_until(&format!("{id}.child"), "running", |status| status["runtimeStatus"] == "Running").unwrap();
            assert_eq!(post(host, &format!("{id}.child/terminate?reason=oops")), 202);
            ends(host, id, "Failed", json!("Orchestrator function 'parent' failed: the instance was terminated: oops"));
        }
        assert_eq!(post(host, "a/rewind"), 202);
        let deadline = Instant::now() + Duration::from_secs(30);
        while host.status("a.child").unwrap()["runtimeStatus"] != "Running" {
            assert!(Instant::now() < deadline, "the child is not rewound");
        }
        host.raise_event("a.child", "go", json!(3)).unwrap();
        ends(host, "a", "Completed", json!([3, "yes"]));

        assert_eq!(purge(host, "instances/b.child"), (200, json!(1)));
        assert_eq!(post(host, "b/rewind"), 202);
        let status = host.wait("b").unwrap();
        assert_eq!(status["runtimeStatus"], "Failed", "{status}");
        assert!(status["output"].as_str().unwrap().contains("b.child"), "it says which child is gone: {status}");
    });
}

#[test]
fn an_execution_that_continued_as_new_goes_back_to_its_own_beginning_at_most() {
    each_host(|host, service| {
        service.switch("r", false);
        let input = json!({ "service": service.url("r"), "events": [], "rounds": 2 });
        host.start_as("r", "rounds", input).unwrap();
        host.raise_event("r", "go", json!("one")).unwrap();
        host.raise_event("r", "go", json!("two")).unwrap();
        ends(host, "r", "Failed", refused("rounds"));
        service.switch("r", true);
        assert_eq!(post(host, "r/rewind"), 202);
        ends(host, "r", "Completed", json!([["one", "two"], "yes"]));
    });
}

#[test]
fn a_failure_of_the_code_alone_happens_again_with_the_same_code() {
    each_host(|host, _| {
        host.start_as("c", "collect", json!(1)).unwrap();
        host.raise_event("c", "go", json!("poison")).unwrap();
        let failed = json!("Orchestrator function 'collect' failed: this event is poison");
        ends(host, "c", "Failed", failed.clone());
        assert_eq!(post(host, "c/rewind"), 202);
        ends(host, "c", "Failed", failed);
        assert_eq!(kinds(host, "c").iter().filter(|kind| *kind == "ExecutionCompleted").count(), 1);
    });
}

#[test]
fn only_what_has_failed_is_rewound() {
    each_host(|host, _| {
        assert_eq!(post(host, "nobody/rewind"), 404);
        host.start_as("c", "collect", json!(1)).unwrap();
        assert_eq!(post(host, "c/rewind"), 412, "it runs");
        host.raise_event("c", "go", json!(1)).unwrap();
        ends(host, "c", "Completed", json!([1]));
        let answer = host.manage("POST", "instances/c/rewind?reason=x", None).unwrap();
        assert_eq!(answer.status, 412, "it has completed");
        assert!(answer.body.contains("Completed"), "{answer:?}");
        host.start_as("t", "collect", json!(1)).unwrap();
        assert_eq!((post(host, "t/terminate"), post(host, "t/rewind")), (202, 412));
    });
}

/// An orchestrator that branches on whether it is replayed. While hot, it seems correct.
#[test]
fn code_that_diverges_refuses_the_rewind_and_changes_nothing() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy("probe", &dacapo_tests::guest("fixture-probe").unwrap()).unwrap();
    let id = host.start_new("is_replaying_branch", Value::Null).unwrap();
    let called = |_: &Value| host.history(&id).is_ok_and(|h| h.iter().any(|e| e["EventType"] == "TaskCompleted"));
    host.wait_until(&id, "waiting", called).unwrap();
    host.raise_event(&id, "Go", json!("nothing was expected")).unwrap();
    assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Failed");
    let before = host.history(&id).unwrap();
    let answer = host.manage("POST", &format!("instances/{id}/rewind?reason=x"), None).unwrap();
    assert_eq!(answer.status, 412, "{answer:?}");
    assert!(answer.body.contains("add_one"), "it says where: {answer:?}");
    assert_eq!(host.history(&id).unwrap(), before);

    host.deploy("probe", &dacapo_tests::guest("fixture-probe-corrected").unwrap()).unwrap();
    assert_eq!(post(&host, &format!("{id}/rewind?reason=corrected")), 202);
    // The event has not changed.
    assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Failed");
    assert!(kinds(&host, &id).contains(&"ExecutionRewound".to_owned()));
}

#[test]
fn restarting_takes_the_recorded_input_under_the_same_or_another_id() {
    each_host(|host, _| {
        host.start_as("c", "collect", json!(2)).unwrap();
        assert_eq!(post(host, "c/restart?restartWithNewInstanceId=false"), 409, "it lives");
        assert_eq!(post(host, "nobody/restart"), 400);
        assert_eq!(post(host, "nobody/restartWithOptions?newInstanceId=x"), 404);
        assert_eq!(post(host, "c/restartWithOptions"), 400);
        host.raise_event("c", "go", json!(1)).unwrap();
        host.raise_event("c", "go", json!(2)).unwrap();
        ends(host, "c", "Completed", json!([1, 2]));

        let answer = host.manage("POST", "instances/c/restart", None).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        let generated = answer.json()["id"].as_str().unwrap().to_owned();
        assert_ne!(generated, "c");
        assert_eq!(post(host, "c/restartWithOptions?newInstanceId=chosen&version=2"), 202);
        assert_eq!(post(host, "c/restartWithOptions?newInstanceId=chosen"), 409);
        assert_eq!(post(host, "c/restart?restartWithNewInstanceId=false"), 202);
        for id in [generated.as_str(), "chosen", "c"] {
            assert_eq!(host.status(id).unwrap()["input"], 2);
            host.raise_event(id, "go", json!(3)).unwrap();
            host.raise_event(id, "go", json!(4)).unwrap();
            ends(host, id, "Completed", json!([3, 4]));
        }
    });
}

#[test]
fn terminating_reaches_the_children_if_that_is_asked_for() {
    each_host(|host, _| {
        let family = |id: &str| {
            let grandchild = json!({ "name": "wait_event", "input": "go", "instance_id": format!("{id}-3") });
            let child = json!({ "name": "call_child", "input": grandchild, "instance_id": format!("{id}-2") });
            host.start_as(&format!("{id}-1"), "call_child", child).unwrap();
            let running = |status: &Value| status["runtimeStatus"] == "Running";
            // It is created by its parent's commit, so it will exist soon.
            while host.status(&format!("{id}-3")).is_err() {}
            host.wait_until(&format!("{id}-3"), "running", running).unwrap();
        };
        family("all");
        assert_eq!(post(host, "all-1/terminate?reason=enough&recursive=true"), 202);
        for number in 1..4 {
            ends(host, &format!("all-{number}"), "Terminated", json!("enough"));
        }
        family("one");
        assert_eq!(post(host, "one-1/terminate?reason=enough"), 202);
        ends(host, "one-1", "Terminated", json!("enough"));
        assert_eq!(host.status("one-3").unwrap()["runtimeStatus"], "Running");
        host.raise_event("one-3", "go", json!("still here")).unwrap();
        ends(host, "one-2", "Completed", json!({ "ok": "still here" }));
    });
}

#[test]
fn a_halted_or_suspended_instance_is_terminated() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("is_replaying_branch", Value::Null).unwrap();
    let called = |_: &Value| host.history(&id).is_ok_and(|h| h.iter().any(|e| e["EventType"] == "TaskCompleted"));
    host.wait_until(&id, "waiting", called).unwrap();
    host.restart().unwrap();
    host.raise_event(&id, "Go", Value::Null).unwrap();
    host.wait_until(&id, "halted", |status| status["halted"].is_string()).unwrap();
    assert_eq!(post(&host, &format!("{id}/terminate?reason=hopeless")), 202);
    ends(&host, &id, "Terminated", json!("hopeless"));

    let suspended = host.start_new("wait_event", json!("go")).unwrap();
    assert_eq!(post(&host, &format!("{suspended}/suspend")), 202);
    host.raise_event(&suspended, "go", json!(1)).unwrap();
    assert_eq!(post(&host, &format!("{suspended}/terminate?reason=now")), 202);
    ends(&host, &suspended, "Terminated", json!("now"));
}

#[test]
fn a_running_activity_is_told_to_stop_when_its_caller_is_terminated() {
    each_host(|host, _| {
        let id = host.start_new("call", json!({ "name": "activity_sleep_forever" })).unwrap();
        host.wait_until(&id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
        assert_eq!(post(host, &format!("{id}/terminate?reason=x")), 202);
        ends(host, &id, "Terminated", json!("x"));
        // Otherwise the stop would wait for it.
        assert_eq!(host.stop().unwrap(), Some(0));
        host.restart().unwrap();
        ends(host, &id, "Terminated", json!("x"));
    });
}

fn in_the_future(milliseconds: u64) -> String {
    let at = chrono::Utc::now() + Duration::from_millis(milliseconds);
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[test]
fn a_scheduled_start_waits_for_its_time_and_survives_a_restart_of_the_host() {
    let (mut host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-model").unwrap();
    let path = |id: &str, at: &str| format!("orchestrators/collect/{id}?startAt={at}");
    let at = in_the_future(700);
    for id in ["soon", "never"] {
        assert_eq!(host.manage("POST", &path(id, &at), Some(&json!(1))).unwrap().status, 202);
        assert_eq!(host.status(id).unwrap()["runtimeStatus"], "Pending");
    }
    assert_eq!(host.manage("POST", &path("soon", &at), Some(&json!(1))).unwrap().status, 409);
    host.raise_event("soon", "go", json!("early")).unwrap();
    assert_eq!(host.status("soon").unwrap()["runtimeStatus"], "Pending", "an event does not start it");
    assert_eq!(post(&host, "never/terminate?reason=no"), 202);
    ends(&host, "never", "Terminated", json!("no"));
    host.kill().unwrap();
    let host = Host::start(HostOptions { data: directory.path().to_owned(), arguments: Vec::new() }).unwrap();
    ends(&host, "soon", "Completed", json!(["early"]));
    let history = host.history("soon").unwrap();
    assert!(history.last().unwrap()["Timestamp"].as_str().unwrap() >= at.trim_end_matches('Z'), "{at}: {history:?}");
}

#[test]
fn purging_removes_one_or_many_and_leaves_no_trace() {
    each_host(|host, _| {
        host.start_as("living", "collect", json!(1)).unwrap();
        assert_eq!(purge(host, "instances/living").0, 412);
        assert_eq!(purge(host, "instances/nobody").0, 404);
        for number in 0..6 {
            let id = format!("old-{number}");
            host.start_as(&id, "collect", json!(1)).unwrap();
            match number % 3 {
                0 => host.raise_event(&id, "go", json!(1)).unwrap(),
                1 => host.raise_event(&id, "go", json!("poison")).unwrap(),
                _ => assert_eq!(post(host, &format!("{id}/terminate")), 202),
            }
            host.wait(&id).unwrap();
        }
        assert_eq!(purge(host, "instances/old-0"), (200, json!(1)));
        assert_eq!(purge(host, "instances/old-0").0, 404);
        assert_eq!(host.manage("GET", "instances/old-0?showHistory=true", None).unwrap().status, 404);
        assert_eq!(purge(host, "instances?runtimeStatus=Failed").0, 400, "createdTimeFrom is missing");
        assert_eq!(purge(host, "instances?createdTimeFrom=2100-01-01").0, 404);
        assert_eq!(purge(host, "instances?createdTimeFrom=2000-01-01&runtimeStatus=Running").0, 404, "it lives");
        assert_eq!(purge(host, "instances?createdTimeFrom=2000-01-01&runtimeStatus=Failed"), (200, json!(2)));
        assert_eq!(purge(host, "instances?createdTimeFrom=2000-01-01&createdTimeTo=2001-01-01").0, 404);
        assert_eq!(purge(host, "instances?createdTimeFrom=2000-01-01"), (200, json!(3)));
        let left = host.manage("GET", "instances", None).unwrap().json();
        assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
        // The id can be used again.
        host.start_as("old-0", "collect", json!(1)).unwrap();
        assert_eq!(kinds(host, "old-0"), ["ExecutionStarted", "TimerCreated"]);
    });
}

#[test]
fn purging_many_goes_on_beside_the_work() {
    each_host(|host, _| {
        let run = |prefix: &str, count: usize| {
            for number in 0..count {
                let id = format!("{prefix}-{number}");
                host.start_as(&id, "echo_orchestrator", json!(number)).unwrap();
                ends(host, &id, "Completed", json!(number));
            }
        };
        run("old", 60);
        // Instances created from here on are kept.
        let until = in_the_future(0);
        let purged = std::thread::scope(|scope| {
            let work = scope.spawn(|| run("new", 60));
            let filter = format!("instances?createdTimeFrom=2000-01-01&createdTimeTo={until}");
            let purged = purge(host, &filter);
            work.join().unwrap();
            purged
        });
        assert_eq!(purged, (200, json!(60)));
        let left = host.manage("GET", "instances", None).unwrap().json();
        let left: Vec<&str> = left.as_array().unwrap().iter().map(|status| status["instanceId"].as_str().unwrap()).collect();
        assert!(left.len() == 60 && left.iter().all(|id| id.starts_with("new-")), "{left:?}");
    });
}
