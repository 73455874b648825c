//! Wasm files that no compiler would produce.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hyper::Method;
use hyper::body::Bytes;

use super::attacker::{Attacker, Tally};
use super::attacks::{Expected, Played};

/// The first bytes of a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Deeply nested components.
pub fn nested() -> Vec<u8> {
    (0..5_000).fold(COMPONENT.to_vec(), |inner, _| {
        const COMPONENT_SECTION: u8 = 4;
        [COMPONENT, &[COMPONENT_SECTION], &leb(inner.len()), &inner].concat()
    })
}

/// A component with a hundred thousand types.
pub fn wide() -> Vec<u8> {
    const TYPE_SECTION: u8 = 7;
    const COUNT: usize = 100_000;
    const STRING: u8 = 0x73;
    let types = [leb(COUNT), vec![STRING; COUNT]].concat();
    [COMPONENT, &[TYPE_SECTION], &leb(types.len()), &types].concat()
}

/// Functions with many long-lived values, none of which can be optimised away: much work for the register allocator.
pub fn slow() -> Vec<u8> {
    const VALUES: usize = 800;
    const FUNCTIONS: usize = 1_000;
    let multiply = |n: usize| format!("(local.set {n} (i64.mul (local.get {}) (local.get 7)))", (n * 31) % VALUES);
    let store = |n: usize| format!("(i64.store (i32.const {}) (local.get {n}))", n * 8);
    let body: String = (0..VALUES).map(multiply).chain((0..VALUES).map(store)).collect();
    let function = format!("(func (param i64) (local {}) {body})", "i64 ".repeat(VALUES));
    app(&function.repeat(FUNCTIONS), "(i32.const 8)", "(call $done)")
}

/// Deeply nested blocks, with as many values on the stack.
pub fn deep() -> Vec<u8> {
    const DEPTH: usize = 100_000;
    let sum = format!("{}{}", "i32.const 1 ".repeat(DEPTH), "i32.add ".repeat(DEPTH - 1));
    let function = format!("(func {} {} {sum} drop)", "block ".repeat(DEPTH), "end ".repeat(DEPTH));
    app(&function, "(i32.const 8)", "(call $done)")
}

pub fn memory() -> Vec<u8> {
    app("(memory $more 65536)", "(i32.const 8)", "(call $done)")
}

pub fn table() -> Vec<u8> {
    app("(table 10000000 funcref)", "(i32.const 8)", "(call $done)")
}

pub fn start() -> Vec<u8> {
    app("(func $for_ever (loop $again (br $again))) (start $for_ever)", "(i32.const 8)", "(call $done)")
}

/// A function list that claims four thousand million entries.
pub fn describe() -> Vec<u8> {
    app("", "(i32.store (i32.const 12) (i32.const -1)) (i32.const 8)", "(call $done)")
}

/// Task handles that the instance does not have: made up, already dropped, or another instance's.
pub fn handles(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        let deployed = connection.send(Method::POST, "/admin/apps/handles", handle_app()).await?;
        ensure!(deployed.status == 200, "{:?}", deployed.body);
        // An instance that has handles, whose numbers the others try.
        let holds = connection.manage(Method::POST, "orchestrators/evil/holder", r#""hold""#).await?;
        ensure!(holds.status == 202, "{:?}", holds.body);
        for input in ["null", r#""forge""#, r#""drop-it""#] {
            let answer = attacker.run(&mut connection, "evil", &serde_json::from_str(input)?).await?;
            let (got, held) = Expected::Failure("handle").judge(&answer);
            tally.count(&got, held);
        }
        let holder = connection.manage(Method::GET, "instances/holder", "").await?;
        tally.count("the holder of a handle still waits", holder.status == 202);
        Ok(())
    })
}

/// The length of the input selects what the orchestrator does: hold a handle and wait, or wait for a handle that it never had,
/// that does not exist, or that it has dropped.
fn handle_app() -> Vec<u8> {
    let orchestrator = r#"(local $handle i32)
        (local.set $handle (i32.const 1))
        (if (i32.eq (local.get 3) (i32.const 7)) (then (local.set $handle (i32.const 4711))))
        (if (i32.eq (local.get 3) (i32.const 6)) (then (local.set $handle (call $event (i32.const 200) (i32.const 4)))))
        (if (i32.eq (local.get 3) (i32.const 9)) (then
            (local.set $handle (call $event (i32.const 200) (i32.const 4)))
            (call $drop (local.get $handle))))
        (i32.store (i32.const 64) (local.get $handle))
        (call $wait (i32.const 64) (i32.const 1) (i32.const 80))
        (call $done)"#;
    app("", "(i32.const 8)", orchestrator)
}

