//! The HTTP server, with clients that misbehave as no library would.

mod flood;
mod slow;
mod smuggling;
mod tls;

use dacapo_tests::host::Host;
use dacapo_tests::wire::{Wire, statuses};

/// A host with these settings, whose log shows which connections it cuts off.
fn host(settings: &[&str]) -> (Host, tempfile::TempDir) {
    let settings = settings.iter().map(|setting| format!("--set={setting}"));
    let arguments: Vec<String> = settings.chain(["--log=info,dacapo::server=debug".to_owned()]).collect();
    Host::temporary(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

/// Returns everything that the host sends in response to these bytes, until it closes the connection, as it must.
#[track_caller]
fn all_answers(host: &Host, bytes: impl AsRef<[u8]>) -> String {
    let mut wire = Wire::open(host.url()).unwrap();
    // The host may close it before all bytes are sent.
    let _ = wire.send(bytes);
    wire.read_to_end().unwrap()
}

/// Checks that other clients are served.
#[track_caller]
fn serves(host: &Host) {
    assert_eq!(host.request("GET", "/healthz", None).unwrap().status, 200);
    let mut wire = Wire::open(host.url()).unwrap();
    wire.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(statuses(&wire.read_answer().unwrap()), [200]);
}
