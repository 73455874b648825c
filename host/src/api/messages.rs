//! Telling an instance something.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use dacapo_core::InstanceId;

use super::error::ApiError;
use super::parameter::{EVENT_NAME, INSTANCE_ID, REASON, RECURSIVE};
use super::request::{Call, blocking};
use crate::hub::{Hub, HubError};

/// `POST instances/{instanceId}/raiseEvent/{eventName}`
pub(super) async fn raise_event(call: Call) -> Result<Response, ApiError> {
    let (hub, id, name) = (call.hub()?, call.instance_id()?, call.get(&EVENT_NAME)?);
    require_living(&hub, &id).await?;
    match call.claims_json() {
        Some(true) => {}
        // Nothing, of no type, is taken for null.
        None if call.body.is_empty() => {}
        Some(false) | None => return Err(ApiError::not_json_content()),
    }
    hub.raise_event(&id, &name.0, call.payload()?).await?;
    Ok(accepted())
}

/// A missing or finished instance is what a client is told of first, whatever else is wrong with its body.
async fn require_living(hub: &Hub, id: &InstanceId) -> Result<(), ApiError> {
    let (hub, id) = (hub.clone(), id.clone());
    blocking(move || match hub.instance(&id)? {
        None => Err(ApiError::not_found()),
        Some(record) if record.status.is_terminal() => Err(HubError::Ended { id, status: record.status }.into()),
        Some(_) => Ok(()),
    })
    .await
}

/// `POST instances/{instanceId}/terminate`
pub(super) async fn terminate(call: Call) -> Result<Response, ApiError> {
    let recurse = call.get(&RECURSIVE)?;
    call.hub()?.terminate(&call.instance_id()?, &reason(&call)?, recurse).await?;
    Ok(accepted())
}

/// `POST instances/{instanceId}/suspend`
pub(super) async fn suspend(call: Call) -> Result<Response, ApiError> {
    call.hub()?.suspend(&call.instance_id()?, &reason(&call)?).await?;
    Ok(accepted())
}

/// `POST instances/{instanceId}/resume`
pub(super) async fn resume(call: Call) -> Result<Response, ApiError> {
    call.hub()?.resume(&call.instance_id()?, &reason(&call)?).await?;
    Ok(accepted())
}

/// `POST instances/{instanceId}/rewind`
pub(super) async fn rewind(call: Call) -> Result<Response, ApiError> {
    let (hub, reason) = (call.hub()?, reason(&call)?);
    let text = call.get(&INSTANCE_ID)?.0;
    let id = InstanceId::any(&text).map_err(|_| ApiError::nothing_to_rewind(&text))?;
    match hub.rewind(&id, &reason).await {
        Err(HubError::NotFound(_)) => Err(ApiError::nothing_to_rewind(&text)),
        result => Ok(result.map(|()| accepted())?),
    }
}

fn reason(call: &Call) -> Result<String, ApiError> {
    Ok(call.find(&REASON)?.unwrap_or_default().0)
}

/// 202 without a body: it is stored.
pub(super) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}
