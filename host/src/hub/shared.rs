//! What all hubs of a host share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use dacapo_store::StoreOptions;
use dacapo_store::control::ControlFile;
use dacapo_wasm::Runtime;

use super::modules::Modules;
use super::room::{Room, RoomSize};
use super::workers::Workers;

/// How the hubs of a host are run.
pub struct SharedOptions {
    /// The data directory; the hub NAME is the file `hubs/NAME.redb` in it.
    pub directory: PathBuf,
    pub runtime: Runtime,
    /// Says which hubs need which of the deployed files.
    pub control: Arc<ControlFile>,
    /// Turns and activities that compute at once.
    pub threads: usize,
    pub room: RoomSize,
    /// How each file is kept; its memory for pages is a share of the room's.
    pub store: StoreOptions,
}

/// What all hubs of a host share. Clones are handles of the same.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    runtime: Runtime,
    modules: Modules,
    workers: Workers,
    room: Arc<Room>,
    store: StoreOptions,
    tokio: tokio::runtime::Handle,
}

impl Shared {
    /// Removes what nobody needs of what was deployed, and starts the threads. Must be called within a tokio runtime, which runs
    /// the timers of all hubs.
    pub fn new(options: SharedOptions) -> anyhow::Result<Self> {
        let SharedOptions { directory, runtime, control, threads, room, store } = options;
        let hubs = directory.join("hubs");
        std::fs::create_dir_all(&hubs).with_context(|| format!("creating the directory {}", hubs.display()))?;
        Ok(Self(Arc::new(Inner {
            directory,
            modules: Modules::open(runtime.clone(), control)?,
            runtime,
            workers: Workers::new(threads)?,
            room: Room::new(room),
            store,
            tokio: tokio::runtime::Handle::current(),
        })))
    }

    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// The deployed files.
    pub fn modules(&self) -> &Modules {
        &self.0.modules
    }

    pub(super) fn directory(&self) -> &std::path::Path {
        &self.0.directory
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.0.room
    }

    pub(super) fn store(&self) -> &StoreOptions {
        &self.0.store
    }

    pub(super) fn tokio(&self) -> &tokio::runtime::Handle {
        &self.0.tokio
    }
}
