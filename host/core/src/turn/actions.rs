//! The effects of a guest's actions.

use std::sync::Arc;

use super::{Draft, TurnEnd};
use crate::commit::{Commit, EventDelivery, HistoryChunk, RuntimeStatus, ScheduledActivity, Timer};
use crate::event::{Event, HistoryEvent, Message, Outcome};
use crate::execution::{Conditions, Execution, LogLine, TurnEffects};
use crate::{ExecutionId, Failure, FunctionName, InstanceId, Parent, Payload, Seq};

/// The externally visible actions of a turn.
pub(super) struct TurnActions {
    pub actions: Vec<Event>,
    /// The lock that was requested or held when the turn began.
    pub lock_before: Option<Seq>,
    /// Whether the actions take effect. Those of an aborted turn do not, except the release of a lock that was requested before
    /// the turn.
    pub effective: bool,
    /// The guest's conditions from this turn on, if they have changed.
    pub conditions: Option<Arc<Conditions>>,
}

/// The event that reports the outcome of the orchestration `name` to its parent.
pub(super) fn report(outcome: &Outcome, name: &FunctionName, seq: Seq) -> Event {
    let failed = |failure| Event::SubOrchestrationInstanceFailed { seq, failure };
    match outcome {
        Outcome::Completed(result) => Event::SubOrchestrationInstanceCompleted { seq, result: result.clone() },
        Outcome::Failed(failure) => failed(failure.clone().of_orchestrator(name)),
        Outcome::Terminated { reason } => {
            failed(Failure::permanent(Failure::TERMINATED, format!("the instance was terminated: {reason}")))
        }
        Outcome::ContinuedAsNew { .. } => unreachable!("an instance that continued as new has not ended"),
    }
}

impl Draft {
    /// Makes the commit of a turn that ran.
    pub fn finish(mut self, execution: &mut Execution, rest: &TurnEnd, effects: TurnEffects) -> (Option<Commit>, Vec<LogLine>) {
        let TurnEffects { actions, timers_cleared, activities_cleared, logs, lock_before } = effects;
        self.commit.timers_cleared.extend(timers_cleared);
        self.commit.activities_cleared.extend(activities_cleared);
        self.commit.record.custom_status = execution.custom_status().cloned().or(self.commit.record.custom_status);
        let begins = self.commit.record.status == RuntimeStatus::Pending;
        if matches!(rest, TurnEnd::Waiting) {
            self.commit.record.status = if execution.is_suspended() { RuntimeStatus::Suspended } else { RuntimeStatus::Running };
        }
        if self.events.is_empty() && actions.is_empty() && !begins {
            return (self.commit_if_changed(), logs);
        }
        let conditions = execution.take_unrecorded_conditions();
        let acts = TurnActions { actions, lock_before, effective: !matches!(rest, TurnEnd::Aborted(_)), conditions };
        let commit = match rest {
            TurnEnd::Waiting => self.acted(acts),
            TurnEnd::Ended(Outcome::ContinuedAsNew { input }) => {
                self.continued_as_new(input.clone(), acts, execution.take_unread())
            }
            TurnEnd::Ended(outcome) | TurnEnd::Aborted(outcome) => self.ended(outcome, acts),
        };
        (Some(commit), logs)
    }

    pub fn ended(mut self, outcome: &Outcome, acts: TurnActions) -> Commit {
        self.commit.record.status = match outcome {
            Outcome::Completed(_) => RuntimeStatus::Completed,
            Outcome::Failed(_) => RuntimeStatus::Failed,
            Outcome::Terminated { .. } => RuntimeStatus::Terminated,
            Outcome::ContinuedAsNew { .. } => unreachable!("handled by continued_as_new"),
        };
        let told = self
            .commit
            .record
            .parent
            .as_ref()
            .map(|parent| parent.message(report(outcome, &self.commit.record.name, parent.seq), self.now));
        let mut commit = self.acted(acts);
        commit.sent.extend(told);
        commit
    }

    /// Begins the next execution: the history is removed, unread events are carried over.
    fn continued_as_new(mut self, input: Payload, acts: TurnActions, unread: Vec<Event>) -> Commit {
        let sent = self.messages_of(&acts);
        self.commit.sent.extend(sent);
        let old = &self.commit.record;
        let execution = ExecutionId(old.execution.derive("continue-as-new"));
        let started = Event::ExecutionStarted {
            execution,
            name: old.name.clone(),
            input,
            version: old.version_label.clone(),
            parent: old.parent.clone(),
            start_at: None,
        };
        let (id, now) = (old.id.clone(), self.now);
        let to_self = |event| Message { to: id.clone(), execution: None, sent_at: now, event };
        self.commit.sent.push(to_self(started));
        self.commit.sent.extend(unread.into_iter().map(to_self));
        // If the turn is also a rewind, the turns that it forgets come after those of the record.
        self.commit.forgotten = old.turns.start..old.turns.end.max(self.commit.forgotten.end);
        self.commit.record.execution = execution;
        self.commit.record.version = None;
        self.commit.record.event_delivery = EventDelivery::FirstAsked;
        self.commit.record.status = RuntimeStatus::Running;
        self.commit.record.turns = self.commit.forgotten.end..self.commit.forgotten.end;
        self.into_commit()
    }

