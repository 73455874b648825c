//! The seam between this crate and the imports of `wit/dacapo.wit`, so that the executor can be tested without a host.
//! The functions are those of the interface `orchestration`; see there for what they promise.

#[cfg(not(target_family = "wasm"))]
use crate::action::Action;
use crate::bindings::Handle;
use crate::failure::Failure;
use crate::level::Level;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

pub(crate) type TaskId = u32;

/// What a task stands for: what an orchestrator can schedule and wait for.
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
    /// What only some apps do. A trait object, so that its import is linked into those and no others.
    Other(Box<dyn Schedule>),
}

pub(crate) trait Schedule {
    fn schedule(&self) -> Handle;
    /// What its output is called in messages.
    fn output(&self) -> String;
    /// What a test sees of it.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action;
}

/// What has no outcome, and only some apps do.
pub(crate) trait Perform {
    fn perform(&self);
    /// What a test sees of it.
    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action;
}

impl Work {
    /// Whether giving it up has a meaning. An activity that was scheduled runs, whoever listens.
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
