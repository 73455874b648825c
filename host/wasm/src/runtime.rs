//! Versions by digest, and the executors that run them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use dacapo_core::entity::SharedOperation;
use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::{ActivityCall, EntityGuest, Executor, Failure, FunctionKind, FunctionName, Guest, VersionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::account::{Account, Terms};
use crate::activity::{self, Activity, ActivityInstance, Run};
use crate::cache::{self, Compiled, Modules};
use crate::compilations::{Compilations, TenantId, Waiting};
use crate::compile::{Compilation, CompileLimits, Compiler, compile};
use crate::config::{Config, Policy};
use crate::deterministic::{self, Deterministic, Shared};
use crate::entity::WasmEntityGuest;
use crate::idle::{IdleActivities, Owner, Seated};
use crate::manifest::Manifest;
use crate::orchestrator::OrchestratorGuest;
use crate::prepared::Prepared;
use crate::report::{self, Finding};
use crate::{DeployError, engine, http_activity};

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

/// A tenant, for as long as it has handles.
struct Member {
    id: TenantId,
    runtime: Arc<Inner>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.runtime.idle.forget_tenant(self.id);
    }
}

/// What a tenant's guests may use and reach.
#[derive(Default)]
struct Policies {
    default: Arc<Policy>,
    /// Of versions that have another.
    of_versions: HashMap<VersionId, Arc<Policy>>,
    /// Of versions that somebody has asked for: what their manifests leave of it.
    narrowed: Mutex<HashMap<VersionId, Arc<Policy>>>,
}

struct Inner {
    config: Config,
    engine: Engine,
    deterministic: Linker<Deterministic>,
    activities: Linker<Activity>,
    modules: Modules,
    compiled: Compiled,
    versions: Mutex<HashMap<VersionId, Arc<Slot>>>,
    /// Of versions that were deployed or loaded: guests are started on threads that must not read files.
    manifests: Mutex<HashMap<VersionId, Arc<Option<Manifest>>>>,
    /// How many more slots of the pool orchestrators and entities may take.
    orchestrator_seats: Arc<Semaphore>,
    activity_seats: Arc<Semaphore>,
    idle: IdleActivities,
    http_seats: Semaphore,
    tenants: AtomicU64,
    deployments: Compilations,
    /// Of versions that were deployed before and whose code is not in the cache any more. They wait for no deployment.
    recompilations: Compilations,
}

/// HTTP requests of orchestrators that the host sends at once; more wait. Each holds a socket.
const HTTP_REQUESTS_MAX: usize = 256;

/// Modules that are compiled at once to be deployed, and as many that were deployed before. A compiler uses all processors, at
/// the lowest priority.
const COMPILATIONS_MAX: usize = 2;

/// Deployments that wait for that, each on a thread.
const DEPLOYMENTS_WAITING: Waiting = Waiting { in_all: 64, of_a_tenant: 8 };

/// What runs already must not be refused; there are no more of these than versions.
const LOADS_WAITING: Waiting = Waiting { in_all: usize::MAX, of_a_tenant: usize::MAX };

/// Of whoever deploys as nobody's tenant.
const NO_TENANT: TenantId = TenantId(0);

/// A version's place in memory.
#[derive(Default)]
struct Slot {
    prepared: OnceLock<Arc<Prepared>>,
    /// Held by whoever makes it, so that it is compiled once.
    making: Mutex<()>,
}

/// What a deployed file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub version: VersionId,
    /// In the order in which the app describes them.
    pub functions: Vec<(FunctionName, FunctionKind)>,
    pub manifest: Option<Manifest>,
    /// What it imports that traps in its orchestrators and entities. Empty if it has none.
    pub report: Vec<Finding>,
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
    #[error("the module of version {version} cannot be read: {why}")]
    Unreadable { version: VersionId, why: std::io::Error },
    #[error("the module of version {version} is damaged: its digest is another")]
    Damaged { version: VersionId },
    #[error("the module of version {version} cannot be run any more: {why}")]
    Refused { version: VersionId, why: DeployError },
}

