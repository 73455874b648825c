//! The health check of the host, whose result is cached for a moment.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::hubs::Hubs;

/// How long a result is cached, so that frequent checks cost nothing.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// How long workers and the disk have to respond.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The last result of the health check, and when it was made.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Instant, Found)>>);

/// The check needs no key, so its result says nothing about hubs.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Well,
    CannotSave,
    DoesNothing,
}

impl Health {
    /// Checks the host's health. One check runs at a time; concurrent callers wait and get its result.
    pub async fn look(&self, hubs: &Hubs) -> Found {
        let mut known = self.0.lock().await;
        if let Some((at, found)) = *known
            && at.elapsed() < CACHE_TTL
        {
            return found;
        }
        let found = match tokio::time::timeout(PROBE_TIMEOUT, hubs.probe()).await {
            Ok(Ok(())) => Found::Well,
            Ok(Err(error)) => {
                tracing::error!(%error, "the host is unhealthy: nothing can be saved");
                Found::CannotSave
            }
            Err(_elapsed) => {
                tracing::error!("the host is unhealthy: no worker or no writer has responded within {PROBE_TIMEOUT:?}");
                Found::DoesNothing
            }
        };
        *known = Some((Instant::now(), found));
        found
    }
}
