//! Entities: signalled and read by clients, called and locked by orchestrations.

use std::time::{Duration, Instant};

use dacapo_tests::host::Host;
use serde_json::{Value, json};

fn each_host(test: impl Fn(&mut Host)) {
    for arguments in [&[][..], &["--no-heat"]] {
        let (mut host, _directory) = Host::temporary(arguments).unwrap();
        for guest in ["fixture-probe", "example-counter", "example-account-transfer"] {
            host.deploy_guest(guest).unwrap();
        }
        test(&mut host);
    }
}

/// Signals `NAME/KEY?op=OPERATION`.
#[track_caller]
fn signal(host: &Host, path: &str, input: Value) {
    let answer = host.manage("POST", &format!("entities/{path}"), Some(&input)).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{path}: {answer:?}");
}

/// The state of `NAME/KEY`; null if there is none.
fn state(host: &Host, path: &str) -> Value {
    let answer = host.manage("GET", &format!("entities/{path}"), None).unwrap();
    if answer.status == 404 { Value::Null } else { answer.json() }
}

fn entries(host: &Host, key: &str) -> Value {
    state(host, &format!("ledger/{key}"))["entries"].clone()
}

/// Waits for an effect that is not acknowledged.
#[track_caller]
fn eventually(host: &Host, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}\n{}", host.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ledger(key: &str) -> String {
    format!("@ledger@{key}")
}

fn in_the_future(milliseconds: u64) -> String {
    let at = chrono::Utc::now() + Duration::from_millis(milliseconds);
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[test]
fn an_entity_is_made_by_its_first_signal_and_goes_when_it_is_deleted() {
    each_host(|host| {
        assert_eq!(state(host, "counter/a"), Value::Null);
        signal(host, "Counter/a?op=add", json!(2));
        signal(host, "COUNTER/a?op=ADD", json!(3));
        signal(host, "counter/$?op=add", json!(7));
        assert_eq!(state(host, "counter/a"), json!({ "value": 5 }));
        assert_eq!(state(host, "counter/$"), json!({ "value": 7 }));
        let status = host.status("@counter@a").unwrap();
        assert_eq!((&status["runtimeStatus"], &status["instanceId"]), (&json!("Running"), &json!("@counter@a")));

        let ids = |path: &str| -> Vec<Value> {
            let listed = host.manage("GET", path, None).unwrap().json();
            listed.as_array().unwrap().iter().map(|entity| entity["entityId"]["key"].clone()).collect()
        };
        assert_eq!(ids("entities/Counter"), [json!(""), json!("a")]);
        assert_eq!(ids("entities/ledger"), [] as [Value; 0]);
        let listed = host.manage("GET", "entities?fetchState=true", None).unwrap().json();
        assert_eq!(listed[1]["state"], json!({ "value": 5 }), "{listed}");

        assert_eq!(host.manage("DELETE", "entities/counter/a", None).unwrap().status, 202);
        assert_eq!(state(host, "counter/a"), Value::Null);
        assert_eq!(host.manage("GET", "instances/@counter@a", None).unwrap().status, 404);
        // A purge removes it, too.
        let purge = || host.manage("DELETE", "instances/@counter@", None).unwrap().json()["instancesDeleted"].clone();
        assert_eq!((purge(), purge()), (json!(1), json!(0)));
        assert_eq!(ids("entities"), [] as [Value; 0]);
    });
}

#[test]
fn signals_to_what_is_no_entity_are_refused() {
    each_host(|host| {
        for path in ["nobody/a?op=x", "chain/a?op=x"] {
            let answer = host.manage("POST", &format!("entities/{path}"), Some(&json!(1))).unwrap();
            assert_eq!(answer.status, 400, "{path}: {answer:?}");
        }
        signal(host, "counter/a?op=add", json!(1));
        for operation in ["terminate", "rewind", "restart", "raiseEvent/x"] {
            let answer = host.manage("POST", &format!("instances/@counter@a/{operation}"), Some(&json!(1))).unwrap();
            assert_eq!(answer.status, 400, "{operation}: {answer:?}");
        }
        assert_eq!(state(host, "counter/a"), json!({ "value": 1 }));
    });
}

#[test]
fn an_operation_that_fails_changes_nothing_and_sends_nothing() {
    each_host(|host| {
        let waiting = host.start_new("wait_event", json!("Sent")).unwrap();
        let to = json!({ "ledger": "from-rogue", "instance": waiting });
        signal(host, "rogue/r?op=good", Value::Null);
        for (operation, input) in [
            ("fail", Value::Null),
            ("panic", json!("for the test")),
            ("trap", Value::Null),
            ("no_such_operation", Value::Null),
            ("send_and_fail", to.clone()),
            ("send_and_panic", to.clone()),
        ] {
            signal(host, &format!("rogue/r?op={operation}"), input.clone());
            let call = json!({ "entity": "@rogue@r", "operation": operation, "input": input });
            let ended = host.output("call_entity", call);
            assert!(ended["err"]["error_type"].is_string(), "{operation}: a caller gets the error: {ended}");
        }
        assert_eq!(state(host, "rogue/r")["operations"], 1);
        assert_eq!(state(host, "ledger/from-rogue"), Value::Null);
        assert_eq!(host.status(&waiting).unwrap()["runtimeStatus"], "Running");
        // The same without the failure.
        signal(host, "rogue/r?op=send", to);
        assert_eq!(host.wait(&waiting).unwrap()["output"], "by an entity");
        eventually(host, "the ledger is signalled", || entries(host, "from-rogue") == json!(["signaled"]));
    });
}

#[test]
fn operations_of_one_sender_are_run_in_their_order_each_once() {
    each_host(|host| {
        let many = json!({ "entity": ledger("many"), "operation": "append", "times": 1_500 });
        host.output("signal_entity", many);
        let numbers: Vec<u32> = (0..1_500).collect();
        eventually(host, "all is appended", || entries(host, "many").as_array().is_some_and(|all| all.len() == 1_500));
        assert_eq!(entries(host, "many"), json!(numbers));

        (0..20).for_each(|number| signal(host, "ledger/client?op=append", json!(number)));
        assert_eq!(entries(host, "client"), json!((0..20).collect::<Vec<_>>()));

        // A call is executed after earlier signals of the same instance.
        let task = json!({ "counter": "c", "amount": 2, "times": 300 });
        assert_eq!(host.output("count_often", task), 600);
    });
}

#[test]
fn signals_from_many_at_once_are_all_counted() {
    each_host(|host| {
        let host = &*host;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| signal(host, "counter/busy?op=add", json!(1))));
            }
            let task = json!({ "counter": "busy", "amount": 1, "times": 50 });
            scope.spawn(move || host.output("count_often", task));
        });
        assert_eq!(state(host, "counter/busy"), json!({ "value": 250 }));
    });
}

