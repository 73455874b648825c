//! Lifecycle notifications, as seen by a receiver.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use dacapo_tests::host::{Host, HostOptions};
use serde_json::{Value, json};

/// A notification and its headers.
struct Notification {
    headers: Vec<(String, String)>,
    body: Value,
}

impl Notification {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers)).1
    }

    fn says(&self, id: &str, status: &str) -> bool {
        self.body["data"]["instanceId"] == id && self.body["data"]["runtimeStatus"] == status
    }
}

/// Receives notifications, and responds to the first `refused` of them with 503.
fn receiver(refused: usize) -> (String, Receiver<Notification>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, notifications) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let notification = receive(&stream);
            let answer = if number < refused { "503 Service Unavailable" } else { "204 No Content" };
            let answered = write!(&stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // The test has ended when the notifications are no longer read.
            if answered.is_err() || sender.send(notification).is_err() {
                return;
            }
        }
    });
    (url, notifications)
}

fn receive(stream: &TcpStream) -> Notification {
    let mut reader = BufReader::new(stream);
    let mut headers = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            headers.push((name.to_owned(), value.to_owned()));
        }
        line.clear();
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length")).unwrap().1.parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Notification { headers, body: serde_json::from_slice(&body).unwrap() }
}

#[track_caller]
fn next(notifications: &Receiver<Notification>) -> Notification {
    notifications.recv_timeout(Duration::from_secs(60)).expect("a notification arrives")
}

/// One signed notification per change of status; after an error it is sent again, with the same id.
#[test]
fn every_change_of_status_is_told() {
    let (url, notifications) = receiver(1);
    let key = "--set=webhook.secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (host, _directory) = Host::temporary(&[&format!("--set=webhook.url={url}"), key]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("wait_event", json!("go")).unwrap();
    let first = next(&notifications);
    let again = next(&notifications);
    assert!(first.says(&id, "Running") && again.says(&id, "Running"));
    assert_eq!(first.header("webhook-id"), again.header("webhook-id"));
    assert!(again.header("webhook-signature").starts_with("v1,"));
    assert_eq!(again.body["type"], "dacapo.orchestration.running");
    assert_eq!(again.body["data"]["name"], "wait_event");

    assert_eq!(host.manage("POST", &format!("instances/{id}/suspend?reason=tired"), None).unwrap().status, 202);
    let suspended = next(&notifications);
    assert!(suspended.says(&id, "Suspended"), "{}", suspended.body);
    assert_eq!(suspended.body["data"]["reason"], "tired");
    assert_ne!(suspended.header("webhook-id"), again.header("webhook-id"));
    assert_eq!(host.manage("POST", &format!("instances/{id}/terminate?reason=enough"), None).unwrap().status, 202);
    let terminated = next(&notifications);
    assert!(terminated.says(&id, "Terminated"), "{}", terminated.body);
    assert_eq!(terminated.body["data"]["reason"], "enough");
}

/// The outbox is as durable as the change that it reports.
#[test]
fn what_could_not_be_told_is_told_after_a_crash() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("--set=webhook.url=http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let only = "--set=webhook.statuses=Completed,Failed";
    let (mut host, directory) = Host::temporary(&[&nobody, only]).unwrap();
    host.deploy_guest("fixture-probe").unwrap();
    let id = host.start_new("echo_orchestrator", json!(1)).unwrap();
    host.wait(&id).unwrap();
    host.kill().unwrap();

    let (url, notifications) = receiver(0);
    let arguments = vec![format!("--set=webhook.url={url}"), only.to_owned()];
    let _host = Host::start(HostOptions { data: directory.path().to_owned(), arguments }).unwrap();
    let told = next(&notifications);
    assert!(told.says(&id, "Completed"), "{}", told.body);
}
