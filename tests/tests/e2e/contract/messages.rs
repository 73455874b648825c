//! Messages to an instance, and their effect in each state that it can be in.

use serde_json::json;

use super::{Contract, STATES, is_empty, refuses, says};

/// Checks the status of a request to an instance in each of [`STATES`], and to one that does not exist.
#[track_caller]
fn check(contract: &Contract, path: &str, expected: [u16; 7]) {
    for (state, expected) in STATES.into_iter().zip(expected) {
        let id = contract.instance(state);
        let answer = contract.post(&format!("instances/{id}/{path}"), "1");
        assert_eq!(answer.status, expected, "{path} {state}: {answer:?}");
        assert_eq!(answer.body.is_empty(), matches!(expected, 202 | 410), "{answer:?}");
    }
    let missing = contract.post(&format!("instances/nobody/{path}"), "1");
    assert_eq!(missing.status, expected[6], "{path}: {missing:?}");
}

#[test]
fn the_codes_of_every_verb_in_every_state() {
    let contract = Contract::open(&[]);
    //                        Running, Suspended, Completed, Failed, Terminated, Pending, missing
    check(&contract, "raiseEvent/other", [202, 202, 410, 410, 410, 202, 404]);
    check(&contract, "terminate?reason=x", [202, 202, 410, 410, 410, 202, 404]);
    check(&contract, "suspend?reason=x", [202, 500, 410, 410, 410, 202, 404]);
    check(&contract, "resume?reason=x", [500, 202, 410, 410, 410, 500, 404]);
    check(&contract, "rewind?reason=x", [412, 412, 412, 202, 412, 412, 404]);
}

#[test]
fn suspending_twice_says_why_not() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Suspended");
    refuses(&contract.post(&format!("instances/{id}/suspend"), ""), 500, "cannot suspend");
    is_empty(&contract.post(&format!("instances/{id}/resume"), ""), 202);
    refuses(&contract.post(&format!("instances/{id}/resume"), ""), 500, "cannot resume");
}

#[test]
fn reasons_of_all_spellings_are_kept() {
    let contract = Contract::open(&[]);
    for (query, reason) in [
        ("reason=it%20was%20time%3A%20%C3%A4%26b", "it was time: ä&b"),
        ("reason=fixed+it", "fixed it"),
        // The JavaScript library does not escape the reason: an ampersand begins another parameter.
        ("reason=a&b", "a"),
        ("REASON=", ""),
        ("", ""),
    ] {
        let id = contract.instance("Running");
        is_empty(&contract.post(&format!("instances/{id}/terminate?{query}"), ""), 202);
        assert_eq!(contract.host.wait(&id).unwrap()["output"], reason, "{query}");
    }
}

#[test]
fn event_data_is_kept_as_it_is_sent() {
    let contract = Contract::open(&[]);
    for (body, data) in [
        (r#""{\"ok\": true}""#, json!(r#"{"ok": true}"#)),
        (r#""null""#, json!("null")),
        ("false", json!(false)),
        ("[1,\"ä\"]", json!([1, "ä"])),
        ("", json!(null)),
    ] {
        let id = contract.instance("Running");
        is_empty(&contract.post(&format!("instances/{id}/raiseEvent/GO"), body), 202);
        assert_eq!(contract.host.wait(&id).unwrap()["output"], data, "{body}");
    }
}

#[test]
fn events_that_are_not_json_are_refused() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Running");
    let raise =
        |headers: &[(&str, &str)], body: &[u8]| contract.send("POST", &format!("instances/{id}/raiseEvent/go"), headers, body);
    refuses(&raise(&[("content-type", "text/plain")], b"1"), 400, "Only application/json request content is supported");
    refuses(&raise(&[("content-type", "application/json")], b"{"), 400, "JSON");
    refuses(&raise(&[("content-type", "application/json")], b"\"\xff\""), 400, "UTF-8");
    refuses(&contract.post(&format!("instances/{id}/raiseEvent/{}", "x".repeat(257)), "1"), 400, "'eventName'");
    assert_eq!(contract.host.status(&id).unwrap()["runtimeStatus"], "Running");
}

#[test]
fn a_termination_reaches_sub_orchestrations_if_it_is_to() {
    let contract = Contract::open(&[]);
    for (query, expected) in [("", "Running"), ("&recursive=True", "Terminated")] {
        let child = format!("child-{expected}");
        let call = json!({ "name": "wait_event", "input": "go", "instance_id": child });
        let parent = contract.host.start_new("call_child", call).unwrap();
        contract.host.wait_until(&parent, "waiting", |_| contract.get(&format!("instances/{child}")).status != 404).unwrap();
        contract.host.wait_until(&child, "running", |status| status["runtimeStatus"] == "Running").unwrap();
        is_empty(&contract.post(&format!("instances/{parent}/terminate?reason=x{query}"), ""), 202);
        assert_eq!(contract.host.wait(&parent).unwrap()["runtimeStatus"], "Terminated");
        if expected == "Terminated" {
            contract.host.wait(&child).unwrap();
        }
        assert_eq!(contract.host.status(&child).unwrap()["runtimeStatus"], expected);
    }
}

#[test]
fn a_rewind_is_refused_with_a_text_and_leaves_a_trace() {
    let contract = Contract::open(&[]);
    says(&contract.post("instances/nobody/rewind?reason=x", ""), 404, &["nobody"]);
    let running = contract.instance("Running");
    says(&contract.post(&format!("instances/{running}/rewind?reason=x"), ""), 412, &[&running, "cannot be rewound"]);
    let failed = contract.instance("Failed");
    is_empty(&contract.post(&format!("instances/{failed}/rewind?reason=fixed+it"), ""), 202);
    contract.host.wait(&failed).unwrap();
    let history = contract.host.history(&failed).unwrap();
    let rewound = history.iter().find(|event| event["EventType"] == "ExecutionRewound").unwrap_or_else(|| panic!("{history:?}"));
    assert_eq!(rewound["Reason"], "fixed it");
}
