//! WASI preview 1 (through the adapter) and 0.2, in both roles.

use std::collections::HashMap;

use dacapo_core::execution::Limits;
use dacapo_wasm::{DirectoryGrant, GuestLimits, Policy};

use crate::activities::run;
use crate::guest::Guest;
use crate::world::{Host, Instance, START};

const PREVIEW1: &str = r#"
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

const HELPERS: &str = r#"
    (func $time (param $clock i32) (result i64)
        (drop (call $clock (local.get $clock) (i64.const 0) (i32.const 200)))
        (i64.load (i32.const 200)))
    (func $sleep (param $nanos i64)
        (memory.fill (i32.const 208) (i32.const 0) (i32.const 48))
        (i32.store (i32.const 224) (i32.const 1))
        (i64.store (i32.const 232) (local.get $nanos))
        (drop (call $poll (i32.const 208) (i32.const 256) (i32.const 1) (i32.const 300))))
    (func $print (param $fd i32) (param $text i32) (param $length i32)
        (i32.store (i32.const 5000) (local.get $text))
        (i32.store (i32.const 5004) (local.get $length))
        (drop (call $fd_write (local.get $fd) (i32.const 5000) (i32.const 1) (i32.const 5008))))
    (func $read_file (result i32) (local $errno i32)
        (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 3650) (i32.const 9) (i32.const 0)
            (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 200)))
        (if (local.get $errno) (then (return (call $number (i64.extend_i32_u (local.get $errno))))))
        (i32.store (i32.const 5000) (i32.const 6000))
        (i32.store (i32.const 5004) (i32.const 1000))
        (drop (call $fd_read (i32.load (i32.const 200)) (i32.const 5000) (i32.const 1) (i32.const 5008)))
        (call $ok (i32.const 6000) (i32.load (i32.const 5008))))
    (data (i32.const 3600) "one\0atwo\0athree")
    (data (i32.const 3650) "data.json")
    (data (i32.const 3700) "thread 'main' (1) panicked at src/lib.rs:3:4:\0athe end\0anote: run with `RUST_BACKTRACE=1`\0a")"#;

pub fn on_wasi(orchestrator: &'static str) -> Guest {
    Guest { imports: PREVIEW1, more: HELPERS, orchestrator, ..Guest::default() }
}

pub fn entity_on_wasi(entity: &'static str) -> Guest {
    Guest { imports: PREVIEW1, more: HELPERS, ..Guest::entity(entity) }
}

fn activity_on_wasi(activity: &'static str) -> Guest {
    Guest { imports: PREVIEW1, more: HELPERS, activity, ..Guest::default() }
}

#[test]
fn clocks_stand_still_between_waits_and_sleeping_is_a_durable_timer() {
    let guest = on_wasi(
        "(local $begun i64)
         (local.set $begun (call $time (i32.const 0)))
         (call $spin (i32.const 100000))
         (if (i64.ne (call $time (i32.const 0)) (local.get $begun)) (then unreachable))
         (call $sleep (i64.const 90000000000))
         (call $sleep (i64.const 5000000001))
         (call $number (i64.sub (call $time (i32.const 1)) (local.get $begun)))",
    );
    let host = Host::new();
    let version = host.deploy(&guest);
    let histories = [true, false].map(|hot| {
        let mut instance = Instance::new(&host, version, hot);
        instance.start();
        assert_eq!(instance.timers(), [90]);
        instance.fire(0);
        // Rounded up to a microsecond.
        assert_eq!(instance.timers(), [90, 95]);
        instance.fire(1);
        assert_eq!(instance.output(), "96000000000");
        instance.history
    });
    assert_eq!(histories[0], histories[1]);
}

#[test]
fn fuel_is_reset_by_sleeping_too() {
    let guest = on_wasi(
        "(call $spin (i32.const 300000)) (call $sleep (i64.const 1000000000))
         (call $spin (i32.const 300000)) (call $sleep (i64.const 1000000000))
         (call $spin (i32.const 300000)) (call $done)",
    );
    let host = Host::new();
    for hot in [true, false] {
        let mut instance = Instance::new(&host, host.deploy(&guest), hot);
        instance.start().fire(0).fire(1);
        assert_eq!(instance.output(), "\"ok\"");
    }
}

