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
//! - [`Compiler`]: where modules are compiled; `compilations`: which tenant is next; `complexity`: what is refused beforehand.
//! - `engine`: the one wasmtime engine, with the reason for each flag; `pool`: what a guest takes of its pool; `permits`: how
//!   tenants share the pool and outgoing requests; `slices`: how a guest that computes for long lets others run.
//! - `deployment`: files and compiled code; `imports`: what each role may not use; [`Manifest`]: what an app asks for; `report`:
//!   which of its imports trap in orchestrators.
//! - `guest`: `bindings`: the contract (`guest-sdk/wit`), converted to the core's types in one file. `deterministic`: the world of
//!   orchestrators and entities, with `orchestration` and the deterministic `wasi`; `orchestrator` and `entity` run guests in it.
//!   `activity`: the world of activities; `idle`: instances of them that are reused, if the app asks for that or the operator wants it. `trap`: the
//!   failure of a guest that did not return.
//! - `outbound`: the guarded outgoing HTTP of activities, which `http_activity` uses too; `scrub` masks secrets in responses.
//! - `dependency_errors`: errors of other crates that have no type.

mod account;
mod config;
mod dependency_errors;
mod deployment;
mod engine;
mod guest;
mod outbound;
mod runtime;

pub use account::{Account, IdleMemory, IdleMemoryBudget, OutboundBytes};
pub use config::{Checkpoint, Config, DirectoryGrant, GuestLimits, ManagementLinks, Policy, PoolSize, Reuse, is_disabled};
pub use deployment::cache::version_of;
pub use deployment::compile::{
    COMPILED_BYTES_MAX, CompileLimits, CompiledModule, Compiler, CompilerAnswer, ModuleError, compile_module,
};
pub use deployment::deploy::DeployError;
pub use deployment::function_cache::read_functions;
pub use deployment::imports::{Access, ImportedInterface};
pub use deployment::inspect::{FileKind, InspectedFunction, Inspection, inspect};
pub use deployment::manifest::{
    AskedDirectory, AskedGrants, DeclaredSchedule, DurableTaskSettings, EventHubSettings, HttpSettings, MANIFEST_SECTION,
    Manifest, QueueSettings,
};
pub use deployment::outline::Memory;
pub use deployment::report::Finding;
pub use engine::pool::SLOTS_PER_GUEST_MAX;
pub use engine::slices::processor_time;
pub use guest::guest_permit::GuestPermit;
pub use outbound::allow_list::{AllowList, InvalidAllowEntry};
pub use outbound::http::HttpLimits;
pub use outbound::secret::Secret;
pub use runtime::{App, LoadError, Preparation, Runtime, SetupError, Stage, Tenant, TriggerSlots};
