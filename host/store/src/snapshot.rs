//! One instance, whole: what is moved from one hub to another.

use dacapo_core::commit::Timer;
use dacapo_core::{EntityState, Event, HistoryChunk, InstanceRecord, Message, Seq};

/// All that is stored of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub record: InstanceRecord,
    /// Those of the record's turns, in order.
    pub history: Vec<HistoryChunk>,
    /// The messages that it has not consumed, in the order in which they were stored.
    pub inbox: Vec<Message>,
    pub timers: Vec<Timer>,
    /// The activities that have not reported, each with the turn that scheduled it.
    pub activities: Vec<(Seq, u32)>,
    /// None for an orchestration.
    pub entity: Option<EntityState>,
}

impl Snapshot {
    /// Whether its parts fit together: what is stored must be readable, wherever it came from. If not, why.
    pub fn check(&self) -> Result<(), String> {
        let record = &self.record;
        if !self.history.iter().map(|chunk| chunk.turn).eq(record.turns.clone()) {
            return Err(format!("its history is not that of its turns {:?}", record.turns));
        }
        if record.id.is_entity() != self.entity.is_some() || record.id.is_entity() && !record.turns.is_empty() {
            return Err("it is half an entity".into());
        }
        if let Some(message) = self.inbox.iter().find(|message| message.to != record.id) {
            return Err(format!("its inbox has a message for '{}'", message.to));
        }
        for (seq, turn) in &self.activities {
            let schedules = |event: &Event| matches!(event, Event::TaskScheduled { seq: scheduled, .. } if scheduled == seq);
            let chunk = self.history.iter().find(|chunk| chunk.turn == *turn);
            if !chunk.is_some_and(|chunk| chunk.events.iter().any(|entry| schedules(&entry.event))) {
                return Err(format!("its turn {turn} does not schedule the activity {seq}"));
            }
        }
        Ok(())
    }
}
