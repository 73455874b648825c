//! Durable HTTP: the requests that are sent, and when.

use std::sync::{Arc, Mutex};

use dacapo_core::event::Outcome;
use dacapo_core::scripted::Scripted;
use dacapo_core::{Failure, Seq};
use serde_json::{Value, json};

use crate::net::Net;

type Sent = Arc<Mutex<Vec<Value>>>;

/// Sends one request to a server with these responses, one after the other. Returns the requests that the server received, too.
fn ask(request: &Value, answers: &[Value], seed: u64) -> (Net, Vec<Value>) {
    let sent: Sent = Arc::default();
    let (server, answers, request) = (sent.clone(), answers.to_vec(), request.to_string());
    let script = Scripted::new()
        .orchestrator("o", move |h| {
            let request = request.clone();
            async move {
                let task = h.act(|e| e.call_http(request.into())).await;
                h.outcome(task).await
            }
        })
        .http(move |call| {
            assert_eq!((call.name.as_str(), call.attempt), ("BuiltIn::HttpActivity", 1));
            let mut sent = server.lock().unwrap();
            sent.push(serde_json::from_str(&call.input).unwrap());
            match answers[sent.len() - 1].clone() {
                Value::Null => Err(Failure::retriable(Failure::HTTP_REQUEST_FAILED, "nobody answers")),
                answer => Ok(answer.to_string().into()),
            }
        });
    let mut net = Net::seeded(script, seed);
    net.start("o", "o", "null");
    net.finish();
    let sent = sent.lock().unwrap().clone();
    (net, sent)
}

fn accepted(location: &str, retry_after: Option<&str>) -> Value {
    match retry_after {
        Some(after) => json!({"statusCode": 202, "headers": {"location": location, "retry-after": after}, "content": ""}),
        None => json!({"statusCode": 202, "headers": {"location": location}, "content": ""}),
    }
}

fn fine() -> Value {
    json!({"statusCode": 200, "headers": {}, "content": "done"})
}

/// Returns the delay of each poll, in seconds.
fn intervals(net: &Net) -> Vec<i64> {
    let of = |entry: &dacapo_core::HistoryEvent| match entry.event {
        dacapo_core::Event::TimerCreated { fire_at, .. } => Some((fire_at.0 - entry.at.0) / 1_000_000),
        _ => None,
    };
    net.item("o").events().iter().filter_map(of).collect()
}

#[test]
fn an_answer_is_given_as_it_is() {
    let request = json!({"method": "POST", "uri": "https://a.example/x?y=1#z", "content": "hi", "extra": [1]});
    let (net, sent) = ask(&request, &[fine()], 0);
    assert_eq!(sent, [request], "the first request goes out as the guest wrote it");
    assert_eq!(net.output("o"), fine().to_string());
}

#[test]
fn a_202_is_polled_until_it_is_something_else() {
    for seed in [0, 1] {
        let headers = json!({"Accept": "x", "Content-Type": "text/plain", "x-functions-key": "k", "Authorization": "b"});
        let request = json!({"method": "POST", "uri": "https://a.example/jobs/new", "headers": headers, "content": "hi",
            "timeoutMs": 5000});
        let answers = [
            accepted("status?id=1#part", None),
            accepted("/jobs/2", Some("7")),
            accepted("https://A.example:443/jobs/3", Some("0")),
            accepted("//a.example/jobs/4", Some("Thu, 01 Jan 1970 00:02:00 GMT")),
            accepted("/jobs/5", Some("soon")),
            json!({"statusCode": 418, "headers": {"location": "/x"}, "content": ""}),
        ];
        let (net, sent) = ask(&request, &answers, seed);
        assert!(net.output("o").contains("418"));
        let polled = json!({"method": "GET", "uri": "https://a.example/jobs/status?id=1",
            "headers": {"Accept": "x", "Authorization": "b"}, "timeoutMs": 5000});
        assert_eq!(sent[1], polled);
        let uris: Vec<&str> = sent.iter().map(|request| request["uri"].as_str().unwrap()).collect();
        assert_eq!(
            uris[2..],
            ["https://a.example/jobs/2", "https://a.example/jobs/3", "https://a.example/jobs/4", "https://a.example/jobs/5"]
        );
        // It began at 1 s; 30 s, 7 s and 1 s later the time is 39 s.
        assert_eq!(intervals(&net), [30, 7, 1, 120 - 39, 30]);
        assert_eq!(net.item("o").record.turns, 0..12);
    }
}

