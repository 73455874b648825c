//! Facts. An [`Event`] in a history says what happened; a [`Message`] is an event on its way to an inbox.
//!
//! ```text
//!   client, parent, timer, activity --Message--> inbox --turn--> history
//!                                                           \--> actions (scheduled work, timers, messages)
//! ```
//!
//! There is no second type: timers, external events, terminate, suspend and resume are all messages.

use std::sync::Arc;

use uuid::Uuid;

use crate::execution::conditions::Conditions;
use crate::{ExecutionId, Failure, FunctionName, InstanceId, Payload, Row, Seq, Timestamp, VersionId};

/// The orchestration that waits for a sub-orchestration, for an operation of an entity, or for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    pub name: FunctionName,
    pub instance: InstanceId,
    pub execution: ExecutionId,
    /// The action in its execution that the result is for.
    pub seq: Seq,
}

impl Parent {
    /// Makes a message to the waiting execution.
    pub fn message(&self, event: Event, sent_at: Timestamp) -> Message {
        Message { to: self.instance.clone(), execution: Some(self.execution), sent_at, event }
    }

    /// Whether both wait for the result of the same action. The name does not count: it is only for display.
    pub(crate) fn is_same(&self, other: &Parent) -> bool {
        (&self.instance, self.execution, self.seq) == (&other.instance, other.execution, other.seq)
    }
}

