//! Dacapo: a host for durable orchestrations whose code is WebAssembly.
//!
//! - [`hub`]: the engine: one running task hub.
//! - [`api`]: the HTTP API in front of it.
//! - [`config`]: what the operator decides, from a file, the environment and flags.
//! - [`hubs`]: all task hubs of a host.
//! - [`limits`]: what a task hub may use.
//! - [`meters`], with [`metrics`]: what a task hub has used.
//! - [`server`]: HTTP: connections, TLS, and clients that mean no good.
//! - [`serve`]: the running host: opens a hub, serves the API, stops in good order.
//! - [`cli`]: the command line. All commands but `serve` talk to a running host over HTTP.
//!
//! `ARCHITECTURE.md`, beside this crate's `src`, tells how they work together.

pub mod api;
pub mod cli;
pub mod config;
pub mod hub;
pub mod hubs;
pub mod limits;
pub mod meters;
pub mod metrics;
pub mod serve;
pub mod server;
