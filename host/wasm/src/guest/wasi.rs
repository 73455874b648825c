//! The deterministic WASI 0.2 of orchestrators and entities: what language runtimes need in order to start, derived from the
//! execution or the operation.
//!
//! - Clocks read the time of the turn, which stands still between waits.
//! - Random numbers come from streams that the execution or the operation seeds.
//! - Sleeping creates a durable timer; blocking in `poll` is a durable wait, like `wait` of the contract. An operation of
//!   an entity must do neither.
//! - Standard output and error go to the guest's log, once. Standard input is empty.
//! - The environment is the configured one. There are no directories, so no file can be named.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dacapo_core::Timestamp;
use dacapo_core::execution::{LogLevel, TaskId};
use dacapo_core::random::RandomStream;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait};

use crate::deployment::imports::Role;
use crate::guest::deterministic::{Deterministic, Shared, begin_turn, note_fuel};
use crate::guest::lines::Lines;

/// The interfaces of `wasmtime-wasi` in which functions are redefined here.
const POLL: &str = "wasi:io/poll@0.2.12";
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
const WALL_CLOCK: &str = "wasi:clocks/wall-clock@0.2.12";
const ENVIRONMENT: &str = "wasi:cli/environment@0.2.12";
const RANDOM: &str = "wasi:random/random@0.2.12";
const INSECURE: &str = "wasi:random/insecure@0.2.12";
const INSECURE_SEED: &str = "wasi:random/insecure-seed@0.2.12";

const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// The cost of polling one pollable, in bytes handled.
const POLLABLE_COST: usize = 64;

/// The state of WASI in a guest.
pub(crate) struct Wasi {
    context: WasiCtx,
    stdout: Lines,
    stderr: Lines,
    random: Random,
    insecure: Random,
}

/// Where random numbers come from.
enum Random {
    /// An orchestrator has streams beside that of its context, so that numbers which its language runtime draws do not shift
    /// those that its code draws.
    Stream(RandomStream),
    /// Each operation has one stream. A guest runs many operations, and none may see the numbers of another.
    Operation(Arc<Shared>),
}

impl Random {
    fn new(shared: &Arc<Shared>, label: &str) -> Self {
        match shared.role() {
            Role::Entity => Self::Operation(shared.clone()),
            Role::Orchestrator | Role::Activity | Role::Trigger => Self::Stream(RandomStream::new(shared.execution_id(), label)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Stream(stream) => stream.fill(bytes),
            Self::Operation(shared) => shared.random_bytes(bytes),
        }
    }

    fn next_u64(&mut self, shared: &Shared) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        shared.spend(bytes.len())?;
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self, shared: &Shared, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            wasmtime::bail!("it asked for {length} random bytes, {RANDOM_BYTES_MAX} are allowed at a time");
        }
        shared.spend(length as usize)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}

impl Wasi {
    fn new(shared: &Arc<Shared>) -> Self {
        let out = shared.clone();
        let stdout = Lines::new(move |line| {
            out.spend(line.len())?;
            out.log(LogLevel::Info, line);
            Ok(())
        });
        let err = shared.clone();
        let stderr = Lines::new(move |line| {
            err.spend(line.len())?;
            err.panic_output().printed(line);
            err.log(LogLevel::Warn, line);
            Ok(())
        });
        let context = WasiCtxBuilder::new()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .wall_clock(TurnClock(shared.clone()))
            .monotonic_clock(TurnClock(shared.clone()))
            .build();
        Self { context, stdout, stderr, random: Random::new(shared, "wasi"), insecure: Random::new(shared, "wasi-insecure") }
    }

    /// Logs what the guest printed and did not end with a line break.
    pub fn finish(&self) {
        self.stdout.finish();
        self.stderr.finish();
    }
}

impl Deterministic {
    fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.shared)))
    }
}

impl WasiView for Deterministic {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.shared)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

/// Reads the time of the turn, in the resolution in which it is recorded.
struct TurnClock(Arc<Shared>);

const RESOLUTION: Duration = Duration::from_micros(1);

impl TurnClock {
    fn nanos(&self) -> u64 {
        self.0.current_time().as_nanos()
    }
}

impl HostWallClock for TurnClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }
}

impl HostMonotonicClock for TurnClock {
    fn resolution(&self) -> u64 {
        RESOLUTION.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.nanos()
    }
}

/// A pollable that becomes ready at a given time. Dropping it does not cancel its timer.
struct Sleep {
    shared: Arc<Shared>,
    wakes: Wakes,
}

#[derive(Clone, Copy)]
enum Wakes {
    /// The moment has passed already.
    Now,
    /// A durable timer.
    With(TaskId),
    /// An operation of an entity may poll whether something else is ready, but not wait.
    Never,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        let wakes = self.wakes;
        std::future::poll_fn(|_| match wakes {
            Wakes::Now => Poll::Ready(()),
            Wakes::With(timer) if self.fired(timer) => Poll::Ready(()),
            Wakes::With(timer) => {
                self.shared.sleeps_on(timer);
                Poll::Pending
            }
            Wakes::Never => Poll::Pending,
        })
        .await;
    }
}

impl Sleep {
    fn fired(&self, timer: TaskId) -> bool {
        self.shared.either(|execution| execution.outcome(timer).is_some(), |_operation| false)
    }
}

