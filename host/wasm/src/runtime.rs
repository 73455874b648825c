//! Versions by digest, and the executors that run them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use dacapo_core::entity::{Operation, OperationResult, SharedOperation};
use dacapo_core::execution::{Conditions, TaskOutcome};
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::{
    ActivityCall, EntityGuest, Executor, Failure, FunctionKind, FunctionName, Guest, NotNow, OperationError, StartError,
    TriggerCall, VersionId,
};
use lru::LruCache;
use tokio::sync::watch;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::DeployError;
use crate::account::{Account, ActivityContext, Requests};
use crate::config::{Config, Policy, Reuse, is_disabled};
use crate::deployment::cache::{self, Compiled, FunctionFiles, Modules};
use crate::deployment::compilations::{Compilations, PendingPermit, TenantId, Waiting};
use crate::deployment::compile::{Compilation, Compiler, Terms, compile};
use crate::deployment::manifest::Manifest;
use crate::deployment::report::{self, Finding};
use crate::engine;
use crate::engine::permits::FairSemaphore;
use crate::guest::activity::{self, Activity, ActivityInstance, Run};
use crate::guest::deterministic::{self, Deterministic, Shared};
use crate::guest::entity::{EntityInstance, Keep, WasmEntityGuest};
use crate::guest::guest_permit::GuestPermit;
use crate::guest::idle::{IdleInstances, Owner, PermittedInstance};
use crate::guest::orchestrator::OrchestratorGuest;
use crate::guest::prepared::{Alone, Described, Prepared};
use crate::guest::trap::NoRoom;
use crate::outbound::http_activity;

/// What all tenants share: the engine, its pool of guests, and the versions. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

/// The executor of one tenant: runs guests on the shared runtime under the tenant's policy. Clones are the same tenant.
#[derive(Clone)]
pub struct Tenant {
    member: Arc<Member>,
    runtime: Arc<Inner>,
    account: Arc<Account>,
    policies: Arc<RwLock<Policies>>,
}

/// The identity of a tenant. Dropped with the last handle to it.
struct Member {
    id: TenantId,
    runtime: Arc<Inner>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.runtime.forget_idle(|owner| owner.tenant == self.id);
    }
}

/// What a tenant's guests may use and reach.
#[derive(Default)]
struct Policies {
    default: Arc<Policy>,
    /// Policies of versions that do not have the default.
    of_versions: HashMap<VersionId, Arc<Policy>>,
    /// Policies narrowed by the manifests of the versions, computed on first use.
    narrowed: Mutex<HashMap<VersionId, Narrowed>>,
}

/// What a version may use and reach, and what of it its orchestrators can notice.
#[derive(Clone)]
struct Narrowed {
    policy: Arc<Policy>,
    conditions: Arc<Conditions>,
}

struct Inner {
    config: Config,
    engine: Engine,
    deterministic: Linker<Deterministic>,
    activities: Linker<Activity>,
    modules: Modules,
    compiled: Compiled,
    functions: FunctionFiles,
    /// Most recently used first.
    versions: Mutex<LruCache<VersionId, Arc<Slot>>>,
    /// Manifests of deployed or loaded versions, cached because guests start on threads that must not read files.
    manifests: Mutex<HashMap<VersionId, Arc<Option<Manifest>>>>,
    /// Pool slots for orchestrators and entities. The slots of a suspended orchestrator are idle.
    orchestrator_slots: FairSemaphore,
    /// Pool slots for activities. The slots of an instance that waits for another call are idle.
    activity_slots: FairSemaphore,
    /// Pool slots for triggers.
    trigger_slots: FairSemaphore,
    idle_activities: IdleInstances<ActivityInstance>,
    idle_entities: IdleInstances<EntityInstance>,
    requests: FairSemaphore,
    loads: FairSemaphore,
    tenants: AtomicU64,
    deployments: Compilations,
    /// Recompilations of deployed versions whose code has left the cache. They do not queue behind deployments.
    recompilations: Compilations,
}

/// The delay before an activity that unexpectedly found no pool slot is started again, and the first backoff before a failed load
/// is retried. The longest backoff is `LOAD_AGAIN_WITHIN`.
const START_AGAIN_AFTER: Duration = Duration::from_millis(100);
const LOAD_AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// Versions that are loaded at once, each on a blocking thread.
const LOADS_MAX: u32 = 8;

/// Deployments that are compiled at once; as many recompilations may run beside them. A compiler uses all processors, at a low
/// priority.
const COMPILATIONS_MAX: usize = 2;

/// Deployments that may queue for the compiler, each with its file in memory.
const DEPLOYMENTS_WAITING: Waiting = Waiting { in_all: 64, of_a_tenant: 8 };

/// No limit: instances that exist must not be refused because their version has to be compiled again.
const LOADS_WAITING: Waiting = Waiting { in_all: usize::MAX, of_a_tenant: usize::MAX };

