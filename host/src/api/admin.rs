//! The host's own routes: whether it is well.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::sync::Mutex;

use super::error::ApiError;
use super::json;
use super::request::Call;
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
enum Found {
    Well,
    CannotSave,
    DoesNothing,
}

impl Health {
    /// One looks at a time; whoever asks meanwhile hears of that.
    async fn look(&self, hubs: &Hubs) -> Found {
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

/// `GET /healthz`: that the host does its work.
pub(super) async fn health(call: Call) -> Result<Response, ApiError> {
    let unwell = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unwell", "why": why }));
    let (status, body) = match call.api.health.look(&call.api.hubs).await {
        Found::Well => (StatusCode::OK, json!({ "status": "ok" })),
        Found::CannotSave => unwell("nothing can be saved; the log says why"),
        Found::DoesNothing => unwell("no work was taken or saved in time"),
    };
    Ok(json::json(status, &body))
}
