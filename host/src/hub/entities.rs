//! Turns of entities: loaded from their state instead of a history, and never kept in memory.

use std::sync::Arc;

use dacapo_core::entity::{EntityMemory, EntityTurn, EntityTurnResult};
use dacapo_core::{Delivery, Event, InstanceId, InstanceRecord};

use super::desk::Envelope;
use super::settle::Settled;
use super::{HubError, Inner, now};
use crate::meters::Before;

/// An entity's turn that is ready to be executed.
struct Loaded {
    record: InstanceRecord,
    memory: EntityMemory,
    inbox: Vec<Delivery>,
}

impl Inner {
    pub(super) fn run_entity_turn(self: &Arc<Self>, id: &InstanceId, mut envelopes: Vec<Envelope>) {
        let loaded = match self.load_entity(id, &mut envelopes) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => {
                envelopes.into_iter().for_each(|envelope| answer_for_nothing(envelope, id));
                return self.desk.end_turn(id, None, false);
            }
            Err(error) => return self.turn_failed(id, envelopes, error),
        };
        let active_version = self.catalog.entity_version(&loaded.record.name);
        let before = Before::from(&loaded.record);
        let rules = self.rules();
        let limits = self.limits_of_turn(&rules);
        let executor = self.in_memory(id);
        let turn = EntityTurn { executor: &executor, limits: &limits, now: now(), active_version };
        let EntityTurnResult { commit, mut logs, again, .. } = turn.run(loaded.record, loaded.memory, loaded.inbox);
        let Some(envelopes) = self.wait_for_missing(id, executor, envelopes) else { return };
        match commit {
            None => {
                envelopes.into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.desk.end_turn(id, None, again);
            }
            Some(mut commit) => {
                if commit.entity.as_ref().is_none_or(|entity| !entity.waiting) {
                    self.crowds.note(&commit.record.id, false);
                }
                match self.bound_sent(&rules, &mut commit, &mut logs) {
                    Err(error) => self.turn_failed(id, envelopes, error),
                    Ok(()) => self.save(commit, Settled { again, ..Settled::new(before, envelopes, None, logs) }),
                }
            }
        }
    }

    /// None: there is no such entity, and nothing came that would make it.
    fn load_entity(&self, id: &InstanceId, envelopes: &mut Vec<Envelope>) -> Result<Option<Loaded>, HubError> {
        let Some(record) = self.store.instance(id)? else {
            let arrived = || envelopes.iter().map(|envelope| &envelope.delivery);
            let row = self.store.next_row();
            let Some(record) = arrived().find_map(|delivery| InstanceRecord::pending(row, &delivery.message)) else {
                return Ok(None);
            };
            let inbox = arrived().cloned().collect();
            return Ok(Some(Loaded { record, memory: EntityMemory::default(), inbox }));
        };
        let state = self.store.entity(record.row)?.unwrap_or_default();
        // A turn that reads the store may meet a message there that is still on its way to the mailbox. So what is stored is
        // taken from the store only: there it is exactly once.
        let reads = state.waiting || envelopes.iter().any(|envelope| envelope.delivery.stored.is_some());
        let stored = if reads { self.store.inbox(record.row)? } else { Vec::new() };
        if state.waiting {
            self.note_waiting(&record, stored.len());
            self.refuse_above(&record, stored.len() + envelopes.len(), envelopes);
        }
        let waiting = stored.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) }).collect();
        let arrived = envelopes.iter().map(|envelope| &envelope.delivery);
        let inbox = arrived.filter(|delivery| delivery.stored.is_none()).cloned().collect();
        Ok(Some(Loaded { record, memory: EntityMemory { state, waiting }, inbox }))
    }
}

/// What came for an entity that does not exist. Its state is gone already, if that was asked for.
fn answer_for_nothing(envelope: Envelope, id: &InstanceId) {
    let result = match envelope.delivery.message.event {
        Event::StatePurged => Ok(()),
        _ => Err(HubError::NotFound(id.clone())),
    };
    envelope.answer(result);
}
