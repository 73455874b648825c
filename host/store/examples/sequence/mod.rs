//! A hello sequence: three activities, one after the other, in four commits.

use dacapo_core::event::Outcome;
use dacapo_core::{
    Commit, Event, ExecutionId, FunctionName, HistoryChunk, HistoryEvent, InstanceId, InstanceRecord, Message, Payload, Row,
    RuntimeStatus, ScheduledActivity, Seq, Timestamp, VersionId,
};
use uuid::Uuid;

pub const STEPS: u32 = 4;

#[derive(Clone)]
pub struct Sequence {
    pub row: Row,
    pub id: InstanceId,
    pub execution: ExecutionId,
    pub created: Timestamp,
    /// How it ends.
    pub status: RuntimeStatus,
}

impl Sequence {
    pub fn new(row: Row) -> Self {
        // Ids in no order, as clients make them.
        let uuid = Uuid::from_u128(u128::from(row.0 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let created = Timestamp(1_700_000_000_000_000 + row.0 as i64 * 1_000);
        Self { row, id: InstanceId::from_uuid(uuid), execution: ExecutionId(uuid), created, status: RuntimeStatus::Completed }
    }

    pub fn commit(&self, step: u32) -> Commit {
        let now = Timestamp(self.created.0 + i64::from(step) * 900);
        let started = Event::ExecutionStarted {
            execution: self.execution,
            name: FunctionName::new("hello_sequence").expect("a valid name"),
            input: "null".into(),
            version: String::new(),
            parent: None,
            start_at: None,
        };
        let message = Message { to: self.id.clone(), execution: None, sent_at: self.created, event: started.clone() };
        let mut record = InstanceRecord::pending(self.row, &message).expect("it starts an instance");
        record.status = if step + 1 == STEPS { self.status } else { RuntimeStatus::Running };
        record.version = Some(VersionId([7; 32]));
        record.updated = now;
        record.turns = 0..step + 1;
        let came = match step.checked_sub(1) {
            None => started,
            Some(seq) => Event::TaskCompleted { seq: Seq(seq), result: "\"Hello Tokyo!\"".into() },
        };
        let scheduled = (step + 1 < STEPS).then(|| ScheduledActivity {
            seq: Seq(step),
            turn: step,
            name: FunctionName::new("say_hello").expect("a valid name"),
            input: "\"Tokyo\"".into(),
            attempt: 1,
        });
        let did = match &scheduled {
            Some(activity) => Event::TaskScheduled {
                seq: activity.seq,
                name: activity.name.clone(),
                input: activity.input.clone(),
                attempt: activity.attempt,
            },
            None => Event::ExecutionCompleted { outcome: Outcome::Completed(Payload::from("[\"Hello Tokyo!\",\"...\"]")) },
        };
        let events =
            [Event::OrchestratorStarted { conditions: None }, came, did].map(|event| HistoryEvent { at: now, event }).into();
        Commit {
            record,
            replaces: None,
            forgotten: 0..0,
            history: Some(HistoryChunk { turn: step, events }),
            consumed: vec![],
            kept: vec![],
            sent: vec![],
            timers_set: vec![],
            timers_cleared: vec![],
            activities_set: scheduled.into_iter().collect(),
            activities_cleared: step.checked_sub(1).map(Seq).into_iter().collect(),
            once: vec![],
            entity: None,
            vanishes: false,
            announced: None,
        }
    }
}
