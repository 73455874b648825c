//! Entities: durable state with operations that run one after another.
//!
//! ```text
//!   state ──▶ operation ──▶ operation ──▶ ...  ──▶ Commit: the state, and what the operations sent
//!   inbox ─────┴──────────────┘
//! ```
//!
//! An entity has no history and no replay: a turn runs all operations that wait and saves the state that they lead to, in
//! one transaction with the messages that they consumed. An operation that fails changes nothing.
//!
//! - [`EntityTurn`]: the turn; what it is given and what it leads to.
//! - [`OperationScope`]: what an operation may ask of the host.

use std::sync::{Arc, Mutex};

use crate::{FunctionName, Payload};

mod queue;
mod scope;
mod turn;
mod work;

pub use scope::OperationScope;
pub use turn::{EntityMemory, EntityTurn, EntityTurnResult, TurnTime, Untimed};

/// One operation, as the guest is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The entity function, in lower case as in the entity's id.
    pub entity: FunctionName,
    pub key: String,
    /// What to do; may be empty.
    pub name: String,
    pub input: Payload,
    /// The state that the operation before left. None: there is none (yet, or any more).
    pub state: Option<Payload>,
}

/// What an operation that succeeded leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationResult {
    pub output: Payload,
    /// None: the entity has no state any more.
    pub state: Option<Payload>,
}

/// The scope of the operation that runs, shared between the turn and the guest. Never contended.
pub type SharedOperation = Arc<Mutex<OperationScope>>;
