//! Restarting instances.

use serde_json::json;

use super::{Contract, is_empty, is_json, leads_on, refuses};

#[test]
fn an_instance_is_restarted_under_a_new_id_or_its_own() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Completed");
    let output = json!({ "a": [1] });
    for query in ["", "?restartWithNewInstanceId=True"] {
        let new_id = leads_on(&contract.post(&format!("instances/{id}/restart{query}"), ""));
        assert_ne!(new_id, id);
        assert_eq!(contract.host.wait(&new_id).unwrap()["output"], output);
    }
    assert_eq!(leads_on(&contract.post(&format!("instances/{id}/restart?restartWithNewInstanceId=false"), "")), id);
    assert_eq!(contract.host.wait(&id).unwrap()["output"], output);
    is_json(&contract.post(&format!("instances/{id}/restart?timeout=30&pollingInterval=1"), ""), 200, output);
}

#[test]
fn a_living_instance_is_restarted_only_under_a_new_id() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Running");
    refuses(&contract.post(&format!("instances/{id}/restart?restartWithNewInstanceId=false"), ""), 409, &id);
    let new_id = leads_on(&contract.post(&format!("instances/{id}/restart"), ""));
    contract.host.wait_until(&new_id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
}

#[test]
fn what_does_not_exist_is_400_and_not_404() {
    let contract = Contract::open(&[]);
    let answer = contract.post("instances/nobody/restart", "");
    refuses(&answer, 400, "nobody");
    assert_eq!(answer.json()["Message"], "InstanceId does not match a valid orchestration instance.");
    let id = contract.instance("Completed");
    let wrong = format!("instances/{id}/restart?timeout=1&pollingInterval=2");
    refuses(&contract.post(&wrong, ""), 400, "'pollingInterval'");
}

#[test]
fn a_restart_with_options_names_the_new_instance() {
    let contract = Contract::open(&[]);
    let (id, living) = (contract.instance("Completed"), contract.instance("Running"));
    let restart = |id: &str, query: &str| contract.post(&format!("instances/{id}/restartWithOptions?{query}"), "");
    assert_eq!(leads_on(&restart(&id, "newInstanceId=again%201&version=2.0")), "again 1");
    assert_eq!(contract.host.wait("again%201").unwrap()["output"], json!({ "a": [1] }));
    refuses(&restart(&id, ""), 400, "'newInstanceId'");
    refuses(&restart(&id, "newInstanceId=a%2Fb"), 400, "'newInstanceId'");
    refuses(&restart(&id, "newInstanceId=%40a%40b"), 400, "'newInstanceId'");
    is_empty(&restart("nobody", "newInstanceId=x"), 404);
    refuses(&restart(&id, &format!("newInstanceId={living}")), 409, &living);
}
