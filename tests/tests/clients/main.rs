//! The real client packages of Durable Functions, unchanged, against a real host: all their methods, on instances in every state.
//! And random requests generated from the host's own OpenAPI document.

use std::path::Path;
use std::time::Duration;

use dacapo_tests::clients::{Driver, Switch};
use dacapo_tests::host::Host;

/// These clients send no key: the host requires keys, but not at its RPC address.
#[test]
fn python() {
    drive(Driver::Python, 170);
}

#[test]
fn javascript_over_rpc() {
    drive(Driver::JavaScriptRpc, 160);
}

#[test]
fn javascript_over_management_urls() {
    drive(Driver::JavaScriptManagementUrls, 160);
}

/// To run more or other requests: `DACAPO_FUZZ_EXAMPLES=500 DACAPO_FUZZ_SEED=7 cargo test --test clients random_requests`.
#[test]
fn random_requests() {
    let number = |name: &str, otherwise: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|why| panic!("{name} is '{text}': {why}")),
        Err(_) => otherwise,
    };
    let examples = number("DACAPO_FUZZ_EXAMPLES", 12).try_into().expect("so many take years");
    drive(Driver::RandomRequests { examples, seed: number("DACAPO_FUZZ_SEED", 1) }, 7);
}

/// Runs a driver: every check must pass, and there must be at least `checks_min`.
fn drive(driver: Driver, checks_min: usize) {
    let switch = Switch::start().unwrap();
    let arguments = ["--allow-host", &switch.authority];
    let (host, directory) = match driver {
        Driver::Python | Driver::JavaScriptRpc => {
            Host::temporary_locked(&[arguments.as_slice(), &["--rpc-address", "127.0.0.1:0"]].concat()).unwrap()
        }
        Driver::JavaScriptManagementUrls | Driver::RandomRequests { .. } => Host::temporary(&arguments).unwrap(),
    };
    for guest in ["fixture-probe", "example-counter"] {
        let (path, wasm) = (format!("/admin/apps/{guest}"), dacapo_tests::guest(guest).unwrap());
        let deployed = host.request_as(host.administrator_key().unwrap_or_default(), "POST", &path, Some(&wasm)).unwrap();
        assert_eq!(deployed.status, 200, "{deployed:?}");
    }
    let patience = match driver {
        Driver::RandomRequests { examples, .. } => Duration::from_secs(300) + Duration::from_secs(10) * examples,
        _ => Duration::from_secs(300),
    };
    let report = driver.run(&host, &switch, directory.path(), patience);
    let logs = || format!("the driver's log ends with\n{}\nthe host's with\n{}", driver_log(directory.path()), end(&host.log()));
    let report = report.unwrap_or_else(|why| panic!("{why:#}\n{}", logs()));
    let failed = &report.failed;
    assert!(failed.is_empty(), "{} checks failed:\n{}\n{}", failed.len(), failed.join("\n"), logs());
    assert!(report.passed.len() >= checks_min, "there were only {} checks", report.passed.len());
}

fn driver_log(directory: &Path) -> String {
    end(&std::fs::read_to_string(directory.join("driver.log")).unwrap_or_default())
}

/// Returns the last lines of a log.
fn end(log: &str) -> String {
    const LINES_MAX: usize = 200;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}
