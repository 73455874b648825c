//! A history, as a status query shows it: the projection of Durable Functions.
//!
//! It is read twice or more: first to match each outcome with its beginning ([`OutcomeIndex`]), then to write the rows, some at a time,
//! while they are sent ([`StatusWithHistory`]). So no history has to be in memory as a whole.
//!
//! `OrchestratorStarted` is left out. A beginning and its outcome are one row, at the place of the outcome; a beginning without
//! an outcome is a row of its own. Members that the original does not have: `InstanceId` beside the outcome of a
//! sub-orchestration, `Attempt` from the second on, `Detached`, the `Version` that an instance was moved to, and those of
//! entities, whose events are named as in Durable Task, which has no projection for them.

use std::collections::HashMap;
use std::time::Instant;

use axum::body::Bytes;
use dacapo_core::event::Outcome;
use dacapo_core::{Event, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord, RuntimeStatus, Seq, Timestamp};
use dacapo_store::{EventPlace, HistoryPage};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::api::content::json::{Moment, micros, raw, text, written};
use crate::api::content::parts::{self, Measure, Parts};
use crate::api::error::ApiError;
use crate::engine::fair_threads::SLICE;
use crate::engine::memory::Reservation;
use crate::hub::Hub;

/// Which payloads are asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Shown {
    pub inputs: bool,
    pub outputs: bool,
}

/// One event; its members depend on its type.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "HistoryEvent")]
pub(in crate::api) struct Entry<'a> {
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
    fire_at: Option<Moment>,
    /// Any JSON.
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
    /// Any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_start_time: Option<Moment>,
    /// The version that the instance was moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    timestamp: Moment,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct FailureDetails<'a> {
    error_type: &'a str,
    error_message: &'a str,
    stack_trace: Option<&'a str>,
    inner_failure: Option<()>,
    is_non_retriable: bool,
}

/// The outcomes in a history with their beginnings.
#[derive(Debug, Default)]
pub(in crate::api) struct OutcomeIndex {
    /// The beginnings that have no outcome yet.
    open: HashMap<Seq, EventPlace>,
    /// Outcomes with their beginnings, in the order of the outcomes.
    ended: Vec<(EventPlace, EventPlace)>,
}

impl OutcomeIndex {
    /// Reads a history to its end, in slices.
    pub async fn of(hub: &Hub, record: &InstanceRecord) -> Result<OutcomeIndex, ApiError> {
        let (mut pairs, mut from) = (OutcomeIndex::default(), Some(EventPlace::of_turn(record.turns.start)));
        while let Some(mut place) = from {
            let record = record.clone();
            (pairs, from) = hub
                .read(move |hub| -> Result<_, ApiError> {
                    let begun = Instant::now();
                    loop {
                        let HistoryPage { events, next } = hub.history_page(&record, place)?;
                        events.iter().for_each(|(place, entry)| pairs.note(*place, &entry.event));
                        match next {
                            Some(next) if begun.elapsed() < SLICE => place = next,
                            next => return Ok((pairs, next)),
                        }
                    }
                })
                .await?;
        }
        Ok(pairs)
    }

    /// Takes in the next event of the history.
    fn note(&mut self, place: EventPlace, event: &Event) {
        match event {
            Event::TaskScheduled { seq, .. }
            | Event::SubOrchestrationInstanceCreated { seq, .. }
            | Event::EntityOperationCalled { seq, .. }
            | Event::EntityLockRequested { seq, .. } => {
                self.open.insert(*seq, place);
            }
            Event::TaskCompleted { seq, .. }
            | Event::TaskFailed { seq, .. }
            | Event::SubOrchestrationInstanceCompleted { seq, .. }
            | Event::SubOrchestrationInstanceFailed { seq, .. }
            | Event::EntityOperationCompleted { seq, .. }
            | Event::EntityOperationFailed { seq, .. }
            | Event::EntityLockGranted { seq } => self.ended.extend(self.open.remove(seq).map(|beginning| (place, beginning))),
            _ => {}
        }
    }

    fn beginning_of(&self, outcome: EventPlace) -> Option<EventPlace> {
        let position = self.ended.binary_search_by_key(&outcome, |(outcome, _)| *outcome).ok()?;
        Some(self.ended[position].1)
    }
}

