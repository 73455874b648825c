//! Instances that take turns, and the messages between them.

use dacapo_core::event::Outcome;
use dacapo_core::{
    Announcement, Commit, EntityState, Event, ExecutionId, FunctionName, HistoryChunk, HistoryEvent, InstanceId, InstanceRecord,
    Message, Parent, Row, RuntimeStatus, ScheduledActivity, Seq, Timestamp, VersionId,
};
use uuid::Uuid;

/// An instance as its owner sees it: each change is a commit that follows the one before.
#[derive(Debug, Clone)]
pub struct Instance {
    pub record: InstanceRecord,
}

impl Instance {
    pub fn new(name: &str, row: Row) -> Self {
        let start = message(name, start_event(name, None));
        let pending = InstanceRecord::pending(row, &start).expect("it starts an instance");
        Self { record: InstanceRecord { status: RuntimeStatus::Running, version: Some(VersionId([5; 32])), ..pending } }
    }

    /// Activities that the next turn schedules.
    pub fn scheduled(&self, seqs: std::ops::Range<u32>) -> Vec<ScheduledActivity> {
        let activity = |seq| match scheduled(seq) {
            Event::TaskScheduled { seq, name, input, attempt } => {
                ScheduledActivity { seq, turn: self.record.turns.end, name, input, attempt }
            }
            _ => unreachable!("it schedules"),
        };
        seqs.map(activity).collect()
    }

    /// The event that starts its execution.
    pub fn started(&self) -> Event {
        let Event::ExecutionStarted { name, input, version, parent, .. } = start_event(self.record.id.as_str(), None) else {
            unreachable!("it is a start")
        };
        Event::ExecutionStarted { execution: self.record.execution, name, input, version, parent, start_at: None }
    }

    /// One more turn, with these events.
    pub fn turn(&mut self, events: Vec<Event>) -> Commit {
        let turn = self.record.turns.end;
        self.record.turns.end += 1;
        self.record.updated = at(turn.into());
        let events = [Event::OrchestratorStarted { conditions: None }].into_iter().chain(events);
        let events = events.map(|event| HistoryEvent { at: at(turn.into()), event }).collect();
        Commit { history: Some(HistoryChunk { turn, events }), ..change(&self.record) }
    }

    /// Forgets the turns from this one on, and goes on from there.
    pub fn rewind(&mut self, from: u32, events: Vec<Event>) -> Commit {
        let forgotten = from..self.record.turns.end;
        self.record.turns.end = from;
        self.record.status = RuntimeStatus::Running;
        Commit { forgotten, ..self.turn(events) }
    }

    /// Its last turn.
    pub fn end(&mut self, status: RuntimeStatus) -> Commit {
        self.record.status = status;
        let outcome = Outcome::Completed("null".into());
        self.turn(vec![Event::ExecutionCompleted { outcome }])
    }
}

/// A commit that changes the record and nothing else.
pub fn change(record: &InstanceRecord) -> Commit {
    Commit {
        record: record.clone(),
        replaces: None,
        forgotten: 0..0,
        history: None,
        consumed: vec![],
        kept: vec![],
        sent: vec![],
        timers_set: vec![],
        timers_cleared: vec![],
        activities_set: vec![],
        activities_cleared: vec![],
        once: vec![],
        entity: None,
        vanishes: false,
        announced: None,
    }
}

pub fn with_turns(record: &InstanceRecord, turns: std::ops::Range<u32>) -> InstanceRecord {
    InstanceRecord { turns, ..record.clone() }
}

pub fn id(text: &str) -> InstanceId {
    InstanceId::any(text).expect("a valid id")
}

pub fn execution(name: &str) -> ExecutionId {
    ExecutionId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + millis * 1_000)
}

pub fn message(to: &str, event: Event) -> Message {
    Message { to: id(to), execution: None, sent_at: at(0), event }
}

/// Starts the execution that `name` names, for a parent that waits if there is one.
pub fn start_event(name: &str, parent: Option<&InstanceRecord>) -> Event {
    Event::ExecutionStarted {
        execution: execution(name),
        name: FunctionName::new("sample").expect("a valid name"),
        input: format!("\"for {name}\"").into(),
        version: String::new(),
        parent: parent.map(waiting),
        start_at: None,
    }
}

/// This instance, waiting for the result of an action.
pub fn waiting(instance: &InstanceRecord) -> Parent {
    Parent { name: instance.name.clone(), instance: instance.id.clone(), execution: instance.execution, seq: Seq(3) }
}

/// A parent asks that its child be rewound.
pub fn rewound(parent: &InstanceRecord) -> Event {
    Event::ExecutionRewound { reason: "try again".into(), parent: Some(waiting(parent)) }
}

pub fn completed(seq: u32) -> Event {
    Event::TaskCompleted { seq: Seq(seq), result: "1".into() }
}

pub fn announcement(record: &InstanceRecord, number: u32) -> Announcement {
    Announcement {
        instance: record.id.clone(),
        name: record.name.clone(),
        execution: record.execution,
        status: record.status,
        reason: Some(format!("reason {number}")),
        at: at(number.into()),
    }
}

/// An operation: one-way, or with a caller that waits.
pub fn operation(number: u32, caller: Option<&InstanceRecord>) -> Event {
    Event::OperationRequested {
        operation: "add".into(),
        input: number.to_string().into(),
        caller: caller.map(waiting),
        deliver_at: None,
    }
}

/// A turn of an entity that leaves this state.
pub fn entity_turn(record: &InstanceRecord, state: Option<&str>) -> Commit {
    let entity = EntityState { state: state.map(Into::into), operations: 1, ..EntityState::default() };
    Commit { entity: Some(entity), ..change(record) }
}

pub fn raised(name: &str, number: u32) -> Event {
    Event::EventRaised { name: name.into(), data: number.to_string().into() }
}

pub fn scheduled(seq: u32) -> Event {
    let name = FunctionName::new(&format!("activity{seq}")).expect("a valid name");
    Event::TaskScheduled { seq: Seq(seq), name, input: format!("{{\"seq\":{seq}}}").into(), attempt: seq + 1 }
}
