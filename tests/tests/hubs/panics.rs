//! Bugs of the host: work that panics gets a definite result, and everything else continues.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dacapo_core::RuntimeStatus;
use dacapo_wasm::Checkpoint;

use super::{World, output, run, start, until};

const LATE: Duration = Duration::from_secs(600);

/// The URI of a request had no path, which made the host panic: the orchestration then ran for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_activity_over_which_the_host_panics_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let ended = run(&hub, "call", r#"{"name": "management_links"}"#).await;
    let told = output(&hub, &ended.id);
    assert!(told.contains("HostFailed") && told.contains("there is no host around these hubs"), "{told}");
    assert_eq!(hub.running_activities(), 0);
    assert_eq!(run(&hub, "chain", "3").await.status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_over_whose_turn_the_host_panics_is_halted_and_can_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = broken.clone();
    let world = World::with(directory.path(), 1, LATE, |config| {
        config.checkpoint = Checkpoint::new(move || {
            assert!(!breaks.load(Ordering::Relaxed), "the host is broken");
            ControlFlow::Continue(())
        });
    });
    world.create("hub", &[], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    // A client's start either takes effect or fails: this one has failed.
    broken.store(true, Ordering::Relaxed);
    let refused = hub.start_new(start("loop_forever", "null")).await.unwrap_err();
    assert!(refused.to_string().contains("the host is broken"), "{refused}");
    broken.store(false, Ordering::Relaxed);

    // A child is started by a stored message, which stays in the inbox.
    let parent = hub.start_new(start("call_child", r#"{"name": "loop_forever", "instance_id": "child"}"#)).await.unwrap();
    broken.store(true, Ordering::Relaxed);
    let child = dacapo_core::InstanceId::any("child").unwrap();
    let halted = || hub.instance(&child).unwrap().and_then(|record| record.halted);
    until("the child is halted", || halted().is_some()).await;
    assert!(halted().unwrap().contains("the host is broken"), "{:?}", halted());
    broken.store(false, Ordering::Relaxed);
    // Other instances continue, and the child can be terminated; its parent gets that result.
    assert_eq!(run(&hub, "chain", "3").await.status, RuntimeStatus::Completed);
    hub.terminate(&child, "it is halted", false).await.unwrap();
    assert_eq!(hub.wait(&parent).await.unwrap().status, RuntimeStatus::Completed);
    world.hubs.probe().await.unwrap();
    world.hubs.shutdown(Duration::ZERO).await;
}
