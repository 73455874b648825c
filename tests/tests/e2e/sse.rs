//! Watching instances by server-sent events.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::contract::{Contract, is_empty, refuses};

/// The events of a stream: kind and data. Ends when the host ends the stream.
struct Stream(mpsc::Receiver<(String, Value)>);

impl Stream {
    /// Opens a stream; it is open when this returns.
    fn open(contract: &Contract, path: &str) -> Self {
        let url = format!("{}/runtime/webhooks/durabletask/{path}", contract.host.url());
        let response = ureq::get(url).call().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut kind, mut id) = (String::new(), false);
            for line in BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok) {
                match line.split_once(": ").unwrap_or((&line, "")) {
                    ("event", value) => kind = value.to_owned(),
                    ("id", _) => id = true,
                    ("data", value) => {
                        assert!(id || kind == "missed", "an event without an id: {line}");
                        let _ = sender.send((kind.clone(), serde_json::from_str(value).unwrap()));
                    }
                    _ => {}
                }
            }
        });
        Self(events)
    }

    /// Returns the next event, which must be a status.
    #[track_caller]
    fn status(&self) -> Value {
        let (kind, status) = self.0.recv_timeout(Duration::from_secs(30)).expect("an event arrives");
        assert_eq!(kind, "status", "{status}");
        status
    }

    /// Reads events until one has this status.
    #[track_caller]
    fn until(&self, state: &str) -> Value {
        loop {
            let status = self.status();
            if status["runtimeStatus"] == state {
                return status;
            }
        }
    }

    #[track_caller]
    fn ends(&self) {
        assert_eq!(self.0.recv_timeout(Duration::from_secs(30)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn an_instance_is_followed_from_now_to_its_end() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Running");
    let stream = Stream::open(&contract, &format!("instances/{id}/events"));
    let now = stream.status();
    assert_eq!((&now["instanceId"], &now["runtimeStatus"], &now["input"]), (&json!(id), &json!("Running"), &Value::Null));
    is_empty(&contract.post(&format!("instances/{id}/suspend"), ""), 202);
    stream.until("Suspended");
    is_empty(&contract.post(&format!("instances/{id}/resume"), ""), 202);
    stream.until("Running");
    contract.host.raise_event(&id, "go", json!("done")).unwrap();
    assert_eq!(stream.until("Completed")["output"], "done");
    stream.ends();
}

#[test]
fn one_that_has_ended_or_does_not_exist_is_told_at_once() {
    let contract = Contract::open(&[]);
    let id = contract.instance("Completed");
    let stream = Stream::open(&contract, &format!("instances/{id}/events"));
    assert_eq!(stream.status()["output"], json!({ "a": [1] }));
    stream.ends();
    is_empty(&contract.get("instances/nobody/events"), 404);
    refuses(&contract.get("events?runtimeStatus=Asleep"), 400, "'runtimeStatus'");
}

#[test]
fn a_hub_is_followed_by_filters() {
    let contract = Contract::open(&[]);
    let stream = Stream::open(&contract, "events?instanceIdPrefix=order-&runtimeStatus=Completed,Failed");
    for (name, id) in [("echo_orchestrator", "other-1"), ("echo_orchestrator", "order-1"), ("return_error", "order-2")] {
        contract.post(&format!("orchestrators/{name}/{id}"), "null");
        contract.host.wait(id).unwrap();
    }
    let (first, second) = (stream.status(), stream.status());
    assert_eq!((&first["instanceId"], &first["runtimeStatus"]), (&json!("order-1"), &json!("Completed")));
    assert_eq!((&second["instanceId"], &second["runtimeStatus"]), (&json!("order-2"), &json!("Failed")));
    assert!(second["output"].as_str().unwrap().contains("failed"), "{second}");
}

#[test]
fn open_streams_do_not_keep_a_host_from_stopping() {
    let mut contract = Contract::open(&[]);
    let id = contract.instance("Running");
    let streams = [Stream::open(&contract, "events"), Stream::open(&contract, &format!("instances/{id}/events"))];
    streams[1].status();
    assert_eq!(contract.host.stop().unwrap(), Some(0), "{}", contract.host.log());
    assert!(!contract.host.log().contains("cut off"), "the streams end first: {}", contract.host.log());
    for stream in streams {
        while stream.0.recv().is_ok() {}
    }
}
