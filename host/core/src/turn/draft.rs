//! A commit under construction.

use std::collections::VecDeque;

use super::{START_TIMER, reaches_suspended};
use crate::commit::{Commit, InstanceRecord, RuntimeStatus, Timer};
use crate::event::{Delivery, Event, HistoryEvent, Message};
use crate::execution::Execution;
use crate::{MessageKey, Timestamp};

#[derive(Clone)]
pub(super) struct Draft {
    pub commit: Commit,
    /// The events of the turn, for the history.
    pub events: Vec<HistoryEvent>,
    pub now: Timestamp,
    /// The instance as it was before the turn.
    before: InstanceRecord,
}

impl Draft {
    pub fn new(record: InstanceRecord, now: Timestamp) -> Self {
        let now = now.after_turn(record.updated);
        Self { before: record.clone(), commit: Commit::of(record), events: Vec::new(), now }
    }

    pub fn consume(&mut self, stored: Option<MessageKey>) {
        self.commit.consumed.extend(stored);
    }

    pub fn consume_all(&mut self, inbox: Vec<Delivery>) {
        inbox.into_iter().for_each(|delivery| self.consume(delivery.stored));
    }

    /// Consumes messages without effect.
    pub fn drop_all(&mut self, inbox: Vec<Delivery>) {
        for delivery in inbox {
            self.clear_source(&delivery.message.event);
            self.consume(delivery.stored);
        }
    }

    /// Drops messages for an execution that has ended, and terminations by a parent that is not this instance's.
    pub fn drop_stale(&mut self, inbox: Vec<Delivery>) -> Vec<Delivery> {
        let (current, own) = (self.commit.record.execution, self.commit.record.parent.as_ref());
        let is_meant = |message: &Message| match &message.event {
            Event::ExecutionTerminated { parent: Some(parent), .. } => own.is_some_and(|own| own.is_same(parent)),
            _ => message.execution.is_none_or(|execution| execution == current),
        };
        let (fresh, stale): (Vec<_>, Vec<_>) = inbox.into_iter().partition(|delivery| is_meant(&delivery.message));
        self.commit.consumed.extend(stale.into_iter().filter_map(|d| d.stored));
        fresh
    }

    /// A guest must not see a timer fire early, even if the machine's clock was set back since it was found due.
    pub fn advance_to_timers(&mut self, inbox: &[Delivery]) {
        for delivery in inbox {
            if let Event::TimerFired { fire_at, .. } = delivery.message.event {
                self.now = self.now.max(fire_at);
            }
        }
    }