/// The id for deployments without a tenant ([`Runtime::prepare`]).
const NO_TENANT: TenantId = TenantId(0);

/// The in-memory entry of a version.
#[derive(Default)]
struct Slot {
    prepared: OnceLock<Arc<Prepared>>,
    /// Held while the version is made, so that it is compiled once.
    making: Mutex<()>,
}

impl Slot {
    /// Whether it is loaded and no guest uses it.
    fn is_unused(&self) -> bool {
        self.prepared.get().is_some_and(|prepared| Arc::strong_count(prepared) == 1)
    }
}

/// The app in a deployed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub version: VersionId,
    /// In the order in which the app describes them.
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// The bindings of those that are triggers, as JSON.
    pub triggers: Vec<(FunctionName, String)>,
    pub manifest: Option<Manifest>,
    /// Imports that trap in its orchestrators and entities. Empty if it has no such functions.
    pub report: Vec<Finding>,
}

/// The slots of the pool that a trigger runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerSlots {
    /// Those for triggers: while its caller waits, and may itself wait for activities.
    Own,
    /// Those for activities: it is run by one.
    Activities,
}

/// The progress of a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Queued behind other compilations.
    #[default]
    Waiting,
    Compiling,
}

/// A file to check and compile while its owner waits.
pub struct Preparation<H> {
    pub module: Arc<Vec<u8>>,
    /// Receives the progress.
    pub stage: watch::Sender<Stage>,
    /// Dropped once all work on the file has ended, even if the owner has dropped the future before.
    pub held: H,
}

/// Whether a file is stored after it was checked.
#[derive(Clone, Copy)]
enum Kept {
    Yes,
    No,
}

/// Why the runtime cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the wasm engine cannot be set up (too many guests for this machine's address space or memory mappings?): {0}")]
    Engine(String),
    #[error("cannot use the directory {}: {why}", path.display())]
    Directory { path: PathBuf, why: std::io::Error },
}

/// Why a version cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the module of version {version} cannot be read: {why}. Deploy the same file again if it is gone")]
    Unreadable { version: VersionId, why: std::io::Error },
    #[error("the module of version {version} is damaged: its digest does not match. Deploy the same file again to repair it")]
    Damaged { version: VersionId },
    #[error("the module of version {version} cannot be run any more: {why}")]
    Refused { version: VersionId, why: DeployError },
}

impl LoadError {
    /// Whether the error is temporary: the host is short of memory, disk space or file descriptors, and nothing is wrong with the
    /// version.
    pub fn passes(&self) -> bool {
        use rustix::io::Errno;
        let lacks = |why: &io::Error| {
            let error = why.raw_os_error().map(Errno::from_raw_os_error);
            matches!(error, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::NOSPC))
        };
        match self {
            LoadError::Unreadable { why, .. }
            | LoadError::Refused { why: DeployError::Io(why) | DeployError::Compiler(why), .. } => lacks(why),
            LoadError::Damaged { .. } | LoadError::Refused { .. } => false,
        }
    }
}

