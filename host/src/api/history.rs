//! A history, as a status query shows it: the projection of Durable Functions.
//!
//! `OrchestratorStarted` is left out. What was scheduled and what came of it are one row, where it came; what has not
//! come yet stays a row of its own. Members that the original does not have: `InstanceId` beside the outcome of a
//! sub-orchestration, `Attempt` from the second on, `Detached`, the `Version` that an instance was moved to, and those of
//! entities, whose events are named as in Durable Task, which has no projection for them.

use std::collections::HashMap;

use dacapo_core::event::Outcome;
use dacapo_core::{Event, Failure, HistoryEvent, InstanceId, RuntimeStatus, Seq, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::json::{micros, raw, text};

/// What of the payloads is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub inputs: bool,
    pub outputs: bool,
}

/// One row. Which members it has depends on its type.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_set: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detached: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fire_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<FailureDetails<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    timestamp: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailureDetails<'a> {
    error_type: &'a str,
    error_message: &'a str,
    stack_trace: Option<&'a str>,
    inner_failure: Option<()>,
    is_non_retriable: bool,
}

pub(super) fn project(history: &[HistoryEvent], shown: Shown) -> Vec<Entry<'_>> {
    let mut projection = Projection { shown, rows: Vec::with_capacity(history.len()), scheduled: HashMap::new(), function: "" };
    for HistoryEvent { at, event } in history {
        if let Some(entry) = projection.entry(*at, event) {
            projection.rows.push(Some(entry));
        }
    }
    projection.rows.into_iter().flatten().collect()
}

struct Projection<'a> {
    shown: Shown,
    /// None where a row went into that of its outcome.
    rows: Vec<Option<Entry<'a>>>,
    /// The rows of what was scheduled and has no outcome yet.
    scheduled: HashMap<Seq, usize>,
    /// The orchestrator's name.
    function: &'a str,
}

