//! The guest's externally visible actions.

use std::collections::VecDeque;

use super::{Divergence, Execution, Fault, Limits, RecordedAction, Stopped, TaskId, check_payload};
use crate::{Event, Failure, Payload, Seq, Timestamp};

/// Where a turn's actions go.
#[derive(Debug)]
pub(super) enum Mode {
    Live { actions: Vec<Event> },
    Replay { recorded: VecDeque<RecordedAction>, end_position: usize },
}

impl Execution {
    pub(super) fn next_seq(&self) -> Seq {
        self.open.next_seq()
    }

    pub(super) fn take_timer(&mut self, fire_at: Timestamp, owner: TaskId) -> Result<(), Stopped> {
        let seq = self.next_seq();
        self.take_owned(owner, Event::TimerCreated { seq, fire_at })
    }

    /// Takes the action with the next number, on behalf of a task.
    pub(super) fn take_owned(&mut self, owner: TaskId, action: Event) -> Result<(), Stopped> {
        let seq = self.next_seq();
        self.take(action)?;
        self.owners.insert(seq, owner);
        Ok(())
    }

    /// Every action goes through here: collected in a live turn, compared in a replayed one.
    pub(super) fn take(&mut self, action: Event) -> Result<(), Stopped> {
        if self.fault.is_some() {
            return Err(Stopped);
        }
        self.count(&action)?;
        self.record(action)
    }

    /// Whether the next action that is replayed starts a child with this id.
    pub(super) fn has_recorded_child(&self, id: &str) -> bool {
        let Mode::Replay { recorded, .. } = &self.mode else { return false };
        let next = recorded.front().map(|next| &next.event);
        matches!(next, Some(Event::SubOrchestrationInstanceCreated { instance, .. }) if instance.as_str() == id)
    }

    /// Skips the limits, because reaching one may be what ends the execution with this action.
    pub(super) fn record(&mut self, action: Event) -> Result<(), Stopped> {
        self.events += 1;
        if let Mode::Replay { recorded, end_position } = &mut self.mode {
            let (position, recorded) = match recorded.pop_front() {
                Some(next) if next.event == action => {
                    self.open.note(&action);
                    return Ok(());
                }
                Some(next) => (next.position, Some(next.event)),
                None => (*end_position, None),
            };
            self.fault = Some(Fault::Diverged(Box::new(Divergence { position, recorded, attempted: Some(action) })));
            return Err(Stopped);
        }
        self.open.note(&action);
        if let Mode::Live { actions } = &mut self.mode {
            actions.push(action);
        }
        Ok(())
    }

    /// Counts an action against the limits of a turn.
    fn count(&mut self, action: &Event) -> Result<(), Stopped> {
        self.taken += 1;
        self.taken_bytes += action.payload_bytes();
        let Limits { actions_per_turn, action_bytes_per_turn, .. } = self.limits;
        let message = if let Some(why) = &self.limits.no_room {
            why.to_string()
        } else if self.taken > actions_per_turn {
            format!("more than {actions_per_turn} actions in one turn (actions_per_turn)")
        } else if self.taken_bytes > action_bytes_per_turn {
            format!("actions with more than {action_bytes_per_turn} bytes in one turn (action_bytes_per_turn)")
        } else {
            return Ok(());
        };
        Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)))
    }

    pub(super) fn check(&mut self, what: &str, payload: &Payload) -> Result<(), Stopped> {
        let checked = check_payload(what, payload, &self.limits, Failure::INVALID_ARGUMENT);
        self.checked(checked)
    }

    /// Stops the guest if an argument is invalid.
    pub(super) fn checked<T>(&mut self, argument: Result<T, Failure>) -> Result<T, Stopped> {
        argument.map_err(|failure| self.stop(failure))
    }

    pub(super) fn stop(&mut self, failure: Failure) -> Stopped {
        self.fault.get_or_insert(Fault::Failed(failure));
        Stopped
    }
}
