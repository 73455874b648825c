//! The task hubs of a host.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::{Hub, HubError};

/// All task hubs. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Hubs(Arc<Inner>);

struct Inner {
    hub: Hub,
}

impl Hubs {
    /// Only one, which is open for as long as the host runs.
    pub fn of(hub: Hub) -> Self {
        Self(Arc::new(Inner { hub }))
    }

    /// The hub of this name, opened if need be. It stays open for as long as the handle is kept.
    ///
    /// None: there is none.
    pub async fn hub(&self, name: &str) -> Result<Option<Hub>, HubError> {
        Ok(Some(self.0.hub.clone()).filter(|hub| hub.name().eq_ignore_ascii_case(name)))
    }

    /// Stops all: running turns are finished and committed, activities get `grace` to end.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.hub.shutdown(grace).await;
    }
}