#[test]
fn a_sleep_that_is_over_takes_no_timer() {
    let host = Host::new();
    let mut instance = Instance::new(&host, host.deploy(&on_wasi("(call $sleep (i64.const 0)) (call $done)")), true);
    instance.start();
    assert_eq!((instance.timers(), instance.output()), (vec![], "\"ok\"".into()));
}

#[test]
fn time_and_randomness_are_functions_of_the_execution() {
    let host = Host::new();
    let time = Instance::new(&host, host.deploy(&on_wasi("(call $number (call $time (i32.const 0)))")), true).start().output();
    assert_eq!(time, format!("{START}000000000"));

    let version = host
        .deploy(&on_wasi("(drop (call $random_get (i32.const 200) (i32.const 8))) (call $number (i64.load (i32.const 200)))"));
    let drawn = |execution| Instance::of_execution(&host, version, true, execution).start().output();
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
}

#[test]
fn output_goes_to_the_log_line_by_line_and_once() {
    let host = Host::new();
    let guest = on_wasi(
        "(call $print (i32.const 1) (i32.const 3600) (i32.const 6))
         (call $await_event)
         (call $print (i32.const 1) (i32.const 3606) (i32.const 7))
         (call $done)",
    );
    for hot in [true, false] {
        let mut instance = Instance::new(&host, host.deploy(&guest), hot);
        instance.start();
        assert_eq!(instance.logs, ["one"]);
        instance.go();
        assert_eq!(instance.output(), "\"ok\"");
        assert_eq!(instance.logs, ["one", "two", "three"]);
    }
}

#[test]
fn panics_and_exits_are_told_from_traps() {
    let host = Host::new();
    let panic = host.outcome(&on_wasi("(call $print (i32.const 2) (i32.const 3700) (i32.const 89)) unreachable")).unwrap_err();
    assert_eq!((panic.error_type.as_str(), panic.message.as_str()), ("Panic", "the end"));
    assert!(panic.details.unwrap().starts_with("src/lib.rs:3:4"));
    let exit = host.outcome(&on_wasi("(call $exit (i32.const 3)) (call $done)")).unwrap_err();
    // The adapter distinguishes only success and failure.
    assert_eq!((exit.error_type.as_str(), exit.message.as_str()), ("Trap", "it called exit(1) instead of returning"));
}

#[test]
fn the_environment_is_the_configured_one_and_there_are_no_files() {
    let host = Host::with(|setup| {
        setup.policy.environment = vec![("A".into(), "1".into()), ("B".into(), "2".into())];
        setup.policy.directories = vec![DirectoryGrant { guest: "/".into(), host: std::env::temp_dir(), writable: false }];
    });
    let count = "(drop (call $environ (i32.const 200) (i32.const 204))) (call $number (i64.load32_u (i32.const 200)))";
    assert_eq!(host.outcome(&on_wasi(count)).unwrap(), "2");
    const EBADF: &str = "8";
    assert_eq!(host.outcome(&on_wasi("(call $read_file)")).unwrap(), EBADF);
}

const NETWORK: &str = "package wasi:sockets@0.2.3;
    interface network { resource network; }
    interface instance-network { use network.{network}; instance-network: func() -> network; }";

pub fn on_the_network() -> Guest {
    Guest {
        packages: &[NETWORK],
        world: "import wasi:sockets/instance-network@0.2.3;",
        imports: r#"(import "wasi:sockets/instance-network@0.2.3" "instance-network" (func $network (result i32)))"#,
        orchestrator: "(drop (call $network)) (call $done)",
        activity: "(drop (call $network)) (call $done)",
        ..Guest::default()
    }
}

#[tokio::test]
async fn what_an_orchestrator_may_not_use_traps_with_a_sentence() {
    let host = Host::new();
    let failure = host.outcome(&on_the_network()).unwrap_err();
    let sentence = "an orchestrator may not use wasi:sockets/instance-network.instance-network: do it in an activity";
    assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("Trap", sentence));
    // An activity may have the handle, but can reach nothing with it.
    assert_eq!(run(&host, &on_the_network()).await.unwrap(), "\"ok\"");
}

