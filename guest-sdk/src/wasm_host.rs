//! The real host, called through the wasm imports.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::generated::dacapo::guest::{orchestration, types};
use crate::bindings::{self, Handle, from_generated, retry_policy};
use crate::failure::Failure;
use crate::host::{Host, Parent, Perform, TaskId, Work};
use crate::level::Level;
use crate::timestamp::Timestamp;

/// Holds the handles of tasks; the rest of the crate refers to tasks by number.
#[derive(Default)]
pub(crate) struct WasmHost {
    tasks: RefCell<Tasks>,
}

#[derive(Default)]
struct Tasks {
    handles: BTreeMap<TaskId, Handle>,
    last: TaskId,
}

impl Host for WasmHost {
    fn schedule(&self, work: &Work) -> TaskId {
        let handle = match work {
            Work::CallActivity { name, input, retry } => {
                orchestration::call_activity(name, input, retry.as_ref().map(retry_policy).as_ref())
            }
            Work::CallSubOrchestrator { name, input, instance_id, version, retry } => {
                let (id, retry) = (instance_id.as_deref(), retry.as_ref().map(retry_policy));
                match version {
                    None => orchestration::call_sub_orchestrator(name, input, id, retry.as_ref()),
                    Some(version) => orchestration::call_sub_orchestrator_with_version(name, input, version, id, retry.as_ref()),
                }
            }
            Work::CreateTimer { fire_at } => orchestration::create_timer(fire_at.as_millis() as f64),
            Work::WaitForExternalEvent { name } => orchestration::wait_for_external_event(name),
            Work::Other(work) => work.schedule(),
        };
        let mut tasks = self.tasks.borrow_mut();
        tasks.last += 1;
        let id = tasks.last;
        tasks.handles.insert(id, handle);
        id
    }

    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId> {
        let tasks = self.tasks.borrow();
        let handles: Vec<&Handle> = pending.iter().map(|id| &tasks.handles[id]).collect();
        orchestration::wait(&handles).into_iter().map(|index| pending[index as usize]).collect()
    }

    fn outcome(&self, task: TaskId) -> Option<Result<String, Failure>> {
        let outcome = self.tasks.borrow().handles[&task].outcome()?;
        Some(outcome.map_err(from_generated))
    }

    fn cancel(&self, task: TaskId) -> bool {
        self.tasks.borrow().handles[&task].cancel()
    }

    fn release(&self, task: TaskId) {
        self.tasks.borrow_mut().handles.remove(&task);
    }

    fn perform(&self, effect: &dyn Perform) {
        effect.perform();
    }

    fn start_orchestration(&self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        orchestration::start_orchestration(name, input, instance_id)
    }

    fn send_event(&self, instance_id: &str, name: &str, data: &str) {
        orchestration::send_event(instance_id, name, data);
    }

    fn continue_as_new(&self, input: &str) {
        orchestration::continue_as_new(input);
    }

    fn set_custom_status(&self, status: &str) {
        orchestration::set_custom_status(status);
    }

    fn instance_id(&self) -> String {
        orchestration::instance_id()
    }

    fn execution_id(&self) -> String {
        orchestration::execution_id()
    }

    fn parent(&self) -> Option<Parent> {
        let types::ParentInstance { name, instance_id } = orchestration::parent()?;
        Some(Parent { name, instance_id })
    }

    fn version(&self) -> String {
        orchestration::version()
    }

    fn current_time(&self) -> Timestamp {
        Timestamp::from_millis(orchestration::current_time() as i64)
    }

    fn new_guid(&self) -> String {
        orchestration::new_guid()
    }

    fn random_bytes(&self, length: u32) -> Vec<u8> {
        orchestration::random_bytes(length)
    }

    fn is_replaying(&self) -> bool {
        orchestration::is_replaying()
    }

    fn log(&self, level: Level, message: &str) {
        bindings::log(level, message);
    }
}
