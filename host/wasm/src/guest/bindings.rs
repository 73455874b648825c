//! The contract, generated from `guest-sdk/wit`, and its conversion to the core's types. Nothing else sees both.

use std::time::Duration;

use dacapo_core::entity::{Operation, OperationResult};
use dacapo_core::execution::{LogLevel, TaskOutcome};
use dacapo_core::{ActivityCall, Failure, FunctionKind, FunctionName, Parent, Payload, TriggerCall};

use crate::guest::trap::bounded;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "app",
        // An import that fails stops the guest.
        imports: {
            "dacapo:guest/management.start-orchestration": async | trappable,
            "dacapo:guest/management.send-http": async | trappable,
            "dacapo:guest/client": async | trappable,
            default: trappable,
        },
        with: { "dacapo:guest/orchestration.task": super::Task },
    });
}

pub(crate) use generated::dacapo::guest::{client, logging, management, orchestration, types};

/// The interfaces of the contract, as components import them.
pub(crate) const ORCHESTRATION: &str = "dacapo:guest/orchestration@0.1.0";
pub(crate) const LOGGING: &str = "dacapo:guest/logging@0.1.0";

/// The host's side of the resource `task`: its representation is a [`dacapo_core::execution::TaskId`].
/// (Public for the generated code; the module is not.)
pub enum Task {}

/// The types of the exports.
pub(crate) type Described = (Vec<types::Function>,);
pub(crate) type Returned = (Result<String, types::Failure>,);
pub(crate) type OperationReturned = (Result<types::EntityResult, types::Failure>,);
pub(crate) type TriggersDescribed = (Vec<types::Trigger>,);

fn failure_of(failure: types::Failure) -> Failure {
    let types::Failure { error_type, message, details, retriable } = failure;
    bounded(Failure { error_type, message, details, retriable })
}

pub(crate) fn outcome_of(returned: Result<String, types::Failure>) -> TaskOutcome {
    returned.map(Payload::from).map_err(failure_of)
}

pub(crate) fn operation_result_of(returned: Result<types::EntityResult, types::Failure>) -> Result<OperationResult, Failure> {
    let types::EntityResult { output, state } = returned.map_err(failure_of)?;
    Ok(OperationResult { output: output.into(), state: state.map(Payload::from) })
}

pub(crate) fn kind_of(kind: types::FunctionKind) -> FunctionKind {
    match kind {
        types::FunctionKind::Orchestrator => FunctionKind::Orchestrator,
        types::FunctionKind::Activity => FunctionKind::Activity,
        types::FunctionKind::Entity => FunctionKind::Entity,
    }
}

pub(crate) fn level_of(level: logging::Level) -> LogLevel {
    match level {
        logging::Level::Trace => LogLevel::Trace,
        logging::Level::Debug => LogLevel::Debug,
        logging::Level::Info => LogLevel::Info,
        logging::Level::Warn => LogLevel::Warn,
        logging::Level::Error => LogLevel::Error,
    }
}

pub(crate) fn retry_policy_of(policy: types::RetryPolicy) -> dacapo_core::retry::RetryPolicy {
    dacapo_core::retry::RetryPolicy {
        max_attempts: policy.max_attempts,
        first_interval: duration_of(policy.first_interval),
        backoff_coefficient: policy.backoff_coefficient,
        max_interval: policy.max_interval.map(duration_of),
        timeout: policy.timeout.map(duration_of),
        non_retriable_error_types: policy.non_retriable_error_types,
    }
}

/// Converts milliseconds. Negative values and NaN become zero, values that are too large the longest duration.
fn duration_of(millis: f64) -> Duration {
    if millis.is_nan() {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(millis.max(0.0) / 1_000.0).unwrap_or(Duration::MAX)
}

pub(crate) fn wit_outcome(outcome: &TaskOutcome) -> Result<String, types::Failure> {
    match outcome {
        Ok(output) => Ok(output.to_string()),
        Err(failure) => Err(wit_failure(failure.clone())),
    }
}

pub(crate) fn wit_failure(failure: Failure) -> types::Failure {
    let Failure { error_type, message, details, retriable } = failure;
    types::Failure { error_type, message, details, retriable }
}

pub(crate) fn wit_parent(parent: &Parent) -> types::ParentInstance {
    types::ParentInstance { name: parent.name.to_string(), instance_id: parent.instance.to_string() }
}

pub(crate) fn wit_call(call: &ActivityCall) -> types::ActivityCall {
    types::ActivityCall {
        name: call.name.to_string(),
        input: call.input.to_string(),
        instance_id: call.instance.to_string(),
        task_id: call.seq.0,
        attempt: call.attempt,
    }
}

pub(crate) fn wit_trigger_call(call: &TriggerCall) -> types::TriggerCall {
    types::TriggerCall {
        name: call.name.to_string(),
        input: call.input.clone(),
        invocation_id: call.invocation.to_string(),
        attempt: call.attempt,
    }
}

/// `entity` is the name as the app spells it.
pub(crate) fn wit_operation(operation: &Operation, entity: &FunctionName) -> types::EntityOperation {
    types::EntityOperation {
        entity: types::EntityId { name: entity.to_string(), key: operation.key.clone() },
        operation: operation.name.clone(),
        input: operation.input.to_string(),
        state: operation.state.as_deref().map(str::to_owned),
    }
}
