//! The contract of the management API: status codes, headers and bodies of every route. This file is shared by its tests: a host
//! with the probe, and requests of any kind.

mod entities;
mod instances;
mod messages;
mod purge;
mod restart;
mod starting;

use dacapo_tests::host::{Answer, Host};
use serde_json::{Value, json};

pub struct Contract {
    pub host: Host,
    _directory: tempfile::TempDir,
}

impl Contract {
    /// Starts a host and deploys the probe.
    pub fn open(arguments: &[&str]) -> Self {
        let (host, directory) = Host::temporary(arguments).unwrap();
        host.deploy_guest("fixture-probe").unwrap();
        Self { host, _directory: directory }
    }

    /// Sends a request to a path below the management API. A content type is only sent if `headers` has one.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        let url = format!("{}/runtime/webhooks/durabletask/{path}", self.host.url());
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent = ureq::Agent::from(config);
        let response = match (method, body) {
            ("GET" | "DELETE", b"") => agent.run(request.body(()).unwrap()),
            _ => agent.run(request.body(body).unwrap()),
        };
        let response = response.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        Answer { status, headers, body: response.into_body().read_to_string().unwrap() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// Sends a POST whose body is JSON, or empty.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.as_bytes())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    /// Starts an instance and brings it into one of [`STATES`].
    pub fn instance(&self, state: &str) -> String {
        let host = &self.host;
        let start = |name: &str, input: Value| host.start_new(name, input).unwrap();
        let ended = |id: String, status: &str| {
            assert_eq!(host.wait(&id).unwrap()["runtimeStatus"], status);
            id
        };
        let waiting = || {
            let id = start("wait_event", json!("go"));
            host.wait_until(&id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
            id
        };
        match state {
            "Running" => waiting(),
            "Suspended" => {
                let id = waiting();
                is_empty(&self.post(&format!("instances/{id}/suspend?reason=lunch"), ""), 202);
                id
            }
            "Completed" => ended(start("echo_orchestrator", json!({ "a": [1] })), "Completed"),
            "Failed" => ended(start("return_error", Value::Null), "Failed"),
            "Terminated" => {
                let id = waiting();
                is_empty(&self.post(&format!("instances/{id}/terminate?reason=enough"), ""), 202);
                ended(id, "Terminated")
            }
            "Pending" => {
                let answer = self.post("orchestrators/echo_orchestrator?startAt=2100-01-01T00:00:00Z", "1");
                assert_eq!(answer.status, 202, "{answer:?}");
                answer.json()["id"].as_str().unwrap().to_owned()
            }
            other => panic!("cannot make an instance that is {other}"),
        }
    }
}

/// The states into which an instance can be brought.
pub const STATES: [&str; 6] = ["Running", "Suspended", "Completed", "Failed", "Terminated", "Pending"];

#[track_caller]
pub fn is_empty(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{answer:?}");
}

#[track_caller]
pub fn is_json(answer: &Answer, status: u16, body: Value) {
    assert_eq!((answer.status, answer.json()), (status, body));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

/// Checks an error response with both members that the clients read.
#[track_caller]
pub fn refuses(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert!(body["Message"].is_string(), "{answer:?}");
    assert!(body["ExceptionMessage"].as_str().unwrap().contains(why), "{answer:?}");
}

/// Checks an error response that is one JSON string.
#[track_caller]
pub fn says(answer: &Answer, status: u16, parts: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let text = answer.json().as_str().unwrap_or_else(|| panic!("no text: {answer:?}")).to_owned();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

/// Checks a 202 with the links of an instance and the headers that point to it. Returns the id.
#[track_caller]
pub fn leads_on(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = answer.json();
    let id = body["id"].as_str().unwrap();
    let links = [
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ];
    assert!(links.iter().all(|link| body[link].as_str().is_some_and(|link| link.contains("/runtime/webhooks/durabletask/"))));
    assert_eq!(body.as_object().unwrap().len(), 1 + links.len(), "{body}");
    assert_eq!(answer.header("location"), body["statusQueryGetUri"].as_str());
    assert_eq!(answer.header("retry-after"), Some("10"));
    id.to_owned()
}
