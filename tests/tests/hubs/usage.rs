//! The recorded usage of hubs, open or closed.

use std::time::Duration;

use dacapo::meters::HubUsage;
use dacapo_store::control::HubRecord;

use super::{World, entry, run};

impl World {
    async fn chains(&self, hub: &str) -> u64 {
        let report = self.hubs.report(hub).await.unwrap().expect("it was made");
        report.usage.functions.get("chain").map_or(0, |function| function.executions)
    }

    /// The usage that would be left after a crash.
    fn stored(&self, hub: &str) -> HubUsage {
        self.control.usage(hub).unwrap().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_has_used_is_stored_once_and_outlives_its_being_open() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, Duration::from_secs(600));
    world.create("one", &[], &["fixture-probe"]).await;
    world.create("two", &[], &["fixture-probe"]).await;
    run(&world.hub("one").await, "chain", "3").await;
    assert_eq!((world.chains("ONE").await, world.stored("one").functions.iter().count()), (1, 0));
    // Another hub takes its place.
    run(&world.hub("two").await, "chain", "3").await;
    let report = world.hubs.report("one").await.unwrap().unwrap();
    assert_eq!((report.open, report.instances), (false, None));
    assert!(report.storage_bytes > 0);

    world.hubs.save_usage().await;
    let stored = world.stored("one");
    assert_eq!((stored.functions.get("chain").unwrap().executions, world.chains("one").await), (1, 1));
    world.hubs.save_usage().await;
    assert_eq!(world.stored("one"), stored, "nothing is stored twice");
    run(&world.hub("one").await, "chain", "3").await;
    assert_eq!((world.chains("one").await, world.chains("two").await), (2, 1));

    world.hubs.delete("one", &entry("one")).await.unwrap();
    assert!(world.hubs.report("one").await.unwrap().is_none());
    world.hubs.create(&HubRecord { name: "one".into(), ..HubRecord::default() }, &entry("one")).await.unwrap();
    world.hubs.save_usage().await;
    assert_eq!((world.chains("one").await, world.stored("one")), (0, HubUsage::default()));
    let reports = world.hubs.reports().await.unwrap();
    let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    world.hubs.shutdown(Duration::ZERO).await;
}
