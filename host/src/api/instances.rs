//! Asking for instances.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use dacapo_core::{InstanceRecord, Payload, RuntimeStatus};

use super::error::ApiError;
use super::history::{Shown, project};
use super::json::json;
use super::links::AcceptedHeaders;
use super::page::{PageRequest, filters, page_response};
use super::parameter::{ERROR_ON_FAILURE, SHOW_HISTORY, SHOW_HISTORY_OUTPUT, SHOW_INPUT, WAIT};
use super::request::{Call, blocking};
use super::status::StatusBody;
use crate::hub::{Hub, InstanceState};

/// Seconds after which a client that asks for a status should ask again.
const RETRY_AFTER_STATUS: &str = "5";

/// `GET instances/{instanceId}`
pub(super) async fn status(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    let show_history = call.get(&SHOW_HISTORY)?;
    let shown = Shown { inputs: call.get(&SHOW_INPUT)?, outputs: call.get(&SHOW_HISTORY_OUTPUT)? };
    let error_on_failure = call.get(&ERROR_ON_FAILURE)?;
    if let Some(patience) = call.find(&WAIT)? {
        // However the waiting ends, the state says what there is to say.
        let _ = tokio::time::timeout(patience, hub.wait(&id)).await;
    }
    let location = call.url(&id)?;
    blocking(move || {
        let record = hub.instance(&id)?.ok_or_else(ApiError::not_found)?;
        let state = read(&hub, record, shown.inputs)?.ok_or_else(ApiError::not_found)?;
        let InstanceState { record, input, output } = state;
        let events = match show_history && record.status != RuntimeStatus::Pending {
            true => Some(hub.history(&record)?),
            false => None,
        };
        let history = events.as_deref().map(|events| project(events, shown));
        let body = StatusBody::new(&record, input.as_deref(), output.as_deref()).with_history(history.as_deref());
        if record.status.is_terminal() {
            return Ok(json(code_of_end(&record, error_on_failure), &body));
        }
        Ok((AcceptedHeaders { location, retry_after: RETRY_AFTER_STATUS }, json(StatusCode::ACCEPTED, &body)).into_response())
    })
    .await
}

/// The answer about an instance that has ended.
pub(super) fn ended_response(
    record: &InstanceRecord,
    input: Option<&str>,
    output: Option<&str>,
    error_on_failure: bool,
) -> Response {
    json(code_of_end(record, error_on_failure), &StatusBody::new(record, input, output))
}

fn code_of_end(record: &InstanceRecord, error_on_failure: bool) -> StatusCode {
    match record.status == RuntimeStatus::Failed && error_on_failure {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    }
}

/// `GET instances`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let request = PageRequest::new(&call, filters(&call)?)?;
    let show_input = call.get(&SHOW_INPUT)?;
    blocking(move || {
        let page = request.read(&hub, |_| true)?;
        let states = page.records.into_iter().filter_map(|record| read(&hub, record, show_input).transpose());
        let states: Vec<InstanceState> = states.collect::<Result<_, _>>()?;
        let bodies: Vec<_> =
            states.iter().map(|state| StatusBody::new(&state.record, state.input.as_deref(), state.output.as_deref())).collect();
        Ok(page_response(&bodies, page.next))
    })
    .await
}

/// What is shown of an instance: the input if it is to be, and the output. The input of an entity is its state, in the shape
/// that the scheduler of Durable Functions' entities has. None: the instance is gone.
fn read(hub: &Hub, record: InstanceRecord, show_input: bool) -> Result<Option<InstanceState>, ApiError> {
    if record.id.is_entity() {
        let state = if show_input { Some(hub.entity_state(&record.id)?) } else { None };
        let input = state.map(|state| scheduler_state(state.as_deref()));
        return Ok(Some(InstanceState { record, input, output: None }));
    }
    let state = hub.state_of(record)?;
    Ok(state.map(|state| InstanceState { input: state.input.filter(|_| show_input), ..state }))
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
