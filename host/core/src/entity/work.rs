//! What a turn of an entity does, message by message.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::queue::deliver_at;
use super::turn::stays_hot;
use super::{EntityMemory, EntityTurn, EntityTurnResult, Operation, OperationResult, OperationScope, SharedOperation};
use crate::commit::{Commit, EntityState, InstanceRecord, RuntimeStatus, Timer, Usage};
use crate::event::{Delivery, Event, Message, Parent, any_action, any_result};
use crate::execution::{LogLevel, check_payload};
use crate::guest::{EntityGuest, NotNow, OperationError, StartError};
use crate::{Failure, InstanceId, MessageKey, Payload, Seq, Timestamp, VersionId};

/// The only timer of an entity: it fires for the first of the operations that wait for their time.
const WAKE_UP: Seq = Seq(0);

/// How a message was handled.
enum Handling {
    Done,
    /// Done, and messages that were held before it can be handled now.
    DoneReleaseHeld,
    Held,
}

/// A turn in progress.
pub(super) struct Work<'a> {
    turn: &'a EntityTurn<'a>,
    record_before: InstanceRecord,
    state_before: EntityState,
    record: InstanceRecord,
    state: EntityState,
    now: Timestamp,
    scope: SharedOperation,
    /// None: the next operation needs a fresh one.
    guest: Option<Box<dyn EntityGuest>>,
    /// Operations run in this turn, and bytes that they have sent and returned.
    ran: usize,
    bytes: usize,
    /// Bytes of the inputs of the operations.
    bytes_in: u64,
    /// The other messages must wait for the next turn.
    full: bool,
    /// Why no guest could be started at present.
    not_started: Option<NotNow>,
    held: Vec<Delivery>,
    consumed: Vec<MessageKey>,
    sent: Vec<Message>,
    timers_cleared: Vec<Timer>,
}

