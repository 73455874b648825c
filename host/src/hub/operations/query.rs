//! What clients may know of instances.

use std::time::Instant;

use dacapo_core::event::Outcome;
use dacapo_core::{Event, HistoryEvent, InstanceId, InstanceRecord, Payload};
use dacapo_store::{Cursor, EventPlace, HistoryPage, InstanceQuery, Page, Store};
use tokio::sync::broadcast;

use crate::hub::error::HubError;
use crate::hub::hub_core::Hub;
use crate::hub::operations::changes::Change;
use crate::hub::versions::PAGE_OF_A_CLIENT;

/// About how much of a history is read at once.
const PAGE_BYTES: usize = 16 << 10;

/// An instance with its input and, if it has ended, its output.
#[derive(Debug, Clone)]
pub struct InstanceState {
    pub record: InstanceRecord,
    pub input: Option<Payload>,
    /// JSON: the output, a failure as one sentence, or the reason of a termination.
    pub output: Option<Payload>,
}

impl Hub {
    /// A page of instances, read when the hub's turn has come.
    pub(in crate::hub) async fn page_of(&self, query: &InstanceQuery, after: Option<Cursor>) -> Result<Page, HubError> {
        let query = query.clone();
        self.read(move |hub| Ok(hub.0.store.instances(&query, after.as_ref(), PAGE_OF_A_CLIENT)?)).await
    }

    pub fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>, HubError> {
        Ok(self.0.store.instance(id)?)
    }

    pub fn state(&self, id: &InstanceId) -> Result<Option<InstanceState>, HubError> {
        self.instance(id)?.map_or(Ok(None), |record| self.state_of(record, true))
    }

    /// What belongs to a record. An instance that was rewound since the record was read has no output any more: then it is
    /// read again. None: it is gone. Nothing large is read that is not asked for.
    pub fn state_of(&self, mut record: InstanceRecord, with_input: bool) -> Result<Option<InstanceState>, HubError> {
        loop {
            let output = self.output_of(&record)?;
            if output.is_none() && record.status.is_terminal() {
                match self.instance(&record.id)? {
                    None => return Ok(None),
                    Some(now) if now == record => {}
                    Some(now) => {
                        record = now;
                        continue;
                    }
                }
            }
            let input = if with_input { self.input_of(&record)? } else { None };
            return Ok(Some(InstanceState { record, input, output }));
        }
    }

    /// The input of the current execution. It lies in the history's first turn, or in the inbox before that.
    pub fn input_of(&self, record: &InstanceRecord) -> Result<Option<Payload>, HubError> {
        let (store, turns) = (&self.0.store, &record.turns);
        let is_start = |event| match event {
            Event::ExecutionStarted { input, .. } => Some(input),
            _ => None,
        };
        if turns.is_empty() {
            let pending = self.0.find_in_inbox(record.row, is_start)?;
            if pending.is_some() {
                return Ok(pending);
            }
        }
        // Also if its first turn has taken it in since the record was read.
        let first = store.history(record.row, turns.start..turns.start + 1)?;
        Ok(first.into_iter().find_map(|entry| is_start(entry.event)))
    }

    /// The output, if the current execution has ended. It lies in the history's last turn.
    pub fn output_of(&self, record: &InstanceRecord) -> Result<Option<Payload>, HubError> {
        if !record.status.is_terminal() || record.turns.is_empty() {
            return Ok(None);
        }
        let last = self.0.store.history(record.row, record.turns.end - 1..record.turns.end)?;
        Ok(last.into_iter().rev().find_map(|entry| match entry.event {
            Event::ExecutionCompleted { outcome } => Some(shown_output(record, outcome)),
            _ => None,
        }))
    }

    /// The state of an entity; none if there is no such entity, or it has no state.
    pub fn entity_state(&self, id: &InstanceId) -> Result<Option<Payload>, HubError> {
        let Some(record) = self.instance(id)? else { return Ok(None) };
        Ok(self.0.store.entity(record.row)?.and_then(|entity| entity.state))
    }

    /// Some of the history of the current execution, from a place on.
    ///
    /// `HistoryChanged`
    pub fn history_page(&self, record: &InstanceRecord, from: EventPlace) -> Result<HistoryPage, HubError> {
        history_page(self.0.store.as_ref(), record, from, PAGE_BYTES)
    }

    /// The events at places that pages have named.
    ///
    /// `HistoryChanged`
    pub fn events_at(&self, record: &InstanceRecord, places: &[EventPlace]) -> Result<Vec<HistoryEvent>, HubError> {
        let events = self.0.store.events_at(record.row, places)?;
        events.ok_or_else(|| HubError::HistoryChanged(record.id.clone()))
    }

    /// The history of the current execution, whole.
    pub fn history(&self, record: &InstanceRecord) -> Result<Vec<HistoryEvent>, HubError> {
        Ok(self.0.store.history(record.row, record.turns.clone())?)
    }

    /// One page of the instances that match.
    pub fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page, HubError> {
        Ok(self.0.store.instances(query, after, limit)?)
    }

    /// Everything that changes from now on. A subscriber that falls behind is told how many changes it missed; the end of
    /// the hub ends the stream. `Limit`
    pub fn changes(&self) -> Result<broadcast::Receiver<Change>, HubError> {
        let (open, most) = (self.0.changes.followers(), self.0.rules().limits.event_streams);
        if open as u64 >= most {
            let what = format!("{open} streams of events are open");
            return Err(HubError::Limit { limit: "event_streams", value: most, what });
        }
        Ok(self.0.changes.subscribe())
    }

    /// When those who follow the hub are told of what changes now, so that many of them are woken together and not for each
    /// change. None: at once.
    pub fn tells_at(&self) -> Option<Instant> {
        self.0.changes.tells_at()
    }
}

/// Some of the history of the current execution, from a place on.
///
/// `HistoryChanged`
pub(in crate::hub) fn history_page(
    store: &dyn Store,
    record: &InstanceRecord,
    from: EventPlace,
    bytes: usize,
) -> Result<HistoryPage, HubError> {
    let page = store.history_page(record.row, from, record.turns.end, bytes)?;
    page.ok_or_else(|| HubError::HistoryChanged(record.id.clone()))
}

/// What a client is shown as the output, always JSON.
fn shown_output(record: &InstanceRecord, outcome: Outcome) -> Payload {
    let text = |text: String| Payload::from(serde_json::Value::String(text).to_string());
    match outcome {
        Outcome::Completed(output) => output,
        Outcome::Failed(failure) => text(failure.of_orchestrator(&record.name).message),
        Outcome::Terminated { reason } => text(reason),
        Outcome::ContinuedAsNew { input } => input,
    }
}
