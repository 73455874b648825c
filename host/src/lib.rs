//! Dacapo: a host for durable orchestrations whose code is WebAssembly.
//!
//! - [`engine`]: what the task hubs of a host share: threads, memory, deployed files.
//! - [`hub`]: one running task hub.
//! - [`access`]: authentication and authorisation: keys, roles, links.
//! - [`api`]: the HTTP API in front of it.
//! - [`config`]: the operator's settings, from a file, the environment and flags.
//! - [`hubs`]: all task hubs of a host.
//! - [`meters`], with [`metrics`]: what a task hub has used.
//! - [`server`]: HTTP: connections, TLS, and protection against hostile clients.
//! - [`triggers`]: what the descriptions of triggers mean, and their inputs and outputs.
//! - [`schedules`]: when orchestrations are started again and again.
//! - [`limits`]: what a task hub may use; [`grants`]: what its activities may reach; [`secrets`]: what they may use unseen.
//! - [`log`]: the log on standard error.
//! - [`serve`]: the running host: opens the hubs, serves the API, stops in good order.
//! - [`build`]: apps from their sources, in any language.
//! - `moment`: times as clients and users write them. [`printable`]: untrusted text, escaped for terminals and the log.
//! - [`cli`]: the command line. All commands but `serve` talk to a running host over HTTP.
//!
//! `ARCHITECTURE.md`, beside this crate's `src`, describes how they work together.

pub mod access;
pub mod api;
mod bad_value;
pub mod build;
pub mod cli;
pub mod config;
pub mod directory;
pub mod engine;
pub mod export;
pub mod grants;
pub mod hub;
pub mod hubs;
pub mod limits;
pub mod log;
pub mod meters;
pub mod metrics;
mod moment;
pub mod printable;
pub mod schedules;
pub mod secrets;
pub mod serve;
pub mod server;
pub mod triggers;
pub mod versioning;
