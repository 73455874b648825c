//! Guests with garbage-collected objects and exceptions, as Kotlin compiles to them.

use dacapo_core::Failure;

use crate::activities;
use crate::entities::Entity;
use crate::guest::{Guest, Kind};
use crate::world::{Host, Instance};

/// A list of numbers in objects, and objects that become garbage.
const LISTS: &str = "
    (type $node (struct (field i64) (field (ref null $node))))
    (type $bytes (array (mut i8)))
    (global $list (mut (ref null $node)) (ref.null $node))
    (func $build (param $n i64)
        (loop $more
            (global.set $list (struct.new $node (local.get $n) (global.get $list)))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $more (i64.ne (local.get $n) (i64.const 0)))))
    (func $litter (param $n i32)
        (loop $more
            (drop (struct.new $node (i64.const 7) (ref.null $node)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $more (local.get $n))))
    (func $sum (result i64) (local $sum i64) (local $at (ref null $node))
        (local.set $at (global.get $list))
        (loop $more
            (local.set $sum (i64.add (local.get $sum) (struct.get $node 0 (local.get $at))))
            (local.set $at (struct.get $node 1 (local.get $at)))
            (br_if $more (i32.eqz (ref.is_null (local.get $at)))))
        (local.get $sum))
    (tag $oops)
    (func $fall (throw $oops))";

fn with_lists(orchestrator: &'static str) -> Guest {
    Guest { more: LISTS, orchestrator, ..Guest::default() }
}

#[track_caller]
fn expect(failure: &Failure, error_type: &str, message: &str) {
    assert_eq!(failure.error_type, error_type, "{failure:?}");
    assert!(failure.message.contains(message), "{failure:?}");
}

/// 20,000 garbage objects are several times the size of the heap: they are collected.
const KEEP: &str = "(call $build (i64.const 1000)) (call $litter (i32.const 20000)) (call $await_event)
    (call $litter (i32.const 20000)) (call $number (call $sum))";

#[test]
fn objects_live_as_long_as_the_guest_hot_and_cold() {
    let host = Host::new();
    let version = host.deploy(&with_lists(KEEP));
    let [hot, cold] = [true, false].map(|hot| {
        let mut instance = Instance::new(&host, version, hot);
        let first_turn = instance.start().record.usage.fuel;
        assert_eq!(instance.go().output(), "500500");
        (instance.history.clone(), first_turn, instance.record.usage.fuel)
    });
    assert_eq!(hot.0, cold.0);
    assert_eq!((hot.1, hot.2 + hot.1), (cold.1, cold.2), "a replay spends what the turn has spent");
}

#[tokio::test]
async fn activities_and_entities_have_objects_too() {
    let host = Host::new();
    let body = "(call $build (i64.const 1000)) (call $litter (i32.const 20000)) (call $number (call $sum))";
    let activity = Guest { more: LISTS, ..Guest::activity(body) };
    assert_eq!(activities::run(&host, &activity).await.unwrap(), "500500");
    let body = "(call $build (i64.const 10)) (call $litter (i32.const 20000)) (call $number (call $sum))
        (drop) (call $kept (i32.const 3000) (i32.const 4) (i32.const 3000) (i32.const 4))";
    let entity = Guest { more: LISTS, ..Guest::entity(body) };
    assert!(Entity::of(&host, &entity).run("do", "1").is_ok());
}

#[tokio::test]
async fn objects_count_as_memory() {
    let hoard = "(loop $again (call $build (i64.const 1000)) (br $again)) (call $done)";
    let host = Host::new();
    let failure = host.outcome(&with_lists(hoard)).unwrap_err();
    expect(&failure, "OutOfMemory", "of memory, 4194304 are allowed (orchestrator_memory_bytes)");
    let activity = Guest { more: LISTS, ..Guest::activity(hoard) };
    let failure = activities::run(&host, &activity).await.unwrap_err();
    expect(&failure, "OutOfMemory", "of memory, 8388608 are allowed (activity_memory_bytes)");
    let huge = "(drop (array.new_default $bytes (i32.const -1))) (call $done)";
    let host = Host::with(|setup| setup.policy.limits.fuel_per_turn = u64::MAX / 2);
    expect(&host.outcome(&with_lists(huge)).unwrap_err(), "OutOfMemory", "");
}

/// Garbage objects while nearly all memory is in use: every few hundred of them start a collection.
#[test]
fn a_guest_that_collects_all_the_time_is_stopped() {
    let thrash = "(call $build (i64.const 16000)) (loop $again (call $litter (i32.const 1000)) (br $again)) (call $done)";
    let host = Host::with(|setup| setup.policy.limits.fuel_per_turn = 50_000_000);
    let failure = host.outcome(&with_lists(thrash)).unwrap_err();
    expect(&failure, "FuelExhausted", "it computed for more than 1s, much longer than its fuel (fuel_per_turn) should last");
}

/// One instruction that initialises ten thousand fields must not cost as little as an addition. Whether the fuel or its time
/// limit is exhausted first depends on the machine.
#[test]
fn large_objects_cost_more_fuel_than_small_instructions() {
    let members = "(field i64)".repeat(10_000);
    let more = format!("(type $large (struct {members}))").leak();
    let body = "(loop $again (drop (struct.new_default $large)) (br $again)) (call $done)";
    let host = Host::with(|setup| setup.policy.limits.fuel_per_turn = 20_000_000);
    let failure = host.outcome(&Guest { more, ..Guest::orchestrator(body) }).unwrap_err();
    expect(&failure, "FuelExhausted", "");
}

#[tokio::test]
async fn an_exception_that_nothing_catches_is_a_failure() {
    let host = Host::new();
    expect(&host.outcome(&with_lists("(call $fall) (call $done)")).unwrap_err(), "Trap", "threw an exception that nothing");
    let activity = Guest { more: LISTS, ..Guest::activity("(call $fall) (call $done)") };
    expect(&activities::run(&host, &activity).await.unwrap_err(), "Trap", "threw an exception that nothing");
    let functions = vec![("main", Kind::Orchestrator)];
    let describe = "(call $fall) (i32.const 8)";
    let refused = host.runtime.prepare(&Guest { more: LISTS, functions, describe, ..Guest::default() }.module()).unwrap_err();
    assert!(refused.to_string().contains("threw an exception"), "{refused}");

    let caught = "(block $caught (try_table (catch $oops $caught) (call $fall)) (unreachable)) (call $done)";
    assert_eq!(host.outcome(&with_lists(caught)), Ok("\"ok\"".into()));
}

/// A guest's objects are in a second memory of its slot: there must be enough for a guest in each slot.
#[test]
fn as_many_guests_with_objects_as_there_are_places() {
    let host = Host::new();
    let version = host.deploy(&with_lists(KEEP));
    let mut instances: Vec<Instance<'_>> =
        (0..host.config.pool.orchestrators).map(|n| Instance::of_execution(&host, version, true, n.into())).collect();
    for instance in &mut instances {
        instance.start();
    }
    for instance in &mut instances {
        assert_eq!(instance.go().output(), "500500");
    }
}
