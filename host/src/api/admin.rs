//! The host's own routes: whether it is well.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::error::ApiError;
use super::json;
use super::request::Call;

/// `GET /healthz`: that the host answers.
pub(super) async fn health(_call: Call) -> Result<Response, ApiError> {
    Ok(json::json(StatusCode::OK, &json!({ "status": "ok" })))
}
