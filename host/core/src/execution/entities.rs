//! Operations of entities, and critical sections.
//!
//! A critical section begins when the grant of its lock arrives, and ends with [`Execution::unlock_entities`] or with the
//! execution. Its rules make a deadlock impossible: an execution that holds locks never waits for another lock, nor for an
//! orchestration that might.

use super::tasks::Work;
use super::{Execution, Lock, Stopped, TaskId, arguments};
use crate::{Event, Failure, InstanceId, Payload, Timestamp};

impl Execution {
    /// Calls an operation of an entity. The task completes with its result.
    pub fn call_entity(&mut self, name: &str, key: &str, operation: &str, input: Payload) -> Result<TaskId, Stopped> {
        self.check("the input of an operation", &input)?;
        let called = arguments::entity(name, key).and_then(|entity| Ok((entity, arguments::operation(operation)?)));
        let (entity, operation) = match called {
            Ok(called) => called,
            Err(why) => return self.refused(why),
        };
        if let Some(section) = self.critical_section() {
            if !section.entities.contains(&entity) {
                return Err(self.violation(format!("'{entity}' is called in a critical section that has not locked it")));
            }
            if self.open.operations.range(section.seq..).any(|(_, called)| *called == entity) {
                return Err(self.violation(format!("'{entity}' is called in a critical section while a call of it is open")));
            }
        }
        let id = self.add_task(Work::Entity)?;
        self.take_owned(id, Event::EntityOperationCalled { seq: self.next_seq(), entity, operation, input })?;
        Ok(id)
    }

    /// Sends a one-way operation to an entity, at once or at a time.
    pub fn signal_entity(
        &mut self,
        name: &str,
        key: &str,
        operation: &str,
        input: Payload,
        deliver_at: Option<Timestamp>,
    ) -> Result<(), Stopped> {
        let entity = self.checked(arguments::entity(name, key))?;
        let operation = self.checked(arguments::operation(operation))?;
        self.check("the input of an operation", &input)?;
        if self.critical_section().is_some_and(|section| section.entities.contains(&entity)) {
            return Err(self.violation(format!("'{entity}' is signaled in the critical section that has locked it")));
        }
        self.take(Event::EntityOperationSignaled { seq: self.next_seq(), entity, operation, input, deliver_at })
    }

    /// Locks entities, each given by name and key. The task completes with `null` when all are locked, which begins the
    /// critical section. It ends with [`Execution::unlock_entities`], or with the execution.
    pub fn lock_entities(&mut self, entities: &[(String, String)]) -> Result<TaskId, Stopped> {
        let max = self.limits.entities_per_lock;
        if entities.len() > max {
            let message = format!("{} entities are locked at once, {max} are allowed (entities_per_lock)", entities.len());
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        if entities.is_empty() {
            return Err(self.violation("a critical section must lock an entity: the list is empty".into()));
        }
        let parsed: Result<Vec<InstanceId>, Failure> = entities.iter().map(|(name, key)| arguments::entity(name, key)).collect();
        let mut entities = match parsed {
            Ok(entities) => entities,
            Err(why) => return self.refused(why),
        };
        if let Some(lock) = &self.open.lock {
            let state = if lock.granted { "in a critical section" } else { "while a lock is requested" };
            return Err(self.violation(format!("entities are locked {state}")));
        }
        entities.sort_unstable();
        entities.dedup();
        let id = self.add_task(Work::Entity)?;
        self.take_owned(id, Event::EntityLockRequested { seq: self.next_seq(), entities })?;
        Ok(id)
    }

    /// Ends the critical section. Returns false if there is none.
    pub fn unlock_entities(&mut self) -> Result<bool, Stopped> {
        let Some(section) = self.critical_section() else { return Ok(false) };
        let entities = section.entities.clone();
        self.take(Event::EntityUnlockSent { seq: self.next_seq(), entities })?;
        Ok(true)
    }

    pub fn in_critical_section(&self) -> bool {
        self.critical_section().is_some()
    }

    pub(super) fn check_may_call_child(&mut self) -> Result<(), Stopped> {
        match self.in_critical_section() {
            true => Err(self.violation("a sub-orchestration is called in a critical section".into())),
            false => Ok(()),
        }
    }

    fn critical_section(&self) -> Option<&Lock> {
        self.open.lock.as_ref().filter(|lock| lock.granted)
    }

    fn violation(&mut self, message: String) -> Stopped {
        self.stop(Failure::permanent(Failure::LOCKING_RULES_VIOLATION, message))
    }
}
