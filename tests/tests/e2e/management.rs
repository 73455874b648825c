//! The management API over a socket, according to the contract.

use dacapo_tests::host::{Host, is_finished};
use serde_json::{Value, json};

fn host() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("example-hello-sequence").unwrap();
    host.deploy_guest("example-human-interaction").unwrap();
    (host, directory)
}

#[test]
fn starting_answers_202_with_the_links() {
    let (host, _directory) = host();
    let answer = host.manage("POST", "orchestrators/hello_sequence/my%20id", Some(&json!(["x"]))).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = answer.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ];
    assert!(expected.iter().all(|member| members.contains(member)), "{members:?}");
    assert_eq!(members.len(), expected.len());
    assert_eq!(body["id"], "my id");
    assert_eq!(answer.header("location"), body["statusQueryGetUri"].as_str());
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let links = format!("{}/runtime/webhooks/durabletask/instances/my%20id", host.url());
    assert!(body["statusQueryGetUri"].as_str().unwrap().starts_with(&format!("{links}?taskHub=")), "{body}");
    assert!(body["sendEventPostUri"].as_str().unwrap().starts_with(&format!("{links}/raiseEvent/{{eventName}}?")), "{body}");
    assert!(body["terminatePostUri"].as_str().unwrap().starts_with(&format!("{links}/terminate?reason={{text}}&")), "{body}");
    let status = dacapo_tests::host::request("GET", body["statusQueryGetUri"].as_str().unwrap(), None).unwrap();
    assert!(matches!(status.status, 200 | 202), "the link works: {status:?}");
}

#[test]
fn the_status_has_the_members_of_the_contract_in_their_order() {
    let (host, _directory) = host();
    let id = host.start_new("hello_sequence", json!(["x"])).unwrap();
    host.wait(&id).unwrap();
    let answer = host.manage("GET", &format!("instances/{id}"), None).unwrap();
    assert_eq!(answer.status, 200);
    let order: Vec<usize> =
        ["name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime"]
            .iter()
            .map(|member| answer.body.find(&format!("\"{member}\":")).unwrap_or_else(|| panic!("{member}: {answer:?}")))
            .collect();
    assert!(order.is_sorted(), "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["input"], &body["output"], &body["customStatus"]), (&json!(["x"]), &json!(["Hello, x!"]), &Value::Null));
    let created = body["createdTime"].as_str().unwrap();
    assert!(created.len() == 20 && created.ends_with('Z'), "whole seconds: {created}");
    let hidden = host.manage("GET", &format!("instances/{id}?SHOWINPUT=False"), None).unwrap().json();
    assert_eq!(hidden["input"], Value::Null);
}

#[test]
fn a_running_instance_is_202_with_a_location_and_a_missing_one_404_and_empty() {
    let (host, _directory) = host();
    let id = host.start_new("approval", Value::Null).unwrap();
    host.wait_until(&id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
    let answer = host.manage("GET", &format!("INSTANCES/{id}/"), None).unwrap();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert!(answer.header("location").is_some_and(|location| location.contains(&id)), "{answer:?}");
    let missing = host.manage("GET", "instances/nobody", None).unwrap();
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
    let raised = host.manage("POST", "instances/nobody/raiseEvent/x", Some(&json!(1))).unwrap();
    assert_eq!(raised.status, 404);
}

#[test]
fn the_history_merges_scheduled_and_completed() {
    let (host, _directory) = host();
    let id = host.start_new("hello_sequence", json!(["Tokyo"])).unwrap();
    host.wait(&id).unwrap();
    let path = format!("instances/{id}?showHistory=true&showHistoryOutput=true");
    let status = host.manage("GET", &path, None).unwrap().json();
    let history = status["historyEvents"].as_array().unwrap();
    let types: Vec<&str> = history.iter().map(|event| event["EventType"].as_str().unwrap()).collect();
    assert_eq!(types, ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]);
    assert_eq!(history[0]["FunctionName"], "hello_sequence");
    let task = &history[1];
    assert_eq!((&task["FunctionName"], &task["Result"]), (&json!("say_hello"), &json!("Hello, Tokyo!")));
    assert!(task["ScheduledTime"].as_str().unwrap() <= task["Timestamp"].as_str().unwrap());
    assert_eq!((&history[2]["OrchestrationStatus"], &history[2]["Result"]), (&json!("Completed"), &json!(["Hello, Tokyo!"])));
    assert_eq!(status["history"], status["historyEvents"]);
    let without = host.manage("GET", &format!("instances/{id}?showHistory=true"), None).unwrap().json();
    assert_eq!(without["historyEvents"][1].get("Result"), None);
}

#[test]
fn events_and_termination() {
    let (host, _directory) = host();
    let id = host.start_new("approval", Value::Null).unwrap();
    let answer = host.manage("POST", &format!("instances/{id}/terminate?reason=no%20need+any%20more"), None).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let status = host.wait(&id).unwrap();
    assert_eq!((&status["runtimeStatus"], &status["output"]), (&json!("Terminated"), &json!("no need any more")));
    for path in ["terminate?reason=x", "suspend", "resume", "raiseEvent/Approval"] {
        let answer = host.manage("POST", &format!("instances/{id}/{path}"), Some(&json!(1))).unwrap();
        assert_eq!(answer.status, 410, "{path}: {answer:?}");
    }
}

#[test]
fn suspending_holds_every_message_until_resume() {
    let (host, _directory) = host();
    let id = host.start_new("approval", Value::Null).unwrap();
    host.wait_until(&id, "waiting", |status| status["customStatus"].is_string()).unwrap();
    let act = |path: &str| host.manage("POST", &format!("instances/{id}/{path}?reason=r"), None).unwrap().status;
    assert_eq!((act("suspend"), act("suspend")), (202, 500));
    assert_eq!(host.status(&id).unwrap()["runtimeStatus"], "Suspended");
    host.raise_event(&id, "Approval", json!({ "approved": true })).unwrap();
    assert_eq!(host.status(&id).unwrap()["runtimeStatus"], "Suspended");
    assert_eq!((act("resume"), host.wait(&id).unwrap()["output"]["decision"].clone()), (202, json!("approved")));
}

#[test]
fn a_synchronous_start_answers_with_the_output_or_202() {
    let (host, _directory) = host();
    let run = |path: &str, input: Value| host.manage("POST", path, Some(&input)).unwrap();
    let done = run("orchestrators/hello_sequence?timeout=30&pollingInterval=0.5", json!(["x"]));
    assert_eq!((done.status, done.json()), (200, json!(["Hello, x!"])));
    let pending = run("orchestrators/approval?timeout=0.1&pollingInterval=0.1", Value::Null);
    assert_eq!(pending.status, 202);
    assert!(pending.json()["statusQueryGetUri"].is_string());
    let wrong = run("orchestrators/hello_sequence?timeout=1&pollingInterval=2", Value::Null);
    assert_eq!(wrong.status, 400, "{wrong:?}");
}

#[test]
fn an_id_in_use_is_refused_while_it_lives_and_replaced_when_it_has_ended() {
    let (host, _directory) = host();
    let start = |name: &str| host.manage("POST", &format!("orchestrators/{name}/single"), Some(&json!(null))).unwrap();
    assert_eq!(start("approval").status, 202);
    let conflict = start("approval");
    assert_eq!(conflict.status, 409);
    assert!(conflict.json()["Message"].is_string(), "{conflict:?}");
    host.manage("POST", "instances/single/terminate?reason=x", None).unwrap();
    host.wait("single").unwrap();
    assert_eq!(start("hello_sequence").status, 202);
    let status = host.wait("single").unwrap();
    assert_eq!((&status["name"], &status["runtimeStatus"]), (&json!("hello_sequence"), &json!("Completed")));
    assert_eq!(host.history("single").unwrap()[0]["FunctionName"], "hello_sequence", "nothing of the old one is left");
}

#[test]
fn starting_twice_at_the_same_time_starts_one() {
    let (host, _directory) = host();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| host.manage("POST", "orchestrators/approval/one", Some(&json!(null))).unwrap().status))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 409).count(), 7, "{statuses:?}");
}

