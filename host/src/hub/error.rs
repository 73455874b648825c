//! The errors of a hub's operations.

use dacapo_core::{FunctionName, InstanceId, RuntimeStatus, VersionId};
use dacapo_store::StoreError;
use dacapo_store::control::ControlError;
use dacapo_wasm::DeployError;
use tokio::task::JoinError;

use crate::engine::fair_threads::NotDone;
use crate::engine::memory::NoRoom;
use crate::engine::panics::Panicked;
use crate::schedules::InvalidSchedule;

#[derive(Debug, Clone, thiserror::Error)]
pub enum HubError {
    #[error("no instance with the id '{0}' exists")]
    NotFound(InstanceId),
    #[error("an instance with the id '{id}' already exists and is {}", status.name())]
    AlreadyExists { id: InstanceId, status: RuntimeStatus },
    #[error("the instance '{id}' has ended: it is {}", status.name())]
    Ended { id: InstanceId, status: RuntimeStatus },
    #[error("cannot suspend the instance '{0}': it is suspended already")]
    AlreadySuspended(InstanceId),
    #[error("cannot resume the instance '{0}': it is not suspended")]
    NotSuspended(InstanceId),
    #[error(
        "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID {id} has status {}",
        status.name()
    )]
    NotTerminal { id: InstanceId, status: RuntimeStatus },
    /// It has not failed, or cannot go back to before its failure.
    #[error("The instance '{id}' cannot be rewound: {why}")]
    NotRewindable { id: InstanceId, why: String },
    #[error("The entity function '{name}' doesn't exist, is disabled, or is not an entity function")]
    UnknownEntity { name: FunctionName },
    #[error("'{id}' is an entity, and {what}")]
    NotForEntities { id: InstanceId, what: &'static str },
    #[error(
        "The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. Additional info: {}",
        known_functions(known)
    )]
    UnknownOrchestrator { name: FunctionName, known: Vec<FunctionName> },
    #[error("the {what} has {size} bytes, {limit} are allowed")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    /// The table of limits says how the API answers it.
    #[error(
        "{what}: the limit {limit} of the task hub is {value}; its administrator can raise it: `dacapo hub set-limit HUB {limit} VALUE`"
    )]
    Limit { limit: &'static str, value: u64, what: String },
    #[error("{0}")]
    InvalidPayload(String),
    #[error(transparent)]
    Deploy(std::sync::Arc<DeployError>),
    #[error(
        "the function '{function}' belongs to the app '{app}' already, and names are unique in a task hub: deploy it as that app \
         (`--app {app}`), give the function another name, or remove that app (`dacapo undeploy {app}`)"
    )]
    FunctionTaken { function: FunctionName, app: String },
    #[error(
        "the trigger '{function}' claims the route '{route}', which the trigger '{other}' of the app '{app}' serves already: give one of \
         them another route or other methods"
    )]
    RouteTaken { function: FunctionName, route: String, other: FunctionName, app: String },
    #[error("the trigger '{function}' cannot be deployed: {why}")]
    InvalidTrigger { function: FunctionName, why: String },
    #[error("no schedule '{0}' exists; `dacapo schedule list` shows all")]
    NoSchedule(String),
    #[error("a schedule '{0}' exists already: delete it, or replace it (`dacapo schedule create --replace`)")]
    ScheduleExists(String),
    #[error(
        "the schedule '{name}' belongs to the app '{app}', whose deployments make and remove it: change the app, or pause the schedule, \
         which later deployments keep"
    )]
    ScheduleOfApp { name: String, app: String },
    #[error("the schedule '{name}' of the app cannot be made: {why}")]
    ScheduleNotMade { name: String, why: String },
    /// A schedule, or what is asked of one, is wrong.
    #[error(transparent)]
    InvalidSchedule(#[from] InvalidSchedule),
    /// A guest has no memory to run at present.
    #[error(transparent)]
    NoMemory(NoRoom),
    #[error("no app '{0}' is deployed")]
    UnknownApp(String),
    #[error("the app '{app}' has no version with the label or the digest '{version}' (six digits of it are enough)")]
    UnknownVersion { app: String, version: String },
    #[error(
        "'{version}' names more than one version of the app '{app}', by label or by the first digits of the digest: give more \
         digits, which `dacapo versions {app}` shows"
    )]
    AmbiguousVersion { app: String, version: String },
    #[error("no version of the app '{app}' can have the label '{label}': {why}; choose another one")]
    Label { app: String, label: String, why: String },
    #[error("'{one}' and '{other}' name the same version of the app '{app}': which share is it to get?")]
    NamedTwice { app: String, one: String, other: String },
    #[error(
        "with these weights no version of the app '{0}' would get new starts: give one of them a weight, or send all to \
         one with `dacapo rollback {0} VERSION`"
    )]
    NoWeight(String),
    #[error(
        "no version of the app '{0}' was active before the one that gets the new starts: choose one with `dacapo rollback {0} VERSION`"
    )]
    NoEarlierVersion(String),
    #[error(
        "the app '{app}' is in use: {orchestrations} orchestrations that have not ended, and {entities} entities, need it; \
         `dacapo undeploy {app} --with-instances` terminates the orchestrations and purges the entities"
    )]
    AppInUse { app: String, orchestrations: u64, entities: u64 },
    #[error("the version {version} of the app '{app}' is in use: {why}")]
    VersionInUse { app: String, version: VersionId, why: String },
    /// No deployed version matches the one that a start asks for.
    #[error("{0}")]
    VersionMismatch(String),
    #[error("the instance '{id}' stays on its version: {why}")]
    NotMigratable { id: InstanceId, why: String },
    #[error(
        "the history of the instance '{0}' changed while it was being read: it continued as new, was rewound, or is gone; try again"
    )]
    HistoryChanged(InstanceId),
    #[error("the file cannot be imported: {0}")]
    Import(crate::export::ExportError),
    #[error(
        "the instance '{id}' of '{name}' runs on version {version}, which is not deployed here: export it with its modules, or deploy it first"
    )]
    NotDeployed { id: InstanceId, name: String, version: VersionId },
    /// A deployed version can no longer be read or run.
    #[error("{0}")]
    Unloadable(String),
    #[error("the task hub '{hub}' is suspended: {why}")]
    Suspended { hub: String, why: String },
    #[error("the task hub '{hub}' cannot be opened: {why}")]
    CannotOpen { hub: String, why: String },
    #[error("the task hub '{hub}' is about to close: try again")]
    Closing { hub: String },
    #[error("{0} task hubs are open and busy, which is as many as the host may have open; try again later")]
    TooManyOpen(usize),
    #[error("{most} requests of the task hub '{hub}' are queued, and no more may be: send fewer at once")]
    TooManyWaiting { hub: String, most: usize },
    /// An error of the control file.
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug of the host: it panicked on the request, which has changed nothing.
    #[error("the host panicked on this request, which is a bug of the host; its log has details: {0}")]
    Internal(String),
    #[error("the client has left before the call began")]
    CallerLeft,
    #[error("the host is shutting down")]
    ShuttingDown,
}

fn known_functions(known: &[FunctionName]) -> String {
    if known.is_empty() {
        return "No orchestrator functions are currently registered!".into();
    }
    let names: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
    format!("The following are the known orchestrator functions: {}.", names.join(", "))
}

impl From<Panicked> for HubError {
    fn from(why: Panicked) -> Self {
        HubError::Internal(why.to_string())
    }
}

impl HubError {
    /// Says why a job on the reader threads has no result.
    pub(crate) fn not_done(hub: &str, why: NotDone) -> Self {
        match why {
            NotDone::TooManyWaiting(most) => HubError::TooManyWaiting { hub: hub.to_owned(), most },
            NotDone::Panicked(why) => why.into(),
            NotDone::Ending => HubError::ShuttingDown,
        }
    }
}

/// Unwraps the result of a joined task or thread: a panic becomes an error.
pub(crate) fn join_result<T>(result: Result<T, JoinError>) -> Result<T, HubError> {
    result.map_err(|why| match why.try_into_panic() {
        Ok(panic) => Panicked::of(panic.as_ref()).into(),
        // The task was cancelled: the runtime is shutting down.
        Err(_) => HubError::ShuttingDown,
    })
}
