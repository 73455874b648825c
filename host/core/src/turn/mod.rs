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
//! a live turn run through the same [`crate::execution::Execution::apply`] and the same [`crate::Guest::resume`].
//!
//! - `live`: an execution and its guest, brought to where they were.
//! - `draft`: the commit in the making; `actions`: what follows from what the guest did.
//! - `terminate`, `ended`, `rewind`: ends from outside, what comes after the end, and the way back.

use crate::commit::{Commit, InstanceRecord};
use crate::event::{Delivery, Event, HistoryEvent, Outcome};
use crate::execution::{Limits, LogLine};
use crate::guest::Executor;
use crate::{Timestamp, VersionId};

mod actions;
mod draft;
mod ended;
mod live;
mod rewind;
mod terminate;

use draft::Draft;
pub use live::Live;
use live::lock;

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
    /// was halted and is resumed, or is rewound.
    pub active_version: Option<VersionId>,
}

/// What a turn leads to.
pub struct TurnResult {
    /// None: nothing has changed.
    pub commit: Option<Commit>,
    /// The guest, if it waits.
    pub live: Option<Live>,
    pub logs: Vec<LogLine>,
    /// Why a client's `ExecutionRewound` had no effect.
    pub refused: Option<String>,
}

impl TurnResult {
    fn of(commit: Option<Commit>) -> Self {
        Self { commit, live: None, logs: Vec::new(), refused: None }
    }
}

/// How the guest stands at the end of its turn.
enum Rest {
    Waiting,
    Ended(Outcome),
    /// Ended by the host: a limit. Nothing that the turn did takes effect.
    Aborted(Outcome),
}

/// Why a turn cannot go on, and what the operator is told.
struct Halt(String);

/// The sequence number of the timer that a scheduled start sets: no action has it.
pub const START_TIMER: crate::Seq = crate::Seq(u32::MAX);

impl Turn<'_> {
    /// Runs one turn. `inbox` holds the messages in the order in which they arrived.
    ///
    /// What must be handed in, besides what arrived:
    /// - the whole stored inbox, for an instance that is `Suspended`; for one that is `Pending` if its `ExecutionStarted`
    ///   is not among what arrived; and for one that is `Failed` if an `ExecutionRewound` is;
    /// - the history of the record's turns, for an instance that is not hot. One that has ended needs it only if an
    ///   `ExecutionRewound` arrived; otherwise an empty one does.
    ///
    /// Messages of the wrong kind (those of entities, results that nobody expects) are consumed without effect.
    pub fn run(&self, record: InstanceRecord, memory: Memory, inbox: Vec<Delivery>) -> TurnResult {
        if record.status.is_terminal() {
            return self.run_ended(record, memory, inbox);
        }
        let mut draft = Draft::new(record, self.now);
        let inbox = draft.drop_stale(inbox);
        let (inbox, refused) = draft.answer_rewinds(inbox);
        draft.not_before_timers(&inbox);
        let terminated = inbox.iter().any(|delivery| matches!(delivery.message.event, Event::ExecutionTerminated { .. }));
        let result = if terminated {
            terminate::terminate(draft, &memory, inbox)
        } else if let Some(start_at) = draft.start_to_come(&inbox) {
            draft.wait_for_start(start_at, inbox);
            TurnResult::of(draft.commit_if_changed())
        } else {
            self.go_on(draft, memory, inbox)
        };
        TurnResult { refused, ..result }
    }

    /// Takes in what arrived and resumes the guest, unless the instance is halted and stays so.
    fn go_on(&self, mut draft: Draft, memory: Memory, mut inbox: Vec<Delivery>) -> TurnResult {
        if draft.record.halted.is_some() {
            let Some(resume) = inbox.iter().position(|d| passes_suspension(&d.message.event)) else {
                draft.keep_all(inbox);
                return TurnResult::of(draft.commit_if_changed());
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
            Memory::Cold(history) => {
                draft.record.usage.replayed_events += history.len() as u64;
                self.replay(&draft.record, &history, &inbox)
            }
        };
        match live {
            Ok(live) => run_live(draft, live, inbox),
            Err(Halt(reason)) => TurnResult::of(Some(draft.halt(reason, inbox))),
        }
    }
}

fn run_live(mut draft: Draft, mut live: Live, inbox: Vec<Delivery>) -> TurnResult {
    {
        let mut execution = lock(&live.execution);
        execution.begin_live_turn(draft.now);
        draft.take_in(&mut execution, inbox);
    }
    match live.run_guest() {
        Ok(rest) => finish(draft, live, rest),
        // A live turn compares nothing; but if it ever did, the instance must not be lost.
        Err(Halt(reason)) => TurnResult::of(Some(draft.halt_after_intake(reason))),
    }
}

fn finish(mut draft: Draft, live: Live, rest: Rest) -> TurnResult {
    let (commit, logs) = {
        let mut execution = lock(&live.execution);
        let effects = execution.end_live_turn();
        let usage = &mut draft.record.usage;
        usage.turns += 1;
        usage.fuel = usage.fuel.saturating_add(execution.take_fuel());
        usage.bytes_out += effects.actions.iter().map(|action| action.payload_bytes() as u64).sum::<u64>();
        draft.finish(&mut execution, &rest, effects)
    };
    let live = matches!(rest, Rest::Waiting).then_some(live);
    TurnResult { commit, live, logs, refused: None }
}

/// Whether a message reaches an instance that is suspended or halted.
fn passes_suspension(event: &Event) -> bool {
    matches!(event, Event::ExecutionResumed { .. } | Event::ExecutionStarted { .. } | Event::ExecutionRewound { .. })
}
