//! The host's own activity `BuiltIn::HttpActivity`: one HTTP request, under the policy for outgoing HTTP.
//!
//! A response of any status is a success. Redirects are not followed: the orchestrator decides where a request goes, and its
//! decision is recorded.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dacapo_core::execution::{TaskOutcome, check_payload};
use dacapo_core::{Failure, Payload};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::{Map, Value, json};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::account::ActivityContext;
use crate::outbound::http::{denial, send};

/// The timeout of a request that gives none.
const TIMEOUT: Duration = Duration::from_secs(100);

/// The host sets these itself: they are about the connection, not about the request.
const CONNECTION_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Sends the request that `input` describes, and gives the response.
pub(crate) async fn run(terms: &ActivityContext, input: &str) -> TaskOutcome {
    let policy = &terms.policy;
    let Call { request, timeout } = Call::parse(input)?;
    // Nothing that the host does for a guest takes longer than an activity may.
    let timeout = timeout.min(policy.limits.activity_time);
    let address = Address::of(request.uri());
    let answered = tokio::time::timeout(timeout, exchange(terms, request)).await;
    let response =
        answered.unwrap_or_else(|_| Err(no_answer(&address, format_args!("there was no answer within {timeout:?}"))))?;
    let response = Payload::from(response.to_string());
    check_payload("the response", &response, &policy.execution, Failure::INVALID_OUTPUT)?;
    Ok(response)
}

async fn exchange(terms: &ActivityContext, request: Request<WasiBody>) -> Result<Value, Failure> {
    let address = Address::of(request.uri());
    let sent = send(terms, request, RequestOptions::default()).await;
    let (response, connection) = sent.map_err(|error| failure(&address, &error))?;
    let (head, body) = response.into_parts();
    let allowed = terms.policy.execution.payload_bytes;
    let body = Limited::new(body, allowed).collect().await.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => {
            let message =
                format!("{address}: the body of the response has more than {allowed} bytes, which is the limit payload_bytes");
            Failure::permanent(Failure::LIMIT_EXCEEDED, message)
        }
        None => match error.downcast_ref::<Error>() {
            Some(error) => failure(&address, error),
            None => no_answer(&address, format_args!("{error}")),
        },
    })?;
    drop(connection);
    let content = String::from_utf8(body.to_bytes().into()).map_err(|why| {
        let message = format!("{address}: the body of the response is not a text in UTF-8 ({})", why.utf8_error());
        Failure::permanent(Failure::HTTP_REQUEST_FAILED, message)
    })?;
    Ok(json!({ "statusCode": head.status.as_u16(), "headers": headers_to_json(&head.headers), "content": content }))
}

/// Names are in lower case; several values of one name are joined, as HTTP allows.
fn headers_to_json(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        object.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    object.into()
}

/// A parsed request.
struct Call {
    request: Request<WasiBody>,
    timeout: Duration,
}

impl Call {
    fn parse(input: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(input).map_err(|why| invalid(format_args!("it is not JSON: {why}")))?;
        let Value::Object(members) = value else { return Err(invalid(format_args!("it is not a JSON object"))) };
        let uri = uri(&members)?;
        let mut headers = headers(&members)?;
        let content = content(&members, &mut headers)?;
        headers.insert(HOST, host(&uri)?);
        let timeout = match members.get("timeoutMs") {
            None | Some(Value::Null) => TIMEOUT,
            Some(millis) => Duration::from_millis(
                millis.as_u64().ok_or_else(|| invalid(format_args!("`timeoutMs` is not a whole number of milliseconds")))?,
            ),
        };
        let body = Full::new(content).map_err(Error::from).boxed_unsync();
        let mut request = Request::new(body);
        *request.method_mut() = method(&members)?;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(Self { request, timeout })
    }
}

fn method(members: &Map<String, Value>) -> Result<Method, Failure> {
    let text = members.get("method").and_then(Value::as_str);
    let text = text.ok_or_else(|| invalid(format_args!("`method` is missing or not a string")))?;
    match Method::from_bytes(text.to_ascii_uppercase().as_bytes()) {
        Ok(method) if method != Method::CONNECT => Ok(method),
        _ => Err(invalid(format_args!("`method` is `{text}`, which is not an HTTP method that can be sent"))),
    }
}

