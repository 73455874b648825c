//! Entities: signals, states, lists.

use std::time::{Duration, Instant};

use dacapo_tests::host::Answer;
use serde_json::{Value, json};

use super::{Contract, is_empty, is_json, refuses};

fn open() -> Contract {
    let contract = Contract::open(&[]);
    contract.host.deploy_guest("example-counter").unwrap();
    contract
}

/// The value of a counter.
fn number(state: &Value) -> Option<i64> {
    state.as_i64().or_else(|| state["value"].as_i64())
}

/// Waits until a condition holds. A signal is stored when it is acknowledged, and run soon after.
#[track_caller]
fn eventually(contract: &Contract, path: &str, condition: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = contract.get(path);
        if condition(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn counts(contract: &Contract, path: &str, expected: i64) {
    eventually(contract, path, |answer| answer.status == 200 && number(&answer.json()) == Some(expected));
}

#[test]
fn an_entity_is_signaled_read_and_deleted() {
    let contract = open();
    is_empty(&contract.get("entities/counter/a"), 404);
    is_empty(&contract.post("entities/Counter/a?op=add", "2"), 202);
    is_empty(&contract.post("ENTITIES/COUNTER/a?OP=add", "3"), 202);
    counts(&contract, "entities/counter/a", 5);
    let state = contract.get("entities/cOUNTER/a");
    assert_eq!(state.header("content-type"), Some("application/json; charset=utf-8"));
    is_empty(&contract.delete("entities/counter/a"), 202);
    eventually(&contract, "entities/counter/a", |answer| answer.status == 404);
    is_empty(&contract.get("entities/counter/a"), 404);
}

#[test]
fn keys_may_be_empty_or_awkward() {
    let contract = open();
    for (path, key) in [("$", ""), ("a%20b", "a b"), ("%C3%A4", "ä"), ("a@b", "a@b"), ("%24%24", "$$")] {
        is_empty(&contract.post(&format!("entities/counter/{path}?op=add"), "1"), 202);
        counts(&contract, &format!("entities/counter/{path}"), 1);
        let listed = contract.get("entities/counter").json();
        assert!(
            listed.as_array().unwrap().iter().any(|entity| entity["entityId"] == json!({ "name": "counter", "key": key })),
            "{listed}"
        );
    }
    for path in ["a%2Fb", "a%23b", &"x".repeat(256)] {
        refuses(&contract.post(&format!("entities/counter/{path}?op=add"), "1"), 400, "'entityKey'");
        refuses(&contract.get(&format!("entities/counter/{path}")), 400, "'entityKey'");
    }
    refuses(&contract.post("entities/coun%20ter/a?op=add", "1"), 400, "'entityName'");
}

/// The Durable Functions route of an entity without a key.
#[test]
fn an_empty_key_may_be_left_out_where_an_entity_is_told_something() {
    let contract = open();
    is_empty(&contract.post("entities/Counter?op=add", "2"), 202);
    is_empty(&contract.post("entities/Counter/?op=add", "3"), 202);
    counts(&contract, "entities/counter/$", 5);
    is_empty(&contract.delete("entities/Counter"), 202);
    eventually(&contract, "entities/counter/$", |answer| answer.status == 404);
    refuses(&contract.post("entities/nobody?op=add", "1"), 400, "'nobody'");
}

#[test]
fn only_what_says_that_it_is_json_must_be() {
    let contract = open();
    let signal = |content_type: &str, body: &[u8]| {
        contract.send("POST", "entities/counter/a?op=get", &[("content-type", content_type)], body)
    };
    let wrong = signal("application/json", b"{");
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["Message"].as_str().unwrap().starts_with("Could not parse JSON content: "), "{wrong:?}");
    for (content_type, body) in
        [("application/json", ""), ("application/octet-stream", ""), ("text/plain", "{ not JSON"), ("application/json", "\"5\"")]
    {
        is_empty(&signal(content_type, body.as_bytes()), 202);
    }
    is_empty(&contract.send("POST", "entities/counter/a", &[], b""), 202);
    refuses(&contract.post("entities/nobody/a?op=add", "1"), 400, "'nobody'");
}

#[test]
fn a_signal_can_wait_for_its_time() {
    let contract = open();
    is_empty(&contract.post("entities/counter/a?op=add&deliverAt=2100-01-01T00:00:00Z", "5"), 202);
    is_empty(&contract.post("entities/counter/a?op=add&deliverAt=2020-01-01T00:00:00Z", "1"), 202);
    counts(&contract, "entities/counter/a", 1);
    refuses(&contract.post("entities/counter/a?op=add&deliverAt=soon", "1"), 400, "'deliverAt'");
}

#[test]
fn entities_are_listed_by_name_time_and_page() {
    let contract = open();
    for key in ["a", "b", "c"] {
        is_empty(&contract.post(&format!("entities/counter/{key}?op=add"), "1"), 202);
        counts(&contract, &format!("entities/counter/{key}"), 1);
    }
    let list = |query: &str| contract.get(&format!("entities{query}"));
    let all = list("?fetchState=true").json();
    let keys: Vec<&str> = all.as_array().unwrap().iter().map(|entity| entity["entityId"]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert!(all.as_array().unwrap().iter().all(|entity| number(&entity["state"]) == Some(1)), "{all}");
    assert!(list("").json().as_array().unwrap().iter().all(|entity| entity["state"].is_null()));
    is_json(&list("/counte"), 200, json!([]));
    is_json(&list("?lastOperationTimeFrom=2100-01-01T00:00:00Z"), 200, json!([]));
    is_json(&list("/counter?lastOperationTimeTo=2000-01-01T00:00:00Z"), 200, json!([]));
    let first = list("/Counter?top=2");
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let token = first.header("x-ms-continuation-token").unwrap();
    let rest = contract.send("GET", "entities/counter?top=2", &[("x-ms-continuation-token", token)], b"");
    assert_eq!((rest.json().as_array().unwrap().len(), rest.header("x-ms-continuation-token")), (1, None));
    let wrong = contract.send("GET", "entities/counter", &[("x-ms-continuation-token", "row.1")], b"");
    refuses(&wrong, 400, "'x-ms-continuation-token'");
}

#[test]
fn entities_are_instances() {
    let contract = open();
    is_empty(&contract.post("entities/counter/a?op=add", "7"), 202);
    counts(&contract, "entities/counter/a", 7);
    let status = contract.get("instances/@counter@a");
    assert_eq!((status.status, &status.json()["runtimeStatus"]), (202, &json!("Running")));
    let input = status.json()["input"].clone();
    assert_eq!(input["exists"], true);
    assert_eq!(number(&serde_json::from_str(input["state"].as_str().unwrap()).unwrap()), Some(7), "{input}");
    let listed = contract.get("instances?instanceIdPrefix=@").json();
    assert_eq!((&listed[0]["instanceId"], &listed[0]["input"]), (&json!("@counter@a"), &input));
    assert_eq!(contract.get("instances?instanceIdPrefix=%40&showInput=false").json()[0]["input"], Value::Null);
    for verb in ["raiseEvent/x", "terminate?reason=x", "restart", "rewind?reason=x"] {
        assert_eq!(contract.post(&format!("instances/@counter@a/{verb}"), "1").status, 400, "{verb}");
    }
    is_json(&contract.delete("instances/@counter@a"), 200, json!({ "instancesDeleted": 1 }));
    is_json(&contract.delete("instances/@counter@a"), 200, json!({ "instancesDeleted": 0 }));
    is_empty(&contract.get("instances/@counter@a"), 404);
}
