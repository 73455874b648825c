//! What a turn changes.

use std::ops::Range;

use crate::{
    Event, ExecutionId, FunctionName, HistoryEvent, InstanceId, Message, MessageKey, Once, Parent, Payload, Row, Seq, Timestamp,
    VersionId,
};

/// The state of an instance as clients see it. The numbers are those of Durable Functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeStatus {
    Running = 0,
    Completed = 1,
    ContinuedAsNew = 2,
    Failed = 3,
    Canceled = 4,
    Terminated = 5,
    Pending = 6,
    Suspended = 7,
}

impl RuntimeStatus {
    pub const ALL: [RuntimeStatus; 8] = [
        RuntimeStatus::Running,
        RuntimeStatus::Completed,
        RuntimeStatus::ContinuedAsNew,
        RuntimeStatus::Failed,
        RuntimeStatus::Canceled,
        RuntimeStatus::Terminated,
        RuntimeStatus::Pending,
        RuntimeStatus::Suspended,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RuntimeStatus::Running => "Running",
            RuntimeStatus::Completed => "Completed",
            RuntimeStatus::ContinuedAsNew => "ContinuedAsNew",
            RuntimeStatus::Failed => "Failed",
            RuntimeStatus::Canceled => "Canceled",
            RuntimeStatus::Terminated => "Terminated",
            RuntimeStatus::Pending => "Pending",
            RuntimeStatus::Suspended => "Suspended",
        }
    }

    /// Whether the instance has ended: nothing will happen to it any more.
    pub fn is_terminal(self) -> bool {
        match self {
            RuntimeStatus::Completed | RuntimeStatus::Failed | RuntimeStatus::Canceled | RuntimeStatus::Terminated => true,
            RuntimeStatus::Running | RuntimeStatus::ContinuedAsNew | RuntimeStatus::Pending | RuntimeStatus::Suspended => false,
        }
    }
}

/// The data of an instance apart from its history: the row that a listing reads. Input and output are in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    pub id: InstanceId,
    pub row: Row,
    pub name: FunctionName,
    pub execution: ExecutionId,
    /// The execution that it was started as, before any continue-as-new.
    pub first_execution: ExecutionId,
    /// The version that this execution runs on; none until its first turn.
    pub version: Option<VersionId>,
    /// The version label asked for; empty if none was.
    pub version_label: String,
    pub parent: Option<Parent>,
    pub status: RuntimeStatus,
    pub custom_status: Option<Payload>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// The turns of the current execution that are in the history: `turns.end` is the number of the next one. Numbering
    /// continues across continue-as-new.
    pub turns: Range<u32>,
    /// Why the instance is halted: what the history recorded and what the code attempted. Shown as `Suspended`.
    pub halted: Option<String>,
    /// The resources that it has used since it was started.
    pub usage: Usage,
    /// How this execution chooses the wait that gets an external event.
    pub event_delivery: EventDelivery,
}

/// Which of several waits for one name gets an external event. An execution keeps the rule that it began with, because its
/// history depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDelivery {
    /// The oldest wait, whether the guest still asks for it or not. The rule of executions that began before there was another.
    FirstMade,
    /// The oldest of the waits that the guest asks for. While it asks for none, the event stays unread.
    FirstAsked,
}

/// The resources that an instance has used, for billing. It is saved in the commits of the turns that it counts, so nothing is
/// counted twice, and a turn that changed nothing is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub turns: u64,
    /// Events of its history that were replayed to bring its guest back into memory.
    pub replayed_events: u64,
    /// Fuel of its guest, replays included: about one unit for each wasm instruction.
    pub fuel: u64,
    /// Operations of an entity.
    pub operations: u64,
    /// Ended attempts of activities, and their total duration.
    pub activities: u64,
    pub activity_micros: u64,
    /// Bytes of payload that it received and sent.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Usage {
    /// Returns the sum of both.
    #[must_use]
    pub fn plus(self, more: Usage) -> Self {
        Self {
            turns: self.turns + more.turns,
            replayed_events: self.replayed_events + more.replayed_events,
            fuel: self.fuel.saturating_add(more.fuel),
            operations: self.operations + more.operations,
            activities: self.activities + more.activities,
            activity_micros: self.activity_micros + more.activity_micros,
            bytes_in: self.bytes_in + more.bytes_in,
            bytes_out: self.bytes_out + more.bytes_out,
        }
    }

    /// Returns what was added since `before`, an earlier value of the same instance.
    #[must_use]
    pub fn since(self, before: Usage) -> Self {
        Self {
            turns: self.turns.saturating_sub(before.turns),
            replayed_events: self.replayed_events.saturating_sub(before.replayed_events),
            fuel: self.fuel.saturating_sub(before.fuel),
            operations: self.operations.saturating_sub(before.operations),
            activities: self.activities.saturating_sub(before.activities),
            activity_micros: self.activity_micros.saturating_sub(before.activity_micros),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
        }
    }
}

