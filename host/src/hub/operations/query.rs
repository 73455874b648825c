//! Queries of clients about instances.

use std::sync::Arc;
use std::time::Instant;

use dacapo_core::event::Outcome;
use dacapo_core::{Event, HistoryEvent, InstanceId, InstanceRecord, Payload};
use dacapo_store::{Cursor, EventPlace, HistoryPage, InstanceQuery, Page, Store};
use tokio::sync::broadcast;

use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore};
use crate::hub::operations::changes::Change;
use crate::hub::versions::PAGE_OF_A_CLIENT;

/// About how many bytes of a history are read at once.
const PAGE_BYTES: usize = 16 << 10;

/// An instance with its input and, if it has ended, its output.
#[derive(Debug, Clone)]
pub struct InstanceState {
    pub record: InstanceRecord,
    pub input: Option<Payload>,
    /// JSON: the output, a failure as one sentence, or the reason of a termination.
    pub output: Option<Payload>,
}

/// All instances that match a query, page by page, each read when the hub's turn has come.
pub(in crate::hub) struct Pages {
    hub: Arc<HubCore>,
    query: InstanceQuery,
    size: usize,
    /// Where the next page begins. None: there are no more.
    next: Option<Option<Cursor>>,
}

impl Pages {
    /// The next page; it may be empty. None: that was the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<InstanceRecord>>, HubError> {
        let Some(after) = self.next.take() else { return Ok(None) };
        let (query, size) = (self.query.clone(), self.size);
        let read = move |hub: &Arc<HubCore>| -> Result<Page, HubError> { Ok(hub.store.instances(&query, after.as_ref(), size)?) };
        let page = self.hub.read(read).await?;
        self.next = page.next.map(Some);
        Ok(Some(page.records))
    }

    /// Whether there is no page after the one that was read last.
    pub fn is_last(&self) -> bool {
        self.next.is_none()
    }
}

impl HubCore {
    pub(in crate::hub) fn pages(self: &Arc<Self>, query: InstanceQuery) -> Pages {
        self.pages_of(query, PAGE_OF_A_CLIENT)
    }

    /// `size`: instances of a page.
    pub(in crate::hub) fn pages_of(self: &Arc<Self>, query: InstanceQuery, size: usize) -> Pages {
        Pages { hub: self.clone(), query, size, next: Some(None) }
    }
}

impl Hub {
    pub fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>, HubError> {
        Ok(self.0.store.instance(id)?)
    }

    pub fn state(&self, id: &InstanceId) -> Result<Option<InstanceState>, HubError> {
        self.instance(id)?.map_or(Ok(None), |record| self.state_of(record, true))
    }

    /// Reads the input and output that belong to a record. An instance that was rewound since the record was read has no output
    /// any more: then the record is read again. None: it is gone. The input, which may be large, is read only on request.
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

    /// Returns the input of the current execution. It is in the history's first turn, or in the inbox before that.
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

    /// Returns the output, if the current execution has ended. It is in the history's last turn.
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

    /// Returns the state of an entity; none if there is no such entity, or it has no state.
    pub fn entity_state(&self, id: &InstanceId) -> Result<Option<Payload>, HubError> {
        let Some(record) = self.instance(id)? else { return Ok(None) };
        Ok(self.0.store.entity(record.row)?.and_then(|entity| entity.state))
    }

    /// Returns a page of the history of the current execution, beginning at a place.
    ///
    /// `HistoryChanged`
    pub fn history_page(&self, record: &InstanceRecord, from: EventPlace) -> Result<HistoryPage, HubError> {
        history_page(self.0.store.as_ref(), record, from, PAGE_BYTES)
    }

    /// Returns the events at places that pages have named.
    ///
    /// `HistoryChanged`
    pub fn events_at(&self, record: &InstanceRecord, places: &[EventPlace]) -> Result<Vec<HistoryEvent>, HubError> {
        let events = self.0.store.events_at(record.row, places)?;
        events.ok_or_else(|| HubError::HistoryChanged(record.id.clone()))
    }

    /// Returns the whole history of the current execution.
    pub fn history(&self, record: &InstanceRecord) -> Result<Vec<HistoryEvent>, HubError> {
        Ok(self.0.store.history(record.row, record.turns.clone())?)
    }

    /// Returns one page of the instances that match.
    pub fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page, HubError> {
        Ok(self.0.store.instances(query, after, limit)?)
    }

    /// Subscribes to all changes from now on. A subscriber that falls behind learns how many it has missed; the stream ends when
    /// the hub closes. `Limit`
    pub fn changes(&self) -> Result<broadcast::Receiver<Change>, HubError> {
        let (open, most) = (self.0.changes.followers(), self.0.rules().limits.event_streams);
        if open as u64 >= most {
            let what = format!("{open} streams of events are open");
            return Err(HubError::Limit { limit: "event_streams", value: most, what });
        }
        Ok(self.0.changes.subscribe())
    }

    /// Returns when followers are notified of a change that happens now, so that many of them are woken together and not for
    /// each change. None: at once.
    pub fn tells_at(&self) -> Option<Instant> {
        self.0.changes.tells_at()
    }
}

/// Returns a page of the history of the current execution, beginning at a place.
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

/// Returns the output as clients see it, always JSON.
fn shown_output(record: &InstanceRecord, outcome: Outcome) -> Payload {
    let text = |text: String| Payload::from(serde_json::Value::String(text).to_string());
    match outcome {
        Outcome::Completed(output) => output,
        Outcome::Failed(failure) => text(failure.of_orchestrator(&record.name).message),
        Outcome::Terminated { reason } => text(reason),
        Outcome::ContinuedAsNew { input } => input,
    }
}
