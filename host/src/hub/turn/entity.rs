//! Turns of entities: loaded from their state instead of a history, and never kept in memory.

use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dacapo_core::entity::{EntityMemory, EntityTurn, EntityTurnResult, TurnTime};
use dacapo_core::{Delivery, Event, InstanceId, InstanceRecord};
use dacapo_store::InboxSize;

use crate::engine::memory::Reservation;
use crate::engine::scheduler::was_cut_off;
use crate::hub::error::HubError;
use crate::hub::hub_core::{HubCore, now};
use crate::hub::mailbox::Envelope;
use crate::hub::mailbox::settled::Settled;
use crate::hub::turn::load::NotLoaded;
use crate::meters::Before;

/// How long a turn begins further operations: a crash undoes no more than that, and answers wait that long for the commit.
const TURN_TIME: Duration = Duration::from_millis(200);

/// An entity's turn that is ready to be executed.
struct Loaded {
    record: InstanceRecord,
    memory: EntityMemory,
    inbox: Vec<Delivery>,
    /// The reservation of what was loaded.
    _room: Option<Reservation>,
}

impl HubCore {
    pub(in crate::hub) fn run_entity_turn(self: &Arc<Self>, id: &InstanceId, envelopes: &mut Vec<Envelope>, stored: bool) {
        if let Err(error) = self.leave_out_repeated(id, envelopes) {
            return self.turn_failed(id, take(envelopes), error);
        }
        let executor = self.in_memory(id);
        let loaded = match self.load_entity(id, envelopes, stored) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => {
                take(envelopes).into_iter().for_each(|envelope| answer_missing(envelope, id));
                return self.run_queue.end_turn(id, None, false);
            }
            Err(why) => return self.turn_not_loaded(id, take(envelopes), why),
        };
        let active_version = self.catalog.entity_version(&loaded.record.name);
        let before = Before::from(&loaded.record);
        let rules = self.rules();
        let limits = self.limits_of_turn(&rules);
        let time = Time { hub: self, began: Instant::now() };
        let turn = EntityTurn { executor: &executor, limits: &limits, now: now(), active_version, time: &time };
        let EntityTurnResult { commit, mut logs, again, put_back, .. } = turn.run(loaded.record, loaded.memory, loaded.inbox);
        if let Some(why) = put_back {
            return self.put_back(id, executor, take(envelopes), why);
        }
        drop(executor);
        match commit {
            None => {
                take(envelopes).into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.run_queue.end_turn(id, None, again);
            }
            Some(mut commit) => {
                if commit.entity.as_ref().is_none_or(|entity| !entity.waiting) {
                    self.inbox_bounds.forget(&commit.record.id);
                }
                match self.limit_sent(&rules, &mut commit, &mut logs) {
                    Err(error) => self.turn_failed(id, take(envelopes), error),
                    Ok(()) => self.save(commit, Settled { again, ..Settled::new(before, take(envelopes), None, logs) }),
                }
            }
        }
    }

    /// None: there is no such entity, and no message that would create it.
    fn load_entity(&self, id: &InstanceId, envelopes: &mut Vec<Envelope>, stored: bool) -> Result<Option<Loaded>, NotLoaded> {
        let waited_for = self.loading.reserved(id);
        let Some(record) = self.store.instance(id)? else {
            let arrived = || envelopes.iter().map(|envelope| &envelope.delivery);
            let row = self.store.next_row();
            let Some(record) = arrived().find_map(|delivery| InstanceRecord::pending(row, &delivery.message)) else {
                return Ok(None);
            };
            let inbox = arrived().cloned().collect();
            return Ok(Some(Loaded { record, memory: EntityMemory::default(), inbox, _room: None }));
        };
        let state = self.store.entity(record.row)?.unwrap_or_default();
        // A turn that reads the store may find a message there whose copy is still on its way to the mailbox. So stored messages
        // are taken from the store only, where each is exactly once.
        let reads = stored || state.waiting || envelopes.iter().any(|envelope| envelope.delivery.stored.is_some());
        let size = if reads { self.store.inbox_size(record.row)? } else { InboxSize::default() };
        let _room = self.reserve_for_turn(size.bytes, waited_for)?;
        let stored = if reads { self.store.inbox(record.row)? } else { Vec::new() };
        if state.waiting {
            // Each turn reads all waiting messages, so they have to fit into memory.
            let fits = size.bytes <= self.memory.budget().most_of_a_hub() / 2;
            let most = usize::try_from(self.rules().limits.inbox_messages).unwrap_or(usize::MAX);
            let waiting = if fits { stored.len() } else { stored.len().max(most) };
            self.note_waiting(&record, waiting);
            self.refuse_over_limit(&record, waiting + envelopes.len(), envelopes);
        }
        let waiting = stored.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) }).collect();
        let arrived = envelopes.iter().map(|envelope| &envelope.delivery);
        let inbox = arrived.filter(|delivery| delivery.stored.is_none()).cloned().collect();
        Ok(Some(Loaded { record, memory: EntityMemory { state, waiting }, inbox, _room }))
    }
}

struct Time<'a> {
    hub: &'a HubCore,
    began: Instant,
}

impl TurnTime for Time<'_> {
    fn is_up(&self) -> bool {
        self.hub.is_closing() || self.began.elapsed() >= TURN_TIME
    }

    fn was_cut_off(&self) -> bool {
        was_cut_off()
    }
}

/// Answers a message for an entity that does not exist. A purge succeeds: its state is gone already.
fn answer_missing(envelope: Envelope, id: &InstanceId) {
    let result = match envelope.delivery.message.event {
        Event::StatePurged => Ok(()),
        _ => Err(HubError::NotFound(id.clone())),
    };
    envelope.answer(result);
}
