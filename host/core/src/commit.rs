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
    /// The execution that it was started as: the one before each continue-as-new.
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
    /// The turns of the current execution that are in the history: `turns.end` is the number of the next one. Numbers
    /// go on through continue-as-new.
    pub turns: Range<u32>,
    /// Why the host does not go on with it: what history recorded and what the code attempted. Shown as `Suspended`.
    pub halted: Option<String>,
    /// What it has cost since it was started.
    pub usage: Usage,
    /// To which waits this execution gives external events.
    pub event_delivery: EventDelivery,
}

/// Which of several waits for one name gets an external event. An execution keeps to what it began with, because its history
/// holds what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDelivery {
    /// The first that was made, whether the guest still asks for it or not. Executions that began before there was another.
    FirstMade,
    /// The first that was made of those that the guest asks for. While it asks for none, the event stays unread.
    FirstAsked,
}

/// What an instance has cost: enough to bill by. It is saved with the turns that it counts, so a turn that changed nothing is
/// not in it; and nothing is billed twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub turns: u64,
    /// Events of its history that were replayed, to bring its guest back into memory.
    pub replayed_events: u64,
    /// Fuel of its guest, replays included: about one unit for each wasm instruction.
    pub fuel: u64,
    /// Operations of an entity.
    pub operations: u64,
    /// Attempts of activities that have ended, and how long they took in all.
    pub activities: u64,
    pub activity_micros: u64,
    /// Bytes of payload that it took in and gave out.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Usage {
    /// With another's added.
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

    /// What has been added since it was `before`, of the same instance.
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