/// Endless garbage-collected objects, and so many live ones that nearly every allocation starts a collection.
pub fn objects(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        let deployed = connection.send(Method::POST, "/admin/apps/objects", object_app()).await?;
        ensure!(deployed.status == 200, "{:?}", deployed.body);
        for (input, expected) in [("null", "of memory"), (r#""thrash""#, "fuel_per_turn"), (r#""throw""#, "an exception")] {
            let answer = attacker.run(&mut connection, "evil", &serde_json::from_str(input)?).await?;
            let (got, held) = Expected::Failure(expected).judge(&answer);
            tally.count(&got, held);
        }
        Ok(())
    })
}

/// The length of the input selects what the orchestrator does.
fn object_app() -> Vec<u8> {
    let more = "
        (type $node (struct (field i64) (field (ref null $node))))
        (tag $oops)
        (global $kept (mut (ref null $node)) (ref.null $node))
        (func $keep (param $count i32)
            (loop $more
                (global.set $kept (struct.new $node (i64.const 7) (global.get $kept)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $more (local.get $count))))";
    let orchestrator = "
        (if (i32.eq (local.get 3) (i32.const 4)) (then (loop $again (call $keep (i32.const 1000)) (br $again))))
        (if (i32.eq (local.get 3) (i32.const 7)) (then (throw $oops)))
        (call $keep (i32.const 16000))
        (loop $again (drop (struct.new $node (i64.const 7) (ref.null $node))) (br $again))
        (call $done)";
    app(more, "(i32.const 8)", orchestrator)
}

/// As many waiting guests as the host allows, each of which takes several slots.
pub fn guests_of_many_parts(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        let deployed = connection.send(Method::POST, "/admin/apps/parts", many_tables()).await?;
        ensure!(deployed.status == 200, "{:?}", deployed.body);
        loop {
            let id = attacker.fresh_id();
            let started = connection.manage(Method::POST, &format!("orchestrators/evil/{id}"), "1").await?;
            tally.count(&started.status.to_string(), matches!(started.status, 202 | 429));
            if started.status == 202 {
                // It waits for its event or for a free slot: the host's shortage must not fail a guest.
                let status = connection.manage(Method::GET, &format!("instances/{id}"), "").await?;
                tally.count(if status.status == 202 { "waits" } else { "ended" }, status.status == 202);
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

/// Makes the host compile something slow, and disconnects.
pub fn abandoned(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const PATIENCE: Duration = Duration::from_millis(200);
    Box::pin(async move {
        let module = Bytes::from(slow());
        loop {
            let mut connection = attacker.connect().await?;
            let answered = connection.send(Method::POST, "/admin/apps/evil", module.clone());
            match tokio::time::timeout(PATIENCE, answered).await {
                Ok(Ok(answer)) => tally.count(&answer.status.to_string(), true),
                Ok(Err(_cut_off)) => tally.count("cut off", true),
                Err(_elapsed) => tally.count("gone before the answer", true),
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

/// An app whose guests take several slots each and wait for an event named `null`.
pub fn many_tables() -> Vec<u8> {
    let orchestrator = "
        (i32.store (i32.const 400) (call $event (i32.const 300) (i32.const 4)))
        (call $wait (i32.const 400) (i32.const 1) (i32.const 408))
        (call $done)";
    app(&"(table 1 funcref)".repeat(8), "(i32.const 8)", orchestrator)
}

pub fn junk() -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend((0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

/// An app with one orchestrator, `evil`, written against the canonical ABI.
pub fn app(more: &str, describe: &str, orchestrator: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
        (import "dacapo:guest/orchestration@0.1.0" "wait" (func $wait (param i32 i32 i32)))
        (import "dacapo:guest/orchestration@0.1.0" "wait-for-external-event" (func $event (param i32 i32) (result i32)))
        (import "dacapo:guest/orchestration@0.1.0" "[resource-drop]task" (func $drop (param i32)))
        (memory (export "memory") 2)
        {more}
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func $done (result i32)
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 300))
            (i32.store (i32.const 24) (i32.const 4))
            (i32.const 16))
        (func (export "describe") (result i32) {describe})
        (func (export "run-orchestrator") (param i32 i32 i32 i32) (result i32) {orchestrator})
        (func (export "run-activity") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (call $done))
        (func (export "run-entity-operation") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (data (i32.const 8) "\64\00\00\00\01\00\00\00")
        (data (i32.const 100) "\c8\00\00\00\04\00\00\00\00\00\00\00")
        (data (i32.const 200) "evil")
        (data (i32.const 300) "null"))"#
    );
    wat::parse_str(wat).expect("it is WAT")
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
