//! Deleting a task hub.

use std::process::{Command, Output};

use dacapo_tests::host::{Host, HostOptions, binary};

fn delete(data: &std::path::Path, more: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.args(["delete-task-hub", "--data"]).arg(data).args(more).stdin(std::process::Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_hub_is_deleted_unless_a_host_has_it_open_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let start = |hub: &str| {
        let arguments = vec!["--task-hub-name".into(), hub.into()];
        Host::start(HostOptions { data: data.to_owned(), arguments }).unwrap()
    };
    let mut other = start("Other");
    other.deploy_guest("example-hello-sequence").unwrap();
    other.stop().unwrap();
    let mut host = start("Trial");
    host.deploy_guest("example-hello-sequence").unwrap();
    host.run("hello_sequence", serde_json::json!(["x"])).unwrap();

    let refused = delete(data, &["--task-hub-name", "Trial", "--yes"]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(why.contains("'Trial' is in use") && why.contains("dacapo serve"), "{why}");
    host.run("hello_sequence", serde_json::json!(["y"])).unwrap();

    host.stop().unwrap();
    let deleted = delete(data, &["--task-hub-name", "Trial", "--yes"]);
    assert!(deleted.status.success(), "{deleted:?}");
    assert_eq!(String::from_utf8_lossy(&deleted.stdout), "Task hub 'Trial' successfully deleted.\n");

    let missing = delete(data, &["--task-hub-name", "Trial"]);
    let why = String::from_utf8_lossy(&missing.stderr);
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
    assert!(why.contains("'Trial'") && why.contains("there are: Other"), "{why}");
    let mut other = start("Other");
    assert_eq!(other.run("hello_sequence", serde_json::json!(["z"])).unwrap()["output"], serde_json::json!(["Hello, z!"]));
    other.stop().unwrap();
    let again = start("Trial");
    assert_eq!(again.manage("GET", "instances", None).unwrap().json(), serde_json::json!([]));
    assert_eq!(again.request("GET", "/admin/apps", None).unwrap().json(), serde_json::json!([]));
}

#[test]
fn a_name_that_is_no_name_deletes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("x.redb"), "").unwrap();
    let refused = delete(directory.path(), &["--task-hub-name", "../x", "--yes"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(directory.path().join("x.redb").exists());
}
