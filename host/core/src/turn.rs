//! One turn of an instance: from its inbox until it can go no further.
//!
//! ```text
//!   history ──replay──▶ execution + guest ◀──apply── inbox
//!   (cold only)               │ resume, once
//!                             ▼
//!                          Commit            and the execution and guest themselves, which stay hot
//! ```
//!
//! A turn touches no store: what it needs is handed in, what it changes is handed out. A replay of a recorded turn and
//! a live turn run through the same [`Execution::apply`] and the same [`Guest::resume`].

use std::sync::{Arc, Mutex};

use crate::commit::{Commit, HistoryChunk, InstanceRecord, RuntimeStatus, Timer};
use crate::event::{Delivery, Event, HistoryEvent, Message, Outcome};
use crate::execution::{Context, Execution, Fault, Limits, LogLine, RecordedTurn, TurnEffects};
use crate::guest::{Executor, Guest, SharedExecution, Step};
use crate::{ExecutionId, Failure, MessageKey, Seq, Timestamp, VersionId};

/// An execution and its guest, suspended inside a wait.
pub struct Live {
    execution: SharedExecution,
    guest: Box<dyn Guest>,
}

/// What is in memory of an instance when a turn begins.
pub enum Memory {
    /// Its history (empty before the first turn): the guest is brought to where it was by replaying it.
    Cold(Vec<HistoryEvent>),
    /// The guest as the last turn left it.
    Hot(Live),
}

/// What a turn works with, besides its instance.
pub struct Turn<'a> {
    pub executor: &'a dyn Executor,
    pub limits: &'a Limits,
    pub now: Timestamp,
    /// The active version of the app that holds the orchestrator: for an execution that has none yet, and for one that
    /// was halted and is resumed.
    pub active_version: Option<VersionId>,
}

/// What a turn leads to.
pub struct TurnResult {
    /// None: nothing has changed.
    pub commit: Option<Commit>,
    /// The guest, if it waits.
    pub live: Option<Live>,
    pub logs: Vec<LogLine>,
}

/// How the guest stands at the end of its turn.
enum Rest {
    Waiting,
    Ended(Outcome),
    /// Ended by the host: a limit, a termination. Nothing that the turn did takes effect.
    Aborted(Outcome),
}

/// Why a turn cannot go on, and what the operator is told.
struct Halt(String);

impl Turn<'_> {
    /// Runs one turn. `inbox` holds the messages in the order in which they arrived.
    pub fn run(&self, record: InstanceRecord, memory: Memory, inbox: Vec<Delivery>) -> TurnResult {
        if record.status.is_terminal() {
            return TurnResult { commit: after_the_end(record, inbox), live: None, logs: Vec::new() };
        }
        let mut draft = Draft::new(record, self.now);
        let mut inbox = draft.drop_stale(inbox);
        draft.not_before_timers(&inbox);
        if draft.record.halted.is_some() {
            let Some(resume) = inbox.iter().position(|d| passes_suspension(&d.message.event)) else {
                draft.keep_all(inbox);
                return TurnResult { commit: draft.commit_if_changed(), live: None, logs: Vec::new() };
            };
            draft.record.halted = None;
            draft.record.version = self.active_version.or(draft.record.version);
            if matches!(inbox[resume].message.event, Event::ExecutionResumed { .. }) {
                draft.consume(inbox.remove(resume).stored);
            }
        }
        draft.record.version = draft.record.version.or(self.active_version);
        let live = match memory {
            Memory::Hot(live) => Ok(live),
            Memory::Cold(history) => self.replay(&draft.record, &history, &inbox),
        };
        match live {
            Ok(live) => self.run_live(draft, live, inbox),
            Err(Halt(reason)) => TurnResult { commit: Some(draft.halt(reason, inbox)), live: None, logs: Vec::new() },
        }
    }

    /// Brings a cold instance to where its history ends.
    fn replay(&self, record: &InstanceRecord, history: &[HistoryEvent], inbox: &[Delivery]) -> Result<Live, Halt> {
        let mut events = history.iter().map(|e| &e.event).chain(inbox.iter().map(|d| &d.message.event));
        let start = events.find(|event| matches!(event, Event::ExecutionStarted { .. }));
        let Some(context) = start.and_then(|event| context(record, event)) else {
            return Err(Halt("its history does not begin with ExecutionStarted".into()));
        };
        let execution = Arc::new(Mutex::new(Execution::new(context, self.limits.clone())));
        let guest = match record.version {
            Some(version) => self.executor.start(version, execution.clone()).map_err(Halt)?,
            None => Box::new(Missing(record.name.to_string())),
        };
        let mut live = Live { execution, guest };
        for turn in RecordedTurn::split(history) {
            live.replay_turn(turn)?;
        }
        Ok(live)
    }

    fn run_live(&self, mut draft: Draft, mut live: Live, inbox: Vec<Delivery>) -> TurnResult {
        lock(&live.execution).begin_live_turn(draft.now);
        let terminated = draft.take_in(&mut lock(&live.execution), inbox);
        let rest = match terminated {
            Some(reason) => {
                let outcome = Outcome::Terminated { reason };
                lock(&live.execution).abort(outcome.clone());
                Ok(Rest::Aborted(outcome))
            }
            None => live.run_guest(),
        };
        let rest = match rest {
            Ok(rest) => rest,
            // A live turn compares nothing; but if it ever did, the instance must not be lost.
            Err(Halt(reason)) => {
                return TurnResult { commit: Some(draft.halt_after_intake(reason)), live: None, logs: Vec::new() };
            }
        };
        let mut execution = lock(&live.execution);
        let effects = execution.end_live_turn();
        let (commit, logs) = draft.finish(&mut execution, &rest, effects);
        drop(execution);
        let live = matches!(rest, Rest::Waiting).then_some(live);
        TurnResult { commit, live, logs }
    }
}

