//! The seam to whatever executes guests: wasm, or Rust closures in tests ([`crate::scripted`]).

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crate::entity::{Operation, OperationResult, SharedOperation};
pub use crate::execution::http::{HTTP_ACTIVITY, SECRET_OPENS};
use crate::execution::{Conditions, Execution, arguments};
use crate::{Failure, FunctionName, InstanceId, Payload, Seq, VersionId};

/// An execution, shared between the turn (which applies events) and the guest (which takes actions). Never contended:
/// the guest runs only inside [`Guest::resume`]. The lock is not held across a `resume` or an await.
pub type SharedExecution = Arc<Mutex<Execution>>;

/// Starts guests. Implementations differ in what a guest is, not in what it may do.
pub trait Executor: Send + Sync {
    /// Prepares a guest for one execution. Nothing of it runs before the first [`Guest::resume`].
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError>;

    /// Prepares a guest that runs operations of one entity. What it asks of the host goes to `scope`.
    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError>;

    /// What an orchestrator of a version is given of the host's configuration, if it begins now.
    fn conditions(&self, version: VersionId) -> Arc<Conditions>;

    /// Runs an activity. Dropping the future stops it. Never panics; the host's own trouble is a retriable failure. What it
    /// asks of its task hub goes to `client`.
    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture;

    /// Runs the host's own activity [`HTTP_ACTIVITY`]: sends the request that is its input, and gives the response.
    /// `caller` is the version of the orchestrator that calls it, whose grants count.
    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture;
}

/// Why a guest cannot be started. It is the host's error, never the guest's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Its code cannot be loaded, or holds no such function: the instance is halted.
    #[error("{0}")]
    Unable(String),
}

/// Why a guest cannot be started, and brought to where it was, at present. The turn is put back, as if it had not been, until that
/// has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("version {0} is not in memory")]
    NotLoaded(VersionId),
    #[error("the host has no room for one more guest of version {0}")]
    NoRoom(VersionId),
    #[error("the history cannot be read")]
    Unread,
}

/// What one call of an activity may ask of its task hub.
pub trait ActivityClient: Send + Sync {
    /// Starts an orchestration and gives its instance id once that is durable. When the call of the activity is repeated after a
    /// crash, so are its starts, in the same order: what has been started is not started again.
    fn start_orchestration(&self, start: Start) -> StartFuture;

    /// Where it is counted what the guest that runs the call holds in memory. By default nowhere.
    fn memory(&self) -> Box<dyn GuestMemory> {
        Box::new(Uncounted)
    }
}

/// Counts the memory of a guest, which has it until this is dropped.
pub trait GuestMemory: Send + Sync + Debug {
    /// It is to have so many bytes more. Whether there is room in the host: if not, the guest is stopped, and whoever runs it
    /// has to see that this is no failure of it.
    fn grow(&mut self, bytes: usize) -> bool;
}

#[derive(Debug)]
struct Uncounted;

impl GuestMemory for Uncounted {
    fn grow(&mut self, _bytes: usize) -> bool {
        true
    }
}

pub type SharedClient = Arc<dyn ActivityClient>;

/// The instance id of what was started, to be.
pub type StartFuture = Pin<Box<dyn Future<Output = Result<InstanceId, Failure>> + Send>>;

/// An orchestration to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub name: FunctionName,
    pub input: Payload,
    /// None: one is derived from the call of the activity.
    pub instance: Option<InstanceId>,
    /// The version label asked for; empty for none.
    pub version: String,
}

impl Start {
    /// As a guest names it. A failure is the guest's mistake.
    pub fn parse(name: &str, input: Payload, instance: Option<&str>, version: Option<&str>) -> Result<Self, Failure> {
        Ok(Self {
            name: arguments::function(name)?,
            input,
            instance: instance.map(arguments::orchestration).transpose()?,
            version: arguments::version(version.unwrap_or_default())?,
        })
    }
}

/// The outcome of an activity, to be.
pub type ActivityFuture = Pin<Box<dyn Future<Output = Result<Payload, Failure>> + Send>>;

/// An orchestrator that is being executed. Dropping it stops it without a trace.
pub trait Guest: Send {
    /// Runs the guest until it can go no further. Called when what it waits for has completed, and once to begin.
    fn resume(&mut self) -> Step;

    /// Bytes of memory that it may hold while it waits: not less than it holds, and most often more.
    fn memory_bytes(&self) -> usize {
        0
    }

    /// How many guests it counts as: one that is made of many parts takes the room of several.
    fn slots(&self) -> usize {
        1
    }
}

/// An entity function that runs one operation after another. One that has failed is not used again, so that nothing of
/// the failed operation is left in its memory.
pub trait EntityGuest: Send {
    fn run(&mut self, operation: &Operation) -> Result<OperationResult, OperationError>;
}

/// Why an operation has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationError {
    /// The guest's failure: the operation has changed nothing, and its caller is told.
    Failed(Failure),
    /// The guest could not be started after all: the operation has not been run.
    NotStarted(NotNow),
}

impl From<Failure> for OperationError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why a guest came to rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It waits: [`Execution::wait`] has said so.
    Waiting,
    /// It returned its output, or failed: by a returned failure, a panic, a trap, a limit.
    Ended(Result<Payload, Failure>),
    /// It could not be started after all: nothing of it has run.
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
