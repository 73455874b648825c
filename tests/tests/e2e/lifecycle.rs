//! Starting, stopping, being killed, and starting again.

use std::process::Command;
use std::time::{Duration, Instant};

use dacapo_tests::host::{Host, HostOptions, binary};
use serde_json::{Value, json};

#[test]
fn a_killed_host_goes_on_where_it_was() {
    let (mut host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let waiting = host.start_new("wait_event", json!("go")).unwrap();
    let sleeping = host.start_new("timer", json!(700)).unwrap();
    let busy = host.start_new("call", json!({ "name": "sleep", "input": 600 })).unwrap();
    host.wait_until(&busy, "running", |status| status["runtimeStatus"] == "Running").unwrap();
    host.restart().unwrap();
    host.raise_event(&waiting, "GO", json!({ "at": "last" })).unwrap();
    assert_eq!(host.wait(&waiting).unwrap()["output"], json!({ "at": "last" }));
    assert!(host.wait(&sleeping).unwrap()["output"].as_u64() >= Some(700), "the timer kept its time");
    assert_eq!(host.wait(&busy).unwrap()["output"], json!({ "ok": 600 }), "the activity ran again");
}

#[test]
fn a_timer_that_was_due_while_the_host_was_down_fires_at_the_start() {
    let (mut host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("timer", json!(100)).unwrap();
    host.kill().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let host = Host::start(HostOptions { data: directory.path().to_owned(), arguments: Vec::new() }).unwrap();
    assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Completed");
}

/// A timer that became durable while the timer task was between reading the due timers and moving its cursor was missed
/// for ever when it was due earlier than the last of those. It takes many short timers at once to meet that moment.
#[test]
fn of_many_short_timers_every_one_fires() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let start =
        |thread: u64| -> Vec<String> { (0..150).map(|n| host.start_new("timer", json!((n * thread) % 15)).unwrap()).collect() };
    let ids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4).map(|thread| scope.spawn(move || start(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for id in ids {
        assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], "Completed");
    }
}

#[test]
fn a_graceful_stop_finishes_turns_and_exits_with_0() {
    let (mut host, directory) = Host::temporary(&["--set=engine.shutdown_grace_seconds=1"]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let chains: Vec<String> = (0..20).map(|_| host.start_new("chain", json!(200)).unwrap()).collect();
    let stuck = host.start_new("call", json!({ "name": "activity_sleep_forever" })).unwrap();
    let begin = Instant::now();
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    assert!(begin.elapsed() < Duration::from_secs(20));
    let host = Host::start(HostOptions { data: directory.path().to_owned(), arguments: Vec::new() }).unwrap();
    for id in chains {
        assert_eq!(host.wait(&id).unwrap()["output"], 200);
    }
    assert_eq!(host.status(&stuck).unwrap()["runtimeStatus"], "Running");
}

#[test]
fn a_second_host_on_the_same_hub_is_told_so() {
    let (_host, directory) = Host::temporary(&[]).unwrap();
    let second = Command::new(binary().unwrap())
        .args(["serve", "--dev", "--address", "127.0.0.1:0", "--data"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(message.contains(".redb") && message.contains("another process"), "{message}");
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output =
        Command::new(binary().unwrap()).args(["serve", "--address", &address, "--data"]).arg(directory.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
}

#[test]
fn log_lines_of_an_orchestrator_are_written_once() {
    for arguments in [&[][..], &["--no-heat"]] {
        let (host, _directory) = Host::temporary(arguments).unwrap();
        host.deploy_guest("fixture-probe").unwrap();
        host.run("log_lines", Value::Null).unwrap();
        for line in ["info before", "warn before", "error before", "info after", "warn after", "error after"] {
            assert_eq!(host.logged(line, 1), 1, "{line} {arguments:?}:\n{}", host.log());
        }
    }
}
