//! Runs guests: the only crate that names wasmtime.
//!
//! ```text
//!   bytes ─prepare─▶ wrap ─▶ compile ─▶ imports ─▶ describe ─▶ App      (deployment; kept in `modules` and `cache`)
//!                                         │
//!   Executor::start ────────▶ orchestrator│  a fiber that waits inside `wait`; polled once per turn
//!   Executor::start_entity ─▶ entity      │  runs one operation after another; none waits
//!   Executor::run_activity ─▶ activity    │  a future on tokio, with a deadline
//!   Executor::run_http ─────▶ http_activity  the host's own activity; no guest
//! ```
//!
//! - [`Runtime`]: versions by digest, and deployment; [`Tenant`]: the [`dacapo_core::Executor`] of one task hub.
//! - [`Config`]: what all tenants share; [`Policy`]: the limits and grants of one; [`Account`]: its name and its bytes.
//! - [`Compiler`]: where modules are compiled; `compilations`: whose turn it is; `complexity` refuses what is not even tried.
//! - `engine`: the one wasmtime engine, with the reason for each flag.
//! - `bindings`: the contract (`guest-sdk/wit`), converted to the core's types in one file.
//! - `deterministic`: the world of orchestrators and entities, with `orchestration` and the deterministic `wasi`;
//!   `orchestrator` and `entity` run guests in it.
//! - `activity`: the world of activities; `http` is their guarded outgoing HTTP, which `http_activity` uses too, `scrub` what it
//!   hides of the answers.
//! - `pool`: what a guest takes of the engine's pool; `permits`: how tenants share that, and outgoing requests; [`GuestPermit`]: room
//!   for one guest.
//! - `idle`: instances of activities that are used again, if the operator wants that.
//! - `slices`: how a guest that computes for long lets others run.
//! - `imports`: what each role may not use.
//! - [`Manifest`]: what an app says of itself; `report`: what it imports that traps in orchestrators.
//! - `trouble`: what a guest that did not return leads to.

mod account;
mod activity;
mod allow_list;
mod bindings;
mod cache;
mod compilations;
mod compile;
mod complexity;
mod config;
mod deploy;
mod deterministic;
mod engine;
mod entity;
mod error_text;
mod guest_permit;
mod http;
mod http_activity;
mod idle;
mod imports;
mod inspect;
mod limiter;
mod lines;
mod manifest;
mod orchestration;
mod orchestrator;
mod outline;
mod permits;
mod pool;
mod prepared;
mod report;
mod runtime;
mod scrub;
mod secret;
mod slices;
mod trouble;
mod wasi;
mod wrap;

pub use account::{Account, OutboundBytes};
pub use allow_list::{AllowList, InvalidAllowEntry};
pub use cache::version_of;
pub use compile::{COMPILED_BYTES_MAX, CompileLimits, Compiler, CompilerAnswer, ModuleError, compile_module};
pub use config::{Checkpoint, Config, DirectoryGrant, GuestLimits, ManagementLinks, Policy, PoolSize};
pub use deploy::DeployError;
pub use guest_permit::GuestPermit;
pub use http::HttpLimits;
pub use imports::{Access, ImportedInterface};
pub use inspect::{FileKind, InspectedFunction, Inspection, inspect};
pub use manifest::{AskedDirectory, AskedGrants, MANIFEST_SECTION, Manifest};
pub use outline::Memory;
pub use pool::SLOTS_PER_GUEST_MAX;
pub use report::Finding;
pub use runtime::{App, LoadError, Preparation, Runtime, SetupError, Stage, Tenant};
pub use secret::Secret;
pub use slices::processor_time;