impl Runtime {
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let failed = |why: wasmtime::Error| SetupError::Engine(format!("{why:#}"));
        let engine = engine::engine(&config.most, &config.pool).map_err(failed)?;
        let directory = |path: &PathBuf| {
            let path = path.clone();
            move |why| SetupError::Directory { path, why }
        };
        let modules = Modules::open(&config.modules).map_err(directory(&config.modules))?;
        let compiled = Compiled::open(&config.cache, &engine).map_err(directory(&config.cache))?;
        Ok(Self(Arc::new(Inner {
            deterministic: deterministic::linker(&engine).map_err(failed)?,
            activities: activity::linker(&engine).map_err(failed)?,
            modules,
            compiled,
            versions: Mutex::default(),
            manifests: Mutex::default(),
            orchestrator_seats: Arc::new(Semaphore::new(config.pool.orchestrators as usize)),
            activity_seats: Arc::new(Semaphore::new(config.pool.activities as usize)),
            idle: IdleActivities::new(config.idle_activities),
            http_seats: Semaphore::new(HTTP_REQUESTS_MAX),
            tenants: AtomicU64::new(NO_TENANT.0),
            deployments: Compilations::new(COMPILATIONS_MAX, DEPLOYMENTS_WAITING),
            recompilations: Compilations::new(COMPILATIONS_MAX, LOADS_WAITING),
            engine,
            config,
        })))
    }

    /// Checks a file that is to be deployed, compiles it, asks it for its functions and stores it. Slow (seconds for a
    /// large component, and others may be compiled before it): not for a thread that others wait for. When it returns, the
    /// file is durable.
    ///
    /// A tenant's own files are prepared by [`Tenant::prepare`], within its limits.
    pub fn prepare(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.0.prepare(NO_TENANT, bytes, self.0.config.compile)
    }

    /// The interfaces that a version imports, in order.
    pub fn imports(&self, version: VersionId) -> Result<Vec<String>, LoadError> {
        let prepared = self.0.loaded(version)?;
        let imports = prepared.component.component_type();
        Ok(imports.imports(&self.0.engine).map(|(name, _)| name.to_owned()).collect())
    }

    /// The deployed file of a version.
    pub fn module(&self, version: VersionId) -> Result<Vec<u8>, LoadError> {
        self.0.modules.get(version).map_err(|why| LoadError::Unreadable { version, why })
    }

    /// Makes a version that was prepared once, perhaps by an earlier process, ready to run. Whatever needs a version
    /// loads it; doing it beforehand saves the first guest the wait.
    pub fn load(&self, version: VersionId) -> Result<(), LoadError> {
        self.0.loaded(version).map(|_| ())
    }

    /// The manifest of a version that was prepared once. Read from its file once.
    pub fn manifest(&self, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        self.0.manifest(version)
    }

    /// Forgets a version until it is needed again. What still runs goes on.
    pub fn unload(&self, version: VersionId) {
        self.0.versions.lock().expect("nothing panics while it holds this").remove(&version);
        self.0.manifests().remove(&version);
        self.0.idle.forget_version(version);
    }

    /// Forgets a version that nobody needs any more, and removes its file and its code. What still runs goes on.
    pub fn remove(&self, version: VersionId) -> io::Result<()> {
        self.unload(version);
        self.0.compiled.remove(version);
        self.0.modules.remove(version)
    }

    /// Whether nothing was ever deployed.
    pub fn has_no_modules(&self) -> io::Result<bool> {
        self.0.modules.is_empty()
    }

    /// Removes the files of all other versions, and what a crash has left. Returns how many files there were. To be called
    /// before anything is deployed or loaded.
    pub fn keep_only(&self, needed: &HashSet<VersionId>) -> io::Result<usize> {
        Ok(self.0.modules.keep_only(needed)? + self.0.compiled.keep_only(needed)?)
    }

    /// An executor for a tenant.
    pub fn tenant(&self, account: Account, policy: Policy) -> Tenant {
        let id = TenantId(self.0.tenants.fetch_add(1, Ordering::Relaxed) + 1);
        let member = Arc::new(Member { id, runtime: self.0.clone() });
        let tenant = Tenant { member, runtime: self.0.clone(), account: Arc::new(account), policies: Arc::default() };
        tenant.set_policy(policy, HashMap::new());
        tenant
    }

    /// How many orchestrators can be in memory at once, those that run at the moment included.
    pub fn capacity(&self) -> usize {
        self.0.config.pool.orchestrators as usize
    }
}

impl Inner {
    fn slot(&self, version: VersionId) -> Arc<Slot> {
        self.versions.lock().expect("nothing panics while it holds this").entry(version).or_default().clone()
    }

    /// The version, if it is in memory.
    fn ready(&self, version: VersionId) -> Option<Arc<Prepared>> {
        let versions = self.versions.lock().expect("nothing panics while it holds this");
        versions.get(&version).and_then(|slot| slot.prepared.get().cloned())
    }

