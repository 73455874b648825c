//! A history, as a status query shows it: the projection of Durable Functions.
//!
//! `OrchestratorStarted` is left out. What was scheduled and what came of it are one row, where it came; what has not
//! come yet stays a row of its own. Members that the original does not have: `InstanceId` beside the outcome of a
//! sub-orchestration, `Attempt` from the second on, `Detached`.

use std::collections::HashMap;

use dacapo_core::event::Outcome;
use dacapo_core::{Event, Failure, HistoryEvent, RuntimeStatus, Seq, Timestamp};
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
            Event::ExecutionStarted { name, input, .. } => {
                self.function = name.as_str();
                Entry { function_name: Some(name.as_str()), input: self.input(input), ..row }
            }
            Event::TaskScheduled { seq, name, input, attempt } => {
                self.scheduled.insert(*seq, self.rows.len());
                let attempt = Some(*attempt).filter(|&attempt| attempt > 1);
                Entry { name: Some(name.as_str()), input: self.input(input), attempt, ..row }
            }
            Event::SubOrchestrationInstanceCreated { seq, name, instance, input, detached } => {
                self.scheduled.insert(*seq, self.rows.len());
                let detached = detached.then_some(true);
                let instance_id = Some(instance.as_str());
                Entry { name: Some(name.as_str()), instance_id, input: self.input(input), detached, ..row }
            }
            Event::TaskCompleted { seq, result } | Event::SubOrchestrationInstanceCompleted { seq, result } => {
                Entry { result: self.output(|| raw(result)), ..self.outcome_of(*seq, row) }
            }
            Event::TaskFailed { seq, failure } | Event::SubOrchestrationInstanceFailed { seq, failure } => {
                failed(failure, self.outcome_of(*seq, row))
            }
            Event::TimerCreated { fire_at, .. } | Event::TimerFired { fire_at, .. } => {
                Entry { fire_at: Some(micros(*fire_at)), ..row }
            }
            Event::EventRaised { name, data } => Entry { name: Some(name), input: Some(raw(data)), ..row },
            Event::EventSent { instance, name, data, .. } => {
                Entry { instance_id: Some(instance.as_str()), name: Some(name), input: Some(raw(data)), ..row }
            }
            Event::ExecutionTerminated { reason } => Entry { input: Some(text(reason)), ..row },
            Event::ExecutionSuspended { reason } | Event::ExecutionResumed { reason } => Entry { reason: Some(reason), ..row },
            Event::ExecutionCompleted { outcome } => self.completed(outcome, row),
        })
    }

    /// The row of an outcome takes over what is known of its beginning.
    fn outcome_of(&mut self, seq: Seq, row: Entry<'a>) -> Entry<'a> {
        let beginning = self.scheduled.remove(&seq).and_then(|position| self.rows[position].take());
        let Some(Entry { name, instance_id, attempt, input, timestamp, .. }) = beginning else { return row };
        Entry { function_name: name, instance_id, attempt, input, scheduled_time: Some(timestamp), ..row }
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
mod tests {
    use super::*;
    use dacapo_core::{ExecutionId, FunctionName, InstanceId};
    use serde_json::{Value, json};
    use uuid::Uuid;

    const ALL: Shown = Shown { inputs: true, outputs: true };
    const NOTHING: Shown = Shown { inputs: false, outputs: false };

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).unwrap()
    }

    fn started() -> Event {
        let execution = ExecutionId(Uuid::nil());
        Event::ExecutionStarted { execution, name: name("Main"), input: "[1]".into(), version: String::new(), parent: None }
    }

    fn scheduled(seq: u32, activity: &str) -> Event {
        Event::TaskScheduled { seq: Seq(seq), name: name(activity), input: r#""in""#.into(), attempt: seq + 1 }
    }

    /// The events happen one second after the other, from second 0.
    #[track_caller]
    fn check(events: Vec<Event>, shown: Shown, expected: Value) {
        let events = events.into_iter().enumerate();
        let history: Vec<_> = events.map(|(i, event)| HistoryEvent { at: Timestamp(i as i64 * 1_000_000), event }).collect();
        assert_eq!(serde_json::to_value(project(&history, shown)).unwrap(), expected);
    }

    fn at(second: u32) -> String {
        format!("1970-01-01T00:00:{second:02}.000000Z")
    }

    #[test]
    fn the_beginning_and_the_outcome_of_a_task_are_one_row() {
        let events = || {
            vec![
                Event::OrchestratorStarted,
                started(),
                scheduled(0, "Quick"),
                scheduled(1, "Open"),
                Event::OrchestratorStarted,
                Event::TaskCompleted { seq: Seq(0), result: r#"{"x":1}"#.into() },
                Event::ExecutionCompleted { outcome: Outcome::Completed("7".into()) },
            ]
        };
        check(
            events(),
            ALL,
            json!([
                {"EventType": "ExecutionStarted", "FunctionName": "Main", "Input": [1], "Timestamp": at(1)},
                {"EventType": "TaskScheduled", "Name": "Open", "Attempt": 2, "Input": "in", "Timestamp": at(3)},
                {"EventType": "TaskCompleted", "FunctionName": "Quick", "Input": "in", "Result": {"x": 1}, "ScheduledTime": at(2), "Timestamp": at(5)},
                {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Result": 7, "Timestamp": at(6)},
            ]),
        );
        check(
            events(),
            NOTHING,
            json!([
                {"EventType": "ExecutionStarted", "FunctionName": "Main", "Timestamp": at(1)},
                {"EventType": "TaskScheduled", "Name": "Open", "Attempt": 2, "Timestamp": at(3)},
                {"EventType": "TaskCompleted", "FunctionName": "Quick", "ScheduledTime": at(2), "Timestamp": at(5)},
                {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Timestamp": at(6)},
            ]),
        );
    }

    #[test]
    fn failures_say_why() {
        let failure = Failure::permanent("Broke", "it broke").with_details("at line 3");
        let details = json!({
            "ErrorType": "Broke", "ErrorMessage": "it broke", "StackTrace": "at line 3", "InnerFailure": null, "IsNonRetriable": true,
        });
        check(
            vec![
                started(),
                scheduled(0, "Charge"),
                Event::TaskFailed { seq: Seq(0), failure: failure.clone() },
                Event::ExecutionCompleted { outcome: Outcome::Failed(failure) },
            ],
            ALL,
            json!([
                {"EventType": "ExecutionStarted", "FunctionName": "Main", "Input": [1], "Timestamp": at(0)},
                {"EventType": "TaskFailed", "FunctionName": "Charge", "Input": "in", "Reason": "it broke", "Details": "at line 3",
                 "FailureDetails": details, "ScheduledTime": at(1), "Timestamp": at(2)},
                {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Failed", "Result": "Orchestrator function 'Main' failed: it broke",
                 "FailureDetails": details, "Timestamp": at(3)},
            ]),
        );
    }

    #[test]
    fn timers_events_and_control_messages_are_shown() {
        let moment = Timestamp(9_000_000);
        check(
            vec![
                Event::TimerCreated { seq: Seq(0), fire_at: moment },
                Event::TimerFired { seq: Seq(0), fire_at: moment },
                Event::EventRaised { name: "Go".into(), data: "true".into() },
                Event::EventSent { seq: Seq(1), instance: InstanceId::any("b").unwrap(), name: "Hi".into(), data: "null".into() },
                Event::ExecutionSuspended { reason: "lunch".into() },
                Event::ExecutionResumed { reason: String::new() },
                Event::ExecutionTerminated { reason: "enough".into() },
                Event::ExecutionCompleted { outcome: Outcome::Terminated { reason: "enough".into() } },
            ],
            ALL,
            json!([
                {"EventType": "TimerCreated", "FireAt": at(9), "Timestamp": at(0)},
                {"EventType": "TimerFired", "FireAt": at(9), "Timestamp": at(1)},
                {"EventType": "EventRaised", "Name": "Go", "Input": true, "Timestamp": at(2)},
                {"EventType": "EventSent", "InstanceId": "b", "Name": "Hi", "Input": null, "Timestamp": at(3)},
                {"EventType": "ExecutionSuspended", "Reason": "lunch", "Timestamp": at(4)},
                {"EventType": "ExecutionResumed", "Reason": "", "Timestamp": at(5)},
                {"EventType": "ExecutionTerminated", "Input": "enough", "Timestamp": at(6)},
                {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Terminated", "Result": "enough", "Timestamp": at(7)},
            ]),
        );
    }

    #[test]
    fn a_sub_orchestration_is_shown_with_its_instance() {
        let created = |seq, detached| Event::SubOrchestrationInstanceCreated {
            seq: Seq(seq),
            name: name("Child"),
            instance: InstanceId::any("c").unwrap(),
            input: "0".into(),
            detached,
        };
        check(
            vec![
                created(0, false),
                created(1, true),
                Event::SubOrchestrationInstanceCompleted { seq: Seq(0), result: "1".into() },
            ],
            ALL,
            json!([
                {"EventType": "SubOrchestrationInstanceCreated", "Name": "Child", "InstanceId": "c", "Detached": true, "Input": 0, "Timestamp": at(1)},
                {"EventType": "SubOrchestrationInstanceCompleted", "FunctionName": "Child", "InstanceId": "c", "Input": 0, "Result": 1,
                 "ScheduledTime": at(0), "Timestamp": at(2)},
            ]),
        );
    }

    #[test]
    fn members_come_in_the_order_of_the_documents() {
        let result = Event::TaskCompleted { seq: Seq(0), result: r#""Hello Tokyo!""#.into() };
        let history = [scheduled(0, "E1_SayHello"), result].map(|event| HistoryEvent { at: Timestamp(0), event });
        let shown = Shown { inputs: false, outputs: true };
        let expected = format!(
            r#"[{{"EventType":"TaskCompleted","FunctionName":"E1_SayHello","Result":"Hello Tokyo!","ScheduledTime":"{0}","Timestamp":"{0}"}}]"#,
            at(0)
        );
        assert_eq!(serde_json::to_string(&project(&history, shown)).unwrap(), expected);
    }
}
