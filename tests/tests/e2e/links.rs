//! The management links that an activity hands to an external system.

use dacapo_tests::host::{Host, request};
use serde_json::{Value, json};

/// The external system of this test queries, answers and ends the instance with the links it was given, and nothing else.
#[test]
fn an_activity_hands_out_links_that_work() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("wait_event", json!("go")).unwrap();
    let handed = host.run("call", json!({ "name": "management_links", "input": id })).unwrap();
    let links = &handed["output"]["ok"];
    let link = |name: &str| links[name].as_str().unwrap_or_else(|| panic!("no {name}: {handed}")).to_owned();
    let status = |uri: &str| request("GET", uri, None).unwrap();
    assert_eq!(links["id"], json!(id));
    assert_eq!(status(&link("statusQueryGetUri")).json()["runtimeStatus"], "Running");
    let event = link("sendEventPostUri").replace("{eventName}", "go");
    assert_eq!(request("POST", &event, Some(b"\"from outside\"")).unwrap().status, 202);
    assert_eq!(host.wait(&id).unwrap()["output"], json!("from outside"));
    assert_eq!(request("POST", &link("terminatePostUri").replace("{text}", "late"), None).unwrap().status, 410);
    assert_eq!(request("POST", &link("rewindPostUri").replace("{text}", "late"), None).unwrap().status, 412);
    let restarted: Value = request("POST", &link("restartPostUri"), None).unwrap().json();
    assert_ne!(restarted["id"], json!(id));
    assert_eq!(request("DELETE", &link("purgeHistoryDeleteUri"), None).unwrap().status, 200);
    assert_eq!(status(&link("statusQueryGetUri")).status, 404);
}
