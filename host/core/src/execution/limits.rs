//! Limits on what a guest says.

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
    /// Why no action may be taken at present. None: they may be.
    pub no_room: Option<Arc<str>>,
    /// Bytes of log lines in one turn; what is over is dropped, with a line that says so.
    pub log_bytes_per_turn: usize,
    /// Operations that an entity runs in one turn: bounds how long a commit, and so everybody's answer, is waited for.
    pub operations_per_turn: usize,
    /// Entities in one lock: its request carries the ids of all of them from one to the next.
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
    /// Those of a replay. What was recorded was allowed then, and limits may have changed since; so only the memory is bounded
    /// that code could take which does something else than history says.
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
