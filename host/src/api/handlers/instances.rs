//! Reading instances.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use dacapo_core::{InstanceId, InstanceRecord, Payload, RuntimeStatus};

use crate::api::content::history::{Shown, StatusWithHistory};
use crate::api::content::json::{json_text, written};
use crate::api::content::links::AcceptedHeaders;
use crate::api::content::page::{PageRequest, filters, page_response};
use crate::api::content::parts;
use crate::api::content::status::StatusBody;
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{ERROR_ON_FAILURE, SHOW_HISTORY, SHOW_HISTORY_OUTPUT, SHOW_INPUT, WAIT};
use crate::hub::{Hub, InstanceState};

/// Seconds after which a client that asks for a status should ask again.
const RETRY_AFTER_STATUS: &str = "5";

/// `GET instances/{instanceId}`
pub(in crate::api) async fn status(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    let show_history = call.get(&SHOW_HISTORY)?;
    let shown = Shown { inputs: call.get(&SHOW_INPUT)?, outputs: call.get(&SHOW_HISTORY_OUTPUT)? };
    let error_on_failure = call.get(&ERROR_ON_FAILURE)?;
    if let Some(patience) = call.find(&WAIT)? {
        // However the wait ends, the state is read and sent.
        let _ = tokio::time::timeout(patience, hub.wait(&id)).await;
    }
    let location = call.url(&id)?;
    let history = show_history.then_some(shown);
    let mut tries = 1..HISTORY_READS;
    let (body, record) = loop {
        match status_body(&hub, &id, shown.inputs, history).await {
            Err(error) if error.is_retriable_immediately() && tries.next().is_some() => {}
            answered => break answered?,
        }
    };
    if record.status.is_terminal() {
        return Ok(json_text(code_of_end(&record, error_on_failure), body));
    }
    let headers = AcceptedHeaders { location, retry_after: RETRY_AFTER_STATUS };
    Ok((headers, json_text(StatusCode::ACCEPTED, body)).into_response())
}

/// How often to try to read a history that changes meanwhile.
const HISTORY_READS: usize = 5;

/// The body with the status of an instance, and with its history if asked for.
async fn status_body(
    hub: &Hub,
    id: &InstanceId,
    show_input: bool,
    history: Option<Shown>,
) -> Result<(Body, InstanceRecord), ApiError> {
    let id = id.clone();
    let status = move |hub: &Hub| -> Result<(String, InstanceRecord), ApiError> {
        let record = hub.instance(&id)?.ok_or_else(ApiError::not_found)?;
        let state = read(hub, record, show_input)?.ok_or_else(ApiError::not_found)?;
        let InstanceState { record, input, output } = state;
        Ok((written(&StatusBody::new(&record, input.as_deref(), output.as_deref()).labelled(hub)), record))
    };
    let (status, record) = parts::counted(hub, status).await?;
    let Some(shown) = history.filter(|_| record.status != RuntimeStatus::Pending) else { return Ok((status.into(), record)) };
    let with_history = StatusWithHistory::new(hub, record.clone(), status, shown).await?;
    Ok((parts::body(hub.clone(), with_history).await?, record))
}

/// The status code for an instance that has ended.
pub(in crate::api) fn code_of_end(record: &InstanceRecord, error_on_failure: bool) -> StatusCode {
    match record.status == RuntimeStatus::Failed && error_on_failure {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    }
}

/// `GET instances`
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let selection = filters(&call)?;
    let request = PageRequest::new(&call, selection.query.clone())?;
    let show_input = call.get(&SHOW_INPUT)?;
    let found = request.read(&hub, move |record| selection.wants(record)).await?;
    let write = move |hub: &Hub, record: &InstanceRecord| -> Result<Option<String>, ApiError> {
        let state = read(hub, record.clone(), show_input)?;
        Ok(state.map(|InstanceState { record, input, output }| {
            written(&StatusBody::new(&record, input.as_deref(), output.as_deref()).labelled(hub))
        }))
    };
    page_response(hub, found, write).await
}

/// Reads the output of an instance, and the input if asked for. The input of an entity is its state, in the shape that the
/// entity scheduler of Durable Functions gives it. None: the instance is gone.
fn read(hub: &Hub, record: InstanceRecord, show_input: bool) -> Result<Option<InstanceState>, ApiError> {
    if record.id.is_entity() {
        let state = if show_input { Some(hub.entity_state(&record.id)?) } else { None };
        let input = state.map(|state| scheduler_state(state.as_deref()));
        return Ok(Some(InstanceState { record, input, output: None }));
    }
    Ok(hub.state_of(record, show_input)?)
}

fn scheduler_state(state: Option<&str>) -> Payload {
    match state {
        Some(state) => serde_json::json!({ "exists": true, "state": state }).to_string().into(),
        None => r#"{"exists":false}"#.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_an_entity_is_a_text_of_json() {
        assert_eq!(&*scheduler_state(Some(r#"{"n":1}"#)), r#"{"exists":true,"state":"{\"n\":1}"}"#);
        assert_eq!(&*scheduler_state(None), r#"{"exists":false}"#);
    }
}
