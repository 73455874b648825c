//! Hubs are opened when needed, and closed when idle.

use std::time::Duration;

use dacapo::hub::HubError;
use dacapo_core::RuntimeStatus;
use dacapo_store::control::Wake;

use super::{World, entry, run, start, until};

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn one_hub_makes_room_for_another_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("one", &[], &["fixture-probe"]).await;
    world.create("two", &[], &["fixture-probe"]).await;
    let of_one = run(&world.hub("one").await, "chain", "3").await;
    let of_two = run(&world.hub("TWO").await, "chain", "4").await;
    assert_eq!(world.control.wake("one").unwrap(), Some(Wake::Idle { next_timer: None }));
    assert_eq!(world.control.wake("two").unwrap(), Some(Wake::Open));
    assert_eq!(world.hub("one").await.instance(&of_one.id).unwrap(), Some(of_one));
    assert_eq!(world.hub("two").await.instance(&of_two.id).unwrap(), Some(of_two));
    assert!(world.hubs.hub("three").await.unwrap().is_none());
    world.hubs.shutdown(Duration::ZERO).await;
}

/// The handle keeps it open.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_in_use_is_not_closed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, SOON);
    world.create("held", &[], &["fixture-probe"]).await;
    world.create("quiet", &[], &[]).await;
    let held = world.hub("held").await;
    until("the quiet one is closed", || matches!(world.control.wake("quiet"), Ok(Some(Wake::Idle { .. })))).await;
    assert_eq!(world.control.wake("held").unwrap(), Some(Wake::Open));
    assert_eq!(run(&held, "chain", "1").await.status, RuntimeStatus::Completed);
    drop(held);
    until("the other one is closed", || matches!(world.control.wake("held"), Ok(Some(Wake::Idle { .. })))).await;
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_wakes_a_closed_hub_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let id = {
        let world = World::open(directory.path(), 2, SOON);
        world.create("sleeper", &[], &["fixture-probe"]).await;
        let id = world.hub("sleeper").await.start_new(start("timer", "3000")).await.unwrap();
        let sleeps = || matches!(world.control.wake("sleeper"), Ok(Some(Wake::Idle { next_timer: Some(_) })));
        until("it is closed, and its timer is known", sleeps).await;
        world.hubs.shutdown(Duration::ZERO).await;
        id
    };
    // Only its timer opens it.
    until("the file of hubs is free", || {
        dacapo_store::control::ControlFile::open(&directory.path().join("control.redb")).is_ok()
    })
    .await;
    let world = World::open(directory.path(), 2, SOON);
    until("it is opened", || matches!(world.control.wake("sleeper"), Ok(Some(Wake::Open)))).await;
    until("it is closed again", || matches!(world.control.wake("sleeper"), Ok(Some(Wake::Idle { next_timer: None })))).await;
    let record = world.hub("sleeper").await.instance(&id).unwrap().unwrap();
    assert_eq!(record.status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_hub_does_nothing_until_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("paused", &[], &["fixture-probe"]).await;
    let hub = world.hub("paused").await;
    // An endless activity is cancelled, and a long chain stops at its current step.
    let chain = hub.start_new(start("chain", "2000")).await.unwrap();
    let turns = |hub: &dacapo::hub::Hub| hub.instance(&chain).unwrap().unwrap().turns.len();
    until("it is under way", || turns(&hub) > 3).await;
    world.hubs.change("paused", &entry("paused"), |record| record.suspended = Some("unpaid".into())).await.unwrap();
    let refused = world.hubs.hub("Paused").await.map(drop).unwrap_err();
    assert!(matches!(&refused, HubError::Suspended { why, .. } if why == "unpaid"), "{refused}");
    assert!(turns(&hub) < 2_000);
    drop(hub);
    let resumed = world.hubs.change("paused", &entry("paused"), |record| record.suspended = None).await.unwrap();
    assert_eq!(resumed.suspended, None);
    let hub = world.hub("paused").await;
    assert_eq!(hub.wait(&chain).await.unwrap().status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_hub_is_gone_and_its_name_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("gone", &[], &["fixture-probe"]).await;
    let id = run(&world.hub("gone").await, "chain", "1").await.id;
    world.hubs.delete("GONE", &entry("gone")).await.unwrap();
    assert!(world.hubs.hub("gone").await.unwrap().is_none());
    assert!(!directory.path().join("hubs/gone.redb").exists());
    assert!(matches!(world.hubs.delete("gone", &entry("gone")).await, Err(HubError::Control(_))));
    world.create("gone", &[], &[]).await;
    assert_eq!(world.hub("gone").await.instance(&id).unwrap(), None);
    world.hubs.shutdown(Duration::ZERO).await;
}

/// It was once silently opened as an empty hub: instances, apps and the links of all clients were gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_file_is_gone_is_refused_until_somebody_gives_it_up() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("lost", &[], &["fixture-probe"]).await;
    world.close().await;
    let file = directory.path().join("hubs/lost.redb");
    let kept = std::fs::read(&file).unwrap();
    for what in ["missing", "empty"] {
        std::fs::remove_file(&file).unwrap();
        if what == "empty" {
            std::fs::write(&file, b"").unwrap();
        }
        let world = World::open(directory.path(), 2, LATE);
        let refused = world.hubs.hub("lost").await.map(drop).unwrap_err().to_string();
        assert!(refused.contains(what) && refused.contains("dacapo serve --recover lost"), "{refused}");
        assert_eq!(std::fs::metadata(&file).map_or(0, |file| file.len()), 0, "it was not created again");
        world.close().await;
        // Restores it as from a backup.
        std::fs::write(&file, &kept).unwrap();
        let world = World::open(directory.path(), 2, LATE);
        assert_eq!(world.hub("lost").await.apps().len(), 1);
        world.close().await;
    }
}

/// A hub that was created and never opened has no file, which also happens when the process dies while creating it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_never_opened_is_made_when_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    let record = dacapo_store::control::HubRecord { name: "new".into(), ..Default::default() };
    world.hubs.create(&record, &entry("new")).await.unwrap();
    assert!(!directory.path().join("hubs/new.redb").exists());
    world.hub("new").await;
    assert_eq!(world.control.wake("new").unwrap(), Some(Wake::Open));
    world.hubs.delete("new", &entry("new")).await.unwrap();
    assert_eq!(world.control.wake("new").unwrap(), None);
    world.hubs.shutdown(Duration::ZERO).await;
}

/// Commits once went into a deleted file, and were lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_while_it_is_in_use_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("gone", &[], &[]).await;
    let file = directory.path().join("hubs/gone.redb");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(world.hubs.vanished().await, file);
    world.hubs.shutdown(Duration::ZERO).await;
}
