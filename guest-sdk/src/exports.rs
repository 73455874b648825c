//! The exports that `app!` makes.

use crate::activity::ActivityContext;
use crate::app::{self, Entry, Kind};
use crate::bindings::generated::dacapo::guest::types;
use crate::bindings::to_generated;
use crate::entity::{OperationCall, OperationOutcome};
use crate::trigger::TriggerContext;
use crate::wasm_host::WasmHost;

/// The export `describe`.
pub fn describe(entries: &[Entry]) -> Vec<types::Function> {
    let function = |entry: &Entry| {
        let kind = match entry.kind {
            Kind::Orchestrator(_) => types::FunctionKind::Orchestrator,
            Kind::Activity(_) => types::FunctionKind::Activity,
            Kind::Entity(_) => types::FunctionKind::Entity,
            Kind::Trigger { .. } => return None,
        };
        Some(types::Function { name: entry.name.to_owned(), kind })
    };
    entries.iter().filter_map(function).collect()
}

/// The export `run-orchestrator`.
pub fn run_orchestrator(entries: &[Entry], name: &str, input: String) -> Result<String, types::Failure> {
    app::run_orchestrator(entries, Box::new(WasmHost::default()), name, input).map_err(to_generated)
}

/// The export `run-activity`.
pub fn run_activity(entries: &[Entry], call: types::ActivityCall) -> Result<String, types::Failure> {
    let types::ActivityCall { name, input, instance_id, task_id, attempt } = call;
    let context = ActivityContext::live(name, instance_id, task_id, attempt);
    app::run_activity(entries, context, input).map_err(to_generated)
}

/// The export `describe-triggers`.
pub fn describe_triggers(entries: &[Entry]) -> Vec<types::Trigger> {
    let trigger = |entry: &Entry| match entry.kind {
        Kind::Trigger { bindings, .. } => Some(types::Trigger { name: entry.name.to_owned(), bindings: bindings() }),
        Kind::Orchestrator(_) | Kind::Activity(_) | Kind::Entity(_) => None,
    };
    entries.iter().filter_map(trigger).collect()
}

/// The export `run-trigger`.
pub fn run_trigger(entries: &[Entry], call: types::TriggerCall) -> Result<String, types::Failure> {
    let types::TriggerCall { name, input, invocation_id, attempt } = call;
    app::run_trigger(entries, TriggerContext::live(name, invocation_id, attempt), input).map_err(to_generated)
}

/// The export `run-entity-operation`.
pub fn run_entity_operation(entries: &[Entry], operation: types::EntityOperation) -> Result<types::EntityResult, types::Failure> {
    let types::EntityOperation { entity: types::EntityId { name, key }, operation, input, state } = operation;
    let call = OperationCall { name, key, operation, input, state };
    match app::run_entity_operation(entries, Box::new(WasmHost::default()), call) {
        Ok(OperationOutcome { output, state }) => Ok(types::EntityResult { output, state }),
        Err(failure) => Err(to_generated(failure)),
    }
}
