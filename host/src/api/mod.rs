//! The HTTP API: Durable Functions' management API, and the host's own routes.
//!
//! ```text
//!   request ─▶ guard ─▶ route (one table) ─▶ door: key, hub, role ─▶ body ─▶ handler: parse ─▶ Hub ─▶ response | ApiError
//! ```
//!
//! - [`table`]: all routes, with their parameters and answers; [`route`]: how a request finds its own.
//! - [`parameter`]: all parameters, and what they may be; [`moment`]: points in time.
//! - [`request`]: a request that has found its route; [`body`]: reading what it carries.
//! - The handlers: [`orchestrators`] and [`restart`] start; [`instances`] and [`entities`] show; [`messages`] tells an
//!   instance something; [`purge`] removes; [`events`] follows; [`apps`] is for what is deployed, [`transfer`] for what is
//!   moved between hubs, [`admin`] for what is the host's own; [`administration`] makes hubs, [`usage`] says what
//!   they have used, and [`keys`], [`secrets`] and [`audit`] are for those who may use them.
//! - [`links`], [`status`], [`history`], [`page`]: what more than one route sends. [`parts`]: what is made while it is sent.
//! - [`openapi`], with [`schema`]: the document of all this, made from the table.
//! - [`guard`]: what a browser must not be tricked into. [`door`]: who may, and [`revoked`]: until when. [`rate`]: how many
//!   requests a hub may have in a second, [`under_way`]: and at once; [`bodies`]: how much memory they take. [`error`]: every refusal.
//!
//! A handler parses, asks the [`Hub`] and formats; it decides nothing about orchestrations. It can read only parameters
//! that its route declares and, where assertions are on, answer only with statuses that it declares.

mod admin;
mod administration;
mod apps;
mod audit;
mod bodies;
mod body;
mod door;
mod entities;
mod error;
mod events;
mod guard;
mod history;
mod instances;
mod json;
mod keys;
mod links;
mod messages;
mod moment;
mod openapi;
mod orchestrators;
mod page;
mod parameter;
mod parts;
mod purge;
mod rate;
mod request;
mod restart;
mod revoked;
mod route;
mod schema;
mod secrets;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod transfer;
mod under_way;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

pub use links::Links;
pub(crate) use usage::{Bill, Receipt};

use crate::access::{Access, Caller, Denied, Needs, Refusal, Role};
use crate::hub::{FairThreads, Hub, HubError, caught_async};
use crate::hubs::Hubs;
use crate::limits::HubLimits;
use crate::secrets::{SECRET_BYTES_MAX, Secrets};
use crate::server::{Admission, Remote};
use admin::Health;
use bodies::Bodies;
use body::Takes;
use error::ApiError;
use guard::Guard;
use parameter::TASK_HUB;
use rate::Rates;
use request::Call;
use revoked::Revoked;
use route::Found;
use under_way::UnderWay;

/// What an administrator says of a hub: its limits, and lists of grants.
const ADMINISTRATION_BYTES_MAX: usize = 1 << 20;

/// The control file has one writer.
const CONTROL_THREADS: usize = 2;

/// How long a request may still take whose key is revoked.
const REVOKED_GRACE: Duration = Duration::from_millis(500);

/// What the API serves, and how much it takes.
pub struct ApiOptions {
    pub hubs: Hubs,
    pub access: Arc<Access>,
    pub secrets: Arc<Secrets>,
    /// Where the host keeps its own, which is granted to nobody.
    pub data: PathBuf,
    /// What a hub may use that has no limits of its own.
    pub limits: HubLimits,
    /// The hub of a request that names none.
    pub default_hub: String,
    /// The address that the host listens on: decides how strict the check of the `Host` header is.
    pub address: SocketAddr,
    /// Names other than its own under which clients may reach a host on a loopback address.
    pub allowed_hosts: Vec<String>,
    /// How clients reach it: http or https.
    pub scheme: &'static str,
    /// Where they do: in links for whoever came by an address that is not for others.
    pub public_url: String,
    /// Whether links are made of what a proxy says of the request that it passed on.
    pub use_forwarded_host: bool,
    /// Turns true when the host is to stop: then streams end.
    pub stopping: watch::Receiver<bool>,
    /// Bytes of one input or event.
    pub payload_bytes: usize,
    /// Bytes of one deployed file.
    pub module_bytes: usize,
    /// Bytes of the bodies of all requests at once.
    pub bodies_bytes: usize,
    /// How many connections there may be.
    pub connections: usize,
}

/// The same API for programs of this machine that have no key: it opens one hub for one role, and no browser passes.
pub fn rpc_router(api: &axum::Router, hub: &str, role: Role) -> axum::Router {
    api.clone().layer(axum::Extension(door::Rpc(Caller::rpc(hub, role))))
}

