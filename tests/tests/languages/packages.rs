//! Packages of npm that apps bring along do their work in activities, against servers on this machine: `tests/fixtures/packages` has
//! apps with a function for each package.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use dacapo_tests::host::Host;
use dacapo_tests::languages::{Language, build};
use dacapo_tests::{packages, workspace};
use serde_json::{Value, json};

const FOLDER: &str = "tests/fixtures/packages";

#[test]
fn javascript() {
    let server = Server::of_services();
    all_work("javascript", &[("SERVER", &server.addresses[0])]);
}

#[test]
fn javascript_for_azure() {
    let (server, storage) = (Server::of_services(), Server::of_storage());
    let [blobs, queues, tables] = &storage.addresses[..] else { panic!("{:?}", storage.addresses) };
    all_work("azure", &[("SERVER", &server.addresses[0]), ("BLOBS", blobs), ("QUEUES", queues), ("TABLES", tables)]);
}

/// Builds and deploys the app, and runs its function for each package.
fn all_work(app: &str, addresses: &[(&str, &String)]) {
    let wasm = std::fs::read(build(Language::JavaScript, &format!("{FOLDER}/{app}")).unwrap()).unwrap();
    let settings: Vec<String> = addresses
        .iter()
        .flat_map(|(variable, address)| {
            let host = address.trim_start_matches("http://");
            ["--env".to_owned(), format!("{variable}={address}"), "--allow-host".to_owned(), host.to_owned()]
        })
        .collect();
    let (host, _directory) = Host::temporary(&settings.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    host.deploy("packages", &wasm).unwrap();

    let outcomes = host.output("packages", Value::Null);
    let failed: Vec<_> = outcomes.as_object().unwrap().iter().filter(|(_, outcome)| **outcome != json!("works")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A program that runs until this is dropped.
struct Server {
    child: Child,
    /// Where it listens, as it has printed.
    addresses: Vec<String>,
}

impl Server {
    fn of_services() -> Self {
        let mut command = Command::new("node");
        command.arg(workspace().join(FOLDER).join("server.mjs"));
        Self::start(command, 1)
    }

    /// Blobs, queues and tables.
    fn of_storage() -> Self {
        let azurite = packages::node("toolchains/azurite").unwrap().join("node_modules/.bin/azurite");
        let mut command = Command::new(azurite);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]);
        Self::start(command, 3)
    }

    /// Starts a program, which prints the addresses at which it listens.
    fn start(mut command: Command, count: usize) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let lines = output.lines().map_while(Result::ok).filter(|line| !line.contains("starting"));
        let mut addresses = lines.filter_map(|line| line.find("http://").map(|start| line[start..].trim().to_owned()));
        let found = addresses.by_ref().take(count).collect();
        // A program whose output nobody reads ends, or waits.
        std::thread::spawn(move || addresses.for_each(drop));
        Self { child, addresses: found }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs until now");
        self.child.wait().expect("it has been killed");
    }
}
