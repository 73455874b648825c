use std::path::PathBuf;

use dacapo_core::InstanceId;

/// Why an operation of the store failed: one variant for each thing that a caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has the hub open. Stop it, or use it.
    #[error("{} is in use by another process: a task hub is opened by one host at a time ({hint})", path.display())]
    Locked { path: PathBuf, hint: &'static str },
    /// The file existed before, and is missing or empty now. Restore a backup, or accept the loss of its contents.
    #[error("the file {} is {what}, although it was made and written before", path.display())]
    Missing { path: PathBuf, what: &'static str },
    /// Written by a newer release. Use that release.
    #[error("{what} is stored in format {found}, and this release reads up to format {known}: use a newer release")]
    NewerFormat { what: &'static str, found: u64, known: u64 },
    /// The stored data is invalid. Restore a backup, or report a bug.
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
    /// Free disk space and try again.
    #[error("the disk is full, nothing was saved: {0}")]
    DiskFull(String),
    /// The stored state is not the one that the commit was made from. Load the instance and run the turn again.
    #[error("the instance '{instance}' has changed since it was loaded: {reason}")]
    Stale { instance: InstanceId, reason: String },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The underlying storage failed. Check the machine, then try again.
    #[error("the storage failed: {0}")]
    Backend(String),
}
