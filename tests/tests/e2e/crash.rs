//! A short run of the crash test. `cargo crash` runs it for longer.

use std::time::Duration;

use dacapo_tests::crash::{CrashOptions, run};

fn short_run(seed: u64, arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let options = CrashOptions {
        seed,
        kills: 8,
        clients: 3,
        lives: Duration::from_millis(20)..Duration::from_millis(400),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    };
    let report = run(&options, directory.path()).unwrap();
    println!("{report:#?}");
    assert!(report.acknowledged > 0, "nothing was tested: {report:?}");
}

#[test]
fn nothing_is_lost_or_done_twice_when_the_host_is_killed() {
    short_run(1, &[]);
}

#[test]
fn nor_without_heat() {
    short_run(2, &["--no-heat"]);
}
