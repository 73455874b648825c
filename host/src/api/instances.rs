//! Asking for instances, and telling them something.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use dacapo_core::{InstanceId, RuntimeStatus};
use dacapo_store::{InstanceQuery, Page};

use super::error::ApiError;
use super::history::{Shown, project};
use super::json::{json, parse_time};
use super::links::{AcceptedHeaders, escape};
use super::request::{Call, Query, blocking};
use super::status::StatusBody;
use crate::hub::{Hub, HubError, InstanceState};

/// Seconds after which a client that asks for a status should ask again.
const RETRY_AFTER_STATUS: &str = "5";

const CONTINUATION: &str = "x-ms-continuation-token";

/// How long the store is searched for matches that fill a page.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(2);

/// The longest page. Also the page of a client that names no `top`: the Python library reads only the first.
const PAGE_MAX: usize = 1_000;

/// `GET instances/{instanceId}?showHistory&showHistoryOutput&showInput&returnInternalServerErrorOnFailure&wait`
///
/// `wait` is Dacapo's own: answer when the instance has ended, or after so many seconds.
pub(super) async fn status(call: Call) -> Result<Response, ApiError> {
    let (hub, id, query) = (call.hub()?, call.instance_id()?, &call.query);
    let show_history = query.flag("showHistory")?.unwrap_or(false);
    let inputs = query.flag("showInput")?.unwrap_or(true);
    let outputs = query.flag("showHistoryOutput")?.unwrap_or(false);
    let error_on_failure = query.flag("returnInternalServerErrorOnFailure")?.unwrap_or(false);
    if let Some(patience) = query.seconds("wait")? {
        // However the waiting ends, the state says what there is to say.
        let _ = tokio::time::timeout(patience, hub.wait(&id)).await;
    }
    let location = call.url();
    blocking(move || {
        let state = hub.state(&id)?.ok_or_else(ApiError::not_found)?;
        let events = match show_history && state.record.status != RuntimeStatus::Pending {
            true => Some(hub.history(&state.record)?),
            false => None,
        };
        let history = events.as_deref().map(|events| project(events, Shown { inputs, outputs }));
        let body = StatusBody::new(&state, inputs, history.as_deref());
        if state.record.status.is_terminal() {
            return Ok(json(code_of_end(&state, error_on_failure), &body));
        }
        Ok((AcceptedHeaders { location, retry_after: RETRY_AFTER_STATUS }, json(StatusCode::ACCEPTED, &body)).into_response())
    })
    .await
}

/// The answer about an instance that has ended.
pub(super) fn ended_response(state: &InstanceState, error_on_failure: bool) -> Response {
    json(code_of_end(state, error_on_failure), &StatusBody::new(state, true, None))
}

fn code_of_end(state: &InstanceState, error_on_failure: bool) -> StatusCode {
    match state.record.status == RuntimeStatus::Failed && error_on_failure {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    }
}

/// `GET instances?instanceIdPrefix&createdTimeFrom&createdTimeTo&runtimeStatus&showInput&top`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let query = filters(&call.query)?;
    let show_input = call.query.flag("showInput")?.unwrap_or(true);
    let top = call.query.value("top", "a whole number, 1 or more", |text| text.parse().ok().filter(|&top: &usize| top > 0))?;
    let after = continuation(&call)?;
    blocking(move || {
        let page = full_page(&hub, &query, after, top.unwrap_or(PAGE_MAX).min(PAGE_MAX))?;
        let mut states = Vec::with_capacity(page.records.len());
        for record in page.records {
            let (input, output) = hub.input_and_output(&record)?;
            states.push(InstanceState { record, input, output });
        }
        let bodies: Vec<_> = states.iter().map(|state| StatusBody::new(state, show_input, None)).collect();
        let response = json(StatusCode::OK, &bodies);
        // The JavaScript library goes on for as long as the header is there.
        Ok(match page.next {
            Some(id) => ([(CONTINUATION, escape(id.as_str()))], response).into_response(),
            None => response,
        })
    })
    .await
}

/// A page that ends before it is full only where the list ends, or where looking on would take long.
fn full_page(hub: &Hub, query: &InstanceQuery, after: Option<InstanceId>, limit: usize) -> Result<Page, ApiError> {
    let begun = Instant::now();
    let mut page = hub.instances(query, after.as_ref(), limit)?;
    while let Some(next) = page.next.take() {
        if page.records.len() >= limit || begun.elapsed() > SEARCH_TIME_MAX {
            page.next = Some(next);
            break;
        }
        let more = hub.instances(query, Some(&next), limit - page.records.len())?;
        page.records.extend(more.records);
        page.next = more.next;
    }
    Ok(page)
}

