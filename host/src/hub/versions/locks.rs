//! Who may change what is deployed.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

/// Who may change what is deployed, or replay histories of many instances: one at a time each.
pub(in crate::hub) struct DeploymentLocks {
    /// Held by whoever changes which versions are recorded together with which files the hub needs.
    pub(super) recording: Mutex<()>,
    /// Held by whom a client has change what is deployed.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever replays histories of many instances.
    pub(super) gate: Arc<Semaphore>,
}

impl Default for DeploymentLocks {
    fn default() -> Self {
        Self { recording: Mutex::default(), changing: Arc::default(), gate: Arc::new(Semaphore::new(1)) }
    }
}

impl DeploymentLocks {
    /// No gate opens any more.
    pub fn close(&self) {
        self.gate.close();
    }
}
