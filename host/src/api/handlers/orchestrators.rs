//! Starting orchestrations.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use dacapo_core::{InstanceId, RuntimeStatus};

use crate::api::content::json::{json_text, raw, written};
use crate::api::content::links::Links;
use crate::api::content::parts;
use crate::api::content::status::StatusBody;
use crate::api::error::ApiError;
use crate::api::handlers::instances::code_of_end;
use crate::api::request::Call;
use crate::api::request::parameter::{
    ERROR_ON_FAILURE, FUNCTION_NAME, IF_ENDED, INSTANCE_ID, POLLING_INTERVAL, Parameter, RETRY_INTERVAL, START_AT, TIMEOUT,
    VERSION, WAIT_TIMEOUT,
};
use crate::hub::{Hub, HubError, StartRequest};

/// `POST orchestrators/{functionName}[/{instanceId}]`
pub(in crate::api) async fn start(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let answering = Answering::new(&call, &TIMEOUT, &POLLING_INTERVAL)?;
    let start_at = call.find(&START_AT)?;
    let ended = call.get(&IF_ENDED)?;
    let id = hub.start_new_where(StartRequest { start_at, ..request(&call)? }, ended).await?;
    answering.answer(&hub, id).await
}

/// `POST [api/]orchestrators/{functionName}[/{instanceId}]`
pub(in crate::api) async fn start_only(call: Call) -> Result<Response, ApiError> {
    let (hub, links) = (call.hub()?, call.links()?);
    let start_at = call.find(&START_AT)?;
    let id = hub.start_new(StartRequest { start_at, ..request(&call)? }).await?;
    Ok(links.check_status_response(&id))
}

/// `POST [api/]orchestrators/{functionName}/wait`
pub(in crate::api) async fn start_and_wait(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let answering = Answering::new(&call, &WAIT_TIMEOUT, &RETRY_INTERVAL)?;
    let id = hub.start_new(request(&call)?).await?;
    answering.answer(&hub, id).await
}

fn request(call: &Call) -> Result<StartRequest, ApiError> {
    let version = call.find(&VERSION)?.unwrap_or_default().0;
    let (name, id) = (call.get(&FUNCTION_NAME)?, call.chosen_id(&INSTANCE_ID)?);
    Ok(StartRequest { name, id, input: call.payload()?, version, start_at: None })
}

/// How to respond to a client that has started an orchestration.
pub(in crate::api) struct Answering {
    links: Links,
    /// None: at once.
    timeout: Option<Duration>,
    error_on_failure: bool,
}

impl Answering {
    /// Reads the parameters. The host does not poll, so the interval is only validated.
    pub fn new(call: &Call, timeout: &Parameter<Duration>, interval: &Parameter<Duration>) -> Result<Self, ApiError> {
        let (wait, poll) = (call.find(timeout)?, call.find(interval)?);
        if wait.zip(poll).is_some_and(|(wait, poll)| poll > wait) {
            let (timeout, interval) = (timeout.about.name, interval.about.name);
            return Err(ApiError::argument(format!(
                "the parameter '{interval}' must not be greater than the parameter '{timeout}'"
            )));
        }
        let error_on_failure = call.get(&ERROR_ON_FAILURE)?;
        let links = call.links()?.internal_server_error_on_failure(error_on_failure);
        Ok(Self { links, timeout: wait, error_on_failure })
    }

    /// The output, if the instance completes in time; the links otherwise.
    pub async fn answer(self, hub: &Hub, id: InstanceId) -> Result<Response, ApiError> {
        let Self { links, timeout, error_on_failure } = self;
        let Some(timeout) = timeout else { return Ok(links.check_status_response(&id)) };
        let record = match tokio::time::timeout(timeout, hub.wait(&id)).await {
            Ok(Ok(record)) => record,
            // The instance was started, and goes on; or it has ended and was purged.
            Err(_) | Ok(Err(HubError::ShuttingDown | HubError::NotFound(_))) => return Ok(links.check_status_response(&id)),
            Ok(Err(error)) => return Err(error.into()),
        };
        let answer = move |hub: &Hub| -> Result<(String, StatusCode), ApiError> {
            let output = hub.output_of(&record)?;
            if record.status == RuntimeStatus::Completed {
                return Ok((written(&output.as_deref().map(raw)), StatusCode::OK));
            }
            let input = hub.input_of(&record)?;
            let body = StatusBody::new(&record, input.as_deref(), output.as_deref());
            Ok((written(&body), code_of_end(&record, error_on_failure)))
        };
        let (body, code) = parts::counted(hub, answer).await?;
        Ok(json_text(code, body))
    }
}
