//! Whether the host does its work, as it was found when somebody last asked.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::hubs::Hubs;

/// How long an answer is given again: whoever asks often costs nothing more.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// How long workers and disk have to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found when it was last looked whether the host is well.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Instant, Found)>>);

/// Nobody needs a key to ask: so it says nothing of hubs.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Well,
    CannotSave,
    DoesNothing,
}

impl Health {
    /// One looks at a time; whoever asks meanwhile hears of that.
    pub async fn look(&self, hubs: &Hubs) -> Found {
        let mut known = self.0.lock().await;
        if let Some((at, found)) = *known
            && at.elapsed() < KNOWN_FOR
        {
            return found;
        }
        let found = match tokio::time::timeout(PATIENCE, hubs.probe()).await {
            Ok(Ok(())) => Found::Well,
            Ok(Err(error)) => {
                tracing::error!(%error, "the host is not well: nothing can be saved");
                Found::CannotSave
            }
            Err(_elapsed) => {
                tracing::error!("the host is not well: no worker or no writer has answered within {PATIENCE:?}");
                Found::DoesNothing
            }
        };
        *known = Some((Instant::now(), found));
        found
    }
}