    /// Adds the turn to the commit: the messages taken in, the guest's actions, and the effects of these.
    pub fn acted(mut self, acts: TurnActions) -> Commit {
        let sent = self.messages_of(&acts);
        self.commit.sent.extend(sent);
        let turn = self.commit.record.turns.end;
        if acts.effective {
            for action in &acts.actions {
                match action {
                    Event::TimerCreated { seq, fire_at } => self.commit.timers_set.push(Timer { fire_at: *fire_at, seq: *seq }),
                    Event::TaskScheduled { seq, name, input, attempt } => self.commit.activities_set.push(ScheduledActivity {
                        seq: *seq,
                        turn,
                        name: name.clone(),
                        input: input.clone(),
                        attempt: *attempt,
                    }),
                    _ => {}
                }
            }
            // A timer that was set and cancelled in the same turn is never stored.
            self.commit.timers_set.retain(|timer| !self.commit.timers_cleared.contains(timer));
        }
        self.commit.record.turns.end += 1;
        let at = self.now;
        let started = HistoryEvent { at, event: Event::OrchestratorStarted { conditions: acts.conditions } };
        let came = std::mem::take(&mut self.events);
        let did = acts.actions.into_iter().map(|event| HistoryEvent { at, event });
        let events = [started].into_iter().chain(came).chain(did).collect();
        Commit { history: Some(HistoryChunk { turn, events }), ..self.into_commit() }
    }

    /// This instance as the parent that waits for the result of an action.
    pub fn waiter(&self, seq: Seq) -> Parent {
        let record = &self.commit.record;
        Parent { name: record.name.clone(), instance: record.id.clone(), execution: record.execution, seq }
    }

    pub fn to(&self, instance: &InstanceId, event: Event) -> Message {
        Message { to: instance.clone(), execution: None, sent_at: self.now, event }
    }

    fn messages_of(&self, acts: &TurnActions) -> Vec<Message> {
        let mut sent = Vec::new();
        let mut lock = acts.lock_before;
        for action in &acts.actions {
            match action {
                Event::EntityLockRequested { seq, .. } => lock = Some(*seq),
                // A lock request that was never sent needs no release.
                Event::EntityUnlockSent { entities, .. } if acts.effective || lock == acts.lock_before => {
                    sent.extend(lock.and_then(|lock| self.release(lock, entities)));
                }
                _ => {}
            }
            if acts.effective {
                sent.extend(self.message_of(action));
            }
        }
        sent
    }

    fn message_of(&self, action: &Event) -> Option<Message> {
        match action {
            Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, detached } => {
                let started = Event::ExecutionStarted {
                    execution: ExecutionId(self.commit.record.execution.derive(&format!("child:{seq}"))),
                    name: name.clone(),
                    input: input.clone(),
                    version: version.clone(),
                    parent: (!detached).then(|| self.waiter(*seq)),
                    start_at: None,
                };
                Some(self.to(instance, started))
            }
            Event::EventSent { instance, name, data, .. } => {
                Some(self.to(instance, Event::EventRaised { name: name.clone(), data: data.clone() }))
            }
            Event::EntityOperationCalled { seq, entity, operation, input } => {
                Some(self.operation(entity, operation, input, Some(*seq), None))
            }
            Event::EntityOperationSignaled { entity, operation, input, deliver_at, .. } => {
                Some(self.operation(entity, operation, input, None, *deliver_at))
            }
            Event::EntityLockRequested { seq, entities } => {
                let requested = Event::LockRequested { entities: entities.clone(), position: 0, owner: self.waiter(*seq) };
                Some(self.to(entities.first()?, requested))
            }
            _ => None,
        }
    }

    fn operation(
        &self,
        entity: &InstanceId,
        operation: &str,
        input: &Payload,
        caller: Option<Seq>,
        deliver_at: Option<crate::Timestamp>,
    ) -> Message {
        let (operation, input, caller) = (operation.to_owned(), input.clone(), caller.map(|seq| self.waiter(seq)));
        self.to(entity, Event::OperationRequested { operation, input, caller, deliver_at })
    }

    fn release(&self, lock: Seq, entities: &[InstanceId]) -> Option<Message> {
        let released = Event::LockReleased { entities: entities.to_vec(), position: 0, owner: self.waiter(lock) };
        Some(self.to(entities.first()?, released))
    }

    /// The message that calls an operation again, if the action is a call of one.
    pub fn call_again(&self, action: &Event) -> Option<Message> {
        matches!(action, Event::EntityOperationCalled { .. }).then(|| self.message_of(action)).flatten()
    }
}