impl Runtime {
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let failed = |why: wasmtime::Error| SetupError::Engine(format!("{why:#}"));
        let engine = engine::engine(&config.most, &config.pool, config.resident_bytes).map_err(failed)?;
        let directory = |path: &PathBuf| {
            let path = path.clone();
            move |why| SetupError::Directory { path, why }
        };
        let modules = Modules::open(&config.modules).map_err(directory(&config.modules))?;
        let compiled = Compiled::open(&config.cache, &engine).map_err(directory(&config.cache))?;
        let functions = FunctionFiles::open(&config.cache).map_err(directory(&config.cache))?;
        Ok(Self(Arc::new(Inner {
            deterministic: deterministic::linker(&engine).map_err(failed)?,
            activities: activity::linker(&engine).map_err(failed)?,
            modules,
            compiled,
            functions,
            versions: Mutex::new(LruCache::unbounded()),
            manifests: Mutex::default(),
            orchestrator_slots: FairSemaphore::new(config.pool.orchestrators),
            activity_slots: FairSemaphore::new(config.pool.activities),
            trigger_slots: FairSemaphore::new(config.pool.triggers),
            idle_activities: IdleInstances::new(config.idle_activities),
            idle_entities: IdleInstances::new(config.idle_activities),
            requests: FairSemaphore::new(config.requests),
            loads: FairSemaphore::new(LOADS_MAX),
            tenants: AtomicU64::new(NO_TENANT.0),
            deployments: Compilations::new(COMPILATIONS_MAX, DEPLOYMENTS_WAITING),
            recompilations: Compilations::new(COMPILATIONS_MAX, LOADS_WAITING),
            engine,
            config,
        })))
    }

    /// Checks a file to be deployed, compiles it, asks it for its functions and stores it. When it returns, the file is durable.
    ///
    /// Blocks the thread, for seconds if the component is large or others are queued before it: not for an async worker thread.
    ///
    /// A tenant's own files are prepared by [`Tenant::prepare`], within its limits.
    pub fn prepare(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.0.prepare(NO_TENANT, bytes, Terms { limits: self.0.config.compile, ..Terms::default() }, Kept::Yes)
    }

    /// Returns the names of the interfaces that a version imports, in order.
    pub fn imports(&self, version: VersionId) -> Result<Vec<String>, LoadError> {
        let prepared = self.0.loaded(version)?;
        let imports = prepared.component.component_type();
        Ok(imports.imports(&self.0.engine).map(|(name, _)| name.to_owned()).collect())
    }

    /// Returns the deployed file of a version.
    pub fn module(&self, version: VersionId) -> Result<Vec<u8>, LoadError> {
        self.0.module(version)
    }

    /// Loads a version that was prepared earlier, perhaps by another process. Versions are also loaded on demand; doing it
    /// beforehand saves the first guest the wait.
    pub fn load(&self, version: VersionId) -> Result<(), LoadError> {
        self.0.loaded(version).map(|_| ())
    }

    /// Returns the manifest of a version that was prepared earlier. Its file is read once.
    pub fn manifest(&self, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        self.0.manifest(version)
    }

    /// Drops a version from memory until it is needed again. Guests that run on it continue.
    pub fn unload(&self, version: VersionId) {
        self.0.versions().pop(&version);
        self.0.manifests().remove(&version);
        self.0.forget_idle(|owner| owner.version == version);
    }

    /// Drops a version from memory and removes its file and its compiled code. Guests that run on it continue.
    pub fn remove(&self, version: VersionId) -> io::Result<()> {
        self.unload(version);
        self.0.compiled.remove(version);
        self.0.modules.remove(version)
    }

    /// Removes the compiled functions of a task hub that is deleted: a new one of its name must not learn what it deployed.
    pub fn forget_functions(&self, hub: &str) -> io::Result<()> {
        self.0.functions.remove(hub)
    }

    /// Whether no module is stored.
    pub fn has_no_modules(&self) -> io::Result<bool> {
        self.0.modules.is_empty()
    }

    /// Removes the files of all other versions, and unfinished files of a crash. Returns the number of removed files. Must be
    /// called before anything is deployed or loaded.
    pub fn keep_only(&self, needed: &HashSet<VersionId>) -> io::Result<usize> {
        Ok(self.0.modules.keep_only(needed)? + self.0.compiled.keep_only(needed)?)
    }

    /// Creates the executor of a new tenant.
    pub fn tenant(&self, account: Account, policy: Policy) -> Tenant {
        let id = TenantId(self.0.tenants.fetch_add(1, Ordering::Relaxed) + 1);
        let member = Arc::new(Member { id, runtime: self.0.clone() });
        let tenant = Tenant { member, runtime: self.0.clone(), account: Arc::new(account), policies: Arc::default() };
        tenant.set_policy(policy, HashMap::new());
        tenant
    }

    /// Drops an idle instance: the activity's that has been idle longest, or, if there is none, the entity's. Returns false if none
    /// is idle.
    pub fn give_up_idle_instance(&self) -> bool {
        self.0.idle_activities.give_up_one() || self.0.idle_entities.give_up_one()
    }

    /// The number of orchestrators that can be in memory at once, running ones included.
    pub fn capacity(&self) -> usize {
        self.0.config.pool.orchestrators as usize
    }

    /// Whether a waiter gets a [`GuestPermit`] as soon as enough suspended orchestrators are evicted.
    pub fn is_slot_owed(&self) -> bool {
        self.0.orchestrator_slots.is_owed()
    }
}

