//! Bytes as an HTTP request: a line with the method and the address, header lines, an empty line, a body. Any request gets a
//! response, with JSON if it has a body, and never an internal error.

use axum::body::Body;
use axum::http::{Method, Request, Uri};
use hyper::header::{HeaderName, HeaderValue};

use super::host::answer;

pub fn target(data: &[u8]) {
    let Some(request) = parse(data) else { return };
    let shown = format!("{} {}", request.method(), request.uri());
    let (status, body) = answer(request);
    let fault = status.is_server_error() && !matches!(status.as_u16(), 500..=503 if is_told(&body));
    assert!(!fault, "{shown}: {status}: {}", String::from_utf8_lossy(&body));
    let json = body.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    assert!(json, "{shown}: {status}: {}", String::from_utf8_lossy(&body));
}

/// The contract has a 500 for some states of an instance: these responses are recognised by their text.
fn is_told(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("cannot suspend") || text.contains("cannot resume") || text.contains("\"runtimeStatus\"")
}

fn parse(data: &[u8]) -> Option<Request<Body>> {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.next()?;
    let space = line.iter().position(|&byte| byte == b' ')?;
    let mut request = Request::new(Body::from(body.get(2..).unwrap_or_default().to_vec()));
    *request.method_mut() = Method::from_bytes(&line[..space]).ok()?;
    *request.uri_mut() = Uri::try_from(&line[space + 1..]).ok()?;
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
        request.headers_mut().append(name, value);
    }
    Some(request)
}
