//! Facts. An [`Event`] in a history says what happened; a [`Message`] is an event on its way to an inbox.
//!
//! ```text
//!   client, parent, timer, activity --Message--> inbox --turn--> history
//!                                                           \--> actions (scheduled work, timers, messages)
//! ```
//!
//! There is no second type: timers, external events, terminate, suspend and resume are all messages.

use crate::{ExecutionId, Failure, FunctionName, InstanceId, Payload, Row, Seq, Timestamp};

/// The orchestration that waits for a sub-orchestration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    pub name: FunctionName,
    pub instance: InstanceId,
    pub execution: ExecutionId,
    /// The action in the parent's execution that this instance is the result of.
    pub seq: Seq,
}

/// One fact. The names are those of Durable Task, which every dashboard of this field shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begins a turn and fixes its time. What follows, up to the next one, happened in that turn: first the messages
    /// in the order in which they were applied, then the actions in the order in which the guest took them.
    OrchestratorStarted,

    // Messages: they arrive in an inbox.
    ExecutionStarted {
        execution: ExecutionId,
        name: FunctionName,
        input: Payload,
        /// The version label asked for; empty if none was.
        version: String,
        parent: Option<Parent>,
    },
    TaskCompleted {
        seq: Seq,
        result: Payload,
    },
    TaskFailed {
        seq: Seq,
        failure: Failure,
    },
    SubOrchestrationInstanceCompleted {
        seq: Seq,
        result: Payload,
    },
    SubOrchestrationInstanceFailed {
        seq: Seq,
        failure: Failure,
    },
    TimerFired {
        seq: Seq,
        fire_at: Timestamp,
    },
    EventRaised {
        name: String,
        data: Payload,
    },
    ExecutionSuspended {
        reason: String,
    },
    ExecutionResumed {
        reason: String,
    },
    ExecutionTerminated {
        reason: String,
    },

    // Actions: an orchestrator takes them. Compared with history on replay.
    TaskScheduled {
        seq: Seq,
        name: FunctionName,
        input: Payload,
        attempt: u32,
    },
    SubOrchestrationInstanceCreated {
        seq: Seq,
        name: FunctionName,
        instance: InstanceId,
        input: Payload,
        /// Nobody waits for it.
        detached: bool,
    },
    TimerCreated {
        seq: Seq,
        fire_at: Timestamp,
    },
    EventSent {
        seq: Seq,
        instance: InstanceId,
        name: String,
        data: Payload,
    },
    ExecutionCompleted {
        outcome: Outcome,
    },
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Completed(Payload),
    Failed(Failure),
    Terminated { reason: String },
    ContinuedAsNew { input: Payload },
}

impl Event {
    /// The name of this kind of event, as histories show it.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::OrchestratorStarted => "OrchestratorStarted",
            Event::ExecutionStarted { .. } => "ExecutionStarted",
            Event::TaskCompleted { .. } => "TaskCompleted",
            Event::TaskFailed { .. } => "TaskFailed",
            Event::SubOrchestrationInstanceCompleted { .. } => "SubOrchestrationInstanceCompleted",
            Event::SubOrchestrationInstanceFailed { .. } => "SubOrchestrationInstanceFailed",
            Event::TimerFired { .. } => "TimerFired",
            Event::EventRaised { .. } => "EventRaised",
            Event::ExecutionSuspended { .. } => "ExecutionSuspended",
            Event::ExecutionResumed { .. } => "ExecutionResumed",
            Event::ExecutionTerminated { .. } => "ExecutionTerminated",
            Event::TaskScheduled { .. } => "TaskScheduled",
            Event::SubOrchestrationInstanceCreated { .. } => "SubOrchestrationInstanceCreated",
            Event::TimerCreated { .. } => "TimerCreated",
            Event::EventSent { .. } => "EventSent",
            Event::ExecutionCompleted { .. } => "ExecutionCompleted",
        }
    }

    /// Whether an orchestrator takes it (rather than receives it).
    pub fn is_action(&self) -> bool {
        match self {
            Event::TaskScheduled { .. }
            | Event::SubOrchestrationInstanceCreated { .. }
            | Event::TimerCreated { .. }
            | Event::EventSent { .. }
            | Event::ExecutionCompleted { .. } => true,
            Event::OrchestratorStarted
            | Event::ExecutionStarted { .. }
            | Event::TaskCompleted { .. }
            | Event::TaskFailed { .. }
            | Event::SubOrchestrationInstanceCompleted { .. }
            | Event::SubOrchestrationInstanceFailed { .. }
            | Event::TimerFired { .. }
            | Event::EventRaised { .. }
            | Event::ExecutionSuspended { .. }
            | Event::ExecutionResumed { .. }
            | Event::ExecutionTerminated { .. } => false,
        }
    }
}

/// An event that has happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEvent {
    pub at: Timestamp,
    pub event: Event,
}

/// An event on its way to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub to: InstanceId,
    /// The only execution that it is for; a message for one that has ended is dropped. None: for whichever runs.
    pub execution: Option<ExecutionId>,
    pub sent_at: Timestamp,
    pub event: Event,
}

impl Message {
    /// What the sender is told instead when a start meets an id that is in use: only a waiting parent has to know.
    pub fn refused(&self, at: Timestamp) -> Option<Message> {
        let Event::ExecutionStarted { parent: Some(parent), .. } = &self.event else { return None };
        let failure = Failure::permanent(
            Failure::INSTANCE_ALREADY_EXISTS,
            format!("an instance with the id '{}' already exists and has not ended", self.to),
        );
        Some(Message {
            to: parent.instance.clone(),
            execution: Some(parent.execution),
            sent_at: at,
            event: Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure },
        })
    }
}

/// Names a message that is stored in an inbox. Numbers rise in the order in which messages were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    pub row: Row,
    pub number: u64,
}

/// A message that has reached the mailbox of its instance in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub message: Message,
    /// The stored message that it is a copy of. None: the turn that takes it in is what makes it durable (a client's
    /// request that waits for its acknowledgement, a result whose activity would run again, a timer).
    pub stored: Option<MessageKey>,
}
