//! One turn of an entity: handles all waiting messages that may be handled.

use super::queue::in_order;
use super::work::Work;
use crate::commit::{Commit, EntityState, InstanceRecord};
use crate::execution::{Limits, LogLine};
use crate::guest::{Executor, NotNow};
use crate::{Delivery, Timestamp, VersionId};

/// Messages that an entity may keep in memory between turns, and their bytes. With more, each turn loads it from the store.
const HOT_MESSAGES_MAX: usize = 10_000;
const HOT_BYTES_MAX: usize = 16 << 20;

/// The inputs of a turn, apart from its entity.
pub struct EntityTurn<'a> {
    pub executor: &'a dyn Executor,
    pub limits: &'a Limits,
    pub now: Timestamp,
    /// The active version of the app that holds the entity function.
    pub active_version: Option<VersionId>,
    pub time: &'a dyn TurnTime,
}

/// Limits the time of a turn. The host implements it, because the core reads no clock.
pub trait TurnTime {
    /// Whether further operations must wait for the next turn. One is run in any case.
    fn is_up(&self) -> bool;

    /// Whether the guest was stopped in the middle of the last operation, which then counts as not run.
    fn was_cut_off(&self) -> bool;
}

/// A turn without a time limit.
pub struct Untimed;

impl TurnTime for Untimed {
    fn is_up(&self) -> bool {
        false
    }

    fn was_cut_off(&self) -> bool {
        false
    }
}

/// What the host has in memory of an entity between turns. For a cold entity: its stored state, and its whole stored inbox if
/// `state.waiting`.
#[derive(Debug, Clone, Default)]
pub struct EntityMemory {
    pub state: EntityState,
    /// Messages that wait in its inbox: for the lock, for their time, for it to be resumed, or for the next turn.
    pub waiting: Vec<Delivery>,
}

/// The result of a turn.
pub struct EntityTurnResult {
    /// None: nothing has changed.
    pub commit: Option<Commit>,
    /// To be kept for the next turn. None: the entity is gone, or its next turn must load it from the store, because too
    /// much waits or because messages were kept whose keys only the store knows.
    pub memory: Option<EntityMemory>,
    pub logs: Vec<LogLine>,
    /// More messages wait than one turn may take: another turn must follow, even if nothing arrives.
    pub again: bool,
    /// Why the guest could not be started at present: nothing has changed, and the turn must be run again later.
    pub put_back: Option<NotNow>,
}

impl EntityTurn<'_> {
    /// Runs one turn. `inbox` holds what has arrived; a message that is also in `memory.waiting` is taken once.
    ///
    /// Messages that are not for entities are consumed without effect.
    pub fn run(&self, record: InstanceRecord, memory: EntityMemory, inbox: Vec<Delivery>) -> EntityTurnResult {
        let EntityMemory { state, waiting } = memory;
        let mut work = Work::new(self, record, state);
        work.advance_to_timers(&inbox);
        let queue = in_order(waiting, inbox, work.now());
        work.handle_all(queue);
        work.finish()
    }
}

/// Whether messages may stay in memory.
pub(super) fn stays_hot(waiting: &[Delivery]) -> bool {
    waiting.len() <= HOT_MESSAGES_MAX
        && waiting.iter().map(|delivery| delivery.message.event.payload_bytes()).sum::<usize>() <= HOT_BYTES_MAX
        && waiting.iter().all(|delivery| delivery.stored.is_some())
}