impl Live {
    fn replay_turn(&mut self, turn: RecordedTurn<'_>) -> Result<(), Halt> {
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
            Some(Fault::Diverged(divergence)) => Err(Halt(divergence.to_string())),
            Some(Fault::Failed(_)) | None => Ok(()),
        }
    }

    /// Resumes the guest if it has something to go on with. The same for replay and live.
    fn run_guest(&mut self) -> Result<Rest, Halt> {
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

/// What a fault leads to: a divergence halts, a broken rule fails the instance.
fn settle(execution: &mut Execution, fault: Fault) -> Result<Rest, Halt> {
    match fault {
        Fault::Diverged(divergence) => Err(Halt(divergence.to_string())),
        Fault::Failed(failure) => {
            let outcome = Outcome::Failed(failure);
            execution.abort(outcome.clone());
            match execution.fault().cloned() {
                Some(Fault::Diverged(divergence)) => Err(Halt(divergence.to_string())),
                Some(Fault::Failed(_)) | None => Ok(Rest::Aborted(outcome)),
            }
        }
    }
}

fn context(record: &InstanceRecord, started: &Event) -> Option<Context> {
    let Event::ExecutionStarted { execution, name, input, version, parent } = started else { return None };
    Some(Context {
        instance: record.id.clone(),
        execution: *execution,
        name: name.clone(),
        input: input.clone(),
        version_label: version.clone(),
        parent: parent.clone(),
    })
}

/// Stands in for the guest of an orchestrator that no active app holds.
struct Missing(String);

impl Guest for Missing {
    fn resume(&mut self) -> Step {
        Step::Ended(Err(Failure::permanent(
            Failure::ORCHESTRATOR_NOT_FOUND,
            format!("no active app has an orchestrator '{}'", self.0),
        )))
    }
}

/// The lock is uncontended by construction, and a poisoned one means that a turn panicked while it changed the
/// execution: going on with it could corrupt an instance.
fn lock(execution: &SharedExecution) -> std::sync::MutexGuard<'_, Execution> {
    execution.lock().expect("a turn panicked; its execution is never used again")
}

/// Whether a message reaches an instance that is suspended or halted.
fn passes_suspension(event: &Event) -> bool {
    matches!(event, Event::ExecutionResumed { .. } | Event::ExecutionTerminated { .. } | Event::ExecutionStarted { .. })
}

/// What is left to do for an instance that has ended: clear its inbox, and results that nobody waits for.
fn after_the_end(record: InstanceRecord, inbox: Vec<Delivery>) -> Option<Commit> {
    let mut draft = Draft::new(record.clone(), record.updated);
    for delivery in draft.drop_stale(inbox) {
        draft.clear_source(&delivery.message.event);
        draft.consume(delivery.stored);
    }
    draft.commit_if_changed()
}

/// A commit in the making.
struct Draft {
    record: InstanceRecord,
    now: Timestamp,
    changed: bool,
    events: Vec<HistoryEvent>,
    consumed: Vec<MessageKey>,
    kept: Vec<Message>,
    timers_cleared: Vec<Timer>,
    activities_cleared: Vec<Seq>,
}

impl Draft {
    fn new(record: InstanceRecord, now: Timestamp) -> Self {
        Self {
            // Time never runs backwards for an instance, whatever the machine's clock does.
            now: now.max(record.updated),
            record,
            changed: false,
            events: Vec::new(),
            consumed: Vec::new(),
            kept: Vec::new(),
            timers_cleared: Vec::new(),
            activities_cleared: Vec::new(),
        }
    }

    fn consume(&mut self, stored: Option<MessageKey>) {
        self.consumed.extend(stored);
    }

