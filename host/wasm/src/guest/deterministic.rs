//! The deterministic world, in which orchestrators and entities run: the data of a guest's store, and what the guest is
//! linked to.
//!
//! Both see the same interfaces, implemented by an execution, which is replayed, or by an operation, which runs once and must
//! not wait.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use dacapo_core::entity::{OperationScope, SharedOperation};
use dacapo_core::execution::{Execution, LogLevel, Stopped, TaskId};
use dacapo_core::guest::SharedExecution;
use dacapo_core::{ExecutionId, Failure, Timestamp};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{AsContextMut as _, Engine, Store, StoreContextMut};

use crate::config::{Checkpoint, GuestLimits, Policy};
use crate::deployment::imports::{HasRole, Role};
use crate::engine::limiter::Limiter;
use crate::engine::slices::{CHECK_FUEL, HOST_CHECK_FUEL};
use crate::guest::bindings::{self, Task, logging, orchestration, types};
use crate::guest::trap::{PanicOutput, STOPPED, TrapContext};
use crate::guest::wasi::{self, Wasi};

/// Streams, pollables and the like that a guest may hold: they take memory of the host.
const WASI_RESOURCES_MAX: usize = 65_536;

/// The data of the store of an orchestrator or entity.
pub(crate) struct Deterministic {
    pub shared: Arc<Shared>,
    pub policy: Arc<Policy>,
    pub table: ResourceTable,
    /// Made when the guest first asks for WASI: most never do.
    pub wasi: Option<Box<Wasi>>,
    /// Its limits in this turn.
    limits: GuestLimits,
    limiter: Limiter,
    /// The turn whose fuel is being spent.
    turn: u32,
    /// The fuel that was left when its consumption was last recorded.
    fuel_left: u128,
}

/// What the guest's store shares with the guest's handle and with pollables.
pub(crate) struct Shared {
    scope: Scope,
    /// The guest blocks in a durable wait, and the execution knows for what. Read after each poll.
    waiting: AtomicBool,
    /// The timers that the pollables of the current `poll` stand for.
    sleeping: Mutex<Vec<TaskId>>,
    panic_output: Mutex<PanicOutput>,
    /// The fuel that is left in this turn or operation for work that the host does for the guest.
    host_fuel: AtomicU64,
    /// Bytes of the guest's memories, when it last began to wait.
    memory: AtomicUsize,
    checkpoint: Checkpoint,
}

/// What implements the guest's imports.
enum Scope {
    Execution(SharedExecution),
    /// Replaced when the instance is reused for another turn.
    Operation(Mutex<SharedOperation>),
}

/// Held in short scopes only; see [`SharedExecution`].
fn lock<T>(scope: &Mutex<T>) -> MutexGuard<'_, T> {
    scope.lock().expect("a turn panicked; what it worked on is never used again")
}

impl Shared {
    pub fn of_execution(execution: SharedExecution, checkpoint: Checkpoint) -> Arc<Self> {
        Self::new(Scope::Execution(execution), checkpoint)
    }

    pub fn of_operation(operation: SharedOperation, checkpoint: Checkpoint) -> Arc<Self> {
        Self::new(Scope::Operation(Mutex::new(operation)), checkpoint)
    }

    fn new(scope: Scope, checkpoint: Checkpoint) -> Arc<Self> {
        Arc::new(Self {
            scope,
            waiting: AtomicBool::new(false),
            sleeping: Mutex::default(),
            panic_output: Mutex::default(),
            host_fuel: AtomicU64::new(0),
            memory: AtomicUsize::new(0),
            checkpoint,
        })
    }

