//! A guest that runs an orchestrator.
//!
//! It is a future that owns its store. Blocking in `wait` is a pending future: the fiber stays where it is until the
//! next turn polls again. No executor is involved: [`Guest::resume`] polls once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use dacapo_core::execution::{Execution, LogLevel, TaskId, TaskOutcome};
use dacapo_core::guest::SharedExecution;
use dacapo_core::{Failure, Guest, Payload, Step, Timestamp};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Store, StoreContextMut};

use crate::bindings::{self, Task, logging, orchestration, types};
use crate::config::Config;
use crate::limiter::Limiter;
use crate::prepared::Entry;
use crate::trouble::{Circumstances, LastWords};
use crate::wasi::{self, Wasi};

/// Streams, pollables and the like that an orchestrator may hold: they lie in the host's memory.
const WASI_RESOURCES_MAX: usize = 65_536;

/// The data of an orchestrator's store.
pub(crate) struct Orchestrator {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub table: ResourceTable,
    /// Made when the guest first asks for WASI: most never do.
    pub wasi: Option<Box<Wasi>>,
    limiter: Limiter,
    /// The turn whose fuel is being spent.
    turn: u32,
}

/// What the guest's store shares with the guest's handle and with pollables.
pub(crate) struct Shared {
    execution: SharedExecution,
    /// The guest blocks in a durable wait, and the execution knows on what. Read after each poll.
    waiting: AtomicBool,
    /// The timers that the pollables of the current `poll` stand for.
    sleeping: Mutex<Vec<TaskId>>,
    last_words: Mutex<LastWords>,
}

impl Shared {
    pub fn new(execution: SharedExecution) -> Arc<Self> {
        Arc::new(Self { execution, waiting: AtomicBool::new(false), sleeping: Mutex::default(), last_words: Mutex::default() })
    }

