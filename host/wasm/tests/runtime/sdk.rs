//! Guests that the Rust SDK made. They are built by the tests of the whole (`tests/src/guests.rs`); a check here is left
//! out, with a word, while they are not there.

use std::path::Path;

use dacapo_core::{Event, Seq, VersionId};

use crate::world::{Host, Instance};

/// Deploys a built guest.
fn deployed(name: &str) -> Option<(Host, VersionId)> {
    let file = format!("../../target/guests/wasm32-unknown-unknown/guest/{name}.wasm");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("left out: {} is not built", path.display());
        return None;
    };
    let host =
        Host::with(|config| config.limits = dacapo_wasm::GuestLimits { fuel_per_turn: 200_000_000, ..config.limits.clone() });
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
        // The SDK notices before the host has to.
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
