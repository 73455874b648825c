//! A short run of the model test. `cargo model` runs it for longer.

use std::time::Duration;

use dacapo_tests::model::{ModelOptions, run};

fn short_run(seed: u64, cold: bool) {
    println!("seed {seed}");
    let report = run(&ModelOptions { seed, sequences: 12, hosts: 1, cold, shrink: Duration::from_secs(60) });
    println!("{:#?}", report.unwrap_or_else(|why| panic!("{why:?}")));
}

#[test]
fn what_clients_see_agrees_with_the_model() {
    short_run(3, false);
    short_run(4, true);
}

#[test]
fn also_where_other_operations_meet() {
    short_run(1_764_100_800_000_017, false);
}
