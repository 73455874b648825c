//! The HTTP server, met by clients that no library would be.

mod flood;
mod slow;
mod smuggling;
mod tls;

use dacapo_tests::host::Host;
use dacapo_tests::wire::{Wire, statuses};

/// A host with these settings, whose log tells which connections it cuts off.
fn host(settings: &[&str]) -> (Host, tempfile::TempDir) {
    let settings = settings.iter().map(|setting| format!("--set={setting}"));
    let arguments: Vec<String> = settings.chain(["--log=info,dacapo::server=debug".to_owned()]).collect();
    Host::temporary(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

/// What the host sends for these bytes until it ends the connection, which it has to.
#[track_caller]
fn all_answers(host: &Host, bytes: impl AsRef<[u8]>) -> String {
    let mut wire = Wire::open(host.url()).unwrap();
    // It may end it before all is sent.
    let _ = wire.send(bytes);
    wire.read_to_end().unwrap()
}

/// Other clients are served.
#[track_caller]
fn serves(host: &Host) {
    assert_eq!(host.request("GET", "/healthz", None).unwrap().status, 200);
    let mut wire = Wire::open(host.url()).unwrap();
    wire.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(statuses(&wire.read_answer().unwrap()), [200]);
}
