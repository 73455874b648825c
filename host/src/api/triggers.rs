//! Requests that an app's HTTP trigger serves.
//!
//! The hub of a request is that of its host name, or else the one that `taskHub` names, or else that of its key, or the default one.
//! Then its routes decide. A key is needed only if the trigger asks for one, and is never shown to it.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONTENT_SECURITY_POLICY, HeaderName, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use dacapo_core::{Failure, TriggerCall};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::admission::body::{self, BodyKind};
use super::admission::guard::is_listed;
use super::context::Api;
use super::error::ApiError;
use super::request::authorisation::{KEY_HEADER, credential_of};
use super::request::parameter::{CODE, TASK_HUB};
use super::request::{Query, hub_of_host, origin};
use crate::access::{Caller, Denied, KeyText, Needs, Role};
use crate::hub::{Hub, HubError};
use crate::server::{Admission, Remote};
use crate::triggers::http::{self, Request};
use crate::triggers::route::Values;
use crate::triggers::{AuthLevel, Served};

/// Scripts of a page that a guest sends run, but in an origin of their own: it is not that of the host's API.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

/// How many task hubs requests from one address may make the host open in a second, if they have no key of the hub. Whoever guesses
/// names would otherwise have those closed that are in use. A host that keeps 256 open for a minute has no room for more than four a
/// second for long.
const OPENINGS_PER_SECOND: u64 = 20;

/// A request's trigger.
pub(super) struct Found {
    hub: Hub,
    query: Query,
    caller: Result<Caller, Denied>,
    what: What,
}

enum What {
    Trigger {
        served: Served,
        auth: AuthLevel,
        values: Values,
    },
    /// No trigger serves the method, but these are served, and the request only asks for that.
    Methods(Vec<Method>),
}

/// Finds the trigger that serves a request. None: there is none, or no such hub.
///
/// Error: the request names another hub than that of its host name, whose origin is not for what the other's triggers send.
pub(super) async fn find(api: &Api, head: &Parts, path: &[String]) -> Result<Option<Found>, ApiError> {
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let caller = match credential_of(&head.headers, &query) {
        Ok(credential) => api.options.access.identify(credential.as_deref()),
        // Several keys that differ: none of them counts.
        Err(_) => Ok(Caller::Nobody),
    };
    let named = query.all(TASK_HUB.about.name).next().filter(|name| !name.is_empty());
    let of_host = hub_of_host(api, head);
    if let (Some(named), Some(of_host)) = (named, &of_host)
        && !named.eq_ignore_ascii_case(of_host)
    {
        return Err(TASK_HUB
            .about
            .refusal(named, "the host name of the request is that of another task hub: leave the parameter out"));
    }
    let own = caller.as_ref().ok().and_then(Caller::own_hub);
    let name = of_host.as_deref().or(named).or(own).unwrap_or(&api.options.default_hub).to_owned();
    pace_opening(api, head, &caller, &name).await;
    let hub = match api.options.hubs.hub(&name).await {
        Ok(Some(hub)) => hub,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::debug!(hub = name, %error, "a request for a trigger finds no hub");
            return Ok(None);
        }
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let what = hub.with_routes(|routes| {
        if let Some(matched) = routes.find(&head.method, &path) {
            let (served, auth, values) = (matched.served.clone(), matched.http.auth, matched.values);
            return Some(What::Trigger { served, auth, values });
        }
        routes.methods(&path).filter(|_| head.method == Method::OPTIONS).map(What::Methods)
    });
    let runs = |what: &What| match what {
        What::Trigger { served, .. } => !hub.is_disabled(&served.function),
        What::Methods(_) => true,
    };
    Ok(what.filter(runs).map(|what| Found { hub, query, caller, what }))
}

/// Lets a request wait that would open a hub, whether or not there is one of this name, and has no key of it, if its client has had
/// too many opened in the last second. It is not refused: so clients do not learn which hubs there are.
async fn pace_opening(api: &Api, head: &Parts, caller: &Result<Caller, Denied>, hub: &str) {
    let may_read = |caller: &Caller| api.options.access.admit(caller, Needs::Hub(Role::Read), Some(hub), None).is_ok();
    if caller.as_ref().is_ok_and(may_read) {
        return;
    }
    let client = head.extensions.get::<Remote>().map(|remote| remote.source().to_string()).unwrap_or_default();
    while !api.options.hubs.is_open(hub)
        && let Err(wait) = api.openings.take(&client, OPENINGS_PER_SECOND, Instant::now())
    {
        tokio::time::sleep(wait).await;
    }
}

/// Runs the trigger, and sends its response.
pub(super) async fn answer(api: Arc<Api>, found: Found, head: Parts, body: Body) -> Result<Response, ApiError> {
    let Found { hub, query, caller, what } = found;
    let cors = Cors::of(&api, &head);
    let (served, auth, values) = match what {
        What::Trigger { served, auth, values } => (served, auth, values),
        What::Methods(methods) => {
            body::discard(&head, body).await;
            return Ok(cors.apply(options_response(&head, &methods, &cors)));
        }
    };
    let caller = match authorise(&api, &hub, auth, caller) {
        Ok(caller) => caller,
        Err(refusal) => {
            body::discard(&head, body).await;
            return Ok(cors.apply(refusal.into_response()));
        }
    };
    if let Some(admission) = head.extensions.get::<Admission>() {
        admission.grant();
    }
    // Dropped when the client has left.
    let (_client, left) = oneshot::channel::<()>();
    let running = run(api, hub.clone(), served, values, caller, query, head, body, left);
    // A function that has begun goes on when its client has left, as in Azure Functions.
    let response = tokio::spawn(running).await.unwrap_or(Err(HubError::ShuttingDown.into()));
    let response = response.unwrap_or_else(IntoResponse::into_response);
    hub.count_request(response.status() == StatusCode::TOO_MANY_REQUESTS);
    Ok(cors.apply(response))
}

