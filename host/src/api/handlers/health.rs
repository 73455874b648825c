//! Whether the host is well.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::api::content::json;
use crate::api::error::ApiError;
use crate::api::health::Found;
use crate::api::request::Call;

/// `GET /healthz`: whether the host does its work.
pub(in crate::api) async fn health(call: Call) -> Result<Response, ApiError> {
    let unwell = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unwell", "why": why }));
    let (status, body) = match call.api.health.look(&call.api.hubs).await {
        Found::Well => (StatusCode::OK, json!({ "status": "ok" })),
        Found::CannotSave => unwell("nothing can be saved; the log says why"),
        Found::DoesNothing => unwell("no work was taken or saved in time"),
    };
    Ok(json::json(status, &body))
}
