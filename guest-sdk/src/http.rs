//! HTTP requests to the hosts that the operator allowed, for activities. (Feature `http`.)
//!
//! A reply with an error status is not a failure. The failures have the names of WASI's error codes:
//! `HttpRequestDenied` for a host that is not allowed, `ConnectionRefused`, `DnsError`, `ConnectionTimeout` and so on,
//! and `InvalidUrl`. In an orchestrator, and outside of wasm, every request fails.
//!
//! ```no_run
//! use dacapo_sdk::http;
//! use dacapo_sdk::prelude::*;
//!
//! #[activity]
//! fn is_ready(url: String) -> Result<bool> {
//!     let response = http::get(&url)?;
//!     Ok(response.status == 200 && response.text()? == "ready")
//! }
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::{OutputStream, StreamError};

use crate::failure::{Failure, Result};

/// Sends a `GET` request.
///
/// ```no_run
/// # use dacapo_sdk::{Result, http};
/// # fn example() -> Result<()> {
/// let response = http::get("http://localhost:8080/status")?;
/// # Ok(())
/// # }
/// ```
pub fn get(url: &str) -> Result<Response> {
    Request::new("GET", url).send()
}

/// A request and its builder.
///
/// ```no_run
/// # use dacapo_sdk::{Result, http};
/// # fn example() -> Result<()> {
/// let response = http::Request::new("POST", "https://example.org/orders")
///     .header("idempotency-key", "order-17-3")
///     .json(&["chair", "table"])?
///     .send()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `send`"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Makes a request without headers and body. The scheme of the URL is `http` or `https`.
    ///
    /// ```
    /// # use dacapo_sdk::http;
    /// let request = http::Request::new("DELETE", "https://example.org/orders/17");
    /// ```
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    ///
    /// ```
    /// # use dacapo_sdk::http;
    /// let request = http::Request::new("GET", "https://example.org/").header("accept", "application/json");
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// # use dacapo_sdk::http;
    /// let request = http::Request::new("PUT", "https://example.org/note").body("remember the milk");
    /// ```
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to JSON, and the header `content-type`. Fails only if the value cannot be written as JSON.
    ///
    /// ```
    /// # use dacapo_sdk::{Result, http};
    /// # fn main() -> Result<()> {
    /// let request = http::Request::new("POST", "https://example.org/orders").json(&["chair"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sends the request and waits for the whole reply.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{Result, http};
    /// # fn example() -> Result<()> {
    /// let response = http::Request::new("HEAD", "https://example.org/").send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(self) -> Result<Response> {
        let target = Target::parse(&self.url)?;
        if cfg!(not(target_family = "wasm")) {
            return Err(Failure::new("Unsupported", "HTTP requests are available only in an activity that runs on a host"));
        }
        let fail = |code| failure(&self.url, code);
        let request = self.outgoing(&target)?;
        let body = request.body().map_err(|()| internal(&self.url, "the request has no body"))?;
        let reply = outgoing_handler::handle(request, None).map_err(fail)?;
        write(&self.url, body, &self.body)?;
        let reply_came = reply.subscribe();
        reply_came.block();
        let reply_once = reply.get().ok_or_else(|| internal(&self.url, "the host returned no reply"))?;
        drop(reply_came);
        let response = reply_once.map_err(|()| internal(&self.url, "the reply was read before"))?.map_err(fail)?;
        Response::read(&self.url, response)
    }

    fn outgoing(&self, target: &Target<'_>) -> Result<OutgoingRequest> {
        let headers: Vec<(String, Vec<u8>)> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let headers =
            Fields::from_list(&headers).map_err(|error| Failure::new("InvalidHeader", format!("{error:?}")).not_retriable())?;
        let request = OutgoingRequest::new(headers);
        request
            .set_method(&method(&self.method))
            .and_then(|()| request.set_scheme(Some(&target.scheme)))
            .and_then(|()| request.set_authority(Some(target.authority)))
            .and_then(|()| request.set_path_with_query(Some(&target.path)))
            .map_err(|()| invalid_url(&self.url))?;
        Ok(request)
    }
}

