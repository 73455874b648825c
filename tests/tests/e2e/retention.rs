//! The hub purges instances that ended long ago.

use std::time::{Duration, Instant};

use dacapo_tests::host::{Host, HostOptions};
use serde_json::json;

/// One millisecond, in days.
const MILLISECOND: &str = "0.00000002";

#[test]
fn what_ended_long_ago_goes_by_its_status() {
    let (mut host, directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let completed = host.start_new("echo_orchestrator", json!(1)).unwrap();
    let failed = host.start_new("panic", json!("on purpose")).unwrap();
    let waiting = host.start_new("wait_event", json!("go")).unwrap();
    for id in [&completed, &failed] {
        host.wait(id).unwrap();
    }
    let terminated = host.start_new("wait_event", json!("go")).unwrap();
    assert_eq!(host.manage("POST", &format!("instances/{terminated}/terminate?reason=enough"), None).unwrap().status, 202);
    host.stop().unwrap();

    let settings = ["completed_days", "terminated_days"].map(|key| format!("--set=retention.{key}={MILLISECOND}"));
    let host = Host::start(HostOptions { data: directory.path().to_owned(), arguments: settings.to_vec() }).unwrap();
    let exists = |id: &str| host.manage("GET", &format!("instances/{id}"), None).unwrap().status != 404;
    let deadline = Instant::now() + Duration::from_secs(30);
    while exists(&completed) || exists(&terminated) {
        assert!(Instant::now() < deadline, "they still exist: {}", host.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(exists(&failed), "no rule applies to it");
    assert!(exists(&waiting), "it has not ended");
}