#[test]
fn listing_filters_and_pages() {
    let (host, _directory) = host();
    for number in 0..7 {
        host.manage("POST", &format!("orchestrators/hello_sequence/page-{number}"), Some(&json!(null))).unwrap();
        host.wait(&format!("page-{number}")).unwrap();
    }
    host.manage("POST", "orchestrators/approval/other", Some(&json!(null))).unwrap();
    let list = |query: &str| host.manage("GET", &format!("instances?{query}"), None).unwrap();
    assert_eq!(list("").json().as_array().unwrap().len(), 8);
    assert_eq!(list("instanceIdPrefix=page-").json().as_array().unwrap().len(), 7);
    assert_eq!(list("runtimeStatus=Running,Pending").json().as_array().unwrap().len(), 1);
    assert_eq!(list("createdTimeFrom=2100-01-01T00:00:00Z").json(), json!([]));
    let first = list("top=3&instanceIdPrefix=page-");
    let token = first.header("x-ms-continuation-token").expect("there is more").to_owned();
    let mut ids: Vec<Value> = first.json().as_array().unwrap().iter().map(|status| status["instanceId"].clone()).collect();
    let rest = ureq::get(format!("{}/runtime/webhooks/durabletask/instances?instanceIdPrefix=page-", host.url()))
        .header("x-ms-continuation-token", token)
        .call()
        .unwrap();
    assert!(rest.headers().get("x-ms-continuation-token").is_none_or(|token| token.is_empty()));
    let rest: Value = serde_json::from_str(&rest.into_body().read_to_string().unwrap()).unwrap();
    ids.extend(rest.as_array().unwrap().iter().map(|status| status["instanceId"].clone()));
    assert_eq!(ids, (0..7).map(|number| json!(format!("page-{number}"))).collect::<Vec<_>>());
}

#[test]
fn the_clients_other_base_addresses_serve_the_same() {
    let (host, _directory) = host();
    for base in ["/admin/extensions/DurableTaskExtension", "/durabletask"] {
        let answer = host.request("POST", &format!("{base}/orchestrators/hello_sequence"), Some(b"null")).unwrap();
        assert_eq!(answer.status, 202, "{base}: {answer:?}");
        let status = host.wait(answer.json()["id"].as_str().unwrap()).unwrap();
        assert!(is_finished(&status));
    }
}