fn sleep_until(store: &mut StoreContextMut<'_, Deterministic>, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
    let data = store.data_mut();
    data.shared.spend(POLLABLE_COST)?;
    // Rounded up, so that a sleeper never wakes early.
    let fire_at = Timestamp(i64::try_from(nanos.div_ceil(1_000)).unwrap_or(i64::MAX));
    let wakes = data.shared.either(
        |execution| match fire_at > execution.current_time() {
            true => execution.create_timer(fire_at).map(Wakes::With),
            false => Ok(Wakes::Now),
        },
        |operation| Ok(if fire_at > operation.current_time() { Wakes::Never } else { Wakes::Now }),
    );
    let sleep = data.table.push(Sleep { shared: data.shared.clone(), wakes: wakes? })?;
    subscribe(&mut data.table, sleep)
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Defines every interface of WASI that a deterministic guest is granted.
pub(crate) fn add_to_linker(linker: &mut Linker<Deterministic>) -> wasmtime::Result<()> {
    error::add_to_linker::<_, Io>(linker, |data| &mut data.table)?;
    poll::add_to_linker::<_, Io>(linker, |data| &mut data.table)?;
    streams::add_to_linker::<_, Io>(linker, |data| &mut data.table)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, WasiFilesystemView::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, WasiFilesystemView::filesystem)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    add_random(linker)?;
    linker.allow_shadowing(true);
    add_clocks(linker)?;
    add_sleep(linker)?;
    add_environment(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Clocks that cost fuel of the host: reading one takes the guest itself only a few instructions.
fn add_clocks(linker: &mut Linker<Deterministic>) -> wasmtime::Result<()> {
    linker.instance(MONOTONIC_CLOCK)?.func_wrap("now", |store, ()| {
        let shared = &store.data().shared;
        shared.spend(0)?;
        Ok((shared.current_time().as_nanos(),))
    })?;
    linker.instance(WALL_CLOCK)?.func_wrap("now", |store, ()| {
        let shared = &store.data().shared;
        shared.spend(0)?;
        let now = Duration::from_nanos(shared.current_time().as_nanos());
        Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
    })
}

/// The environment that is recorded, or else the configured one.
fn add_environment(linker: &mut Linker<Deterministic>) -> wasmtime::Result<()> {
    linker.instance(ENVIRONMENT)?.func_wrap("get-environment", |store, ()| {
        let data = store.data();
        let environment = data.shared.environment(&data.policy.environment);
        data.shared.spend(environment.iter().map(|(name, value)| name.len() + value.len()).sum())?;
        Ok((environment,))
    })
}

/// Waiting and sleeping, durably.
fn add_sleep(linker: &mut Linker<Deterministic>) -> wasmtime::Result<()> {
    let mut io = linker.instance(POLL)?;
    io.func_wrap_async("poll", |mut store, (pollables,): (Vec<Resource<DynPollable>>,)| {
        Box::new(async move {
            let shared = store.data().shared.clone();
            shared.spend(pollables.len() * POLLABLE_COST)?;
            note_fuel(&mut store)?;
            let ready = shared.durably(poll::Host::poll(&mut store.data_mut().table, pollables)).await??;
            begin_turn(&mut store)?;
            Ok((ready,))
        })
    })?;
    io.func_wrap_async("[method]pollable.block", |mut store, (pollable,): (Resource<DynPollable>,)| {
        Box::new(async move {
            let shared = store.data().shared.clone();
            shared.spend(POLLABLE_COST)?;
            note_fuel(&mut store)?;
            shared.durably(poll::HostPollable::block(&mut store.data_mut().table, pollable)).await??;
            begin_turn(&mut store)
        })
    })?;
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    clock.func_wrap("subscribe-instant", |mut store, (nanos,): (u64,)| Ok((sleep_until(&mut store, nanos)?,)))?;
    clock.func_wrap("subscribe-duration", |mut store, (nanos,): (u64,)| {
        let now = store.data().shared.current_time().as_nanos();
        Ok((sleep_until(&mut store, now.saturating_add(nanos))?,))
    })
}

fn add_random(linker: &mut Linker<Deterministic>) -> wasmtime::Result<()> {
    let mut random = linker.instance(RANDOM)?;
    random.func_wrap("get-random-bytes", |mut store, (length,): (u64,)| {
        let shared = store.data().shared.clone();
        Ok((store.data_mut().wasi().random.bytes(&shared, length)?,))
    })?;
    random.func_wrap("get-random-u64", |mut store, ()| {
        let shared = store.data().shared.clone();
        Ok((store.data_mut().wasi().random.next_u64(&shared)?,))
    })?;
    let mut insecure = linker.instance(INSECURE)?;
    insecure.func_wrap("get-insecure-random-bytes", |mut store, (length,): (u64,)| {
        let shared = store.data().shared.clone();
        Ok((store.data_mut().wasi().insecure.bytes(&shared, length)?,))
    })?;
    insecure.func_wrap("get-insecure-random-u64", |mut store, ()| {
        let shared = store.data().shared.clone();
        Ok((store.data_mut().wasi().insecure.next_u64(&shared)?,))
    })?;
    linker.instance(INSECURE_SEED)?.func_wrap("insecure-seed", |mut store, ()| {
        let shared = store.data().shared.clone();
        let stream = &mut store.data_mut().wasi().insecure;
        Ok(((stream.next_u64(&shared)?, stream.next_u64(&shared)?),))
    })
}