const IO: &str = "package wasi:io@0.2.0;
    interface poll {
        resource pollable { ready: func() -> bool; block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }";

const CLOCKS: &str = "package wasi:clocks@0.2.0;
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        subscribe-duration: func(when: u64) -> pollable;
    }";

pub fn polling(orchestrator: &'static str) -> Guest {
    Guest {
        packages: &[IO, CLOCKS],
        world: "import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0;",
        imports: r#"
            (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
            (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
            (import "wasi:io/poll@0.2.0" "[method]pollable.ready" (func $ready (param i32) (result i32)))
            (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop_pollable (param i32)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))"#,
        orchestrator,
        ..Guest::default()
    }
}

#[test]
fn poll_waits_for_the_first_of_several_sleeps() {
    let guest = polling(
        "(local $long i32) (local $short i32)
         (local.set $long (call $subscribe (i64.const 100000000000)))
         (local.set $short (call $subscribe (i64.const 10000000000)))
         (i32.store (i32.const 64) (local.get $long))
         (i32.store (i32.const 68) (local.get $short))
         (call $poll (i32.const 64) (i32.const 2) (i32.const 80))
         (if (i32.ne (i32.load (i32.load (i32.const 80))) (i32.const 1)) (then unreachable))
         (if (call $ready (local.get $long)) (then unreachable))
         (if (i32.eqz (call $ready (local.get $short))) (then unreachable))
         (call $drop_pollable (local.get $short))
         (call $block (local.get $long))
         (call $done)",
    );
    let host = Host::new();
    let version = host.deploy(&guest);
    let histories = [true, false].map(|hot| {
        let mut instance = Instance::new(&host, version, hot);
        instance.start();
        assert_eq!(instance.timers(), [100, 10]);
        instance.fire(1);
        assert_eq!(instance.outcome(), None);
        instance.fire(0);
        assert_eq!(instance.output(), "\"ok\"");
        instance.history
    });
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test]
async fn an_activity_reads_granted_directories_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("data.json"), "{\"stock\":3}").unwrap();
    let read = activity_on_wasi("(call $read_file)");
    assert_eq!(run(&Host::new(), &read).await.unwrap(), "8");
    let grant = DirectoryGrant { guest: "/data".into(), host: directory.path().to_owned(), writable: false };
    let host = Host::with(|setup| setup.policy.directories = vec![grant]);
    assert_eq!(run(&host, &read).await.unwrap(), "{\"stock\":3}");
    // Opens the file with the flag to create it: refused, because the grant is read-only.
    let create = activity_on_wasi(
        "(call $number (i64.extend_i32_u (call $path_open (i32.const 3) (i32.const 0) (i32.const 3400) (i32.const 4) (i32.const 1)
            (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 200))))",
    );
    assert_ne!(run(&host, &create).await.unwrap(), "0");
    assert!(!directory.path().join("work").exists());
}

#[tokio::test]
async fn an_activity_writes_where_it_may_and_never_leaves_the_directory() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "\"seen\"").unwrap();
    let directory = outside.path().join("granted");
    std::fs::create_dir(&directory).unwrap();
    let grant = DirectoryGrant { guest: "/data".into(), host: directory.clone(), writable: true };
    let host = Host::with(|setup| setup.policy.directories = vec![grant]);
    let create = activity_on_wasi(
        "(call $number (i64.extend_i32_u (call $path_open (i32.const 3) (i32.const 0) (i32.const 3400) (i32.const 4) (i32.const 1)
            (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 200))))",
    );
    assert_eq!(run(&host, &create).await.unwrap(), "0");
    assert!(directory.join("work").exists());

    let read = activity_on_wasi("(call $read_file)");
    for target in ["../secret", outside.path().join("secret").to_str().unwrap()] {
        std::os::unix::fs::symlink(target, directory.join("data.json")).unwrap();
        // An error number, not the content of the file.
        let errno: u32 = run(&host, &read).await.unwrap().parse().unwrap();
        assert_ne!(errno, 0, "{target}");
        std::fs::remove_file(directory.join("data.json")).unwrap();
    }
    // Nor is a file created through a link.
    std::fs::remove_file(directory.join("work")).unwrap();
    std::os::unix::fs::symlink("../made", directory.join("work")).unwrap();
    assert_ne!(run(&host, &create).await.unwrap(), "0");
    assert!(!outside.path().join("made").exists());
}

