//! Locks for changes of what is deployed.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

/// Locks for changes of what is deployed, and for replays of many histories: one of each at a time.
pub(in crate::hub) struct DeploymentLocks {
    /// Held while recorded versions are changed together with the record of which files the hub needs.
    pub(super) recording: Mutex<()>,
    /// Held during a client's change of what is deployed.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    /// Held while the histories of many instances are replayed.
    pub(super) gate: Arc<Semaphore>,
}

impl Default for DeploymentLocks {
    fn default() -> Self {
        Self { recording: Mutex::default(), changing: Arc::default(), gate: Arc::new(Semaphore::new(1)) }
    }
}

impl DeploymentLocks {
    /// Lets no further replay begin.
    pub fn close(&self) {
        self.gate.close();
    }
}
