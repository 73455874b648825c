//! A short run of every attack, with one test per group. `cargo attack` runs and measures them for longer.

use std::time::Duration;

use dacapo_tests::attack::attacks::GROUPS;
use dacapo_tests::attack::{AttackOptions, run};

async fn holds(group: &str) {
    assert!(GROUPS.iter().any(|known| known.name == group), "there is no group '{group}'");
    let options = AttackOptions { each: Duration::from_millis(100), players_max: 8, only: format!("{group}/"), compare: false };
    let report = run(&options).await.unwrap();
    assert!(report.attacks.iter().all(|attack| attack.held), "\n{}", report.table());
    assert!(report.acknowledged > 0, "the honest hubs had no load");
}

macro_rules! groups {
    ($($group:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $group() {
            holds(stringify!($group)).await;
        })*

        #[test]
        fn every_group_is_played() {
            assert_eq!(GROUPS.iter().map(|group| group.name).collect::<Vec<_>>(), [$(stringify!($group)),*]);
        }
    };
}

groups! { computing saying activities modules connections requests reaching stealing triggers }
