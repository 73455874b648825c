//! What a client can be refused with.

use dacapo_core::{FunctionName, InstanceId, RuntimeStatus, VersionId};
use dacapo_store::StoreError;
use dacapo_store::control::ControlError;
use dacapo_wasm::DeployError;

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
    /// What becomes of it stands in the table of limits.
    #[error(
        "{what}: the limit {limit} of the task hub is {value}; its administrator can raise it: `dacapo hub set-limit HUB {limit} VALUE`"
    )]
    Limit { limit: &'static str, value: u64, what: String },
    #[error("{0}")]
    InvalidPayload(String),
    #[error(transparent)]
    Deploy(std::sync::Arc<DeployError>),
    #[error("the function '{function}' belongs to the app '{app}' already; names are unique in a task hub")]
    FunctionTaken { function: FunctionName, app: String },
    #[error("no app '{0}' is deployed")]
    UnknownApp(String),
    #[error("the app '{app}' has no version with the label or the digest '{version}' (six digits of it are enough)")]
    UnknownVersion { app: String, version: String },
    #[error("the app '{app}' has more than one version whose digest begins with '{version}'")]
    AmbiguousVersion { app: String, version: String },
    #[error("the version {version} of the app '{app}' is in use: {why}")]
    VersionInUse { app: String, version: VersionId, why: String },
    /// What a start asks for is not deployed.
    #[error("{0}")]
    VersionMismatch(String),
    #[error("the instance '{id}' stays on its version: {why}")]
    NotMigratable { id: InstanceId, why: String },
    #[error("the file cannot be imported: {0}")]
    Import(crate::export::ExportError),
    #[error(
        "the instance '{id}' of '{name}' runs on version {version}, which is not deployed here: export it with its modules, or deploy it first"
    )]
    NotDeployed { id: InstanceId, name: String, version: VersionId },
    /// A version that was deployed cannot be read or run any more.
    #[error("{0}")]
    Unloadable(String),
    #[error("the task hub '{hub}' is suspended: {why}")]
    Suspended { hub: String, why: String },
    #[error("the task hub '{hub}' does not open: {why}")]
    DoesNotOpen { hub: String, why: String },
    #[error("{0} task hubs are open and busy, and the host opens no more at once; try again later")]
    TooManyOpen(usize),
    /// What the host keeps of its hubs.
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
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