impl Inner {
    fn versions(&self) -> MutexGuard<'_, LruCache<VersionId, Arc<Slot>>> {
        self.versions.lock().expect("nothing panics while it holds this")
    }

    fn slot(&self, version: VersionId) -> Arc<Slot> {
        self.versions().get_or_insert(version, Arc::default).clone()
    }

    /// The version, if it is in memory.
    fn ready(&self, version: VersionId) -> Option<Arc<Prepared>> {
        self.versions().get(&version).and_then(|slot| slot.prepared.get().cloned())
    }

    /// If there are too many versions, drops the least recently used ones that no guest uses.
    fn bound_versions(&self) {
        let forgotten: Vec<(VersionId, Arc<Slot>)> = {
            let mut versions = self.versions();
            let over = versions.len().saturating_sub(self.config.versions);
            // Keeps the most recently used ones: a version that was just looked up may not have a guest yet.
            let old = versions.iter().rev().take(versions.len().saturating_sub(self.config.versions / 2));
            let unused = old.filter(|(_, slot)| slot.is_unused()).map(|(version, _)| *version);
            let unused: Vec<VersionId> = unused.take(over).collect();
            unused.into_iter().filter_map(|version| versions.pop_entry(&version)).collect()
        };
        let mut manifests = self.manifests();
        forgotten.iter().for_each(|(version, _)| drop(manifests.remove(version)));
    }

    /// Returns the version, and makes it if it is not in memory. Callers that want the same version wait, others do not.
    fn place<E>(&self, version: VersionId, make: impl FnOnce() -> Result<Prepared, E>) -> Result<Arc<Prepared>, E> {
        let slot = self.slot(version);
        if let Some(prepared) = slot.prepared.get() {
            return Ok(prepared.clone());
        }
        // Poisoned: the compiler panicked, and left nothing behind.
        let _making = slot.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = slot.prepared.get() {
            return Ok(prepared.clone());
        }
        match make() {
            Ok(prepared) => {
                let prepared = slot.prepared.get_or_init(|| Arc::new(prepared)).clone();
                self.bound_versions();
                Ok(prepared)
            }
            Err(why) => {
                self.versions().pop(&version);
                Err(why)
            }
        }
    }

    fn turn(&self, tenant: TenantId) -> Result<PendingPermit, DeployError> {
        self.deployments.begin(tenant).map_err(|full| DeployError::Busy { waiting: full.waiting })
    }

    /// Blocks this thread until its turn to compile has come.
    fn prepare(&self, tenant: TenantId, bytes: &[u8], terms: Terms, kept: Kept) -> Result<App, DeployError> {
        let _permit = futures::executor::block_on(self.turn(tenant)?);
        self.examine(bytes, &terms, kept)
    }

    fn examine(&self, bytes: &[u8], terms: &Terms, kept: Kept) -> Result<App, DeployError> {
        // Libraries parse untrusted bytes here. If one panics, that must be reported as a fault of the file, not of the host.
        let examined = catch_unwind(AssertUnwindSafe(|| self.app_of(bytes, terms)));
        let app = examined
            .unwrap_or_else(|_| Err(DeployError::invalid(format_args!("the compiler panicked on it; the log says where"))))?;
        match kept {
            Kept::Yes => self.modules.put(app.version, bytes)?,
            Kept::No => {}
        }
        Ok(app)
    }

    fn app_of(&self, bytes: &[u8], terms: &Terms) -> Result<App, DeployError> {
        let version = cache::version_of(bytes);
        let manifest = Manifest::read(bytes)?;
        let prepared = self.place(version, || self.admit(version, bytes, terms))?;
        self.manifests().insert(version, Arc::new(manifest.clone()));
        let (functions, triggers) = (prepared.functions.clone(), prepared.triggers.clone());
        let report = report::findings(prepared.denied_in_orchestrators(), bytes);
        Ok(App { version, functions, triggers, manifest, report })
    }

    fn manifests(&self) -> MutexGuard<'_, HashMap<VersionId, Arc<Option<Manifest>>>> {
        self.manifests.lock().expect("nothing panics while it holds this")
    }

    fn manifest(&self, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        if let Some(manifest) = self.manifests().get(&version) {
            return Ok(manifest.clone());
        }
        let bytes = self.module(version)?;
        let manifest = Arc::new(Manifest::read(&bytes).map_err(|why| LoadError::Refused { version, why })?);
        self.manifests().insert(version, manifest.clone());
        Ok(manifest)
    }

    /// Like [`Self::manifest`], but reads the file on a blocking thread.
    async fn manifest_async(self: Arc<Self>, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        if let Some(manifest) = self.manifests().get(&version) {
            return Ok(manifest.clone());
        }
        let reading = tokio::task::spawn_blocking(move || self.manifest(version));
        reading.await.unwrap_or_else(|why| Err(LoadError::Unreadable { version, why: io::Error::other(why) }))
    }

    fn loaded(&self, version: VersionId) -> Result<Arc<Prepared>, LoadError> {
        self.place(version, || {
            // Cached here, where the thread may wait for the disk. `Tenant::narrowed` reports a manifest that cannot be read.
            let _ = self.manifest(version);
            self.load(version)
        })
    }

    /// Like [`Self::loaded`], on a blocking thread. Retries without limit while the error is temporary ([`LoadError::passes`]).
    async fn load_async(self: Arc<Self>, tenant: TenantId, version: VersionId) -> Result<Arc<Prepared>, LoadError> {
        let mut wait = START_AGAIN_AFTER;
        loop {
            match self.clone().try_load_aside(tenant, version).await {
                Err(why) if why.passes() => {
                    tracing::warn!(%version, "a version cannot be loaded at present, retrying in {wait:?}: {why}");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LOAD_AGAIN_WITHIN);
                }
                loaded => return loaded,
            }
        }
    }

    /// Waits for its permits without holding a thread.
    async fn try_load_aside(self: Arc<Self>, tenant: TenantId, version: VersionId) -> Result<Arc<Prepared>, LoadError> {
        if let Some(prepared) = self.ready(version) {
            return Ok(prepared);
        }
        let compile_permit = match self.compiled.has(version) {
            true => None,
            false => Some(self.recompilations.begin(tenant).expect("any number may wait").await),
        };
        let permit = self.loads.acquire(tenant, 1).await;
        let loading = tokio::task::spawn_blocking(move || {
            let _held = (compile_permit, permit);
            self.loaded(version)
        });
        loading.await.unwrap_or_else(|why| Err(LoadError::Unreadable { version, why: io::Error::other(why) }))
    }

    /// Reads a deployed file and checks its digest.
    fn module(&self, version: VersionId) -> Result<Vec<u8>, LoadError> {
        let bytes = self.modules.get(version).map_err(|why| LoadError::Unreadable { version, why })?;
        if cache::version_of(&bytes) != version {
            return Err(LoadError::Damaged { version });
        }
        Ok(bytes)
    }

    fn load(&self, version: VersionId) -> Result<Prepared, LoadError> {
        if let Some(component) = self.compiled.get(version, &self.engine) {
            return self.link(version, component).map_err(|why| LoadError::Refused { version, why });
        }
        let bytes = self.module(version)?;
        let terms = Terms { limits: self.config.compile, ..Terms::default() };
        let prepared = self.compile(version, &bytes, &terms).and_then(|component| self.link(version, component));
        prepared.map_err(|why| LoadError::Refused { version, why })
    }

    /// Makes a version from a file to be deployed. If the file is refused, nothing of it is kept.
    fn admit(&self, version: VersionId, bytes: &[u8], terms: &Terms) -> Result<Prepared, DeployError> {
        let component = match self.compiled.get(version, &self.engine) {
            Some(component) => component,
            None => self.compile(version, bytes, terms)?,
        };
        self.link(version, component).inspect_err(|_| self.compiled.remove(version))
    }

    /// Compiles a file and keeps the code.
    fn compile(&self, version: VersionId, bytes: &[u8], terms: &Terms) -> Result<Component, DeployError> {
        match &self.config.compiler {
            Compiler::InProcess => {
                let component = compile(&self.engine, bytes)?;
                self.compiled.put(version, &component)?;
                Ok(component)
            }
            Compiler::Child { program } => {
                let Terms { limits, cancellation, hub } = terms;
                let functions = hub.as_deref().map(|hub| self.functions.of(hub));
                let component = self.compiled.make(version, &self.engine, |output| {
                    let functions = functions.as_ref();
                    Compilation { program, limits: *limits, cancellation, module: bytes, functions, output }.run()
                })?;
                if let Some(Err(error)) = functions.map(|functions| self.functions.replace(functions)) {
                    tracing::debug!(%version, %error, "the compiled functions of a task hub could not be kept");
                }
                Ok(component)
            }
        }
    }

    fn link(&self, version: VersionId, component: Component) -> Result<Prepared, DeployError> {
        Prepared::new(component, || self.describe(version), &self.deterministic, &self.activities)
    }

    /// The functions of code that was just found or made, and what a guest of it takes of the pool. Kept in the cache.
    fn describe(&self, version: VersionId) -> Result<Described, DeployError> {
        if let Some(described) = self.compiled.described(version) {
            return Ok(described);
        }
        let failed = |why: wasmtime::Error| {
            DeployError::Compiler(why.downcast().unwrap_or_else(|why| io::Error::other(format!("{why:#}"))))
        };
        let engine = engine::for_one_guest(&self.config.most).map_err(failed)?;
        let linker = deterministic::linker(&engine).map_err(failed)?;
        let alone = Alone { component: self.compiled.map(version, &engine)?, linker };
        let described = alone.describe(&self.config.most)?;
        self.compiled.keep_described(version, &described);
        Ok(described)
    }

    /// Waits for the pool slots of an activity: free ones, or those of evicted idle instances.
    async fn activity_permit(&self, tenant: TenantId, version: VersionId, prepared: Arc<Prepared>) -> GuestPermit {
        let permit = self.activity_slots.acquire(tenant, prepared.slots);
        self.give_up_idle_activities();
        GuestPermit::new(version, prepared, permit.await)
    }

    /// Evicts idle activity instances while a waiter is owed their slots.
    fn give_up_idle_activities(&self) {
        while self.activity_slots.is_owed() && self.idle_activities.give_up_one() {}
    }

    /// Evicts idle entity instances while a waiter is owed their slots.
    fn give_up_idle_entities(&self) {
        while self.orchestrator_slots.is_owed() && self.idle_entities.give_up_one() {}
    }

    fn forget_idle(&self, is_meant: impl Fn(&Owner) -> bool) {
        self.idle_activities.forget(&is_meant);
        self.idle_entities.forget(&is_meant);
    }

    /// Keeps the instance of an entity for another turn, if the tenant has memory for it.
    fn keep_entity(&self, owner: Owner, account: &Account, mut entity: PermittedInstance<EntityInstance>) {
        entity.instance.memory = (account.idle_memory.0)(entity.instance.store.data().memory_used());
        if entity.instance.memory.is_some() {
            self.idle_entities.keep(owner, entity);
            self.give_up_idle_entities();
        }
    }
}

