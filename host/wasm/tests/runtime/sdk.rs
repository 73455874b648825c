//! Guests made with the Rust SDK. They are built by the end-to-end tests (`tests/src/guests.rs`); a check here is skipped, with a
//! message, if its guest is not built.

use std::path::Path;

use dacapo_core::{Event, Seq, VersionId};

use crate::entities::Entity;
use crate::world::{Host, Instance, START};

/// Deploys a built guest.
fn deployed(name: &str) -> Option<(Host, VersionId)> {
    let file = format!("../../target/guests/wasm32-unknown-unknown/guest/{name}.wasm");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: {} is not built", path.display());
        return None;
    };
    let host = Host::with(|setup| {
        setup.policy.limits = dacapo_wasm::GuestLimits { fuel_per_turn: 200_000_000, ..setup.policy.limits.clone() }
    });
    let version = host.runtime.prepare(&bytes).unwrap_or_else(|why| panic!("{why}")).version;
    Some((host, version))
}

#[test]
fn the_hello_sequence_runs() {
    let Some((host, version)) = deployed("example_hello_sequence") else { return };
    let mut instance = Instance::named(&host, version, "Hello_Sequence", "null");
    instance.start();
    for seq in 0..3 {
        instance.turn([Event::TaskCompleted { seq: Seq(seq), result: "\"hi\"".into() }]);
    }
    assert_eq!(instance.output(), r#"["hi","hi","hi"]"#);
}

#[test]
fn what_breaks_an_sdk_guest_is_named() {
    let Some((host, version)) = deployed("fixture_probe") else { return };
    let cases = [
        ("loop_forever", "FuelExhausted"),
        ("allocate_forever", "OutOfMemory"),
        ("recurse_forever", "StackOverflow"),
        ("trap", "Trap"),
        ("panic", "Panic"),
        // The SDK detects this before the host has to.
        ("wait_on_nothing", "NothingToWaitFor"),
    ];
    for (name, error_type) in cases {
        let mut instance = Instance::named(&host, version, name, "null");
        instance.start();
        let failure = instance.outcome().expect(name).expect_err(name);
        assert_eq!(failure.error_type, error_type, "{name}: {failure:?}");
    }
}

#[test]
fn wasi_in_an_orchestrator_is_deterministic_or_refused() {
    let Some((host, version)) = deployed("fixture_wasi_probe") else { return };
    for name in ["wasi_clocks", "wasi_random", "wasi_environment", "wasi_output", "wasi_files"] {
        let mut instance = Instance::named(&host, version, name, "null");
        instance.start().turn([Event::TaskCompleted { seq: Seq(0), result: "null".into() }]);
        assert!(instance.outcome().expect(name).is_ok(), "{name}");
    }
    for name in ["wasi_sockets", "wasi_name_lookup", "wasi_http"] {
        let mut instance = Instance::named(&host, version, name, "null");
        let failure = instance.start().outcome().expect(name).expect_err(name);
        assert!(
            failure.message.contains("an orchestrator may not use wasi:") && failure.message.ends_with("do it in an activity"),
            "{failure:?}"
        );
    }
    let mut instance = Instance::named(&host, version, "wasi_sleep", "4000");
    instance.start().fire(0).fire(1);
    assert_eq!(instance.output(), r#"{"first_ms":4000,"second_ms":4000}"#);
    let mut instance = Instance::named(&host, version, "wasi_poll", "null");
    instance.start().fire(1);
    assert_eq!(instance.output(), "[1]");
}

#[test]
fn what_breaks_an_operation_of_an_sdk_guest_is_named() {
    let Some((host, version)) = deployed("fixture_probe") else { return };
    let only_orchestrators = "only orchestrators may call";
    let cases = [
        ("panic", "\"oh no\"", "Panic", "oh no"),
        ("trap", "null", "Trap", "`unreachable`"),
        ("loop_forever", "null", "FuelExhausted", "that one operation may spend"),
        ("allocate_forever", "null", "OutOfMemory", "4194304 are allowed"),
        ("recurse_forever", "null", "StackOverflow", "262144 bytes"),
        ("fail", "null", "ProbeError", "the probe's entity fails"),
        ("send_and_fail", r#"{"ledger":"a","instance":"i"}"#, "ProbeError", "after it has sent"),
        ("send_and_panic", r#"{"ledger":"a","instance":"i"}"#, "Panic", "after it has sent"),
        ("sleep", "1000", "Trap", "must not wait or sleep"),
        ("wait", "null", "Trap", "only orchestrators may call wait: "),
        ("create_timer", "null", "Trap", only_orchestrators),
        ("call_activity", "null", "Trap", only_orchestrators),
        ("call_entity", "null", "Trap", only_orchestrators),
        ("lock_entities", "null", "Trap", only_orchestrators),
        ("call_http", "null", "Trap", only_orchestrators),
        ("continue_as_new", "null", "Trap", only_orchestrators),
        ("set_custom_status", "null", "Trap", only_orchestrators),
        ("links", "null", "Trap", "only activities may call links"),
        ("http", "null", "Trap", "an entity may not use wasi:http/types."),
        ("invalid_output", "null", "InvalidOutput", "the output is not JSON"),
        ("invalid_state", "null", "InvalidOutput", "the state is not JSON"),
        ("grow", "\"x\"", "InvalidInput", "`Rogue.grow` cannot read its input"),
        ("no_such_operation", "null", "OperationNotFound", "the entity `rogue` has no operation `no_such_operation`"),
    ];
    for (operation, input, error_type, message) in cases {
        let failure = Entity::start(&host, version, "rogue").unwrap().run(operation, input).expect_err(operation);
        assert_eq!(failure.error_type, error_type, "{operation}: {failure:?}");
        assert!(failure.message.contains(message), "{operation}: {failure:?}");
    }
    assert!(Entity::start(&host, version, "rogue").unwrap().run("flood", "null").is_err(), "a limit ends it");
}

#[test]
fn operations_of_an_sdk_guest_lead_from_state_to_state() {
    let Some((host, version)) = deployed("fixture_probe") else { return };
    let mut ledger = Entity::start(&host, version, "ledger").unwrap();
    assert_eq!(ledger.run("append", "[1]").unwrap(), "1");
    assert_eq!(ledger.run("APPEND", "\"two\"").unwrap(), "2");
    assert_eq!(ledger.run("entries", "null").unwrap(), r#"[[1],"two"]"#);
    assert_eq!(ledger.state.as_deref(), Some(r#"{"entries":[[1],"two"]}"#));
    ledger.run("delete", "null").unwrap();
    assert_eq!(ledger.state, None);

    let mut rogue = Entity::start(&host, version, "rogue").unwrap();
    assert!(rogue.run("sleep_not_at_all", "null").is_ok());
    assert_eq!(rogue.run("unlock_entities", "null").unwrap(), "false");
    let seen = [0; 2].map(|_| serde_json::from_str::<serde_json::Value>(&rogue.run("seen", "null").unwrap()).unwrap());
    let wall = (START * 1000).to_string();
    for (member, value) in [
        ("id", "\"@rogue@a\""),
        ("instance_id", "\"@rogue@a\""),
        ("version", "\"\""),
        ("parent", "false"),
        ("is_replaying", "false"),
        ("wall_ms", &wall),
    ] {
        assert_eq!(seen[0][member].to_string(), value, "{member}");
    }
    for member in ["guids", "random", "wasi_random", "wasi_insecure"] {
        assert_ne!(seen[0][member], seen[1][member], "{member}");
    }
    assert_ne!(seen[0]["guids"][0], seen[0]["guids"][1]);
}

#[test]
fn the_entities_of_the_examples_run() {
    let Some((host, version)) = deployed("example_counter") else { return };
    let mut counter = Entity::start(&host, version, "counter").unwrap();
    assert_eq!([0; 2].map(|_| counter.run("add", "2").unwrap()), ["2", "4"]);
    assert_eq!((counter.run("reset", "null").unwrap(), counter.run("get", "null").unwrap()), ("null".into(), "0".into()));

    let Some((host, version)) = deployed("example_account_transfer") else { return };
    let mut account = Entity::start(&host, version, "account").unwrap();
    account.run("deposit", "100").unwrap();
    let failure = account.run("withdraw", "101").unwrap_err();
    assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("InsufficientFunds", "a holds 100 and not 101"));
    assert_eq!(account.run("withdraw", "99").unwrap(), "1");

    let Some((host, version)) = deployed("example_aggregator") else { return };
    let mut aggregator = Entity::start(&host, version, "aggregator").unwrap();
    for value in ["1", "3", "2"] {
        aggregator.run("record", value).unwrap();
    }
    let summary = r#"{"count":3,"sum":6.0,"min":1.0,"max":3.0,"last":2.0}"#;
    assert_eq!(aggregator.run("summary", "null").unwrap(), summary);
    aggregator.run("flush", "null").unwrap();
    let report = format!("[{{\"until\":\"2023-11-14T22:13:20.000Z\",{}]", &summary[1..]);
    assert_eq!(aggregator.run("reports", "null").unwrap(), report);
    assert!(aggregator.logs().contains(&"a: 3 measurements".to_owned()));
}
