//! One request and its response, which report their progress to the pace of the connection.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::ServiceExt as _;

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
