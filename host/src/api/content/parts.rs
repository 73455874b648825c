//! Response bodies that are made in parts while they are sent: a part is read only once the client has taken the one before.
//! Text that is not sent yet counts against the memory of the hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};

use crate::api::error::ApiError;
use crate::engine::fair_threads::SLICE;
use crate::engine::memory::{NoRoom, Reservation};
use crate::hub::Hub;

/// How large a part may become before the next one begins. A single payload may be larger.
const PART_BYTES: usize = 64 << 10;

/// How long a response waits for a memory reservation.
pub(in crate::api) const RESERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A response that is read from a hub in parts.
pub(in crate::api) trait Parts: Send + Sync + 'static {
    /// Where a part begins. The default is the beginning.
    type Cursor: Copy + Default + Send + Sync + 'static;

    /// Returns the part that begins at `from`, and where the next one begins, if there is one. May block on reading.
    fn part(&self, hub: &Hub, from: Self::Cursor) -> Result<(String, Option<Self::Cursor>), ApiError>;
}

/// Says when a part is long enough.
pub(in crate::api) struct Measure(Instant);

impl Measure {
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    pub fn is_full(&self, text: &str) -> bool {
        text.len() >= PART_BYTES || self.0.elapsed() > SLICE
    }
}

/// Makes the body of a response. An error in its first part is returned; a later one breaks the body off.
pub(in crate::api) async fn body<P: Parts>(hub: Hub, parts: P) -> Result<Body, ApiError> {
    let parts = Arc::new(parts);
    let (first, next) = part(&hub, &parts, P::Cursor::default()).await?;
    let Some(next) = next else { return Ok(Body::from(first)) };
    let rest = futures::stream::try_unfold(Some(next), move |next| {
        let (hub, parts) = (hub.clone(), parts.clone());
        async move {
            let Some(from) = next else { return Ok(None) };
            match part(&hub, &parts, from).await {
                Ok(made) => Ok(Some(made)),
                Err(error) => {
                    tracing::warn!(hub = hub.name(), %error, "an answer is broken off");
                    Err(std::io::Error::other(error.to_string()))
                }
            }
        }
    });
    let first = futures::stream::iter([Ok(first)]);
    Ok(Body::from_stream(futures::StreamExt::chain(first, rest)))
}

async fn part<P: Parts>(hub: &Hub, parts: &Arc<P>, from: P::Cursor) -> Result<(Bytes, Option<P::Cursor>), ApiError> {
    let parts = parts.clone();
    counted(hub, move |hub| parts.part(hub, from)).await
}

/// Makes a text from what is read, with a value that belongs to it. The text counts against the memory of the hub until it is
/// sent; if there is no room for it, it is dropped, and made again once there is.
pub(in crate::api) async fn counted<T, M>(hub: &Hub, make: M) -> Result<(Bytes, T), ApiError>
where
    T: Send + 'static,
    M: Fn(&Hub) -> Result<(String, T), ApiError> + Send + Sync + 'static,
{
    let mut room = hub.memory().empty();
    let make = Arc::new(make);
    loop {
        let make = make.clone();
        let made = hub.read(move |hub| -> Result<_, ApiError> {
            let (text, belonging) = make(hub)?;
            Ok(fit(text, room).map(|bytes| (bytes, belonging)))
        });
        match made.await? {
            Ok(made) => return Ok(made),
            Err(no_room) => {
                room = self::room(hub, no_room.wanted).await?;
            }
        }
    }
}

/// Reserves memory, waiting for it if need be.
pub(in crate::api) async fn room(hub: &Hub, bytes: usize) -> Result<Reservation, ApiError> {
    let waited = tokio::time::timeout(RESERVE_TIMEOUT, hub.memory().reserve(bytes)).await;
    waited.unwrap_or_else(|_elapsed| hub.memory().try_reserve(bytes)).map_err(|why| ApiError::no_room(&why))
}

/// Joins a text with its memory reservation.
fn fit(text: String, mut room: Reservation) -> Result<Bytes, NoRoom> {
    match room.try_grow(text.len().saturating_sub(room.bytes())) {
        Ok(()) => {
            room.shrink_to(text.len());
            Ok(Bytes::from_owner(Counted { text, _room: room }))
        }
        Err(no_room) => Err(NoRoom { wanted: text.len(), ..no_room }),
    }
}

/// A text with its reservation, kept until the last of it is sent.
struct Counted {
    text: String,
    _room: Reservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Reserves the memory of a text that exists already, waiting for it if need be.
pub(in crate::api) async fn count(hub: &Hub, text: String) -> Result<Bytes, NoRoom> {
    let room = hub.memory().reserve(text.len()).await?;
    Ok(Bytes::from_owner(Counted { text, _room: room }))
}
