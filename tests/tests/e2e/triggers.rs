//! Triggers of apps: HTTP requests, queues, and operators reach them, and they reach their hub.

use dacapo_tests::host::{Answer, Host, request, request_with};
use dacapo_tests::trigger_guest;
use dacapo_tests::wire::Wire;
use serde_json::{Value, json};

const ANONYMOUS: &str = r#"[{"type":"httpTrigger","methods":["get","post"],"authLevel":"anonymous"}]"#;

fn deploy(host: &Host, app: &str, triggers: &[(&str, &str)]) -> Answer {
    // The names of functions are unique in a task hub.
    let orchestrator = if app == "app" { "echo" } else { app };
    send(host, "POST", &format!("/admin/apps/{app}"), &trigger_guest::module(orchestrator, triggers))
}

/// Sends a request as the administrator, if the host asks for keys.
fn send(host: &Host, method: &str, path: &str, body: &[u8]) -> Answer {
    match host.administrator_key() {
        Some(key) => host.request_as(key, method, path, Some(body)).unwrap(),
        None => host.request(method, path, Some(body)).unwrap(),
    }
}

fn put(host: &Host, texts: &[&str]) -> Answer {
    let put = send(host, "POST", "/runtime/webhooks/queues/orders", json!(texts).to_string().as_bytes());
    assert_eq!(put.status, 202, "{put:?}");
    put
}

fn host(triggers: &[(&str, &str)]) -> (Host, tempfile::TempDir) {
    deployed(Host::temporary(&[]).unwrap(), triggers)
}

/// A host that asks for keys.
fn locked(triggers: &[(&str, &str)]) -> (Host, tempfile::TempDir) {
    deployed(Host::temporary_locked(&[]).unwrap(), triggers)
}

fn deployed((host, directory): (Host, tempfile::TempDir), triggers: &[(&str, &str)]) -> (Host, tempfile::TempDir) {
    let deployed = deploy(&host, "app", triggers);
    assert_eq!(deployed.status, 200, "{deployed:?}");
    (host, directory)
}

fn http(route: &str, methods: &[&str], level: &str) -> String {
    json!([{ "type": "httpTrigger", "route": route, "methods": methods, "authLevel": level }]).to_string()
}

/// The request as the trigger saw it: the input of the orchestration that it has started.
fn seen(host: &Host, answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{answer:?}");
    let path = format!("/runtime/webhooks/durabletask/instances/{}?wait=60", answer.body);
    send(host, "GET", &path, b"").json()["input"].clone()
}

/// The inputs of all instances of `echo`.
fn echoed(host: &Host) -> Vec<Value> {
    let list = host.manage("GET", "instances?functionName=echo", None).unwrap().json();
    list.as_array().unwrap().iter().map(|status| status["input"].clone()).collect()
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed().as_secs() < 60, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_http_trigger_is_given_the_request_without_the_hosts_keys() {
    let route = http("start/{id:int}/{rest?}", &["post"], "function");
    let (host, _directory) = locked(&[("start", &route)]);
    let key = host.administrator_key().unwrap().to_owned();
    let answer = host.request("POST", &format!("/API/Start/7?x=1&x=2&code={key}"), Some("h\u{e9}".as_bytes())).unwrap();
    let seen = seen(&host, &answer);
    assert_eq!((&seen["method"], &seen["params"], &seen["body"]), (&json!("POST"), &json!({ "id": "7" }), &json!("h\u{e9}")));
    assert_eq!(seen["query"], json!([["x", "1"], ["x", "2"]]));
    assert_eq!(seen["url"], format!("{}/API/Start/7?x=1&x=2", host.url()));
    assert!(!seen.to_string().contains(&key), "{seen}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox"), "{answer:?}");
    assert_eq!(send(&host, "POST", "/api/start/seven", b"").status, 404);
    assert_eq!(send(&host, "GET", "/api/start/7", b"").status, 404);
    let binary = send(&host, "POST", "/api/start/7/x", &[0xff, 0]);
    assert_eq!(self::seen(&host, &binary)["bodyBase64"], "/wA=");
}

