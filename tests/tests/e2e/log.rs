//! The log may go to a pipe that is not read, or whose reader exits at any time.

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::process::{Child, Command, Stdio};

use dacapo_tests::host::{binary, request};
use serde_json::{Value, json};

/// A host that logs much, to a pipe. Killed when its handle is dropped.
struct Piped {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Piped {
    fn start() -> (Self, PipeReader) {
        let data = tempfile::tempdir().unwrap();
        let (reader, writer) = pipe().unwrap();
        let mut command = Command::new(binary().unwrap());
        command.args(["serve", "--dev", "--json", "--address", "127.0.0.1:0", "--log", "debug", "--data"]).arg(data.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
        // The command keeps a copy of the pipe's writer.
        drop(command);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let host = Self { child, url: ready["url"].as_str().unwrap().to_owned(), _data: data };
        let probe = dacapo_tests::guest("fixture-probe").unwrap();
        assert_eq!(request("POST", &format!("{}/admin/apps/probe", host.url), Some(&probe)).unwrap().status, 200);
        (host, reader)
    }

    /// Makes the host and a guest log more often than there are threads.
    fn is_well(&self) {
        for round in 0..40 {
            let path = format!("{}/runtime/webhooks/durabletask/orchestrators/log_lines", self.url);
            let start = request("POST", &path, Some(b"null")).unwrap();
            assert_eq!(start.status, 202, "round {round}: {start:?}");
        }
        let answer = request("GET", &format!("{}/healthz", self.url), None).unwrap();
        assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })));
    }

    fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each thread that logged was lost, until none was left to respond; `/healthz` still said ok.
#[test]
fn a_log_whose_reader_has_gone_stops_nobody() {
    let (host, reader) = Piped::start();
    host.is_well();
    drop(reader);
    host.is_well();
    assert_eq!(host.stop(), Some(0));
}

/// A pipe holds 64 KiB: with the next line, every thread that logged waited for the reader.
#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    let (host, reader) = Piped::start();
    // Far more than the pipe holds.
    for _ in 0..1_000 {
        let path = format!("{}/{}", host.url, "x".repeat(500));
        assert_eq!(request("GET", &path, None).unwrap().status, 404);
    }
    host.is_well();
    assert_eq!(host.stop(), Some(0));
    drop(reader);
}
