//! The interface between this crate and the imports of `wit/dacapo.wit`, so that the executor can be tested without a
//! host. The functions are those of the interface `orchestration`, which documents them.

#[cfg(not(target_family = "wasm"))]
use crate::action::Action;
use crate::bindings::Handle;
use crate::failure::Failure;
use crate::level::Level;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

pub(crate) type TaskId = u32;

/// The work that an orchestrator can schedule and wait for.
pub(crate) enum Work {
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
    /// Work that only some apps use. A trait object, so that its import is linked only into apps that use it.
    Other(Box<dyn Schedule>),
}

pub(crate) trait Schedule {
    fn schedule(&self) -> Handle;
    /// The name of its output in messages.
    fn output(&self) -> String;
    /// The action that a test sees.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action;
}

/// An effect without an outcome that only some apps use.
pub(crate) trait Perform {
    fn perform(&self);
    /// The action that a test sees.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action;
}

impl Work {
    /// Whether the host can cancel it. A scheduled activity runs, even if its result is not awaited.
    pub(crate) fn is_cancellable(&self) -> bool {
        match self {
            Work::CallActivity { .. } | Work::CallSubOrchestrator { .. } | Work::Other(_) => false,
            Work::CreateTimer { .. } | Work::WaitForExternalEvent { .. } => true,
        }
    }
}

/// The orchestration that called this one.
///
/// ```no_run
/// # fn example(ctx: dacapo_sdk::Context) {
/// if let Some(parent) = ctx.parent() {
///     ctx.log_info(format!("called by {} ({})", parent.name, parent.instance_id));
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parent {
    /// The function name of the parent.
    pub name: String,
    /// The instance id of the parent.
    pub instance_id: String,
}

pub(crate) trait Host {
    fn schedule(&self, work: &Work) -> TaskId;
    /// Blocks until a task has completed. Returns the completed tasks in the order of completion, at least one.
    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId>;
    fn outcome(&self, task: TaskId) -> Option<Result<String, Failure>>;
    fn cancel(&self, task: TaskId) -> bool;
    /// Drops the host's handle. The task must not be used afterwards.
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
