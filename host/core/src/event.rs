//! Facts. An [`Event`] in a history says what happened; a [`Message`] is an event on its way to an inbox.
//!
//! ```text
//!   client, parent, timer, activity --Message--> inbox --turn--> history
//!                                                           \--> actions (scheduled work, timers, messages)
//! ```
//!
//! There is no second type: timers, external events, terminate, suspend and resume are all messages.

use std::sync::Arc;

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
    /// A message to the execution that waits.
    pub fn told(&self, event: Event, sent_at: Timestamp) -> Message {
        Message { to: self.instance.clone(), execution: Some(self.execution), sent_at, event }
    }

    /// Whether both wait for the same: names are for people.
    pub(crate) fn is_same(&self, other: &Parent) -> bool {
        (&self.instance, self.execution, self.seq) == (&other.instance, other.execution, other.seq)
    }
}

/// One fact. The names are those of Durable Task, which every dashboard of this field shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begins a turn and fixes its time. What follows, up to the next one, happened in that turn: first the messages
    /// in the order in which they were applied, then the actions in the order in which the guest took them.
    OrchestratorStarted {
        /// What the guest is given of the host's configuration from now on. None: the same as before, or an older release has
        /// written it.
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
        /// Not to begin before then. None: at once.
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
        /// The parent that ends its sub-orchestrations: not another instance that has the id of one. None: a client.
        parent: Option<Parent>,
    },
    /// Goes back to the state before the failure that ended it.
    ExecutionRewound {
        reason: String,
        /// The parent that asks, because it is rewound itself; its child reports to it in any case. None: a client.
        parent: Option<Parent>,
    },
    /// Goes on with the code of this version, which the history was replayed against first.
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
    /// The entities that were asked for with this action are locked, all of them.
    EntityLockGranted {
        seq: Seq,
    },

    // Messages to entities, which have no history.
    OperationRequested {
        operation: String,
        input: Payload,
        /// Who waits for the result. None: it is a signal.
        caller: Option<Parent>,
        /// Not to be run before then. None: at once.
        deliver_at: Option<Timestamp>,
    },
    /// Travels through the entities that are to be locked, in their order, so that two requests never wait for each
    /// other; the last one grants it.
    LockRequested {
        entities: Vec<InstanceId>,
        /// Which of them it has come to.
        position: u32,
        owner: Parent,
    },
    /// Follows its `LockRequested` on the same way.
    LockReleased {
        entities: Vec<InstanceId>,
        position: u32,
        owner: Parent,
    },
    /// Forgets the state. Not an operation: the guest is not asked.
    StatePurged,

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
        /// The version label that it asks for; empty if none.
        version: String,
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
        /// In the order in which they are locked; each once.
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

    /// Whether an orchestrator takes it (rather than receives it).
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

    /// Bytes that a guest or a client put into it.
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

/// Patterns of whole groups of events, for matches in which a group has one answer. They stand for the list, so that a
/// new event is entered here once, and such a match still knows every event.
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

/// What reaches an entity only.
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
    /// The only execution that it is for; a message for one that has ended is dropped. None: for whichever runs.
    pub execution: Option<ExecutionId>,
    pub sent_at: Timestamp,
    pub event: Event,
}

impl Message {
    /// What the sender is told instead when a start meets an id that is in use, or when a rewind meets no instance: only
    /// a waiting parent has to know. None for everything else.
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
        Some(parent.told(Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure }, at))
    }

    /// The failure of a start, or of a rewind, that met an instance which is not the sender's.
    pub(crate) fn id_in_use(&self, why: &str) -> Failure {
        Failure::permanent(Failure::INSTANCE_ALREADY_EXISTS, format!("an instance with the id '{}' {why}", self.to))
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
