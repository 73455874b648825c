//! Deployed files, each kept once for all hubs: who needs which, and when one goes.
//!
//! The control file says which hubs need a file, from before a hub records the version until after it has forgotten it; so
//! no hub must be opened to know. A hub that is named and does not need the file costs space. One that is missing would
//! cost it its code: so a hub that is opened names again what it has.
//!
//! Whoever deploys a file, or tries one out, *holds* it meanwhile. Who lets go of it last removes it, with its compiled
//! code, if no hub needs it: then nothing is left of a deployment that was refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use dacapo_core::VersionId;
use dacapo_store::control::{ControlError, ControlFile};
use dacapo_wasm::Runtime;

/// Clones are handles of the same.
#[derive(Clone)]
pub struct Modules(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    control: Arc<ControlFile>,
    /// The control file may lack who needs a file: it is younger than the files. Then none is ever removed.
    keeps_all: bool,
    /// How many hold a file. Files are removed under this lock, and nothing awaits.
    held: Mutex<HashMap<VersionId, usize>>,
}

impl Modules {
    /// Removes what a crash has left: files that no hub needs.
    pub fn open(runtime: Runtime, control: Arc<ControlFile>) -> anyhow::Result<Self> {
        if runtime.has_no_modules().context("reading the directory of modules")? {
            control.track_modules()?;
        }
        let keeps_all = !control.tracks_modules()?;
        if !keeps_all {
            let removed = runtime.keep_only(&control.needed_modules()?).context("removing modules that nobody needs")?;
            tracing::debug!(removed, "files of modules that no task hub needs were removed");
        }
        Ok(Self(Arc::new(Inner { runtime, control, keeps_all, held: Mutex::default() })))
    }

    /// Keeps a file, which need not be there yet, from being removed.
    pub fn hold(&self, version: VersionId) -> Held {
        *self.0.held().entry(version).or_default() += 1;
        Held { modules: self.clone(), version }
    }

    /// A hub needs these files from now on. Returns those that it did not need before.
    pub fn need(&self, hub: &str, versions: &[VersionId]) -> Result<Vec<VersionId>, ControlError> {
        self.0.control.need_modules(hub, versions)
    }

    /// What a hub needs, as it has said so far.
    pub fn of(&self, hub: &str) -> Result<Vec<VersionId>, ControlError> {
        self.0.control.modules_of(hub)
    }

    /// A hub does not need these files any more.
    pub fn release(&self, hub: &str, versions: &[VersionId]) -> Result<(), ControlError> {
        self.0.control.release_modules(hub, versions)?;
        self.collect(versions);
        Ok(())
    }

    /// Removes those of these files that nobody needs or holds.
    pub fn collect(&self, versions: &[VersionId]) {
        let held = self.0.held();
        versions.iter().filter(|version| !held.contains_key(version)).for_each(|version| self.0.collect(*version));
    }
}

impl Inner {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<VersionId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called under the lock, of what nobody holds. A file that cannot be removed is removed at the next start.
    fn collect(&self, version: VersionId) {
        match self.control.is_module_needed(version) {
            Ok(true) => {}
            Ok(false) if self.keeps_all => self.runtime.unload(version),
            Ok(false) => match self.runtime.remove(version) {
                Ok(()) => tracing::debug!(%version, "no task hub needs the module any more: it was removed"),
                Err(error) => tracing::warn!(%version, %error, "a module that no task hub needs cannot be removed"),
            },
            Err(error) => tracing::warn!(%version, %error, "it cannot be told who needs a module"),
        }
    }
}

/// Keeps a file until it is dropped, which may block on the disk.
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