#[test]
fn a_call_returns_and_can_be_awaited_with_others() {
    each_host(|host| {
        let calls = json!([
            { "entity": ledger("x"), "operation": "append", "input": "first" },
            { "entity": ledger("y"), "operation": "append", "input": "second" },
        ]);
        assert_eq!(host.output("call_entities", calls), json!([[1, 1], [2, 2]]));
        let unknown = json!({ "entity": "@nobody@", "operation": "x" });
        let ended = host.output("call_entity", unknown);
        assert_eq!(ended["err"]["error_type"], "EntityNotFound", "{ended}");
    });
}

#[test]
fn a_signal_for_later_waits_also_while_the_host_is_down() {
    each_host(|host| {
        let [soon, later] = [in_the_future(400), in_the_future(800)];
        signal(host, &format!("ledger/l?op=append&deliverAt={later}"), json!("later"));
        signal(host, &format!("ledger/l?op=append&deliverAt={soon}"), json!("soon"));
        signal(host, "ledger/l?op=append", json!("now"));
        assert_eq!(entries(host, "l"), json!(["now"]));
        host.restart().unwrap();
        eventually(host, "both are delivered", || entries(host, "l").as_array().is_some_and(|all| all.len() == 3));
        assert_eq!(entries(host, "l"), json!(["now", "soon", "later"]));

        // Delayed signals, sent by an entity and by an orchestration.
        signal(host, "ledger/one?op=append_later", json!(["two", "delayed", 50]));
        host.output("signal_entity", json!({ "entity": ledger("three"), "operation": "append", "input": 1, "after_ms": 50 }));
        eventually(host, "they arrive", || entries(host, "two") == json!(["delayed"]) && entries(host, "three") == json!([1]));
    });
}