/// The API of a running host.
pub fn router(options: ApiOptions) -> axum::Router {
    let guard = Guard::new(options.address, options.allowed_hosts);
    let api = Api {
        bodies: Bodies::new(options.bodies_bytes, options.hubs.memory().clone()),
        hubs: options.hubs,
        access: options.access,
        secrets: options.secrets,
        data: options.data,
        limits: options.limits,
        default_hub: options.default_hub,
        guard,
        rpc_guard: Guard::of_rpc(),
        rates: Rates::default(),
        control: FairThreads::new("control", CONTROL_THREADS),
        under_way: UnderWay::new(options.connections),
        health: Health::default(),
        authority: options.address.to_string(),
        scheme: options.scheme,
        public_url: options.public_url,
        use_forwarded_host: options.use_forwarded_host,
        stopping: options.stopping,
        payload_bytes: options.payload_bytes,
        module_bytes: options.module_bytes,
    };
    axum::Router::new().fallback(dispatch).with_state(Arc::new(api))
}

struct Api {
    hubs: Hubs,
    access: Arc<Access>,
    secrets: Arc<Secrets>,
    data: PathBuf,
    limits: HubLimits,
    default_hub: String,
    guard: Guard,
    rpc_guard: Guard,
    rates: Rates,
    bodies: Bodies,
    /// For what changes the control file, and for what is read of it.
    control: FairThreads,
    under_way: UnderWay,
    health: Health,
    /// Stands in for a `Host` header that is missing.
    authority: String,
    scheme: &'static str,
    public_url: String,
    use_forwarded_host: bool,
    stopping: watch::Receiver<bool>,
    payload_bytes: usize,
    module_bytes: usize,
}

impl Api {
    /// The route of a request that may pass.
    fn find(&self, head: &Parts) -> Result<Found, ApiError> {
        let guard = if head.extensions.get::<door::Rpc>().is_some() { &self.rpc_guard } else { &self.guard };
        guard.check(head)?;
        let segments = route::split(head.uri.path())?;
        route::find(&head.method, &segments).ok_or_else(ApiError::not_found)
    }

    fn body_limit(&self, takes: Takes) -> usize {
        match takes {
            Takes::Nothing => 0,
            Takes::Payload | Takes::PayloadOrText => self.payload_bytes,
            Takes::Module => self.module_bytes,
            Takes::Export => body::EXPORT_BYTES_MAX,
            Takes::Json(_) => ADMINISTRATION_BYTES_MAX,
            Takes::Secret => SECRET_BYTES_MAX,
        }
    }

    /// The hub that a request is for: the one it names, otherwise the default one.
    async fn hub(&self, name: Option<&str>) -> Result<Hub, ApiError> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&self.default_hub);
        self.hubs.hub(name).await?.ok_or_else(|| ApiError::unknown_task_hub(name))
    }

    /// Whether the hub may have one more request at present.
    fn check_rate(&self, hub: &Hub) -> Result<(), ApiError> {
        let per_second = hub.requests_per_second();
        let taken = self.rates.take(hub.name(), per_second, Instant::now());
        taken.map_err(|wait| ApiError::too_many_requests(hub.name(), per_second, wait))
    }
}

async fn dispatch(State(api): State<Arc<Api>>, request: Request) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let invocation = request.headers().get("x-azure-functions-invocationid").cloned();
    let remote = request.extensions().get::<Remote>().map(|remote| remote.0);
    // A panic is a bug of the host, and of this one request.
    let answered = caught_async(answer(api, request)).await.unwrap_or_else(|why| Err(HubError::from(why).into()));
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    tracing::debug!(%method, path, status, ?elapsed, ?remote, ?invocation, "request");
    response
}

async fn answer(api: Arc<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let found = match api.find(&head) {
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

/// The one place where it is decided who may, and until when.
async fn respond(mut call: Call, body: Body) -> Result<Response, ApiError> {
    let access = call.api.access.clone();
    let revocations = access.revocations();
    let admitted = door::admit(&mut call);
    let place = match &admitted {
        Ok(hub) if call.found.route.needs != Needs::Nothing => Some(call.api.under_way.enter(call.counts_for(hub.as_deref()))?),
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
        // Who is about to be answered is: it may have revoked its own key.
        () = &mut revoked => match tokio::time::timeout(REVOKED_GRACE, response).await {
            Ok(response) => return Ok(revoked::ends_when(Box::pin(std::future::ready(())), response?, place)),
            Err(_elapsed) => return Err(Denied::from(Refusal::UnknownKey).into()),
        },
    };
    Ok(revoked::ends_when(revoked, response, place))
}

/// Reads the body, of which nothing is kept before it is known that who sends it may, and answers.
async fn handle(mut call: Call, body: Body, admitted: Result<Option<String>, ApiError>) -> Result<Response, ApiError> {
    let hub = match admitted {
        Ok(hub) => hub,
        Err(refusal) => {
            body::discard(&call.head, body).await;
            return Err(refusal);
        }
    };
    let takes = call.found.route.takes;
    let mut held = call.api.bodies.hold(call.counts_for(hub.as_deref()));
    let body = body::read(&call.head, body, takes, call.api.body_limit(takes), &mut held).await;
    if takes != Takes::Nothing {
        call.body = body?;
        call.body_room = Some(held);
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
