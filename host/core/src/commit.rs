//! What a turn changes.

use std::ops::Range;

use crate::{
    Event, ExecutionId, FunctionName, HistoryEvent, InstanceId, Message, MessageKey, Parent, Payload, Row, Seq, Timestamp,
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

/// What is known of an instance without its history: the row that listing reads. Input and output lie in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    pub id: InstanceId,
    pub row: Row,
    pub name: FunctionName,
    pub execution: ExecutionId,
    /// The version that this execution runs on; none until its first turn.
    pub version: Option<VersionId>,
    /// The version label asked for; empty if none was.
    pub version_label: String,
    pub parent: Option<Parent>,
    pub status: RuntimeStatus,
    pub custom_status: Option<Payload>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// The turns of the current execution that are in the history: `turns.end` is the number of the next one. Numbers
    /// go on through continue-as-new.
    pub turns: Range<u32>,
    /// Why the host does not go on with it: what history recorded and what the code attempted. Shown as `Suspended`.
    pub halted: Option<String>,
}

impl InstanceRecord {
    /// A new instance: what the message that starts it says, and nothing yet done. An entity is started by whatever
    /// reaches it first.
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
            version: None,
            version_label,
            parent,
            status,
            custom_status: None,
            created: message.sent_at,
            updated: message.sent_at,
            turns: 0..0,
            halted: None,
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

/// An activity to run. It stands as `TaskScheduled` in the history.
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
    /// Operations that were ever run; each seeds its own randomness.
    pub operations: u64,
    /// Whether messages wait in its inbox: for the lock, or for their time.
    pub waiting: bool,
}

/// A change of status that the operator wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub instance: InstanceId,
    pub name: FunctionName,
    pub execution: ExecutionId,
    pub status: RuntimeStatus,
    /// Of a failure, a termination, or a halt.
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// Everything that a turn changes. Saved in one transaction, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The instance as it is after the turn.
    pub record: InstanceRecord,
    /// A finished instance of the same id that this one takes the place of: all its rows go.
    pub replaces: Option<InstanceRecord>,
    /// The turns whose history goes: all of them if the execution continued as new, the last ones if it was rewound;
    /// the number of the first of these is used again, by `history`. Usually empty.
    pub forgotten: Range<u32>,
    pub history: Option<HistoryChunk>,
    /// Messages of the inbox that the turn has dealt with.
    pub consumed: Vec<MessageKey>,
    /// Messages that reached the instance and must wait in its inbox, because it is suspended.
    pub kept: Vec<Message>,
    /// Messages to other instances, or to itself. A start whose id is in use by a living instance goes back as
    /// [`Message::refused`]. A message to an entity that does not exist makes it. One to a failed instance stays in its
    /// inbox, because it may be rewound. An `ExecutionRewound` reaches every instance that exists, whatever its status, and
    /// goes back as [`Message::refused`] if none does. Any other to an instance that does not exist or has ended is dropped.
    pub sent: Vec<Message>,
    pub timers_set: Vec<Timer>,
    pub timers_cleared: Vec<Timer>,
    pub activities_set: Vec<ScheduledActivity>,
    pub activities_cleared: Vec<Seq>,
    /// The entity after the turn; none for an orchestration.
    pub entity: Option<EntityState>,
    /// The entity has no state and nothing keeps it: with this commit all its rows go. What it sends is sent. But if its
    /// inbox holds a message that this commit does not consume (it was stored since the turn began), it stays, as `entity`
    /// says: no message may be lost.
    pub vanishes: bool,
    /// To be told to the operator, once at least.
    pub announced: Option<Announcement>,
}

impl Commit {
    /// A commit that saves the record, and nothing else yet.
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
            entity: None,
            vanishes: false,
            announced: None,
        }
    }
}
