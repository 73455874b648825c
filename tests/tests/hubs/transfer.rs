//! Exporting instances and importing them again.

use std::time::Duration;

use dacapo::hub::{Exported, ImportOptions};
use dacapo_core::RuntimeStatus;

use super::{World, output, start, until};

/// The guest of a replaced instance once stayed in memory, and messages to the new instance were dropped.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_over_an_instance_in_memory_gets_its_messages() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, Duration::from_secs(600));
    world.create("hub", &[], &["fixture-probe"]).await;
    let hub = world.hub("hub").await;
    let id = hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
    let status = || hub.instance(&id).unwrap().unwrap().status;
    until("it waits", || status() == RuntimeStatus::Running).await;
    let mut lines = hub.export(Exported::Instance(id.clone()), false).unwrap();
    let mut file = Vec::new();
    while let Some(text) = lines.read().unwrap() {
        file.extend(text.into_bytes());
    }
    hub.import(file, ImportOptions { replace: true, resume: false }).await.unwrap();
    assert_eq!(status(), RuntimeStatus::Suspended);
    hub.raise_event(&id, "go", "\"come\"".into()).await.unwrap();
    hub.resume(&id, "").await.unwrap();
    assert_eq!(hub.wait(&id).await.unwrap().status, RuntimeStatus::Completed);
    assert_eq!(output(&hub, &id), "\"come\"");
    world.hubs.shutdown(Duration::ZERO).await;
}
