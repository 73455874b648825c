//! The host's own HTTP activity, against servers with prepared responses.

use std::time::Duration;

use dacapo_core::guest::HTTP_ACTIVITY;
use dacapo_core::{ActivityCall, Executor, Failure, FunctionName, InstanceId, Seq};
use dacapo_wasm::{AllowList, HttpLimits, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::activities;
use crate::guest::Guest;
use crate::world::Host;

/// A server that sends these bytes in response to every request, and records the requests.
struct Server {
    authority: String,
    heard: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let (listener, answer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), answer.into());
        let authority = listener.local_addr().unwrap().to_string();
        let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|length| length > 0) {}
                let _ = tell.send(String::from_utf8(request).unwrap());
                let _ = stream.write_all(&answer).await;
                // Empty bytes: it keeps the client waiting.
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
        });
        Self { authority, heard }
    }

    /// Returns the next request: the lines of its head, and its body last.
    async fn heard(&mut self) -> Vec<String> {
        self.heard.recv().await.unwrap().split("\r\n").map(str::to_owned).collect()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn send(host: &Host, request: &str) -> Result<String, Failure> {
    let call = ActivityCall {
        name: FunctionName::new(HTTP_ACTIVITY).unwrap(),
        input: request.into(),
        instance: InstanceId::any("i").unwrap(),
        seq: Seq(0),
        attempt: 1,
    };
    host.tenant.run_http(None, call).await.map(|output| output.to_string())
}

#[tokio::test]
async fn what_goes_over_the_connection_is_counted() {
    let answer = ok("", &"x".repeat(5_000));
    let mut server = Server::answering(answer.clone()).await;
    let host = allowing(&server);
    let request = format!(r#"{{"method":"POST","uri":"http://{}/","content":"{}"}}"#, server.authority, "y".repeat(3_000));
    send(&host, &request).await.unwrap();
    let request = server.heard().await.join("\r\n");
    assert_eq!(host.outbound.take(), (request.len() as u64, answer.len() as u64));
    assert_eq!(host.outbound.take(), (0, 0));
}

/// Sends a request from an activity that has no bindings for WASI's HTTP, and returns the result.
async fn send_from_activity(host: &Host, request: &str) -> Result<String, Failure> {
    let guest = Guest {
        imports: r#"(import "dacapo:guest/management@0.1.0" "send-http" (func $send (param i32 i32 i32)))"#,
        ..Guest::activity("(call $send (local.get 2) (local.get 3) (i32.const 100)) (i32.const 100)")
    };
    let call = ActivityCall { input: request.into(), ..activities::call() };
    host.run_activity(host.deploy(&guest), call).await.map(|output| output.to_string())
}

#[tokio::test]
async fn an_activity_sends_requests_as_orchestrators_do() {
    let mut server = Server::answering(ok("ETag: 7\r\n", "hello")).await;
    let request = format!(r#"{{"method":"GET","uri":"http://{}/a?code=s3cret","headers":{{"X-One":"1"}}}}"#, server.authority);
    let host = allowing(&server);
    let response = send_from_activity(&host, &request).await.unwrap();
    assert_eq!(response, r#"{"content":"hello","headers":{"content-length":"5","etag":"7"},"statusCode":200}"#);
    let heard = server.heard().await;
    assert_eq!(heard[0], "GET /a?code=s3cret HTTP/1.1");
    assert!(heard.contains(&"x-one: 1".to_owned()), "{heard:?}");
    let counted = host.outbound.take();
    assert_eq!(counted.0, heard.join("\r\n").len() as u64, "it is billed");
    // A host that it may not reach is a failure that it can handle.
    let denied = send_from_activity(&Host::new(), &request).await.unwrap_err();
    assert_eq!(denied.error_type, "HttpRequestFailed");
    assert!(denied.message.contains("/a`: the operator does not allow requests to this host"), "{denied:?}");
    assert!(!denied.message.contains("s3cret"), "{denied:?}");
    let invalid = send_from_activity(&Host::new(), "7").await.unwrap_err();
    assert_eq!(invalid.message, "the request of an HTTP call: it is not a JSON object");
}

/// A host whose activities may reach the server.
fn allowing(server: &Server) -> Host {
    Host::with(|setup| setup.policy.outbound = AllowList::parse([&server.authority]).unwrap())
}

#[tokio::test]
async fn a_request_is_sent_and_its_response_comes_back() {
    let mut server = Server::answering(ok("ETag: 7\r\nX-Many: a\r\nX-Many: b\r\n", "grüß \"Gott\"")).await;
    let authority = server.authority.clone();
    let request = format!(
        r#"{{"method":"put","uri":"http://{authority}/a%20b?c=d#e","headers":{{"X-One":"1","X-Two":["2","3"]}},"content":"hello",
             "asynchronousPatternEnabled":true,"unknown":[]}}"#
    );
    let response = send(&allowing(&server), &request).await.unwrap();
    let expected = r#"{"content":"grüß \"Gott\"","headers":{"content-length":"13","etag":"7","x-many":"a, b"},"statusCode":200}"#;
    assert_eq!(response, expected);
    let mut heard = server.heard().await;
    assert_eq!(heard.remove(0), "PUT /a%20b?c=d HTTP/1.1");
    heard.sort();
    let host = format!("host: {authority}");
    let expected =
        ["", "content-length: 5", "content-type: text/plain; charset=utf-8", "hello", &host, "x-one: 1", "x-two: 2", "x-two: 3"];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn content_that_is_no_text_is_sent_as_json() {
    let cases = [
        (r#""content":{"a":[1,2]}"#, "content-type: application/json", r#"{"a":[1,2]}"#),
        (r#""content":[],"headers":{"Content-Type":"application/ld+json"}"#, "content-type: application/ld+json", "[]"),
        (r#""content":"<a/>","headers":{"content-type":"text/xml"}"#, "content-type: text/xml", "<a/>"),
    ];
    for (members, content_type, body) in cases {
        let mut server = Server::answering(ok("", "")).await;
        let request = format!(r#"{{"method":"POST","uri":"http://{}/",{members}}}"#, server.authority);
        send(&allowing(&server), &request).await.unwrap();
        let heard = server.heard().await;
        assert!(heard.iter().any(|line| line == content_type), "{heard:?}");
        assert_eq!(heard.last().unwrap(), body);
    }
}

#[tokio::test]
async fn an_answer_of_any_status_is_a_response_and_redirects_are_not_followed() {
    for status in [202, 302, 404, 500] {
        let answer = format!("HTTP/1.1 {status} So\r\nlocation: http://example.org/\r\ncontent-length: 0\r\n\r\n");
        let server = Server::answering(answer).await;
        let request = format!(r#"{{"method":"GET","uri":"http://{}"}}"#, server.authority);
        let response = send(&allowing(&server), &request).await.unwrap();
        assert!(response.ends_with(&format!(r#""statusCode":{status}}}"#)), "{response}");
        assert!(response.contains(r#""location":"http://example.org/""#), "{response}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_names_the_member() {
    let host = Host::new();
    let get = |members: &str| format!(r#"{{"method":"GET","uri":"http://localhost/"{members}}}"#);
    let cases = [
        ("nonsense".to_owned(), "it is not JSON"),
        ("[]".to_owned(), "it is not a JSON object"),
        (r#"{"uri":"http://localhost/"}"#.to_owned(), "`method` is missing"),
        (r#"{"method":7,"uri":"http://localhost/"}"#.to_owned(), "`method` is missing or not a string"),
        (r#"{"method":"CONNECT","uri":"http://localhost/"}"#.to_owned(), "`method` is `CONNECT`"),
        (r#"{"method":"two words","uri":"http://localhost/"}"#.to_owned(), "`method` is `two words`"),
        (r#"{"method":"GET"}"#.to_owned(), "`uri` is missing"),
        (r#"{"method":"GET","uri":"ftp://localhost/"}"#.to_owned(), "`uri` is `ftp://localhost/`"),
        (r#"{"method":"GET","uri":"/path"}"#.to_owned(), "`uri` is `/path`"),
        (r#"{"method":"GET","uri":"http://two words/"}"#.to_owned(), "`uri` is `http://two words/`"),
        (r#"{"method":"GET","uri":"http://user:secret@localhost/"}"#.to_owned(), "`uri` holds a user name"),
        (get(r#","headers":[]"#), "`headers` is not an object"),
        (get(r#","headers":{"a b":"c"}"#), "`headers` has 'a b', which is not a header name"),
        (get(r#","headers":{"a":7}"#), "`headers` has 'a' with an invalid header value"),
        (get(r#","headers":{"a":"b\r\nc: d"}"#), "`headers` has 'a' with an invalid header value"),
        (get(r#","headers":{"Host":"elsewhere"}"#), "`headers` has 'Host', which the host sets itself"),
        (get(r#","headers":{"Content-Length":"7"}"#), "`headers` has 'Content-Length', which the host sets itself"),
        (get(r#","content":"x","headers":{"content-type":"Multipart/form-data"}"#), "`content` is of a multipart type"),
        (get(r#","timeoutMs":"7""#), "`timeoutMs` is not a whole number"),
        (get(r#","timeoutMs":-1"#), "`timeoutMs` is not a whole number"),
    ];
    for (request, message) in cases {
        let failure = send(&host, &request).await.unwrap_err();
        assert_eq!((failure.error_type.as_str(), failure.retriable), ("InvalidInput", false), "{request}: {failure}");
        assert!(failure.message.contains(message), "{request}: {failure}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_a_failure_for_good() {
    let mut server = Server::answering(ok("", "")).await;
    let request = format!(r#"{{"method":"GET","uri":"http://{}/"}}"#, server.authority);
    let failure = send(&Host::new(), &request).await.unwrap_err();
    assert_eq!((failure.error_type.as_str(), failure.retriable), ("HttpRequestFailed", false));
    assert!(failure.message.contains("the setting `activities.allow_hosts`"), "{failure}");
    assert!(server.heard.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn no_answer_is_a_failure_that_may_pass() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let silent = Server::answering("").await;
    let rude = Server::answering("what?\r\n\r\n").await;
    let torn = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nto").await;
    let all = [&nobody, &silent.authority, &rude.authority, &torn.authority];
    let host = Host::with(|setup| setup.policy.outbound = AllowList::parse(all).unwrap());
    for (authority, message) in all.into_iter().zip(["the connection was refused", "no answer within 100ms", "", ""]) {
        let request = format!(r#"{{"method":"GET","uri":"http://{authority}/","timeoutMs":100}}"#);
        let failure = send(&host, &request).await.unwrap_err();
        assert_eq!((failure.error_type.as_str(), failure.retriable), ("HttpRequestFailed", true), "{failure}");
        assert!(failure.message.contains(message) && failure.message.contains(authority), "{failure}");
    }
}

#[tokio::test]
async fn a_request_takes_no_longer_than_an_activity() {
    let server = Server::answering("").await;
    let host = Host::with(|setup| {
        setup.policy.outbound = AllowList::parse([&server.authority]).unwrap();
        setup.policy.limits.activity_time = Duration::from_millis(50);
    });
    let request = format!(r#"{{"method":"GET","uri":"http://{}/"}}"#, server.authority);
    assert!(send(&host, &request).await.unwrap_err().message.contains("no answer within 50ms"));
}

#[tokio::test]
async fn a_response_that_cannot_be_kept_is_a_failure_for_good() {
    let host = |server: &Server| {
        Host::with(|setup| {
            setup.policy.outbound = AllowList::parse([&server.authority]).unwrap();
            setup.policy.execution.payload_bytes = 200;
        })
    };
    // The second one fits, but not once its quotation marks are escaped.
    let cases = [
        (ok("", &"x".repeat(201)), "LimitExceeded", "the body of the response has more than 200 bytes"),
        (ok("", &"\"".repeat(150)), "LimitExceeded", "the response has"),
    ];
    for (answer, error_type, message) in cases {
        let server = Server::answering(answer).await;
        let request = format!(r#"{{"method":"GET","uri":"http://{}/"}}"#, server.authority);
        let failure = send(&host(&server), &request).await.unwrap_err();
        assert_eq!((failure.error_type.as_str(), failure.retriable), (error_type, false), "{failure}");
        assert!(failure.message.contains(message), "{failure}");
    }
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe".to_vec()).await;
    let request = format!(r#"{{"method":"GET","uri":"http://{}/"}}"#, server.authority);
    let failure = send(&host(&server), &request).await.unwrap_err();
    assert_eq!((failure.error_type.as_str(), failure.retriable), ("HttpRequestFailed", false), "{failure}");
    assert!(failure.message.contains("not a text in UTF-8"), "{failure}");
}

#[tokio::test]
async fn requests_and_responses_are_held_to_their_limits() {
    let server = Server::answering(ok("", &"x".repeat(51))).await;
    let host = Host::with(|setup| {
        setup.policy.outbound = AllowList::parse([&server.authority]).unwrap();
        setup.policy.http = HttpLimits { request_bytes: 40, response_bytes: 50, time: Duration::from_secs(20) };
    });
    for (content, limit) in [("y".repeat(41), "http_request_bytes"), (String::new(), "http_response_bytes")] {
        let request = format!(r#"{{"method":"POST","uri":"http://{}/","content":"{content}"}}"#, server.authority);
        let failure = send(&host, &request).await.unwrap_err();
        assert_eq!((failure.error_type.as_str(), failure.retriable), ("LimitExceeded", false), "{failure}");
        assert!(failure.message.contains(limit), "{failure}");
    }
    let silent = Server::answering("").await;
    let host = Host::with(|setup| {
        setup.policy.outbound = AllowList::parse([&silent.authority]).unwrap();
        setup.policy.http.time = Duration::from_millis(50);
    });
    let failure = send(&host, &format!(r#"{{"method":"GET","uri":"http://{}/"}}"#, silent.authority)).await.unwrap_err();
    assert!(failure.message.contains("the limit http_seconds") && failure.retriable, "{failure}");
}

#[tokio::test]
async fn a_secret_is_put_into_headers_for_its_hosts_and_nowhere_else() {
    let mut friend = Server::answering(ok("", "")).await;
    let mut stranger = Server::answering(ok("", "")).await;
    let host = Host::with(|setup| {
        setup.policy.outbound = AllowList::parse([&friend.authority, &stranger.authority]).unwrap();
        let hosts = AllowList::parse([format!("http://{}", friend.authority)]).unwrap();
        setup.policy.secrets = vec![Secret { name: "KEY".into(), value: "s3cret".into(), hosts, environment: None }];
    });
    let request = |authority: &str| {
        format!(r#"{{"method":"GET","uri":"http://{authority}/","headers":{{"Authorization":"Bearer {{{{secret:KEY}}}}"}}}}"#)
    };
    send(&host, &request(&friend.authority)).await.unwrap();
    let heard = friend.heard().await;
    assert!(heard.iter().any(|line| line == "authorization: Bearer s3cret"), "{heard:?}");
    let failure = send(&host, &request(&stranger.authority)).await.unwrap_err();
    assert_eq!((failure.error_type.as_str(), failure.retriable), ("HttpRequestFailed", false), "{failure}");
    assert!(failure.message.contains("the secret 'KEY' is not for") && !failure.message.contains("s3cret"), "{failure}");
    assert!(stranger.heard.try_recv().is_err(), "nothing was sent");
}
