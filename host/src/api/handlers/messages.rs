//! Messages to instances.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use dacapo_core::InstanceId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::api::content::json;
use crate::api::content::page::filters_to_act_on;
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{EVENT_NAME, INSTANCE_ID, REASON, RECURSIVE};
use crate::hub::{BulkAction, BulkOutcome, HubError};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BulkOutcome")]
pub(in crate::api) struct OutcomeBody {
    done: u64,
    refused: u64,
    /// The first instances that refused it.
    refusals: Vec<RefusalBody>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Refusal")]
struct RefusalBody {
    instance_id: String,
    why: String,
}

/// `POST instances/{instanceId}/raiseEvent/{eventName}`
pub(in crate::api) async fn raise_event(call: Call) -> Result<Response, ApiError> {
    let (hub, id, name) = (call.hub()?, call.instance_id()?, call.get(&EVENT_NAME)?);
    let raise = async {
        match call.claims_json() {
            Some(true) => {}
            // An empty body without a type is null.
            None if call.body.is_empty() => {}
            Some(false) | None => return Err(ApiError::not_json_content()),
        }
        Ok(hub.raise_event(&id, &name.0, call.payload()?).await?)
    };
    if let Err(error) = raise.await {
        // A missing or ended instance is reported before anything that is wrong with the body.
        hub.require_alive(&id).await?;
        return Err(error);
    }
    Ok(accepted())
}

/// `POST instances/{instanceId}/terminate`
pub(in crate::api) async fn terminate(call: Call) -> Result<Response, ApiError> {
    let (hub, id, reason) = (call.hub()?, call.instance_id()?, reason(&call)?);
    let recurse = call.get(&RECURSIVE)?;
    let details = json!({ "instance": id.as_str(), "reason": reason, "recursive": recurse });
    let terminating = async move { hub.terminate(&id, &reason, recurse).await };
    call.audited("instance.terminate")?.finish(details, terminating).await?;
    Ok(accepted())
}

/// `POST instances/{instanceId}/suspend`
pub(in crate::api) async fn suspend(call: Call) -> Result<Response, ApiError> {
    call.hub()?.suspend(&call.instance_id()?, &reason(&call)?).await?;
    Ok(accepted())
}

/// `POST instances/{instanceId}/resume`
pub(in crate::api) async fn resume(call: Call) -> Result<Response, ApiError> {
    call.hub()?.resume(&call.instance_id()?, &reason(&call)?).await?;
    Ok(accepted())
}

/// `POST instances/suspend`
pub(in crate::api) async fn suspend_all(call: Call) -> Result<Response, ApiError> {
    act_on_all(call, BulkAction::Suspend, "instances.suspend").await
}

/// `POST instances/resume`
pub(in crate::api) async fn resume_all(call: Call) -> Result<Response, ApiError> {
    act_on_all(call, BulkAction::Resume, "instances.resume").await
}

/// `POST instances/terminate`
pub(in crate::api) async fn terminate_all(call: Call) -> Result<Response, ApiError> {
    let recurse = call.get(&RECURSIVE)?;
    act_on_all(call, BulkAction::Terminate { recurse }, "instances.terminate").await
}

/// `POST instances/rewind`
pub(in crate::api) async fn rewind_all(call: Call) -> Result<Response, ApiError> {
    act_on_all(call, BulkAction::Rewind, "instances.rewind").await
}

async fn act_on_all(call: Call, act: BulkAction, action: &'static str) -> Result<Response, ApiError> {
    let (hub, reason) = (call.hub()?, reason(&call)?);
    let (selection, mut asked) = filters_to_act_on(&call)?;
    // A forgotten filter must not select everything.
    if asked.is_empty() {
        return Err(ApiError::argument("which instances? Give a filter; createdTimeFrom=0001-01-01T00:00:00Z selects all"));
    }
    asked.insert("reason".into(), reason.as_str().into());
    call.audited(action)?.begun(asked.into()).await?;
    let BulkOutcome { done, refused, refusals } = hub.act_on_all(act, &reason, &selection).await?;
    let refusals = refusals.into_iter().map(|(id, why)| RefusalBody { instance_id: id.to_string(), why }).collect();
    Ok(json::json(StatusCode::OK, &OutcomeBody { done, refused, refusals }))
}

/// `POST instances/{instanceId}/rewind`
pub(in crate::api) async fn rewind(call: Call) -> Result<Response, ApiError> {
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

/// 202 without a body: the message is stored.
pub(in crate::api) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}