fn filters(query: &Query) -> Result<InstanceQuery, ApiError> {
    let time = |name| query.value(name, "a time such as 2026-01-31T12:00:00Z", parse_time);
    let names = query.all("runtimeStatus").flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let statuses = names.map(|name| status_named(name).ok_or_else(|| unknown_status(name)));
    Ok(InstanceQuery {
        id_prefix: query.text("instanceIdPrefix")?.unwrap_or_default().to_owned(),
        created_from: time("createdTimeFrom")?,
        created_to: time("createdTimeTo")?,
        statuses: statuses.collect::<Result<_, _>>()?,
    })
}

fn status_named(name: &str) -> Option<RuntimeStatus> {
    RuntimeStatus::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name))
}

fn unknown_status(name: &str) -> ApiError {
    let known = RuntimeStatus::ALL.map(RuntimeStatus::name).join(", ");
    ApiError::argument(format!("the parameter 'runtimeStatus' names '{name}', but should name some of {known}"))
}

/// The instance that the page before this one ended with.
fn continuation(call: &Call) -> Result<Option<InstanceId>, ApiError> {
    let Some(token) = call.head.headers.get(CONTINUATION).filter(|token| !token.is_empty()) else { return Ok(None) };
    let id = token.to_str().ok().and_then(|token| InstanceId::any(&percent_decode_str(token).decode_utf8().ok()?).ok());
    id.map(Some).ok_or_else(|| ApiError::argument(format!("the header '{CONTINUATION}' is none that this host has given out")))
}

/// `POST instances/{instanceId}/raiseEvent/{eventName}`
pub(super) async fn raise_event(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    require_living(&hub, &id).await?;
    match call.claims_json() {
        Some(true) => {}
        // Nothing, of no type, is taken for null.
        None if call.body.is_empty() => {}
        Some(false) | None => return Err(ApiError::not_json_content()),
    }
    hub.raise_event(&id, &call.captures[1], call.payload()?).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// A missing or finished instance is what a client is told of first, whatever else is wrong with its request.
async fn require_living(hub: &Hub, id: &InstanceId) -> Result<(), ApiError> {
    let (hub, id) = (hub.clone(), id.clone());
    blocking(move || match hub.instance(&id)? {
        None => Err(ApiError::not_found()),
        Some(record) if record.status.is_terminal() => Err(HubError::Ended { id, status: record.status }.into()),
        Some(_) => Ok(()),
    })
    .await
}

/// `POST instances/{instanceId}/terminate?reason`
pub(super) async fn terminate(call: Call) -> Result<Response, ApiError> {
    call.hub()?.terminate(&call.instance_id()?, reason(&call)?).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST instances/{instanceId}/suspend?reason`
pub(super) async fn suspend(call: Call) -> Result<Response, ApiError> {
    call.hub()?.suspend(&call.instance_id()?, reason(&call)?).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST instances/{instanceId}/resume?reason`
pub(super) async fn resume(call: Call) -> Result<Response, ApiError> {
    call.hub()?.resume(&call.instance_id()?, reason(&call)?).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn reason(call: &Call) -> Result<&str, ApiError> {
    Ok(call.query.text("reason")?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_from_the_query() {
        let query = Query::parse(
            "instanceIdPrefix=order-&createdTimeFrom=2026-01-31&runtimeStatus=running,PENDING&runtimeStatus=Failed&createdTimeTo=",
        );
        let filters = filters(&query).unwrap();
        assert_eq!(filters.id_prefix, "order-");
        assert_eq!(filters.created_from, parse_time("2026-01-31T00:00:00Z"));
        assert_eq!(filters.created_to, None);
        assert_eq!(filters.statuses, [RuntimeStatus::Running, RuntimeStatus::Pending, RuntimeStatus::Failed]);
    }

    #[test]
    fn wrong_filters_are_refused_by_name() {
        for (query, name) in [
            ("runtimeStatus=Running,Asleep", "runtimeStatus"),
            ("createdTimeFrom=yesterday", "createdTimeFrom"),
            ("createdTimeTo=1&createdTimeTo=2", "createdTimeTo"),
        ] {
            let refusal = filters(&Query::parse(query)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refusal.contains(&format!("'{name}'")), "{query}: {refusal}");
        }
    }
}