#[test]
fn a_trigger_asks_for_the_key_that_its_level_names() {
    let levels = ["anonymous", "function", "admin"].map(|level| (level, http(level, &[], level)));
    let triggers: Vec<(&str, &str)> = levels.iter().map(|(name, bindings)| (*name, bindings.as_str())).collect();
    let (host, _directory) = locked(&triggers);
    let key = |role: &str| {
        let body = json!({ "name": role, "role": role }).to_string();
        let made = send(&host, "POST", "/admin/hubs/TestHubName/keys", body.as_bytes());
        made.json()["key"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned()
    };
    let (reader, operator, administrator) = (key("read"), key("operate"), key("administer"));
    let status = |key: Option<&str>, route: &str| match key {
        Some(key) => host.request_as(key, "GET", &format!("/api/{route}"), None).unwrap().status,
        None => request("GET", &format!("{}/api/{route}", host.url()), None).unwrap().status,
    };
    let all = |key: Option<&str>| ["anonymous", "function", "admin"].map(|route| status(key, route));
    assert_eq!(all(None), [202, 401, 401]);
    assert_eq!(all(Some(&reader)), [202, 403, 403]);
    assert_eq!(all(Some(&operator)), [202, 202, 403]);
    assert_eq!(all(Some(&administrator)), [202, 202, 202]);
    assert_eq!(all(Some("dcp_unknown")), [202, 401, 401]);
}

#[test]
fn two_functions_cannot_claim_one_route_and_none_the_hosts_own() {
    let (host, _directory) = host(&[("one", &http("items/{id}", &["get"], "anonymous"))]);
    let taken = deploy(&host, "other", &[("two", &http("Items/{number}", &[], "anonymous"))]);
    assert_eq!(taken.status, 409, "{taken:?}");
    assert!(taken.body.contains("'two'") && taken.body.contains("'one'") && taken.body.contains("'app'"), "{}", taken.body);
    for (bindings, says) in [
        (http("a/{b", &[], "anonymous"), "a/{b"),
        (r#"[{"type":"blobTrigger"}]"#.to_owned(), "blobTrigger"),
        ("[]".to_owned(), "no trigger"),
    ] {
        let refused = deploy(&host, "wrong", &[("bad", &bindings)]);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body.contains(says) && refused.body.contains("'bad'"), "{}", refused.body);
    }
    let module =
        trigger_guest::module("root_echo", &[("root", &http("runtime/webhooks/durabletask/instances", &[], "anonymous"))]);
    let manifest = br#"{"http":{"routePrefix":""}}"#;
    let module = dacapo_wasm::Manifest::attach(manifest, &module).unwrap();
    let refused = host.request("POST", "/admin/apps/root", Some(&module)).unwrap();
    assert!(refused.status == 400 && refused.body.contains("host's own"), "{refused:?}");
    let module = trigger_guest::module("all_echo", &[("all", &http("{*path}", &[], "anonymous"))]);
    let module = dacapo_wasm::Manifest::attach(manifest, &module).unwrap();
    assert_eq!(host.request("POST", "/admin/apps/all", Some(&module)).unwrap().status, 200);
    assert_eq!(request("GET", &format!("{}/any/where", host.url()), None).unwrap().status, 202);
    for own in ["/healthz", "/runtime/webhooks/durabletask/instances", "/runtime/else", "/admin/apps"] {
        assert_ne!(request("GET", &format!("{}{own}", host.url()), None).unwrap().status, 202, "{own}");
    }
}

/// Most apps have an HTTP starter at this route, which the host serves for apps that have none.
#[test]
fn the_hosts_starter_stands_in_for_an_apps_own() {
    let (host, _directory) = host(&[("other", ANONYMOUS)]);
    let by_host = host.request("POST", "/api/orchestrators/echo", Some(b"5")).unwrap();
    assert!(by_host.status == 202 && by_host.json()["statusQueryGetUri"].is_string(), "{by_host:?}");
    let starter = http("orchestrators/{functionName}", &["post"], "anonymous");
    assert_eq!(deploy(&host, "app", &[("starter", &starter)]).status, 200);
    let by_app = request("POST", &format!("{}/api/orchestrators/echo", host.url()), Some(b"5")).unwrap();
    assert_eq!(seen(&host, &by_app)["params"]["functionName"], "echo");
    let with_id = host.request("POST", "/api/orchestrators/echo/my-id", Some(b"5")).unwrap();
    assert_eq!(with_id.json()["id"], "my-id");
}

#[test]
fn a_hub_serves_its_own_routes_only() {
    let (host, _directory) = host(&[("mine", ANONYMOUS)]);
    let made = host.request("POST", "/admin/hubs", Some(json!({ "name": "other" }).to_string().as_bytes())).unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let url = |path: &str| format!("{}{path}", host.url());
    assert_eq!(request("GET", &url("/api/mine"), None).unwrap().status, 202);
    assert_eq!(request("GET", &url("/api/mine?taskHub=TESTHUBNAME"), None).unwrap().status, 202);
    assert_eq!(request("GET", &url("/api/mine?taskHub=other"), None).unwrap().status, 404);
    assert_eq!(request("GET", &url("/api/mine?taskHub=none"), None).unwrap().status, 404);
}

#[test]
fn what_is_allowed_is_told_and_pages_of_listed_origins_may_ask() {
    let arguments = ["--set", "http.cors_origins=[\"https://shop.example\"]"];
    let (host, _directory) = Host::temporary(&arguments).unwrap();
    assert_eq!(deploy(&host, "app", &[("page", &http("page", &["get"], "anonymous"))]).status, 200);
    let url = format!("{}/api/page", host.url());
    let options = request("OPTIONS", &url, None).unwrap();
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    assert_eq!(request("HEAD", &url, None).unwrap().status, 202);
    let from = |origin: &str| {
        let authority = host.url().trim_start_matches("http://").to_owned();
        let text = format!("GET /api/page HTTP/1.1\r\nhost: {authority}\r\norigin: {origin}\r\nconnection: close\r\n\r\n");
        let mut wire = Wire::open(host.url()).unwrap();
        wire.send(text).unwrap();
        wire.read_to_end().unwrap()
    };
    let allowed = from("https://shop.example").to_ascii_lowercase();
    assert!(allowed.contains(" 202 ") && allowed.contains("access-control-allow-origin: https://shop.example"), "{allowed}");
    assert!(from("https://evil.example").contains(" 403 "), "a page that is not listed");
}

#[test]
fn what_the_client_may_do_is_a_grant() {
    let (host, _directory) = locked(&[("start", ANONYMOUS)]);
    let grant = |client: &str| {
        let body = json!({ "grants": { "client": client } }).to_string();
        assert_eq!(send(&host, "PATCH", "/admin/hubs/TestHubName", body.as_bytes()).status, 200);
    };
    for refused in ["none", "read"] {
        grant(refused);
        let answer = host.request("GET", "/api/start", None).unwrap();
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(!answer.body.contains("client="), "what a failure says is for the log: {}", answer.body);
        let says = format!("it needs the grant client=operate, and has {refused}");
        eventually(&says, || host.log().contains(&says));
    }
    grant("operate");
    assert_eq!(host.request("GET", "/api/start", None).unwrap().status, 202);
}

const QUEUE: &str = r#"[{"type":"queueTrigger","name":"item","queueName":"Orders"}]"#;

#[test]
fn a_message_runs_the_trigger_of_its_queue() {
    let (host, _directory) = host(&[("take", QUEUE)]);
    let id = put(&host, &["first"]).json()["messages"][0].clone();
    eventually("the message is processed", || !echoed(&host).is_empty());
    let seen = echoed(&host).remove(0);
    assert_eq!((&seen["message"], &seen["metadata"]["id"], &seen["metadata"]["dequeueCount"]), (&json!("first"), &id, &json!(1)));
    eventually("it leaves nothing behind", || {
        host.manage("GET", "instances?functionName=BuiltIn::Message", None).unwrap().json() == json!([])
    });
    let listed = host.request("GET", "/runtime/webhooks/queues", None).unwrap().json();
    let expected =
        json!([{ "name": "orders", "messages": 0, "processing": 0, "poison": 0, "oldestTime": null, "trigger": "take" }]);
    assert_eq!(listed, expected);
}

#[test]
fn a_message_waits_for_a_trigger() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    put(&host, &["one", "two"]);
    let queue = |path: &str| host.request("GET", &format!("/runtime/webhooks/queues{path}"), None).unwrap().json();
    eventually("both wait", || queue("")[0]["messages"] == 2);
    assert_eq!(texts(&host, "ORDERS"), ["one", "two"]);
    assert_eq!(deploy(&host, "app", &[("take", QUEUE)]).status, 200);
    eventually("both are processed", || echoed(&host).len() == 2);
    let empty = host.request("DELETE", "/runtime/webhooks/queues/orders", None).unwrap();
    assert_eq!(empty.status, 200, "{empty:?}");
}

