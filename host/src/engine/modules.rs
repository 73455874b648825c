//! Deployed files, each kept once for all hubs: which hubs need a file, and when it is removed.
//!
//! The control file records which hubs need a file, from before a hub records the version until after it has forgotten it, so
//! no hub has to be opened to find out. A hub that is recorded but does not need the file only costs space. One that is missing
//! would lose its code, so a hub that is opened records its files again.
//!
//! A deployment or a trial *holds* its file meanwhile. When the last holder drops it, the file is removed with its compiled code
//! unless a hub needs it, so nothing is left of a deployment that was refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use dacapo_core::VersionId;
use dacapo_store::control::{ControlError, ControlFile};
use dacapo_wasm::Runtime;

/// The deployed files of a host. Clones are handles of the same.
#[derive(Clone)]
pub struct Modules(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    control: Arc<ControlFile>,
    /// The control file is younger than the files, so it may lack hubs that need one. Then no file is ever removed.
    keeps_all: bool,
    /// The number of holders of each file. Files are removed under this lock, which is never held across an await.
    held: Mutex<HashMap<VersionId, usize>>,
}

impl Modules {
    /// Opens the deployed files, and removes those that no hub needs, which a crash may have left.
    pub fn open(runtime: Runtime, control: Arc<ControlFile>) -> anyhow::Result<Self> {
        if runtime.has_no_modules().context("reading the directory of modules")? {
            control.track_modules()?;
        }
        let keeps_all = !control.tracks_modules()?;
        if !keeps_all {
            let removed = runtime.keep_only(&control.needed_modules()?).context("removing modules that no task hub needs")?;
            tracing::debug!(removed, "files of modules that no task hub needs were removed");
        }
        Ok(Self(Arc::new(Inner { runtime, control, keeps_all, held: Mutex::default() })))
    }

    /// Keeps a file, which need not exist yet, from being removed.
    pub fn hold(&self, version: VersionId) -> Held {
        *self.0.held().entry(version).or_default() += 1;
        Held { modules: self.clone(), version }
    }

    /// Records that a hub needs these files. Returns those that it did not need before.
    pub fn need(&self, hub: &str, versions: &[VersionId]) -> Result<Vec<VersionId>, ControlError> {
        self.0.control.need_modules(hub, versions)
    }

    /// Returns the files that a hub is recorded to need.
    pub fn of(&self, hub: &str) -> Result<Vec<VersionId>, ControlError> {
        self.0.control.modules_of(hub)
    }

    /// Records that a hub no longer needs these files, and removes those that are unused.
    pub fn release(&self, hub: &str, versions: &[VersionId]) -> Result<(), ControlError> {
        self.0.control.release_modules(hub, versions)?;
        self.collect(versions);
        Ok(())
    }

    /// Removes those of these files that no hub needs and that are not held.
    pub fn collect(&self, versions: &[VersionId]) {
        let held = self.0.held();
        versions.iter().filter(|version| !held.contains_key(version)).for_each(|version| self.0.collect(*version));
    }
}

impl Inner {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<VersionId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a file that is not held, unless a hub needs it. Called under the lock. If that fails, the next start removes it.
    fn collect(&self, version: VersionId) {
        match self.control.is_module_needed(version) {
            Ok(true) => {}
            Ok(false) if self.keeps_all => self.runtime.unload(version),
            Ok(false) => match self.runtime.remove(version) {
                Ok(()) => tracing::debug!(%version, "no task hub needs the module any more: it was removed"),
                Err(error) => tracing::warn!(%version, %error, "a module that no task hub needs cannot be removed"),
            },
            Err(error) => tracing::warn!(%version, %error, "the task hubs that need a module cannot be read"),
        }
    }
}

/// Keeps a file from being removed until it is dropped, which may block on the disk.
pub struct Held {
    modules: Modules,
    version: VersionId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.modules.0.held();
        let Some(count) = held.get_mut(&self.version) else { return };
        *count -= 1;
        if *count == 0 {
            held.remove(&self.version);
            self.modules.0.collect(self.version);
        }
    }
}
