//! Reading the body of a request.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::request::Parts;
use http_body_util::BodyExt;

use crate::api::admission::body_memory::{BodyRefused, BodyReservation};
use crate::api::error::ApiError;

/// What a route takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum BodyKind {
    Nothing,
    /// JSON, or nothing.
    Payload,
    /// JSON if its `Content-Type` says so, otherwise a text; or nothing.
    PayloadOrText,
    Module,
    /// Lines of an exported file.
    Export,
    /// A JSON object with the schema of this name.
    Json(&'static str),
    /// A text that is never shown again.
    Secret,
}

impl BodyKind {
    fn name(self) -> &'static str {
        match self {
            BodyKind::Nothing | BodyKind::Json(_) => "body",
            BodyKind::Payload | BodyKind::PayloadOrText => "payload",
            BodyKind::Module => "module",
            BodyKind::Export => "file",
            BodyKind::Secret => "secret",
        }
    }
}

/// The most bytes of one import, which is checked whole before any of it is stored. Larger files are sent in parts.
pub(in crate::api) const EXPORT_BYTES_MAX: usize = 256 << 20;

/// The most memory allocated on the word of `Content-Length` alone.
const PIECE_BYTES: usize = 64 << 10;

/// An unwanted body is read and dropped up to this size: a client that is still sending when the connection closes would
/// never see the response.
const DRAINED_BYTES_MAX: usize = 64 << 20;

/// How long the body of a refused request is drained: in all, and for each piece.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
const DISCARD_PAUSE_MAX: Duration = Duration::from_millis(250);

/// Drains the body of a refused request, within the limits above.
pub(in crate::api) async fn discard(head: &Parts, mut body: Body) {
    if head.headers.contains_key(EXPECT) {
        return;
    }
    let drain = async {
        let mut dropped = 0;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_PAUSE_MAX, body.frame()).await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    // The response is the same, however this ends.
    let _ = tokio::time::timeout(DISCARD_TIME_MAX, drain).await;
}

/// Reads a whole body of at most `limit` bytes, before the handler runs, even if the request will be refused. `held` counts the
/// bytes that are kept.
pub(in crate::api) async fn read(
    head: &Parts,
    body: Body,
    takes: BodyKind,
    limit: usize,
    held: &mut BodyReservation,
) -> Result<Vec<u8>, ApiError> {
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if let Some(announced) = announced.filter(|&size| size > limit) {
        let not_sent_yet = head.headers.contains_key(EXPECT);
        if not_sent_yet || announced > limit.saturating_add(DRAINED_BYTES_MAX) {
            return Err(ApiError::too_large(takes.name(), Some(announced), limit));
        }
    }
    match collect(body, announced, limit, held).await? {
        Ok(bytes) => Ok(bytes),
        Err(BodyError::TooLarge) => Err(ApiError::too_large(takes.name(), announced, limit)),
        Err(BodyError::BodyRefused(BodyRefused::Bodies(most))) => Err(ApiError::too_many_bytes(most)),
        Err(BodyError::BodyRefused(BodyRefused::Memory(why))) => Err(ApiError::no_room(&why)),
    }
}

/// Why a body was dropped.
#[derive(Debug, PartialEq, Eq)]
enum BodyError {
    TooLarge,
    BodyRefused(BodyRefused),
}

/// Reads a body to its end.
async fn collect(
    mut body: Body,
    announced: Option<usize>,
    limit: usize,
    held: &mut BodyReservation,
) -> Result<Result<Vec<u8>, BodyError>, ApiError> {
    let mut kept = Ok(Vec::with_capacity(announced.unwrap_or(0).min(limit).min(PIECE_BYTES)));
    let mut dropped = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| ApiError::argument(format!("the body could not be read: {why}")))?;
        let data = frame.into_data().unwrap_or_else(|_trailers| Bytes::new());
        if let Ok(bytes) = &mut kept {
            let room = if bytes.len() + data.len() > limit { Err(BodyError::TooLarge) } else { Ok(()) };
            match room.and_then(|()| held.add(data.len()).map_err(BodyError::BodyRefused)) {
                Ok(()) => {
                    bytes.extend_from_slice(&data);
                    continue;
                }
                Err(why) => {
                    kept = Err(why);
                    held.clear();
                }
            }
        }
        dropped += data.len();
        if dropped > DRAINED_BYTES_MAX {
            break;
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admission::body_memory::Bodies;
    use crate::engine::memory::MemoryBudget;

    async fn check(body: &'static str, limit: usize, expected: Result<&str, BodyError>) {
        let mut held = Bodies::new(12, MemoryBudget::new(usize::MAX, 1)).hold("");
        let read = collect(Body::from(body), None, limit, &mut held).await.unwrap();
        assert_eq!(read, expected.map(|text| text.as_bytes().to_vec()));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        check("12345", 5, Ok("12345")).await;
        check("123456", 5, Err(BodyError::TooLarge)).await;
        check("", 5, Ok("")).await;
        check("", 0, Ok("")).await;
        check("1", 0, Err(BodyError::TooLarge)).await;
        check("1234567", 10, Err(BodyError::BodyRefused(BodyRefused::Bodies(6)))).await;
    }
}
