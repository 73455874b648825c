//! The seam between this crate and the imports of `wit/dacapo.wit`, so that the executor can be tested without a host.
//! The functions are those of the interface `orchestration`; see there for what they promise.

use crate::bindings::Handle;
use crate::{Failure, Level, Parent, RetryPolicy, Timestamp};

pub(crate) type TaskId = u32;

/// What an orchestrator can schedule and wait for.
pub(crate) enum Action {
    CallActivity {
        name: String,
        input: String,
        retry: Option<RetryPolicy>,
    },
    CallSubOrchestrator {
        name: String,
        input: String,
        instance_id: Option<String>,
        version: Option<String>,
        retry: Option<RetryPolicy>,
    },
    CreateTimer {
        fire_at: Timestamp,
    },
    WaitForExternalEvent {
        name: String,
    },
    /// What only some apps do. A trait object, so that its import is linked into those and no others.
    Other(Box<dyn Schedule>),
}

pub(crate) trait Schedule {
    fn schedule(&self) -> Handle;
    /// What its output is called in messages.
    fn output(&self) -> String;
    /// What a test sees of it.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> crate::testing::Action;
}

/// What has no outcome, and only some apps do.
pub(crate) trait Perform {
    fn perform(&self);
    /// What a test sees of it.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> crate::testing::Action;
}

impl Action {
    /// Whether giving up the action has a meaning. An activity that was scheduled runs, whoever listens.
    pub(crate) fn is_cancellable(&self) -> bool {
        match self {
            Action::CallActivity { .. } | Action::CallSubOrchestrator { .. } | Action::Other(_) => false,
            Action::CreateTimer { .. } | Action::WaitForExternalEvent { .. } => true,
        }
    }
}

pub(crate) trait Host {
    fn schedule(&self, action: &Action) -> TaskId;
    /// Blocks; gives the tasks that have completed, in the order in which they did. The list is never empty.
    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId>;
    fn outcome(&self, task: TaskId) -> Option<Result<String, Failure>>;
    fn cancel(&self, task: TaskId) -> bool;
    /// The task will not be named again.
    fn release(&self, task: TaskId);

    fn perform(&self, effect: &dyn Perform);
    fn start_orchestration(&self, name: &str, input: &str, instance_id: Option<&str>) -> String;
    fn send_event(&self, instance_id: &str, name: &str, data: &str);
    fn continue_as_new(&self, input: &str);
    fn set_custom_status(&self, status: &str);

    fn instance_id(&self) -> String;
    fn execution_id(&self) -> String;
    fn parent(&self) -> Option<Parent>;
    fn version(&self) -> String;
    fn current_time(&self) -> Timestamp;
    fn new_guid(&self) -> String;
    fn random_bytes(&self, length: u32) -> Vec<u8>;
    fn is_replaying(&self) -> bool;
    fn log(&self, level: Level, message: &str);
}
