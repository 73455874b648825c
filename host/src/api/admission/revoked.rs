//! Ends a streamed response when the key of its request is revoked. Every response holds the permit of its request until it is
//! sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::api::admission::concurrency::RequestPermit;

/// Resolves when the key of a caller is revoked.
pub(in crate::api) type Revoked = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Wraps a response so that it holds `permit`, and is broken off at the revocation if it is a stream.
pub(in crate::api) fn end_on_revocation(revoked: Revoked, response: Response, permit: Option<RequestPermit>) -> Response {
    response.map(|body| {
        let revoked = if body.size_hint().exact().is_some() { None } else { Some(revoked) };
        Body::new(RevocableBody { body, revoked, _permit: permit })
    })
}

struct RevocableBody {
    body: Body,
    /// None: the size of the response is known, so it is no stream.
    revoked: Option<Revoked>,
    _permit: Option<RequestPermit>,
}

impl hyper::body::Body for RevocableBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(revoked) = &mut self.revoked
            && revoked.as_mut().poll(cx).is_ready()
        {
            // An error, so that the client does not take a part for the whole.
            return Poll::Ready(Some(Err(axum::Error::new("the key was revoked"))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