/// One fact. The names are those of Durable Task, which existing dashboards show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begins a turn and fixes its time. The events up to the next one happened in that turn: first the messages in the order
    /// in which they were applied, then the actions in the order in which the guest took them.
    OrchestratorStarted {
        /// The host's configuration as the guest sees it from this turn on. None: unchanged, or written by a release that did
        /// not record it.
        conditions: Option<Arc<Conditions>>,
    },

    // Messages: they arrive in an inbox.
    ExecutionStarted {
        execution: ExecutionId,
        name: FunctionName,
        input: Payload,
        /// The version label asked for; empty if none was.
        version: String,
        parent: Option<Parent>,
        /// The earliest time to begin. None: at once.
        start_at: Option<Timestamp>,
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
        /// Whether the sub-orchestrations that it waits for are terminated too.
        recurse: bool,
        /// The parent that terminates its children. Ignored by an instance that is not its child. None: a client.
        parent: Option<Parent>,
    },
    /// Returns the instance to the state before the failure that ended it.
    ExecutionRewound {
        reason: String,
        /// The parent, if it is being rewound itself; the child reports its outcome to it in any case. None: a client.
        parent: Option<Parent>,
    },
    /// The instance continues on this version, against which its history was replayed first.
    ExecutionMigrated {
        version: VersionId,
    },
    EntityOperationCompleted {
        seq: Seq,
        result: Payload,
    },
    EntityOperationFailed {
        seq: Seq,
        failure: Failure,
    },
    /// All entities that this action requested are locked.
    EntityLockGranted {
        seq: Seq,
    },

    // Messages to entities, which have no history.
    OperationRequested {
        operation: String,
        input: Payload,
        /// The orchestration that waits for the result. None: the operation is a signal.
        caller: Option<Parent>,
        /// The earliest time to run. None: at once.
        deliver_at: Option<Timestamp>,
    },
    /// Passes from one entity to the next, in the order of their ids, and locks each, so that two requests never deadlock; the
    /// last entity grants the lock.
    LockRequested {
        entities: Vec<InstanceId>,
        /// The index of the entity that the message has reached.
        position: u32,
        owner: Parent,
    },
    /// Follows its `LockRequested` through the same entities.
    LockReleased {
        entities: Vec<InstanceId>,
        position: u32,
        owner: Parent,
    },
    /// Deletes the state. Not an operation: the guest is not run.
    StatePurged,

    // Actions, which an orchestrator takes. A replay compares them with the history.
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
        /// The version label that it asks for; empty if none.
        version: String,
        /// No result is reported to the starter.
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
    EntityOperationCalled {
        seq: Seq,
        entity: InstanceId,
        operation: String,
        input: Payload,
    },
    EntityOperationSignaled {
        seq: Seq,
        entity: InstanceId,
        operation: String,
        input: Payload,
        deliver_at: Option<Timestamp>,
    },
    EntityLockRequested {
        seq: Seq,
        /// In locking order, without duplicates.
        entities: Vec<InstanceId>,
    },
    EntityUnlockSent {
        seq: Seq,
        entities: Vec<InstanceId>,
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
            Event::OrchestratorStarted { .. } => "OrchestratorStarted",
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
            Event::ExecutionRewound { .. } => "ExecutionRewound",
            Event::ExecutionMigrated { .. } => "ExecutionMigrated",
            Event::EntityOperationCompleted { .. } => "EntityOperationCompleted",
            Event::EntityOperationFailed { .. } => "EntityOperationFailed",
            Event::EntityLockGranted { .. } => "EntityLockGranted",
            Event::OperationRequested { .. } => "OperationRequested",
            Event::LockRequested { .. } => "LockRequested",
            Event::LockReleased { .. } => "LockReleased",
            Event::StatePurged => "StatePurged",
            Event::TaskScheduled { .. } => "TaskScheduled",
            Event::SubOrchestrationInstanceCreated { .. } => "SubOrchestrationInstanceCreated",
            Event::TimerCreated { .. } => "TimerCreated",
            Event::EventSent { .. } => "EventSent",
            Event::EntityOperationCalled { .. } => "EntityOperationCalled",
            Event::EntityOperationSignaled { .. } => "EntityOperationSignaled",
            Event::EntityLockRequested { .. } => "EntityLockRequested",
            Event::EntityUnlockSent { .. } => "EntityUnlockSent",
            Event::ExecutionCompleted { .. } => "ExecutionCompleted",
        }
    }

    /// Whether this is an action, which an orchestrator takes rather than receives.
    pub fn is_action(&self) -> bool {
        match self {
            any_action!() => true,
            Event::OrchestratorStarted { .. }
            | Event::ExecutionStarted { .. }
            | Event::TimerFired { .. }
            | Event::EventRaised { .. }
            | Event::ExecutionSuspended { .. }
            | Event::ExecutionResumed { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionRewound { .. }
            | Event::ExecutionMigrated { .. }
            | any_result!()
            | any_entity_message!() => false,
        }
    }

    /// The bytes in it that come from a guest or a client.
    pub fn payload_bytes(&self) -> usize {
        let ids = |ids: &[InstanceId]| ids.iter().map(|id| id.as_str().len()).sum();
        match self {
            Event::ExecutionStarted { input, .. }
            | Event::TaskScheduled { input, .. }
            | Event::SubOrchestrationInstanceCreated { input, .. } => input.len(),
            Event::TaskCompleted { result, .. }
            | Event::SubOrchestrationInstanceCompleted { result, .. }
            | Event::EntityOperationCompleted { result, .. } => result.len(),
            Event::EventRaised { name, data } | Event::EventSent { name, data, .. } => name.len() + data.len(),
            Event::OperationRequested { operation, input, .. }
            | Event::EntityOperationCalled { operation, input, .. }
            | Event::EntityOperationSignaled { operation, input, .. } => operation.len() + input.len(),
            Event::LockRequested { entities, .. }
            | Event::LockReleased { entities, .. }
            | Event::EntityLockRequested { entities, .. }
            | Event::EntityUnlockSent { entities, .. } => ids(entities),
            Event::TaskFailed { failure, .. }
            | Event::SubOrchestrationInstanceFailed { failure, .. }
            | Event::EntityOperationFailed { failure, .. } => failure.payload_bytes(),
            Event::ExecutionSuspended { reason }
            | Event::ExecutionResumed { reason }
            | Event::ExecutionTerminated { reason, .. }
            | Event::ExecutionRewound { reason, .. } => reason.len(),
            Event::OrchestratorStarted { .. }
            | Event::TimerFired { .. }
            | Event::ExecutionMigrated { .. }
            | Event::EntityLockGranted { .. }
            | Event::StatePurged
            | Event::TimerCreated { .. }
            | Event::ExecutionCompleted { .. } => 0,
        }
    }
}

