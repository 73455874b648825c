//! The HTTP API: Durable Functions' management API, and the host's own routes.
//!
//! ```text
//!   request ─▶ dispatch: guard ─▶ route (one table) ─▶ authorisation: key, hub, role ─▶ body ─▶ rate ─▶ handler ─▶ Hub ─▶ answer | ApiError
//! ```
//!
//! - [`dispatch`]: the steps of every request, with what they need of [`admission`].
//! - [`request`]: a request whose route has been found, its authorisation ([`request::authorisation`]), and all parameters
//!   ([`request::parameter`]).
//! - [`table`]: all routes, with their parameters and answers, and the OpenAPI document that is made from it.
//! - [`handlers`]: one function for each route; [`content`]: bodies that several of them send; [`error`]: every error response.
//! - [`context`]: the state that they share.
//!
//! Each module may use only those after it in this list: dispatch, table, handlers, request and content, context, admission.
//!
//! A handler parses, asks the hub and formats; it decides nothing about orchestrations. Debug assertions
//! check that it reads only parameters, and answers only with statuses, that its route declares.

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
use admission::body_memory::Bodies;
use admission::concurrency::ConcurrencyLimit;
use admission::guard::Guard;
use admission::rate::Rates;
use context::Api;
use health::Health;
use request::authorisation;

/// Few suffice: the control file has one writer.
const CONTROL_THREADS: usize = 2;

/// What the API serves, and its limits.
pub struct ApiOptions {
    pub hubs: Hubs,
    pub access: Arc<Access>,
    pub secrets: Arc<Secrets>,
    /// The host's data directory, which no hub may be granted.
    pub data: PathBuf,
    /// The limits of a hub that has none of its own.
    pub limits: HubLimits,
    /// The hub of a request that names none.
    pub default_hub: String,
    /// The address that the host listens on: decides how strict the check of the `Host` header is.
    pub address: SocketAddr,
    /// Further names that a host on a loopback address accepts in the `Host` header.
    pub allowed_hosts: Vec<String>,
    /// The scheme by which clients reach the host: http or https.
    pub scheme: &'static str,
    /// The origin of links for callers of the address without keys, which is not for others.
    pub public_url: String,
    /// Whether links use the `X-Forwarded-*` headers of a proxy.
    pub use_forwarded_host: bool,
    /// Turns true when the host shuts down, which ends event streams.
    pub stopping: watch::Receiver<bool>,
    /// The most bytes of one input or event.
    pub payload_bytes: usize,
    /// The most bytes of one deployed file.
    pub module_bytes: usize,
    /// The most bytes of all request bodies at once.
    pub bodies_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
}

/// Returns the same API for programs of this machine that have no key: it opens one hub with one role, and refuses browsers.
pub fn rpc_router(api: &axum::Router, hub: &str, role: Role) -> axum::Router {
    api.clone().layer(axum::Extension(authorisation::Rpc(Caller::rpc(hub, role))))
}

/// Returns the API of a running host.
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
        concurrency: ConcurrencyLimit::new(options.connections),
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
