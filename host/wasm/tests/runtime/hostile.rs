//! Guests that attack the boundary: each is stopped soon, with an error that says why.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dacapo_core::Failure;
use dacapo_wasm::Checkpoint;

use crate::activities;
use crate::entities::Entity;
use crate::guest::{Guest, Kind};
use crate::wasi;
use crate::world::Host;

/// A host with limits high enough for an attack to reach the one that is tested.
fn generous() -> Host {
    Host::with(|setup| {
        setup.policy.limits.fuel_per_turn = 200_000_000;
        setup.policy.limits.activity_time = Duration::from_millis(300);
        setup.policy.execution.payload_bytes = 1_000;
    })
}

#[track_caller]
fn expect(failure: &Failure, error_type: &str, message: &str) {
    assert_eq!(failure.error_type, error_type, "{failure:?}");
    assert!(failure.message.contains(message), "{failure:?}");
}

#[test]
fn a_module_has_one_memory() {
    let guest = Guest { more: "(memory $second 1)", ..Guest::default() };
    let refused = Host::new().runtime.prepare(&guest.module()).unwrap_err().to_string();
    assert!(refused.contains("memories count of 2 exceeds the per-instance limit of 1"), "{refused}");
}

#[test]
fn all_tables_together_are_held_to_the_limit() {
    let guest = Guest {
        more: "(table $second 0 funcref)",
        orchestrator: "(if (i32.eq (table.grow $table (ref.null func) (i32.const 600)) (i32.const -1)) (then unreachable))
            (call $number (i64.extend_i32_u (i32.eq (table.grow $second (ref.null func) (i32.const 600)) (i32.const -1))))",
        ..Guest::default()
    };
    assert_eq!(Host::new().outcome(&guest).unwrap(), "1");
}

#[test]
fn what_the_host_does_for_a_guest_costs_it_fuel() {
    // Each call is a few instructions for the guest and much work for the host.
    for body in [
        "(loop $again (call $log (i32.const 2) (i32.const 100000) (i32.const 100000)) (br $again)) (call $done)",
        "(loop $again (call $random (i32.const 65536) (i32.const 80)) (global.set $heap (i32.const 16384)) (br $again)) (call $done)",
        "(loop $again (drop (call $now)) (br $again)) (call $done)",
    ] {
        let passes = Arc::new(AtomicU32::new(0));
        let counted = passes.clone();
        let host = Host::with(|setup| {
            setup.policy.limits.fuel_per_turn = 20_000_000;
            setup.checkpoint = Checkpoint::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                ControlFlow::Continue(())
            });
        });
        expect(&host.outcome(&Guest::orchestrator(body)).unwrap_err(), "FuelExhausted", "units of fuel");
        // The guest yields during the host's work, too: a checkpoint follows each 5,000 units, or each call of 100,200.
        let passes = passes.load(Ordering::Relaxed);
        assert!(passes > 20_000_000 / 100_200, "{body}: {passes} checkpoints");
    }
    let printing = "(loop $again (call $print (i32.const 1) (i32.const 100000) (i32.const 4000)) (br $again)) (call $done)";
    expect(&Host::new().outcome(&wasi::on_wasi(printing)).unwrap_err(), "FuelExhausted", "units of fuel");
}

/// A guest that touches a new page, which the kernel has to clear, every few instructions once held its thread a hundred times as
/// long as one that computes: it yielded only after a million units of fuel. The duration of the units between two checkpoints
/// cannot be bounded, but their number can.
#[test]
fn between_two_checkpoints_there_is_little_fuel_whatever_it_is_spent_on() {
    let touching = "(drop (memory.grow (i32.const 1000)))
        (loop $again
          (i32.store (global.get $heap) (i32.const 1))
          (global.set $heap (i32.add (global.get $heap) (i32.const 4096)))
          (if (i32.gt_u (global.get $heap) (i32.const 65000000)) (then (global.set $heap (i32.const 16384))))
          (br $again)) (call $done)";
    for body in [touching, "(loop $again (br $again)) (call $done)"] {
        let passes = Arc::new(AtomicU32::new(0));
        let counted = passes.clone();
        let host = Host::with(|setup| {
            setup.policy.limits.fuel_per_turn = 2_000_000;
            setup.policy.limits.orchestrator_memory_bytes = 128 << 20;
            setup.checkpoint = Checkpoint::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                ControlFlow::Continue(())
            });
        });
        expect(&host.outcome(&Guest::orchestrator(body)).unwrap_err(), "FuelExhausted", "units of fuel");
        let passes = passes.load(Ordering::Relaxed);
        assert!(passes >= 40, "{body}: {passes} checkpoints in 2,000,000 units");
    }
}