/// The attempts are 1, 2, 4 and 8 seconds apart.
#[test]
fn a_message_that_fails_too_often_goes_to_the_poison_queue() {
    let (mut host, _directory) = host(&[("fail", QUEUE)]);
    put(&host, &["bad"]);
    eventually("it was tried", || !echoed(&host).is_empty());
    host.kill().unwrap();
    host.restart().unwrap();
    let poison = |host: &Host| host.request("GET", "/runtime/webhooks/queues/orders-poison", None).unwrap().json();
    eventually("it is given up", || poison(&host) != json!([]));
    let message = poison(&host)[0].clone();
    assert_eq!((&message["text"], &message["reason"]), (&json!("bad"), &json!("OnPurpose: it fails on purpose")));
    // A call that is repeated has the same id, so what it starts is started once, however often it is tried.
    assert_eq!(echoed(&host).len(), 1);
    assert_eq!(deploy(&host, "app", &[("take", QUEUE)]).status, 200);
    // The name of the poison queue will do, too.
    let moved = host.request("POST", "/runtime/webhooks/queues/Orders-Poison/redrive", None).unwrap();
    assert_eq!(moved.json()["messages"], 1);
    eventually("it is processed", || echoed(&host).len() == 2);
}

/// The entries of a ledger of the probe; none if it has none.
fn entries(host: &Host, key: &str) -> Vec<Value> {
    let ledger = host.manage("GET", &format!("entities/Ledger/{key}"), None).unwrap();
    if ledger.status == 404 { Vec::new() } else { ledger.json()["entries"].as_array().unwrap().clone() }
}