impl<'a> Work<'a> {
    pub fn new(turn: &'a EntityTurn<'a>, record: InstanceRecord, state: EntityState) -> Self {
        let now = turn.now.after_turn(record.updated);
        let scope = OperationScope::new(record.id.clone(), record.execution, now, turn.limits.clone());
        Self {
            turn,
            record_before: record.clone(),
            state_before: state.clone(),
            record,
            state,
            now,
            scope: Arc::new(Mutex::new(scope)),
            guest: None,
            ran: 0,
            bytes: 0,
            bytes_in: 0,
            full: false,
            not_started: None,
            held: Vec::new(),
            consumed: Vec::new(),
            sent: Vec::new(),
            timers_cleared: Vec::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A wake-up is never too early, even if the machine's clock was set back since it was found due.
    pub fn advance_to_timers(&mut self, inbox: &[Delivery]) {
        for delivery in inbox {
            if let Event::TimerFired { fire_at, .. } = delivery.message.event {
                self.now = self.now.max(fire_at);
            }
        }
        lock(&self.scope).now = self.now;
    }

    pub fn handle_all(&mut self, mut queue: VecDeque<Delivery>) {
        while let Some(delivery) = queue.pop_front() {
            match self.handle(&delivery) {
                Handling::Held => self.held.push(delivery),
                Handling::Done => self.consumed.extend(delivery.stored),
                Handling::DoneReleaseHeld => {
                    self.consumed.extend(delivery.stored);
                    self.held.drain(..).rev().for_each(|delivery| queue.push_front(delivery));
                }
            }
        }
    }

    fn handle(&mut self, delivery: &Delivery) -> Handling {
        if delivery.message.execution.is_some_and(|execution| execution != self.record.execution) {
            return Handling::Done;
        }
        match &delivery.message.event {
            Event::OperationRequested { .. } if deliver_at(delivery).is_some_and(|at| at > self.now) => Handling::Held,
            Event::OperationRequested { .. } if self.waits() => Handling::Held,
            Event::OperationRequested { operation, input, caller, .. } => {
                if self.is_locked_for(caller.as_ref()) {
                    return Handling::Held;
                }
                self.run(operation, input, caller.as_ref())
            }
            // Not an operation: a purge does not wait for a resume that may never come.
            Event::StatePurged if self.record.status == RuntimeStatus::Running && self.waits() => Handling::Held,
            Event::LockRequested { .. } | Event::LockReleased { .. } if self.waits() => Handling::Held,
            Event::LockRequested { entities, position, owner } => self.lock(entities, *position, owner),
            Event::LockReleased { entities, position, owner } => self.release(entities, *position, owner),
            Event::StatePurged => {
                self.state.state = None;
                Handling::Done
            }
            Event::TimerFired { seq, fire_at } => {
                self.timers_cleared.push(Timer { fire_at: *fire_at, seq: *seq });
                Handling::Done
            }
            Event::ExecutionSuspended { .. } => {
                self.record.status = RuntimeStatus::Suspended;
                Handling::Done
            }
            Event::ExecutionResumed { .. } => {
                self.record.status = RuntimeStatus::Running;
                self.record.halted = None;
                Handling::DoneReleaseHeld
            }
            Event::OrchestratorStarted { .. }
            | Event::ExecutionStarted { .. }
            | Event::ExecutionMigrated { .. }
            | Event::EventRaised { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionRewound { .. }
            | any_result!()
            | any_action!() => Handling::Done,
        }
    }

    /// Whether no operation may run now: the entity is suspended or halted, the turn has reached a limit, or no guest can be
    /// started. Then all messages wait, so that none overtakes another.
    fn waits(&mut self) -> bool {
        let limits = self.turn.limits;
        let stopped = self.record.status == RuntimeStatus::Suspended;
        let full = self.ran >= limits.operations_per_turn.max(1) || self.bytes >= limits.action_bytes_per_turn;
        let full = full || self.ran > 0 && self.turn.time.is_up();
        self.full |= full && !stopped;
        stopped || self.full || self.not_started.is_some()
    }

    fn is_locked_for(&self, caller: Option<&Parent>) -> bool {
        self.state.lock.as_ref().is_some_and(|owner| caller.is_none_or(|caller| caller.execution != owner.execution))
    }

    /// Runs one operation, with a guest that may have run others before.
    fn run(&mut self, name: &str, input: &Payload, caller: Option<&Parent>) -> Handling {
        let mut guest = match self.guest.take().map(Ok).or_else(|| self.turn.active_version.map(|version| self.start(version))) {
            Some(Ok(guest)) => guest,
            Some(Err(why)) => return self.not_started(why),
            None if self.record.version.is_some() => {
                return self.halt(format!("no active app has an entity '{}'", self.record.name));
            }
            None => {
                let message = format!("no active app has an entity '{}'", self.record.name);
                self.ran += 1;
                return self.failed(name, caller, Failure::permanent(Failure::ENTITY_NOT_FOUND, message));
            }
        };
        let operation = Operation {
            entity: self.record.name.clone(),
            key: self.record.id.as_entity().map_or_else(String::new, |(_, key)| key.to_owned()),
            name: name.to_owned(),
            input: input.clone(),
            state: self.state.state.clone(),
        };
        lock(&self.scope).begin(self.state.operations);
        let result = guest.run(&operation);
        let (sent, forgotten) = {
            let mut scope = lock(&self.scope);
            (scope.finish(), scope.take_forgotten())
        };
        if self.turn.time.was_cut_off() {
            self.full = true;
            return Handling::Held;
        }
        let result = match result {
            Ok(result) => Ok(result),
            Err(OperationError::Failed(failure)) => Err(failure),
            Err(OperationError::NotStarted(why)) => return self.not_started(why.into()),
        };
        self.ran += 1;
        self.bytes_in += input.len() as u64;
        self.state.operations += 1;
        self.record.updated = self.now;
        match sent.and_then(|sent| Ok((self.check(result?)?, sent))) {
            Ok((result, sent)) => {
                self.guest = Some(guest);
                self.bytes += result.output.len() + sent.iter().map(|message| message.event.payload_bytes()).sum::<usize>();
                self.state.state = result.state;
                self.sent.extend(sent);
                forgotten.iter().for_each(|operation| self.forget(operation));
                self.sent.extend(caller.map(|caller| {
                    caller.message(Event::EntityOperationCompleted { seq: caller.seq, result: result.output }, self.now)
                }));
                Handling::Done
            }
            Err(failure) => self.failed(name, caller, failure),
        }
    }

    fn start(&mut self, version: VersionId) -> Result<Box<dyn EntityGuest>, StartError> {
        let guest = self.turn.executor.start_entity(version, self.scope.clone())?;
        self.record.version = Some(version);
        Ok(guest)
    }

    fn check(&self, result: OperationResult) -> Result<OperationResult, Failure> {
        check_payload("the output", &result.output, self.turn.limits, Failure::INVALID_OUTPUT)?;
        if let Some(state) = &result.state {
            check_payload("the state", state, self.turn.limits, Failure::INVALID_OUTPUT)?;
            let grows = state.len() > self.state.state.as_ref().map_or(0, |before| before.len());
            if let Some(why) = self.turn.limits.no_room.as_ref().filter(|_| grows) {
                return Err(Failure::permanent(Failure::LIMIT_EXCEEDED, why.to_string()));
            }
        }
        Ok(result)
    }

    /// Reports an operation that failed and so changed nothing: to its caller, or to the log if it was a signal.
    fn failed(&mut self, operation: &str, caller: Option<&Parent>, failure: Failure) -> Handling {
        match caller {
            Some(caller) => {
                self.sent.push(caller.message(Event::EntityOperationFailed { seq: caller.seq, failure }, self.now));
            }
            None => lock(&self.scope).log(LogLevel::Warn, &format!("the signal '{operation}' failed: {failure}")),
        }
        Handling::Done
    }

    /// The operation waits until a guest can be started, or, if the entity is halted, until it is resumed.
    fn not_started(&mut self, why: StartError) -> Handling {
        match why {
            StartError::NotNow(why) => {
                self.not_started = Some(why);
                Handling::Held
            }
            StartError::Unable(why) => self.halt(why),
        }
    }

    /// Halts the entity with a diagnostic. Nothing is lost: all messages stay in the inbox.
    fn halt(&mut self, reason: String) -> Handling {
        let version = self.turn.active_version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        self.record.halted = Some(format!("{reason} (entity '{}', version {version})", self.record.name));
        self.record.status = RuntimeStatus::Suspended;
        Handling::Held
    }

    fn lock(&mut self, entities: &[InstanceId], position: u32, owner: &Parent) -> Handling {
        match &self.state.lock {
            _ if !self.is_at(entities, position) => return Handling::Done,
            Some(holder) if holder.is_same(owner) => return Handling::Done,
            Some(_) => return Handling::Held,
            None => self.state.lock = Some(owner.clone()),
        }
        let message = match entities.get(position as usize + 1) {
            Some(next) => {
                let (entities, owner) = (entities.to_vec(), owner.clone());
                self.to(next, Event::LockRequested { entities, position: position + 1, owner })
            }
            None => owner.message(Event::EntityLockGranted { seq: owner.seq }, self.now),
        };
        self.sent.push(message);
        Handling::Done
    }

    fn release(&mut self, entities: &[InstanceId], position: u32, owner: &Parent) -> Handling {
        if !self.is_at(entities, position) {
            return Handling::Done;
        }
        if let Some(next) = entities.get(position as usize + 1) {
            let (entities, owner) = (entities.to_vec(), owner.clone());
            self.sent.push(self.to(next, Event::LockReleased { entities, position: position + 1, owner }));
        }
        if self.state.lock.as_ref().is_some_and(|holder| holder.is_same(owner)) {
            self.state.lock = None;
            return Handling::DoneReleaseHeld;
        }
        let requested = |held: &mut Delivery| matches!(&held.message.event, Event::LockRequested { owner: other, .. } if other.is_same(owner));
        self.consumed.extend(self.held.extract_if(.., requested).filter_map(|request| request.stored));
        Handling::Done
    }

    /// Drops the signals of an operation that wait for their time.
    fn forget(&mut self, operation: &str) {
        let now = self.now;
        let waits = |held: &mut Delivery| match &held.message.event {
            Event::OperationRequested { operation: name, caller: None, deliver_at: Some(at), .. } => {
                name == operation && *at > now
            }
            _ => false,
        };
        for dropped in self.held.extract_if(.., waits) {
            self.timers_cleared.extend(deliver_at(&dropped).map(|fire_at| Timer { fire_at, seq: WAKE_UP }));
            self.consumed.extend(dropped.stored);
        }
    }

    fn is_at(&self, entities: &[InstanceId], position: u32) -> bool {
        entities.get(position as usize) == Some(&self.record.id)
    }

    fn to(&self, instance: &InstanceId, event: Event) -> Message {
        Message { to: instance.clone(), execution: None, sent_at: self.now, event }
    }

    /// Returns the commit and what stays in memory.
    pub fn finish(mut self) -> EntityTurnResult {
        // If operations have run, they are saved, so that no turn is repeated for ever.
        if self.ran == 0
            && let Some(why) = self.not_started
        {
            return EntityTurnResult { commit: None, memory: None, logs: Vec::new(), again: false, put_back: Some(why) };
        }
        self.full |= self.not_started.is_some();
        self.state.waiting = !self.held.is_empty();
        let next = self.held.iter().filter_map(deliver_at).filter(|at| *at > self.now).min();
        let timers_set: Vec<Timer> = next.into_iter().map(|fire_at| Timer { fire_at, seq: WAKE_UP }).collect();
        let kept: Vec<Message> = self.held.iter().filter(|held| held.stored.is_none()).map(|held| held.message.clone()).collect();
        let (logs, fuel) = {
            let mut scope = lock(&self.scope);
            (scope.take_logs(), scope.take_fuel())
        };
        let changed = self.state != self.state_before
            || self.record != self.record_before
            || !(self.consumed.is_empty() && kept.is_empty() && self.sent.is_empty())
            || !(timers_set.is_empty() && self.timers_cleared.is_empty());
        let vanishes = changed && self.may_vanish();
        if changed {
            let bytes_out = self.sent.iter().map(|message| message.event.payload_bytes() as u64).sum();
            let (operations, bytes_in) = (self.ran as u64, self.bytes_in);
            let spent = Usage { turns: 1, fuel, operations, bytes_in, bytes_out, ..Usage::default() };
            self.record.usage = self.record.usage.plus(spent);
        }
        let memory = (!vanishes && stays_hot(&self.held)).then(|| EntityMemory { state: self.state.clone(), waiting: self.held });
        let commit = changed.then(|| Commit {
            record: self.record,
            replaces: None,
            forgotten: 0..0,
            history: None,
            consumed: self.consumed,
            kept,
            sent: self.sent,
            timers_set,
            timers_cleared: self.timers_cleared,
            activities_set: Vec::new(),
            activities_cleared: Vec::new(),
            once: Vec::new(),
            entity: Some(self.state),
            vanishes,
            announced: None,
        });
        EntityTurnResult { commit, memory, logs, again: self.full, put_back: None }
    }

    /// Whether nothing keeps the entity: no state, no lock, no waiting messages, and none that it sent to itself.
    fn may_vanish(&self) -> bool {
        self.state.state.is_none()
            && self.state.lock.is_none()
            && !self.state.waiting
            && self.record.status == RuntimeStatus::Running
            && !self.sent.iter().any(|message| message.to == self.record.id)
    }
}

/// Uncontended by construction; a poisoned one means that a guest's host panicked, and the turn with it.
fn lock(scope: &SharedOperation) -> MutexGuard<'_, OperationScope> {
    scope.lock().expect("an operation panicked; its turn does not go on")
}