/// A turn can be stopped inside a loop, or between two host calls.
#[test]
fn a_guest_that_is_stopped_at_a_checkpoint_is_gone() {
    for body in ["(loop $again (br $again)) (call $done)", "(loop $again (drop (call $now)) (br $again)) (call $done)"] {
        let passes = AtomicU32::new(0);
        let host = Host::with(|setup| {
            setup.policy.limits.fuel_per_turn = u64::MAX;
            setup.checkpoint = Checkpoint::new(move || match passes.fetch_add(1, Ordering::Relaxed) {
                0..100 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            });
        });
        expect(&host.outcome(&Guest::orchestrator(body)).unwrap_err(), "Trap", "the host stops");
    }
}

#[test]
fn an_operation_of_an_entity_has_the_same_fuel_for_the_host() {
    let guest =
        Guest::entity("(loop $again (call $log (i32.const 2) (i32.const 100000) (i32.const 100000)) (br $again)) (call $done)");
    let host = Host::new();
    let failure = Entity::of(&host, &guest).run("do", "1").unwrap_err();
    expect(&failure, "FuelExhausted", "one operation may spend");
}

#[tokio::test]
async fn no_more_is_copied_at_once_than_a_payload_may_have() {
    let body = "(drop (memory.grow (i32.const 30)))
        (call $log (i32.const 2) (i32.const 100000) (i32.const 2000000)) (call $done)";
    let host = generous();
    expect(&host.outcome(&Guest::orchestrator(body)).unwrap_err(), "LimitExceeded", "in one call");
    expect(&activities::run(&host, &Guest::activity(body)).await.unwrap_err(), "LimitExceeded", "in one call");
    // Nor for an output, and one that is a little too large is refused with its size.
    let output = "(drop (memory.grow (i32.const 30))) (call $ok (i32.const 100000) (i32.const 2000000))";
    expect(&activities::run(&host, &Guest::activity(output)).await.unwrap_err(), "LimitExceeded", "in one call");
    let output = "(call $ok (i32.const 100000) (i32.const 1001))";
    let failure = activities::run(&host, &Guest::activity(output)).await.unwrap_err();
    assert!(failure.message.contains("1001 bytes"), "{failure:?}");
}

#[tokio::test]
async fn resources_are_bounded() {
    let hoard = "(loop $again (drop (call $subscribe (i64.const 0))) (br $again)) (call $done)";
    let host = generous();
    expect(&host.outcome(&wasi::polling(hoard)).unwrap_err(), "Trap", "table");
    let activity = Guest { activity: hoard, orchestrator: "(call $done)", ..wasi::polling("(call $done)") };
    expect(&activities::run(&host, &activity).await.unwrap_err(), "Trap", "table");
}

#[test]
fn polling_thousands_of_pollables_costs_fuel() {
    // 5,000 handles in a list, polled repeatedly: all are ready.
    let body = "(local $n i32)
        (loop $more
            (i32.store (i32.add (i32.const 100000) (i32.mul (local.get $n) (i32.const 4))) (call $subscribe (i64.const 0)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $n) (i32.const 5000))))
        (loop $again
            (global.set $heap (i32.const 16384))
            (call $poll (i32.const 100000) (i32.const 5000) (i32.const 80))
            (br $again))
        (call $done)";
    let host = Host::with(|setup| setup.policy.limits.fuel_per_turn = 20_000_000);
    expect(&host.outcome(&wasi::polling(body)).unwrap_err(), "FuelExhausted", "units of fuel");
}

#[test]
fn forged_handles_are_refused() {
    for body in [
        "(call $outcome (i32.const 99) (i32.const 100)) (call $done)",
        "(call $drop_task (i32.const 0)) (call $done)",
        "(call $drop_task (i32.const -1)) (call $done)",
        // A handle of a task, dropped twice, or used after it was dropped.
        "(local $t i32) (local.set $t (call $call_work)) (call $drop_task (local.get $t)) (call $drop_task (local.get $t)) (call $done)",
        "(local $t i32) (local.set $t (call $call_work)) (call $drop_task (local.get $t)) (call $outcome (local.get $t) (i32.const 100)) (call $done)",
    ] {
        expect(&Host::new().outcome(&Guest::orchestrator(body)).unwrap_err(), "Trap", "handle");
    }
    // The handle of another kind of resource.
    let body = "(drop (call $subscribe (i64.const 0))) (call $outcome (i32.const 1) (i32.const 100)) (call $done)";
    expect(&Host::new().outcome(&wasi::polling(body)).unwrap_err(), "Trap", "handle");
}