/// Patterns for groups of events that a match treats alike. A new event is added to its group here once, and the matches stay
/// exhaustive without a wildcard.
macro_rules! any_action {
    () => {
        $crate::Event::TaskScheduled { .. }
            | $crate::Event::SubOrchestrationInstanceCreated { .. }
            | $crate::Event::TimerCreated { .. }
            | $crate::Event::EventSent { .. }
            | $crate::Event::EntityOperationCalled { .. }
            | $crate::Event::EntityOperationSignaled { .. }
            | $crate::Event::EntityLockRequested { .. }
            | $crate::Event::EntityUnlockSent { .. }
            | $crate::Event::ExecutionCompleted { .. }
    };
}

/// Results of actions, timers aside.
macro_rules! any_result {
    () => {
        $crate::Event::TaskCompleted { .. }
            | $crate::Event::TaskFailed { .. }
            | $crate::Event::SubOrchestrationInstanceCompleted { .. }
            | $crate::Event::SubOrchestrationInstanceFailed { .. }
            | $crate::Event::EntityOperationCompleted { .. }
            | $crate::Event::EntityOperationFailed { .. }
            | $crate::Event::EntityLockGranted { .. }
    };
}

/// Messages that only entities receive.
macro_rules! any_entity_message {
    () => {
        $crate::Event::OperationRequested { .. }
            | $crate::Event::LockRequested { .. }
            | $crate::Event::LockReleased { .. }
            | $crate::Event::StatePurged
    };
}

pub(crate) use {any_action, any_entity_message, any_result};

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
    /// The only execution that it is for; a message for one that has ended is dropped. None: for the current execution.
    pub execution: Option<ExecutionId>,
    pub sent_at: Timestamp,
    pub event: Event,
}

impl Message {
    /// The reply to a waiting parent if its start finds the id in use, or if its rewind finds no instance. None for all other
    /// messages, whose senders expect no reply.
    pub fn refused(&self, at: Timestamp) -> Option<Message> {
        let (parent, failure) = match &self.event {
            Event::ExecutionStarted { parent, .. } => (parent.as_ref()?, self.id_in_use("already exists and has not ended")),
            Event::ExecutionRewound { parent, .. } => (
                parent.as_ref()?,
                Failure::permanent(
                    Failure::INSTANCE_NOT_FOUND,
                    format!("the sub-orchestration '{}' cannot be rewound: it is gone", self.to),
                ),
            ),
            Event::OrchestratorStarted { .. }
            | Event::TimerFired { .. }
            | Event::EventRaised { .. }
            | Event::ExecutionSuspended { .. }
            | Event::ExecutionResumed { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionMigrated { .. }
            | any_result!()
            | any_action!()
            | any_entity_message!() => return None,
        };
        Some(parent.message(Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure }, at))
    }

    /// The failure of a start or a rewind that found an instance which does not belong to the sender.
    pub(crate) fn id_in_use(&self, why: &str) -> Failure {
        Failure::permanent(Failure::INSTANCE_ALREADY_EXISTS, format!("an instance with the id '{}' {why}", self.to))
    }
}

/// Names a message that a call of an activity or trigger sends. It is delivered once, although the call may be repeated: the commit
/// that takes the message in stores its name, for as long as the call may run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Once {
    /// The instance that waits for the call.
    pub caller: Row,
    /// The call, or [`Once::ANY_CALL`].
    pub call: Seq,
    pub id: Uuid,
}

impl Once {
    /// For what all calls of an instance do in the same way, such as the attempts to process one message of a queue.
    pub const ANY_CALL: Seq = Seq(u32::MAX);
}

/// Identifies a message that is stored in an inbox. Numbers rise in the order in which messages were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    pub row: Row,
    pub number: u64,
}

/// A message that has reached the mailbox of its instance in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub message: Message,
    /// The stored message that it is a copy of. None: the commit of the turn that takes it in makes it durable (a client's
    /// request that waits for its acknowledgement, a result whose activity would run again, a timer).
    pub stored: Option<MessageKey>,
}
