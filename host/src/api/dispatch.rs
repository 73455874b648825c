//! Handles a request from its head to its response: the steps that all routes share, in order.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::admission::body::{self, BodyKind};
use super::admission::revoked::{self, Revoked};
use super::context::Api;
use super::error::ApiError;
use super::request::parameter::TASK_HUB;
use super::request::route::Found;
use super::request::{Call, authorisation};
use super::table::{STARTERS, lookup};
use super::triggers;
use crate::access::{Denied, Needs, Refusal};
use crate::engine::panics::caught_async;
use crate::hub::{Hub, HubError};
use crate::server::{Admission, Remote};
use crate::triggers::routes::is_reserved;

/// How long a request may still run once its key is revoked.
const REVOKED_GRACE: Duration = Duration::from_millis(500);

pub(super) async fn dispatch(State(api): State<Arc<Api>>, request: Request) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let invocation = request.headers().get("x-azure-functions-invocationid").cloned();
    let remote = request.extensions().get::<Remote>().map(|remote| remote.0);
    // A panic is a bug of the host, and fails only this request.
    let answered = caught_async(answer(api, request)).await.unwrap_or_else(|why| Err(HubError::from(why).into()));
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    tracing::debug!(%method, path, status, ?elapsed, ?remote, ?invocation, "request");
    response
}

async fn answer(api: Arc<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let found = match find(&api, &head) {
        Ok(Destination::Host(found)) => Ok(found),
        Ok(Destination::Trigger { path, otherwise }) => match triggers::find(&api, &head, &path).await {
            Ok(Some(trigger)) => return triggers::answer(api, trigger, head, body).await,
            Ok(None) => otherwise,
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    let found = match found {
        Ok(found) => found,
        Err(refusal) => {
            body::discard(&head, body).await;
            return Err(refusal);
        }
    };
    let (pattern, mut declared) = (found.route.pattern, found.statuses());
    let response = respond(Call::new(api, found, head), body).await.unwrap_or_else(IntoResponse::into_response);
    let status = response.status().as_u16();
    debug_assert!(declared.any(|declared| declared == status), "the route {pattern} does not declare the answer {status}");
    Ok(response)
}

/// The one place that authorises a request, and cuts it off when its key is revoked.
async fn respond(mut call: Call, body: Body) -> Result<Response, ApiError> {
    let access = call.api.options.access.clone();
    let revocations = access.revocations();
    let admitted = authorisation::admit(&mut call);
    let place = match &admitted {
        Ok(hub) if call.found.route.needs != Needs::Nothing => {
            Some(call.api.concurrency.acquire(call.accounted_hub(hub.as_deref()))?)
        }
        Ok(_) | Err(_) => None,
    };
    if let (Ok(_), Some(admission)) = (&admitted, call.head.extensions.get::<Admission>()) {
        admission.grant();
    }
    let mut revoked: Revoked = Box::pin(access.revoked(&call.caller, revocations));
    let mut response = pin!(handle(call, body, admitted));
    let response = tokio::select! {
        biased;
        response = response.as_mut() => response?,
        // A response that is nearly ready is still sent: the request may have revoked its own key.
        () = &mut revoked => match tokio::time::timeout(REVOKED_GRACE, response).await {
            Ok(response) => return Ok(revoked::end_on_revocation(Box::pin(std::future::ready(())), response?, place)),
            Err(_elapsed) => return Err(Denied::from(Refusal::UnknownKey).into()),
        },
    };
    Ok(revoked::end_on_revocation(revoked, response, place))
}

/// Reads the body and responds. Without authorisation the body is discarded as it arrives.
async fn handle(mut call: Call, body: Body, admitted: Result<Option<String>, ApiError>) -> Result<Response, ApiError> {
    let hub = match admitted {
        Ok(hub) => hub,
        Err(refusal) => {
            body::discard(&call.head, body).await;
            return Err(refusal);
        }
    };
    let takes = call.found.route.takes;
    let mut held = call.api.bodies.hold(call.accounted_hub(hub.as_deref()));
    let body = body::read(&call.head, body, takes, call.api.body_limit(takes), &mut held).await;
    if takes != BodyKind::Nothing {
        call.body = body?;
        call.body_reservation = Some(held);
    }
    if call.found.declares(&TASK_HUB.about) {
        let hub = call.api.hub(hub.as_deref()).await?;
        return respond_for(hub, call).await;
    }
    (call.found.route.handler)(call).await
}

/// The one place where requests of a hub are counted.
async fn respond_for(hub: Hub, mut call: Call) -> Result<Response, ApiError> {
    call.hub = Some(hub.clone());
    let answered = match call.api.check_rate(&hub) {
        Ok(()) => (call.found.route.handler)(call).await,
        Err(refusal) => Err(refusal),
    };
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    hub.count_request(response.status() == StatusCode::TOO_MANY_REQUESTS);
    Ok(response)
}

/// What serves a request.
enum Destination {
    /// A route of the host.
    Host(Found),
    /// The HTTP trigger that serves this path, if there is one; otherwise a starter of the host, if that is one.
    Trigger { path: Vec<String>, otherwise: Result<Found, ApiError> },
}

/// Checks a request against the guard, and finds what serves it. The host's own routes come first, except for its starters:
/// those stand in for the triggers of apps that have none.
fn find(api: &Api, head: &Parts) -> Result<Destination, ApiError> {
    let is_rpc = head.extensions.get::<authorisation::Rpc>().is_some();
    let guard = if is_rpc { &api.rpc_guard } else { &api.guard };
    let path = lookup::split(head.uri.path())?;
    let found = lookup::find(&head.method, &path);
    let (is_starter, is_found) = (found.as_ref().is_some_and(|found| std::ptr::eq(found.group, &STARTERS)), found.is_some());
    let may_be_triggers = !is_rpc && (is_starter || !is_found) && !path.first().is_some_and(|first| is_reserved(first));
    if may_be_triggers && guard.check_trigger(head, &api.options.cors_origins).is_ok() {
        let otherwise = guard.check(head).and_then(|()| found.ok_or_else(ApiError::not_found));
        return Ok(Destination::Trigger { path, otherwise });
    }
    guard.check(head)?;
    found.map(Destination::Host).ok_or_else(ApiError::not_found)
}