/// A complete reply.
///
/// ```no_run
/// # use dacapo_sdk::{Result, http};
/// # fn example() -> Result<()> {
/// let response = http::get("http://localhost:8080/status")?;
/// assert_eq!(response.status, 200);
/// assert_eq!(response.header("content-type"), Some("text/plain"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers. Names are in lower case; invalid UTF-8 in values is replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the value of the first header with this name, compared ignoring case.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{Result, http};
    /// # fn example() -> Result<()> {
    /// let response = http::get("http://localhost:8080/status")?;
    /// let tag = response.header("ETag");
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Returns the body as a text in UTF-8.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{Result, http};
    /// # fn example() -> Result<()> {
    /// let text: &str = http::get("http://localhost:8080/status")?.text()?.trim_end();
    /// # Ok(())
    /// # }
    /// ```
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|error| Failure::new("NotUtf8", format!("the reply is not UTF-8 text: {error}")))
    }

    /// Parses the body as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{Result, http};
    /// # fn example() -> Result<()> {
    /// let numbers: Vec<u64> = http::get("http://localhost:8080/numbers")?.json()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    fn read(url: &str, response: IncomingResponse) -> Result<Self> {
        let status = response.status();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let headers = response.headers().entries().into_iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect();
        let body = response.consume().map_err(|()| internal(url, "the reply has no body"))?;
        Ok(Self { status, headers, body: read(url, &body)? })
    }
}

fn read(url: &str, body: &IncomingBody) -> Result<Vec<u8>> {
    let stream = body.stream().map_err(|()| internal(url, "the reply was read before"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(stream_failure(url, error)),
        }
    }
}

/// Writes the body of a request. Even an empty body must be finished.
fn write(url: &str, body: OutgoingBody, bytes: &[u8]) -> Result<()> {
    if !bytes.is_empty() {
        let stream: OutputStream = body.write().map_err(|()| internal(url, "the request has no body"))?;
        for chunk in bytes.chunks(WRITE_CHUNK) {
            stream.blocking_write_and_flush(chunk).map_err(|error| stream_failure(url, error))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| failure(url, code))
}

/// The maximum number of bytes of one read.
const CHUNK: u64 = 65_536;
/// The maximum number of bytes of one `blocking_write_and_flush` in WASI.
const WRITE_CHUNK: usize = 4_096;

/// The target of a request: the parts of its URL.
struct Target<'a> {
    scheme: Scheme,
    authority: &'a str,
    path: String,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => return Err(invalid_url(url)),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(invalid_url(url));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, authority, path })
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn invalid_url(url: &str) -> Failure {
    Failure::new("InvalidUrl", format!("`{url}` is not an absolute `http` or `https` URL")).not_retriable()
}

fn internal(url: &str, message: &str) -> Failure {
    Failure::new("InternalError", format!("`{url}`: {message}"))
}

fn stream_failure(url: &str, error: StreamError) -> Failure {
    match error {
        StreamError::Closed => Failure::new("ConnectionTerminated", format!("`{url}`: the connection was closed")),
        StreamError::LastOperationFailed(error) => match wasip2::http::types::http_error_code(&error) {
            Some(code) => failure(url, code),
            None => internal(url, &error.to_debug_string()),
        },
    }
}

fn failure(url: &str, code: ErrorCode) -> Failure {
    let text = format!("{code:?}");
    // The code `ErrorCode::DnsError(..)` becomes the failure `DnsError`.
    let name = text.trim_start_matches("ErrorCode::").split([' ', '(', '{']).next().unwrap_or_default();
    let message = match &code {
        ErrorCode::HttpRequestDenied => "the operator does not allow requests to this host".to_owned(),
        ErrorCode::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorCode::InternalError(Some(message)) => message.clone(),
        _ => text.clone(),
    };
    let failure = Failure::new(name, format!("`{url}`: {message}"));
    match code {
        ErrorCode::HttpRequestDenied
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong => failure.not_retriable(),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let check = |url, authority, path| {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.authority, &*target.path), (authority, path), "{url}");
        };
        check("http://localhost:8080", "localhost:8080", "/");
        check("HTTPS://example.org/a/b?c=d#e", "example.org", "/a/b?c=d");
        check("http://example.org?c=d", "example.org", "/?c=d");
        for url in ["", "example.org", "ftp://example.org/", "http:///path"] {
            assert!(Target::parse(url).is_err_and(|failure| failure.is("InvalidUrl")), "{url}");
        }
    }

    #[test]
    fn codes_are_failures() {
        let denied = failure("http://example.org/", ErrorCode::HttpRequestDenied);
        assert!(denied.is("HttpRequestDenied") && !denied.retriable, "{denied}");
        let internal = failure("http://example.org/", ErrorCode::InternalError(Some("oops".to_owned())));
        assert_eq!(internal.to_string(), "InternalError: `http://example.org/`: oops");
    }
}
