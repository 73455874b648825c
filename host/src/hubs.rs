//! The task hubs of a host.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dacapo_store::control::{AuditEntry, ControlError, ControlFile, HubRecord};
use tokio::sync::Mutex;

use crate::hub::{Hub, HubError};

/// All task hubs. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Hubs(Arc<Inner>);

/// Opens the hub of a record.
pub type OpenHub = Box<dyn Fn(&HubRecord) -> anyhow::Result<Hub> + Send + Sync>;

struct Inner {
    control: Arc<ControlFile>,
    open_hub: OpenHub,
    /// Where a hub's file is.
    file: Box<dyn Fn(&HubRecord) -> PathBuf + Send + Sync>,
    /// By folded name.
    open: Mutex<HashMap<String, Hub>>,
}

impl Hubs {
    pub fn new(control: Arc<ControlFile>, directory: &Path, open_hub: OpenHub) -> Self {
        let directory = directory.join("hubs");
        let file = Box::new(move |record: &HubRecord| directory.join(format!("{}.redb", record.name)));
        Self(Arc::new(Inner { control, open_hub, file, open: Mutex::default() }))
    }

    /// The hub of this name, opened if need be. It stays open for as long as the handle is kept.
    ///
    /// None: there is none. `Suspended`.
    pub async fn hub(&self, name: &str) -> Result<Option<Hub>, HubError> {
        let Some(record) = self.0.control.hub(name)? else { return Ok(None) };
        if let Some(why) = record.suspended {
            return Err(HubError::Suspended { hub: record.name, why });
        }
        let mut open = self.0.open.lock().await;
        let key = record.name.to_ascii_lowercase();
        if let Some(hub) = open.get(&key) {
            return Ok(Some(hub.clone()));
        }
        let opened = (self.0.open_hub)(&record);
        let hub = opened.map_err(|why| HubError::DoesNotOpen { hub: record.name, why: format!("{why:#}") })?;
        open.insert(key, hub.clone());
        Ok(Some(hub))
    }

    /// Makes a hub. `Control(HubExists)`.
    pub async fn create(&self, record: &HubRecord, entry: &AuditEntry) -> Result<(), HubError> {
        Ok(self.0.control.create_hub(record, entry)?)
    }

    /// Changes what the administrator says of a hub, and returns it as it is then. `Control(NoHub)`.
    pub async fn change(&self, name: &str, entry: &AuditEntry, change: impl Fn(&mut HubRecord)) -> Result<HubRecord, HubError> {
        Ok(self.0.control.change_hub(name, entry, change)?)
    }

    /// Removes a hub with everything in it. `Control(NoHub)`.
    ///
    /// Its file goes before its record: if the host dies in between, there is an empty hub, and never a new one with the
    /// instances of the former.
    pub async fn delete(&self, name: &str, entry: &AuditEntry) -> Result<(), HubError> {
        let record = self.0.control.hub(name)?.ok_or_else(|| ControlError::NoHub(name.into()))?;
        let mut open = self.0.open.lock().await;
        if let Some(hub) = open.remove(&record.name.to_ascii_lowercase()) {
            hub.shutdown(Duration::ZERO).await;
        }
        match std::fs::remove_file((self.0.file)(&record)) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                return Err(HubError::DoesNotOpen { hub: record.name, why: format!("its file cannot be removed: {why}") });
            }
            _ => {}
        }
        Ok(self.0.control.delete_hub(name, entry)?)
    }

    /// Stops all: running turns are finished and committed, activities get `grace` to end.
    pub async fn shutdown(&self, grace: Duration) {
        let open: Vec<Hub> = self.0.open.lock().await.drain().map(|(_, hub)| hub).collect();
        futures::future::join_all(open.iter().map(|hub| hub.shutdown(grace))).await;
    }
}