fn texts(host: &Host, queue: &str) -> Vec<String> {
    let messages = host.request("GET", &format!("/runtime/webhooks/queues/{queue}"), None).unwrap().json();
    messages.as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// The attempts are 1 and 2 seconds apart.
#[test]
fn what_a_repeated_call_sends_is_delivered_once() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let put = host.request("POST", "/runtime/webhooks/queues/probe-sends", Some(br#"["a"]"#)).unwrap();
    assert_eq!(put.status, 202, "{put:?}");
    eventually("it is processed at the third attempt", || {
        host.manage("GET", "instances?functionName=BuiltIn::Message&instanceIdPrefix=queue:probe-sends", None).unwrap().json()
            == json!([])
    });
    assert_eq!(entries(&host, "a"), [json!(1), json!("again")]);
    let mut kept = texts(&host, "probe-kept");
    kept.sort();
    assert_eq!(kept, ["a: 1", "second"]);
    // Another message is another call.
    assert_eq!(host.request("POST", "/runtime/webhooks/queues/probe-sends", Some(br#"["a"]"#)).unwrap().status, 202);
    eventually("it is processed too", || entries(&host, "a").len() == 4);
}

/// Starts by a repeated call were found again, but restarts were made anew each time.
#[test]
fn what_a_repeated_call_restarts_is_restarted_once() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let original = host.start_new("echo_orchestrator", json!(7)).unwrap();
    host.wait(&original).unwrap();
    let put = host.request("POST", "/runtime/webhooks/queues/probe-restarts", Some(json!([original]).to_string().as_bytes()));
    assert_eq!(put.unwrap().status, 202);
    eventually("the third attempt has succeeded", || {
        let queues = queues(&host);
        let own = queues.as_array().unwrap().iter().find(|queue| queue["name"] == "probe-restarts");
        host.log().contains("attempt=2") && own.is_some_and(|queue| queue["messages"] == 0)
    });
    let all = host.manage("GET", "instances?functionName=echo_orchestrator", None).unwrap().json();
    assert_eq!(all.as_array().unwrap().len(), 3, "{all}");
}

#[test]
fn messages_of_an_event_hub_are_taken_in_batches() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let events: Vec<u64> = (0..60).collect();
    let put = host.request("POST", "/runtime/webhooks/queues/probe-events", Some(json!(events).to_string().as_bytes())).unwrap();
    assert_eq!(put.status, 202, "{put:?}");
    let taken = || -> Vec<u64> {
        let calls = entries(&host, "batches");
        let mut taken: Vec<u64> =
            calls.iter().flat_map(|call| call.as_array().unwrap()).map(|event| event.as_u64().unwrap()).collect();
        taken.sort_unstable();
        taken
    };
    eventually("all are taken", || taken() == events);
    assert!(entries(&host, "batches").len() < events.len(), "some came together");
}

#[test]
fn an_app_says_how_its_messages_are_processed() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let manifest = br#"{"queues":{"batchSize":2,"maxDequeueCount":7,"visibilityTimeout":0}}"#;
    let deploy = |app: &str, trigger: &str| {
        let module = trigger_guest::module(app, &[(trigger, QUEUE)]);
        host.deploy("app", &dacapo_wasm::Manifest::attach(manifest, &module).unwrap()).unwrap();
    };
    deploy("first", "fail");
    put(&host, &["bad"]);
    eventually("it is given up at once", || texts(&host, "orders-poison") == ["bad"]);
    assert!(eventually_logged(&host, "attempt=7") && !host.log().contains("attempt=8"));
    deploy("echo", "take");
    let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    put(&host, &many.iter().map(String::as_str).collect::<Vec<_>>());
    eventually("all are processed, two at a time", || echoed(&host).len() == many.len());
}

fn eventually_logged(host: &Host, text: &str) -> bool {
    eventually(text, || host.log().contains(text));
    true
}

#[test]
fn messages_survive_a_kill() {
    let (mut host, _directory) = host(&[("take", QUEUE)]);
    let texts: Vec<String> = (0..200).map(|number| format!("message {number}")).collect();
    let mut acknowledged = 0;
    for batch in texts.chunks(20) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        acknowledged += put(&host, &batch).json()["messages"].as_array().unwrap().len();
        host.kill().unwrap();
        host.restart().unwrap();
    }
    assert_eq!(acknowledged, texts.len());
    let processed = || -> std::collections::BTreeSet<String> {
        echoed(&host).iter().filter_map(|seen| seen["message"].as_str().map(str::to_owned)).collect()
    };
    eventually("every message is processed", || processed().len() == texts.len());
}

/// Like starts, messages were limited by the instances of the hub only: a flood of them left no room for anything else.
#[test]
fn a_flood_of_a_queue_is_refused_and_starts_go_on() {
    let (mut host, _directory) = host(&[("call", r#"[{"type":"manualTrigger"}]"#)]);
    let limits = json!({ "limits": { "queue_messages": 5 } }).to_string();
    assert_eq!(send(&host, "PATCH", "/admin/hubs/TestHubName", limits.as_bytes()).status, 200);
    let put = |host: &Host, texts: Value| send(host, "POST", "/runtime/webhooks/queues/orders", texts.to_string().as_bytes());
    assert_eq!(put(&host, json!([1, 2, 3])).status, 202);
    let refused = put(&host, json!([4, 5, 6]));
    assert_eq!(refused.status, 429, "{refused:?}");
    for says in ["3 messages are in the queues", "queue_messages", "its administrator can raise it"] {
        assert!(refused.body.contains(says), "{}", refused.body);
    }
    eventually("none of a batch that is refused is put", || {
        let mut put = texts(&host, "orders");
        put.sort();
        put == ["1", "2", "3"]
    });
    assert_eq!(put(&host, json!([4, 5])).status, 202);
    assert_eq!(put(&host, json!(["6"])).status, 429);
    assert_eq!(send(&host, "POST", "/api/orchestrators/echo", b"7").status, 202);
    eventually("all are counted", || queues(&host)[0]["messages"] == 5);
    host.kill().unwrap();
    host.restart().unwrap();
    assert_eq!(put(&host, json!(["6"])).status, 429, "they are counted again after a crash");
    assert_eq!(send(&host, "DELETE", "/runtime/webhooks/queues/orders", b"").json(), json!({ "messages": 5 }));
    assert_eq!(put(&host, json!([6])).status, 202);
}

fn queues(host: &Host) -> Value {
    host.request("GET", "/runtime/webhooks/queues", None).unwrap().json()
}

#[test]
fn queues_show_what_waits_and_what_became_of_the_rest() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    let first = put(&host, &["one"]).json()["messages"][0].clone();
    put(&host, &["two"]);
    let later = send(&host, "POST", "/runtime/webhooks/queues/later?deliverAt=2999-01-01T00:00:00Z", b"7");
    assert_eq!(later.status, 202, "{later:?}");
    let shown = |host: &Host| {
        let list = queues(host);
        let list = list.as_array().unwrap();
        list.iter()
            .map(|queue| (queue["name"].clone(), queue["messages"].clone(), queue["oldestTime"].is_string()))
            .collect::<Vec<_>>()
    };
    let expected = [(json!("later"), json!(1), true), (json!("orders"), json!(2), true)];
    eventually("all wait", || shown(&host) == expected);
    host.stop().unwrap();
    host.restart().unwrap();
    assert_eq!(shown(&host), expected, "after a restart");
    host.kill().unwrap();
    host.restart().unwrap();
    assert_eq!(shown(&host), expected, "after a crash");
    let peeked = |queue: &str| host.request("GET", &format!("/runtime/webhooks/queues/{queue}"), None).unwrap().json();
    assert_eq!((&peeked("orders")[0]["id"], &peeked("orders")[0]["attempts"]), (&first, &json!(0)));
    assert_eq!(peeked("later")[0]["nextDeliveryTime"], "2999-01-01T00:00:00.000000Z");

    assert_eq!(deploy(&host, "app", &[("fail", QUEUE)]).status, 200);
    eventually("an attempt has failed", || {
        let message = &peeked("orders")[0];
        message["attempts"].as_u64() >= Some(1) && message["reason"] == "OnPurpose: it fails on purpose"
    });
    eventually("both are given up", || texts(&host, "orders-poison") == ["one", "two"]);
    let orders = queues(&host).as_array().unwrap().iter().find(|queue| queue["name"] == "orders").cloned().unwrap();
    assert_eq!((&orders["messages"], &orders["poison"], &orders["trigger"]), (&json!(0), &json!(2), &json!("fail")));
    let metrics = host.request("GET", "/metrics", None).unwrap().body;
    for line in [
        r#"dacapo_queue_poison{hub="TestHubName",queue="orders"} 2"#,
        r#"dacapo_queue_messages{hub="TestHubName",queue="later"} 1"#,
        r#"dacapo_queue_failed_attempts_total{hub="TestHubName",queue="orders"} 10"#,
        r#"dacapo_queue_poisoned_total{hub="TestHubName",queue="orders"} 2"#,
        r#"dacapo_queue_processing{hub="TestHubName",queue="orders"} 0"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let usage = host.request("GET", "/admin/hubs/TestHubName/usage", None).unwrap().json();
    assert!(
        usage["queues"].as_array().unwrap().iter().any(|queue| queue["name"] == "orders" && queue["poisoned"] == 2),
        "{usage}"
    );
}

#[test]
fn a_message_is_not_delivered_in_the_year_that_never_comes() {
    let (host, _directory) = host(&[("take", QUEUE)]);
    for never in ["infinity", "1e300", "12026-01-01T00:00:00Z"] {
        let refused = send(&host, "POST", &format!("/runtime/webhooks/queues/orders?deliverAt={never}"), b"7");
        assert!(refused.status == 400 && refused.body.contains("deliver"), "{never}: {refused:?}");
    }
}

/// Only deployments woke messages: those of a version that came back by a rollback waited for up to ten minutes.
#[test]
fn messages_are_woken_by_a_version_that_becomes_active_again() {
    let (host, _directory) = host(&[("take", QUEUE)]);
    assert_eq!(deploy(&host, "app", &[("other", r#"[{"type":"manualTrigger"}]"#)]).status, 200);
    put(&host, &["one", "two"]);
    eventually("both wait", || queues(&host)[0]["messages"] == 2);
    let back = send(&host, "POST", "/admin/apps/app/rollback", b"");
    assert_eq!(back.status, 200, "{back:?}");
    eventually("both are processed", || echoed(&host).len() == 2);
}

/// The model test found it: messages that were cleared before they began stayed in the store until another message ended.
#[test]
fn a_delayed_message_that_is_cleared_leaves_nothing() {
    let (host, _directory) = host(&[("take", QUEUE)]);
    let later = "/runtime/webhooks/queues/orders?deliverAt=2999-01-01T00:00:00Z";
    assert_eq!(send(&host, "POST", later, b"7").status, 202);
    assert_eq!(send(&host, "DELETE", "/runtime/webhooks/queues/orders", b"").json(), json!({ "messages": 1 }));
    eventually("it is gone", || host.manage("GET", "instances?functionName=BuiltIn::Message", None).unwrap().json() == json!([]));
}

/// The model test found it: a deployment wakes the messages that have waited for its trigger, by an event to each. If the host was
/// killed after it had acknowledged the deployment and before it had stored those, they were not looked at for ten minutes.
#[test]
fn messages_are_woken_although_the_host_was_killed_after_the_deployment() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    let texts: Vec<String> = (0..300).map(|number| format!("message {number}")).collect();
    put(&host, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    eventually("all wait", || {
        !host
            .manage("GET", "instances?functionName=BuiltIn::Message&runtimeStatus=Pending", None)
            .unwrap()
            .body
            .contains("queue:")
    });
    assert_eq!(deploy(&host, "app", &[("take", QUEUE)]).status, 200);
    host.kill().unwrap();
    host.restart().unwrap();
    eventually("every message is processed", || echoed(&host).len() == texts.len());
}

#[test]
fn an_operator_runs_a_trigger_by_name() {
    let manual = r#"[{"type":"manualTrigger","name":"input"}]"#;
    let (host, _directory) = host(&[("byHand", manual), ("page", ANONYMOUS)]);
    let run = |name: &str, body: &str| host.request("POST", &format!("/admin/functions/{name}"), Some(body.as_bytes())).unwrap();
    assert_eq!(run("BYHAND", r#"{"input":"now"}"#).status, 202);
    eventually("it has run", || echoed(&host) == [json!({ "input": "now" })]);
    assert_eq!(run("nobody", "").status, 404);
    assert_eq!(run("page", "").status, 400);
    assert_eq!(run("byHand", "[]").status, 400);
}

#[test]
fn event_grid_posts_events() {
    let grid = r#"[{"type":"eventGridTrigger","name":"event"}]"#;
    let (host, _directory) = host(&[("OnEvent", grid)]);
    let post = |events: &Value| {
        let path = "/runtime/webhooks/EventGrid?functionName=onevent";
        host.request("POST", path, Some(events.to_string().as_bytes())).unwrap()
    };
    let validation =
        json!([{ "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": { "validationCode": "512" } }]);
    assert_eq!(post(&validation).json(), json!({ "validationResponse": "512" }));
    assert_eq!(post(&json!([{ "id": "1", "eventType": "x" }, { "id": "2", "specversion": "1.0" }])).status, 202);
    eventually("both arrive", || echoed(&host).len() == 2);
    assert!(echoed(&host).iter().all(|seen| seen["event"]["id"].is_string()));
    for wrong in [json!([1]), json!("x"), json!([{ "id": "3", "specversion": "0.3" }])] {
        assert_eq!(post(&wrong).status, 400, "{wrong}");
    }
    // The attributes of a CloudEvent in binary mode once got lost.
    let url = format!("{}/runtime/webhooks/EventGrid?functionName=onevent", host.url());
    let attributes = [("ce-specversion", "1.0"), ("ce-id", "b1"), ("ce-source", "/shop"), ("ce-type", "order.paid")];
    assert_eq!(request_with("POST", &url, &attributes, Some(br#"{"amount":1}"#)).unwrap().status, 202);
    eventually("it arrives", || echoed(&host).len() == 3);
    let seen: Vec<Value> = echoed(&host).into_iter().filter(|seen| seen["event"]["id"] == "b1").collect();
    assert_eq!(seen[0]["event"]["type"], "order.paid");
    assert_eq!(seen[0]["event"]["data"], json!({ "amount": 1 }));
}

#[test]
fn disabled_triggers_do_not_run() {
    const QUEUE: &str = r#"[{"type":"queueTrigger","queueName":"orders"}]"#;
    const TIMER: &str = r#"[{"type":"timerTrigger","schedule":"* * * * * *","disabled":"IS_OFF"}]"#;
    const OFF: &str = r#"[{"type":"httpTrigger","authLevel":"anonymous","disabled":true}]"#;
    let settings = ["start", "taken"].map(|name| format!("AzureWebJobs.{name}.Disabled=true"));
    let arguments = ["--env", &settings[0], "--env", &settings[1], "--env", "IS_OFF=1"];
    let (host, _directory) = Host::temporary(&arguments).unwrap();
    let deployed = deploy(
        &host,
        "app",
        &[("start", ANONYMOUS), ("taken", QUEUE), ("tick", TIMER), ("off", OFF), ("on", &http("on", &[], "anonymous"))],
    );
    assert_eq!(deployed.status, 200, "{deployed:?}");
    let functions = deployed.json()["functions"].as_array().unwrap().clone();
    let disabled: Vec<&Value> = functions.iter().filter(|one| one["disabled"] == true).map(|one| &one["name"]).collect();
    assert_eq!(disabled, ["start", "taken", "tick", "off"]);
    for (path, status) in [("start", 404), ("off", 404), ("on", 202)] {
        assert_eq!(host.request("POST", &format!("/api/{path}"), Some(b"1")).unwrap().status, status, "{path}");
    }
    put(&host, &["first"]);
    assert_eq!(host.manage("GET", "schedules", None).unwrap().json(), json!([]));
    let by_hand = host.request("POST", "/admin/functions/tick", Some(b"{\"input\":\"by hand\"}")).unwrap();
    assert_eq!(by_hand.status, 202, "an operator may run one: {by_hand:?}");

    // Settings of the hub enable them again.
    let enabled = ["start", "taken"].map(|name| (format!("AzureWebJobs.{name}.Disabled"), "false"));
    let environment: std::collections::BTreeMap<_, _> = enabled.into_iter().chain([("IS_OFF".to_owned(), "0")]).collect();
    let change = json!({ "grants": { "environment": environment } }).to_string();
    assert_eq!(host.request("PATCH", "/admin/hubs/TestHubName", Some(change.as_bytes())).unwrap().status, 200);
    assert_eq!(host.request("POST", "/api/start", Some(b"1")).unwrap().status, 202);
    eventually("the timer is scheduled", || host.manage("GET", "schedules", None).unwrap().json() != json!([]));
    eventually("the message is taken", || echoed(&host).iter().any(|input| input["message"] == "first"));
}

#[test]
fn an_odd_route_prefix_and_outputs_of_one_name_are_refused() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let two = r#"[{"type":"manualTrigger"},{"type":"queue","name":"out","queueName":"a"},{"type":"queue","name":"out","queueName":"b"}]"#;
    let refused = deploy(&host, "app", &[("twice", two)]);
    assert!(refused.status == 400 && refused.body.contains("two of its outputs have the name 'out'"), "{refused:?}");
    let module = trigger_guest::module("echo", &[("start", ANONYMOUS)]);
    let module = dacapo_wasm::Manifest::attach(br#"{"http":{"routePrefix":"{a} b"}}"#, &module).unwrap();
    let refused = host.request("POST", "/admin/apps/app", Some(&module)).unwrap();
    assert!(refused.status == 400 && refused.body.contains("the route prefix of its app is '{a} b'"), "{refused:?}");
}
