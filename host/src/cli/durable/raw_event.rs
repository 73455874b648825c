//! The events of a history as Durable Task stores them: one JSON object each, none merged with another.

use dacapo_core::event::{Outcome, Parent};
use dacapo_core::{Event, Failure, HistoryEvent, InstanceId, InstanceRecord, RuntimeStatus, Seq};
use dacapo_store::Snapshot;
use serde::Serialize;

use super::state::number;
use crate::cli::times::utc_micros;

/// An event. Its members depend on its type; payloads are texts that hold JSON.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawEvent {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_instance: Option<Instance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_instance: Option<ParentInstance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_set: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_scheduled_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timer_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fire_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<FailureDetails>,
    /// The number of an action in its execution; others have none.
    event_id: i64,
    is_played: bool,
    timestamp: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: String,
    execution_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ParentInstance {
    name: String,
    orchestration_instance: Instance,
    task_schedule_id: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailureDetails {
    error_type: String,
    error_message: String,
    stack_trace: Option<String>,
    is_non_retriable: bool,
}

/// The `EventId` of what is not an action.
const NO_ACTION: i64 = -1;

/// The events of an instance in the order in which they happened. Each turn ends with `OrchestratorCompleted`, which is not stored
/// here.
pub(super) fn raw_events(snapshot: &Snapshot) -> Vec<RawEvent> {
    let turns = snapshot.history.iter().map(|chunk| chunk.events.as_slice()).filter(|events| !events.is_empty());
    turns.flat_map(|events| events.iter().map(|event| raw_event(&snapshot.record, event)).chain([end_of_turn(events)])).collect()
}

fn end_of_turn(events: &[HistoryEvent]) -> RawEvent {
    let timestamp = events.iter().map(|event| event.at).max().map(utc_micros).unwrap_or_default();
    RawEvent { event_type: "OrchestratorCompleted", event_id: NO_ACTION, timestamp, ..RawEvent::default() }
}

fn raw_event(record: &InstanceRecord, HistoryEvent { at, event }: &HistoryEvent) -> RawEvent {
    let base = RawEvent { event_type: event.kind(), event_id: NO_ACTION, timestamp: utc_micros(*at), ..RawEvent::default() };
    let action = |seq: &Seq, event: RawEvent| RawEvent { event_id: seq.0.into(), ..event };
    let outcome = |seq: &Seq, event: RawEvent| RawEvent { task_scheduled_id: Some(seq.0), ..event };
    let id = |id: &InstanceId| Some(id.to_string());
    match event {
        Event::OrchestratorStarted { .. } | Event::StatePurged => base,
        Event::ExecutionStarted { execution, name, input, version, parent, start_at } => RawEvent {
            orchestration_instance: Some(Instance {
                instance_id: record.id.to_string(),
                execution_id: execution.0.simple().to_string(),
            }),
            parent_instance: parent.as_ref().map(parent_instance),
            name: Some(name.to_string()),
            version: Some(version.clone()),
            input: Some(input.to_string()),
            scheduled_start_time: start_at.map(utc_micros),
            ..base
        },
        Event::TaskScheduled { seq, name, input, .. } => action(
            seq,
            RawEvent { name: Some(name.to_string()), version: Some(String::new()), input: Some(input.to_string()), ..base },
        ),
        Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, .. } => action(
            seq,
            RawEvent {
                instance_id: id(instance),
                name: Some(name.to_string()),
                version: Some(version.clone()),
                input: Some(input.to_string()),
                ..base
            },
        ),
        Event::TaskCompleted { seq, result }
        | Event::SubOrchestrationInstanceCompleted { seq, result }
        | Event::EntityOperationCompleted { seq, result } => outcome(seq, RawEvent { result: Some(result.to_string()), ..base }),
        Event::TaskFailed { seq, failure }
        | Event::SubOrchestrationInstanceFailed { seq, failure }
        | Event::EntityOperationFailed { seq, failure } => outcome(
            seq,
            RawEvent {
                reason: Some(failure.message.clone()),
                details: Some(failure.details.clone().unwrap_or_default()),
                failure_details: Some(failure_details(failure)),
                ..base
            },
        ),
        Event::TimerCreated { seq, fire_at } => action(seq, RawEvent { fire_at: Some(utc_micros(*fire_at)), ..base }),
        Event::TimerFired { seq, fire_at } => RawEvent { timer_id: Some(seq.0), fire_at: Some(utc_micros(*fire_at)), ..base },
        Event::EventRaised { name, data } => RawEvent { name: Some(name.clone()), input: Some(data.to_string()), ..base },
        Event::EventSent { seq, instance, name, data } => {
            action(seq, RawEvent { instance_id: id(instance), name: Some(name.clone()), input: Some(data.to_string()), ..base })
        }
        Event::EntityOperationCalled { seq, entity, operation, input } => action(
            seq,
            RawEvent { instance_id: id(entity), operation: Some(operation.clone()), input: Some(input.to_string()), ..base },
        ),
        Event::EntityOperationSignaled { seq, entity, operation, input, deliver_at } => action(
            seq,
            RawEvent {
                instance_id: id(entity),
                operation: Some(operation.clone()),
                input: Some(input.to_string()),
                scheduled_start_time: deliver_at.map(utc_micros),
                ..base
            },
        ),
        Event::EntityLockRequested { seq, entities } | Event::EntityUnlockSent { seq, entities } => {
            action(seq, RawEvent { lock_set: Some(entities.iter().map(InstanceId::to_string).collect()), ..base })
        }
        Event::EntityLockGranted { seq } => outcome(seq, base),
        // Messages to entities, which have no history.
        Event::OperationRequested { operation, input, .. } => {
            RawEvent { operation: Some(operation.clone()), input: Some(input.to_string()), ..base }
        }
        Event::LockRequested { entities, .. } | Event::LockReleased { entities, .. } => {
            RawEvent { lock_set: Some(entities.iter().map(InstanceId::to_string).collect()), ..base }
        }
        Event::ExecutionTerminated { reason, .. } => RawEvent { input: Some(reason.clone()), ..base },
        Event::ExecutionSuspended { reason } | Event::ExecutionResumed { reason } | Event::ExecutionRewound { reason, .. } => {
            RawEvent { reason: Some(reason.clone()), ..base }
        }
        Event::ExecutionMigrated { version } => RawEvent { version: Some(version.to_string()), ..base },
        Event::ExecutionCompleted { outcome } => completed(record, outcome, base),
    }
}

