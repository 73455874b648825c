//! The HTTP API: Durable Functions' management API, and the host's own routes.
//!
//! ```text
//!   request ─▶ dispatch: guard ─▶ route (one table) ─▶ door: key, hub, role ─▶ body ─▶ rate ─▶ handler ─▶ Hub ─▶ answer | ApiError
//! ```
//!
//! - [`dispatch`]: the steps of every request, with what they need of [`admission`].
//! - [`request`]: a request that has found its route, who may send it ([`request::door`]), and all parameters
//!   ([`request::parameter`]).
//! - [`table`]: all routes, with their parameters and answers, and the OpenAPI document that is made from it.
//! - [`handlers`]: one function for each route; [`content`]: what more than one of them sends; [`error`]: every refusal.
//! - [`context`]: what they have in common.
//!
//! Each may use what stands below it, and nothing above: dispatch, table, handlers, request and content, context, admission.
//!
//! A handler parses, asks the hub and formats; it decides nothing about orchestrations. It can read only parameters
//! that its route declares and, where assertions are on, answer only with statuses that it declares.

mod admission;
mod content;
mod context;
mod dispatch;
mod error;
mod handlers;
mod health;
mod request;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use content::links::Links;
pub(crate) use handlers::usage::{Bill, Receipt};

use crate::access::{Access, Caller, Role};
use crate::engine::fair_threads::FairThreads;
use crate::hubs::Hubs;
use crate::limits::HubLimits;
use crate::secrets::Secrets;
use admission::bodies::Bodies;
use admission::guard::Guard;
use admission::rate::Rates;
use admission::under_way::UnderWay;
use context::Api;
use health::Health;
use request::door;

/// The control file has one writer.
const CONTROL_THREADS: usize = 2;

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
    axum::Router::new().fallback(dispatch::dispatch).with_state(Arc::new(api))
}
