//! The state of an instance, and lists of them.

use serde_json::{Value, json};

use super::{Contract, STATES, is_empty, is_json, leads_on, refuses};

#[test]
fn the_code_of_a_status_says_whether_the_instance_has_ended() {
    let contract = Contract::open(&[]);
    for state in STATES {
        let id = contract.instance(state);
        let answer = contract.get(&format!("instances/{id}"));
        assert_eq!(answer.json()["runtimeStatus"], state);
        let ended = ["Completed", "Failed", "Terminated"].contains(&state);
        assert_eq!(answer.status, if ended { 200 } else { 202 }, "{state}");
        let headers = (answer.header("location"), answer.header("retry-after"));
        let own = format!("{}/runtime/webhooks/durabletask/instances/{id}", contract.host.url());
        assert_eq!(headers, if ended { (None, None) } else { (Some(own.as_str()), Some("5")) }, "{state}");
        let strict = contract.get(&format!("instances/{id}?ReturnInternalServerErrorOnFailure=TRUE"));
        assert_eq!(
            (strict.status, strict.json()),
            (if state == "Failed" { 500 } else { answer.status }, answer.json()),
            "{state}"
        );
    }
    is_empty(&contract.get("instances/nobody"), 404);
    is_empty(&contract.send("PUT", "instances/nobody", &[], b"1"), 404);
    is_empty(&contract.send("PATCH", "instances", &[], b"1"), 404);
}

#[test]
fn outputs_are_what_ended_the_instance() {
    let contract = Contract::open(&[]);
    let output = |state: &str| contract.get(&format!("instances/{}", contract.instance(state))).json()["output"].clone();
    assert_eq!(output("Completed"), json!({ "a": [1] }));
    assert_eq!(output("Terminated"), "enough");
    assert!(output("Failed").as_str().unwrap().starts_with("Orchestrator function 'return_error' failed: "));
    assert_eq!(output("Running"), Value::Null);
}

#[test]
fn a_history_is_shown_under_both_names_and_without_what_is_not_asked_for() {
    let contract = Contract::open(&[]);
    let id = leads_on(&contract.post("orchestrators/chain", "1"));
    contract.host.wait(&id).unwrap();
    let shown = |query: &str| contract.get(&format!("instances/{id}?{query}")).json();
    let full = shown("showHistory=true&showHistoryOutput=true");
    assert_eq!(full["history"], full["historyEvents"]);
    let task = &full["history"][1];
    assert_eq!(
        (&task["EventType"], &task["FunctionName"], &task["Input"], &task["Result"]),
        (&json!("TaskCompleted"), &json!("add_one"), &json!(0), &json!(1))
    );
    let bare = shown("showHistory=true&showInput=false");
    assert_eq!(
        (bare["input"].clone(), bare["history"][1].get("Input"), bare["history"][1].get("Result")),
        (Value::Null, None, None)
    );
    assert_eq!(shown("").get("historyEvents"), None);
}

#[test]
fn pages_follow_one_another_without_gaps() {
    let contract = Contract::open(&[]);
    for number in 0..7 {
        leads_on(&contract.post(&format!("orchestrators/echo_orchestrator/page-{number}"), "1"));
        contract.host.wait(&format!("page-{number}")).unwrap();
    }
    for prefix in ["", "instanceIdPrefix=page-&"] {
        let (mut ids, mut token) = (Vec::new(), None::<String>);
        loop {
            let headers: Vec<_> = token.iter().map(|token| ("x-ms-continuation-token", token.as_str())).collect();
            let page = contract.send("GET", &format!("instances?{prefix}top=2&runtimeStatus=completed"), &headers, b"");
            assert_eq!(page.status, 200, "{page:?}");
            let page_ids: Vec<Value> =
                page.json().as_array().unwrap().iter().map(|status| status["instanceId"].clone()).collect();
            assert!(page_ids.len() <= 2);
            ids.extend(page_ids);
            token = page.header("x-ms-continuation-token").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        assert_eq!(ids, (0..7).map(|number| json!(format!("page-{number}"))).collect::<Vec<_>>(), "{prefix}");
    }
    let first = contract.get("instances?top=2");
    let token = first.header("x-ms-continuation-token").unwrap();
    for (query, token) in [("", "nonsense"), ("", ""), ("instanceIdPrefix=p", token)] {
        let answer = contract.send("GET", &format!("instances?{query}"), &[("x-ms-continuation-token", token)], b"");
        match token {
            "" => assert_eq!(answer.json().as_array().unwrap().len(), 7),
            _ => refuses(&answer, 400, "'x-ms-continuation-token'"),
        }
    }
}

/// A list is generated in parts while it is sent; a client sees one list.
#[test]
fn a_list_of_large_inputs_is_whole() {
    let contract = Contract::open(&[]);
    let inputs: Vec<Value> = (0..6).map(|number| json!(format!("{number}").repeat(50_000))).collect();
    for (number, input) in inputs.iter().enumerate() {
        leads_on(&contract.post(&format!("orchestrators/wait_event/large-{number}"), &input.to_string()));
    }
    for prefix in ["", "&instanceIdPrefix=large-"] {
        let list = contract.get(&format!("instances?top=1000{prefix}"));
        assert_eq!((list.status, list.header("content-type")), (200, Some("application/json; charset=utf-8")));
        let shown: Vec<Value> = list.json().as_array().unwrap().iter().map(|status| status["input"].clone()).collect();
        assert_eq!(shown, inputs);
        let hidden = contract.get(&format!("instances?showInput=false{prefix}")).json();
        assert!(hidden.as_array().unwrap().iter().all(|status| status["input"] == Value::Null) && hidden[5] != Value::Null);
    }
}

#[test]
fn filters_add_up() {
    let contract = Contract::open(&[]);
    for state in STATES {
        contract.instance(state);
    }
    let count = |query: &str| contract.get(&format!("instances?{query}")).json().as_array().unwrap().len();
    assert_eq!(count(""), STATES.len());
    for state in STATES {
        assert_eq!(count(&format!("runtimeStatus={}", state.to_lowercase())), 1, "{state}");
    }
    assert_eq!(count("runtimeStatus=Failed,Completed&runtimeStatus=Running"), 3);
    assert_eq!(count("createdTimeFrom=2000-01-01&createdTimeTo=2000-01-02T00:00:00Z"), 0);
    assert_eq!(count("createdTimeFrom=2000-01-01T00:00:00%2B01:00&runtimeStatus=Failed"), 1);
    assert_eq!(count("instanceIdPrefix=nobody"), 0);
    let shown = contract.get("instances?runtimeStatus=Completed&showHistory=true").json();
    assert_eq!((&shown[0]["input"], shown[0].get("history")), (&json!({ "a": [1] }), None));
    let hidden = contract.get("instances?runtimeStatus=Completed&showInput=false").json();
    assert_eq!(hidden[0]["input"], Value::Null);
    is_json(&contract.get("instances?instanceIdPrefix=nobody"), 200, json!([]));
}
