//! Messages that reach an execution.

use super::calls::Retry;
use super::tasks::Work;
use super::{Execution, TaskOutcome};
use crate::commit::Timer;
use crate::event::{any_action, any_entity_message, any_result};
use crate::{Event, Seq};

impl Execution {
    /// Whether this event concerns the execution. One that does not (a result that came twice, a timer that was
    /// cancelled) must be neither recorded nor applied.
    pub fn expects(&self, event: &Event) -> bool {
        match event {
            Event::TimerFired { .. } | any_result!() => self.open.awaits(event) == Some(true),
            Event::ExecutionSuspended { .. } => !self.suspended,
            Event::ExecutionResumed { .. } => self.suspended,
            Event::ExecutionStarted { .. } => self.turn <= 1,
            // A turn passes on a rewind only when it rewinds, and a migration only after a successful replay.
            Event::EventRaised { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionRewound { .. }
            | Event::ExecutionMigrated { .. } => true,
            Event::OrchestratorStarted { .. } | any_entity_message!() | any_action!() => false,
        }
    }

    /// Applies one message, in replayed and live turns alike.
    pub fn apply(&mut self, event: &Event) {
        // Events that continue-as-new carried over do not count as history of this execution.
        let is_carried = self.turn <= 1 && matches!(event, Event::EventRaised { .. });
        self.events += usize::from(!is_carried);
        self.payload_bytes = self.payload_bytes.saturating_add(event.payload_bytes());
        self.clear_source(event);
        self.open.note(event);
        match event {
            Event::TaskCompleted { seq, result }
            | Event::SubOrchestrationInstanceCompleted { seq, result }
            | Event::EntityOperationCompleted { seq, result } => self.complete_action(*seq, Ok(result.clone())),
            Event::TaskFailed { seq, failure }
            | Event::SubOrchestrationInstanceFailed { seq, failure }
            | Event::EntityOperationFailed { seq, failure } => self.complete_action(*seq, Err(failure.clone())),
            Event::EntityLockGranted { seq } => self.complete_action(*seq, Ok("null".into())),
            Event::TimerFired { seq, .. } => self.fire_timer(*seq),
            Event::EventRaised { name, data } => self.raise(name, data),
            Event::ExecutionSuspended { .. } => self.suspended = true,
            Event::ExecutionResumed { .. } => self.suspended = false,
            Event::OrchestratorStarted { .. }
            | Event::ExecutionStarted { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionRewound { .. }
            | Event::ExecutionMigrated { .. }
            | any_entity_message!()
            | any_action!() => {}
        }
    }

    /// Clears the timer or the activity that a result came from.
    fn clear_source(&mut self, event: &Event) {
        match event {
            Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } if self.open.activities.contains(seq) => {
                self.activities_cleared.push(*seq);
            }
            Event::TimerFired { seq, .. } => self.clear_timer(*seq),
            _ => {}
        }
    }

    pub(super) fn clear_timer(&mut self, seq: Seq) {
        if let Some(fire_at) = self.open.timers.remove(&seq) {
            self.timers_cleared.push(Timer { fire_at, seq });
        }
    }

    /// Handles the result of an action: completes its task, unless another attempt or the next request of a poll comes first.
    fn complete_action(&mut self, seq: Seq, outcome: TaskOutcome) {
        let Some(id) = self.owners.remove(&seq) else { return };
        let again = match &mut self.tasks[id.0 as usize].work {
            Work::Call { retry: Some(retry), .. } => outcome.as_ref().err().and_then(|failure| retry.next(self.now, failure)),
            Work::Http(poll) => outcome.as_ref().ok().and_then(|response| poll.next(self.now, response)),
            Work::Call { retry: None, .. } | Work::Entity | Work::Timer { .. } | Work::ExternalEvent(_) | Work::Refused => None,
        };
        match again {
            // A fault here is found at the end of the turn.
            Some(fire_at) => {
                let _ = self.take_timer(fire_at, id);
            }
            None => self.complete(id, outcome),
        }
    }

    fn fire_timer(&mut self, seq: Seq) {
        let Some(id) = self.owners.remove(&seq) else { return };
        // A fault here is found at the end of the turn.
        match &mut self.tasks[id.0 as usize].work {
            Work::Timer { .. } => self.complete(id, Ok("null".into())),
            Work::Call { target, retry } => {
                let (target, attempt) = (target.clone(), retry.as_mut().map_or(1, |retry| Retry::begin(retry)));
                let _ = self.take_call(&target, attempt, id);
            }
            Work::Http(poll) => {
                let request = poll.request();
                let _ = self.take_http(request, id);
            }
            Work::Entity | Work::ExternalEvent(_) | Work::Refused => {}
        }
    }
}
