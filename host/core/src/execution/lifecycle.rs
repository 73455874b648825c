//! Turns of an execution, and its end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::actions::Mode;
use super::{
    Conditions, Divergence, Execution, Fault, Limits, LogLevel, OpenWork, RecordedAction, Stopped, TaskOutcome, TurnEffects,
    check_payload,
};
use crate::commit::Timer;
use crate::event::Outcome;
use crate::{Event, Failure, Timestamp};

impl Execution {
    /// Begins a turn whose actions are collected.
    pub fn begin_live_turn(&mut self, now: Timestamp) {
        self.begin_turn(now, Mode::Live { actions: Vec::new() });
    }

    /// Sets the limits from the next live turn on.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.logs.set_limit(limits.log_bytes_per_turn);
        self.limits = limits.clone();
    }

    /// Sets the guest's conditions, from now on, to recorded ones.
    pub(crate) fn replay_under(&mut self, recorded: &Arc<Conditions>) {
        self.assume(recorded);
        self.conditions_to_record = false;
    }

    /// Sets the guest's conditions until the history records others.
    pub(crate) fn assume(&mut self, conditions: &Arc<Conditions>) {
        self.limits.tasks = self.limits.tasks.max(usize::try_from(conditions.tasks).unwrap_or(usize::MAX));
        self.conditions = Some(conditions.clone());
    }

    /// Updates the conditions of the next live turn to those configured now, as far as the guest's past allows.
    pub(crate) fn go_on_under(&mut self, now: &Arc<Conditions>) {
        if let Some(changed) = Conditions::change(self.conditions.as_ref(), now) {
            self.conditions = Some(changed);
            self.conditions_to_record = true;
        }
    }

    /// Takes the conditions that must be recorded with the turn.
    pub(crate) fn take_unrecorded_conditions(&mut self) -> Option<Arc<Conditions>> {
        std::mem::take(&mut self.conditions_to_record).then(|| self.conditions.clone()).flatten()
    }

    /// Begins a turn whose actions are compared with those recorded. `end_position` is where the turn ends in history.
    pub fn begin_replayed_turn(&mut self, now: Timestamp, recorded: VecDeque<RecordedAction>, end_position: usize) {
        self.begin_turn(now, Mode::Replay { recorded, end_position });
    }

    fn begin_turn(&mut self, now: Timestamp, mode: Mode) {
        self.mode = mode;
        self.now = now;
        self.turn += 1;
        self.events_before = self.events;
        self.events += 1;
        self.taken = 0;
        self.taken_bytes = 0;
        self.lock_before = self.open.lock.as_ref().map(|lock| lock.seq);
        self.timers_cleared.clear();
        self.activities_cleared.clear();
        self.logs.begin_turn();
    }

    /// The open work.
    pub fn open(&self) -> &OpenWork {
        &self.open
    }

    /// Bytes of the payloads that it holds for the guest.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether the guest can make progress.
    pub fn is_runnable(&self) -> bool {
        self.runnable && !self.suspended
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Records how the execution ends after its function has returned, and checks the output. Open timers are cancelled: an
    /// orchestration is complete when its function has returned. Activities that it did not wait for still run, unless it
    /// continues as new.
    pub fn finish(&mut self, result: TaskOutcome) -> Outcome {
        let outcome = match (result, self.continue_as_new.take()) {
            (Ok(_), Some(input)) => Outcome::ContinuedAsNew { input },
            (Ok(output), None) => match check_payload("the output", &output, &self.limits, Failure::INVALID_OUTPUT) {
                Ok(()) => Outcome::Completed(output),
                Err(failure) => Outcome::Failed(failure),
            },
            (Err(failure), _) => Outcome::Failed(failure),
        };
        if matches!(outcome, Outcome::ContinuedAsNew { .. }) {
            self.clear_activities();
        }
        self.end(outcome.clone());
        outcome
    }

    /// Records an end that the guest did not choose: a broken rule or limit. Its open activities are cancelled too.
    pub fn abort(&mut self, outcome: Outcome) {
        self.fault = None;
        self.clear_activities();
        self.end(outcome);
    }

    fn clear_activities(&mut self) {
        self.activities_cleared.extend(std::mem::take(&mut self.open.activities));
    }

    fn end(&mut self, outcome: Outcome) {
        // Refused only by a divergence, which the caller finds as the fault.
        let _ = self.record_end(outcome);
        let open = std::mem::take(&mut self.open.timers);
        self.timers_cleared.extend(open.into_iter().map(|(seq, fire_at)| Timer { fire_at, seq }));
        self.open.children.clear();
        self.open.operations.clear();
    }

    /// Records the end, and before it the release of any lock.
    fn record_end(&mut self, outcome: Outcome) -> Result<(), Stopped> {
        if let Some(lock) = &self.open.lock {
            self.record(Event::EntityUnlockSent { seq: self.open.next_seq(), entities: lock.entities.clone() })?;
        }
        self.record(Event::ExecutionCompleted { outcome })
    }

    /// The failure of an execution that would wait with a full history. Warns once before.
    pub fn full_history(&mut self) -> Option<Failure> {
        let (events, most) = (self.events, self.limits.history_events);
        if events > most {
            let message = format!("its history has {events} events, {most} are allowed (history_events): use continue-as-new");
            return Some(Failure::permanent(Failure::LIMIT_EXCEEDED, message));
        }
        let nearly = most / 5 * 4;
        if self.events_before <= nearly && events > nearly {
            let message = format!("the history has {events} events, {most} are allowed (history_events): use continue-as-new");
            self.logs.push(LogLevel::Warn, &message);
        }
        None
    }

    /// Ends a live turn and returns its effects.
    pub fn end_live_turn(&mut self) -> TurnEffects {
        let Mode::Live { actions } = &mut self.mode else { return TurnEffects::default() };
        TurnEffects {
            actions: std::mem::take(actions),
            timers_cleared: std::mem::take(&mut self.timers_cleared),
            activities_cleared: std::mem::take(&mut self.activities_cleared),
            logs: self.logs.take(),
            lock_before: self.lock_before,
        }
    }

    /// Ends a replayed turn: every recorded action must have been taken, otherwise the execution has a fault.
    pub fn end_replayed_turn(&mut self) {
        let Mode::Replay { recorded, .. } = &mut self.mode else { return };
        if let Some(RecordedAction { position, event }) = recorded.pop_front() {
            let divergence = Divergence { position, recorded: Some(event), attempted: None };
            self.fault.get_or_insert(Fault::Diverged(Box::new(divergence)));
        }
    }
}
