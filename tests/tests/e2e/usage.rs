//! Usage for billing: receipts of instances, totals of hubs, metrics.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use dacapo_tests::host::{Answer, Host, HostOptions, binary};
use serde_json::{Value, json};

const HUB: &str = "TestHubName";

#[track_caller]
fn get(host: &Host, path: &str) -> Value {
    let answer = host.request("GET", path, None).unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn usage(host: &Host, hub: &str) -> Value {
    get(host, &format!("/admin/hubs/{hub}/usage"))
}

fn receipt(host: &Host, id: &str) -> Value {
    get(host, &format!("/runtime/webhooks/durabletask/instances/{}/receipt", id.replace('@', "%40")))
}

/// The usage of a function; null if it was never called.
fn function(usage: &Value, name: &str) -> Value {
    let functions = usage["functions"].as_array().unwrap();
    functions.iter().find(|function| function["name"] == name).cloned().unwrap_or_default()
}

/// The sum of one member of many objects.
fn sum<'a>(of: impl IntoIterator<Item = &'a Value>, member: &str) -> u64 {
    of.into_iter().map(|object| object[member].as_u64().unwrap_or_else(|| panic!("{member}: {object}"))).sum()
}

#[track_caller]
fn ok(host: &Host, method: &str, path: &str, body: Value) -> Answer {
    let body = Some(body.to_string()).filter(|_| body != Value::Null);
    let answer = host.request(method, path, body.as_deref().map(str::as_bytes)).unwrap();
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
    answer
}

/// A mix of everything: activities, retries, new executions, failures, entities, and one that still waits.
fn work(host: &Host) {
    for guest in ["fixture-probe", "example-counter"] {
        host.deploy_guest(guest).unwrap();
    }
    host.run("chain", json!(5)).unwrap();
    host.run("Chain", json!(2)).unwrap();
    host.run("fan_out", json!(4)).unwrap();
    host.run("count_to", json!({ "to": 3 })).unwrap();
    host.run("retry", json!({ "failures": 2, "max_attempts": 3 })).unwrap();
    host.run("panic", json!("on purpose")).unwrap();
    for _ in 0..3 {
        ok(host, "POST", "/runtime/webhooks/durabletask/entities/counter/a?op=add", json!(1));
    }
    host.start_new("wait_event", json!("go")).unwrap();
}

fn receipts(host: &Host) -> Vec<Value> {
    let instances = get(host, "/runtime/webhooks/durabletask/instances?top=1000");
    instances.as_array().unwrap().iter().map(|instance| receipt(host, instance["instanceId"].as_str().unwrap())).collect()
}

/// Returns the usage of the hub, and all receipts. The end of an instance may be visible a moment before it is counted.
#[track_caller]
fn settled(host: &Host) -> (Value, Vec<Value>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (used, receipts) = (usage(host, HUB), receipts(host));
        if sum(used["functions"].as_array().unwrap(), "turns") == sum(&receipts, "turns") {
            return (used, receipts);
        }
        assert!(Instant::now() < deadline, "the usage is not the sum of all receipts: {used} {receipts:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_sum_of_all_receipts_is_what_the_functions_have_used_also_after_a_restart() {
    for arguments in [&[][..], &["--no-heat"]] {
        let (mut host, directory) = Host::temporary(arguments).unwrap();
        work(&host);
        let (used, receipts) = settled(&host);
        let functions = used["functions"].as_array().unwrap();
        let (activities, others): (Vec<_>, Vec<_>) = functions.iter().partition(|function| function["kind"] == "activity");
        for member in ["replayedEvents", "fuel", "bytesIn", "bytesOut"] {
            assert_eq!(sum(&receipts, member), sum(others.iter().copied(), member), "{member}: {used}");
        }
        assert_eq!(sum(&receipts, "activityMicros"), sum(activities.iter().copied(), "activityMicros"));
        assert_eq!(sum(&receipts, "activities"), sum(activities.iter().copied(), "executions"));
        assert!(sum(&receipts, "fuel") > 10_000, "{used}");
        assert_eq!(sum(&receipts, "replayedEvents") == 0, arguments.is_empty(), "only without heat: {used}");

        let executions = |name| function(&used, name)["executions"].clone();
        assert_eq!(executions("chain"), 2, "names ignore case");
        assert_eq!(executions("count_to"), 4, "each execution counts");
        assert_eq!((executions("counter"), executions("add_one")), (json!(3), json!(5 + 2 + 4 + 4)));
        assert_eq!((executions("fail_n_times"), function(&used, "fail_n_times")["failures"].clone()), (json!(3), json!(2)));
        assert_eq!((executions("panic"), function(&used, "panic")["failures"].clone()), (json!(1), json!(1)));
        assert_eq!(used["instances"], receipts.len());

        assert_eq!(host.stop().unwrap(), Some(0));
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut host = Host::start(HostOptions { data: directory.path().to_owned(), arguments }).unwrap();
        let after = usage(&host, HUB);
        assert_eq!(after["functions"], used["functions"], "nothing is lost or counted twice");
        // A crash loses only what was counted since the last save.
        host.run("chain", json!(3)).unwrap();
        assert_eq!(function(&usage(&host, HUB), "chain")["executions"], 3);
        host.restart().unwrap();
        assert_eq!(usage(&host, HUB)["functions"], used["functions"]);
        assert_eq!(sum(&self::receipts(&host), "turns"), sum(&receipts, "turns") + 4, "a receipt is as durable as its instance");
    }
}

#[test]
fn an_activity_is_billed_by_the_time_it_took_and_a_purge_takes_nothing_off_the_bill() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("call", json!({ "name": "sleep", "input": 300 })).unwrap();
    host.wait(&id).unwrap();
    let receipt = receipt(&host, &id);
    let micros = receipt["activityMicros"].as_u64().unwrap();
    assert!((300_000..30_000_000).contains(&micros), "{receipt}");
    assert_eq!((&receipt["activities"], &receipt["name"], &receipt["instanceId"]), (&json!(1), &json!("call"), &json!(id)));
    let (before, _) = settled(&host);
    assert_eq!(function(&before, "sleep")["activityMicros"], micros);
    assert_eq!(function(&before, "sleep")["fuel"], 0);
    ok(&host, "DELETE", &format!("/runtime/webhooks/durabletask/instances/{id}"), Value::Null);
    assert_eq!(usage(&host, HUB)["functions"], before["functions"]);
    let gone = host.manage("GET", &format!("instances/{id}/receipt"), None).unwrap();
    assert_eq!((gone.status, gone.body.as_str()), (404, ""));
}

