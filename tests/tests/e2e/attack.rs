//! A short run of every attack. The long one, which measures: `cargo attack`.

use std::time::Duration;

use dacapo_tests::attack::{AttackOptions, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_held() {
    let options = AttackOptions { each: Duration::from_millis(100), only: String::new() };
    let report = run(&options).await.unwrap();
    assert!(report.attacks.iter().all(|attack| attack.held), "\n{}", report.table());
    assert!(report.acknowledged > 0, "nobody was there to be hurt");
}
