//! The limits that the hub itself enforces: live instances, stored bytes, messages that wait for one instance.
//!
//! They are compared with what is stored, so concurrent work may exceed them by a little. Starts of clients do not, because one
//! request may bring thousands.

pub(super) mod inbox;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use dacapo_core::execution::{Limits, LogLevel, LogLine};
use dacapo_core::{Commit, Event, Failure, InstanceId, InstanceRecord, Message, RuntimeStatus};
use dacapo_store::Snapshot;

use crate::hub::error::HubError;
use crate::hub::hub_core::HubCore;
use crate::hub::mailbox::Envelope;
use crate::hub::rules::Rules;

/// An instance that begins and is not stored yet.
pub(in crate::hub) struct Birth<'a>(&'a AtomicU64);

impl Drop for Birth<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HubCore {
    /// Checks that clients may store more.
    pub(in crate::hub) fn check_storage(&self) -> Result<(), HubError> {
        let (bytes, most) = (self.store.bytes(), self.rules().limits.storage_bytes);
        if bytes < most {
            return Ok(());
        }
        Err(HubError::Limit { limit: "storage_bytes", value: most, what: format!("the file of the task hub has {bytes} bytes") })
    }

    /// Checks that the limits allow an import of `bytes` with these instances.
    pub(in crate::hub) fn check_import(&self, bytes: usize, snapshots: &[Snapshot]) -> Result<(), HubError> {
        let limits = &self.rules().limits;
        let (stored, most) = (self.store.bytes(), limits.storage_bytes);
        if stored.saturating_add(bytes as u64) > most {
            let what = format!("the file of the task hub has {stored} bytes, and the import has {bytes}");
            return Err(HubError::Limit { limit: "storage_bytes", value: most, what });
        }
        let mut born = 0;
        for Snapshot { record, inbox, .. } in snapshots {
            let replaces_living = self.store.instance(&record.id)?.is_some_and(|existing| !existing.status.is_terminal());
            born += u64::from(!record.status.is_terminal() && !replaces_living);
            if inbox.len() as u64 > limits.inbox_messages {
                let what = format!("{} messages wait for '{}'", inbox.len(), record.id);
                return Err(HubError::Limit { limit: "inbox_messages", value: limits.inbox_messages, what });
            }
        }
        let (alive, most) = (self.store.alive(), limits.instances_alive);
        if born > 0 && alive.saturating_add(born) > most {
            let what = format!("{alive} instances are alive, and the file brings {born} more");
            return Err(HubError::Limit { limit: "instances_alive", value: most, what });
        }
        Ok(())
    }

    /// Checks that one more instance may live.
    pub(in crate::hub) fn check_birth(&self) -> Result<(), HubError> {
        let (alive, most) = (self.store.alive(), self.rules().limits.instances_alive);
        if alive < most {
            return Ok(());
        }
        Err(HubError::Limit { limit: "instances_alive", value: most, what: format!("{alive} instances are alive") })
    }

