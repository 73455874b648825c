//! Checks that the benchmark runs, with small sizes, ignoring the figures. It once failed unnoticed, twice, because of things
//! that the host had begun to refuse: a hub's file without a control file, and more requests per second than a hub may have.

use std::process::Command;

use serde_json::Value;

/// All measurements except those of guest languages, `languages` and `triggers`: they are built and compared by tests of their own.
const MEASUREMENTS: [&str; 15] = [
    "hello",
    "fan-out",
    "chain",
    "waiting",
    "resume",
    "cold start",
    "requests",
    "status under load",
    "listing",
    "tenants",
    "deployment under load",
    "replay gate",
    "queues",
    "schedules",
    "entities",
];

#[test]
fn every_measurement_gives_figures() {
    for name in MEASUREMENTS {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
        let output = bench.args(["--quick", "--json", "--only", name, "--directory"]).arg(directory.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!report["figures"].as_array().unwrap().is_empty(), "{name}: {report}");
    }
}
