//! Schedules, and timer triggers: each occurrence starts one instance, whatever crashes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dacapo_tests::host::{Answer, Host};
use dacapo_tests::trigger_guest;
use serde_json::{Value, json};

const TIMER: &str = r#"[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"* * * * * *"}]"#;
const MANUAL: &str = r#"[{"type":"manualTrigger"}]"#;

fn deploy(host: &Host, app: &str, triggers: &[(&str, &str)], manifest: Option<Value>) -> Answer {
    let mut wat = trigger_guest::wat("echo", triggers);
    if let Some(manifest) = manifest {
        let end = wat.rfind(')').unwrap();
        let text: String = manifest.to_string().bytes().map(|byte| format!("\\{byte:02x}")).collect();
        wat.insert_str(end, &format!(r#"(@custom "dacapo:manifest" "{text}")"#));
    }
    host.request("POST", &format!("/admin/apps/{app}"), Some(&wat::parse_str(wat).unwrap())).unwrap()
}

fn host() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let deployed = deploy(&host, "app", &[("by-hand", MANUAL)], None);
    assert_eq!(deployed.status, 200, "{deployed:?}");
    (host, directory)
}

fn create(host: &Host, name: &str, specification: Value) -> Answer {
    host.manage("POST", &format!("schedules/{name}"), Some(&specification)).unwrap()
}

fn show(host: &Host, name: &str) -> Value {
    let shown = host.manage("GET", &format!("schedules/{name}"), None).unwrap();
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

fn names(host: &Host) -> Vec<Value> {
    let list = host.manage("GET", "schedules", None).unwrap().json();
    list.as_array().unwrap().iter().map(|schedule| schedule["name"].clone()).collect()
}

/// The ids of the instances that a schedule has started, as their times.
fn times(host: &Host, name: &str) -> Vec<chrono::NaiveDateTime> {
    let list = host.manage("GET", &format!("instances?instanceIdPrefix={name}:"), None).unwrap().json();
    let time = |status: &Value| {
        let id = status["instanceId"].as_str().unwrap();
        chrono::NaiveDateTime::parse_from_str(id.rsplit(':').next().unwrap(), "%Y%m%dT%H%M%SZ").unwrap()
    };
    list.as_array().unwrap().iter().map(time).collect()
}

#[track_caller]
fn eventually(host: &Host, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}\n{}", host.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn each_second_starts_one_instance_whatever_is_killed() {
    let (mut host, _directory) = host();
    let made =
        create(&host, "tick", json!({ "orchestrator": "echo", "cron": "* * * * * *", "overlap": "allowAll", "input": [1] }));
    assert_eq!(made.status, 201, "{made:?}");
    for round in 1..=4 {
        eventually(&host, "it has run", || times(&host, "tick").len() >= 2 * round);
        host.kill().unwrap();
        host.restart().unwrap();
    }
    eventually(&host, "it has run", || times(&host, "tick").len() >= 10);
    let paused = host.manage("POST", "schedules/tick/pause?note=enough", None).unwrap().json();
    assert_eq!((&paused["paused"], &paused["note"], &paused["next"]), (&json!(true), &json!("enough"), &json!([])));
    let all: BTreeSet<_> = times(&host, "tick").into_iter().collect();
    let (first, last) = (*all.first().unwrap(), *all.last().unwrap());
    assert_eq!(all.len() as i64, (last - first).num_seconds() + 1, "no second is left out: {all:?}");
    assert_eq!(paused["occurrences"], json!({ "run": all.len(), "missed": 0, "skipped": 0, "buffered": 0 }));
    let newest = paused["recent"][0]["instanceId"].as_str().unwrap().to_owned();
    assert_eq!(host.wait(&newest).unwrap()["output"], json!([1]));
}

#[test]
fn a_schedule_is_made_once_and_replaced() {
    let (host, _directory) = host();
    let daily = json!({ "orchestrator": "echo", "cron": "@daily", "timeZone": "Europe/Berlin", "input": { "a": 1 } });
    assert_eq!(create(&host, "report", daily.clone()).status, 201);
    let again = create(&host, "report", daily.clone());
    assert_eq!((again.status, again.body.contains("exists already")), (409, true), "{again:?}");
    let shown = show(&host, "report");
    assert_eq!(
        shown["specification"],
        json!({ "orchestrator": "echo", "cron": "@daily", "timeZone": "Europe/Berlin", "input": { "a": 1 }, "overlap": "skip" })
    );
    assert_eq!(shown["next"].as_array().unwrap().len(), 10);
    let hourly = json!({ "orchestrator": "echo", "interval": "1h" });
    let replaced = host.manage("PUT", "schedules/report", Some(&hourly)).unwrap();
    assert_eq!((replaced.status, &replaced.json()["specification"]["interval"]), (200, &json!("1h")));
    assert_eq!(host.manage("DELETE", "schedules/report", None).unwrap().status, 204);
    assert_eq!(host.manage("GET", "schedules/report", None).unwrap().status, 404);
    assert_eq!(names(&host), [] as [Value; 0]);
    assert_eq!(create(&host, "report", daily).status, 201, "the name is free again");
    assert_eq!(names(&host), ["report"]);
}

#[test]
fn runs_by_hand_and_backfills_have_their_own_ids() {
    let (host, _directory) = host();
    assert_eq!(
        create(&host, "s", json!({ "orchestrator": "echo", "interval": "1h", "paused": true, "note": "new" })).status,
        201
    );
    let triggered = host.manage("POST", "schedules/s/trigger", None).unwrap();
    assert_eq!((triggered.status, &triggered.json()["outcome"]), (202, &json!("started")));
    host.wait(triggered.json()["instanceId"].as_str().unwrap()).unwrap();
    let range = "schedules/s/backfill?from=2026-01-01T00:00:00Z&to=2026-01-01T03:00:00Z";
    for _ in 0..2 {
        let backfilled = host.manage("POST", range, None).unwrap();
        assert_eq!((backfilled.status, &backfilled.json()["occurrences"]), (202, &json!(4)), "{backfilled:?}");
    }
    for hour in 0..4 {
        assert_eq!(host.wait(&format!("s:20260101T0{hour}0000Z")).unwrap()["runtimeStatus"], "Completed");
    }
    eventually(&host, "both are done", || {
        show(&host, "s")["occurrences"] == json!({ "run": 5, "missed": 0, "skipped": 4, "buffered": 0 })
    });
    let resumed = host.manage("POST", "schedules/s/resume", None).unwrap().json();
    assert_eq!((&resumed["paused"], resumed["next"].as_array().unwrap().len()), (&json!(false), 10));
}

#[test]
fn what_is_wrong_with_a_schedule_is_said() {
    let (host, _directory) = host();
    for (specification, says) in [
        (json!({ "cron": "@daily" }), "`orchestrator`"),
        (json!({ "orchestrator": "nobody", "cron": "@daily" }), "'nobody'"),
        (json!({ "orchestrator": "echo", "cron": "61 * * * *" }), "whose minute is '61', and must be 0 to 59"),
        (json!({ "orchestrator": "echo", "interval": 5, "jitter": -1 }), "jitter"),
        (
            json!({ "orchestrator": "echo", "interval": 5, "jitter": -1 }),
            "expected a duration: whole seconds, or a text such as 90s",
        ),
        (json!({ "orchestrator": "echo", "cron": "0 0 30 2 *" }), "never occurs"),
        (json!({ "orchestrator": "echo", "cron": "@daily", "timeZone": "Mars/Olympus" }), "`timeZone`"),
        (json!({ "orchestrator": "echo", "interval": 0 }), "`interval`"),
        (json!({ "orchestrator": "echo", "interval": 5, "overlap": "queue" }), "overlap"),
        (json!({ "orchestrator": "echo", "interval": 5, "every": 5 }), "every"),
    ] {
        let refused = create(&host, "x", specification.clone());
        assert_eq!(refused.status, 400, "{specification}: {refused:?}");
        assert!(refused.body.contains(says), "{specification}: {refused:?}");
    }
    for name in ["timer:x", "@x", "%20"] {
        let refused = create(&host, name, json!({ "orchestrator": "echo", "interval": 5 }));
        assert_eq!(refused.status, 400, "{name}: {refused:?}");
    }
    for path in ["pause", "resume", "trigger", "backfill?from=2026-01-01&to=2026-01-02"] {
        let unknown = host.manage("POST", &format!("schedules/none/{path}"), None).unwrap();
        assert_eq!((unknown.status, unknown.body.contains("'none'")), (404, true), "{path}: {unknown:?}");
    }
    let signal = host.manage("POST", "entities/BuiltIn::Schedule/x?op=create", Some(&json!({}))).unwrap();
    assert_eq!(signal.status, 400, "{signal:?}");
}

#[test]
fn a_timer_trigger_runs_as_long_as_its_version_is_active() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let deployed = deploy(&host, "app", &[("Tick", TIMER)], None);
    assert_eq!(deployed.status, 200, "{deployed:?}");
    assert_eq!(names(&host), ["timer:tick"]);
    let inputs = || -> Vec<Value> {
        let list = host.manage("GET", "instances?functionName=echo", None).unwrap().json();
        list.as_array().unwrap().iter().map(|status| status["input"].clone()).collect()
    };
    eventually(&host, "it has run", || inputs().len() >= 2);
    let input = &inputs()[0];
    assert_eq!((&input["isPastDue"], &input["schedule"]["adjustForDST"]), (&json!(false), &json!(true)), "{input}");
    assert!(input["scheduleStatus"]["next"].is_string(), "{input}");
    let refused = host.manage("DELETE", "schedules/timer:tick", None).unwrap();
    assert_eq!((refused.status, refused.body.contains("'app'")), (409, true), "{refused:?}");
    // An operator's pause survives a deployment.
    assert_eq!(host.manage("POST", "schedules/timer:tick/pause?note=stop", None).unwrap().status, 200);
    let slower = TIMER.replace("* * * * * *", "0 0 * * * *");
    assert_eq!(deploy(&host, "app", &[("Tick", &slower)], None).status, 200);
    let shown = show(&host, "timer:tick");
    assert_eq!((&shown["paused"], &shown["note"]), (&json!(true), &json!("stop")));
    assert_eq!(shown["specification"]["cron"], "0 0 * * * *");
    assert_eq!(deploy(&host, "app", &[("by-hand", MANUAL)], None).status, 200);
    assert_eq!(names(&host), [] as [Value; 0]);
    let back = host.request("POST", "/admin/apps/app/rollback", None).unwrap();
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(names(&host), ["timer:tick"]);
}

