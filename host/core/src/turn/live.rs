//! An execution and its guest, and how they are brought to where they were.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{Halt, NoVersion, Rest, Turn};
use crate::Failure;
use crate::commit::InstanceRecord;
use crate::event::{Delivery, Event, HistoryEvent, Outcome};
use crate::execution::{Context, Execution, Fault, RecordedTurn};
use crate::guest::{Guest, SharedExecution, Step};

/// An execution and its guest, suspended inside a wait.
pub struct Live {
    pub(super) execution: SharedExecution,
    guest: Box<dyn Guest>,
}

impl Turn<'_> {
    /// Brings a cold instance to where its history ends.
    pub(super) fn replay(&self, record: &InstanceRecord, history: &[HistoryEvent], inbox: &[Delivery]) -> Result<Live, Halt> {
        let mut live = self.start(record, history.iter().map(|e| &e.event).chain(inbox.iter().map(|d| &d.message.event)))?;
        for turn in RecordedTurn::split(history) {
            live.replay_turn(turn)?;
        }
        Ok(live)
    }

    /// A guest that has not begun. What it is told stands in the first `ExecutionStarted` of these.
    pub(super) fn start<'e>(&self, record: &InstanceRecord, events: impl IntoIterator<Item = &'e Event>) -> Result<Live, Halt> {
        let Some(context) = events.into_iter().find_map(|event| context(record, event)) else {
            return Err(Halt::because("its history does not begin with ExecutionStarted"));
        };
        let execution = Arc::new(Mutex::new(Execution::new(context, self.limits.of_replay())));
        let guest = match record.version {
            Some(version) => self.executor.start(version, execution.clone()).map_err(Halt::Unable)?,
            None => Box::new(match &self.begins_on {
                Err(NoVersion::Fails(failure)) => Missing(failure.clone()),
                Ok(_) | Err(NoVersion::Halts(_)) => return Err(Halt::because("it has begun without a version")),
            }),
        };
        Ok(Live { execution, guest })
    }
}

impl Live {
    /// Bytes of memory that the guest may hold.
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes()
    }

    pub(super) fn replay_turn(&mut self, turn: RecordedTurn<'_>) -> Result<(), Halt> {
        {
            let mut execution = lock(&self.execution);
            execution.begin_replayed_turn(turn.at, turn.actions, turn.end);
            for event in turn.messages {
                execution.apply(event);
            }
        }
        self.run_guest()?;
        let mut execution = lock(&self.execution);
        execution.end_replayed_turn();
        match execution.fault() {
            Some(Fault::Diverged(divergence)) => Err(Halt::Diverged(divergence.clone())),
            Some(Fault::Failed(_)) | None => Ok(()),
        }
    }

    /// Resumes the guest if it has something to go on with. The same for replay and live.
    pub(super) fn run_guest(&mut self) -> Result<Rest, Halt> {
        if lock(&self.execution).is_runnable() {
            let step = self.guest.resume();
            let mut execution = lock(&self.execution);
            match (execution.fault().cloned(), step) {
                (Some(fault), _) => return settle(&mut execution, fault),
                (None, Step::Ended(result)) => {
                    let outcome = execution.finish(result);
                    return match execution.fault().cloned() {
                        Some(fault) => settle(&mut execution, fault),
                        None => Ok(Rest::Ended(outcome)),
                    };
                }
                (None, Step::Waiting) => return Ok(Rest::Waiting),
            }
        }
        let mut execution = lock(&self.execution);
        match execution.fault().cloned() {
            Some(fault) => settle(&mut execution, fault),
            None => Ok(Rest::Waiting),
        }
    }
}

impl Live {
    /// An instance that waits with a history which is full fails.
    pub(super) fn bound_history(&mut self, rest: Rest) -> Result<Rest, Halt> {
        let Rest::Waiting = rest else { return Ok(rest) };
        let mut execution = lock(&self.execution);
        match execution.full_history() {
            Some(failure) => settle(&mut execution, Fault::Failed(failure)),
            None => Ok(Rest::Waiting),
        }
    }
}

/// What a fault leads to: a divergence halts, a broken rule fails the instance.
fn settle(execution: &mut Execution, fault: Fault) -> Result<Rest, Halt> {
    match fault {
        Fault::Diverged(divergence) => Err(Halt::Diverged(divergence)),
        Fault::Failed(failure) => {
            let outcome = Outcome::Failed(failure);
            execution.abort(outcome.clone());
            match execution.fault().cloned() {
                Some(Fault::Diverged(divergence)) => Err(Halt::Diverged(divergence)),
                Some(Fault::Failed(_)) | None => Ok(Rest::Aborted(outcome)),
            }
        }
    }
}

fn context(record: &InstanceRecord, started: &Event) -> Option<Context> {
    let Event::ExecutionStarted { execution, name, input, version, parent, .. } = started else { return None };
    Some(Context {
        instance: record.id.clone(),
        execution: *execution,
        name: name.clone(),
        input: input.clone(),
        version_label: version.clone(),
        parent: parent.clone(),
    })
}

/// Stands in for the guest of an orchestrator that has no code.
struct Missing(Failure);

impl Guest for Missing {
    fn resume(&mut self) -> Step {
        Step::Ended(Err(self.0.clone()))
    }
}

/// The lock is uncontended by construction, and a poisoned one means that a turn panicked while it changed the
/// execution: going on with it could corrupt an instance.
pub(super) fn lock(execution: &SharedExecution) -> MutexGuard<'_, Execution> {
    execution.lock().expect("a turn panicked; its execution is never used again")
}
