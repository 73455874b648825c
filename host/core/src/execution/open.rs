//! The open work of an execution: what it has begun and what has not reported yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{any_action, any_entity_message, any_result};
use crate::{Event, InstanceId, Seq, Timestamp};

/// A rewind advances the sequence numbers to the next multiple of this. The forgotten turns used smaller numbers, so a late
/// result of theirs is never taken for that of a new action. No turn takes as many actions.
const REWIND_STRIDE: u32 = 1 << 22;

/// The open work of an execution. Following a live execution and reading its history give the same result, except for cancelled
/// timers, which a history does not record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenWork {
    pub timers: BTreeMap<Seq, Timestamp>,
    pub activities: BTreeSet<Seq>,
    /// The sub-orchestrations that it waits for.
    pub children: BTreeMap<Seq, InstanceId>,
    /// The entities whose operations it has called.
    pub operations: BTreeMap<Seq, InstanceId>,
    pub lock: Option<Lock>,
    next_seq: u32,
}

/// A lock that was requested and not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The number of the request.
    pub seq: Seq,
    pub entities: Vec<InstanceId>,
    /// The critical section has begun.
    pub granted: bool,
}

impl OpenWork {
    /// The number of the next action.
    pub fn next_seq(&self) -> Seq {
        Seq(self.next_seq)
    }

    /// Whether enough numbers are left for a rewind.
    pub fn can_rewind(&self) -> bool {
        self.next_seq < u32::MAX - 2 * REWIND_STRIDE
    }

    /// Updates the open work after an event.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::TaskScheduled { seq, .. } => {
                let seq = self.number(*seq);
                self.activities.insert(seq);
            }
            Event::SubOrchestrationInstanceCreated { seq, instance, detached, .. } => {
                let seq = self.number(*seq);
                if !detached {
                    self.children.insert(seq, instance.clone());
                }
            }
            Event::TimerCreated { seq, fire_at } => {
                let seq = self.number(*seq);
                self.timers.insert(seq, *fire_at);
            }
            Event::EntityOperationCalled { seq, entity, .. } => {
                let seq = self.number(*seq);
                self.operations.insert(seq, entity.clone());
            }
            Event::EntityLockRequested { seq, entities } => {
                let seq = self.number(*seq);
                self.lock = Some(Lock { seq, entities: entities.clone(), granted: false });
            }
            Event::EntityUnlockSent { seq, .. } => {
                self.number(*seq);
                self.lock = None;
            }
            Event::EventSent { seq, .. } | Event::EntityOperationSignaled { seq, .. } => {
                self.number(*seq);
            }
            Event::ExecutionRewound { .. } => self.next_seq = (self.next_seq / REWIND_STRIDE + 1) * REWIND_STRIDE,
            Event::TimerFired { .. } | any_result!() => self.close(event),
            Event::OrchestratorStarted { .. }
            | Event::ExecutionStarted { .. }
            | Event::EventRaised { .. }
            | Event::ExecutionSuspended { .. }
            | Event::ExecutionResumed { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionMigrated { .. }
            | Event::ExecutionCompleted { .. }
            | any_entity_message!() => {}
        }
    }

    fn number(&mut self, seq: Seq) -> Seq {
        self.next_seq = seq.0.saturating_add(1);
        seq
    }

    fn close(&mut self, event: &Event) {
        match result_of(event) {
            Some((Work::Activity, seq)) => drop(self.activities.remove(&seq)),
            Some((Work::Child, seq)) => drop(self.children.remove(&seq)),
            Some((Work::Timer, seq)) => drop(self.timers.remove(&seq)),
            Some((Work::Operation, seq)) if self.is_requested(seq) => self.lock = None,
            Some((Work::Operation, seq)) => drop(self.operations.remove(&seq)),
            Some((Work::Lock, seq)) => {
                if let Some(lock) = self.lock.as_mut().filter(|lock| lock.seq == seq) {
                    lock.granted = true;
                }
            }
            None => {}
        }
    }

    /// Whether this is the result of open work. None: it is not a result.
    pub fn awaits(&self, event: &Event) -> Option<bool> {
        let (work, seq) = result_of(event)?;
        Some(match work {
            Work::Activity => self.activities.contains(&seq),
            Work::Child => self.children.contains_key(&seq),
            Work::Timer => self.timers.contains_key(&seq),
            Work::Operation => self.operations.contains_key(&seq) || self.is_requested(seq),
            Work::Lock => self.is_requested(seq),
        })
    }

    /// Whether this is a lock request that was not granted yet. A refused one fails like an operation.
    fn is_requested(&self, seq: Seq) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.seq == seq && !lock.granted)
    }
}

enum Work {
    Activity,
    Child,
    Timer,
    Operation,
    Lock,
}

/// The work that a message is the result of.
fn result_of(event: &Event) -> Option<(Work, Seq)> {
    match event {
        Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } => Some((Work::Activity, *seq)),
        Event::SubOrchestrationInstanceCompleted { seq, .. } | Event::SubOrchestrationInstanceFailed { seq, .. } => {
            Some((Work::Child, *seq))
        }
        Event::TimerFired { seq, .. } => Some((Work::Timer, *seq)),
        Event::EntityOperationCompleted { seq, .. } | Event::EntityOperationFailed { seq, .. } => Some((Work::Operation, *seq)),
        Event::EntityLockGranted { seq } => Some((Work::Lock, *seq)),
        Event::OrchestratorStarted { .. }
        | Event::ExecutionStarted { .. }
        | Event::EventRaised { .. }
        | Event::ExecutionSuspended { .. }
        | Event::ExecutionResumed { .. }
        | Event::ExecutionTerminated { .. }
        | Event::ExecutionRewound { .. }
        | Event::ExecutionMigrated { .. }
        | any_action!()
        | any_entity_message!() => None,
    }
}
