//! Runs guests: the only crate that names wasmtime.
//!
//! ```text
//!   bytes ─prepare─▶ wrap ─▶ compile ─▶ imports ─▶ inspect ─▶ App       (deployment; kept in `modules` and `cache`)
//!                                         │
//!   Executor::start ────────▶ orchestrator│  a fiber that waits inside `wait`; polled once per turn
//!   Executor::run_activity ─▶ activity    │  a future on tokio, with a deadline
//! ```
//!
//! - [`Runtime`]: versions by digest, deployment, and the [`dacapo_core::Executor`] that the engine uses.
//! - [`Config`]: limits, pool sizes, grants.
//! - `engine`: the one wasmtime engine, with the reason for each flag.
//! - `bindings`: the contract (`guest-sdk/wit`), converted to the core's types in one file.
//! - `orchestrator` and `activity`: what a guest of each role sees; `wasi` is the deterministic WASI of the first, `http`
//!   the guarded outgoing HTTP of the second, `imports` what neither may use.
//! - `trouble`: what a guest that did not return leads to.

mod activity;
mod allow_list;
mod bindings;
mod cache;
mod config;
mod engine;
mod http;
mod imports;
mod inspect;
mod limiter;
mod lines;
mod orchestrator;
mod prepared;
mod runtime;
mod trouble;
mod wasi;
mod wrap;

pub use allow_list::{AllowList, InvalidAllowEntry};
pub use config::{Config, DirectoryGrant, GuestLimits, PoolSize};
pub use inspect::DeployError;
pub use runtime::{App, LoadError, Runtime, SetupError};