#[test]
fn a_suspended_entity_keeps_its_operations() {
    each_host(|host| {
        signal(host, "counter/s?op=add", json!(1));
        let act = |what: &str| host.manage("POST", &format!("instances/@counter@s/{what}"), None).unwrap().status;
        assert_eq!((act("resume"), act("suspend"), act("suspend")), (500, 202, 500));
        signal(host, "counter/s?op=add", json!(10));
        signal(host, "counter/s?op=add", json!(100));
        assert_eq!(state(host, "counter/s"), json!({ "value": 1 }));
        host.restart().unwrap();
        assert_eq!(host.status("@counter@s").unwrap()["runtimeStatus"], "Suspended");
        let act = |what: &str| host.manage("POST", &format!("instances/@counter@s/{what}"), None).unwrap().status;
        assert_eq!(act("resume"), 202);
        eventually(host, "all is counted", || state(host, "counter/s") == json!({ "value": 111 }));
    });
}

#[test]
fn money_moves_between_locked_accounts_all_of_it_or_none() {
    each_host(|host| {
        for key in ["a", "b", "c"] {
            signal(host, &format!("account/{key}?op=deposit"), json!(100));
        }
        let transfer = |from: &str, to: &str, amount: u64| json!({ "from": from, "to": to, "amount": amount });
        assert_eq!(host.output("transfer", transfer("a", "b", 30)), json!({ "from": 70, "to": 130 }));
        let refused = host.run("transfer", transfer("a", "b", 71)).unwrap();
        assert_eq!(refused["runtimeStatus"], "Failed", "{refused}");
        // Transfers in both directions, and in a circle, concurrently.
        let host = &*host;
        std::thread::scope(|scope| {
            for (from, to) in [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")] {
                scope.spawn(move || {
                    (0..8).for_each(|_| drop(host.run("transfer", transfer(from, to, 5)).unwrap()));
                });
            }
        });
        let balance = |key: &str| state(host, &format!("account/{key}"))["balance"].as_i64().unwrap();
        assert_eq!((balance("a"), balance("b"), balance("c")), (70 + 40, 130 - 40, 100));
    });
}

/// Starts `hold_lock` and waits until it has the lock.
fn holder(host: &Host, keys: &[&str]) -> String {
    let id = host.start_new("hold_lock", json!(keys)).unwrap();
    host.wait_until(&id, "locked", |status| status["customStatus"] == "locked").unwrap();
    id
}

#[test]
fn what_is_locked_waits_for_the_end_of_the_critical_section() {
    each_host(|host| {
        for (end, status) in [("return", "Completed"), ("fail", "Failed"), ("panic", "Failed")] {
            let keys = [format!("{end}-1"), format!("{end}-2")];
            let id = holder(host, &[&keys[0], &keys[1]]);
            signal(host, &format!("ledger/{}?op=append", keys[0]), json!("a client"));
            let next = host.start_new("hold_lock", json!(&keys)).unwrap();
            assert_eq!(entries(host, &keys[0]), Value::Null, "{end}: the lock holds");
            host.raise_event(&id, "go", json!(end)).unwrap();
            assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], status, "{end}");
            host.wait_until(&next, "locked", |status| status["customStatus"] == "locked").unwrap();
            assert_eq!(entries(host, &keys[0]), json!([id, "a client"]), "{end}: in order");
            host.raise_event(&next, "go", json!("return")).unwrap();
            assert_eq!(host.wait(&next).unwrap()["runtimeStatus"], "Completed");
            assert_eq!(entries(host, &keys[1]), json!([id, next]));
        }
    });
}