#[test]
fn a_realloc_that_lies_or_traps_is_a_trap() {
    for body in [
        // It returns an address that is outside or not aligned, or the text is not at the given address.
        "(global.set $heap (i32.const -16)) (call $random (i32.const 1000) (i32.const 80)) (call $done)",
        "(call $random (i32.const 10) (i32.const -4)) (call $done)",
        "(call $log (i32.const 2) (i32.const -4) (i32.const 100)) (call $done)",
        "(call $log (i32.const 2) (i32.const 0) (i32.const -1)) (call $done)",
        "(call $log (i32.const 99) (i32.const 3400) (i32.const 4)) (call $done)",
        // Invalid pointers to results, and an invalid result.
        "(i32.const -4)",
        "(call $ok (i32.const -4) (i32.const 100))",
        "(i32.store8 (i32.const 16) (i32.const 9)) (i32.const 16)",
    ] {
        let failure = Host::new().outcome(&Guest::orchestrator(body)).unwrap_err();
        assert!(matches!(failure.error_type.as_str(), "Trap" | "LimitExceeded"), "{body}: {failure:?}");
    }
}

#[test]
fn a_stack_that_is_used_up_at_a_host_call_is_a_stack_overflow() {
    let guest = Guest {
        more: "(func $dive (param i32) (result f64)
            (f64.add (call $now) (f64.add (call $dive (local.get 0)) (call $now))))",
        orchestrator: "(drop (call $dive (i32.const 0))) (call $done)",
        ..Guest::default()
    };
    expect(&generous().outcome(&guest).unwrap_err(), "StackOverflow", "a stack of 262144 bytes");
}

#[tokio::test]
async fn an_activity_that_only_logs_meets_its_deadline() {
    let body = "(loop $again (call $log (i32.const 2) (i32.const 100000) (i32.const 100000)) (br $again)) (call $done)";
    expect(&activities::run(&generous(), &Guest::activity(body)).await.unwrap_err(), "Timeout", "300ms");
}

#[test]
fn describe_cannot_flood_or_stall_a_deployment() {
    // The limits of the runtime are those of these tests: what matters is that there are some.
    let refused =
        |describe| Host::new().runtime.prepare(&Guest { describe, ..Guest::default() }.module()).unwrap_err().to_string();
    let calls =
        refused("(loop $again (call $log (i32.const 2) (i32.const 100000) (i32.const 100000)) (br $again)) (i32.const 8)");
    assert!(calls.contains("FuelExhausted"), "{calls}");
    // A list of many functions, all with the same empty name.
    let many = refused("(i32.store (i32.const 8) (i32.const 100000)) (i32.store (i32.const 12) (i32.const 10001)) (i32.const 8)");
    assert!(many.contains("it describes 10001 functions, 10000 are allowed"), "{many}");
    let lies =
        refused("(i32.store (i32.const 8) (i32.const 100000)) (i32.store (i32.const 12) (i32.const 100000000)) (i32.const 8)");
    assert!(lies.contains("`describe` failed"), "{lies}");
}

#[test]
fn components_within_components_are_refused_before_they_are_compiled() {
    let host = Host::new();
    let refused = |wat: String| host.runtime.prepare(&wat::parse_str(wat).unwrap()).unwrap_err().to_string();
    let deep = refused(format!("{}{}", "(component ".repeat(50), ")".repeat(50)));
    assert!(deep.contains("more complex than this host compiles"), "{deep}");
    let wide = refused(format!("(component {})", "(component)".repeat(1_000)));
    assert!(wide.contains("more complex than this host compiles"), "{wide}");
    // A guest with more memories than a slot of the pool has, and functions with the same name.
    let memories = Guest {
        more: "(memory 0) (memory 0) (memory 0) (memory 0) (memory 0) (memory 0) (memory 0) (memory 0)",
        ..Guest::default()
    };
    assert!(host.runtime.prepare(&memories.module()).is_err());
    let functions = vec![("main", Kind::Orchestrator); 3];
    assert!(host.runtime.prepare(&Guest { functions, ..Guest::default() }.module()).is_err());
}

/// Slots are used again, by guests of any tenant.
#[tokio::test]
async fn a_guest_finds_nothing_of_the_one_that_had_its_place_before() {
    // In pages that a slot keeps, in pages that it returns to the system, in grown memory, and in a global.
    let look = "(local $seen i64)
        (drop (memory.grow (i32.const 1)))
        (local.set $seen (i64.or (i64.load (i32.const 12000)) (i64.load (i32.const 400000))))
        (local.set $seen (i64.or (local.get $seen) (i64.or (i64.load (i32.const 524288)) (global.get $kept))))";
    let leave = "(i64.store (i32.const 12000) (i64.const 7)) (i64.store (i32.const 400000) (i64.const 7))
        (i64.store (i32.const 524288) (i64.const 7)) (global.set $kept (i64.const 7))";
    let guest = |leave: &str| -> Guest {
        let body = format!("{look} {leave} (call $number (local.get $seen))");
        Guest { more: "(global $kept (mut i64) (i64.const 0))", ..Guest::activity(body.leak()) }
    };
    let host = Host::new();
    let (messy, curious) = (host.deploy(&guest(leave)), host.deploy(&guest("")));
    // More often than there are slots.
    for version in [messy, curious].repeat(40) {
        assert_eq!(activities::run_version(&host, version).await.unwrap(), "0");
    }
}