impl InstanceRecord {
    /// Makes the record of a new instance from the message that starts it, before its first turn. An entity is created by the
    /// first operation or lock message that reaches it.
    ///
    /// Returns none if the message does not start anything.
    pub fn pending(row: Row, message: &Message) -> Option<Self> {
        let (execution, name, version_label, parent, status) = match &message.event {
            Event::ExecutionStarted { execution, name, version, parent, .. } => {
                (*execution, name.clone(), version.clone(), parent.clone(), RuntimeStatus::Pending)
            }
            Event::OperationRequested { .. } | Event::LockRequested { .. } | Event::LockReleased { .. } => {
                let name = message.to.entity_name()?;
                (ExecutionId::of_entity(&message.to, row), name, String::new(), None, RuntimeStatus::Running)
            }
            _ => return None,
        };
        Some(Self {
            id: message.to.clone(),
            row,
            name,
            execution,
            first_execution: execution,
            version: None,
            version_label,
            parent,
            status,
            custom_status: None,
            created: message.sent_at,
            updated: message.sent_at,
            turns: 0..0,
            halted: None,
            usage: Usage::default(),
            event_delivery: EventDelivery::FirstAsked,
        })
    }
}

/// The events of one turn, in order. Begins with `OrchestratorStarted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryChunk {
    pub turn: u32,
    pub events: Vec<HistoryEvent>,
}

/// A timer of the committing instance's current execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    pub fire_at: Timestamp,
    pub seq: Seq,
}

/// An activity to run. The history has it as `TaskScheduled`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledActivity {
    pub seq: Seq,
    /// The turn whose history holds it: this one, or an earlier one after a rewind.
    pub turn: u32,
    pub name: FunctionName,
    pub input: Payload,
    /// From 1.
    pub attempt: u32,
}

/// What an entity keeps from turn to turn. Stored beside its record, so that listing reads small rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityState {
    /// None: it has none, and the entity vanishes unless something else keeps it.
    pub state: Option<Payload>,
    /// The critical section that it is locked by.
    pub lock: Option<Parent>,
    /// The number of operations ever run; it seeds the randomness of each.
    pub operations: u64,
    /// Whether messages wait in its inbox: for the lock, their time, a resume, or the next turn.
    pub waiting: bool,
}

/// A change of status to be reported to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub instance: InstanceId,
    pub name: FunctionName,
    pub execution: ExecutionId,
    pub status: RuntimeStatus,
    /// The reason of a failure, a termination, or a halt.
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// Everything that a turn changes. Saved in one transaction, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The instance as it is after the turn.
    pub record: InstanceRecord,
    /// A finished instance of the same id that this one replaces: all its rows are removed.
    pub replaces: Option<InstanceRecord>,
    /// The turns whose history is removed: all of them if the execution continued as new, the last ones if it was rewound,
    /// where `history` reuses the number of the first of them. Usually empty.
    pub forgotten: Range<u32>,
    pub history: Option<HistoryChunk>,
    /// Stored messages that the turn has consumed.
    pub consumed: Vec<MessageKey>,
    /// Messages that reached the instance and must wait in its inbox, for example because it is suspended.
    pub kept: Vec<Message>,
    /// Messages to other instances, or to itself. A start whose id belongs to a living instance is answered with
    /// [`Message::refused`]. An operation or a lock message to an entity that does not exist creates it. One to a failed
    /// instance stays in its inbox, because it may be rewound. An `ExecutionRewound` reaches an instance of any status, and is
    /// refused likewise if there is none. Any other to an instance that does not exist or has ended is dropped.
    pub sent: Vec<Message>,
    pub timers_set: Vec<Timer>,
    pub timers_cleared: Vec<Timer>,
    pub activities_set: Vec<ScheduledActivity>,
    pub activities_cleared: Vec<Seq>,
    /// The names of the messages that it has taken in, of those that have one. One whose caller has no pending activity any more is
    /// not stored.
    pub once: Vec<Once>,
    /// The entity after the turn; none for an orchestration.
    pub entity: Option<EntityState>,
    /// The entity has no state and nothing else keeps it: this commit removes all its rows, and its messages are still sent.
    /// But if its inbox holds a message that this commit does not consume (because it was stored after the turn began), the
    /// entity stays, with the state in `entity`, so that no message is lost.
    pub vanishes: bool,
    /// To be reported to the operator, at least once.
    pub announced: Option<Announcement>,
}

impl Commit {
    /// Makes a commit that saves only the record.
    pub fn of(record: InstanceRecord) -> Self {
        Self {
            record,
            replaces: None,
            forgotten: 0..0,
            history: None,
            consumed: Vec::new(),
            kept: Vec::new(),
            sent: Vec::new(),
            timers_set: Vec::new(),
            timers_cleared: Vec::new(),
            activities_set: Vec::new(),
            activities_cleared: Vec::new(),
            once: Vec::new(),
            entity: None,
            vanishes: false,
            announced: None,
        }
    }
}