#[test]
fn a_lock_ends_where_its_holder_says_so_and_with_a_fresh_start() {
    each_host(|host| {
        let id = holder(host, &["u"]);
        host.raise_event(&id, "go", json!("unlock")).unwrap();
        host.wait_until(&id, "unlocked", |status| status["customStatus"] == "unlocked").unwrap();
        signal(host, "ledger/u?op=append", json!("between"));
        eventually(host, "the signal is dealt with", || entries(host, "u") == json!([id, "between"]));
        host.raise_event(&id, "go", json!("done")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"], "done");

        let id = holder(host, &["n"]);
        signal(host, "ledger/n?op=append", json!("between"));
        host.raise_event(&id, "go", json!("continue")).unwrap();
        eventually(host, "the signal is dealt with", || entries(host, "n") == json!([id, "between"]));
        host.raise_event(&id, "go", json!("return")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["output"], "return");
        assert_eq!(entries(host, "n"), json!([id, "between", id]));
    });
}

#[test]
fn a_lock_is_released_when_its_holder_is_terminated_also_one_that_was_not_granted() {
    each_host(|host| {
        let id = holder(host, &["a", "b"]);
        // It holds none of its locks yet: another instance holds the first.
        let waiting = host.start_new("hold_lock", json!(["b", "a", "c"])).unwrap();
        signal(host, "ledger/a?op=append", json!("after"));
        let terminate = |host: &Host, id: &str| {
            assert_eq!(host.manage("POST", &format!("instances/{id}/terminate?reason=x"), None).unwrap().status, 202);
        };
        terminate(host, &waiting);
        assert_eq!(entries(host, "a"), Value::Null);
        host.restart().unwrap();
        terminate(host, &id);
        eventually(host, "the lock is released", || entries(host, "a") == json!(["after"]));
        // All three can be locked again.
        let last = holder(host, &["a", "b", "c"]);
        host.raise_event(&last, "go", json!("return")).unwrap();
        assert_eq!(host.wait(&last).unwrap()["runtimeStatus"], "Completed");
        assert_eq!(entries(host, "c"), json!([last]));
    });
}

#[test]
fn a_critical_section_survives_the_death_of_the_host() {
    each_host(|host| {
        let id = holder(host, &["a", "b"]);
        signal(host, "ledger/a?op=append", json!("after"));
        host.restart().unwrap();
        assert_eq!(entries(host, "a"), Value::Null, "still locked");
        host.raise_event(&id, "go", json!("return")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Completed");
        eventually(host, "the signal is dealt with", || entries(host, "a") == json!([id, "after"]));
    });
}

#[test]
fn the_rules_of_critical_sections() {
    each_host(|host| {
        for rule in ["empty", "two_requests", "nested", "call_other", "call_twice", "signal_locked", "sub_orchestration"] {
            let status = host.run("break_locking_rule", json!(rule)).unwrap();
            assert_eq!(status["runtimeStatus"], "Failed", "{rule}: {status}");
        }
        for rule in ["signal_other", "detached", "activity"] {
            assert_eq!(host.run("break_locking_rule", json!(rule)).unwrap()["runtimeStatus"], "Completed", "{rule}");
        }
        // None of them left a lock behind.
        let id = holder(host, &["locked", "other"]);
        host.raise_event(&id, "go", json!("return")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Completed");
    });
}

#[test]
fn a_failure_in_a_critical_section_cannot_be_rewound() {
    each_host(|host| {
        let id = holder(host, &["a"]);
        host.raise_event(&id, "go", json!("fail")).unwrap();
        assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Failed");
        let answer = host.manage("POST", &format!("instances/{id}/rewind?reason=x"), None).unwrap();
        assert_eq!(answer.status, 412, "{answer:?}");
        assert!(answer.body.contains("lock"), "it says why: {answer:?}");
    });
}

/// 900 operations were once a single turn: a host that was killed before all were done saved none of them, and a stop waited for
/// all.
#[test]
fn an_entity_with_much_to_do_saves_what_it_has_done_meanwhile() {
    const OPERATIONS: usize = 300;
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let signals =
        json!({ "entity": ledger("slow"), "operation": "append_slowly", "input": ["x", 20_000_000], "times": OPERATIONS });
    host.start_as("signals", "signal_entity", signals).unwrap();
    let done = |host: &Host| entries(host, "slow").as_array().map_or(0, Vec::len);
    eventually(&host, "some are done", || done(&host) > 0);
    let before = done(&host);
    assert!(before < OPERATIONS, "all operations had run before the test could stop the host");
    assert_eq!(host.stop().unwrap(), Some(0));
    host.restart().unwrap();
    assert!(done(&host) >= before);
    host.kill().unwrap();
}

/// An operation, an orchestrator and an activity that never end: after its grace period the host stops, without their effects.
#[test]
fn a_stop_ends_what_never_ends_by_itself() {
    let settings = ["--set", "limits.fuel_per_turn=1000000000000000", "--set", "engine.shutdown_grace_seconds=1"];
    let (mut host, _directory) = Host::temporary(&settings).unwrap();
    host.deploy_guest("fixture-hostile").unwrap();
    host.start_as("never", "never_end", json!(3)).unwrap();
    host.start_as("activity", "call_named", json!(["spin_activity", null])).unwrap();
    let kept = |host: &Host| state(host, "hoard/busy")["kept"].clone();
    // The earlier operations are saved when the endless one is stopped, at the latest after the second start.
    for _ in 0..2 {
        assert_eq!(host.stop().unwrap(), Some(0));
        host.restart().unwrap();
    }
    eventually(&host, "the operations before are saved", || kept(&host) == json!([0, 1, 2]));
    assert_eq!(host.status("never").unwrap()["runtimeStatus"], "Running");
    assert_eq!(host.stop().unwrap(), Some(0));
}
