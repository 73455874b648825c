//! Whether the host is well.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::content::json;
use crate::api::error::ApiError;
use crate::api::health::Found;
use crate::api::request::Call;

#[derive(Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "camelCase")]
pub(in crate::api) enum Health {
    Ok,
    Unwell {
        /// What does not work.
        why: &'static str,
    },
}

/// `GET /healthz`: whether the host does its work.
pub(in crate::api) async fn health(call: Call) -> Result<Response, ApiError> {
    let unwell = |why| (StatusCode::SERVICE_UNAVAILABLE, Health::Unwell { why });
    let (status, body) = match call.api.health.look(&call.api.options.hubs).await {
        Found::Well => (StatusCode::OK, Health::Ok),
        Found::CannotSave => unwell("nothing can be saved; the log says why"),
        Found::DoesNothing => unwell("no work was taken or saved in time"),
    };
    Ok(json::json(status, &body))
}
