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
//! - [`triggers`]: requests that an app's HTTP trigger serves. [`client`]: the queries of guests, answered without a request.
//! - [`context`]: the state that they share.
//!
//! Each module may use only those after it in this list: dispatch, table, handlers, request and content, context, admission.
//!
//! A handler parses, asks the hub and formats; it decides nothing about orchestrations. Debug assertions
//! check that it reads only parameters, and answers only with statuses, that its route declares.

mod admission;
mod client;
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
mod triggers;

use std::sync::{Arc, Weak};

pub use content::links::Links;
pub(crate) use handlers::usage::{Bill, Receipt};

use crate::access::{Caller, Role};
use crate::engine::fair_threads::FairThreads;
use admission::body_memory::Bodies;
use admission::concurrency::ConcurrencyLimit;
use admission::guard::Guard;
use admission::rate::Rates;
use context::Api;
pub use context::ApiOptions;
use health::Health;
use request::authorisation;

/// Few suffice: the control file has one writer.
const CONTROL_THREADS: usize = 2;

/// Returns the same API for programs of this machine that have no key: it opens one hub with one role, and refuses browsers.
pub fn rpc_router(api: &axum::Router, hub: &str, role: Role) -> axum::Router {
    api.clone().layer(axum::Extension(authorisation::Rpc(Caller::rpc(hub, role))))
}

/// Returns the API of a running host.
pub fn router(options: ApiOptions) -> axum::Router {
    let api = Api {
        guard: Guard::new(options.address, options.allowed_hosts.clone(), options.access.control().host_names().clone()),
        rpc_guard: Guard::of_rpc(),
        rates: Rates::default(),
        openings: Rates::default(),
        bodies: Bodies::new(options.bodies_bytes, options.hubs.memory().clone()),
        control: FairThreads::new("control", CONTROL_THREADS),
        concurrency: ConcurrencyLimit::new(options.connections),
        trigger_concurrency: ConcurrencyLimit::new(options.connections.div_ceil(2)),
        health: Health::default(),
        options,
    };
    let api = Arc::new(api);
    let weak: Weak<Api> = Arc::downgrade(&api);
    api.options.queries.set(weak);
    axum::Router::new().fallback(dispatch::dispatch).with_state(api)
}
