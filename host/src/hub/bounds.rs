//! The limits of a hub that the engine itself enforces: how many instances live, how much is stored, what waits for one.
//!
//! They are held against what is stored, so what is under way at the same moment may pass them by a little.

use dacapo_core::execution::{Limits, LogLevel, LogLine};
use dacapo_core::{Commit, Delivery, Event, Failure, InstanceId, InstanceRecord, Message, RuntimeStatus};

use super::desk::Envelope;
use super::{HubError, Inner, Rules};

impl Inner {
    /// Whether clients may add something to what is stored.
    pub(super) fn check_storage(&self) -> Result<(), HubError> {
        let (bytes, most) = (self.store.bytes(), self.rules().limits.storage_bytes);
        if bytes < most {
            return Ok(());
        }
        Err(HubError::Limit { limit: "storage_bytes", value: most, what: format!("the file of the task hub has {bytes} bytes") })
    }

    /// Whether one more instance may live.
    pub(super) fn check_birth(&self) -> Result<(), HubError> {
        let (alive, most) = (self.store.alive(), self.rules().limits.instances_alive);
        if alive < most {
            return Ok(());
        }
        Err(HubError::Limit { limit: "instances_alive", value: most, what: format!("{alive} instances are alive") })
    }

    /// The same, for an entity that may live already.
    pub(super) fn check_birth_of_entity(&self, id: &InstanceId) -> Result<(), HubError> {
        match self.check_birth() {
            Err(_) if self.store.instance(id)?.is_some() => Ok(()),
            checked => checked,
        }
    }

    /// What bounds a turn now. A tenth above what clients may store, turns may add nothing more.
    pub(super) fn limits_of_turn(&self, rules: &Rules) -> Limits {
        let most = rules.limits.storage_bytes;
        let full = self.store.bytes() >= most.saturating_add(most / 10);
        let why = || {
            format!("the task hub stores a tenth more than the {most} bytes (storage_bytes) that it may: nothing can be added")
                .into()
        };
        Limits { no_room: full.then(why), ..rules.execution.clone() }
    }

    /// Takes out of a commit what would bring more instances to life than may be. Who waits for one is told; of the others
    /// the log tells.
    pub(super) fn bound_births(&self, rules: &Rules, commit: &mut Commit, logs: &mut Vec<LogLine>) -> Result<(), HubError> {
        let most = rules.limits.instances_alive;
        let mut room = most.saturating_sub(self.store.alive());
        if (commit.sent.len() as u64) < room || commit.sent.is_empty() {
            return Ok(());
        }
        // The sender counts too, from its own first commit on.
        let begins = self.store.instance(&commit.record.id)?.is_none_or(|stored| stored.status.is_terminal());
        room = room.saturating_sub(begins.into());
        for message in std::mem::take(&mut commit.sent) {
            if !self.gives_birth(&message, &commit.record)? {
                commit.sent.push(message);
            } else if room > 0 {
                room -= 1;
                commit.sent.push(message);
            } else {
                let why =
                    format!("'{}' is not started: the task hub may have {most} instances alive (instances_alive)", message.to);
                match told(&message, &why, commit) {
                    Some(answer) => commit.sent.push(answer),
                    None => logs.push(LogLine { level: LogLevel::Error, message: why }),
                }
            }
        }
        Ok(())
    }

    fn gives_birth(&self, message: &Message, sender: &InstanceRecord) -> Result<bool, HubError> {
        Ok(match &message.event {
            // Continue-as-new starts the sender itself.
            Event::ExecutionStarted { .. } => message.to != sender.id,
            Event::OperationRequested { .. } => message.to != sender.id && self.store.instance(&message.to)?.is_none(),
            _ => false,
        })
    }

    /// Refuses what clients send to an instance for which too much waits already.
    pub(super) fn bound_inbox(&self, record: &InstanceRecord, inbox: &mut Vec<Delivery>, envelopes: &mut Vec<Envelope>) {
        let waits = matches!(record.status, RuntimeStatus::Suspended | RuntimeStatus::Pending);
        if waits {
            let waiting = inbox.len();
            if self.refuse_above(record, waiting, envelopes) {
                inbox.retain(|delivery| delivery.stored.is_some());
                inbox.extend(envelopes.iter().map(|envelope| &envelope.delivery).filter(|d| d.stored.is_none()).cloned());
            }
        }
    }

    /// Refuses as many clients' messages, the last ones first, as are over the limit. Whether there were any.
    pub(super) fn refuse_above(&self, record: &InstanceRecord, waiting: usize, envelopes: &mut Vec<Envelope>) -> bool {
        let most = self.rules().limits.inbox_messages;
        let mut over = (waiting as u64).saturating_sub(most);
        let mut refused = false;
        for number in (0..envelopes.len()).rev() {
            let envelope = &envelopes[number];
            let waits = matches!(envelope.delivery.message.event, Event::EventRaised { .. } | Event::OperationRequested { .. });
            if over > 0 && waits && envelope.acknowledge.is_some() {
                over -= 1;
                refused = true;
                let what = format!("{} messages wait for '{}'", waiting as u64 - over - 1, record.id);
                envelopes.remove(number).answer(Err(HubError::Limit { limit: "inbox_messages", value: most, what }));
            }
        }
        refused
    }
}

/// What is told to whoever waits for the instance that a message would have made.
fn told(message: &Message, why: &str, commit: &Commit) -> Option<Message> {
    let failure = Failure::retriable(Failure::LIMIT_EXCEEDED, why);
    let (caller, event) = match &message.event {
        Event::ExecutionStarted { parent: Some(parent), .. } => {
            (parent, Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure })
        }
        Event::OperationRequested { caller: Some(caller), .. } => {
            (caller, Event::EntityOperationFailed { seq: caller.seq, failure })
        }
        _ => return None,
    };
    Some(caller.told(event, commit.record.updated))
}