impl<'a> Projection<'a> {
    /// The row of an event, if it has one.
    fn entry(&mut self, at: Timestamp, event: &'a Event) -> Option<Entry<'a>> {
        let row = Entry { event_type: event.kind(), timestamp: micros(at), ..Entry::default() };
        Some(match event {
            Event::OrchestratorStarted => return None,
            Event::ExecutionStarted { name, input, start_at, .. } => {
                self.function = name.as_str();
                let scheduled_start_time = start_at.map(micros);
                Entry { function_name: Some(name.as_str()), input: self.input(input), scheduled_start_time, ..row }
            }
            Event::TaskScheduled { seq, name, input, attempt } => {
                self.scheduled.insert(*seq, self.rows.len());
                let attempt = Some(*attempt).filter(|&attempt| attempt > 1);
                Entry { name: Some(name.as_str()), input: self.input(input), attempt, ..row }
            }
            Event::SubOrchestrationInstanceCreated { seq, name, instance, input, detached, .. } => {
                self.scheduled.insert(*seq, self.rows.len());
                let detached = detached.then_some(true);
                let instance_id = Some(instance.as_str());
                Entry { name: Some(name.as_str()), instance_id, input: self.input(input), detached, ..row }
            }
            Event::EntityOperationCalled { seq, entity, operation, input } => {
                self.scheduled.insert(*seq, self.rows.len());
                let instance_id = Some(entity.as_str());
                Entry { instance_id, operation: Some(operation), input: self.input(input), ..row }
            }
            Event::EntityLockRequested { seq, entities } => {
                self.scheduled.insert(*seq, self.rows.len());
                Entry { lock_set: Some(texts(entities)), ..row }
            }
            Event::TaskCompleted { seq, result }
            | Event::SubOrchestrationInstanceCompleted { seq, result }
            | Event::EntityOperationCompleted { seq, result } => {
                Entry { result: self.output(|| raw(result)), ..self.outcome_of(*seq, row) }
            }
            Event::TaskFailed { seq, failure }
            | Event::SubOrchestrationInstanceFailed { seq, failure }
            | Event::EntityOperationFailed { seq, failure } => failed(failure, self.outcome_of(*seq, row)),
            Event::EntityLockGranted { seq } => self.outcome_of(*seq, row),
            Event::EntityUnlockSent { entities, .. } => Entry { lock_set: Some(texts(entities)), ..row },
            Event::EntityOperationSignaled { entity, operation, input, deliver_at, .. } => {
                let (instance_id, scheduled_time) = (Some(entity.as_str()), deliver_at.map(micros));
                Entry { instance_id, operation: Some(operation), input: self.input(input), scheduled_time, ..row }
            }
            Event::TimerCreated { fire_at, .. } | Event::TimerFired { fire_at, .. } => {
                Entry { fire_at: Some(micros(*fire_at)), ..row }
            }
            Event::EventRaised { name, data } => Entry { name: Some(name), input: Some(raw(data)), ..row },
            Event::EventSent { instance, name, data, .. } => {
                Entry { instance_id: Some(instance.as_str()), name: Some(name), input: Some(raw(data)), ..row }
            }
            Event::ExecutionTerminated { reason, .. } => Entry { input: Some(text(reason)), ..row },
            Event::ExecutionSuspended { reason }
            | Event::ExecutionResumed { reason }
            | Event::ExecutionRewound { reason, .. } => Entry { reason: Some(reason), ..row },
            Event::ExecutionMigrated { version } => Entry { version: Some(version.to_string()), ..row },
            Event::ExecutionCompleted { outcome } => self.completed(outcome, row),
            // Messages to entities, which have no history.
            Event::OperationRequested { .. } | Event::LockRequested { .. } | Event::LockReleased { .. } | Event::StatePurged => {
                return None;
            }
        })
    }

    /// The row of an outcome takes over what is known of its beginning.
    fn outcome_of(&mut self, seq: Seq, row: Entry<'a>) -> Entry<'a> {
        let beginning = self.scheduled.remove(&seq).and_then(|position| self.rows[position].take());
        let Some(beginning) = beginning else { return row };
        let (function_name, scheduled_time) = (beginning.name, Some(beginning.timestamp));
        let (event_type, timestamp) = (row.event_type, row.timestamp);
        Entry { event_type, timestamp, function_name, scheduled_time, name: None, detached: None, ..beginning }
    }

    fn completed(&self, outcome: &'a Outcome, row: Entry<'a>) -> Entry<'a> {
        let (status, result, failure) = match outcome {
            Outcome::Completed(output) => (RuntimeStatus::Completed, self.output(|| raw(output)), None),
            Outcome::Failed(failure) => {
                let message = || text(&format!("Orchestrator function '{}' failed: {}", self.function, failure.message));
                (RuntimeStatus::Failed, self.output(message), Some(FailureDetails::new(failure)))
            }
            Outcome::Terminated { reason } => (RuntimeStatus::Terminated, self.output(|| text(reason)), None),
            Outcome::ContinuedAsNew { input } => (RuntimeStatus::ContinuedAsNew, self.output(|| raw(input)), None),
        };
        Entry { orchestration_status: Some(status.name()), result, failure_details: failure, ..row }
    }

    fn input(&self, payload: &str) -> Option<Box<RawValue>> {
        self.shown.inputs.then(|| raw(payload))
    }

    fn output(&self, payload: impl FnOnce() -> Box<RawValue>) -> Option<Box<RawValue>> {
        self.shown.outputs.then(payload)
    }
}

fn texts(ids: &[InstanceId]) -> Vec<&str> {
    ids.iter().map(InstanceId::as_str).collect()
}

fn failed<'a>(failure: &'a Failure, row: Entry<'a>) -> Entry<'a> {
    Entry {
        reason: Some(&failure.message),
        details: Some(failure.details.as_deref().unwrap_or_default()),
        failure_details: Some(FailureDetails::new(failure)),
        ..row
    }
}

impl<'a> FailureDetails<'a> {
    fn new(failure: &'a Failure) -> Self {
        Self {
            error_type: &failure.error_type,
            error_message: &failure.message,
            stack_trace: failure.details.as_deref(),
            inner_failure: None,
            is_non_retriable: !failure.retriable,
        }
    }
}

#[cfg(test)]
mod tests;
