//! The interface to what executes guests: wasm, or Rust closures in tests ([`crate::scripted`]).

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crate::entity::{Operation, OperationResult, SharedOperation};
pub use crate::execution::http::{HTTP_ACTIVITY, SECRET_OPENS};
use crate::execution::{Conditions, Execution, arguments};
use crate::{Failure, FunctionName, InstanceId, Payload, Seq, Timestamp, VersionId};

/// What the names of the host's own functions begin with, compared ignoring case. No app may describe one.
pub const BUILT_IN_PREFIX: &str = "BuiltIn::";

/// An execution, shared between the turn (which applies events) and the guest (which takes actions). Never contended:
/// the guest runs only inside [`Guest::resume`]. The lock is not held across a `resume` or an await.
pub type SharedExecution = Arc<Mutex<Execution>>;

/// Starts guests. Implementations differ in what a guest is, not in what it may do.
pub trait Executor: Send + Sync {
    /// Prepares a guest for one execution. None of its code runs before the first [`Guest::resume`].
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError>;

    /// Prepares a guest that runs operations of one entity. Its host calls go to `scope`.
    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError>;

    /// The host's configuration as an orchestrator of this version sees it if it begins now.
    fn conditions(&self, version: VersionId) -> Arc<Conditions>;

    /// Runs an activity. Dropping the future stops it. Never panics; an error of the host is a retriable failure. The
    /// activity's requests to its task hub go to `client`.
    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture;

    /// Runs the built-in activity [`HTTP_ACTIVITY`]: sends the request that is its input, and returns the response. `caller` is
    /// the version of the calling orchestrator, whose grants apply.
    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture;
}

/// Why a guest cannot be started. It is the host's error, never the guest's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Its code cannot be loaded or has no such function: the instance is halted.
    #[error("{0}")]
    Unable(String),
}

/// Why a guest cannot be started or replayed at present. The turn is put back unchanged, and run again when the cause has
/// passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("version {0} is not in memory")]
    NotLoaded(VersionId),
    #[error("the host has no room for one more guest of version {0}")]
    NoRoom(VersionId),
    #[error("the history cannot be read")]
    Unread,
}

/// What one call of an activity or trigger may ask of its task hub.
pub trait HubClient: Send + Sync {
    /// Starts an orchestration and returns its instance id once the start is durable. A call that is repeated after a crash
    /// repeats its starts in the same order; those that were made before have no further effect.
    fn start_orchestration(&self, start: Start) -> StartFuture;

    /// Makes any other call of the durable client.
    fn call(&self, call: ClientCall) -> ClientFuture;

    /// Returns the counter for the memory of the guest that runs the call. The default does not count.
    fn memory(&self) -> Box<dyn GuestMemory> {
        Box::new(Uncounted)
    }
}

/// Counts the memory of a guest. Dropping it releases the memory.
pub trait GuestMemory: Send + Sync + Debug {
    /// Reserves `bytes` more. Returns false if the host has no memory left: then the guest is stopped, and its runner must not
    /// report this as a failure of the guest.
    fn grow(&mut self, bytes: usize) -> bool;
}

#[derive(Debug)]
struct Uncounted;

impl GuestMemory for Uncounted {
    fn grow(&mut self, _bytes: usize) -> bool {
        true
    }
}

pub type SharedClient = Arc<dyn HubClient>;

/// A call of the durable client, other than a start.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientCall {
    Message {
        to: InstanceId,
        message: ClientMessage,
    },
    /// Starts an orchestration anew. Answer: its id, which is generated if `new_id` is none.
    Restart {
        id: InstanceId,
        new_id: Option<InstanceId>,
    },
    /// Removes an instance. Answer: none if there is no such instance.
    Purge {
        id: InstanceId,
    },
    /// Puts messages into a queue.
    Enqueue {
        queue: String,
        messages: Vec<String>,
        /// They are not delivered before then. None: at once.
        deliver_at: Option<Timestamp>,
    },
    /// Answer: the state; none if there is no such entity, or it has no state.
    ReadEntity {
        id: InstanceId,
    },
    Query(ClientQuery),
}

/// A message to one instance.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    RaiseEvent { name: String, data: Payload },
    Terminate { reason: String },
    Suspend { reason: String },
    Resume { reason: String },
    Rewind { reason: String },
    Signal { operation: String, input: Payload, deliver_at: Option<Timestamp> },
}