#[test]
fn credentials_stay_with_their_origin() {
    let headers = json!({"Accept": "x", "AUTHORIZATION": "1", "Cookie": "2", "proxy-authorization": "3", "X-Api-Key": "4",
        "x-auth-token": "5", "My-Secret": "6", "Host": "a.example", "X-Account": "{{secret:ACCOUNT}}"});
    let request = json!({"method": "GET", "uri": "https://a.example/x", "headers": headers});
    for elsewhere in [
        "http://a.example/y",
        "https://a.example:444/y",
        "https://b.example/y",
        "https://a.example.b.example/y",
        "https://a.example@b.example/y",
        "https:\\\\b.example\\y",
    ] {
        let (_, sent) = ask(&request, &[accepted(elsewhere, None), accepted("https://a.example/z", None), fine()], 0);
        assert_eq!(sent[1]["headers"], json!({"Accept": "x"}), "{elsewhere}");
        assert_eq!(sent[2]["headers"], json!({"Accept": "x"}), "removed headers do not come back");
    }
    let (_, sent) = ask(&request, &[accepted("/y", None), fine()], 0);
    assert_eq!(sent[1]["headers"], headers);
}

#[test]
fn what_cannot_or_must_not_be_polled_is_the_answer() {
    let plain = json!({"method": "GET", "uri": "http://a.example/"});
    let disabled = json!({"method": "GET", "uri": "http://a.example/", "asynchronousPatternEnabled": false});
    let no_location = json!({"statusCode": 202, "headers": {}, "content": ""});
    for (request, answer) in [
        (&disabled, accepted("/y", None)),
        (&plain, no_location),
        (&plain, accepted("ftp://a.example/y", None)),
        (&plain, accepted("file:///etc/passwd", None)),
        (&plain, accepted("http://", None)),
        (&plain, json!("no response at all")),
    ] {
        let (net, sent) = ask(request, std::slice::from_ref(&answer), 0);
        assert_eq!((net.output("o"), sent.len()), (answer.to_string(), 1));
    }
    let (net, _) = ask(&plain, &[Value::Null], 0);
    assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.error_type == Failure::HTTP_REQUEST_FAILED));
    let (net, _) = ask(&plain, &[accepted("/y", None), Value::Null], 0);
    assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.retriable));
}

#[test]
fn a_request_that_is_none_fails_the_orchestration() {
    for request in [
        json!(1),
        json!({"method": "GET"}),
        json!({"method": 1, "uri": "http://a.example"}),
        json!({"method": "GET", "uri": "/relative"}),
        json!({"method": "GET", "uri": "ftp://a.example"}),
        json!({"method": "GET", "uri": "http://a.example", "headers": {"a": 1}}),
    ] {
        let (net, sent) = ask(&request, &[], 0);
        assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.error_type == Failure::INVALID_ARGUMENT));
        assert!(sent.is_empty());
    }
}

#[test]
fn a_poll_can_be_terminated() {
    let request = json!({"method": "GET", "uri": "http://a.example/"}).to_string();
    let script = Scripted::new()
        .orchestrator("o", move |h| {
            let request = request.clone();
            async move {
                let task = h.act(|e| e.call_http(request.into())).await;
                assert!(!h.with(|e| e.cancel(task)));
                h.outcome(task).await
            }
        })
        .http(|_| Ok(accepted("/y", None).to_string().into()));
    let mut net = Net::seeded(script, 0);
    net.start("o", "o", "null");
    net.settle();
    assert_eq!(net.item("o").timers.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), [Seq(1)]);
    net.terminate("o", false);
    net.finish();
    assert!(net.item("o").timers.is_empty());
}