    /// The version, made if it is not in memory. Others that want the same one wait; others go on.
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
            Ok(prepared) => Ok(slot.prepared.get_or_init(|| Arc::new(prepared)).clone()),
            Err(why) => {
                self.versions.lock().expect("nothing panics while it holds this").remove(&version);
                Err(why)
            }
        }
    }

    fn prepare(&self, tenant: TenantId, bytes: &[u8], limits: CompileLimits) -> Result<App, DeployError> {
        let app = self.examine(tenant, bytes, limits)?;
        self.modules.put(app.version, bytes)?;
        Ok(app)
    }

    /// Waits for its turn, on this thread.
    fn examine(&self, tenant: TenantId, bytes: &[u8], limits: CompileLimits) -> Result<App, DeployError> {
        let turn = self.deployments.begin(tenant).map_err(|full| DeployError::Busy { waiting: full.waiting })?;
        let _seat = futures::executor::block_on(turn);
        // Libraries read foreign bytes here. One that panics at them must not look like trouble of the host.
        let examined = catch_unwind(AssertUnwindSafe(|| self.app_of(bytes, limits)));
        examined.unwrap_or_else(|_| Err(DeployError::invalid(format_args!("the compiler gives up on it; the log says where"))))
    }

    fn app_of(&self, bytes: &[u8], limits: CompileLimits) -> Result<App, DeployError> {
        let version = cache::version_of(bytes);
        let manifest = Manifest::read(bytes)?;
        let prepared = self.place(version, || self.admit(version, bytes, limits))?;
        self.manifests().insert(version, Arc::new(manifest.clone()));
        let functions = prepared.functions.clone();
        let report = report::findings(prepared.denied_in_orchestrators(), bytes);
        Ok(App { version, functions, manifest, report })
    }

    fn manifests(&self) -> MutexGuard<'_, HashMap<VersionId, Arc<Option<Manifest>>>> {
        self.manifests.lock().expect("nothing panics while it holds this")
    }

    fn manifest(&self, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        if let Some(manifest) = self.manifests().get(&version) {
            return Ok(manifest.clone());
        }
        let bytes = self.modules.get(version).map_err(|why| LoadError::Unreadable { version, why })?;
        let manifest = Arc::new(Manifest::read(&bytes).map_err(|why| LoadError::Refused { version, why })?);
        self.manifests().insert(version, manifest.clone());
        Ok(manifest)
    }

    /// The same, read on a thread of its own.
    async fn manifest_aside(self: Arc<Self>, version: VersionId) -> Result<Arc<Option<Manifest>>, LoadError> {
        if let Some(manifest) = self.manifests().get(&version) {
            return Ok(manifest.clone());
        }
        let reading = tokio::task::spawn_blocking(move || self.manifest(version));
        reading.await.unwrap_or_else(|why| Err(LoadError::Unreadable { version, why: io::Error::other(why) }))
    }

    fn loaded(&self, version: VersionId) -> Result<Arc<Prepared>, LoadError> {
        self.place(version, || {
            // Here a thread may wait for the disk. That it cannot be read is told where it matters.
            let _ = self.manifest(version);
            self.load(version)
        })
    }

    /// The same on a thread of its own. A version that must be compiled waits for its turn, and holds no thread meanwhile.
    async fn loaded_aside(self: Arc<Self>, tenant: TenantId, version: VersionId) -> Result<Arc<Prepared>, LoadError> {
        if let Some(prepared) = self.ready(version) {
            return Ok(prepared);
        }
        let seat = match self.compiled.has(version) {
            true => None,
            false => Some(self.recompilations.begin(tenant).expect("any number may wait").await),
        };
        let loading = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            self.loaded(version)
        });
        loading.await.unwrap_or_else(|why| Err(LoadError::Unreadable { version, why: io::Error::other(why) }))
    }

    fn load(&self, version: VersionId) -> Result<Prepared, LoadError> {
        if let Some(component) = self.compiled.get(version, &self.engine) {
            return self.link(component).map_err(|why| LoadError::Refused { version, why });
        }
        let bytes = self.modules.get(version).map_err(|why| LoadError::Unreadable { version, why })?;
        if cache::version_of(&bytes) != version {
            return Err(LoadError::Damaged { version });
        }
        let prepared = self.compile(version, &bytes, self.config.compile).and_then(|component| self.link(component));
        prepared.map_err(|why| LoadError::Refused { version, why })
    }

    /// Makes a version of a file that somebody wants to deploy. Of what is refused nothing is kept.
    fn admit(&self, version: VersionId, bytes: &[u8], limits: CompileLimits) -> Result<Prepared, DeployError> {
        let component = match self.compiled.get(version, &self.engine) {
            Some(component) => component,
            None => self.compile(version, bytes, limits)?,
        };
        self.link(component).inspect_err(|_| self.compiled.remove(version))
    }

    /// Compiles a file and keeps the code.
    fn compile(&self, version: VersionId, bytes: &[u8], limits: CompileLimits) -> Result<Component, DeployError> {
        match &self.config.compiler {
            Compiler::InProcess => {
                let component = compile(&self.engine, bytes)?;
                self.compiled.put(version, &component);
                Ok(component)
            }
            Compiler::Child { program } => {
                let run = |output: &Path| Compilation { program, limits, module: bytes, output }.run();
                self.compiled.make(version, &self.engine, run)
            }
        }
    }

    fn link(&self, component: Component) -> Result<Prepared, DeployError> {
        Prepared::new(component, &self.config.most, &self.deterministic, &self.activities)
    }

    /// A place in the pool for an orchestrator or entity.
    fn seat(&self, prepared: &Prepared) -> Result<OwnedSemaphorePermit, String> {
        self.orchestrator_seats.clone().try_acquire_many_owned(prepared.slots).map_err(|_| {
            let capacity = self.config.pool.orchestrators;
            format!("the host has no room for one more orchestrator in memory ({capacity} at most): resume it later")
        })
    }

    /// A place in the pool for an activity: a free one, or that of an idle instance.
    async fn activity_seat(&self, prepared: &Prepared) -> OwnedSemaphorePermit {
        let seats = prepared.slots.min(self.config.pool.activities);
        loop {
            if let Ok(seat) = self.activity_seats.clone().try_acquire_many_owned(seats) {
                return seat;
            }
            if !self.idle.give_up_one() {
                break;
            }
        }
        self.activity_seats.clone().acquire_many_owned(seats).await.expect("the semaphore is never closed")
    }
}