/// An operation of the management API whose parameters and response are JSON. Answer: the body; none if there is no such instance.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientQuery {
    /// Its `operationId`.
    pub operation: &'static str,
    pub parameters: Vec<(&'static str, String)>,
    /// More parameters, as a JSON object that the guest has made; empty for none.
    pub options: String,
}

/// What an app's code may do with the durable client, in its own task hub. Each includes those before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientGrant {
    None,
    Read,
    #[default]
    Operate,
}

impl ClientGrant {
    pub const ALL: [ClientGrant; 3] = [ClientGrant::None, ClientGrant::Read, ClientGrant::Operate];

    pub fn name(self) -> &'static str {
        match self {
            ClientGrant::None => "none",
            ClientGrant::Read => "read",
            ClientGrant::Operate => "operate",
        }
    }

    /// Fails unless this includes what a call of the client needs.
    pub fn require(self, needs: ClientGrant, call: &str) -> Result<(), Failure> {
        if self >= needs {
            return Ok(());
        }
        let (has, needs) = (self.name(), needs.name());
        let why = format!(
            "the app's code may not call {call} of the durable client: it needs the grant client={needs}, and has {has}; the \
             administrator of the task hub can raise it, unless the app's manifest asks for less"
        );
        Err(Failure::permanent(Failure::NOT_GRANTED, why))
    }
}

/// Resolves to the answer, if the call has one.
pub type ClientFuture = Pin<Box<dyn Future<Output = Result<Option<String>, Failure>> + Send>>;

/// Resolves to the instance id of the started orchestration.
pub type StartFuture = Pin<Box<dyn Future<Output = Result<InstanceId, Failure>> + Send>>;

/// An orchestration to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub name: FunctionName,
    pub input: Payload,
    /// None: one is derived from the call.
    pub instance: Option<InstanceId>,
    /// The version label asked for; empty for none.
    pub version: String,
    /// It does not begin before then. None: at once.
    pub start_at: Option<Timestamp>,
}

impl Start {
    /// Parses the arguments of a guest. A failure is the guest's mistake.
    pub fn parse(name: &str, input: Payload, instance: Option<&str>, version: Option<&str>) -> Result<Self, Failure> {
        Ok(Self {
            name: arguments::function(name)?,
            input,
            instance: instance.map(arguments::orchestration).transpose()?,
            version: arguments::version(version.unwrap_or_default())?,
            start_at: None,
        })
    }
}

/// Resolves to the outcome of an activity.
pub type ActivityFuture = Pin<Box<dyn Future<Output = Result<Payload, Failure>> + Send>>;

/// A running orchestrator. Dropping it stops it and leaves nothing behind.
pub trait Guest: Send {
    /// Runs the guest until it waits or ends. Called once to begin, and again when something that it waits for has completed.
    fn resume(&mut self) -> Step;

    /// An upper bound of the bytes of memory that it holds while it waits.
    fn memory_bytes(&self) -> usize {
        0
    }

    /// The number of slots that it takes: several if it is made of many parts.
    fn slots(&self) -> usize {
        1
    }
}

/// An entity function that runs one operation after another. It is not used again after a failure, so that nothing of the
/// failed operation is left in its memory.
pub trait EntityGuest: Send {
    fn run(&mut self, operation: &Operation) -> Result<OperationResult, OperationError>;
}

/// Why an operation has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationError {
    /// The guest failed: the operation has changed nothing, and its caller gets the failure.
    Failed(Failure),
    /// The guest could not be started after all: the operation was not run.
    NotStarted(NotNow),
}

impl From<Failure> for OperationError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why a guest stopped running.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It waits: [`Execution::wait`] found no completed task.
    Waiting,
    /// It returned its output, or failed: by a returned failure, a panic, a trap, a limit.
    Ended(Result<Payload, Failure>),
    /// It could not be started after all: none of its code has run.
    NotStarted(NotNow),
}

/// One call of an activity.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityCall {
    /// As the caller spelled it.
    pub name: FunctionName,
    pub input: Payload,
    pub instance: InstanceId,
    pub seq: Seq,
    /// From 1.
    pub attempt: u32,
}

/// One call of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerCall {
    pub name: FunctionName,
    /// JSON; its shape depends on the trigger, and is part of the contract.
    pub input: String,
    /// Stays the same when the call is repeated.
    pub invocation: uuid::Uuid,
    /// From 1.
    pub attempt: u32,
}
