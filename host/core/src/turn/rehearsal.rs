//! A rehearsal replays a recorded history on some version. Nothing runs live, nothing is changed.

use super::live::first_conditions;
use super::{Halt, NoVersion, Turn};
use crate::commit::InstanceRecord;
use crate::event::HistoryEvent;
use crate::execution::{Limits, RecordedTurn};
use crate::guest::Executor;
use crate::{Timestamp, VersionId};

/// What a history is replayed against.
pub struct Rehearsal<'a> {
    pub executor: &'a dyn Executor,
    pub limits: &'a Limits,
    pub version: VersionId,
}

/// A turn whose replay matched the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'h> {
    /// From 0.
    pub turn: usize,
    pub at: Timestamp,
    /// All of its events.
    pub events: &'h [HistoryEvent],
}

impl Rehearsal<'_> {
    /// Replays the whole history of an instance's execution. `each` is called for every turn that matched, and returns whether
    /// to continue.
    ///
    /// `Err`: the code diverges, or the guest cannot be started.
    pub fn run<'h>(
        &self,
        record: &InstanceRecord,
        history: &'h [HistoryEvent],
        mut each: impl FnMut(Step<'h>) -> bool,
    ) -> Result<(), Halt> {
        let turn = Turn {
            executor: self.executor,
            limits: self.limits,
            now: record.updated,
            begins_on: Err(NoVersion::unknown(&record.name)),
            active_version: None,
        };
        let record = InstanceRecord { version: Some(self.version), ..record.clone() };
        let turns = RecordedTurn::split(history);
        let mut live = turn.start(&record, history.iter().map(|entry| &entry.event), first_conditions(history))?;
        let mut begin = 0;
        for (number, recorded) in turns.into_iter().enumerate() {
            let (at, end) = (recorded.at, recorded.end);
            live.replay_turn(recorded)?;
            if !each(Step { turn: number, at, events: &history[begin..end] }) {
                return Ok(());
            }
            begin = end;
        }
        Ok(())
    }
}