/// How the rows of a history are made.
struct Projection {
    shown: Shown,
    /// The orchestrator's name.
    function: FunctionName,
    pairs: OutcomeIndex,
    /// The beginnings that are merged into the rows of their outcomes, in order.
    merged: Vec<EventPlace>,
}

impl Projection {
    fn new(shown: Shown, function: FunctionName, mut pairs: OutcomeIndex) -> Self {
        pairs.open = HashMap::new();
        pairs.ended.shrink_to_fit();
        let mut merged: Vec<EventPlace> = pairs.ended.iter().map(|(_, beginning)| *beginning).collect();
        merged.sort_unstable();
        Self { shown, function, pairs, merged }
    }

    /// The size in memory, in bytes.
    fn size(&self) -> usize {
        size_of_val(self.pairs.ended.as_slice()) + size_of_val(self.merged.as_slice())
    }

    /// The rows of some events. `beginnings` are the earlier events that belong to the outcomes among them.
    fn rows<'a>(
        &'a self,
        events: &'a [(EventPlace, HistoryEvent)],
        beginnings: &'a HashMap<EventPlace, HistoryEvent>,
    ) -> impl Iterator<Item = Entry<'a>> {
        let own = events.iter().filter(|(place, _)| self.merged.binary_search(place).is_err());
        own.filter_map(|(place, HistoryEvent { at, event })| {
            let row = self.row(*at, event)?;
            let beginning = self.pairs.beginning_of(*place).and_then(|beginning| beginnings.get(&beginning));
            let beginning = beginning.and_then(|HistoryEvent { at, event }| self.row(*at, event));
            Some(match beginning {
                Some(beginning) => row.after(beginning),
                None => row,
            })
        })
    }

    /// The beginnings that are needed for the rows of these events.
    fn beginnings(&self, events: &[(EventPlace, HistoryEvent)]) -> Vec<EventPlace> {
        events.iter().filter_map(|(place, _)| self.pairs.beginning_of(*place)).collect()
    }

    /// The row of an event by itself, if it has one.
    fn row<'a>(&'a self, at: Timestamp, event: &'a Event) -> Option<Entry<'a>> {
        let row = Entry { event_type: event.kind(), timestamp: micros(at), ..Entry::default() };
        Some(match event {
            Event::OrchestratorStarted { .. } => return None,
            Event::ExecutionStarted { name, input, start_at, .. } => {
                let scheduled_start_time = start_at.map(micros);
                Entry { function_name: Some(name.as_str()), input: self.input(input), scheduled_start_time, ..row }
            }
            Event::TaskScheduled { name, input, attempt, .. } => {
                let attempt = Some(*attempt).filter(|&attempt| attempt > 1);
                Entry { name: Some(name.as_str()), input: self.input(input), attempt, ..row }
            }
            Event::SubOrchestrationInstanceCreated { name, instance, input, detached, .. } => {
                let detached = detached.then_some(true);
                let instance_id = Some(instance.as_str());
                Entry { name: Some(name.as_str()), instance_id, input: self.input(input), detached, ..row }
            }
            Event::EntityOperationCalled { entity, operation, input, .. } => {
                let instance_id = Some(entity.as_str());
                Entry { instance_id, operation: Some(operation), input: self.input(input), ..row }
            }
            Event::EntityLockRequested { entities, .. } | Event::EntityUnlockSent { entities, .. } => {
                Entry { lock_set: Some(texts(entities)), ..row }
            }
            Event::TaskCompleted { result, .. }
            | Event::SubOrchestrationInstanceCompleted { result, .. }
            | Event::EntityOperationCompleted { result, .. } => Entry { result: self.output(|| raw(result)), ..row },
            Event::TaskFailed { failure, .. }
            | Event::SubOrchestrationInstanceFailed { failure, .. }
            | Event::EntityOperationFailed { failure, .. } => failed(failure, row),
            Event::EntityLockGranted { .. } => row,
            Event::EntityOperationSignaled { entity, operation, input, deliver_at, .. } => {
                let (instance_id, scheduled_time) = (Some(entity.as_str()), deliver_at.map(micros));
                Entry { instance_id, operation: Some(operation), input: self.input(input), scheduled_time, ..row }
            }
            Event::TimerCreated { fire_at, .. } | Event::TimerFired { fire_at, .. } => {
                Entry { fire_at: Some(micros(*fire_at)), ..row }
            }
            Event::EventRaised { name, data } => Entry { name: Some(name), input: self.input(data), ..row },
            Event::EventSent { instance, name, data, .. } => {
                Entry { instance_id: Some(instance.as_str()), name: Some(name), input: self.input(data), ..row }
            }
            Event::ExecutionTerminated { reason, .. } => Entry { input: self.shown.inputs.then(|| text(reason)), ..row },
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

    fn completed<'a>(&self, outcome: &'a Outcome, row: Entry<'a>) -> Entry<'a> {
        let (status, result, failure) = match outcome {
            Outcome::Completed(output) => (RuntimeStatus::Completed, self.output(|| raw(output)), None),
            Outcome::Failed(failure) => {
                let message = || text(&failure.clone().of_orchestrator(&self.function).message);
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

impl Entry<'_> {
    /// Merges the row of an outcome with that of its beginning.
    fn after(self, beginning: Self) -> Self {
        Entry {
            function_name: beginning.name,
            scheduled_time: Some(beginning.timestamp),
            instance_id: beginning.instance_id,
            operation: beginning.operation,
            lock_set: beginning.lock_set,
            attempt: beginning.attempt,
            input: beginning.input,
            ..self
        }
    }
}

/// Adds to the schema of a status what [`StatusWithHistory`] appends to its text.
pub(in crate::api) fn add_to_status(schema: &mut Schema) {
    let history = json!({ "type": "array", "items": { "$ref": "#/components/schemas/HistoryEvent" } });
    for list in ["historyEvents", "history"] {
        schema.ensure_object()["properties"][list] = history.clone();
    }
}

/// The status of an instance with its history, which is read while it is sent.
pub(in crate::api) struct StatusWithHistory {
    record: InstanceRecord,
    /// A JSON object.
    status: Bytes,
    rows: Projection,
    _room: Reservation,
}

/// How far a history is written.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::api) enum Cursor {
    #[default]
    Beginning,
    Rows {
        list: List,
        from: EventPlace,
        /// Whether no row of the list is written yet.
        is_first: bool,
    },
}

/// The member of the status that holds the history.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) enum List {
    /// Durable Functions' own name for it.
    HistoryEvents,
    /// The same list again, under the name that the JavaScript client reads.
    History,
}

impl StatusWithHistory {
    /// `status` is a JSON object.
    pub async fn new(hub: &Hub, record: InstanceRecord, status: Bytes, shown: Shown) -> Result<Self, ApiError> {
        let pairs = OutcomeIndex::of(hub, &record).await?;
        let rows = Projection::new(shown, record.name.clone(), pairs);
        let room = parts::room(hub, rows.size()).await?;
        Ok(Self { record, status, rows, _room: room })
    }

    fn first(&self, list: List) -> Cursor {
        Cursor::Rows { list, from: EventPlace::of_turn(self.record.turns.start), is_first: true }
    }
}

impl Parts for StatusWithHistory {
    type Cursor = Cursor;

    fn part(&self, hub: &Hub, mut place: Cursor) -> Result<(String, Option<Cursor>), ApiError> {
        let (measure, mut text) = (Measure::begin(), String::new());
        loop {
            let Cursor::Rows { list, from, mut is_first } = place else {
                let status = std::str::from_utf8(&self.status).expect("it is JSON");
                text.push_str(status.strip_suffix('}').expect("it is an object"));
                text.push_str(r#","historyEvents":["#);
                place = self.first(List::HistoryEvents);
                continue;
            };
            let HistoryPage { events, next } = hub.history_page(&self.record, from)?;
            let places = self.rows.beginnings(&events);
            let beginnings = places.iter().copied().zip(hub.events_at(&self.record, &places)?).collect();
            for row in self.rows.rows(&events, &beginnings) {
                if !std::mem::take(&mut is_first) {
                    text.push(',');
                }
                text.push_str(&written(&row));
            }
            place = match (next, list) {
                (Some(from), list) => Cursor::Rows { list, from, is_first },
                (None, List::HistoryEvents) => {
                    text.push_str(r#"],"history":["#);
                    self.first(List::History)
                }
                (None, List::History) => {
                    text.push_str("]}");
                    return Ok((text, None));
                }
            };
            if measure.is_full(&text) {
                return Ok((text, Some(place)));
            }
        }
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
