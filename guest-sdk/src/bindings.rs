//! The generated bindings of `wit/dacapo.wit`, and their conversion to the types of this crate. Nothing outside this
//! file sees a generated type.

// The generated code, and the exports that `app!` makes from it, speak the canonical ABI.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::app::{Entry, Kind};
use crate::entity::{EntityId, OperationCall, OperationOutcome};
use crate::host::{Action, Host, Perform, TaskId};
use crate::{ActivityContext, Failure, Level, Parent, RetryPolicy, Timestamp};

#[allow(clippy::too_many_arguments)] // the canonical ABI flattens records into parameters
#[allow(missing_docs)] // the contract documents them
pub mod generated {
    wit_bindgen::generate!({
        path: "wit",
        world: "app",
        pub_export_macro: true,
        export_macro_name: "export_app",
        default_bindings_module: "dacapo_sdk::__private::generated",
        generate_all,
    });
}

use generated::dacapo::guest::{logging, management, orchestration, types};

/// What the host gives for something that was scheduled.
pub(crate) type Handle = orchestration::Task;

/// The host behind the imports. Task handles live here; the rest of the crate knows tasks by number.
#[derive(Default)]
pub(crate) struct WasmHost {
    tasks: RefCell<Tasks>,
}

#[derive(Default)]
struct Tasks {
    handles: BTreeMap<TaskId, orchestration::Task>,
    last: TaskId,
}

impl Host for WasmHost {
    fn schedule(&self, action: &Action) -> TaskId {
        let handle = match action {
            Action::CallActivity { name, input, retry } => {
                orchestration::call_activity(name, input, retry.as_ref().map(retry_policy).as_ref())
            }
            Action::CallSubOrchestrator { name, input, instance_id, version, retry } => {
                let (id, retry) = (instance_id.as_deref(), retry.as_ref().map(retry_policy));
                match version {
                    None => orchestration::call_sub_orchestrator(name, input, id, retry.as_ref()),
                    Some(version) => orchestration::call_sub_orchestrator_with_version(name, input, version, id, retry.as_ref()),
                }
            }
            Action::CreateTimer { fire_at } => orchestration::create_timer(fire_at.as_millis() as f64),
            Action::WaitForExternalEvent { name } => orchestration::wait_for_external_event(name),
            Action::Other(action) => action.schedule(),
        };
        let mut tasks = self.tasks.borrow_mut();
        tasks.last += 1;
        let id = tasks.last;
        tasks.handles.insert(id, handle);
        id
    }

    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId> {
        let tasks = self.tasks.borrow();
        let handles: Vec<&orchestration::Task> = pending.iter().map(|id| &tasks.handles[id]).collect();
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
        log(level, message);
    }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, message);
}

pub(crate) fn call_entity(entity: &EntityId, operation: &str, input: &str) -> Handle {
    orchestration::call_entity(&entity_id(entity), operation, input)
}

pub(crate) fn signal_entity(entity: &EntityId, operation: &str, input: &str, deliver_at: Option<Timestamp>) {
    orchestration::signal_entity(&entity_id(entity), operation, input, deliver_at.map(|at| at.as_millis() as f64));
}

pub(crate) fn lock_entities(entities: &[EntityId]) -> Handle {
    orchestration::lock_entities(&entities.iter().map(entity_id).collect::<Vec<_>>())
}

pub(crate) fn unlock_entities() {
    orchestration::unlock_entities();
}

pub(crate) fn call_http(request: &str) -> Handle {
    orchestration::call_http(request)
}

pub(crate) fn management_links(instance_id: &str) -> String {
    management::links(instance_id)
}

pub(crate) fn start_from_activity(
    name: &str,
    input: &str,
    instance_id: Option<&str>,
    version: Option<&str>,
) -> Result<String, Failure> {
    management::start_orchestration(name, input, instance_id, version).map_err(from_generated)
}

fn entity_id(entity: &EntityId) -> types::EntityId {
    types::EntityId { name: entity.name().to_owned(), key: entity.key().to_owned() }
}

/// The export `describe`.
pub fn describe(entries: &[Entry]) -> Vec<types::Function> {
    let function = |entry: &Entry| types::Function {
        name: entry.name.to_owned(),
        kind: match entry.kind {
            Kind::Orchestrator(_) => types::FunctionKind::Orchestrator,
            Kind::Activity(_) => types::FunctionKind::Activity,
            Kind::Entity(_) => types::FunctionKind::Entity,
        },
    };
    entries.iter().map(function).collect()
}

/// The export `run-orchestrator`.
pub fn run_orchestrator(entries: &[Entry], name: &str, input: String) -> Result<String, types::Failure> {
    crate::app::run_orchestrator(entries, Box::new(WasmHost::default()), name, input).map_err(to_generated)
}

/// The export `run-activity`.
pub fn run_activity(entries: &[Entry], call: types::ActivityCall) -> Result<String, types::Failure> {
    let types::ActivityCall { name, input, instance_id, task_id, attempt } = call;
    let context = ActivityContext::live(name, instance_id, task_id, attempt);
    crate::app::run_activity(entries, context, input).map_err(to_generated)
}

/// The export `run-entity-operation`.
pub fn run_entity_operation(entries: &[Entry], operation: types::EntityOperation) -> Result<types::EntityResult, types::Failure> {
    let types::EntityOperation { entity: types::EntityId { name, key }, operation, input, state } = operation;
    let call = OperationCall { name, key, operation, input, state };
    match crate::app::run_entity_operation(entries, Box::new(WasmHost::default()), call) {
        Ok(OperationOutcome { output, state }) => Ok(types::EntityResult { output, state }),
        Err(failure) => Err(to_generated(failure)),
    }
}

fn retry_policy(policy: &RetryPolicy) -> types::RetryPolicy {
    types::RetryPolicy {
        max_attempts: policy.max_attempts,
        first_interval: millis(policy.first_interval),
        backoff_coefficient: policy.backoff_coefficient,
        max_interval: policy.max_interval.map(millis),
        timeout: policy.timeout.map(millis),
        non_retriable_error_types: policy.non_retriable_error_types.clone(),
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_millis() as f64
}

fn to_generated(failure: Failure) -> types::Failure {
    let Failure { error_type, message, details, retriable } = failure;
    types::Failure { error_type, message, details, retriable }
}

fn from_generated(failure: types::Failure) -> Failure {
    let types::Failure { error_type, message, details, retriable } = failure;
    Failure { error_type, message, details, retriable }
}