    /// Has one more instance begin, if it may. It counts as alive until the guard is dropped, which must not be before it is stored.
    pub(in crate::hub) fn begin_birth(&self) -> Result<Birth<'_>, HubError> {
        let before = self.births.fetch_add(1, Ordering::SeqCst);
        let birth = Birth(&self.births);
        let (alive, most) = (self.store.alive().saturating_add(before), self.rules().limits.instances_alive);
        if alive < most {
            return Ok(birth);
        }
        Err(HubError::Limit { limit: "instances_alive", value: most, what: format!("{alive} instances are alive") })
    }

    /// Returns the limits of a turn that begins now. Turns may exceed the storage limit of clients by a tenth.
    pub(in crate::hub) fn limits_of_turn(&self, rules: &Rules) -> Limits {
        let most = rules.limits.storage_bytes;
        let full = self.store.bytes() >= most.saturating_add(most / 10);
        let why = || {
            format!("the task hub stores a tenth more than the {most} bytes (storage_bytes) that it may: nothing can be added")
                .into()
        };
        Limits { no_room: full.then(why), ..rules.execution.clone() }
    }

    /// Removes from a commit the messages that would create too many instances, and those to instances whose inbox is full. A
    /// caller that awaits a result gets a failure; the others are logged.
    pub(in crate::hub) fn limit_sent(&self, rules: &Rules, commit: &mut Commit, logs: &mut Vec<LogLine>) -> Result<(), HubError> {
        let crowded = if commit.sent.is_empty() { HashSet::new() } else { self.inbox_bounds.crowded() };
        let most = rules.limits.instances_alive;
        let mut room = most.saturating_sub(self.store.alive());
        if commit.sent.is_empty() || commit.sent.iter().map(births_at_most).sum::<u64>() < room && crowded.is_empty() {
            return Ok(());
        }
        // The sender counts too if this commit creates it.
        let begins = self.store.instance(&commit.record.id)?.is_none_or(|stored| stored.status.is_terminal());
        room = room.saturating_sub(begins.into());
        let mut dropped: BTreeMap<String, usize> = BTreeMap::new();
        for message in std::mem::take(&mut commit.sent) {
            let why = if is_deferrable(&message) && message.to != commit.record.id && crowded.contains(&message.to) {
                let most = rules.limits.inbox_messages;
                format!("'{}' is sent nothing more: {most} messages wait for it (inbox_messages)", message.to)
            } else {
                let births = self.births(&message, &commit.record)?;
                if births <= room {
                    room -= births;
                    commit.sent.push(message);
                    continue;
                }
                format!("'{}' is not started: the task hub may have {most} instances alive (instances_alive)", message.to)
            };
            match failure_reply(&message, &why, commit) {
                Some(answer) => commit.sent.push(answer),
                None => *dropped.entry(why).or_default() += 1,
            }
        }
        let line = |(why, count)| LogLine { level: LogLevel::Error, message: format!("{why}; {count} dropped") };
        logs.extend(dropped.into_iter().map(line));
        Ok(())
    }

    /// Returns how many instances a message creates.
    fn births(&self, message: &Message, sender: &InstanceRecord) -> Result<u64, HubError> {
        let is_missing =
            |id: &InstanceId| -> Result<bool, HubError> { Ok(*id != sender.id && self.store.instance(id)?.is_none()) };
        Ok(match &message.event {
            // Continue-as-new starts the sender itself.
            Event::ExecutionStarted { .. } => (message.to != sender.id).into(),
            Event::OperationRequested { .. } => is_missing(&message.to)?.into(),
            Event::LockRequested { .. } => {
                let mut missing = 0;
                for entity in entities_to_lock(&message.event) {
                    missing += u64::from(is_missing(entity)?);
                }
                missing
            }
            _ => 0,
        })
    }

    /// Refuses clients' messages to a waiting instance whose inbox is full.
    pub(in crate::hub) fn limit_inbox(&self, record: &InstanceRecord, envelopes: &mut Vec<Envelope>) -> Result<(), HubError> {
        let waits_for_it = |envelope: &Envelope| is_deferrable(&envelope.delivery.message);
        if !waits(record.status) || !envelopes.iter().any(waits_for_it) {
            return Ok(());
        }
        let is_new = |envelope: &Envelope| envelope.delivery.stored.is_none();
        let counted = self.inbox_bounds.counted(&record.id);
        let waiting = match counted {
            Some(messages) => messages + envelopes.len(),
            None => self.store.inbox_size(record.row)?.messages + envelopes.iter().filter(|envelope| is_new(envelope)).count(),
        };
        self.note_waiting(record, waiting);
        let refused = self.refuse_over_limit(record, waiting, envelopes);
        self.inbox_bounds.count(&record.id, waiting - refused);
        Ok(())
    }

    /// Records whether other instances may send more to a waiting instance.
    pub(in crate::hub) fn note_waiting(&self, record: &InstanceRecord, waiting: usize) {
        self.inbox_bounds.note(&record.id, waiting as u64 >= self.rules().limits.inbox_messages);
    }

    /// Refuses the clients' messages that are over the limit, the last ones first. Returns how many it has refused.
    pub(in crate::hub) fn refuse_over_limit(
        &self,
        record: &InstanceRecord,
        waiting: usize,
        envelopes: &mut Vec<Envelope>,
    ) -> usize {
        let most = self.rules().limits.inbox_messages;
        let mut over = (waiting as u64).saturating_sub(most);
        let mut refused = 0;
        for number in (0..envelopes.len()).rev() {
            let envelope = &envelopes[number];
            if over > 0 && is_deferrable(&envelope.delivery.message) && envelope.acknowledge.is_some() {
                over -= 1;
                refused += 1;
                let waiting = waiting as u64 - over - 1;
                let what = format!("{waiting} messages, or as many bytes as it may have in memory, wait for '{}'", record.id);
                envelopes.remove(number).answer(Err(HubError::Limit { limit: "inbox_messages", value: most, what }));
            }
        }
        refused
    }
}

/// The entities that a lock request will reach. All count when it is sent to the first, so that it is refused as a whole.
fn entities_to_lock(event: &Event) -> &[InstanceId] {
    match event {
        Event::LockRequested { entities, position: 0, .. } => entities,
        _ => &[],
    }
}

fn births_at_most(message: &Message) -> u64 {
    entities_to_lock(&message.event).len().max(1) as u64
}

/// Whether messages for an orchestration of this status wait.
pub(in crate::hub) fn waits(status: RuntimeStatus) -> bool {
    matches!(status, RuntimeStatus::Suspended | RuntimeStatus::Pending)
}

/// Whether a message may have to wait for long.
fn is_deferrable(message: &Message) -> bool {
    matches!(message.event, Event::EventRaised { .. } | Event::OperationRequested { .. })
}

/// Returns the failure for the caller that awaits the result of a dropped message, if one does.
fn failure_reply(message: &Message, why: &str, commit: &Commit) -> Option<Message> {
    let failure = Failure::retriable(Failure::LIMIT_EXCEEDED, why);
    let (caller, event) = match &message.event {
        Event::ExecutionStarted { parent: Some(parent), .. } => {
            (parent, Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure })
        }
        Event::OperationRequested { caller: Some(caller), .. } => {
            (caller, Event::EntityOperationFailed { seq: caller.seq, failure })
        }
        Event::LockRequested { owner, .. } => (owner, Event::EntityOperationFailed { seq: owner.seq, failure }),
        _ => return None,
    };
    Some(caller.message(event, commit.record.updated))
}
