//! The deterministic world, in which orchestrators and entities run: the data of a guest's store, and what the guest is
//! linked to.
//!
//! Both see the same interfaces. What stands behind them differs: an execution, which is replayed, or an operation, which
//! is run once and must not wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use dacapo_core::entity::{OperationScope, SharedOperation};
use dacapo_core::execution::{Execution, LogLevel, TaskId};
use dacapo_core::guest::SharedExecution;
use dacapo_core::{ExecutionId, Failure, Timestamp};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{AsContextMut as _, Engine, Store, StoreContextMut};

use crate::bindings::{self, Task, logging, orchestration, types};
use crate::config::{BetweenSlices, GuestLimits, Policy};
use crate::imports::{HasRole, Role};
use crate::limiter::Limiter;
use crate::slices::FUEL_SLICE;
use crate::trouble::{Circumstances, LastWords};
use crate::wasi::{self, Wasi};

/// Streams, pollables and the like that a guest may hold: they lie in the host's memory.
const WASI_RESOURCES_MAX: usize = 65_536;

/// The data of the store of an orchestrator or entity.
pub(crate) struct Deterministic {
    pub shared: Arc<Shared>,
    pub policy: Arc<Policy>,
    pub table: ResourceTable,
    /// Made when the guest first asks for WASI: most never do.
    pub wasi: Option<Box<Wasi>>,
    limiter: Limiter,
    /// The turn whose fuel is being spent.
    turn: u32,
    /// What was left of its fuel when it was last noted what was spent.
    fuel_left: u128,
}

/// What the guest's store shares with the guest's handle and with pollables.
pub(crate) struct Shared {
    scope: Scope,
    /// The guest blocks in a durable wait, and the execution knows on what. Read after each poll.
    waiting: AtomicBool,
    /// The timers that the pollables of the current `poll` stand for.
    sleeping: Mutex<Vec<TaskId>>,
    last_words: Mutex<LastWords>,
    /// What the host may still do for the guest in this turn or operation, in units of fuel.
    host_fuel: AtomicU64,
    /// Bytes of the guest's memories, when it last began to wait.
    memory: AtomicUsize,
    between_slices: BetweenSlices,
}

/// What answers the guest.
enum Scope {
    Execution(SharedExecution),
    Operation(SharedOperation),
}

/// Held in short scopes only; see [`SharedExecution`].
fn lock<T>(scope: &Mutex<T>) -> MutexGuard<'_, T> {
    scope.lock().expect("a turn panicked; what it worked on is never used again")
}

impl Shared {
    pub fn of_execution(execution: SharedExecution, between_slices: BetweenSlices) -> Arc<Self> {
        Self::new(Scope::Execution(execution), between_slices)
    }

    pub fn of_operation(operation: SharedOperation, between_slices: BetweenSlices) -> Arc<Self> {
        Self::new(Scope::Operation(operation), between_slices)
    }

    fn new(scope: Scope, between_slices: BetweenSlices) -> Arc<Self> {
        Arc::new(Self {
            scope,
            waiting: AtomicBool::new(false),
            sleeping: Mutex::default(),
            last_words: Mutex::default(),
            host_fuel: AtomicU64::new(0),
            memory: AtomicUsize::new(0),
            between_slices,
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
        // The guest's own slices do not count what the host does. It runs on the thread of the turn, which may sleep here:
        // when the last unit of a slice is spent, and not with the first one of the next.
        if left.div_ceil(FUEL_SLICE) < before.div_ceil(FUEL_SLICE) {
            self.between_slices.pass();
        }
        if fuel > before {
            return Err(wasmtime::Trap::OutOfFuel.into());
        }
        Ok(())
    }

    /// Notes all the fuel of a turn or an operation as spent: of a guest that was stopped in the middle nobody can ask.
    pub fn spend_all(&self, limits: &GuestLimits) {
        self.either(|execution| execution.spend(limits.fuel_per_turn), |operation| operation.spend(limits.fuel_per_turn));
    }

    pub fn role(&self) -> Role {
        match self.scope {
            Scope::Execution(_) => Role::Orchestrator,
            Scope::Operation(_) => Role::Entity,
        }
    }

    /// Asks whichever of the two answers this guest.
    pub fn either<T>(&self, execution: impl FnOnce(&mut Execution) -> T, operation: impl FnOnce(&mut OperationScope) -> T) -> T {
        match &self.scope {
            Scope::Execution(shared) => execution(&mut lock(shared)),
            Scope::Operation(shared) => operation(&mut lock(shared)),
        }
    }

    /// What only an orchestrator has. An entity that calls the function is stopped.
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
            Scope::Operation(operation) => lock(operation).random_bytes(bytes),
        }
    }

