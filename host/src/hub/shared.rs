//! What all hubs of a host share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use dacapo_store::StoreOptions;
use dacapo_store::control::ControlFile;
use dacapo_wasm::Runtime;

use super::capacity::{Capacity, CapacityLimits};
use super::fair::FairThreads;
use super::modules::Modules;
use super::scheduler::Workers;
use crate::directory;
use crate::memory::MemoryBudget;

/// How the hubs of a host are run.
pub struct SharedOptions {
    /// The data directory; the hub NAME is the file `hubs/NAME.redb` in it.
    pub directory: PathBuf,
    pub runtime: Runtime,
    /// Says which hubs need which of the deployed files.
    pub control: Arc<ControlFile>,
    /// Turns and activities that compute at once.
    pub threads: usize,
    pub capacity: CapacityLimits,
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
    capacity: Arc<Capacity>,
    memory: MemoryBudget,
    reads: FairThreads,
    store: StoreOptions,
    tokio: tokio::runtime::Handle,
}

impl Shared {
    /// Removes what nobody needs of what was deployed, and starts the threads. Must be called within a tokio runtime, which runs
    /// the timers of all hubs.
    pub fn new(options: SharedOptions) -> anyhow::Result<Self> {
        let SharedOptions { directory, runtime, control, threads, capacity, store } = options;
        let hubs = directory.join("hubs");
        directory::make(&hubs).with_context(|| format!("creating the directory {}", hubs.display()))?;
        Ok(Self(Arc::new(Inner {
            directory,
            modules: Modules::open(runtime.clone(), control)?,
            workers: Workers::new(threads)?,
            memory: MemoryBudget::new(capacity.memory_bytes, capacity.hubs),
            capacity: Capacity::new(capacity, {
                let runtime = runtime.clone();
                move || runtime.is_room_owed()
            }),
            reads: FairThreads::for_reads(),
            runtime,
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

    /// What is counted of the memory of the process.
    pub fn memory(&self) -> &MemoryBudget {
        &self.0.memory
    }

    /// Resolves when a worker could take a job.
    pub(crate) async fn probe_workers(&self) {
        // An error says that the workers end.
        let _ = self.workers().scheduler().probe().await;
    }

    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.0.directory
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(super) fn capacity(&self) -> &Arc<Capacity> {
        &self.0.capacity
    }

    /// Who reads for clients.
    pub(super) fn reads(&self) -> &FairThreads {
        &self.0.reads
    }

    pub(super) fn store(&self) -> &StoreOptions {
        &self.0.store
    }

    pub(super) fn tokio(&self) -> &tokio::runtime::Handle {
        &self.0.tokio
    }
}
