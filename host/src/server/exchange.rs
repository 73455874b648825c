//! One request and its response, which report their progress to the pace of the connection.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::ServiceExt as _;

use super::HEAD_BYTES_MAX;
use super::connections::source;
use super::pace::SharedPace;

/// The address that a request came from: an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);

impl Remote {
    /// What counts as one client where clients have no key.
    pub fn source(self) -> IpAddr {
        source(self.0.ip())
    }
}

/// Tells the connection of a request that its caller is authorised: an extension of the request.
#[derive(Clone)]
pub struct Admission(SharedPace);

impl Admission {
    /// Marks the request as authorised. Until then the connection may be closed when there are too many.
    pub fn grant(&self) {
        self.0.lock().admitted();
    }
}

/// The hyper service of one connection.
pub(super) struct Exchange {
    pub api: axum::Router,
    pub pace: SharedPace,
    pub remote: SocketAddr,
}

impl Service<Request<Incoming>> for Exchange {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let pace = self.pace.clone();
        pace.lock().asked(!request.body().is_end_stream());
        if let Some(refusal) = refusal(&request) {
            return Box::pin(async move { Ok(refusal.map(|body| AnswerBody { body, pace })) });
        }
        request.extensions_mut().insert(Remote(self.remote));
        request.extensions_mut().insert(Admission(pace.clone()));
        // hyper removes a Content-Length beside a Transfer-Encoding, so it is unknown whether there was one. If there
        // was, RFC 9112 (6.1) requires that the connection is closed, because a proxy may see another request after
        // this one than the host does.
        let last = request.headers().contains_key(TRANSFER_ENCODING);
        let request = request.map(|body| axum::body::Body::new(RequestBody { body, pace: pace.clone() }));
        let answer = self.api.clone().oneshot(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer.map(|body| AnswerBody { body, pace }))
        })
    }
}

/// The response to a request that is refused for its head alone. The connection ends with it.
fn refusal<T>(request: &Request<T>) -> Option<Response<axum::body::Body>> {
    let (status, why) = if head_bytes(request) > HEAD_BYTES_MAX {
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None)
    } else if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
        (StatusCode::BAD_REQUEST, Some("a request of HTTP/1.1 needs a 'Host' header"))
    } else {
        return None;
    };
    // The body is like the errors of the API.
    let body = why.map(|why| serde_json::json!({ "Message": why, "ExceptionMessage": why }).to_string());
    let mut response = Response::new(body.map(axum::body::Body::from).unwrap_or_default());
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if why.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    Some(response)
}

/// About the bytes of the head of a request. hyper checks its limit before each read, and one read may bring as much again.
fn head_bytes<T>(request: &Request<T>) -> usize {
    let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    let uri = request.uri();
    let uri = uri.path_and_query().map_or(0, |path| path.as_str().len()) + uri.authority().map_or(0, |of| of.as_str().len());
    uri + request.headers().iter().map(header).sum::<usize>()
}

struct RequestBody {
    body: Incoming,
    pace: SharedPace,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.pace.lock().body_ended();
    }
}

/// The body of a response. Dropped when hyper has taken all of it for sending.
pub(super) struct AnswerBody {
    body: axum::body::Body,
    pace: SharedPace,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.pace.lock().answered(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a head of 200 kB was refused depended on how much of it had arrived when hyper looked: some were answered, and the
    /// connection kept.
    #[test]
    fn a_head_is_refused_by_its_size_however_it_arrives() {
        let status = |bytes: usize| {
            let request = Request::builder().uri("/healthz").header(HOST, "localhost").header("x-large", "x".repeat(bytes));
            refusal(&request.body(()).unwrap()).map(|refusal| (refusal.status().as_u16(), refusal.headers()[CONNECTION].clone()))
        };
        assert_eq!(status(100_000), None);
        assert_eq!(status(200_000), Some((431, HeaderValue::from_static("close"))));
        assert_eq!(status(HEAD_BYTES_MAX - 10).unwrap().0, 431);
    }

    #[test]
    fn a_request_names_its_host() {
        let request = |version| Request::builder().uri("http://localhost/healthz").version(version).body(()).unwrap();
        assert_eq!(refusal(&request(Version::HTTP_11)).unwrap().status(), 400);
        assert!(refusal(&request(Version::HTTP_10)).is_none());
    }
}