impl Tenant {
    /// Replaces the policies: `of_versions` for the versions in it, `default` for all others. A version's manifest narrows its
    /// policy. Guests that run already, and those that are suspended in memory, keep the policy that they began with.
    pub fn set_policy(&self, default: Policy, of_versions: HashMap<VersionId, Policy>) {
        let most = &self.runtime.config.most;
        let bounded = |policy: Policy| Arc::new(Policy { limits: policy.limits.within(most), ..policy });
        let of_versions = of_versions.into_iter().map(|(version, policy)| (version, bounded(policy))).collect();
        let policies = Policies { default: bounded(default), of_versions, narrowed: Mutex::default() };
        *self.policies.write().expect("nothing panics while it holds this") = policies;
        self.runtime.forget_idle(|owner| owner.tenant == self.member.id);
    }

    /// Prepares a file that the tenant deploys; see [`Runtime::prepare`].
    pub fn prepare(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.runtime.prepare(self.member.id, bytes, self.compile_terms(), Kept::Yes)
    }

    /// Like [`Tenant::prepare`], but does not store the file: the version can be run until it is unloaded.
    pub fn examine(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.runtime.prepare(self.member.id, bytes, self.compile_terms(), Kept::No)
    }

    /// Like [`Tenant::prepare`], on other threads. Dropping the future leaves the queue, or kills the compiler. Must be called
    /// within a tokio runtime.
    pub async fn prepare_async<H: Send + 'static>(&self, preparation: Preparation<H>) -> Result<(App, H), DeployError> {
        self.aside(preparation, Kept::Yes).await
    }

    /// Like [`Tenant::prepare_async`], but does not store the file.
    pub async fn examine_async<H: Send + 'static>(&self, preparation: Preparation<H>) -> Result<(App, H), DeployError> {
        self.aside(preparation, Kept::No).await
    }

    async fn aside<H: Send + 'static>(&self, preparation: Preparation<H>, kept: Kept) -> Result<(App, H), DeployError> {
        let Preparation { module, stage, held } = preparation;
        let terms = self.compile_terms();
        let limits = terms.limits;
        let out_of_time = |_| DeployError::OutOfTime { seconds: limits.clock().as_secs() };
        let turn = self.runtime.turn(self.member.id)?;
        let permit = tokio::time::timeout(limits.clock(), turn).await.map_err(out_of_time)?;
        stage.send_replace(Stage::Compiling);
        let _cancel = terms.cancellation.cancel_on_drop();
        let runtime = self.runtime.clone();
        let examining = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (runtime.examine(&module, &terms, kept), held)
        });
        let (app, held) = examining.await.map_err(|why| DeployError::Compiler(io::Error::other(why)))?;
        Ok((app?, held))
    }

    /// Whether guests of a version can be started without loading it.
    pub fn is_ready(&self, version: VersionId) -> bool {
        self.runtime.ready(version).is_some()
    }

    /// Loads a version on a blocking thread, because it may have to be compiled. Must be called within a tokio runtime.
    pub fn load(&self, version: VersionId) -> impl Future<Output = Result<(), LoadError>> + Send + use<> {
        let loading = self.runtime.clone().load_async(self.member.id, version);
        async move { loading.await.map(drop) }
    }

    fn policies(&self) -> RwLockReadGuard<'_, Policies> {
        self.policies.read().expect("nothing panics while it holds this")
    }

    fn compile_terms(&self) -> Terms {
        let (limits, hub) = (self.policies().default.compile, Some(self.account.hub.clone()));
        Terms { limits, hub, ..Terms::default() }
    }

    /// Returns the policy of a version, narrowed by its manifest.
    ///
    /// A version whose manifest cannot be read is granted nothing: its file is missing, so it cannot run for long either.
    fn policy(&self, version: VersionId) -> Arc<Policy> {
        self.narrowed(version).policy
    }

    fn narrowed(&self, version: VersionId) -> Narrowed {
        let policies = self.policies();
        let mut narrowed = policies.narrowed.lock().expect("nothing panics while it holds this");
        let narrow = || {
            let given = policies.of_versions.get(&version).unwrap_or(&policies.default);
            let policy = Arc::new(match self.runtime.manifest(version) {
                Ok(manifest) => given.narrowed(manifest.as_ref().as_ref()),
                Err(error) => {
                    tracing::error!(%version, %error, "the app's manifest cannot be read: the app is granted nothing");
                    given.without_grants()
                }
            });
            Narrowed { conditions: Arc::new(policy.conditions()), policy }
        };
        narrowed.entry(version).or_insert_with(narrow).clone()
    }

    fn terms(&self, policy: Arc<Policy>) -> ActivityContext {
        let requests = Requests::new(self.runtime.requests.clone(), self.member.id);
        ActivityContext { account: self.account.clone(), policy, requests }
    }

    async fn run_activity_of(self, version: VersionId, mut call: ActivityCall, client: SharedClient) -> TaskOutcome {
        let inner = &self.runtime;
        let prepared = inner.clone().load_async(self.member.id, version).await;
        let unable = |why: String| Failure::retriable(Failure::TRAP, format!("the host cannot run it: {why}"));
        let prepared = prepared.map_err(|why| unable(why.to_string()))?;
        call.name = prepared.spelled(&call.name).clone();
        let entry = prepared.activity.as_ref().filter(|_| prepared.has(FunctionKind::Activity, &call.name)).ok_or_else(|| {
            Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("version {version} has no activity '{}'", call.name))
        })?;
        let owner = Owner { tenant: self.member.id, version, policy: self.policy(version) };
        if is_disabled(&call.name, None, &owner.policy.environment) {
            return Err(disabled(Failure::ACTIVITY_NOT_FOUND, "activity", &call.name));
        }
        let run = Run { call, terms: self.terms(owner.policy.clone()), client };
        loop {
            let PermittedInstance { instance, permit } = match inner.idle_activities.take(&owner) {
                Some(idle) => idle,
                None => {
                    let permit = inner.activity_permit(self.member.id, version, prepared.clone()).await;
                    let instance = ActivityInstance::new(&inner.engine, &run);
                    PermittedInstance { instance: instance.map_err(|why| unable(format!("{why:#}")))?, permit }
                }
            };
            match instance.run(&run, entry).await {
                Ok((outcome, instance)) => {
                    if let Some(instance) = instance.filter(|_| owner.policy.reuse == Reuse::Always) {
                        inner.idle_activities.keep(owner, PermittedInstance { instance, permit });
                        // If a waiter needs the slots, it gets them at once.
                        inner.give_up_idle_activities();
                    }
                    return outcome;
                }
                Err(NoRoom) => {
                    drop(permit);
                    tokio::time::sleep(START_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Runs a trigger in a fresh guest. Dropping the future stops it; must be called within a tokio runtime.
    pub async fn run_trigger(
        self,
        version: VersionId,
        mut call: TriggerCall,
        client: SharedClient,
        slots: TriggerSlots,
    ) -> Result<String, Failure> {
        let inner = &self.runtime;
        let prepared = inner.clone().load_async(self.member.id, version).await;
        let unable = |why: LoadError| Failure::retriable(Failure::UNAVAILABLE, format!("the host cannot run it: {why}"));
        let prepared = prepared.map_err(unable)?;
        call.name = prepared.spelled(&call.name).clone();
        let missing =
            || Failure::permanent(Failure::TRIGGER_NOT_FOUND, format!("version {version} has no trigger '{}'", call.name));
        let entry = prepared.trigger.as_ref().filter(|_| prepared.has(FunctionKind::Trigger, &call.name)).ok_or_else(missing)?;
        let run = Run { call, terms: self.terms(self.policy(version)), client };
        loop {
            let permit = match slots {
                TriggerSlots::Own => inner.trigger_slots.acquire(self.member.id, prepared.slots).await,
                TriggerSlots::Activities => inner.activity_slots.acquire(self.member.id, prepared.slots).await,
            };
            match activity::run_trigger(&inner.engine, &run, entry).await {
                Ok(outcome) => return outcome.map(|output| output.to_string()),
                Err(NoRoom) => {
                    drop(permit);
                    tokio::time::sleep(START_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Runs an HTTP call under the policy of the caller's version.
    async fn run_http_of(self, caller: Option<VersionId>, call: ActivityCall) -> TaskOutcome {
        let policy = match caller {
            None => self.policies().default.clone(),
            Some(version) => {
                // `policy` reports a manifest that cannot be read.
                let _ = self.runtime.clone().manifest_async(version).await;
                self.policy(version)
            }
        };
        let terms = self.terms(policy);
        let _permit = terms.requests.begin().await;
        http_activity::run(&terms, &call.input).await
    }

    fn store(&self, version: VersionId, shared: Arc<Shared>) -> Result<Store<Deterministic>, StartError> {
        let store = Deterministic::store(&self.runtime.engine, self.policy(version), shared);
        store.map_err(|why| StartError::Unable(format!("{why:#}")))
    }

    fn prepared(&self, version: VersionId) -> Result<Arc<Prepared>, NotNow> {
        self.runtime.ready(version).ok_or(NotNow::NotLoaded(version))
    }

    /// Takes a permit for an orchestrator or an entity, if the tenant may have one now.
    pub fn permit(&self, version: VersionId) -> Result<GuestPermit, NotNow> {
        let prepared = self.prepared(version)?;
        let permit = self.runtime.orchestrator_slots.try_acquire(self.member.id, prepared.slots);
        Ok(GuestPermit::new(version, prepared, permit.ok_or(NotNow::NoRoom(version))?))
    }

    /// Queues for a permit. The future resolves when the tenant's turn has come.
    pub fn wait_for_permit(&self, version: VersionId) -> Result<impl Future<Output = GuestPermit> + Send + use<>, NotNow> {
        let prepared = self.prepared(version)?;
        let permit = self.runtime.orchestrator_slots.acquire(self.member.id, prepared.slots);
        self.runtime.give_up_idle_entities();
        Ok(async move { GuestPermit::new(version, prepared, permit.await) })
    }

    /// Starts an orchestrator of the version that the permit is for; see [`Executor::start`].
    pub fn start_in(&self, permit: GuestPermit, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        let (inner, version, prepared) = (&self.runtime, permit.version(), permit.prepared());
        let missing = || StartError::Unable(format!("version {version} does not export `run-orchestrator`"));
        let entry = prepared.orchestrator.clone().ok_or_else(missing)?;
        let name = execution.lock().expect("a turn panicked; its execution is never used again").context().name.clone();
        let name = prepared.spelled(&name).to_string();
        let store = self.store(version, Shared::of_execution(execution, inner.config.checkpoint.clone()))?;
        Ok(Box::new(OrchestratorGuest::new(store, entry, name, inner.config.checkpoint.clone(), permit)))
    }

    /// Starts an entity of a version; see [`Executor::start_entity`]. `permit` is called if no instance of an earlier turn is idle.
    pub fn start_entity_with(
        &self,
        version: VersionId,
        scope: SharedOperation,
        permit: impl FnOnce() -> Result<GuestPermit, StartError>,
    ) -> Result<Box<dyn EntityGuest>, StartError> {
        let (inner, policy) = (&self.runtime, self.policy(version));
        let reuses = policy.reuse == Reuse::Always;
        let owner = Owner { tenant: self.member.id, version, policy };
        let entity = scope.lock().expect("a turn panicked; its operation is never used again").entity.clone();
        let name = entity.entity_name().ok_or_else(|| StartError::Unable(format!("'{entity}' is not the id of an entity")))?;
        if is_disabled(&name, None, &owner.policy.environment) {
            return Ok(Box::new(DisabledEntity(name)));
        }
        let idle = if reuses { inner.idle_entities.take(&owner) } else { None };
        let (permit, idle) = match idle {
            Some(PermittedInstance { instance, permit }) => (permit, Some(instance)),
            None => (permit()?, None),
        };
        let prepared = permit.prepared();
        let name = prepared.spelled(&name).clone();
        let entry = prepared.entity.clone().filter(|_| prepared.has(FunctionKind::Entity, &name));
        let entry = entry.ok_or_else(|| StartError::Unable(format!("version {version} has no entity '{name}'")))?;
        let instance = match idle {
            Some(mut instance) => {
                instance.memory = None;
                instance.store.data().shared.begin_operations_of(scope);
                instance
            }
            None => {
                let store = self.store(version, Shared::of_operation(scope, inner.config.checkpoint.clone()))?;
                EntityInstance::new(store, entry)
            }
        };
        let keep: Option<Keep> = reuses.then(|| {
            let (member, account) = (self.member.clone(), self.account.clone());
            Box::new(move |entity| member.runtime.keep_entity(owner, &account, entity)) as Keep
        });
        let instance = PermittedInstance { instance, permit };
        Ok(Box::new(WasmEntityGuest::new(instance, name, inner.config.checkpoint.clone(), keep)))
    }

    /// Like [`Self::permit`], but first loads the version, on this thread, if it is not in memory.
    fn load_and_permit(&self, version: VersionId) -> Result<GuestPermit, StartError> {
        self.runtime.loaded(version).map_err(|why| StartError::Unable(why.to_string()))?;
        Ok(self.permit(version)?)
    }
}

/// An entity that a setting of its app disables: each operation fails, so that no caller waits for ever.
struct DisabledEntity(FunctionName);

impl EntityGuest for DisabledEntity {
    fn run(&mut self, _operation: &Operation) -> Result<OperationResult, OperationError> {
        Err(disabled(Failure::ENTITY_NOT_FOUND, "entity", &self.0).into())
    }
}

fn disabled(error_type: &'static str, kind: &str, name: &FunctionName) -> Failure {
    let why = format!("the {kind} '{name}' is disabled by a setting of its app, AzureWebJobs.{name}.Disabled");
    Failure::permanent(error_type, why)
}

/// Starts guests on the calling thread, which blocks if the version has to be loaded.
impl Executor for Tenant {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        self.start_in(self.load_and_permit(version)?, execution)
    }

    fn conditions(&self, version: VersionId) -> Arc<Conditions> {
        self.narrowed(version).conditions
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        self.start_entity_with(version, scope, || self.load_and_permit(version))
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        Box::pin(self.clone().run_http_of(caller, call))
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        Box::pin(self.clone().run_activity_of(version, call, client))
    }
}