impl Tenant {
    /// From now on, for all versions but those that have a policy of their own. A version's manifest narrows what it gets.
    /// Guests that run already, and those that are suspended in memory, keep the policy that they began with.
    pub fn set_policy(&self, default: Policy, of_versions: HashMap<VersionId, Policy>) {
        let most = &self.runtime.config.most;
        let bounded = |policy: Policy| Arc::new(Policy { limits: policy.limits.within(most), ..policy });
        let of_versions = of_versions.into_iter().map(|(version, policy)| (version, bounded(policy))).collect();
        let policies = Policies { default: bounded(default), of_versions, narrowed: Mutex::default() };
        *self.policies.write().expect("nothing panics while it holds this") = policies;
        self.runtime.idle.forget_tenant(self.member.id);
    }

    /// Prepares a file that the tenant deploys; see [`Runtime::prepare`].
    pub fn prepare(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.runtime.prepare(self.member.id, bytes, self.compile_limits())
    }

    /// The same without keeping the file: the version can be run until it is unloaded.
    pub fn examine(&self, bytes: &[u8]) -> Result<App, DeployError> {
        self.runtime.examine(self.member.id, bytes, self.compile_limits())
    }

    /// Whether guests of a version can be started without loading it.
    pub fn is_ready(&self, version: VersionId) -> bool {
        self.runtime.ready(version).is_some()
    }

    /// Makes a version ready, on a thread of its own: it may have to be compiled. Within a tokio runtime.
    pub fn load(&self, version: VersionId) -> impl Future<Output = Result<(), LoadError>> + Send + use<> {
        let loading = self.runtime.clone().loaded_aside(self.member.id, version);
        async move { loading.await.map(drop) }
    }

