//! Operations on many instances: which are selected, and what is done to them.

use dacapo_tests::host::{Answer, Host};
use serde_json::json;

/// Versions 1.0 and 2.0 of the probe, each with three instances that wait for an event, and an instance of another function.
fn host() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    for (number, label) in [(1, "1.0"), (2, "2.0")] {
        let module = [&probe[..], &[0, 3, 2, b'v', number]].concat();
        assert_eq!(host.request("POST", &format!("/admin/apps/probe?label={label}"), Some(&module)).unwrap().status, 200);
    }
    for (id, version) in [("a1", "1.0"), ("a2", "1.0"), ("a3", "1.0"), ("b1", "2.0"), ("b2", "2.0"), ("b3", "2.0")] {
        let answer =
            host.manage("POST", &format!("orchestrators/wait_event/{id}?version={version}"), Some(&json!("go"))).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let timer = json!({ "name": "go", "timeout_ms": 3_600_000 });
    assert_eq!(host.manage("POST", "orchestrators/wait_event_timeout/c1", Some(&timer)).unwrap().status, 202);
    for id in ["a1", "a2", "a3", "b1", "b2", "b3", "c1"] {
        host.wait_until(id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
    }
    (host, directory)
}

fn ids(host: &Host, query: &str) -> Vec<String> {
    let list = host.manage("GET", &format!("instances?{query}"), None).unwrap().json();
    list.as_array().unwrap().iter().map(|status| status["instanceId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_status_and_a_list_name_the_version_and_lists_are_filtered_by_it() {
    let (host, _directory) = host();
    let versions = host.request("GET", "/admin/apps/probe", None).unwrap().json();
    let digest = versions["versions"][0]["version"].as_str().unwrap().to_owned();
    let status = host.status("a1").unwrap();
    assert_eq!((&status["version"], &status["versionLabel"]), (&json!(digest), &json!("1.0")), "{status}");
    assert_eq!(ids(&host, "version=1.0"), ["a1", "a2", "a3"]);
    assert_eq!(ids(&host, &format!("version={}", &digest[..6])), ["a1", "a2", "a3"]);
    assert_eq!(ids(&host, "version=2.0&functionName=WAIT_EVENT"), ["b1", "b2", "b3"]);
    assert_eq!(ids(&host, "functionName=wait_event_timeout"), ["c1"]);
    assert_eq!(ids(&host, "version=2.0&top=2").len(), 2);
    assert!(ids(&host, "version=3.0").is_empty() && ids(&host, "functionName=nothing").is_empty());
    let list = host.manage("GET", "instances?functionName=wait_event_timeout", None).unwrap().json();
    assert_eq!(list[0]["versionLabel"], "2.0");
}

fn act(host: &Host, act: &str, query: &str) -> Answer {
    host.manage("POST", &format!("instances/{act}?{query}"), None).unwrap()
}

#[track_caller]
fn done(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((&answer.json()["refused"], &answer.json()["refusals"]), (&json!(0), &json!([])));
    answer.json()["done"].as_u64().unwrap()
}

#[test]
fn all_that_match_are_told_something() {
    let (host, _directory) = host();
    let with = |status: &str| ids(&host, &format!("runtimeStatus={status}"));
    assert_eq!(done(&act(&host, "suspend", "version=1.0&reason=lunch")), 3);
    assert_eq!(with("Suspended"), ["a1", "a2", "a3"]);
    assert_eq!(done(&act(&host, "suspend", "functionName=wait_event")), 3, "the others are suspended already");
    assert_eq!(done(&act(&host, "resume", "instanceIdPrefix=b")), 3);
    assert_eq!(with("Suspended"), ["a1", "a2", "a3"]);
    assert_eq!(done(&act(&host, "terminate", "runtimeStatus=Running&functionName=wait_event&reason=enough")), 3);
    assert_eq!(host.wait("b2").unwrap()["output"], "enough");
    assert_eq!(done(&act(&host, "terminate", "runtimeStatus=Completed")), 0, "an ended instance cannot be terminated");
    assert_eq!(done(&act(&host, "terminate", "createdTimeFrom=0001-01-01T00:00:00Z")), 4, "all that are left");
    // Without a filter, the operation does not apply to all instances.
    for verb in ["suspend", "resume", "terminate", "rewind"] {
        let refused = act(&host, verb, "reason=x");
        assert!(refused.status == 400 && refused.body.contains("which instances?"), "{refused:?}");
    }
}

/// `terminate --function-name ""`, as in a script with an unset variable, once ended every instance of the hub.
#[test]
fn a_filter_without_a_value_does_not_mean_everything() {
    let (host, _directory) = host();
    let running = ids(&host, "runtimeStatus=Running");
    let filters = ["functionName=", "instanceIdPrefix=", "version=%20", "runtimeStatus=,", "functionName=wait_event&version="];
    for (verb, query) in
        ["suspend", "resume", "terminate", "rewind"].into_iter().flat_map(|verb| filters.map(|filter| (verb, filter)))
    {
        let refused = act(&host, verb, query);
        assert!(refused.status == 400 && refused.body.contains("needs a value"), "{verb} {query}: {refused:?}");
    }
    for query in filters {
        let query = format!("instances?createdTimeFrom=2000-01-01&{query}");
        let refused = host.manage("DELETE", &query, None).unwrap();
        assert!(refused.status == 400 && refused.body.contains("needs a value"), "{query}: {refused:?}");
    }
    assert_eq!(ids(&host, "runtimeStatus=Running&functionName="), running, "a list ignores it, as Durable Functions does");
}

#[test]
fn an_id_whose_instance_has_ended_is_used_again_or_refused() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let start = |query: &str, input: u64| {
        host.manage("POST", &format!("orchestrators/chain/one?timeout=30{query}"), Some(&json!(input))).unwrap()
    };
    assert_eq!(start("&ifEnded=refuse", 1).status, 200, "there is none yet");
    let refused = start("&ifEnded=refuse", 2);
    assert!(refused.status == 409 && refused.body.contains("already exists and is Completed"), "{refused:?}");
    assert_eq!(host.status("one").unwrap()["input"], 1);
    assert_eq!(start("", 3).status, 200);
    assert_eq!(host.status("one").unwrap()["input"], 3);
    assert_eq!(start("&ifEnded=replace", 4).status, 200);
    assert_eq!(start("&ifEnded=keep", 5).status, 400);
}