#[test]
fn requests_that_a_limit_refuses_are_counted_and_a_deleted_hub_leaves_no_bill() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let make = || ok(&host, "POST", "/admin/hubs", json!({ "name": "slow", "limits": { "requests_per_second": 2 } }));
    make();
    let statuses: Vec<u16> = (0..7).map(|_| host.manage("GET", "instances?taskHub=slow", None).unwrap().status).collect();
    let refused = statuses.iter().filter(|&&status| status == 429).count();
    assert!((1..7).contains(&refused), "{statuses:?}");
    let used = usage(&host, "SLOW");
    assert_eq!((&used["hub"], &used["requests"], &used["throttled"]), (&json!("slow"), &json!(7), &json!(refused)));
    assert_eq!(usage(&host, HUB)["requests"], 0, "they were for another hub");

    ok(&host, "DELETE", "/admin/hubs/slow", Value::Null);
    assert_eq!(host.request("GET", "/admin/hubs/slow/usage", None).unwrap().status, 404);
    make();
    let anew = usage(&host, "slow");
    assert_eq!((&anew["requests"], &anew["functions"], &anew["storageBytes"]), (&json!(0), &json!([]), &json!(0)));
}

/// Parses an OpenMetrics text. Each sample must belong to a declared family.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut families = Vec::new();
    let mut samples = BTreeMap::new();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            match (words.next(), words.next()) {
                (Some("TYPE"), Some(family)) => families.push(family.to_owned()),
                (Some("HELP" | "UNIT"), Some(_)) | (Some("EOF"), None) => {}
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let family = name.split('{').next().unwrap();
        assert_eq!(family.trim_end_matches("_total"), families.last().expect("it is declared before"), "{line}");
        assert!(samples.insert(name.to_owned(), value.parse().expect(line)).is_none(), "duplicate sample: {line}");
    }
    samples
}

