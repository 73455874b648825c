//! Starting, stopping, killing and restarting.

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

/// A timer that became durable while the timer task was between reading the due timers and moving its cursor was lost if it was
/// due earlier than the last of those. Many concurrent short timers are needed to hit that moment.
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
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
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

/// A guest once logged a line break, followed by a forged line of the audit log.
#[test]
fn the_text_of_a_guest_is_no_line_of_the_log() {
    let forged = "2026-01-01T00:00:00.000000Z  INFO dacapo::audit: actor=\"*/root\" action=\"key.create\"";
    for arguments in [&[][..], &["--log-format", "json"]] {
        let (host, _directory) = Host::temporary(arguments).unwrap();
        host.deploy_guest("fixture-probe").unwrap();
        let line = json!(format!("first\n{forged}\u{9b}2J\u{202e}\r"));
        let said = host.manage("POST", "entities/rogue/a?op=log", Some(&line)).unwrap();
        assert_eq!(said.status, 202, "{said:?}");
        assert_eq!(host.logged(r"first\n2026", 1), 1, "{}", host.log());
        let log = host.log();
        assert!(log.lines().all(|line| !line.starts_with("2026-01-01")), "{log}");
        assert!(!log.contains(['\u{9b}', '\u{202e}', '\r']), "{log}");
    }
}

/// systemd creates a StateDirectory that every user may read, and the file with the key that signs links was readable in it.
#[test]
fn a_data_directory_that_others_can_read_holds_nothing_that_they_can() {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let start = || Host::start(HostOptions { data: directory.path().to_owned(), arguments: Vec::new() }).unwrap();
    let own = ["control.redb", "hubs", "modules", "cache"].map(|name| directory.path().join(name));
    let is_closed = || own.iter().all(|path| metadata(path).unwrap().permissions().mode() & 0o077 == 0);
    let mut host = start();
    assert!(is_closed());
    assert_eq!(host.stop().unwrap(), Some(0));
    // The permissions that an earlier release left.
    for path in &own {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let host = start();
    assert!(is_closed());
    assert!(host.logged("other users of this machine could reach it", 4) >= 4, "{}", host.log());
}

/// The directory stayed writable, and any user could replace the compiled native code.
#[test]
fn a_data_directory_that_others_can_write_is_closed_to_them() {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    let mode = |path: &std::path::Path| metadata(path).unwrap().permissions().mode() & 0o777;
    open(directory.path());
    let start = || Host::start(HostOptions { data: directory.path().to_owned(), arguments: Vec::new() }).unwrap();
    let mut host = start();
    assert_eq!(mode(directory.path()), 0o755);
    assert_eq!(host.logged("other users of this machine could write there", 1), 1, "{}", host.log());
    host.deploy_guest("fixture-probe").unwrap();
    host.stop().unwrap();
    let cache = directory.path().join("cache");
    open(&cache);
    std::fs::write(cache.join("planted"), "by somebody").unwrap();
    let host = start();
    assert_eq!(mode(&cache), 0o700);
    assert!(!cache.join("planted").exists(), "code that another user may have planted is not run");
    host.start_as("a", "chain", json!(1)).unwrap();
    assert_eq!(host.wait("a").unwrap()["runtimeStatus"], "Completed");
}

#[test]
fn a_data_directory_that_vanishes_ends_the_host() {
    for name in ["control.redb", "modules"] {
        let (mut host, directory) = Host::temporary(&[]).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        // At once: a directory that was removed before the host had first checked it was once not noticed.
        std::fs::rename(directory.path().join(name), elsewhere.path().join(name)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while host.is_running().unwrap() {
            assert!(Instant::now() < deadline, "{}", host.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(host.log().contains(&format!("{name} was removed or replaced while it was in use")), "{}", host.log());
    }
}

/// The file of the default hub was once silently created again.
#[test]
fn a_host_whose_hub_or_control_file_is_gone_does_not_start_until_it_is_told_to() {
    let (mut host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    host.stop().unwrap();
    let start = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Host::start(HostOptions { data: directory.path().to_owned(), arguments })
    };
    let hub = directory.path().join("hubs/TestHubName.redb");
    std::fs::remove_file(&hub).unwrap();
    let refused = format!("{:#}", start(&[]).map(drop).unwrap_err());
    assert!(refused.contains("TestHubName.redb is missing") && refused.contains("--recover TestHubName"), "{refused}");
    let mut host = start(&["--recover", "TestHubName"]).unwrap();
    assert_eq!(host.request("GET", "/admin/apps", None).unwrap().json(), json!([]));
    host.stop().unwrap();
    let refused = format!("{:#}", start(&["--recover", "TestHubName"]).map(drop).unwrap_err());
    assert!(refused.contains("is there, and is left alone"), "{refused}");

    // A truncated file, or one that is not a hub's, was once refused without advice.
    let whole = std::fs::read(&hub).unwrap();
    for damaged in [&whole[..whole.len() / 2], &b"no hub at all"[..]] {
        std::fs::write(&hub, damaged).unwrap();
        let refused = format!("{:#}", start(&[]).map(drop).unwrap_err());
        assert!(refused.contains("from a backup") && refused.contains("--recover TestHubName"), "{refused}");
    }
    std::fs::write(&hub, &whole).unwrap();

    // A missing control file was once tolerated for the default hub's file: the host silently started with new keys.
    let control = directory.path().join("control.redb");
    std::fs::remove_file(&control).unwrap();
    let refused = format!("{:#}", start(&[]).map(drop).unwrap_err());
    assert!(refused.contains("control.redb is missing") && refused.contains("TestHubName.redb"), "{refused}");
    assert!(!control.exists());
    // The advice of the message works.
    let (hubs, aside) = (directory.path().join("hubs"), directory.path().join("aside"));
    std::fs::rename(&hubs, &aside).unwrap();
    start(&[]).unwrap().stop().unwrap();
    std::fs::rename(aside.join("TestHubName.redb"), hubs.join("TestHubName.redb")).unwrap();
    start(&[]).unwrap();
}