    /// Drops the messages that are for an execution that has ended.
    fn drop_stale(&mut self, inbox: Vec<Delivery>) -> Vec<Delivery> {
        let current = self.record.execution;
        let (fresh, stale): (Vec<_>, Vec<_>) = inbox.into_iter().partition(|d| d.message.execution.is_none_or(|e| e == current));
        self.consumed.extend(stale.into_iter().filter_map(|d| d.stored));
        fresh
    }

    /// A guest must not see a timer fire early, even if the machine's clock was set back since it was found due.
    fn not_before_timers(&mut self, inbox: &[Delivery]) {
        for delivery in inbox {
            if let Event::TimerFired { fire_at, .. } = delivery.message.event {
                self.now = self.now.max(fire_at);
            }
        }
    }

    /// A message takes the place of the timer or the activity that it came from.
    fn clear_source(&mut self, event: &Event) {
        match event {
            Event::TimerFired { seq, fire_at } => self.timers_cleared.push(Timer { fire_at: *fire_at, seq: *seq }),
            Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } => self.activities_cleared.push(*seq),
            _ => {}
        }
    }

    /// Leaves a message in the inbox, for when the instance is resumed.
    fn keep(&mut self, delivery: Delivery) {
        if delivery.stored.is_none() {
            self.clear_source(&delivery.message.event);
            self.kept.push(delivery.message);
        }
    }

    fn keep_all(&mut self, inbox: Vec<Delivery>) {
        inbox.into_iter().for_each(|delivery| self.keep(delivery));
    }

    /// Applies the messages that concern the execution, and notes them for the history. Returns the reason if one of
    /// them terminates it.
    fn take_in(&mut self, execution: &mut Execution, inbox: Vec<Delivery>) -> Option<String> {
        let mut held: Vec<Delivery> = Vec::new();
        let mut queue: std::collections::VecDeque<Delivery> = inbox.into();
        while let Some(delivery) = queue.pop_front() {
            if execution.is_suspended() && !passes_suspension(&delivery.message.event) {
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
            let terminated = match &event {
                Event::ExecutionTerminated { reason } => Some(reason.clone()),
                _ => None,
            };
            if matches!(event, Event::ExecutionResumed { .. }) {
                held.drain(..).rev().for_each(|delivery| queue.push_front(delivery));
            }
            self.events.push(HistoryEvent { at: sent_at, event });
            if terminated.is_some() {
                queue.into_iter().chain(held).for_each(|delivery| self.consume(delivery.stored));
                return terminated;
            }
        }
        self.keep_all(held);
        None
    }

    /// Makes the commit of a turn that ran.
    fn finish(mut self, execution: &mut Execution, rest: &Rest, effects: TurnEffects) -> (Option<Commit>, Vec<LogLine>) {
        let TurnEffects { actions, timers_cleared, activities_cleared, logs } = effects;
        self.timers_cleared.extend(timers_cleared);
        self.activities_cleared.extend(activities_cleared);
        self.record.custom_status = execution.custom_status().cloned().or(self.record.custom_status);
        if self.events.is_empty() && actions.is_empty() && self.record.status != RuntimeStatus::Pending {
            return (self.commit_if_changed(), logs);
        }
        self.changed = true;
        let commit = match rest {
            Rest::Waiting => {
                self.record.status = if execution.is_suspended() { RuntimeStatus::Suspended } else { RuntimeStatus::Running };
                self.acted(actions, true)
            }
            Rest::Ended(Outcome::ContinuedAsNew { input }) => {
                self.continued_as_new(input.clone(), actions, execution.take_unread())
            }
            Rest::Ended(outcome) => self.ended(outcome, actions, true),
            Rest::Aborted(outcome) => self.ended(outcome, actions, false),
        };
        (Some(commit), logs)
    }

    fn ended(mut self, outcome: &Outcome, actions: Vec<Event>, effective: bool) -> Commit {
        let seq = self.record.parent.as_ref().map_or(Seq(0), |parent| parent.seq);
        let (status, report) = match outcome {
            Outcome::Completed(result) => {
                (RuntimeStatus::Completed, Event::SubOrchestrationInstanceCompleted { seq, result: result.clone() })
            }
            Outcome::Failed(failure) => {
                (RuntimeStatus::Failed, Event::SubOrchestrationInstanceFailed { seq, failure: failure.clone() })
            }
            Outcome::Terminated { reason } => {
                let failure = Failure::permanent(Failure::TERMINATED, format!("the instance was terminated: {reason}"));
                (RuntimeStatus::Terminated, Event::SubOrchestrationInstanceFailed { seq, failure })
            }
            Outcome::ContinuedAsNew { .. } => unreachable!("handled by continued_as_new"),
        };
        self.record.status = status;
        let (sent_at, parent) = (self.now, self.record.parent.clone());
        let mut commit = self.acted(actions, effective);
        commit.sent.extend(parent.map(|parent| Message {
            to: parent.instance,
            execution: Some(parent.execution),
            sent_at,
            event: report,
        }));
        commit
    }

    /// A fresh start: the history goes, unread events come along.
    fn continued_as_new(mut self, input: crate::Payload, actions: Vec<Event>, unread: Vec<Event>) -> Commit {
        let mut sent = self.messages_of(&actions);
        let old = &self.record;
        let execution = ExecutionId(old.execution.derive("continue-as-new"));
        let started = Event::ExecutionStarted {
            execution,
            name: old.name.clone(),
            input,
            version: old.version_label.clone(),
            parent: old.parent.clone(),
        };
        let to_self = |event| Message { to: old.id.clone(), execution: None, sent_at: self.now, event };
        sent.push(to_self(started));
        sent.extend(unread.into_iter().map(to_self));
        let forgotten = old.turns.clone();
        self.record.execution = execution;
        self.record.version = None;
        self.record.status = RuntimeStatus::Running;
        self.record.turns = forgotten.end..forgotten.end;
        Commit { forgotten, sent, ..self.into_commit() }
    }

    /// Writes the turn down: what came, what the guest did, and what follows from it. An aborted turn has no effects.
    fn acted(mut self, actions: Vec<Event>, effective: bool) -> Commit {
        let (mut sent, mut timers_set, mut activities_set) = (Vec::new(), Vec::new(), Vec::new());
        if effective {
            sent = self.messages_of(&actions);
            for action in &actions {
                match action {
                    Event::TimerCreated { seq, fire_at } => timers_set.push(Timer { fire_at: *fire_at, seq: *seq }),
                    Event::TaskScheduled { seq, .. } => activities_set.push(*seq),
                    _ => {}
                }
            }
            // What was set and given up in the same turn never comes to be.
            timers_set.retain(|timer| !self.timers_cleared.contains(timer));
        }
        let turn = self.record.turns.end;
        self.record.turns.end += 1;
        let at = self.now;
        let started = HistoryEvent { at, event: Event::OrchestratorStarted };
        let came = std::mem::take(&mut self.events);
        let did = actions.into_iter().map(|event| HistoryEvent { at, event });
        let events = [started].into_iter().chain(came).chain(did).collect();
        Commit { history: Some(HistoryChunk { turn, events }), sent, timers_set, activities_set, ..self.into_commit() }
    }

    fn messages_of(&self, actions: &[Event]) -> Vec<Message> {
        let record = &self.record;
        let to =
            |instance: &crate::InstanceId, event| Message { to: instance.clone(), execution: None, sent_at: self.now, event };
        let mut sent = Vec::new();
        for action in actions {
            match action {
                Event::SubOrchestrationInstanceCreated { seq, name, instance, input, detached } => {
                    let parent = (!detached).then(|| crate::Parent {
                        name: record.name.clone(),
                        instance: record.id.clone(),
                        execution: record.execution,
                        seq: *seq,
                    });
                    let started = Event::ExecutionStarted {
                        execution: ExecutionId(record.execution.derive(&format!("child:{seq}"))),
                        name: name.clone(),
                        input: input.clone(),
                        version: String::new(),
                        parent,
                    };
                    sent.push(to(instance, started));
                }
                Event::EventSent { instance, name, data, .. } => {
                    sent.push(to(instance, Event::EventRaised { name: name.clone(), data: data.clone() }));
                }
                _ => {}
            }
        }
        sent
    }

    /// Stops work on the instance with a diagnostic. Nothing is lost: what came stays in the inbox.
    fn halt(mut self, reason: String, inbox: Vec<Delivery>) -> Commit {
        self.keep_all(inbox);
        self.halt_after_intake(reason)
    }

    fn halt_after_intake(mut self, reason: String) -> Commit {
        let version = self.record.version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        self.record.halted = Some(format!("{reason} (orchestrator '{}', version {version})", self.record.name));
        self.record.status = RuntimeStatus::Suspended;
        self.into_commit()
    }

    fn commit_if_changed(self) -> Option<Commit> {
        let changed = self.changed
            || !self.consumed.is_empty()
            || !self.kept.is_empty()
            || !self.timers_cleared.is_empty()
            || !self.activities_cleared.is_empty();
        changed.then(|| self.into_commit())
    }

    fn into_commit(mut self) -> Commit {
        if !self.record.status.is_terminal() || self.changed {
            self.record.updated = self.now;
        }
        Commit {
            record: self.record,
            replaces: None,
            forgotten: 0..0,
            history: None,
            consumed: self.consumed,
            kept: self.kept,
            sent: Vec::new(),
            timers_set: Vec::new(),
            timers_cleared: self.timers_cleared,
            activities_set: Vec::new(),
            activities_cleared: self.activities_cleared,
        }
    }
}
