//! An execution and its guest, and how a replay restores them.

use std::sync::{Arc, Mutex, MutexGuard};

use super::history::{History, Turns};
use super::{Halt, NoVersion, Turn, TurnEnd};
use crate::Failure;
use crate::commit::InstanceRecord;
use crate::event::{Delivery, Event, HistoryEvent, Outcome};
use crate::execution::{Conditions, Context, Execution, Fault, RecordedTurn};
use crate::guest::{Guest, SharedExecution, Step};

/// An execution and its guest, suspended inside a wait.
pub struct Live {
    pub(super) execution: SharedExecution,
    guest: Box<dyn Guest>,
}

impl Turn<'_> {
    /// Restores a cold instance by replaying its history. Returns the number of replayed events too.
    pub(super) fn replay(
        &self,
        record: &InstanceRecord,
        history: &dyn History,
        inbox: &[Delivery],
    ) -> Result<(Live, usize), Halt> {
        let mut turns = Turns::of(history);
        let first = turns.next().transpose()?.unwrap_or_default();
        let events = first.iter().map(|e| &e.event).chain(inbox.iter().map(|d| &d.message.event));
        let conditions = match first_conditions(&first) {
            None if !first.is_empty() => recorded_conditions(history)?,
            of_first => of_first.cloned(),
        };
        let mut live = self.start(record, events, conditions.as_ref())?;
        let mut position = 0;
        for turn in std::iter::once(Ok(first)).chain(turns) {
            let turn = turn?;
            for recorded in RecordedTurn::split_from(position, &turn) {
                live.replay_turn(recorded)?;
            }
            position += turn.len();
        }
        Ok((live, position))
    }

    /// Makes a guest that has not begun. Its context is in the first `ExecutionStarted` of `events`; `conditions` are the first
    /// ones that the history to be replayed records.
    pub(super) fn start<'e>(
        &self,
        record: &InstanceRecord,
        events: impl IntoIterator<Item = &'e Event>,
        conditions: Option<&Arc<Conditions>>,
    ) -> Result<Live, Halt> {
        let Some(context) = events.into_iter().find_map(|event| context(record, event)) else {
            return Err(Halt::because("its history does not begin with ExecutionStarted"));
        };
        let execution = Execution::new(context, self.limits.of_replay());
        let execution = Arc::new(Mutex::new(execution));
        let guest = match record.version {
            Some(version) => self.executor.start(version, execution.clone())?,
            None => Box::new(match &self.begins_on {
                Err(NoVersion::Fails(failure)) => Missing(failure.clone()),
                Ok(_) | Err(NoVersion::Halts(_)) => return Err(Halt::because("it has begun without a version")),
            }),
        };
        // Turns before the first recorded conditions are of an older release, and were last replayed under these.
        match (conditions, record.version) {
            (Some(first), _) => lock(&execution).replay_under(first),
            (None, Some(version)) => lock(&execution).assume(&self.executor.conditions(version)),
            (None, None) => {}
        }
        Ok(Live { execution, guest })
    }
}

impl Live {
    /// The bytes of memory that the guest holds, and that its execution holds for it.
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes().saturating_add(lock(&self.execution).payload_bytes())
    }

    /// The number of slots that the guest takes.
    pub fn slots(&self) -> usize {
        self.guest.slots()
    }

    pub(super) fn replay_turn(&mut self, turn: RecordedTurn<'_>) -> Result<(), Halt> {
        {
            let mut execution = lock(&self.execution);
            if let Some(conditions) = turn.conditions {
                execution.replay_under(conditions);
            }
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

    /// Resumes the guest if it can make progress, in replayed and in live turns alike.
    pub(super) fn run_guest(&mut self) -> Result<TurnEnd, Halt> {
        if lock(&self.execution).is_runnable() {
            let step = self.guest.resume();
            let mut execution = lock(&self.execution);
            match (execution.fault().cloned(), step) {
                (Some(fault), _) => return settle(&mut execution, fault),
                (None, Step::Ended(result)) => {
                    let outcome = execution.finish(result);
                    return match execution.fault().cloned() {
                        Some(fault) => settle(&mut execution, fault),
                        None => Ok(TurnEnd::Ended(outcome)),
                    };
                }
                (None, Step::Waiting) => return Ok(TurnEnd::Waiting),
                (None, Step::NotStarted(why)) => return Err(Halt::NotStarted(why.into())),
            }
        }
        let mut execution = lock(&self.execution);
        match execution.fault().cloned() {
            Some(fault) => settle(&mut execution, fault),
            None => Ok(TurnEnd::Waiting),
        }
    }
}

impl Live {
    /// Fails an instance that would wait with a full history.
    pub(super) fn fail_if_history_full(&mut self, rest: TurnEnd) -> Result<TurnEnd, Halt> {
        let TurnEnd::Waiting = rest else { return Ok(rest) };
        let mut execution = lock(&self.execution);
        match execution.full_history() {
            Some(failure) => settle(&mut execution, Fault::Failed(failure)),
            None => Ok(TurnEnd::Waiting),
        }
    }
}

/// What a fault leads to: a divergence halts, a broken rule fails the instance.
fn settle(execution: &mut Execution, fault: Fault) -> Result<TurnEnd, Halt> {
    match fault {
        Fault::Diverged(divergence) => Err(Halt::Diverged(divergence)),
        Fault::Failed(failure) => {
            let outcome = Outcome::Failed(failure);
            execution.abort(outcome.clone());
            match execution.fault().cloned() {
                Some(Fault::Diverged(divergence)) => Err(Halt::Diverged(divergence)),
                Some(Fault::Failed(_)) | None => Ok(TurnEnd::Aborted(outcome)),
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
        event_delivery: record.event_delivery,
    })
}

/// Stands in for the guest of an orchestrator that has no code.
struct Missing(Failure);

impl Guest for Missing {
    fn resume(&mut self) -> Step {
        Step::Ended(Err(self.0.clone()))
    }
}

/// The first conditions that these events record.
pub(super) fn first_conditions(events: &[HistoryEvent]) -> Option<&Arc<Conditions>> {
    events.iter().find_map(|entry| match &entry.event {
        Event::OrchestratorStarted { conditions } => conditions.as_ref(),
        _ => None,
    })
}

/// The first conditions that a history records, in whichever turn.
fn recorded_conditions(history: &dyn History) -> Result<Option<Arc<Conditions>>, Halt> {
    for page in history.pages() {
        if let Some(conditions) = first_conditions(&page?) {
            return Ok(Some(conditions.clone()));
        }
    }
    Ok(None)
}

/// The lock is uncontended by construction, and a poisoned one means that a turn panicked while it changed the
/// execution: going on with it could corrupt an instance.
pub(super) fn lock(execution: &SharedExecution) -> MutexGuard<'_, Execution> {
    execution.lock().expect("a turn panicked; its execution is never used again")
}
