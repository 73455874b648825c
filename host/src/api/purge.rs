//! Removing every trace of instances.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::error::ApiError;
use super::json;
use super::page::filters;
use super::request::Call;

/// `DELETE instances/{instanceId}`
pub(super) async fn purge(call: Call) -> Result<Response, ApiError> {
    Ok(purged(call.hub()?.purge(&call.instance_id()?).await?))
}

/// `DELETE instances`
pub(super) async fn purge_all(call: Call) -> Result<Response, ApiError> {
    let (hub, query) = (call.hub()?, filters(&call)?);
    if query.created_from.is_none() {
        return Err(ApiError::purge_without_beginning());
    }
    match hub.purge_all(query).await? {
        0 => Err(ApiError::not_found()),
        count => Ok(purged(count)),
    }
}

fn purged(count: u64) -> Response {
    json::json(StatusCode::OK, &json!({ "instancesDeleted": count }))
}
