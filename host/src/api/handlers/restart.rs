//! Restarting orchestrations with their original input.

use axum::response::Response;

use dacapo_core::InstanceId;

use crate::api::error::ApiError;
use crate::api::handlers::orchestrators::Answering;
use crate::api::request::Call;
use crate::api::request::parameter::{
    INSTANCE_ID, NEW_INSTANCE_ID, POLLING_INTERVAL, RESTART_VERSION, RESTART_WITH_NEW_ID, TIMEOUT,
};
use crate::hub::{HubError, NewId, RestartRequest};

/// `POST instances/{instanceId}/restart`
pub(in crate::api) async fn restart(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let answering = Answering::new(&call, &TIMEOUT, &POLLING_INTERVAL)?;
    let new_id = if call.get(&RESTART_WITH_NEW_ID)? { NewId::Generated } else { NewId::Same };
    let id = original(&call)?;
    let restarted = hub.restart(RestartRequest { id: id.clone(), new_id, version: None }).await;
    let restarted = restarted.map_err(|error| match error {
        HubError::NotFound(_) => ApiError::nothing_to_restart(id.as_str()),
        error => error.into(),
    });
    answering.answer(&hub, restarted?).await
}

/// An invalid id is answered like an unknown one.
fn original(call: &Call) -> Result<InstanceId, ApiError> {
    let text = call.get(&INSTANCE_ID)?.0;
    InstanceId::any(&text).map_err(|_| ApiError::nothing_to_restart(&text))
}

/// `POST instances/{instanceId}/restartWithOptions`
pub(in crate::api) async fn restart_with_options(call: Call) -> Result<Response, ApiError> {
    let (hub, links) = (call.hub()?, call.links()?);
    let version = call.find(&RESTART_VERSION)?.map(|version| version.0);
    let new_id = call.chosen_id(&NEW_INSTANCE_ID)?.ok_or_else(|| NEW_INSTANCE_ID.about.missing())?;
    let id = call.instance_id()?;
    let id = hub.restart(RestartRequest { id, new_id: NewId::Chosen(new_id), version }).await?;
    Ok(links.check_status_response(&id))
}