    /// Clears the timer or the activity that a message came from.
    pub fn clear_source(&mut self, event: &Event) {
        match event {
            Event::TimerFired { seq, fire_at } => self.commit.timers_cleared.push(Timer { fire_at: *fire_at, seq: *seq }),
            Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } => self.commit.activities_cleared.push(*seq),
            Event::ExecutionStarted { start_at: Some(fire_at), .. } => {
                self.commit.timers_cleared.push(Timer { fire_at: *fire_at, seq: START_TIMER });
            }
            _ => {}
        }
    }

    /// Leaves a message in the inbox.
    pub fn keep(&mut self, delivery: Delivery) {
        if delivery.stored.is_none() {
            self.clear_source(&delivery.message.event);
            self.commit.kept.push(delivery.message);
        }
    }

    pub fn keep_all(&mut self, inbox: Vec<Delivery>) {
        inbox.into_iter().for_each(|delivery| self.keep(delivery));
    }

    /// The scheduled start, if the instance has not begun and that time has not come.
    pub fn future_start(&self, inbox: &[Delivery]) -> Option<Timestamp> {
        let has_begun = !self.commit.record.turns.is_empty();
        if has_begun || !matches!(self.commit.record.status, RuntimeStatus::Pending | RuntimeStatus::Suspended) {
            return None;
        }
        let start_at = inbox.iter().find_map(|delivery| match &delivery.message.event {
            Event::ExecutionStarted { start_at, .. } => *start_at,
            _ => None,
        });
        start_at.filter(|start_at| *start_at > self.now)
    }

    /// Keeps all messages until the scheduled start, whose timer is set when the start message is stored in the inbox. If the
    /// instance is suspended meanwhile, its status shows that, and it does not begin before it is resumed.
    pub fn wait_for_start(&mut self, start_at: Timestamp, inbox: Vec<Delivery>) {
        let is_start = |delivery: &Delivery| matches!(delivery.message.event, Event::ExecutionStarted { .. });
        if inbox.iter().any(|delivery| is_start(delivery) && delivery.stored.is_none()) {
            self.commit.timers_set.push(Timer { fire_at: start_at, seq: START_TIMER });
        }
        self.commit.record.status = RuntimeStatus::Pending;
        for delivery in inbox {
            match delivery.message.event {
                Event::ExecutionSuspended { .. } => self.commit.record.status = RuntimeStatus::Suspended,
                Event::ExecutionResumed { .. } => self.commit.record.status = RuntimeStatus::Pending,
                _ => {}
            }
            if is_start(&delivery) && delivery.stored.is_none() {
                self.commit.kept.push(delivery.message);
            } else {
                self.keep(delivery);
            }
        }
    }

    /// Applies the messages that concern the execution, and records them for the history.
    pub fn take_in(&mut self, execution: &mut Execution, inbox: Vec<Delivery>) {
        let mut held: Vec<Delivery> = Vec::new();
        let mut queue: VecDeque<Delivery> = inbox.into();
        while let Some(delivery) = queue.pop_front() {
            if execution.is_suspended() && !reaches_suspended(&delivery.message.event) {
                held.push(delivery);
                continue;
            }
            self.consume(delivery.stored);
            let Message { sent_at, event, .. } = delivery.message;
            if !execution.expects(&event) {
                self.clear_source(&event);
                continue;
            }
            execution.apply(&event);
            self.commit.record.usage.bytes_in += event.payload_bytes() as u64;
            if matches!(event, Event::ExecutionStarted { .. }) {
                self.clear_source(&event);
            }
            if matches!(event, Event::ExecutionResumed { .. }) {
                held.drain(..).rev().for_each(|delivery| queue.push_front(delivery));
            }
            self.events.push(HistoryEvent { at: sent_at, event });
        }
        self.keep_all(held);
    }

    /// Halts the instance with a diagnostic. Nothing is lost: all messages stay in the inbox.
    pub fn halt(mut self, reason: &str, inbox: Vec<Delivery>) -> Commit {
        self.keep_all(inbox);
        self.halt_after_intake(reason)
    }

    pub fn halt_after_intake(mut self, reason: &str) -> Commit {
        let version = self.commit.record.version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let kind = if self.commit.record.id.is_entity() { "entity" } else { "orchestrator" };
        self.commit.record.halted = Some(format!("{reason} ({kind} '{}', version {version})", self.commit.record.name));
        self.commit.record.status = RuntimeStatus::Suspended;
        self.into_commit()
    }

    pub fn commit_if_changed(self) -> Option<Commit> {
        let changed = self.has_changed()
            || !self.commit.consumed.is_empty()
            || !self.commit.kept.is_empty()
            || !self.commit.sent.is_empty()
            || !self.commit.timers_set.is_empty()
            || !self.commit.timers_cleared.is_empty()
            || !self.commit.activities_cleared.is_empty();
        changed.then(|| self.into_commit())
    }

    /// Whether the turn has changed the record. Usage does not count, so a mere replay is no change.
    fn has_changed(&self) -> bool {
        InstanceRecord { usage: self.before.usage, ..self.commit.record.clone() } != self.before
    }

    pub fn into_commit(mut self) -> Commit {
        if !self.commit.record.status.is_terminal() || self.has_changed() {
            self.commit.record.updated = self.now;
        }
        self.commit
    }
}
