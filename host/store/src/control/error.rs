use crate::StoreError;

/// Why a change of the control file failed: one variant for each thing that a caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ControlError {
    #[error("there is no task hub '{0}'")]
    NoHub(String),
    #[error("there is a task hub '{0}' already")]
    HubExists(String),
    #[error("there is no key '{0}'")]
    NoKey(String),
    #[error("there is a key '{0}' already")]
    KeyExists(String),
    #[error("there is no secret '{0}'")]
    NoSecret(String),
    #[error("the task hub has no host name '{0}'")]
    NoHostName(String),
    /// `hub` is folded.
    #[error(
        "the host name '{name}' is one of the task hub '{hub}': remove it there first (dacapo hub remove-host-name {hub} {name})"
    )]
    HostNameTaken { name: String, hub: String },
    /// Something must be removed first.
    #[error("there are {limit} {what} already, and no more are kept: remove one first")]
    TooMany { what: &'static str, limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}
