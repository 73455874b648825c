//! One turn of an instance: from its inbox until it can go no further.
//!
//! ```text
//!   history ──replay──▶ execution + guest ◀──apply── inbox
//!   (cold only)               │ resume, once
//!                             ▼
//!                          Commit            and the execution and guest themselves, which stay hot
//! ```
//!
//! A turn does not access the store: it gets its inputs as arguments and returns its changes. A replay of a recorded turn and a
//! live turn run through the same [`crate::execution::Execution::apply`] and the same [`crate::Guest::resume`].
//!
//! - `live`: an execution and its guest, and how a replay restores them.
//! - `draft`: the commit under construction; `actions`: the effects of the guest's actions.
//! - `terminate`, `ended`, `rewind`: termination, messages after the end, and rewinding.
//! - `migrate`: moves an instance to another version; `rehearsal`: whether a history replays on a version.

use crate::commit::{Commit, EntityState, InstanceRecord, RuntimeStatus};
use crate::event::{Delivery, Event, HistoryEvent, Outcome};
use crate::execution::{Divergence, Execution, Limits, LogLine};
use crate::guest::{Executor, NotNow, StartError};
use crate::{Failure, FunctionName, Timestamp, VersionId};

mod actions;
mod draft;
mod ended;
mod history;
mod live;
mod migrate;
mod rehearsal;
mod rewind;
mod terminate;

use draft::Draft;
pub use history::{History, Pages};
pub use live::Live;
use live::lock;
use migrate::is_migration;
pub use rehearsal::{Rehearsal, Step};

/// What the host has in memory of an instance when a turn begins.
pub enum Memory {
    /// Its history (empty before the first turn), which is replayed to restore the guest.
    Cold(Box<dyn History>),
    /// The guest as the last turn left it.
    Hot(Live),
}

impl Memory {
    /// A cold instance whose history is in memory.
    pub fn cold(history: Vec<HistoryEvent>) -> Self {
        Memory::Cold(Box::new(history))
    }
}

/// The inputs of a turn, apart from its instance.
pub struct Turn<'a> {
    pub executor: &'a dyn Executor,
    pub limits: &'a Limits,
    pub now: Timestamp,
    /// The version for an execution that has none yet.
    pub begins_on: Result<VersionId, NoVersion>,
    /// The active version of the orchestrator's app, for an execution that is resumed after it was halted, or is rewound.
    pub active_version: Option<VersionId>,
}

/// Why an execution cannot begin, and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub enum NoVersion {
    Fails(Failure),
    /// It is halted until it is resumed, once there is a version for it.
    Halts(String),
}

impl NoVersion {
    pub fn unknown(name: &FunctionName) -> Self {
        NoVersion::Fails(Failure::permanent(
            Failure::ORCHESTRATOR_NOT_FOUND,
            format!("no active app has an orchestrator '{name}'"),
        ))
    }
}

/// Halts an instance whose turn the host could not finish because of a fault of its own. Keeps the messages that arrived and
/// the state of an entity. The instance must not have ended.
pub fn halt(record: InstanceRecord, entity: Option<EntityState>, now: Timestamp, inbox: Vec<Delivery>, why: &str) -> Commit {
    let mut draft = Draft::new(record, now);
    let inbox = draft.drop_stale(inbox);
    let commit = draft.halt(why, inbox);
    Commit { entity: entity.map(|state| EntityState { waiting: true, ..state }), ..commit }
}

/// The result of a turn.
pub struct TurnResult {
    /// None: nothing has changed.
    pub commit: Option<Commit>,
    /// The guest, if it waits.
    pub live: Option<Live>,
    pub logs: Vec<LogLine>,
    pub refused: Refusals,
    /// Why the guest could not be started at present: nothing has changed, and the turn must be run again later.
    pub put_back: Option<NotNow>,
}

/// Why requests of clients had no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// `ExecutionRewound`
    pub rewind: Option<String>,
    /// `ExecutionMigrated`
    pub migration: Option<String>,
}

impl TurnResult {
    fn of(commit: Option<Commit>) -> Self {
        Self { commit, live: None, logs: Vec::new(), refused: Refusals::default(), put_back: None }
    }

    fn put_back(why: NotNow) -> Self {
        Self { put_back: Some(why), ..Self::of(None) }
    }
}

/// The state of the guest at the end of its turn.
enum TurnEnd {
    Waiting,
    Ended(Outcome),
    /// Ended by the host, because of a broken rule or limit. The turn's actions have no effect.
    Aborted(Outcome),
}

