//! The process stays within its memory budget, whatever one hub does, and another hub keeps working.

use std::sync::atomic::{AtomicBool, Ordering};

use dacapo_tests::host::Host;
use serde_json::{Value, json};

const BASE: &str = "/runtime/webhooks/durabletask";

/// What the process may hold beyond its budget: its own memory, the page cache of the store, guests between two turns.
const SLACK: usize = 96 << 20;

/// The page cache of the store has a limit of its own, which a long history reaches.
const PAGES: usize = 8 << 20;

/// Returns the bytes of anonymous memory of a process.
fn held(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

/// A host with this budget and two hubs, both with the probe.
fn host(budget: usize) -> (Host, tempfile::TempDir) {
    let settings = [format!("--set=engine.memory_bytes={budget}"), format!("--set=store.cache_bytes={PAGES}")];
    let (host, directory) = Host::temporary(&settings.each_ref().map(String::as_str)).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let made = host.request("POST", "/admin/hubs", Some(br#"{"name":"honest"}"#)).unwrap();
    assert!(made.status < 300, "{made:?}");
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    let deployed = host.request("POST", "/admin/apps/probe?taskHub=honest", Some(&probe)).unwrap();
    assert_eq!(deployed.status, 200, "{deployed:?}");
    (host, directory)
}

/// Runs `work` while an honest hub runs orchestrations, all of which must complete. Returns the peak memory of the process.
fn watched(host: &Host, work: impl FnOnce()) -> usize {
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let watching = threads.spawn(|| {
            let (mut most, mut rounds) = (0, 0);
            while !ended.load(Ordering::Relaxed) {
                most = most.max(held(host.pid()));
                let path = format!("{BASE}/orchestrators/chain/honest-{rounds}?taskHub=honest");
                let started = host.request("POST", &path, Some(b"2")).unwrap();
                assert_eq!(started.status, 202, "{started:?}");
                most = most.max(held(host.pid()));
                let path = format!("{BASE}/instances/honest-{rounds}?taskHub=honest&wait=60");
                let answer = host.request("GET", &path, None).unwrap();
                assert_eq!(answer.json()["output"], 2, "{answer:?}");
                rounds += 1;
            }
            most
        });
        work();
        ended.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    })
}

/// Twelve activities that wanted 400 MB each once got it all, on a host with a budget of 256 MB.
#[test]
fn activities_wait_for_room_and_do_not_fail() {
    const BUDGET: usize = 128 << 20;
    let (host, _directory) = host(BUDGET);
    let before = held(host.pid());
    let most = watched(&host, || {
        let call = |bytes: usize| json!({ "name": "hold", "input": [bytes, 50] });
        // The last one needs more than a hub may ever take of the budget.
        let sizes = [40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 90].map(|mebibytes| mebibytes << 20);
        let ids: Vec<String> = sizes.iter().map(|&bytes| host.start_new("call", call(bytes)).unwrap()).collect();
        for (id, bytes) in ids.iter().zip(sizes) {
            let status = host.wait(id).unwrap();
            assert_eq!(status["output"]["ok"], bytes, "{status}");
        }
    });
    // One activity may exceed the budget.
    assert!(most < before + BUDGET + (100 << 20) + SLACK, "{before}, then {most}");
}

/// 120 events of 4 MiB for a suspended instance were once all in memory, again with each further event.
#[test]
fn what_waits_for_an_instance_lies_on_the_disk() {
    const BUDGET: usize = 64 << 20;
    const EVENTS: usize = 150;
    let (mut host, _directory) = host(BUDGET);
    let before = held(host.pid());
    let event = "x".repeat(2 << 20);
    let most = watched(&host, || {
        host.start_as("busy", "measure_events", json!(EVENTS)).unwrap();
        host.wait_until("busy", "running", |status| status["runtimeStatus"] == "Running").unwrap();
        let suspended = host.manage("POST", "instances/busy/suspend?reason=x", None).unwrap();
        assert_eq!(suspended.status, 202, "{suspended:?}");
        for _ in 0..EVENTS {
            host.raise_event("busy", "Item", json!(event)).unwrap();
        }
    });
    assert!(most < before + BUDGET + SLACK, "{before}, then {most}");
    // Nor are they read when the hub is opened.
    host.restart().unwrap();
    let most = watched(&host, || {
        let resumed = host.manage("POST", "instances/busy/resume?reason=x", None).unwrap();
        assert_eq!(resumed.status, 202, "{resumed:?}");
        assert_eq!(host.wait("busy").unwrap()["output"], EVENTS * event.len());
    });
    // Nor is the whole history in memory during the replay of a guest that keeps none of it.
    assert!(most < before + BUDGET + PAGES + SLACK, "{before}, then {most}");
}

/// A history was once read whole: four copies were in memory for a response, and five for an export.
#[test]
fn a_long_history_is_read_in_parts() {
    const BUDGET: usize = 64 << 20;
    const EVENTS: usize = 40;
    let (mut host, _directory) = host(BUDGET);
    let event = "x".repeat(2 << 20);
    host.start_as("long", "measure_events", json!(EVENTS)).unwrap();
    (0..EVENTS).for_each(|_| host.raise_event("long", "Item", json!(event)).unwrap());
    assert_eq!(host.wait("long").unwrap()["output"], EVENTS * event.len());
    let fanned_out = host.run("fan_out", json!(3000)).unwrap();
    host.restart().unwrap();
    let before = held(host.pid());
    let most = watched(&host, || {
        let get = |path: &str| host.request("GET", path, None).unwrap();
        let status = get(&format!("{BASE}/instances/long?showHistory=true&showHistoryOutput=true")).json();
        for list in ["historyEvents", "history"] {
            let rows = status[list].as_array().unwrap();
            let lengths =
                rows.iter().filter(|row| row["EventType"] == "EventRaised").map(|row| row["Input"].as_str().unwrap().len());
            assert!(lengths.eq([event.len(); EVENTS]), "{list}");
        }
        let file = get("/admin/instances/long/export").body;
        assert!(file.len() > EVENTS * event.len() && file.lines().last().unwrap().contains("done"));
    });
    assert!(most < before + BUDGET / 2 + PAGES + SLACK / 4, "{before}, then {most}");
    // Many small events are read in parts, too, and each result is matched with its start.
    let id = fanned_out["instanceId"].as_str().unwrap();
    let rows = host.history(id).unwrap();
    let of = |kind: &str| rows.iter().filter(|row| row["EventType"] == kind).collect::<Vec<_>>();
    let completed = of("TaskCompleted");
    assert!(
        completed
            .iter()
            .all(|row| row["FunctionName"] == "add_one" && row["Input"].as_u64().map(|n| n + 1) == row["Result"].as_u64())
    );
    assert_eq!((completed.len(), of("TaskScheduled").len(), rows.len()), (3000, 0, 3002));
}

/// 2,000 children once left 560 MB behind.
#[test]
fn children_leave_nothing_behind() {
    const BUDGET: usize = 64 << 20;
    let (host, _directory) = host(BUDGET);
    let before = held(host.pid());
    let most = watched(&host, || assert_eq!(host.output("fan_out_children", json!(600)), Value::from(600)));
    assert!(most < before + BUDGET + SLACK, "{before}, then {most}");
}
