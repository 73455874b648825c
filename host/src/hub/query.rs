//! What clients may know of instances.

use dacapo_core::event::Outcome;
use dacapo_core::{Event, HistoryEvent, InstanceId, InstanceRecord, Payload};
use dacapo_store::{Cursor, InstanceQuery, Page};

use super::{Hub, HubError};

/// An instance with its input and, if it has ended, its output.
#[derive(Debug, Clone)]
pub struct InstanceState {
    pub record: InstanceRecord,
    pub input: Option<Payload>,
    /// JSON: the output, a failure as one sentence, or the reason of a termination.
    pub output: Option<Payload>,
}

impl Hub {
    pub fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>, HubError> {
        Ok(self.0.store.instance(id)?)
    }

    pub fn state(&self, id: &InstanceId) -> Result<Option<InstanceState>, HubError> {
        self.instance(id)?.map_or(Ok(None), |record| self.state_of(record))
    }

    /// What belongs to a record. An instance that was rewound since the record was read has no output any more: then it is
    /// read again. None: it is gone.
    pub fn state_of(&self, mut record: InstanceRecord) -> Result<Option<InstanceState>, HubError> {
        loop {
            let (input, output) = self.input_and_output(&record)?;
            if output.is_some() || !record.status.is_terminal() {
                return Ok(Some(InstanceState { record, input, output }));
            }
            match self.instance(&record.id)? {
                None => return Ok(None),
                Some(now) if now == record => return Ok(Some(InstanceState { record, input, output })),
                Some(now) => record = now,
            }
        }
    }

    /// The input of the current execution, and the output if it has ended. They lie in the history's first and last turn.
    pub fn input_and_output(&self, record: &InstanceRecord) -> Result<(Option<Payload>, Option<Payload>), HubError> {
        let store = &self.0.store;
        let turns = record.turns.clone();
        let is_start = |event| match event {
            Event::ExecutionStarted { input, .. } => Some(input),
            _ => None,
        };
        let mut input = None;
        if turns.is_empty() {
            input = store.inbox(record.row)?.into_iter().find_map(|(_, message)| is_start(message.event));
        }
        // Also if its first turn has taken it in since the record was read.
        if input.is_none() {
            let first = store.history(record.row, turns.start..turns.start + 1)?;
            input = first.into_iter().find_map(|entry| is_start(entry.event));
        }
        if !record.status.is_terminal() || turns.is_empty() {
            return Ok((input, None));
        }
        let last = store.history(record.row, turns.end - 1..turns.end)?;
        let output = last.into_iter().rev().find_map(|e| match e.event {
            Event::ExecutionCompleted { outcome } => Some(shown_output(record, outcome)),
            _ => None,
        });
        Ok((input, output))
    }

    /// The state of an entity; none if there is no such entity, or it has no state.
    pub fn entity_state(&self, id: &InstanceId) -> Result<Option<Payload>, HubError> {
        let Some(record) = self.instance(id)? else { return Ok(None) };
        Ok(self.0.store.entity(record.row)?.and_then(|entity| entity.state))
    }

    /// The history of the current execution.
    pub fn history(&self, record: &InstanceRecord) -> Result<Vec<HistoryEvent>, HubError> {
        Ok(self.0.store.history(record.row, record.turns.clone())?)
    }

    /// One page of the instances that match.
    pub fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page, HubError> {
        Ok(self.0.store.instances(query, after, limit)?)
    }
}

/// What a client is shown as the output, always JSON.
fn shown_output(record: &InstanceRecord, outcome: Outcome) -> Payload {
    let text = |text: String| Payload::from(serde_json::Value::String(text).to_string());
    match outcome {
        Outcome::Completed(output) => output,
        Outcome::Failed(failure) => text(format!("Orchestrator function '{}' failed: {}", record.name, failure.message)),
        Outcome::Terminated { reason } => text(reason),
        Outcome::ContinuedAsNew { input } => input,
    }
}