    /// Accounts for a call of the host and the bytes that it handles. The guest's own fuel is not spent while the host
    /// works for it: without this, a guest could keep a thread busy for hours with calls that cost it nothing. Must be
    /// called once for each call of the guest, not for each poll of it, so that a replay spends the same.
    pub fn spend(&self, bytes: usize) -> wasmtime::Result<()> {
        const CALL_FUEL: u64 = 200;
        let fuel = CALL_FUEL.saturating_add(bytes as u64);
        let before = self.host_fuel.load(Ordering::Relaxed);
        let left = before.saturating_sub(fuel);
        self.host_fuel.store(left, Ordering::Relaxed);
        if fuel > before {
            return Err(wasmtime::Trap::OutOfFuel.into());
        }
        // Checkpoints that the guest's own fuel brings about do not count work of the host.
        if left.div_ceil(HOST_CHECK_FUEL) == before.div_ceil(HOST_CHECK_FUEL) {
            return Ok(());
        }
        match self.checkpoint.pass() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(wasmtime::Error::msg(STOPPED)),
        }
    }

    /// Replaces what implements the imports of an entity's instance that is reused.
    pub fn begin_operations_of(&self, operation: SharedOperation) {
        match &self.scope {
            Scope::Operation(shared) => *lock(shared) = operation,
            Scope::Execution(_) => unreachable!("an orchestrator's instance is never reused"),
        }
    }

    /// Records all the fuel of a turn or an operation as spent: what a guest that was stopped midway has spent is unknown.
    pub fn spend_all(&self, fuel: u64) {
        self.either(|execution| execution.spend(fuel), |operation| operation.spend(fuel));
    }

    /// The fuel of the turn, if it is recorded.
    pub fn recorded_fuel(&self) -> Option<u64> {
        self.either(|execution| execution.conditions().map(|conditions| conditions.fuel_per_turn), |_operation| None)
    }

    /// The multiple of the recorded fuel that a replay may spend: a later release may count more for the same work, and the
    /// recorded turn was within its limit.
    pub fn fuel_factor(&self) -> u64 {
        const OF_REPLAY: u64 = 4;
        self.either(|execution| if execution.is_replaying() { OF_REPLAY } else { 1 }, |_operation| 1)
    }

    /// The environment that the guest sees.
    pub fn environment(&self, configured: &[(String, String)]) -> Vec<(String, String)> {
        let recorded = self.either(|execution| execution.conditions().cloned(), |_operation| None);
        recorded.map_or_else(|| configured.to_owned(), |conditions| conditions.environment.clone())
    }

    pub fn role(&self) -> Role {
        match self.scope {
            Scope::Execution(_) => Role::Orchestrator,
            Scope::Operation(_) => Role::Entity,
        }
    }

    /// Calls one of the two closures, depending on what implements this guest's imports.
    pub fn either<T>(&self, execution: impl FnOnce(&mut Execution) -> T, operation: impl FnOnce(&mut OperationScope) -> T) -> T {
        match &self.scope {
            Scope::Execution(shared) => execution(&mut lock(shared)),
            Scope::Operation(shared) => {
                let shared = lock(shared).clone();
                operation(&mut lock(&shared))
            }
        }
    }

    /// Locks the execution, which only an orchestrator has. An entity that calls `function` is stopped.
    pub fn execution(&self, function: &str) -> wasmtime::Result<MutexGuard<'_, Execution>> {
        match &self.scope {
            Scope::Execution(execution) => Ok(lock(execution)),
            Scope::Operation(_) => wasmtime::bail!(
                "only orchestrators may call {function}: an operation of an entity waits for nothing; it can signal entities, \
                 start orchestrations and send events"
            ),
        }
    }

    pub fn execution_id(&self) -> ExecutionId {
        self.either(|execution| execution.context().execution, |operation| operation.execution)
    }

    pub fn current_time(&self) -> Timestamp {
        self.either(|execution| execution.current_time(), |operation| operation.current_time())
    }

    pub fn random_bytes(&self, bytes: &mut [u8]) {
        match &self.scope {
            Scope::Execution(execution) => lock(execution).random_bytes(bytes),
            Scope::Operation(shared) => {
                let shared = lock(shared).clone();
                lock(&shared).random_bytes(bytes);
            }
        }
    }

    pub fn log(&self, level: LogLevel, line: &str) {
        self.either(|execution| execution.log(level, line), |operation| operation.log(level, line));
    }

    pub fn panic_output(&self) -> MutexGuard<'_, PanicOutput> {
        self.panic_output.lock().expect("nothing panics while it holds this")
    }

    fn sleeping(&self) -> MutexGuard<'_, Vec<TaskId>> {
        self.sleeping.lock().expect("nothing panics while it holds this")
    }

    /// Records that the current poll sleeps until `task` has completed.
    pub fn sleeps_on(&self, task: TaskId) {
        self.sleeping().push(task);
    }

    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    pub fn begin_resume(&self) {
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// Whether the guest blocks in a durable wait, since it was resumed.
    pub fn waits_durably(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Asks the execution what has completed. Pending: the guest blocks, and the execution knows for what.
    fn ask(&self, wait: impl FnOnce(&mut Execution) -> Result<Vec<u32>, Stopped>) -> Poll<wasmtime::Result<Vec<u32>>> {
        let done = match self.execution("wait") {
            Ok(mut execution) => wait(&mut execution),
            Err(refused) => return Poll::Ready(Err(refused)),
        };
        match done {
            Ok(done) if done.is_empty() => {
                self.waiting.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            Ok(done) => Poll::Ready(Ok(done)),
            Err(stopped) => Poll::Ready(Err(stopped.into())),
        }
    }

    /// Runs a wait of WASI. When it blocks, all the timers that it blocks on become one durable wait; pollables that
    /// are always ready end it at once. If it blocks on anything else as well, that never wakes it: only timers do.
    pub async fn durably<T>(&self, wait: impl Future<Output = T>) -> wasmtime::Result<T> {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            self.sleeping().clear();
            if let Poll::Ready(ready) = wait.as_mut().poll(context) {
                return Poll::Ready(Ok(ready));
            }
            if self.role() == Role::Entity {
                return Poll::Ready(Err(wasmtime::Error::msg(MUST_NOT_WAIT)));
            }
            let tasks = std::mem::take(&mut *self.sleeping());
            if tasks.is_empty() {
                return Poll::Pending;
            }
            match self.ask(|execution| execution.wait(&tasks)) {
                Poll::Ready(Err(stopped)) => Poll::Ready(Err(stopped)),
                Poll::Ready(Ok(_)) => unreachable!("a pollable whose timer has fired is ready"),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

pub(crate) const MUST_NOT_WAIT: &str = "an operation of an entity must not wait or sleep: what takes time belongs in an \
                                        orchestration, which the operation can start";

impl HasRole for Deterministic {
    fn role(&self) -> Role {
        self.shared.role()
    }
}

impl Deterministic {
    pub fn store(engine: &Engine, policy: Arc<Policy>, shared: Arc<Shared>) -> wasmtime::Result<Store<Self>> {
        let limiter = Limiter::new(policy.limits.orchestrator_memory_bytes, policy.limits.table_elements);
        let handles = handles_of(policy.execution.tasks);
        let mut table = ResourceTable::new();
        table.set_max_capacity(WASI_RESOURCES_MAX);
        let at_once = bytes_at_once(policy.execution.payload_bytes);
        let limits = policy.limits.clone();
        let data = Self { shared, policy, table, wasi: None, limits, limiter, turn: 0, fuel_left: 0 };
        let mut store = Store::new(engine, data);
        store.limiter(|data| &mut data.limiter);
        store.set_max_component_handles(handles);
        store.set_hostcall_fuel(at_once);
        fill(&mut store.as_context_mut())?;
        store.fuel_async_yield_interval(Some(CHECK_FUEL))?;
        Ok(store)
    }

    /// Bytes of the guest's memories, that of its objects included.
    pub fn memory_used(&self) -> usize {
        self.limiter.used()
    }

    /// Logs what the guest printed and did not end with a line break.
    pub fn finish_lines(&self) {
        if let Some(wasi) = &self.wasi {
            wasi.finish();
        }
    }

    /// The failure of a guest that stopped.
    pub fn failure(&self, error: &wasmtime::Error) -> Failure {
        let panic_output = &self.shared.panic_output();
        let (limits, refused) = (&self.limits, self.limiter.refused());
        TrapContext { limits, refused, panic_output, role: self.role() }.failure(error)
    }
}

/// Gives the guest the limits and the fuel of a new turn, if one has begun. Called where the guest begins and where a wait ends,
/// so a replay, whose waits end at the same places, spends the same.
pub(crate) fn begin_turn(store: &mut StoreContextMut<'_, Deterministic>) -> wasmtime::Result<()> {
    let under = |execution: &mut Execution| (execution.turn(), execution.conditions().cloned());
    let Some((turn, conditions)) = store.data().shared.either(|execution| Some(under(execution)), |_operation| None) else {
        return Ok(());
    };
    if std::mem::replace(&mut store.data_mut().turn, turn) == turn {
        return Ok(());
    }
    if let Some(conditions) = conditions {
        let data = store.data_mut();
        data.limits = data.policy.limits.under(&conditions);
        data.limiter.allow(data.limits.orchestrator_memory_bytes, data.limits.table_elements);
        let handles = handles_of(size(conditions.tasks).max(data.policy.execution.tasks));
        let at_once = bytes_at_once(size(conditions.payload_bytes).max(data.policy.execution.payload_bytes));
        store.set_max_component_handles(handles);
        store.set_hostcall_fuel(at_once);
    }
    fill(store)
}

/// Gives the guest the fuel of a turn or an operation, and as much for the work that the host does for it.
pub(crate) fn fill(store: &mut StoreContextMut<'_, Deterministic>) -> wasmtime::Result<()> {
    let data = store.data();
    let fuel = data.limits.fuel_per_turn.saturating_mul(data.shared.fuel_factor());
    store.set_fuel(fuel)?;
    store.data().shared.host_fuel.store(fuel, Ordering::Relaxed);
    store.data_mut().fuel_left = fuel_left(store)?;
    Ok(())
}

/// Records the fuel that the guest, and the host for it, have spent since the last call, and the guest's memory. Called where a
/// wait begins and where the guest or an operation ends, so nothing is counted twice, or lost when the turn ends in the wait.
pub(crate) fn note_fuel(store: &mut StoreContextMut<'_, Deterministic>) -> wasmtime::Result<()> {
    let left = fuel_left(store)?;
    let before = std::mem::replace(&mut store.data_mut().fuel_left, left);
    let spent = u64::try_from(before.saturating_sub(left)).unwrap_or(u64::MAX);
    let used = store.data().memory_used();
    store.data().shared.memory.store(used, Ordering::Relaxed);
    store.data().shared.either(|execution| execution.spend(spent), |operation| operation.spend(spent));
    Ok(())
}

fn fuel_left(store: &StoreContextMut<'_, Deterministic>) -> wasmtime::Result<u128> {
    Ok(u128::from(store.get_fuel()?) + u128::from(store.data().shared.host_fuel.load(Ordering::Relaxed)))
}

/// A guest may hold a handle of every task of its execution, and others beside them.
fn handles_of(tasks: usize) -> usize {
    tasks.saturating_add(WASI_RESOURCES_MAX)
}

/// Bytes that a guest may pass to the host in one call. More than a payload may have, so that one which is a little too large is
/// refused with a better message.
pub(crate) fn bytes_at_once(payload_bytes: usize) -> usize {
    payload_bytes.saturating_mul(2).saturating_add(1 << 20)
}

fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The interfaces that orchestrators and entities are granted. `describe` runs with them, on an execution that is thrown away.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Deterministic>> {
    let mut linker = Linker::new(engine);
    orchestration::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    logging::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    types::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    wasi::add_to_linker(&mut linker)?;
    // The generated bindings of these could not block and have no store.
    linker.allow_shadowing(true);
    let mut orchestration = linker.instance(bindings::ORCHESTRATION)?;
    orchestration.func_wrap_async("wait", |mut store, (tasks,): (Vec<Resource<Task>>,)| {
        Box::new(async move {
            // The component model has checked that the handles are those that this host gave to this guest.
            let tasks: Vec<TaskId> = tasks.iter().map(|task| TaskId(task.rep())).collect();
            store.data().shared.spend(tasks.len() * size_of::<TaskId>())?;
            block(&mut store, |execution| execution.wait(&tasks)).await
        })
    })?;
    orchestration.func_wrap_async("wait-watched", |mut store, (): ()| {
        Box::new(async move {
            store.data().shared.spend(0)?;
            block(&mut store, Execution::wait_watched).await
        })
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Blocks the guest until something that it waits for has completed.
async fn block(
    store: &mut StoreContextMut<'_, Deterministic>,
    mut wait: impl FnMut(&mut Execution) -> Result<Vec<u32>, Stopped>,
) -> wasmtime::Result<(Vec<u32>,)> {
    let shared = store.data().shared.clone();
    note_fuel(store)?;
    let done = poll_fn(|_| shared.ask(&mut wait)).await?;
    begin_turn(store)?;
    Ok((done,))
}

impl logging::Host for Deterministic {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        self.shared.spend(message.len())?;
        let level = bindings::level_of(level);
        if level == LogLevel::Error {
            self.shared.panic_output().logged(&message);
        }
        self.shared.log(level, &message);
        Ok(())
    }
}

impl types::Host for Deterministic {}