/// Why a turn cannot go on. The text is shown to the operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Halt {
    /// The code diverges from the history.
    #[error("{0}")]
    Diverged(Box<Divergence>),
    #[error("{0}")]
    NotStarted(#[from] StartError),
    #[error("{0}")]
    Unable(String),
}

impl From<NotNow> for Halt {
    fn from(why: NotNow) -> Self {
        Halt::NotStarted(StartError::NotNow(why))
    }
}

impl Halt {
    /// Returns `Ok` if the cause passes by itself, so that the turn is put back instead of halting the instance.
    fn passing(self) -> Result<NotNow, Halt> {
        match self {
            Halt::NotStarted(StartError::NotNow(why)) => Ok(why),
            lasting @ (Halt::NotStarted(StartError::Unable(_)) | Halt::Diverged(_) | Halt::Unable(_)) => Err(lasting),
        }
    }

    fn because(why: &str) -> Self {
        Halt::Unable(why.into())
    }
}

/// The sequence number of the timer of a scheduled start: no action has it.
pub const START_TIMER: crate::Seq = crate::Seq(u32::MAX);

impl Turn<'_> {
    /// Runs one turn. `inbox` holds the messages in the order in which they arrived.
    ///
    /// The caller must pass in, besides the messages that arrived:
    /// - the stored inbox, for an instance that is `Suspended` if a message arrived that [`reaches_suspended`]; for one that is
    ///   `Pending` if its `ExecutionStarted` has not just arrived; and for one that is `Failed` if an `ExecutionRewound` has.
    ///   All of it in the last case; in the others as much of its beginning as one turn takes in, including the
    ///   `ExecutionStarted`;
    /// - the history of the record's turns, unless the instance is hot, which it must not be if an `ExecutionMigrated` arrived.
    ///   An ended instance needs it only if an `ExecutionRewound` arrived, and a suspended one only if a message arrived that
    ///   reaches it; otherwise an empty history will do.
    ///
    /// Messages of the wrong kind (entity messages, unexpected results) are consumed without effect.
    pub fn run(&self, record: InstanceRecord, memory: Memory, inbox: Vec<Delivery>) -> TurnResult {
        if record.status.is_terminal() {
            return self.run_ended(record, memory, inbox);
        }
        let mut draft = Draft::new(record, self.now);
        let inbox = draft.drop_stale(inbox);
        let (inbox, rewind) = draft.answer_rewinds(inbox);
        let (migrations, mut inbox): (Vec<_>, Vec<_>) = inbox.into_iter().partition(is_migration);
        draft.advance_to_timers(&inbox);
        let terminated = inbox.iter().any(|delivery| matches!(delivery.message.event, Event::ExecutionTerminated { .. }));
        let mut migration = None;
        let result = if terminated {
            migration = Some("it was terminated".to_owned());
            terminate::terminate(draft, &memory, inbox)
        } else if let Some(start_at) = draft.future_start(&inbox) {
            migration = Some(migrate::NOT_BEGUN.to_owned());
            draft.wait_for_start(start_at, inbox);
            TurnResult::of(draft.commit_if_changed())
        } else if draft.commit.record.status == RuntimeStatus::Suspended
            && migrations.is_empty()
            && !inbox.iter().any(|delivery| reaches_suspended(&delivery.message.event))
        {
            draft.keep_all(inbox);
            let live = match memory {
                Memory::Hot(live) => Some(live),
                Memory::Cold(_) => None,
            };
            TurnResult { live, ..TurnResult::of(draft.commit_if_changed()) }
        } else {
            match self.migrate(&draft, &memory, &migrations) {
                Ok(Some((version, live))) => {
                    draft.migrated(version, &mut inbox);
                    self.run_live(draft, live, inbox)
                }
                Ok(None) => self.go_on(draft, memory, inbox),
                Err(why) => match why.passing() {
                    Ok(why) => return TurnResult::put_back(why),
                    Err(why) => {
                        migration = Some(why.to_string());
                        self.go_on(draft, memory, inbox)
                    }
                },
            }
        };
        TurnResult { refused: Refusals { rewind, migration: migration.filter(|_| !migrations.is_empty()) }, ..result }
    }

    /// Takes in what arrived and resumes the guest, unless the instance is halted and stays so.
    fn go_on(&self, mut draft: Draft, memory: Memory, mut inbox: Vec<Delivery>) -> TurnResult {
        let own_version = draft.commit.record.version;
        let mut resumed = None;
        if draft.commit.record.halted.is_some() {
            let Some(resume) = inbox.iter().position(|d| is_taken_in_while_suspended(&d.message.event)) else {
                draft.keep_all(inbox);
                return TurnResult::of(draft.commit_if_changed());
            };
            draft.commit.record.halted = None;
            draft.commit.record.version = own_version.and(self.active_version.or(own_version));
            if matches!(inbox[resume].message.event, Event::ExecutionResumed { .. }) {
                resumed = Some(inbox.remove(resume));
            }
        }
        if draft.commit.record.version.is_none() {
            match &self.begins_on {
                Ok(version) => draft.commit.record.version = Some(*version),
                Err(NoVersion::Halts(reason)) => {
                    draft.consume_all(resumed.into_iter().collect());
                    return TurnResult::of(Some(draft.halt(reason, inbox)));
                }
                Err(NoVersion::Fails(_)) => {}
            }
        }
        let live = match memory {
            Memory::Hot(live) => Ok(live),
            Memory::Cold(history) => self.replay(&draft.commit.record, history.as_ref(), &inbox).map(|(live, events)| {
                draft.commit.record.usage.replayed_events += events as u64;
                live
            }),
        };
        match live {
            Ok(live) => {
                // It may have been suspended before it was halted.
                if let Some(resumed) = resumed {
                    inbox.insert(0, resumed);
                }
                if let Some(version) =
                    draft.commit.record.version.filter(|version| own_version.is_some_and(|own| own != *version))
                {
                    draft.migrated(version, &mut inbox);
                }
                self.run_live(draft, live, inbox)
            }
            Err(why) => match why.passing() {
                Ok(why) => TurnResult::put_back(why),
                Err(why) => {
                    // If the resume stayed in the inbox, it would resume the instance with the next message.
                    draft.consume_all(resumed.into_iter().collect());
                    let mut commit = draft.halt(&why.to_string(), inbox);
                    // The record changes to another version only when the instance has run on it.
                    commit.record.version = own_version.or(commit.record.version);
                    TurnResult::of(Some(commit))
                }
            },
        }
    }

    fn run_live(&self, mut draft: Draft, mut live: Live, inbox: Vec<Delivery>) -> TurnResult {
        {
            let mut execution = lock(&live.execution);
            self.go_on_under(&draft.commit.record, &mut execution);
            execution.begin_live_turn(draft.now);
            draft.take_in(&mut execution, inbox);
        }
        match live.run_guest().and_then(|rest| live.fail_if_history_full(rest)) {
            Ok(rest) => finish(draft, live, rest),
            Err(why) => match why.passing() {
                Ok(why) => TurnResult::put_back(why),
                // A live turn compares nothing and cannot diverge; if it ever did, the instance must not be lost.
                Err(why) => TurnResult::of(Some(draft.halt_after_intake(&why.to_string()))),
            },
        }
    }
}

