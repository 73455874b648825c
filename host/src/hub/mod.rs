//! One running task hub: the engine that runs its instances.
//!
//! ```text
//!   clients ──start, raise, terminate──▶ ┌───────────┐ take ┌────────┐ Commit ┌───────┐
//!   timers  ──TimerFired───────────────▶ │ run queue │ ───▶ │ worker │ ─────▶ │ store │
//!   activities ──TaskCompleted/Failed──▶ └───────────┘      └────────┘        └───────┘
//!                                              ▲                                  │ durable
//!                                              └── settle: acknowledge, deliver, ─┘
//!                                                  start activities and timers
//! ```
//!
//! Rules:
//! - A message that is not stored yet becomes durable with the turn that takes it in; only then is its sender acknowledged.
//! - A turn's effects happen after its commit is durable ([`turn::settle`]).
//! - An instance has at most one turn at a time, from taking its mailbox to the settling of the commit.
//! - Only busy, hot and queued work is in memory; everything else is rows in the store.

mod activity;
mod bounds;
mod builtin;
mod client;
mod error;
mod hub_core;
mod mailbox;
mod open;
mod operations;
mod rules;
mod timers;
mod trigger;
mod turn;
mod versions;
mod webhook;

pub use builtin::is_built_in;
pub use builtin::message::Message;
pub use client::{Queries, QueryApi};
pub use error::HubError;
pub(crate) use error::join_result;
pub use hub_core::Hub;
pub(crate) use hub_core::now;
pub use mailbox::IfEnded;
pub use open::{Gone, HubOptions, create_file, path_of};
pub use operations::bulk::{BulkAction, BulkOutcome, Selection};
pub use operations::changes::{Change, EventText};
pub use operations::instance::{NewId, RestartRequest, StartRequest};
pub use operations::purge::Retention;
pub use operations::query::InstanceState;
pub use operations::queues::{MessageState, NewMessage, QueueState};
pub use operations::schedules::{Backfill, NewSchedule, ScheduleState, TriggerRequest};
pub use operations::transfer::{Export, Exported, ImportOptions, Imported, Waiting};
pub use rules::HubRules;
pub use versions::catalog::{DeployedApp, RolledBack, Share, Traffic};
pub use versions::deploy::PreparedFile;
pub use versions::gate::{Candidate, Checked, ReplayProgress, Totals, Verdict, Which};
pub use versions::{Difference, Pruned, Undeployed, VersionState};
pub use webhook::Webhook;