#[tokio::test]
async fn a_version_may_have_a_policy_of_its_own_and_secrets_are_for_activities() {
    use dacapo_wasm::{AllowList, Policy, Secret};
    let count = "(drop (call $environ (i32.const 200) (i32.const 204))) (call $number (i64.load32_u (i32.const 200)))";
    let secret =
        Secret { name: "KEY".into(), value: "s3cret".into(), hosts: AllowList::default(), environment: Some("KEY".into()) };
    let host = Host::with(|setup| setup.policy.secrets = vec![secret.clone()]);
    let activity = activity_on_wasi(count);
    assert_eq!(run(&host, &activity).await.unwrap(), "1");
    assert_eq!(host.outcome(&on_wasi(count)).unwrap(), "0", "never an orchestrator");
    let version = host.deploy(&activity);
    host.tenant.set_policy(Policy { secrets: vec![secret], ..Policy::default() }, [(version, Policy::default())].into());
    assert_eq!(run(&host, &activity).await.unwrap(), "0");
}

#[tokio::test]
async fn an_activity_has_real_time() {
    let host = Host::new();
    let begun = std::time::Instant::now();
    let slept = run(&host, &activity_on_wasi("(call $sleep (i64.const 50000000)) (call $number (call $time (i32.const 0)))"))
        .await
        .unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_millis(50));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.as_nanos() - slept.parse::<u128>().unwrap() < 10_000_000_000);
}

/// An instance had grown its memory and a table, spent fuel and read its environment: with less of each it once diverged from its
/// history. With fewer table elements it would have taken another branch, unnoticed if that had caused no action.
#[test]
fn a_replay_is_given_what_was_recorded_and_not_what_is_configured_now() {
    // The timer's delay shows what it notices: whether its memory and its table could grow, and the number of its variables.
    let guest = on_wasi(
        "(local $noticed i32)
         (drop (call $environ (i32.const 200) (i32.const 204)))
         (local.set $noticed (i32.mul (i32.load (i32.const 200)) (i32.const 100)))
         (if (i32.eq (memory.grow (i32.const 40)) (i32.const -1))
            (then (local.set $noticed (i32.add (local.get $noticed) (i32.const 1)))))
         (if (i32.eq (table.grow $table (ref.null func) (i32.const 500)) (i32.const -1))
            (then (local.set $noticed (i32.add (local.get $noticed) (i32.const 10)))))
         (call $spin (i32.const 100000))
         (call $wait_for (call $timer (f64.add (call $now) (f64.convert_i32_u (i32.mul (local.get $noticed) (i32.const 1000))))))
         (call $await_event)
         (drop (call $environ (i32.const 200) (i32.const 204)))
         (call $number (i64.extend_i32_u (i32.load (i32.const 200))))",
    );
    let host = Host::with(|setup| {
        setup.policy.environment = vec![("A".into(), "1".into()), ("B".into(), "2".into())];
    });
    let version = host.deploy(&guest);
    let histories = [true, false].map(|hot| {
        host.tenant.set_policy(host.policy(), HashMap::new());
        let mut instance = Instance::new(&host, version, hot);
        instance.start();
        assert_eq!(instance.timers(), [200]);
        let Policy { limits, .. } = host.policy();
        let less = GuestLimits {
            orchestrator_memory_bytes: limits.orchestrator_memory_bytes / 4,
            table_elements: 100,
            fuel_per_turn: 100_000,
            ..limits
        };
        let execution = Limits { tasks: 1, payload_bytes: 10, ..Limits::default() };
        host.tenant.set_policy(Policy { limits: less, execution, ..Policy::default() }, HashMap::new());
        instance.fire(0);
        instance.go();
        assert_eq!(instance.output(), "2");
        instance.history
    });
    assert_eq!(histories[0], histories[1]);

    let mut other = Instance::of_execution(&host, version, true, 8);
    other.start();
    assert_eq!(other.outcome().unwrap().unwrap_err().error_type, "FuelExhausted", "a new execution has the new limits");
}
