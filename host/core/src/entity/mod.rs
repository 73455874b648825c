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
//! - [`EntityTurn`]: the turn, its inputs and its result.
//! - [`OperationScope`]: the host calls of an operation.

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
    /// The state that the previous operation left. None: there is no state.
    pub state: Option<Payload>,
}

/// The result of an operation that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationResult {
    pub output: Payload,
    /// None: the entity has no state any more.
    pub state: Option<Payload>,
}

/// The scope of the running operation, shared between the turn and the guest. Never contended.
pub type SharedOperation = Arc<Mutex<OperationScope>>;