    pub fn log(&self, level: LogLevel, line: &str) {
        self.either(|execution| execution.log(level, line), |operation| operation.log(level, line));
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

    /// Asks the execution which tasks have completed. Pending: the guest blocks on them, and the execution knows.
    fn ask(&self, tasks: &[TaskId]) -> Poll<wasmtime::Result<Vec<u32>>> {
        let done = match self.execution("wait") {
            Ok(mut execution) => execution.wait(tasks),
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
    /// are always ready end it at once. Should it block on anything else as well, that is never woken: only timers are.
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
            match self.ask(&tasks) {
                Poll::Ready(Err(stopped)) => Poll::Ready(Err(stopped)),
                Poll::Ready(Ok(_)) => unreachable!("a pollable whose timer has fired is ready"),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

pub(crate) const MUST_NOT_WAIT: &str = "an operation of an entity must not wait or sleep: what takes time belongs into an \
                                        orchestration, which the operation can start";

impl HasRole for Deterministic {
    fn role(&self) -> Role {
        self.shared.role()
    }
}

impl Deterministic {
    pub fn store(engine: &Engine, policy: Arc<Policy>, shared: Arc<Shared>) -> wasmtime::Result<Store<Self>> {
        let limiter = Limiter::new(policy.limits.orchestrator_memory_bytes, policy.limits.table_elements);
        // A guest may hold a handle of every task of its execution.
        let handles = policy.execution.tasks;
        let mut table = ResourceTable::new();
        table.set_max_capacity(WASI_RESOURCES_MAX);
        let at_once = bytes_at_once(&policy);
        let data = Self { shared, policy, table, wasi: None, limiter, turn: 0, fuel_left: 0 };
        let mut store = Store::new(engine, data);
        store.limiter(|data| &mut data.limiter);
        store.set_max_component_handles(handles);
        store.set_hostcall_fuel(at_once);
        fill(&mut store.as_context_mut())?;
        store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
        Ok(store)
    }

    /// The first turn, whose fuel the new store holds.
    pub fn begins_in(&mut self, turn: u32) {
        self.turn = turn;
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
        let last_words = &self.shared.last_words();
        let (limits, refused) = (&self.policy.limits, self.limiter.refused());
        Circumstances { limits, refused, last_words, role: self.role() }.failure(error)
    }
}

/// Gives the guest the fuel of a new turn, if one has begun. Called where a wait ends, so that a replay, whose waits end
/// at the same places, spends the same.
pub(crate) fn refuel(store: &mut StoreContextMut<'_, Deterministic>) -> wasmtime::Result<()> {
    let turn = store.data().shared.either(|execution| Some(execution.turn()), |_operation| None);
    match turn {
        Some(turn) if std::mem::replace(&mut store.data_mut().turn, turn) != turn => fill(store),
        Some(_) | None => Ok(()),
    }
}

/// Gives the guest the fuel of a turn or an operation, and the host as much to do for it.
pub(crate) fn fill(store: &mut StoreContextMut<'_, Deterministic>) -> wasmtime::Result<()> {
    let fuel = store.data().policy.limits.fuel_per_turn;
    store.set_fuel(fuel)?;
    store.data().shared.host_fuel.store(fuel, Ordering::Relaxed);
    store.data_mut().fuel_left = fuel_left(store)?;
    Ok(())
}

/// Notes what the guest, and the host for it, have spent since the last time, and how much memory it has by now. Called where a wait begins and where the guest
/// or an operation ends: so nothing is noted twice, and nothing is lost when the turn ends in the wait.
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

/// Bytes that a guest may hand the host in one call: payloads that are a little too large get that far, and are refused
/// with a better word.
pub(crate) fn bytes_at_once(policy: &Policy) -> usize {
    policy.execution.payload_bytes.saturating_mul(2).saturating_add(1 << 20)
}

/// What orchestrators and entities are granted. `describe` runs with the same, on an execution that is thrown away.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Deterministic>> {
    let mut linker = Linker::new(engine);
    orchestration::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    logging::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    types::add_to_linker::<_, HasSelf<Deterministic>>(&mut linker, |data| data)?;
    wasi::add_to_linker(&mut linker)?;
    // The generated binding of `wait` could not block and has no store.
    linker.allow_shadowing(true);
    linker.instance(bindings::ORCHESTRATION)?.func_wrap_async("wait", |mut store, (tasks,): (Vec<Resource<Task>>,)| {
        Box::new(async move {
            // The component model has checked that the handles are those that this host gave to this guest.
            let tasks: Vec<TaskId> = tasks.iter().map(|task| TaskId(task.rep())).collect();
            let shared = store.data().shared.clone();
            shared.spend(tasks.len() * size_of::<TaskId>())?;
            note_fuel(&mut store)?;
            let done = poll_fn(|_| shared.ask(&tasks)).await?;
            refuel(&mut store)?;
            Ok((done,))
        })
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

impl logging::Host for Deterministic {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        self.shared.spend(message.len())?;
        let level = bindings::level_of(level);
        if level == LogLevel::Error {
            self.shared.last_words().logged(&message);
        }
        self.shared.log(level, &message);
        Ok(())
    }
}

impl types::Host for Deterministic {}