    /// Held in short scopes only; see [`SharedExecution`].
    pub fn execution(&self) -> MutexGuard<'_, Execution> {
        self.execution.lock().expect("a turn panicked; its execution is never used again")
    }

    pub fn last_words(&self) -> MutexGuard<'_, LastWords> {
        self.last_words.lock().expect("nothing panics while it holds this")
    }

    fn sleeping(&self) -> MutexGuard<'_, Vec<TaskId>> {
        self.sleeping.lock().expect("nothing panics while it holds this")
    }

    /// Notes that what polls at the moment sleeps until `task` has completed.
    pub fn sleeps_on(&self, task: TaskId) {
        self.sleeping().push(task);
    }

    /// Asks the execution which tasks have completed. Pending: the guest blocks on them, and the execution knows.
    fn ask(&self, tasks: &[TaskId]) -> Poll<wasmtime::Result<Vec<u32>>> {
        match self.execution().wait(tasks) {
            Ok(done) if done.is_empty() => {
                self.waiting.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            Ok(done) => Poll::Ready(Ok(done)),
            Err(stopped) => Poll::Ready(Err(stopped.into())),
        }
    }

    /// Runs a wait of WASI. When it blocks, all the timers that it blocks on become one durable wait; pollables that
    /// are always ready end it at once. Should it block on anything else as well, that is never woken: only timers are.
    pub async fn durably<T>(&self, wait: impl Future<Output = T>) -> wasmtime::Result<T> {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            self.sleeping().clear();
            if let Poll::Ready(ready) = wait.as_mut().poll(context) {
                return Poll::Ready(Ok(ready));
            }
            let tasks = std::mem::take(&mut *self.sleeping());
            if tasks.is_empty() {
                return Poll::Pending;
            }
            match self.ask(&tasks) {
                Poll::Ready(Err(stopped)) => Poll::Ready(Err(stopped)),
                Poll::Ready(Ok(_)) => unreachable!("a pollable whose timer has fired is ready"),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl Orchestrator {
    pub fn store(engine: &Engine, config: Arc<Config>, shared: Arc<Shared>) -> wasmtime::Result<Store<Self>> {
        let limiter = Limiter::new(config.limits.orchestrator_memory_bytes, config.limits.table_elements);
        let fuel = config.limits.fuel_per_turn;
        // A guest may hold a handle of every task of its execution.
        let handles = config.execution.tasks;
        let mut table = ResourceTable::new();
        table.set_max_capacity(WASI_RESOURCES_MAX);
        let data = Self { shared, config, table, wasi: None, limiter, turn: 0 };
        let mut store = Store::new(engine, data);
        store.limiter(|data| &mut data.limiter);
        store.set_max_component_handles(handles);
        store.set_fuel(fuel)?;
        Ok(store)
    }

    /// The failure of a guest that stopped.
    pub fn failure(&self, error: &wasmtime::Error) -> Failure {
        let last_words = &self.shared.last_words();
        Circumstances { limits: &self.config.limits, refused: self.limiter.refused(), last_words, retriable: false }
            .failure(error)
    }

    fn execution(&self) -> MutexGuard<'_, Execution> {
        self.shared.execution()
    }
}

/// Gives the guest the fuel of a new turn, if one has begun. Called where a wait ends, so that a replay, whose waits end
/// at the same places, spends the same.
pub(crate) fn refuel(store: &mut StoreContextMut<'_, Orchestrator>) -> wasmtime::Result<()> {
    let turn = store.data().execution().turn();
    if std::mem::replace(&mut store.data_mut().turn, turn) != turn {
        let fuel = store.data().config.limits.fuel_per_turn;
        store.set_fuel(fuel)?;
    }
    Ok(())
}

/// Runs an orchestrator from its beginning to its end.
async fn run(mut store: Store<Orchestrator>, entry: Entry<Orchestrator>, name: String) -> TaskOutcome {
    let (input, turn) = {
        let execution = store.data().execution();
        (execution.context().input.clone(), execution.turn())
    };
    store.data_mut().turn = turn;
    let returned = entry.call::<(&str, &str), bindings::Returned>(&mut store, (&name, &input)).await;
    if let Some(wasi) = &store.data().wasi {
        wasi.finish();
    }
    match returned {
        Ok((outcome,)) => bindings::outcome_of(outcome),
        Err(error) => Err(store.data().failure(&error)),
    }
}

/// A suspended (or not yet begun) orchestrator.
pub(crate) struct OrchestratorGuest {
    /// None once it has ended. Dropped before the seat: the pool's slot is free before another may take it.
    future: Option<Pin<Box<dyn Future<Output = TaskOutcome> + Send>>>,
    shared: Arc<Shared>,
    _seat: OwnedSemaphorePermit,
}

impl OrchestratorGuest {
    /// `name` is the orchestrator's, as the app spells it.
    pub fn new(store: Store<Orchestrator>, entry: Entry<Orchestrator>, name: String, seat: OwnedSemaphorePermit) -> Self {
        let shared = store.data().shared.clone();
        Self { future: Some(Box::pin(run(store, entry, name))), shared, _seat: seat }
    }

    fn end(&mut self, outcome: TaskOutcome) -> Step {
        self.future = None;
        Step::Ended(outcome)
    }
}

impl Guest for OrchestratorGuest {
    fn resume(&mut self) -> Step {
        let Some(future) = &mut self.future else {
            return Step::Ended(Err(Failure::permanent(Failure::TRAP, "it was resumed after it had ended")));
        };
        self.shared.waiting.store(false, Ordering::Relaxed);
        match future.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => self.end(outcome),
            Poll::Pending if self.shared.waiting.load(Ordering::Relaxed) => Step::Waiting,
            Poll::Pending => {
                let message =
                    "it waits on something that is not durable: an orchestrator can wait on tasks and sleep, nothing else";
                self.end(Err(Failure::permanent(Failure::TRAP, message)))
            }
        }
    }
}

/// What orchestrators are granted. `describe` runs with the same, on an execution that is thrown away.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Orchestrator>> {
    let mut linker = Linker::new(engine);
    orchestration::add_to_linker::<_, HasSelf<Orchestrator>>(&mut linker, |data| data)?;
    logging::add_to_linker::<_, HasSelf<Orchestrator>>(&mut linker, |data| data)?;
    types::add_to_linker::<_, HasSelf<Orchestrator>>(&mut linker, |data| data)?;
    wasi::add_to_linker(&mut linker)?;
    // The generated binding of `wait` could not block and has no store.
    linker.allow_shadowing(true);
    linker.instance(bindings::ORCHESTRATION)?.func_wrap_async("wait", |mut store, (tasks,): (Vec<Resource<Task>>,)| {
        Box::new(async move {
            let tasks: Vec<TaskId> = tasks.iter().map(task_id).collect();
            let shared = store.data().shared.clone();
            let done = poll_fn(|_| shared.ask(&tasks)).await?;
            refuel(&mut store)?;
            Ok((done,))
        })
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// The component model has checked that the handle is one that this host gave to this guest.
fn task_id(task: &Resource<Task>) -> TaskId {
    TaskId(task.rep())
}

fn handle(task: TaskId) -> Resource<Task> {
    Resource::new_own(task.0)
}

const RANDOM_BYTES_MAX: u32 = 65_536;

impl orchestration::HostTask for Orchestrator {
    fn outcome(&mut self, task: Resource<Task>) -> wasmtime::Result<Option<Result<String, types::Failure>>> {
        Ok(self.execution().outcome(task_id(&task)).map(bindings::wit_outcome))
    }

    fn cancel(&mut self, task: Resource<Task>) -> wasmtime::Result<bool> {
        Ok(self.execution().cancel(task_id(&task)))
    }

    fn drop(&mut self, _task: Resource<Task>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl orchestration::Host for Orchestrator {
    fn wait(&mut self, _tasks: Vec<Resource<Task>>) -> wasmtime::Result<Vec<u32>> {
        unreachable!("the linker defines another `wait`")
    }

    fn call_activity(
        &mut self,
        name: String,
        input: String,
        retry: Option<types::RetryPolicy>,
    ) -> wasmtime::Result<Resource<Task>> {
        let retry = retry.map(bindings::retry_policy_of);
        Ok(handle(self.execution().call_activity(&name, input.into(), retry)?))
    }

    fn call_sub_orchestrator(
        &mut self,
        name: String,
        input: String,
        instance_id: Option<String>,
        retry: Option<types::RetryPolicy>,
    ) -> wasmtime::Result<Resource<Task>> {
        let retry = retry.map(bindings::retry_policy_of);
        Ok(handle(self.execution().call_sub_orchestrator(&name, input.into(), instance_id.as_deref(), retry)?))
    }

    fn create_timer(&mut self, fire_at: f64) -> wasmtime::Result<Resource<Task>> {
        Ok(handle(self.execution().create_timer(Timestamp::from_millis(fire_at))?))
    }

    fn wait_for_external_event(&mut self, name: String) -> wasmtime::Result<Resource<Task>> {
        Ok(handle(self.execution().wait_for_external_event(&name)?))
    }

    fn start_orchestration(&mut self, name: String, input: String, instance_id: Option<String>) -> wasmtime::Result<String> {
        Ok(self.execution().start_orchestration(&name, input.into(), instance_id.as_deref())?.to_string())
    }

    fn send_event(&mut self, instance_id: String, name: String, data: String) -> wasmtime::Result<()> {
        Ok(self.execution().send_event(&instance_id, &name, data.into())?)
    }

    fn continue_as_new(&mut self, input: String) -> wasmtime::Result<()> {
        Ok(self.execution().continue_as_new(input.into())?)
    }

    fn set_custom_status(&mut self, status: String) -> wasmtime::Result<()> {
        Ok(self.execution().set_custom_status(Payload::from(status))?)
    }

    fn instance_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.execution().context().instance.to_string())
    }

    fn execution_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.execution().context().execution.to_string())
    }

    fn parent(&mut self) -> wasmtime::Result<Option<types::ParentInstance>> {
        Ok(self.execution().context().parent.as_ref().map(bindings::wit_parent))
    }

    fn version(&mut self) -> wasmtime::Result<String> {
        Ok(self.execution().context().version_label.clone())
    }

    fn current_time(&mut self) -> wasmtime::Result<f64> {
        Ok(self.execution().current_time().as_millis())
    }

    fn new_guid(&mut self) -> wasmtime::Result<String> {
        Ok(self.execution().new_guid().to_string())
    }

    fn random_bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            wasmtime::bail!("it asked for {length} random bytes, {RANDOM_BYTES_MAX} are allowed at a time");
        }
        let mut bytes = vec![0; length as usize];
        self.execution().random_bytes(&mut bytes);
        Ok(bytes)
    }

    fn is_replaying(&mut self) -> wasmtime::Result<bool> {
        Ok(self.execution().is_replaying())
    }
}

impl logging::Host for Orchestrator {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = bindings::level_of(level);
        if level == LogLevel::Error {
            self.shared.last_words().logged(&message);
        }
        self.execution().log(level, &message);
        Ok(())
    }
}

impl types::Host for Orchestrator {}