impl Turn<'_> {
    /// Applies the current limits and conditions, under which a live turn runs.
    fn go_on_under(&self, record: &InstanceRecord, execution: &mut Execution) {
        execution.set_limits(self.limits);
        if let Some(version) = record.version {
            execution.go_on_under(&self.executor.conditions(version));
        }
    }
}

fn finish(mut draft: Draft, live: Live, rest: TurnEnd) -> TurnResult {
    let (commit, logs) = {
        let mut execution = lock(&live.execution);
        let effects = execution.end_live_turn();
        let usage = &mut draft.commit.record.usage;
        usage.turns += 1;
        usage.fuel = usage.fuel.saturating_add(execution.take_fuel());
        usage.bytes_out += effects.actions.iter().map(|action| action.payload_bytes() as u64).sum::<u64>();
        draft.finish(&mut execution, &rest, effects)
    };
    let live = matches!(rest, TurnEnd::Waiting).then_some(live);
    TurnResult { live, logs, ..TurnResult::of(commit) }
}

/// Whether a message may affect an instance that is suspended or halted; all others wait in its inbox. An `ExecutionSuspended`
/// does if the history does not have it yet, as with an imported instance.
pub fn reaches_suspended(event: &Event) -> bool {
    is_taken_in_while_suspended(event) || matches!(event, Event::ExecutionTerminated { .. } | Event::ExecutionSuspended { .. })
}

/// Whether an instance that is suspended or halted takes a message in.
fn is_taken_in_while_suspended(event: &Event) -> bool {
    matches!(
        event,
        Event::ExecutionResumed { .. }
            | Event::ExecutionStarted { .. }
            | Event::ExecutionRewound { .. }
            | Event::ExecutionMigrated { .. }
    )
}
