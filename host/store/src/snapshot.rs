//! Snapshots of single instances, which move them from one hub to another.

use std::ops::Range;

use dacapo_core::commit::Timer;
use dacapo_core::{EntityState, Event, HistoryChunk, InstanceId, InstanceRecord, Message, Seq};

/// All that is stored of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub record: InstanceRecord,
    /// The history of the record's turns, in order.
    pub history: Vec<HistoryChunk>,
    /// The messages that it has not consumed, in the order in which they were stored.
    pub inbox: Vec<Message>,
    pub timers: Vec<Timer>,
    /// The activities that have not reported, each with the turn that scheduled it.
    pub activities: Vec<(Seq, u32)>,
    /// None for an orchestration.
    pub entity: Option<EntityState>,
}

/// Why the parts of a snapshot are inconsistent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("its history does not match its turns {0:?}")]
    Turns(Range<u32>),
    #[error("its id, its state and its turns do not agree on whether it is an entity")]
    EntityMismatch,
    #[error("its inbox has a message for '{0}'")]
    ForeignMessage(InstanceId),
    #[error("its turn {turn} does not schedule the activity {seq}")]
    UnscheduledActivity { turn: u32, seq: Seq },
}

impl Snapshot {
    /// Checks that its parts are consistent: what is stored must be readable, wherever it came from.
    pub fn check(&self) -> Result<(), SnapshotError> {
        let record = &self.record;
        if !self.history.iter().map(|chunk| chunk.turn).eq(record.turns.clone()) {
            return Err(SnapshotError::Turns(record.turns.clone()));
        }
        if record.id.is_entity() != self.entity.is_some() || record.id.is_entity() && !record.turns.is_empty() {
            return Err(SnapshotError::EntityMismatch);
        }
        if let Some(message) = self.inbox.iter().find(|message| message.to != record.id) {
            return Err(SnapshotError::ForeignMessage(message.to.clone()));
        }
        for (seq, turn) in &self.activities {
            let schedules = |event: &Event| matches!(event, Event::TaskScheduled { seq: scheduled, .. } if scheduled == seq);
            let chunk = self.history.iter().find(|chunk| chunk.turn == *turn);
            if !chunk.is_some_and(|chunk| chunk.events.iter().any(|entry| schedules(&entry.event))) {
                return Err(SnapshotError::UnscheduledActivity { turn: *turn, seq: *seq });
            }
        }
        Ok(())
    }
}
