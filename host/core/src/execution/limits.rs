//! Limits on what an execution may do.

use std::sync::Arc;

use super::fault::excerpt;
use crate::Failure;

/// What bounds an execution, so that a hostile guest cannot exhaust the host. Exceeding one fails the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Actions in one turn: bounds the size of a commit. Durable Functions' own `maxOrchestrationActions`.
    pub actions_per_turn: usize,
    /// Bytes of payload in all actions of one turn.
    pub action_bytes_per_turn: usize,
    /// Bytes of one input, output or event.
    pub payload_bytes: usize,
    /// Bytes of the custom status; Durable Functions' limit.
    pub custom_status_bytes: usize,
    /// Tasks (actions and waits) in one execution: bounds the memory of its state.
    pub tasks: usize,
    /// Events in the history of one execution: bounds what a replay costs.
    pub history_events: usize,
    /// Why no actions are allowed at present. None: they are.
    pub no_room: Option<Arc<str>>,
    /// Bytes of log lines in one turn; further lines are dropped, and one line says so.
    pub log_bytes_per_turn: usize,
    /// Operations that an entity runs in one turn: bounds how long their callers wait for the commit.
    pub operations_per_turn: usize,
    /// Entities in one lock: the request carries all their ids from one entity to the next.
    pub entities_per_lock: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            actions_per_turn: 100_000,
            action_bytes_per_turn: 64 << 20,
            payload_bytes: 4 << 20,
            custom_status_bytes: 16 << 10,
            tasks: 1_000_000,
            history_events: 100_000,
            no_room: None,
            log_bytes_per_turn: 64 << 10,
            operations_per_turn: 1_000,
            entities_per_lock: 100,
        }
    }
}

impl Limits {
    /// The limits of a replay. What was recorded was allowed then, and limits may have changed since. So only memory is
    /// bounded, against code that diverges from the history.
    pub(crate) fn of_replay(&self) -> Self {
        Self {
            actions_per_turn: usize::MAX,
            action_bytes_per_turn: usize::MAX,
            payload_bytes: usize::MAX,
            custom_status_bytes: usize::MAX,
            tasks: self.tasks.max(Self::default().tasks),
            history_events: usize::MAX,
            no_room: None,
            log_bytes_per_turn: self.log_bytes_per_turn,
            operations_per_turn: self.operations_per_turn,
            entities_per_lock: usize::MAX,
        }
    }
}

/// Checks a payload that a guest made: JSON, and not too long.
pub fn check_payload(what: &str, payload: &str, limits: &Limits, invalid: &str) -> Result<(), Failure> {
    if payload.len() > limits.payload_bytes {
        let message = format!("{what} has {} bytes, {} are allowed (payload_bytes)", payload.len(), limits.payload_bytes);
        return Err(Failure::permanent(Failure::LIMIT_EXCEEDED, message));
    }
    serde_json::from_str::<&serde_json::value::RawValue>(payload)
        .map(|_| ())
        .map_err(|why| Failure::permanent(invalid, format!("{what} is not JSON: {why}")).with_details(excerpt(payload)))
}
