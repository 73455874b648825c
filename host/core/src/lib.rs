//! The pure core of Dacapo: orchestrations and entities, independent of where they are stored and of what runs them.
//!
//! - [`id`], [`time`], [`failure`], [`retry`]: the basic types that the other modules use.
//! - [`event`]: facts in an instance's history, and messages, which are facts on their way to an inbox.
//! - [`execution`]: one run of an orchestrator as the guest sees it: tasks, waits, time, randomness. Everything that
//!   happens to it goes through one `apply`, live and on replay.
//! - [`turn`]: `(history, inbox, now) x guest -> Commit`.
//! - [`entity`]: `(state, inbox, now) x guest -> Commit`, for entities, which have no history.
//! - [`commit`]: everything a turn changes, to be saved in one transaction.
//! - [`guest`]: the interface to what executes orchestrators and activities; [`scripted`] executes Rust closures.
//!
//! The core never reads a clock, draws a random number, does I/O or awaits anything: time is an argument.

pub mod commit;
pub mod entity;
pub mod event;
pub mod execution;
pub mod failure;
pub mod guest;
pub mod id;
pub mod random;
pub mod retry;
pub mod scripted;
pub mod time;
pub mod turn;
pub mod versioning;

pub use commit::{
    Announcement, Commit, EntityState, EventDelivery, HistoryChunk, InstanceRecord, RuntimeStatus, ScheduledActivity, Usage,
};
pub use entity::{EntityMemory, EntityTurn, EntityTurnResult};
pub use event::{Delivery, Event, HistoryEvent, Message, MessageKey, Once, Parent};
pub use failure::Failure;
pub use guest::{ActivityCall, EntityGuest, Executor, Guest, NotNow, OperationError, StartError, Step, TriggerCall};
pub use id::{ExecutionId, FunctionKind, FunctionName, InstanceId, Row, Seq, VersionId};
pub use time::Timestamp;

/// A JSON text. Cheap to clone: a payload travels from a request through a turn to the store without being copied.
pub type Payload = std::sync::Arc<str>;
