//! Failures as values.

use crate::FunctionName;

/// Why a function failed. It is data, never a host error: it is recorded in the history and passed to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A short name that callers match on, such as `InsufficientFunds`.
    pub error_type: String,
    /// One human-readable sentence.
    pub message: String,
    /// Additional text of any length.
    pub details: Option<String>,
    /// Whether a retry may succeed.
    pub retriable: bool,
}

impl Failure {
    /// The bytes of its message and details.
    pub fn payload_bytes(&self) -> usize {
        self.message.len() + self.details.as_ref().map_or(0, String::len)
    }

    // The types of the failures that the host itself makes, as documented in the WIT.
    pub const ACTIVITY_NOT_FOUND: &str = "ActivityNotFound";
    pub const ENTITY_NOT_FOUND: &str = "EntityNotFound";
    pub const LOCKING_RULES_VIOLATION: &str = "LockingRulesViolation";
    pub const HTTP_REQUEST_FAILED: &str = "HttpRequestFailed";
    pub const ORCHESTRATOR_NOT_FOUND: &str = "OrchestratorNotFound";
    pub const VERSION_MISMATCH: &str = "VersionMismatch";
    pub const INSTANCE_ALREADY_EXISTS: &str = "InstanceAlreadyExists";
    pub const INSTANCE_NOT_FOUND: &str = "InstanceNotFound";
    pub const INSTANCE_ENDED: &str = "InstanceEnded";
    pub const INSTANCE_NOT_ENDED: &str = "InstanceNotEnded";
    pub const NOT_REWINDABLE: &str = "NotRewindable";
    pub const NOT_GRANTED: &str = "NotGranted";
    pub const TRIGGER_NOT_FOUND: &str = "TriggerNotFound";
    /// The host cannot do it at the moment.
    pub const UNAVAILABLE: &str = "Unavailable";
    /// The host itself failed, which is a bug in the host.
    pub const HOST_FAILED: &str = "HostFailed";
    pub const INVALID_ARGUMENT: &str = "InvalidArgument";
    pub const PANIC: &str = "Panic";
    pub const TRAP: &str = "Trap";
    pub const FUEL_EXHAUSTED: &str = "FuelExhausted";
    pub const OUT_OF_MEMORY: &str = "OutOfMemory";
    pub const STACK_OVERFLOW: &str = "StackOverflow";
    pub const TIMEOUT: &str = "Timeout";
    pub const INVALID_OUTPUT: &str = "InvalidOutput";
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    pub const TERMINATED: &str = "Terminated";
    pub const CANCELED: &str = "Canceled";

    /// A failure that a retry may cure.
    pub fn retriable(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), details: None, retriable: true }
    }

    /// A failure that would happen again.
    pub fn permanent(error_type: &str, message: impl Into<String>) -> Self {
        Self { retriable: false, ..Self::retriable(error_type, message) }
    }

    /// The failure as an activity's caller gets it: prefixed with the activity's name, as Durable Functions words it.
    pub fn of_activity(self, name: &FunctionName) -> Self {
        Self { message: format!("Activity function '{name}' failed: {}", self.message), ..self }
    }

    /// The failure of an orchestration as its parent and clients see it: prefixed with the orchestrator's name.
    pub fn of_orchestrator(self, name: &FunctionName) -> Self {
        Self { message: format!("Orchestrator function '{name}' failed: {}", self.message), ..self }
    }

    pub fn with_details(self, details: impl Into<String>) -> Self {
        Self { details: Some(details.into()), ..self }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}
