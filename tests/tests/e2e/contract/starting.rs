//! Starting instances: status codes, bodies, headers, and what the client libraries send.

use serde_json::{Value, json};

use super::{Contract, is_json, leads_on, refuses};

#[test]
fn inputs_are_kept_as_they_are_sent() {
    let contract = Contract::open(&[]);
    for (content_type, body, input) in [
        // The Python library wraps JSON in a JSON string, or sends no body at all.
        ("application/json", r#""{\"a\": 1}""#, json!(r#"{"a": 1}"#)),
        ("application/octet-stream", "", Value::Null),
        // The JavaScript library sends two quotes for no input.
        ("application/json", r#""""#, json!("")),
        ("application/json", "", Value::Null),
        ("application/json; charset=utf-8", " [1, \"ä\"] ", json!([1, "ä"])),
        ("application/json", "false", json!(false)),
        ("application/json", "0", json!(0)),
    ] {
        let id = leads_on(&contract.send(
            "POST",
            "orchestrators/echo_orchestrator",
            &[("content-type", content_type)],
            body.as_bytes(),
        ));
        let status = contract.host.wait(&id).unwrap();
        assert_eq!((&status["input"], &status["output"]), (&input, &input), "{body}");
    }
}

#[test]
fn ids_may_be_awkward() {
    let contract = Contract::open(&[]);
    for (path, id) in [("a:b+c&d;e=f", "a:b+c&d;e=f"), ("p%41q", "pAq"), ("%C3%A4%20%E2%82%AC", "ä €"), ("100%25", "100%")] {
        let started = leads_on(&contract.post(&format!("orchestrators/echo_orchestrator/{path}"), "1"));
        assert_eq!(started, id);
        contract.host.wait_until(path, "finished", |status| status["runtimeStatus"] == "Completed").unwrap();
        assert_eq!(contract.get(&format!("instances/{path}")).json()["instanceId"], id);
    }
    for (path, why) in [("a%2Fb", "'/'"), ("a%5Cb", "'\\\\'"), ("%40x%40y", "'@'"), ("a%0Ab", "'\\n'"), (&"x".repeat(257), "257")]
    {
        let answer = contract.post(&format!("orchestrators/echo_orchestrator/{path}"), "1");
        refuses(&answer, 400, why);
        refuses(&answer, 400, "'instanceId'");
    }
}

#[test]
fn an_unknown_function_is_400_with_the_known_ones() {
    let contract = Contract::open(&[]);
    let answer = contract.post("orchestrators/nobody", "1");
    refuses(
        &answer,
        400,
        "The function 'nobody' doesn't exist, is disabled, or is not an orchestrator function. Additional info: ",
    );
    refuses(&answer, 400, "'echo_orchestrator'");
    leads_on(&contract.post("ORCHESTRATORS/Echo_Orchestrator", "1"));
}

#[test]
fn versions_of_all_spellings_are_read() {
    let contract = Contract::open(&[]);
    for version in ["2.0%20beta", "2.0+beta"] {
        leads_on(&contract.post(&format!("orchestrators/echo_orchestrator?version={version}&connection="), "1"));
    }
    let answer = contract.post("orchestrators/echo_orchestrator?connection=My%20Storage&taskHub=TESTHUBNAME&code=key", "1");
    assert!(answer.json()["statusQueryGetUri"].as_str().unwrap().ends_with("?taskHub=TestHubName&connection=My%20Storage"));
}

#[test]
fn a_start_can_wait_for_the_end() {
    let contract = Contract::open(&[]);
    let start = |path: &str, input: &str| contract.post(&format!("orchestrators/{path}"), input);
    is_json(&start("echo_orchestrator?timeout=30&pollingInterval=1", "[7]"), 200, json!([7]));
    is_json(&start("log_lines?timeout=30", "null"), 200, Value::Null);
    leads_on(&start("wait_event?timeout=0.1&pollingInterval=0.1", "\"go\""));
    let failed = start("return_error?timeout=30", "null");
    assert_eq!((failed.status, &failed.json()["runtimeStatus"]), (200, &json!("Failed")));
    let failed = start("return_error?timeout=30&returnInternalServerErrorOnFailure=True", "null");
    assert_eq!((failed.status, &failed.json()["runtimeStatus"]), (500, &json!("Failed")));
    refuses(&start("echo_orchestrator?timeout=1&pollingInterval=2", "1"), 400, "'pollingInterval'");
}

#[test]
fn the_links_ask_for_500_if_the_start_did() {
    let contract = Contract::open(&[]);
    let answer = contract.post("orchestrators/return_error?returnInternalServerErrorOnFailure=true", "null");
    let link = answer.json()["statusQueryGetUri"].as_str().unwrap().to_owned();
    assert!(link.ends_with("&returnInternalServerErrorOnFailure=true"), "{link}");
    contract.host.wait(&leads_on(&answer)).unwrap();
    assert_eq!(dacapo_tests::host::request("GET", &link, None).unwrap().status, 500);
}

#[test]
fn links_of_every_base_are_those_of_the_public_one() {
    let contract = Contract::open(&[]);
    for base in ["/durabletask", "/admin/extensions/DurableTaskExtension", "/api"] {
        let answer = contract.host.request("POST", &format!("{base}/orchestrators/echo_orchestrator/i"), Some(b"1")).unwrap();
        leads_on(&answer);
        let public = format!("{}/runtime/webhooks/durabletask/instances/i?taskHub=", contract.host.url());
        assert!(answer.json()["statusQueryGetUri"].as_str().unwrap().starts_with(&public), "{base}: {answer:?}");
        contract.host.wait("i").unwrap();
    }
}

#[test]
fn a_scheduled_start_is_pending_until_its_time() {
    let contract = Contract::open(&[]);
    let later = contract.instance("Pending");
    let status = contract.get(&format!("instances/{later}?showHistory=true"));
    assert_eq!((status.status, &status.json()["runtimeStatus"]), (202, &json!("Pending")));
    assert_eq!(status.json().get("history"), None);
    let id = leads_on(&contract.post("orchestrators/echo_orchestrator?startAt=2020-01-01T00:00:00Z", "1"));
    assert_eq!(contract.host.wait(&id).unwrap()["output"], 1);
}

#[test]
fn the_starters_have_two_addresses() {
    let contract = Contract::open(&[]);
    let post = |path: &str, body: &str| contract.host.request("POST", path, Some(body.as_bytes())).unwrap();
    for base in ["/api", ""] {
        let id = leads_on(&post(&format!("{base}/orchestrators/echo_orchestrator"), "[1]"));
        assert_eq!(contract.host.wait(&id).unwrap()["output"], json!([1]));
        let chosen = format!("chosen-by{}", base.replace('/', "-"));
        assert_eq!(leads_on(&post(&format!("{base}/orchestrators/echo_orchestrator/{chosen}"), "1")), chosen);
        let waited = post(&format!("{base}/orchestrators/echo_orchestrator/wait?timeout=30&retryInterval=0.5"), "\"x\"");
        is_json(&waited, 200, json!("x"));
        leads_on(&post(&format!("{base}/orchestrators/wait_event/wait?timeout=0.1&retryInterval=0.05"), "\"go\""));
        refuses(&post(&format!("{base}/orchestrators/nobody"), ""), 400, "'nobody'");
        refuses(&post(&format!("{base}/orchestrators/chain/wait?timeout=1&retryInterval=2"), "1"), 400, "'retryInterval'");
        assert_eq!(contract.host.request("GET", &format!("{base}/orchestrators/chain"), None).unwrap().status, 404);
    }
}

#[test]
fn links_name_the_origin_of_the_request_or_that_of_a_trusted_proxy() {
    let forwarded = [("x-forwarded-host", "hub.example"), ("x-forwarded-proto", "https")];
    let link = |contract: &Contract| {
        let answer = contract.send("POST", "orchestrators/echo_orchestrator", &forwarded, b"1");
        answer.json()["statusQueryGetUri"].as_str().unwrap().to_owned()
    };
    let direct = Contract::open(&[]);
    assert!(link(&direct).starts_with(direct.host.url()));
    let behind_a_proxy = Contract::open(&["--set=http.use_forwarded_host=true"]);
    assert!(link(&behind_a_proxy).starts_with("https://hub.example/runtime/webhooks/durabletask/instances/"));
}