    fn policies(&self) -> RwLockReadGuard<'_, Policies> {
        self.policies.read().expect("nothing panics while it holds this")
    }

    fn compile_limits(&self) -> CompileLimits {
        self.policies().default.compile
    }

    /// What a version may use and reach: what it is given, as far as its manifest asks for it.
    ///
    /// Whose manifest cannot be read gets nothing: its file is not there, so it does not run for long either.
    fn policy(&self, version: VersionId) -> Arc<Policy> {
        let policies = self.policies();
        let mut narrowed = policies.narrowed.lock().expect("nothing panics while it holds this");
        let narrow = || {
            let given = policies.of_versions.get(&version).unwrap_or(&policies.default);
            Arc::new(match self.runtime.manifest(version) {
                Ok(manifest) => given.narrowed(manifest.as_ref().as_ref()),
                Err(error) => {
                    tracing::error!(%version, %error, "what the app asks for cannot be read: it gets nothing");
                    given.without_grants()
                }
            })
        };
        narrowed.entry(version).or_insert_with(narrow).clone()
    }

    fn terms(&self, policy: Arc<Policy>) -> Terms {
        Terms { account: self.account.clone(), policy }
    }

    async fn run_activity_of(self, version: VersionId, mut call: ActivityCall, client: SharedClient) -> TaskOutcome {
        let inner = &self.runtime;
        let prepared = inner.clone().loaded_aside(self.member.id, version).await;
        let unable = |why: String| Failure::retriable(Failure::TRAP, format!("the host cannot run it: {why}"));
        let prepared = prepared.map_err(|why| unable(why.to_string()))?;
        call.name = prepared.spelled(&call.name).clone();
        let entry = prepared.activity.as_ref().filter(|_| prepared.has(FunctionKind::Activity, &call.name)).ok_or_else(|| {
            Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("version {version} has no activity '{}'", call.name))
        })?;
        let owner = Owner { tenant: self.member.id, version, policy: self.policy(version) };
        let run = Run { call, terms: self.terms(owner.policy.clone()), client };
        let Seated { instance, seat } = match inner.idle.take(&owner) {
            Some(seated) => seated,
            None => {
                let seat = inner.activity_seat(&prepared).await;
                let instance = ActivityInstance::new(&inner.engine, &run);
                Seated { instance: instance.map_err(|why| unable(format!("{why:#}")))?, seat }
            }
        };
        let (outcome, instance) = instance.run(&run, entry).await;
        // Whoever waits for a place gets this one.
        if let Some(instance) = instance.filter(|_| inner.activity_seats.available_permits() > 0) {
            inner.idle.keep(owner, Seated { instance, seat });
        }
        outcome
    }

    /// Under the policy of the caller's version.
    async fn run_http_of(self, caller: Option<VersionId>, call: ActivityCall) -> TaskOutcome {
        let _seat = self.runtime.http_seats.acquire().await.expect("the semaphore is never closed");
        let policy = match caller {
            None => self.policies().default.clone(),
            Some(version) => {
                // That it cannot be read is told with the policy.
                let _ = self.runtime.clone().manifest_aside(version).await;
                self.policy(version)
            }
        };
        http_activity::run(&self.terms(policy), &call.input).await
    }

    fn store(&self, version: VersionId, shared: Arc<Shared>) -> Result<Store<Deterministic>, String> {
        Deterministic::store(&self.runtime.engine, self.policy(version), shared).map_err(|why| format!("{why:#}"))
    }
}

impl Executor for Tenant {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, String> {
        let inner = &self.runtime;
        let prepared = inner.loaded(version).map_err(|why| why.to_string())?;
        let entry =
            prepared.orchestrator.clone().ok_or_else(|| format!("version {version} does not export `run-orchestrator`"))?;
        let seat = inner.seat(&prepared)?;
        let name = execution.lock().expect("a turn panicked; its execution is never used again").context().name.clone();
        let store = self.store(version, Shared::of_execution(execution, inner.config.between_slices.clone()))?;
        Ok(Box::new(OrchestratorGuest::new(
            store,
            entry,
            prepared.spelled(&name).to_string(),
            inner.config.between_slices.clone(),
            seat,
        )))
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, String> {
        let inner = &self.runtime;
        let prepared = inner.loaded(version).map_err(|why| why.to_string())?;
        let entity = scope.lock().expect("a turn panicked; its operation is never used again").entity.clone();
        let name = entity.entity_name().ok_or_else(|| format!("'{entity}' is not the id of an entity"))?;
        let name = prepared.spelled(&name).clone();
        let entry = prepared.entity.clone().filter(|_| prepared.has(FunctionKind::Entity, &name));
        let entry = entry.ok_or_else(|| format!("version {version} has no entity '{name}'"))?;
        let seat = inner.seat(&prepared)?;
        let store = self.store(version, Shared::of_operation(scope, inner.config.between_slices.clone()))?;
        Ok(Box::new(WasmEntityGuest::new(store, entry, name, inner.config.between_slices.clone(), seat)))
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        Box::pin(self.clone().run_http_of(caller, call))
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        Box::pin(self.clone().run_activity_of(version, call, client))
    }
}
