//! What a turn changes.

use std::ops::Range;

use crate::{
    ExecutionId, FunctionName, HistoryEvent, InstanceId, Message, MessageKey, Parent, Payload, Row, Seq, Timestamp, VersionId,
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
    /// A new instance: what the message that starts it says, and nothing yet done.
    ///
    /// Returns none if the message does not start anything.
    pub fn pending(row: Row, message: &Message) -> Option<Self> {
        let crate::Event::ExecutionStarted { execution, name, version, parent, .. } = &message.event else { return None };
        Some(Self {
            id: message.to.clone(),
            row,
            name: name.clone(),
            execution: *execution,
            version: None,
            version_label: version.clone(),
            parent: parent.clone(),
            status: RuntimeStatus::Pending,
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

/// Everything that a turn changes. Saved in one transaction, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The instance as it is after the turn.
    pub record: InstanceRecord,
    /// A finished instance of the same id that this one takes the place of: all its rows go.
    pub replaces: Option<InstanceRecord>,
    /// The turns whose history goes, because the execution continued as new. Usually empty.
    pub forgotten: Range<u32>,
    pub history: Option<HistoryChunk>,
    /// Messages of the inbox that the turn has dealt with.
    pub consumed: Vec<MessageKey>,
    /// Messages that reached the instance and must wait in its inbox, because it is suspended.
    pub kept: Vec<Message>,
    /// Messages to other instances, or to itself. A start whose id is in use by a living instance goes back as
    /// [`Message::refused`]; any other message to an instance that does not exist or has ended is dropped.
    pub sent: Vec<Message>,
    pub timers_set: Vec<Timer>,
    pub timers_cleared: Vec<Timer>,
    /// Activities to run; each stands as `TaskScheduled` in `history`.
    pub activities_set: Vec<Seq>,
    pub activities_cleared: Vec<Seq>,
}
