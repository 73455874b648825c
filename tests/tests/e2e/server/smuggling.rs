//! Requests that two parsers could read differently: each is refused, or is the last of its connection.

use super::*;

const BASE: &str = "/runtime/webhooks/durabletask";

/// Checks the status of each response to `bytes`. The host must then close the connection.
#[track_caller]
fn check(host: &Host, bytes: impl AsRef<[u8]>, expected: &[u16]) {
    let answers = all_answers(host, bytes.as_ref());
    assert_eq!(statuses(&answers), expected, "{:?}: {answers}", String::from_utf8_lossy(bytes.as_ref()));
}

/// Returns a request with these further header lines.
fn post(lines: &str, body: &str) -> String {
    format!("POST {BASE}/orchestrators/any HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n{body}")
}

const SECOND: &str = "GET /admin/apps HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn bodies_of_two_lengths() {
    let (host, _directory) = host(&[]);
    // The bytes after the shorter length are never read as a request.
    for lines in ["content-length: 5\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"] {
        check(&host, post(lines, &format!("0\r\n\r\n{SECOND}")), &[400]);
    }
    for lines in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 1, 2\r\n",
        "content-length: +1\r\n",
        "content-length: -1\r\n",
        "content-length: 0x1\r\n",
        "content-length: 1 1\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length: \r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "content-length : 1\r\n",
        "transfer-encoding: identity\r\n",
    ] {
        check(&host, post(lines, &format!("1{SECOND}")), &[400]);
    }
    let old = format!("POST {BASE}/orchestrators/any HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SECOND}");
    check(&host, old, &[400]);
    serves(&host);
}

#[test]
fn chunks_that_are_none() {
    let (host, _directory) = host(&[]);
    let chunked = |body: &str| post("transfer-encoding: chunked\r\n", body);
    for body in [
        "zz\r\n1\r\n0\r\n\r\n",
        "-1\r\n1\r\n0\r\n\r\n",
        "0x1\r\n1\r\n0\r\n\r\n",
        "1\r\n12\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n1",
    ] {
        check(&host, chunked(&format!("{body}{SECOND}")), &[400]);
    }
    // A chunk extension as long as an upload.
    check(&host, chunked(&format!("1;{}\r\n1\r\n0\r\n\r\n", "x".repeat(100_000))), &[400]);
    serves(&host);
}

#[test]
fn heads_that_are_none() {
    let (host, _directory) = host(&[]);
    for head in [
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-folded: a\r\n b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-nul: a\0b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-return: a\rb\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n: no name\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nna me: x\r\n\r\n",
        "GET /hea\0lthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /healthz HTTP/9.9\r\nhost: localhost\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "G\x01T /healthz HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03 this is TLS\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answers = all_answers(&host, head);
        assert!(matches!(statuses(&answers)[..], [] | [400] | [505]), "{head:?}: {answers}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(65_534));
    check(&host, long, &[414]);
    let large = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-large: {}\r\n\r\n", "x".repeat(200_000));
    check(&host, large, &[431]);
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x-many: x\r\n".repeat(200));
    check(&host, many, &[431]);
    serves(&host);
}

/// Checks that there is exactly one response, whether the connection stays open or not.
#[track_caller]
fn answered(host: &Host, head: &str, expected: u16) {
    let mut wire = Wire::open(host.url()).unwrap();
    wire.send(format!("{head}\r\n\r\n")).unwrap();
    let answer = wire.read_answer().unwrap();
    assert_eq!(statuses(&answer), [expected], "{head:?}: {answer}");
}

#[test]
fn hosts_and_addresses_of_two_meanings() {
    let (host, _directory) = host(&[]);
    answered(&host, "GET http://localhost/healthz HTTP/1.1\r\nhost: localhost", 200);
    answered(&host, "GET /healthz HTTP/1.1", 400);
    answered(&host, "GET http://localhost/healthz HTTP/1.1", 400);
    answered(&host, "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost", 400);
    answered(&host, "GET http://evil.example/healthz HTTP/1.1\r\nhost: evil.example", 403);
    answered(&host, "GET http://evil.example@localhost/healthz HTTP/1.1\r\nhost: localhost", 400);
    answered(&host, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example", 400);
    answered(&host, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nHOST: localhost", 400);
    answered(&host, "CONNECT localhost:22 HTTP/1.1\r\nhost: localhost:22", 404);
    answered(&host, "OPTIONS * HTTP/1.1\r\nhost: localhost", 404);
    answered(&host, "TRACE /healthz HTTP/1.1\r\nhost: localhost", 404);
    // Headers of a proxy are not trusted.
    answered(&host, "GET /healthz HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: localhost", 403);
    serves(&host);
}

#[test]
fn paths_and_queries_of_two_meanings() {
    let (host, _directory) = host(&[]);
    host.deploy_guest("fixture-probe").unwrap();
    let get = |path: &str, expected| answered(&host, &format!("GET {path} HTTP/1.1\r\nhost: localhost"), expected);
    // Nothing is normalised: a dot is an ordinary character of a name, and so is an encoded slash.
    get(&format!("{BASE}/instances/../../../admin/apps"), 404);
    get(&format!("{BASE}/instances/..%2f..%2f..%2fadmin%2fapps"), 404);
    get(&format!("{BASE}/instances/%2e%2e/admin/apps"), 404);
    get("/runtime/../admin/apps", 404);
    get("/admin%2fapps", 404);
    get("/admin/./apps", 404);
    get("/admin;x=y/apps", 404);
    get("/admin/apps%00", 404);
    get("/admin/apps%ff", 400);
    get("/admin/apps?taskHub=TestHubName&taskHub=Other", 400);
    get("/admin/apps?taskHub=TestHubName&TASKHUB=Other", 400);
    get("/admin/apps?taskHub=TestHubName&task%48ub=Other", 400);
    get("/admin/apps?taskHub=..%2fTestHubName", 404);
    get("/admin/apps?taskHub=TestHubName%00", 404);
    get("/admin/apps?taskHub=TestHubName;taskHub=Other", 404);
    let start = |path: &str, expected| {
        let head = format!("POST {BASE}/orchestrators/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0");
        answered(&host, &head, expected);
    };
    start("chain/..%2f..%2fid", 400);
    start("chain/..%5c..%5cid", 400);
    start("chain/%00", 400);
    start("chain/a%0d%0aset-cookie:%20x", 400);
    start("..%2f..%2fchain", 400);
    serves(&host);
}