fn authorise(api: &Api, hub: &Hub, auth: AuthLevel, caller: Result<Caller, Denied>) -> Result<Caller, ApiError> {
    let role = match auth {
        AuthLevel::Anonymous => return Ok(caller.unwrap_or(Caller::Nobody)),
        AuthLevel::Function => Role::Operate,
        AuthLevel::Admin => Role::Administer,
    };
    let caller = caller?;
    api.options.access.admit(&caller, Needs::Hub(role), Some(hub.name()), None)?;
    Ok(caller)
}

#[expect(clippy::too_many_arguments, reason = "all of a request, moved into a task of its own")]
async fn run(
    api: Arc<Api>,
    hub: Hub,
    served: Served,
    values: Values,
    caller: Caller,
    query: Query,
    head: Parts,
    body: Body,
    left: oneshot::Receiver<()>,
) -> Result<Response, ApiError> {
    let _permit = api.trigger_concurrency.acquire(hub.name())?;
    api.check_rate(&hub)?;
    let mut held = api.bodies.hold(hub.name());
    let limit = api.body_limit(BodyKind::Payload).min(hub.payload_bytes());
    let body = body::read(&head, body, BodyKind::Payload, limit, &mut held).await?;
    let input = input_of(&api, &head, &query, values, &body);
    drop(body);
    let invocation = Uuid::new_v4();
    let call = TriggerCall { name: served.function.clone(), input, invocation, attempt: 1 };
    let outcome = hub.run_trigger(served.version, call, left).await?;
    let is_developer = caller == Caller::Developer;
    let response =
        outcome.and_then(|output| http::answer_of(&output).map_err(|why| Failure::permanent(Failure::INVALID_OUTPUT, why)));
    let response = match response {
        Ok((response, outputs)) => hub.send_outputs(&served.function, invocation, outputs).await.map(|()| response),
        Err(failure) => Err(failure),
    };
    match response {
        Ok(response) => {
            let mut response = response.map(Body::from);
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if !is_developer {
                response.headers_mut().append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
            }
            Ok(response)
        }
        Err(failure) => {
            let (hub, function) = (hub.name(), &served.function);
            tracing::warn!(hub, %function, %invocation, error = failure.error_type, "an HTTP trigger failed: {}", failure.message);
            // What a failure says may be for the operator only.
            let why = if is_developer { format!(": {}", failure.message) } else { String::new() };
            Err(ApiError::internal(format!("the function '{function}' failed (invocation {invocation}){why}")))
        }
    }
}

/// The input of the trigger: the request without keys of the host.
fn input_of(api: &Api, head: &Parts, query: &Query, params: Values, body: &[u8]) -> String {
    let is_key = |value: &str| KeyText::is_key_or_link(value);
    // The parameters as they were sent, and decoded.
    let raw = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let shown = |(_, (name, value)): &(&str, &(String, String))| !(name.eq_ignore_ascii_case(CODE) && is_key(value));
    let (raw, query): (Vec<&str>, Vec<(String, String)>) =
        raw.zip(query.pairs()).filter(shown).map(|(raw, pair)| (raw, pair.clone())).unzip();
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        // A page that was opened with a key may send its address along.
        let holds_key = || value.split(['=', '&', '?', ' ', ';', ',']).any(is_key);
        (name.as_str() != KEY_HEADER && !holds_key()).then_some((name.as_str(), value))
    });
    let mark = if raw.is_empty() { "" } else { "?" };
    let origin = origin(api.options.scheme, head, api.options.address, api.options.use_forwarded_host);
    let url = format!("{origin}{}{mark}{}", head.uri.path(), raw.join("&"));
    Request { method: &head.method, url: &url, headers: headers.collect(), query, params, body }.to_json()
}

/// What a page of another origin may see of a response.
struct Cors(Option<HeaderValue>);

impl Cors {
    fn of(api: &Api, head: &Parts) -> Self {
        let listed = |origin: &&HeaderValue| is_listed(&api.options.cors_origins, origin.to_str().unwrap_or_default());
        Self(head.headers.get(ORIGIN).filter(listed).cloned())
    }

    fn apply(&self, mut response: Response) -> Response {
        if let Some(origin) = &self.0 {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        }
        response
    }
}

/// The response to an `OPTIONS` that no trigger serves: what is allowed.
fn options_response(head: &Parts, methods: &[Method], cors: &Cors) -> Response {
    let names: Vec<&str> = methods.iter().map(Method::as_str).chain(["OPTIONS"]).collect();
    let allowed = HeaderValue::from_str(&names.join(", ")).expect("methods are tokens");
    let mut response = StatusCode::NO_CONTENT.into_response();
    if cors.0.is_some() && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, allowed.clone());
        if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        response.headers_mut().insert(HeaderName::from_static("access-control-max-age"), HeaderValue::from_static("600"));
    }
    response.headers_mut().insert(ALLOW, allowed);
    response
}
