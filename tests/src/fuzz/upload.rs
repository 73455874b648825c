//! Bytes as an app to deploy: it is deployed or refused, without an internal error.

use axum::body::Body;
use axum::http::Request;

use super::host::answer;

pub fn target(data: &[u8]) {
    let request = Request::post("/admin/apps/fuzzed").body(Body::from(data.to_vec())).expect("it is a request");
    let (status, body) = answer(request);
    let body = String::from_utf8_lossy(&body);
    assert!(status.is_success() || status.is_client_error(), "{status}: {body}");
}