fn completed(record: &InstanceRecord, outcome: &Outcome, base: RawEvent) -> RawEvent {
    let (status, result, failure_details) = match outcome {
        Outcome::Completed(output) => (RuntimeStatus::Completed, output.to_string(), None),
        Outcome::Failed(failure) => {
            let message = failure.clone().of_orchestrator(&record.name).message;
            (RuntimeStatus::Failed, message, Some(self::failure_details(failure)))
        }
        Outcome::Terminated { reason } => (RuntimeStatus::Terminated, reason.clone(), None),
        Outcome::ContinuedAsNew { input } => (RuntimeStatus::ContinuedAsNew, input.to_string(), None),
    };
    RawEvent { orchestration_status: Some(number(status)), result: Some(result), failure_details, ..base }
}

fn parent_instance(parent: &Parent) -> ParentInstance {
    ParentInstance {
        name: parent.name.to_string(),
        orchestration_instance: Instance {
            instance_id: parent.instance.to_string(),
            execution_id: parent.execution.0.simple().to_string(),
        },
        task_schedule_id: parent.seq.0,
    }
}

fn failure_details(failure: &Failure) -> FailureDetails {
    FailureDetails {
        error_type: failure.error_type.clone(),
        error_message: failure.message.clone(),
        stack_trace: failure.details.clone(),
        is_non_retriable: !failure.retriable,
    }
}