#[test]
fn metrics_say_the_same_of_all_hubs_and_open_none() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    host.run("chain", json!(3)).unwrap();
    ok(&host, "POST", "/admin/hubs", json!({ "name": "resting" }));
    let module = dacapo_tests::guest("fixture-probe").unwrap();
    host.request("POST", "/admin/apps/probe?taskHub=resting", Some(&module)).unwrap();
    ok(&host, "PATCH", "/admin/hubs/resting", json!({ "suspended": "unpaid" }));

    let (used, _) = settled(&host);
    let answer = host.request("GET", "/metrics", None).unwrap();
    let media_type = answer.header("content-type").unwrap_or_default();
    assert!(answer.status == 200 && media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{answer:?}");
    let samples = samples(&answer.body);
    for (name, kind) in [("chain", "orchestrator"), ("add_one", "activity")] {
        let function = function(&used, name);
        for (metric, member) in [
            ("executions", "executions"),
            ("execution_failures", "failures"),
            ("turns", "turns"),
            ("fuel", "fuel"),
            ("payload_in_bytes", "bytesIn"),
        ] {
            let sample = format!(r#"dacapo_{metric}_total{{hub="{HUB}",function="{name}",kind="{kind}"}}"#);
            assert_eq!(samples.get(&sample).copied(), function[member].as_f64(), "{sample}");
        }
    }
    let seconds = samples[&format!(r#"dacapo_activity_seconds_total{{hub="{HUB}",function="add_one",kind="activity"}}"#)];
    assert!(seconds > 0.0);
    let of_hub = |metric: &str, hub: &str| samples.get(&format!(r#"dacapo_{metric}{{hub="{hub}"}}"#)).copied();
    assert_eq!((of_hub("hub_open", HUB), of_hub("instances", HUB)), (Some(1.0), Some(1.0)));
    assert_eq!((of_hub("hub_open", "resting"), of_hub("instances", "resting")), (Some(0.0), None));
    assert_eq!(of_hub("requests_total", "resting"), Some(1.0));
    let resting = usage(&host, "resting");
    assert_eq!((&resting["open"], &resting["instances"]), (&json!(false), &Value::Null));
    assert!(resting["storageBytes"].as_u64() > Some(0) && of_hub("storage_bytes", "resting") > Some(0.0));
}

#[test]
fn a_hub_sees_its_own_bill_and_only_the_host_sees_all() {
    let (host, _directory) = Host::temporary_locked(&[]).unwrap();
    let root = host.administrator_key().unwrap().to_owned();
    let get = |key: &str, path: &str| host.request_as(key, "GET", path, None).unwrap().status;
    let make = |path: &str, body: Value| {
        let made = host.request_as(&root, "POST", path, Some(body.to_string().as_bytes())).unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["key"].as_str().map(str::to_owned)
    };
    for hub in ["one", "two"] {
        make("/admin/hubs", json!({ "name": hub }));
    }
    let own = make("/admin/hubs/one/keys", json!({ "name": "k", "role": "read" })).unwrap();
    let monitoring = make("/admin/keys", json!({ "name": "prometheus", "role": "read" })).unwrap();
    assert_eq!(get(&own, "/admin/hubs/one/usage"), 200);
    for path in ["/admin/hubs/two/usage", "/admin/hubs/none/usage", "/metrics"] {
        assert_eq!(get(&own, path), 403, "{path}");
        assert_eq!(host.request("GET", path, None).unwrap().status, 401, "{path}");
    }
    for key in [&root, &monitoring] {
        assert_eq!(
            (get(key, "/metrics"), get(key, "/admin/hubs/two/usage"), get(key, "/admin/hubs/none/usage")),
            (200, 200, 404)
        );
    }
}

#[test]
fn the_command_line_shows_both() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("chain", json!(3)).unwrap();
    host.wait(&id).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(binary().unwrap()).args(arguments).args(["--server", host.url()]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let fuel = receipt(&host, &id)["fuel"].to_string();
    let line = |text: &str, begin: &str| {
        text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    assert!(line(&run(&["get-receipt", &id]), "Fuel").ends_with(&fuel));
    assert!(run(&["get-receipt", "--id", &id, "--json"]).contains(&format!("\"fuel\":{fuel},")));
    let shown = run(&["hub", "usage", HUB]);
    assert!(line(&shown, "chain").contains(&fuel) && line(&shown, "chain").contains("orchestrator"), "{shown}");
    assert!(line(&shown, "add_one").contains("activity"), "{shown}");
    assert!(run(&["hub", "usage", HUB, "--json"]).contains("\"throttled\":0"));
}

#[test]
fn lines_of_guests_say_whose_they_are() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    ok(&host, "POST", "/admin/hubs", json!({ "name": "chatty" }));
    let module = dacapo_tests::guest("fixture-probe").unwrap();
    host.request("POST", "/admin/apps/probe?taskHub=chatty", Some(&module)).unwrap();
    ok(&host, "POST", "/runtime/webhooks/durabletask/orchestrators/log_lines?taskHub=chatty&timeout=60", json!(null));
    let panics = json!({ "name": "activity_panic", "input": "on purpose" });
    ok(&host, "POST", "/runtime/webhooks/durabletask/orchestrators/call?taskHub=chatty&timeout=60", panics);
    for function in ["log_lines", "activity_panic"] {
        assert!(host.logged(function, 1) > 0, "{}", host.log());
    }
    let log = host.log();
    for function in ["log_lines", "activity_panic"] {
        let line = log.lines().find(|line| line.contains("guest") && line.contains(&format!("function={function}")));
        let line = line.or_else(|| log.lines().find(|line| line.contains(&format!("function=\"{function}\""))));
        assert!(line.is_some_and(|line| line.contains("hub=\"chatty\"")), "{function}: {log}");
    }
}
