//! What the task hubs of a host share: the threads that do their work, the memory budget and the capacity for guests and
//! activities, the deployed files.
//!
//! It knows hubs only by the traits that they implement: [`scheduler::WorkQueue`], [`capacity::Occupant`] and
//! [`capacity::ActivityQueue`].

pub mod capacity;
pub mod fair_threads;
pub mod memory;
pub mod modules;
pub mod panics;
pub mod pressure;
pub mod scheduler;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use dacapo_store::StoreOptions;
use dacapo_store::control::ControlFile;
use dacapo_wasm::Runtime;

use crate::directory;
use capacity::{Capacity, CapacityLimits};
use fair_threads::FairThreads;
use memory::MemoryBudget;
use modules::Modules;
use scheduler::{Scheduler, Workers};

/// How the hubs of a host are run.
pub struct EngineOptions {
    /// The data directory; the hub NAME is the file `hubs/NAME.redb` in it.
    pub directory: PathBuf,
    pub runtime: Runtime,
    /// Records which hubs need which deployed files.
    pub control: Arc<ControlFile>,
    /// Turns and activities that compute at once.
    pub threads: usize,
    pub capacity: CapacityLimits,
    /// How each hub's file is kept. Its page cache is a share of [`CapacityLimits::cache_bytes`].
    pub store: StoreOptions,
}

/// What all hubs of a host share. Clones are handles of the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
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

impl Engine {
    /// Removes deployed files that no hub needs, and starts the threads. Must be called within a tokio runtime, which runs the
    /// timers of all hubs.
    pub fn new(options: EngineOptions) -> anyhow::Result<Self> {
        let EngineOptions { directory, runtime, control, threads, capacity, store } = options;
        let hubs = directory.join("hubs");
        directory::make(&hubs).with_context(|| format!("creating the directory {}", hubs.display()))?;
        Ok(Self(Arc::new(Parts {
            directory,
            modules: Modules::open(runtime.clone(), control)?,
            workers: Workers::new(threads)?,
            memory: MemoryBudget::new(capacity.memory_bytes, capacity.hubs),
            capacity: Capacity::new(capacity, {
                let runtime = runtime.clone();
                move || runtime.is_slot_owed()
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

    /// The memory budget of the process.
    pub fn memory(&self) -> &MemoryBudget {
        &self.0.memory
    }

    /// Resolves when a worker could take a job.
    pub(crate) async fn probe_workers(&self) {
        // An error means that the workers are ending.
        let _ = self.scheduler().probe().await;
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        self.0.workers.scheduler()
    }

    pub(crate) fn capacity(&self) -> &Arc<Capacity> {
        &self.0.capacity
    }

    /// The threads that read for clients.
    pub(crate) fn reads(&self) -> &FairThreads {
        &self.0.reads
    }

    pub(crate) fn store(&self) -> &StoreOptions {
        &self.0.store
    }

    pub(crate) fn tokio(&self) -> &tokio::runtime::Handle {
        &self.0.tokio
    }
}
