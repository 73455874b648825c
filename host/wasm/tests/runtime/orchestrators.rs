use std::sync::{Arc, Mutex};

use dacapo_core::execution::{Context, Execution, Limits};
use dacapo_core::{
    Event, EventDelivery, ExecutionId, Executor, FunctionName, InstanceId, NotNow, Seq, StartError, Step, Timestamp, VersionId,
};
use dacapo_wasm::PoolSize;

use crate::guest::Guest;
use crate::world::{Host, Instance};

/// Runs the guest hot and cold, and checks that the histories are the same.
fn both_ways(guest: &Guest, script: impl Fn(&mut Instance)) -> String {
    let host = Host::new();
    let version = host.deploy(guest);
    let [hot, cold] = [true, false].map(|hot| {
        let mut instance = Instance::new(&host, version, hot);
        script(instance.start());
        instance
    });
    assert_eq!(hot.history, cold.history);
    assert_eq!(hot.logs, cold.logs);
    hot.output()
}

#[test]
fn an_orchestrator_calls_an_activity_and_returns_its_output() {
    let guest = Guest::orchestrator(
        "(local $task i32)
         (local.set $task (call $call_work))
         (call $wait_for (local.get $task))
         (call $outcome (local.get $task) (i32.const 100))
         (call $drop_task (local.get $task))
         (call $ok (i32.load (i32.const 108)) (i32.load (i32.const 112)))",
    );
    let output = both_ways(&guest, |instance| {
        instance.turn([Event::TaskCompleted { seq: Seq(0), result: "[1,2]".into() }]);
    });
    assert_eq!(output, "[1,2]");
}

#[test]
fn a_durable_timer_fires_and_log_lines_are_written_once() {
    let guest = Guest::orchestrator(
        "(call $log (i32.const 2) (i32.const 3400) (i32.const 4))
         (call $wait_for (call $timer (f64.add (call $now) (f64.const 60000))))
         (call $log (i32.const 2) (i32.const 3500) (i32.const 2))
         (call $done)",
    );
    let output = both_ways(&guest, |instance| {
        assert_eq!(instance.timers(), [60]);
        instance.fire(0);
        assert_eq!(instance.logs, ["work", "Go"]);
    });
    assert_eq!(output, "\"ok\"");
}

#[test]
fn fuel_is_per_turn_hot_and_cold() {
    // Each turn spends more than half of its fuel.
    let guest = Guest::orchestrator(
        "(call $spin (i32.const 300000)) (call $await_event)
         (call $spin (i32.const 300000)) (call $await_event)
         (call $spin (i32.const 300000)) (call $await_event)
         (call $done)",
    );
    both_ways(&guest, |instance| {
        instance.go().go().go();
    });
}

/// The fuel that each turn has added to the receipt.
fn fuel_of_turns(host: &Host, guest: &Guest, hot: bool, turns: usize) -> Vec<u64> {
    let mut instance = Instance::new(host, host.deploy(guest), hot);
    instance.start();
    let mut sums = vec![instance.record.usage.fuel];
    for _ in 1..turns {
        sums.push(instance.go().record.usage.fuel);
    }
    let before = [0].into_iter().chain(sums.clone());
    before.zip(sums).map(|(before, after)| after - before).collect()
}

#[test]
fn the_receipt_holds_what_was_spent_and_a_replay_spends_it_again() {
    let host = Host::new();
    let guest = Guest::orchestrator(
        "(call $spin (i32.const 100000)) (call $await_event)
         (call $spin (i32.const 200000)) (call $await_event)
         (call $spin (i32.const 300000)) (call $done)",
    );
    let hot = fuel_of_turns(&host, &guest, true, 3);
    let [first, second, third] = hot[..] else { panic!("{hot:?}") };
    assert!((200_000..1_000_000).contains(&(second - first)), "a round is a few instructions: {hot:?}");
    assert!((third - second).abs_diff(second - first) < 1_000, "{hot:?}");
    let cold = fuel_of_turns(&host, &guest, false, 3);
    assert_eq!(cold, [first, first + second, first + second + third]);
}

#[test]
fn a_guest_that_is_stopped_has_spent_all_the_same() {
    let host = Host::new();
    let fuel = fuel_of_turns(&host, &Guest::orchestrator("(call $loop_for_ever) (call $done)"), true, 1);
    assert!((2_000_000..2_100_000).contains(&fuel[0]), "{fuel:?}");
    let calls = "(loop $again (call $log (i32.const 2) (i32.const 3000) (i32.const 60000)) (br $again)) (call $done)";
    let fuel = fuel_of_turns(&host, &Guest::orchestrator(calls), true, 1);
    assert!((2_000_000..2_100_000).contains(&fuel[0]), "what the host does for it counts: {fuel:?}");
}

