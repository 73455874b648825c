//! The deterministic WASI 0.2 of orchestrators: what language runtimes need in order to start, made of the execution.
//!
//! - Clocks read the time of the turn, which stands still between waits.
//! - Random numbers come from streams that the execution seeds.
//! - Sleeping creates a durable timer; blocking in `poll` is a durable wait, like `wait` of the contract.
//! - Standard output and error go to the log of the execution, once. Standard input is empty.
//! - The environment is the configured one. There are no directories, so no file can be named.

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::Timestamp;
use dacapo_core::execution::{LogLevel, TaskId};
use dacapo_core::random::RandomStream;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait};

use crate::lines::Lines;
use crate::orchestrator::{Orchestrator, Shared, refuel};

/// The names under which `wasmtime-wasi` defines what is defined anew here.
const POLL: &str = "wasi:io/poll@0.2.12";
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
const RANDOM: &str = "wasi:random/random@0.2.12";
const INSECURE: &str = "wasi:random/insecure@0.2.12";
const INSECURE_SEED: &str = "wasi:random/insecure-seed@0.2.12";

const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// The state of WASI in an orchestrator.
pub(crate) struct Wasi {
    context: WasiCtx,
    stdout: Lines,
    stderr: Lines,
    random: RandomStream,
    insecure: RandomStream,
}

impl Wasi {
    fn new(shared: &Arc<Shared>, environment: &[(String, String)]) -> Self {
        let execution = shared.execution().context().execution;
        let out = shared.clone();
        let stdout = Lines::new(move |line| out.execution().log(LogLevel::Info, line));
        let err = shared.clone();
        let stderr = Lines::new(move |line| {
            err.last_words().printed(line);
            err.execution().log(LogLevel::Warn, line);
        });
        let context = WasiCtxBuilder::new()
            .envs(environment)
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .wall_clock(TurnClock(shared.clone()))
            .monotonic_clock(TurnClock(shared.clone()))
            .build();
        Self {
            context,
            stdout,
            stderr,
            random: RandomStream::new(execution, "wasi"),
            insecure: RandomStream::new(execution, "wasi-insecure"),
        }
    }

    /// Logs what the guest printed and did not end with a line break.
    pub fn finish(&self) {
        self.stdout.finish();
        self.stderr.finish();
    }
}

impl Orchestrator {
    fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.shared, &self.config.environment)))
    }
}

impl WasiView for Orchestrator {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.shared, &self.config.environment)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

/// Reads the time of the turn, in the resolution in which it is recorded.
struct TurnClock(Arc<Shared>);

const RESOLUTION: Duration = Duration::from_micros(1);

impl TurnClock {
    fn nanos(&self) -> u64 {
        self.0.execution().current_time().as_nanos()
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

/// A durable timer as a pollable. Dropping it leaves the timer: that a handle is dropped means nothing.
struct Sleep {
    shared: Arc<Shared>,
    /// None: the moment has passed already.
    timer: Option<TaskId>,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        let Some(timer) = self.timer else { return };
        std::future::poll_fn(|_| {
            if self.shared.execution().outcome(timer).is_some() {
                return std::task::Poll::Ready(());
            }
            self.shared.sleeps_on(timer);
            std::task::Poll::Pending
        })
        .await;
    }
}

fn sleep_until(store: &mut StoreContextMut<'_, Orchestrator>, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
    let data = store.data_mut();
    // Rounded up: who wakes never wakes early.
    let fire_at = Timestamp(i64::try_from(nanos.div_ceil(1_000)).unwrap_or(i64::MAX));
    let timer = {
        let mut execution = data.shared.execution();
        if fire_at > execution.current_time() { Some(execution.create_timer(fire_at)?) } else { None }
    };
    let sleep = data.table.push(Sleep { shared: data.shared.clone(), timer })?;
    subscribe(&mut data.table, sleep)
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Defines every interface of WASI that an orchestrator is granted.
pub(crate) fn add_to_linker(linker: &mut Linker<Orchestrator>) -> wasmtime::Result<()> {
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
    add_sleep(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Waiting and sleeping, durably.
fn add_sleep(linker: &mut Linker<Orchestrator>) -> wasmtime::Result<()> {
    let mut io = linker.instance(POLL)?;
    io.func_wrap_async("poll", |mut store, (pollables,): (Vec<Resource<DynPollable>>,)| {
        Box::new(async move {
            let shared = store.data().shared.clone();
            let ready = shared.durably(poll::Host::poll(&mut store.data_mut().table, pollables)).await??;
            refuel(&mut store)?;
            Ok((ready,))
        })
    })?;
    io.func_wrap_async("[method]pollable.block", |mut store, (pollable,): (Resource<DynPollable>,)| {
        Box::new(async move {
            let shared = store.data().shared.clone();
            shared.durably(poll::HostPollable::block(&mut store.data_mut().table, pollable)).await??;
            refuel(&mut store)
        })
    })?;
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    clock.func_wrap("subscribe-instant", |mut store, (nanos,): (u64,)| Ok((sleep_until(&mut store, nanos)?,)))?;
    clock.func_wrap("subscribe-duration", |mut store, (nanos,): (u64,)| {
        let now = store.data().shared.execution().current_time().as_nanos();
        Ok((sleep_until(&mut store, now.saturating_add(nanos))?,))
    })
}

fn add_random(linker: &mut Linker<Orchestrator>) -> wasmtime::Result<()> {
    let mut random = linker.instance(RANDOM)?;
    random.func_wrap("get-random-bytes", |mut store, (length,): (u64,)| {
        Ok((bytes(&mut store.data_mut().wasi().random, length)?,))
    })?;
    random.func_wrap("get-random-u64", |mut store, ()| Ok((store.data_mut().wasi().random.next_u64(),)))?;
    let mut insecure = linker.instance(INSECURE)?;
    insecure.func_wrap("get-insecure-random-bytes", |mut store, (length,): (u64,)| {
        Ok((bytes(&mut store.data_mut().wasi().insecure, length)?,))
    })?;
    insecure.func_wrap("get-insecure-random-u64", |mut store, ()| Ok((store.data_mut().wasi().insecure.next_u64(),)))?;
    linker.instance(INSECURE_SEED)?.func_wrap("insecure-seed", |mut store, ()| {
        let stream = &mut store.data_mut().wasi().insecure;
        Ok(((stream.next_u64(), stream.next_u64()),))
    })
}

fn bytes(stream: &mut RandomStream, length: u64) -> wasmtime::Result<Vec<u8>> {
    if length > RANDOM_BYTES_MAX {
        wasmtime::bail!("it asked for {length} random bytes, {RANDOM_BYTES_MAX} are allowed at a time");
    }
    let mut bytes = vec![0; length as usize];
    stream.fill(&mut bytes);
    Ok(bytes)
}