#[test]
fn a_timer_trigger_runs_on_startup() {
    let (mut host, _directory) = Host::temporary(&["--set=hubs.idle_seconds=1"]).unwrap();
    let yearly = TIMER.replace("* * * * * *", "0 0 0 1 1 *").replace("}]", r#","runOnStartup":true}]"#);
    assert_eq!(deploy(&host, "app", &[("Once", &yearly)], None).status, 200);
    eventually(&host, "it has run", || show(&host, "timer:once")["occurrences"]["run"] == 1);
    eventually(&host, "the hub is closed", || !is_open(&host));
    assert_eq!(show(&host, "timer:once")["occurrences"]["run"], 1);
    host.stop().unwrap();
    host.restart().unwrap();
    eventually(&host, "it has run again", || show(&host, "timer:once")["occurrences"]["run"] == 2);
}

fn is_open(host: &Host) -> bool {
    host.request("GET", "/metrics", None).unwrap().body.contains(r#"dacapo_hub_open{hub="TestHubName"} 1"#)
}

/// The signal that would wake a schedule stayed until its time, and with it an entity without a state: one more for each schedule
/// that was made and deleted.
#[test]
fn a_deleted_schedule_leaves_nothing() {
    let (host, _directory) = host();
    for name in ["a", "b"] {
        assert_eq!(create(&host, name, json!({ "orchestrator": "echo", "cron": "@yearly" })).status, 201);
        assert_eq!(host.manage("DELETE", &format!("schedules/{name}"), None).unwrap().status, 204);
    }
    let left = host.manage("GET", "instances?instanceIdPrefix=@builtin::schedule@", None).unwrap();
    assert_eq!(left.json(), json!([]));
}

#[test]
fn a_wrong_timer_is_refused_with_its_deployment() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    for (schedule, says) in [
        ("61 * * * * *", "'61 * * * * *'"),
        ("%CLEANUP%", "the setting 'CLEANUP'"),
        ("50%", "stands alone"),
        ("25:00:00", "time span"),
        ("", "`schedule` is missing"),
        ("0 0 0 30 2 *", "never occurs"),
    ] {
        let refused = deploy(&host, "app", &[("Tick", &TIMER.replace("* * * * * *", schedule))], None);
        assert_eq!(refused.status, 400, "{schedule}: {refused:?}");
        assert!(refused.body.contains("'Tick'") && refused.body.contains(says), "{schedule}: {refused:?}");
    }
    assert_eq!(names(&host), [] as [Value; 0]);
}

#[test]
fn a_manifest_declares_schedules() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    let manifest = |cron: &str| json!({ "schedules": [{ "name": "nightly", "orchestrator": "echo", "cron": cron, "input": { "deep": [1] } }] });
    let deployed = deploy(&host, "app", &[("by-hand", MANUAL)], Some(manifest("0 3 * * *")));
    assert_eq!(deployed.status, 200, "{deployed:?}");
    let shown = show(&host, "nightly");
    assert_eq!((&shown["app"], &shown["specification"]["input"]), (&json!("app"), &json!({ "deep": [1] })));
    assert_eq!(deploy(&host, "app", &[("by-hand", MANUAL)], Some(manifest("0 4 * * *"))).status, 200);
    assert_eq!(show(&host, "nightly")["specification"]["cron"], "0 4 * * *");
    host.kill().unwrap();
    host.restart().unwrap();
    assert_eq!(names(&host), ["nightly"]);
    let refused = deploy(&host, "app", &[("by-hand", MANUAL)], Some(manifest("nightly")));
    assert_eq!((refused.status, refused.body.contains("'nightly'")), (400, true), "{refused:?}");
    assert_eq!(create(&host, "mine", json!({ "orchestrator": "echo", "interval": 60 })).status, 201);
    let taken = json!({ "schedules": [{ "name": "mine", "orchestrator": "echo", "interval": 5 }] });
    assert_eq!(deploy(&host, "app", &[("by-hand", MANUAL)], Some(taken)).status, 409);
    assert_eq!(deploy(&host, "app", &[("by-hand", MANUAL)], None).status, 200);
    assert_eq!(names(&host), ["mine"]);
}