#[test]
fn fuel_is_not_reset_by_a_wait_that_does_not_block() {
    let guest = Guest::orchestrator(
        "(call $await_event)
         (call $spin (i32.const 300000)) (call $await_event)
         (call $spin (i32.const 300000)) (call $done)",
    );
    let host = Host::new();
    let mut instance = Instance::new(&host, host.deploy(&guest), true);
    let go = || Event::EventRaised { name: "go".into(), data: "1".into() };
    instance.start().turn([go(), go()]);
    let failure = instance.outcome().unwrap().unwrap_err();
    assert_eq!(failure.error_type, "FuelExhausted");
    assert_eq!(
        failure.message,
        "it used up the 2000000 units of fuel that one turn may spend (fuel_per_turn): it loops, or an activity should do this work"
    );
}

#[test]
fn what_breaks_a_guest_is_named() {
    let host = Host::new();
    let cases = [
        ("(call $loop_for_ever) (call $done)", "FuelExhausted", "2000000 units of fuel"),
        (
            "(call $allocate_for_ever) (call $done)",
            "OutOfMemory",
            "bytes of memory, 4194304 are allowed (orchestrator_memory_bytes)",
        ),
        (
            "(drop (table.grow $table (ref.null func) (i32.const 2000))) unreachable",
            "OutOfMemory",
            "elements of tables, 1000 are allowed (table_elements)",
        ),
        ("(drop (call $recurse (i32.const 0))) (call $done)", "StackOverflow", "a stack of 262144 bytes"),
        ("unreachable", "Trap", "`unreachable`"),
        ("(drop (i32.load (i32.const -4))) (call $done)", "Trap", "out of bounds memory access"),
        ("(call $panic) (call $done)", "Panic", "no stock!"),
        ("(call $ok (i32.const 3200) (i32.const 8))", "InvalidOutput", "the output is not JSON"),
        ("(call $wait (i32.const 64) (i32.const 0) (i32.const 80)) (call $done)", "InvalidArgument", "it waits on nothing"),
        (
            "(i32.store (i32.const 64) (i32.const 99)) (call $wait (i32.const 64) (i32.const 1) (i32.const 80)) (call $done)",
            "Trap",
            "unknown handle",
        ),
        ("(call $random (i32.const 100000) (i32.const 80)) (call $done)", "Trap", "65536 are allowed"),
    ];
    for (body, error_type, message) in cases {
        let failure = host.outcome(&Guest::orchestrator(body)).unwrap_err();
        assert_eq!(failure.error_type, error_type, "{body}: {failure:?}");
        assert!(failure.message.contains(message), "{body}: {failure:?}");
        assert!(!failure.retriable, "{body}");
    }
}

#[test]
fn a_panic_says_where_and_how_it_came_there() {
    let failure = Host::new().outcome(&Guest::orchestrator("(call $panic) (call $done)")).unwrap_err();
    let details = failure.details.unwrap();
    assert!(details.starts_with("src/app.rs:7:9\n"), "{details}");
    assert!(details.contains("panic"), "the backtrace names the function: {details}");
}

#[test]
fn guests_that_are_dropped_while_they_wait_free_their_place() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 2, activities: 1, triggers: 1 });
    let version = host.deploy(&Guest::orchestrator("(call $await_event) (call $done)"));
    for _ in 0..20 {
        let waiting = || {
            let mut guest = start(&host, version).unwrap();
            assert_eq!(guest.resume(), Step::Waiting);
            guest
        };
        let _guests = [waiting(), waiting()];
        assert_eq!(start(&host, version).err(), Some(StartError::NotNow(NotNow::NoRoom(version))));
    }
}

#[test]
fn a_guest_that_has_ended_frees_its_place_and_cannot_be_resumed() {
    let host = Host::new();
    let version = host.deploy(&Guest::default());
    let mut guest = start(&host, version).unwrap();
    assert_eq!(guest.resume(), Step::Ended(Ok("\"ok\"".into())));
    assert!(matches!(guest.resume(), Step::Ended(Err(_))));
}

pub fn start(host: &Host, version: VersionId) -> Result<Box<dyn dacapo_core::Guest>, StartError> {
    let context = Context {
        instance: InstanceId::any("i").unwrap(),
        execution: ExecutionId(uuid::Uuid::from_u128(1)),
        name: FunctionName::new("main").unwrap(),
        input: "null".into(),
        version_label: String::new(),
        parent: None,
        event_delivery: EventDelivery::FirstAsked,
    };
    let mut execution = Execution::new(context, Limits::default());
    execution.begin_live_turn(Timestamp(0));
    host.tenant.start(version, Arc::new(Mutex::new(execution)))
}
