//! Limits that the engine enforces: each error names the limit and its value, and limits can be changed at run time.

use std::time::Duration;

use dacapo::hub::{Exported, HubError, ImportOptions};
use dacapo_core::{InstanceId, RuntimeStatus};

use super::{World, output, run, start, until};

const LATE: Duration = Duration::from_secs(600);

#[track_caller]
fn names<T>(refused: Result<T, HubError>, name: &str, most: u64) {
    match refused.map(drop) {
        Err(HubError::Limit { limit, value, .. }) => assert_eq!((limit, value), (name, most)),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_alive_are_counted_also_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("full", &[("instances_alive", 2)], &["fixture-probe"]).await;
    world.create("other", &[], &[]).await;
    let hub = world.hub("full").await;
    let first = hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    assert_eq!(run(&hub, "chain", "1").await.status, RuntimeStatus::Completed);
    hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    names(hub.start_new(start("chain", "1")).await, "instances_alive", 2);
    drop(hub);
    // Only one hub can be open, so this one is opened again.
    world.hub("other").await;
    let hub = world.hub("full").await;
    names(hub.start_new(start("chain", "1")).await, "instances_alive", 2);
    hub.terminate(&first, "enough", false).await.unwrap();
    assert_eq!(run(&hub, "chain", "1").await.status, RuntimeStatus::Completed);
    // Its child would exceed the limit, and the parent gets the error.
    let parent = run(&hub, "call_child", r#"{"name": "echo_orchestrator", "input": 1}"#).await;
    let told = output(&hub, &parent.id);
    assert!(told.contains("instances_alive") && told.contains('2'), "{told}");
    world.limit("full", &[]).await;
    let parent = run(&hub, "call_child", r#"{"name": "echo_orchestrator", "input": 1}"#).await;
    assert!(!output(&hub, &parent.id).contains("instances_alive"));
    world.hubs.shutdown(Duration::ZERO).await;
}

/// Locked entities count as alive, and were once not counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_would_bring_too_many_entities_to_life_fails_and_locks_none() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("full", &[("instances_alive", 3)], &["fixture-probe"]).await;
    let hub = world.hub("full").await;
    let failed = run(&hub, "hold_lock", r#"["a", "b", "c"]"#).await;
    assert_eq!(failed.status, RuntimeStatus::Failed);
    let told = output(&hub, &failed.id);
    assert!(told.contains("instances_alive"), "{told}");
    assert!(hub.instance(&InstanceId::any("@ledger@a").unwrap()).unwrap().is_none(), "none was locked");
    let id = hub.start_new(start("hold_lock", r#"["a", "b"]"#)).await.unwrap();
    hub.raise_event(&id, "Go", "\"return\"".into()).await.unwrap();
    assert_eq!(hub.wait(&id).await.unwrap().status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_for_one_instance_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[("inbox_messages", 3)], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let id = hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    hub.suspend(&id, "").await.unwrap();
    for _ in 0..3 {
        hub.raise_event(&id, "other", "1".into()).await.unwrap();
    }
    names(hub.raise_event(&id, "other", "1".into()).await, "inbox_messages", 3);
    hub.resume(&id, "").await.unwrap();
    hub.raise_event(&id, "go", "1".into()).await.unwrap();
    assert_eq!(hub.wait(&id).await.unwrap().status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_takes_nothing_more_and_what_runs_in_it_fails() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let waiting = hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    let chain = hub.start_new(start("chain", "100000")).await.unwrap();
    until("it is under way", || !hub.instance(&chain).unwrap().unwrap().turns.is_empty()).await;
    world.limit("hub", &[("storage_bytes", 1_000)]).await;
    names(hub.start_new(start("chain", "1")).await, "storage_bytes", 1_000);
    names(hub.raise_event(&waiting, "go", "1".into()).await, "storage_bytes", 1_000);
    let failed = hub.wait(&chain).await.unwrap();
    assert_eq!(failed.status, RuntimeStatus::Failed);
    assert!(output(&hub, &chain).contains("storage_bytes"), "{}", output(&hub, &chain));
    // Operations that store nothing new are still allowed.
    hub.terminate(&waiting, "no room", false).await.unwrap();
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_full_fails_its_instance() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[("history_events", 50)], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let short = run(&hub, "chain", "10").await;
    assert_eq!(short.status, RuntimeStatus::Completed);
    let long = run(&hub, "chain", "20").await;
    assert_eq!(long.status, RuntimeStatus::Failed);
    assert!(output(&hub, &long.id).contains("50 are allowed (history_events)"), "{}", output(&hub, &long.id));
    world.hubs.shutdown(Duration::ZERO).await;
}

/// Lowered limits apply to new actions, not to recorded ones: a replay ignores them.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_not_held_against_limits_that_were_lowered() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let id = hub.start_new(start("chain_then_wait", "10")).await.unwrap();
    until("it waits", || hub.instance(&id).unwrap().unwrap().turns.len() > 10).await;
    drop(hub);
    world.limit("hub", &[("actions_per_turn", 1), ("payload_bytes", 2), ("custom_status_bytes", 1)]).await;
    // Only one hub can be open: this one is opened again, with all instances cold.
    world.create("other", &[], &[]).await;
    let hub = world.hub("hub").await;
    hub.raise_event(&id, "go", "1".into()).await.unwrap();
    let ended = hub.wait(&id).await.unwrap();
    assert_eq!((ended.halted, ended.status), (None, RuntimeStatus::Completed));
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_send_to_one_for_which_too_much_waits_is_dropped() {
    const SENT: u64 = 40;
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    world.create("hub", &[("inbox_messages", 3)], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let id = hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    hub.suspend(&id, "").await.unwrap();
    for _ in 0..SENT {
        let sender = run(&hub, "send", &format!(r#"{{"instance_id": "{id}", "name": "other", "data": 1}}"#)).await;
        assert_eq!(sender.status, RuntimeStatus::Completed, "the sender gets no error");
    }
    let waiting = hub.stats().unwrap().messages;
    assert!((3..SENT / 2).contains(&waiting), "about three are kept: {waiting}");
    hub.resume(&id, "").await.unwrap();
    let sender = run(&hub, "send", &format!(r#"{{"instance_id": "{id}", "name": "go", "data": 1}}"#)).await;
    assert_eq!(sender.status, RuntimeStatus::Completed);
    assert_eq!(hub.wait(&id).await.unwrap().status, RuntimeStatus::Completed, "it takes messages again");
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_is_counted_before_anything_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("from", &[], &["fixture-probe"]).await;
    let from = world.hub("from").await;
    for _ in 0..3 {
        let id = from.start_new(start("wait_event", "\"go\"")).await.unwrap();
        from.suspend(&id, "").await.unwrap();
        from.raise_event(&id, "other", "1".into()).await.unwrap();
        from.raise_event(&id, "other", "2".into()).await.unwrap();
    }
    let mut export = from.export(Exported::Hub, true).unwrap();
    let mut file = String::new();
    while let Some(lines) = export.read().unwrap() {
        file.push_str(&lines);
    }
    drop(export);
    world.create("to", &[], &[]).await;
    let to = world.hub("to").await;
    for (name, most) in [("instances_alive", 2), ("inbox_messages", 1), ("storage_bytes", 10_000)] {
        world.limit("to", &[(name, most)]).await;
        names(to.import(file.clone().into(), ImportOptions::default()).await, name, most);
        assert!(to.apps().is_empty() && to.stats().unwrap().instances == 0, "nothing was changed");
    }
    world.limit("to", &[("instances_alive", 3), ("inbox_messages", 2)]).await;
    assert_eq!(to.import(file.clone().into(), ImportOptions::default()).await.unwrap().instances.len(), 3);
    let again = ImportOptions { replace: true, ..ImportOptions::default() };
    assert_eq!(to.import(file.into(), again).await.unwrap().instances.len(), 3, "replaced instances do not count");
    world.hubs.shutdown(Duration::ZERO).await;
}
