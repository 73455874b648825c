//! How much of the shared pool guests take.

use std::time::Duration;

use dacapo::hub::Traffic;
use dacapo_core::{InstanceId, RuntimeStatus};
use dacapo_tests::attack::modules::many_tables;
use dacapo_wasm::PoolSize;

use super::{World, run, start, until};

const LATE: Duration = Duration::from_secs(600);

/// A guest with eight tables once counted as one guest. A few hundred of them in one hub made orchestrations of another fail, its
/// entities lost signals, and its instances were halted with the advice to deploy corrected code.
#[tokio::test(flavor = "multi_thread")]
async fn guests_of_many_parts_leave_room_for_those_of_other_hubs() {
    let directory = tempfile::tempdir().unwrap();
    let pool = PoolSize { orchestrators: 40, activities: 32, triggers: 16 };
    let world = World::with(directory.path(), 4, LATE, |config| config.pool = pool);
    world.create("hostile", &[], &[]).await;
    world.create("honest", &[], &["fixture-probe"]).await;
    let (hostile, honest) = (world.hub("hostile").await, world.hub("honest").await);
    hostile.deploy("evil", "", many_tables(), Traffic::All).await.unwrap();

    let cold = honest.start_new(start("wait_event", "\"go\"")).await.unwrap();
    let mut waiting: Vec<InstanceId> = Vec::new();
    for _ in 0..60 {
        waiting.push(hostile.start_new(start("evil", "1")).await.unwrap());
    }
    let ledger = InstanceId::any("@ledger@a").unwrap();
    for round in 0..20 {
        waiting.push(hostile.start_new(start("evil", "1")).await.unwrap());
        assert_eq!(run(&honest, "chain", "3").await.status, RuntimeStatus::Completed);
        honest.signal_entity(&ledger, "append", round.to_string().into(), None).await.unwrap();
    }
    let count = r#"{"entity": "@Ledger@a", "operation": "count", "input": null}"#;
    let counted = run(&honest, "call_entity", count).await;
    assert!(super::output(&honest, &counted.id).contains("20"), "{}", super::output(&honest, &counted.id));
    honest.raise_event(&cold, "go", "1".into()).await.unwrap();
    assert_eq!(honest.wait(&cold).await.unwrap().status, RuntimeStatus::Completed);
    // Nothing in the other hub has failed either: it has waited.
    for id in &waiting {
        hostile.raise_event(id, "null", "1".into()).await.unwrap();
    }
    for id in &waiting {
        assert_eq!(hostile.wait(id).await.unwrap().status, RuntimeStatus::Completed);
    }
    until("the hubs are idle", || hostile.idle_since().is_some() && honest.idle_since().is_some()).await;
    world.hubs.shutdown(Duration::ZERO).await;
}