fn uri(members: &Map<String, Value>) -> Result<Uri, Failure> {
    let text = members.get("uri").and_then(Value::as_str);
    let text = text.ok_or_else(|| invalid(format_args!("`uri` is missing or not a string")))?;
    let uri: Uri = text.parse().map_err(|why| invalid(format_args!("`uri` is `{text}`: {why}")))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.is_empty() {
        return Err(invalid(format_args!("`uri` is `{text}`, which is not an absolute address of http or https")));
    }
    if authority.contains('@') {
        return Err(invalid(format_args!("`uri` holds a user name: send credentials in a header")));
    }
    Ok(uri)
}

fn host(uri: &Uri) -> Result<HeaderValue, Failure> {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    authority.parse().map_err(|_| invalid(format_args!("`uri` names a host that is not valid in a header")))
}

/// Parses an object whose members are strings, or arrays of strings for repeated headers.
fn headers(members: &Map<String, Value>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let given = match members.get("headers") {
        None | Some(Value::Null) => return Ok(headers),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(invalid(format_args!("`headers` is not an object"))),
    };
    for (text, values) in given {
        let name: HeaderName =
            text.parse().map_err(|_| invalid(format_args!("`headers` has '{text}', which is not a header name")))?;
        if CONNECTION_HEADERS.contains(&name.as_str()) {
            return Err(invalid(format_args!("`headers` has '{text}', which the host sets itself")));
        }
        for value in values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice) {
            let value = value.as_str().and_then(|value| value.parse::<HeaderValue>().ok());
            let value = value.ok_or_else(|| invalid(format_args!("`headers` has '{text}' with an invalid header value")))?;
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

/// A string is sent as it is, anything else as JSON.
fn content(members: &Map<String, Value>, headers: &mut HeaderMap) -> Result<Bytes, Failure> {
    let (content, content_type) = match members.get("content") {
        None | Some(Value::Null) => return Ok(Bytes::new()),
        Some(Value::String(text)) => (text.clone(), "text/plain; charset=utf-8"),
        Some(value) => (value.to_string(), "application/json"),
    };
    let given = headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    if given.as_bytes().to_ascii_lowercase().starts_with(b"multipart/") {
        return Err(invalid(format_args!(
            "`content` is of a multipart type: send multipart requests from an activity of your own"
        )));
    }
    Ok(content.into())
}

fn invalid(why: fmt::Arguments<'_>) -> Failure {
    Failure::permanent("InvalidInput", format!("the request of an HTTP call: {why}"))
}

/// The address of a request in a failure. It omits the query, which may hold credentials: a failure is kept in a history that
/// many may read.
struct Address(String);

impl Address {
    fn of(uri: &Uri) -> Self {
        let (scheme, authority) =
            (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |authority| authority.as_str()));
        Self(format!("{scheme}://{authority}{}", uri.path()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

fn no_answer(address: &Address, why: fmt::Arguments<'_>) -> Failure {
    Failure::retriable(Failure::HTTP_REQUEST_FAILED, format!("{address}: {why}"))
}

fn too_large(address: &Address, what: &str, limit: &str, allowed: u64) -> Failure {
    let message = format!("{address}: the body of the {what} has more than {allowed} bytes, which is the limit {limit}");
    Failure::permanent(Failure::LIMIT_EXCEEDED, message)
}

/// The failure of a request without a response. It is retriable unless the operator's policy or limits refused the request.
fn failure(address: &Address, error: &Error) -> Failure {
    if let Some(why) = denial(error) {
        return Failure::permanent(Failure::HTTP_REQUEST_FAILED, format!("{address}: {why}"));
    }
    match error {
        Error::HttpRequestBodySize(Some(allowed)) => too_large(address, "request", "http_request_bytes", *allowed),
        Error::HttpResponseBodySize(Some(allowed)) => too_large(address, "response", "http_response_bytes", *allowed),
        Error::HttpResponseTimeout => no_answer(address, format_args!("it took longer than the limit http_seconds allows")),
        Error::ConnectionRefused => no_answer(address, format_args!("the connection was refused")),
        other => no_answer(address, format_args!("{other}")),
    }
}
