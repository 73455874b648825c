//! A hub whose instances loop with all its permits does not delay another hub.

use std::time::{Duration, Instant};

use dacapo::hub::Hub;
use dacapo_core::RuntimeStatus;

use super::{World, run, start, until};

const SEQUENCES: usize = 100;
const LOOPS: usize = 200;
/// Calls an activity that never ends.
const BUSY: &str = r#"{"name": "activity_loop_forever", "input": null}"#;

#[tokio::test(flavor = "multi_thread")]
async fn hello_sequences_go_on_beside_two_hundred_loops_and_as_many_busy_activities() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 4, Duration::from_secs(600));
    world.create("honest", &[], &["example-hello-sequence"]).await;
    world.create("greedy", &[("fuel_per_turn", 1_000_000_000)], &["fixture-probe"]).await;
    let (honest, greedy) = (world.hub("honest").await, world.hub("greedy").await);
    hello(&honest).await;
    let alone = hello(&honest).await;
    for _ in 0..LOOPS {
        for request in [start("loop_forever", "null"), start("call", BUSY)] {
            let greedy = greedy.clone();
            tokio::spawn(async move { greedy.start_new(request).await });
        }
    }
    until("activities are busy", || greedy.running_activities() >= 64).await;
    let beside = hello(&honest).await;
    eprintln!("hello sequence alone:            p50 {:?}, p99 {:?}", alone.0, alone.1);
    eprintln!("beside {LOOPS} loops and activities: p50 {:?}, p99 {:?}", beside.0, beside.1);
    // If the loops ran one slice each in between, each of the four steps would take 200 ms.
    assert!(beside.0 < Duration::from_millis(400).max(alone.0 * 10), "{beside:?} against {alone:?} alone");
    world.hubs.shutdown(Duration::ZERO).await;
}

/// Runs sequences one after the other. Returns the median and the 99th percentile of their durations.
async fn hello(hub: &Hub) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..SEQUENCES {
        let begin = Instant::now();
        let ended = run(hub, "hello_sequence", r#"["Tokyo","Seattle","London"]"#).await;
        assert_eq!(ended.status, RuntimeStatus::Completed);
        times.push(begin.elapsed());
    }
    times.sort();
    (times[SEQUENCES / 2], times[SEQUENCES * 99 / 100])
}
