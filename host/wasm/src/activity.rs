//! A guest that runs an activity: real WASI as far as the operator grants it, on tokio, with a deadline.

use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::execution::{LogLevel, TaskOutcome, check_payload};
use dacapo_core::{ActivityCall, Failure, FunctionName, InstanceId};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::{self, logging, management, types};
use crate::config::Policy;
use crate::http::Outbound;
use crate::imports::{HasRole, Role};
use crate::limiter::Limiter;
use crate::lines::Lines;
use crate::prepared::Entry;
use crate::slices::FUEL_SLICE;
use crate::trouble::{Circumstances, LastWords};

/// The data of an activity's store.
pub(crate) struct Activity {
    policy: Arc<Policy>,
    source: Arc<Source>,
    table: ResourceTable,
    /// Made when the guest first asks for WASI.
    wasi: Option<Box<Wasi>>,
    http: WasiHttpCtx,
    outbound: Outbound,
    limiter: Limiter,
}

/// Where log lines come from.
struct Source {
    instance: InstanceId,
    function: FunctionName,
    last_words: Mutex<LastWords>,
}

struct Wasi {
    context: WasiCtx,
    stdout: Lines,
    stderr: Lines,
}

/// Runs an activity within its time.
pub(crate) async fn run(engine: Engine, policy: Arc<Policy>, entry: Entry<Activity>, call: ActivityCall) -> TaskOutcome {
    let time = policy.limits.activity_time;
    tokio::time::timeout(time, run_untimed(engine, policy, entry, call)).await.unwrap_or_else(|_| {
        let message = format!("it did not finish within {time:?}, which is what an activity may take");
        Err(Failure::retriable(Failure::TIMEOUT, message))
    })
}

async fn run_untimed(engine: Engine, policy: Arc<Policy>, entry: Entry<Activity>, call: ActivityCall) -> TaskOutcome {
    let mut store = Activity::store(&engine, policy.clone(), &call)
        .map_err(|why| Failure::retriable(Failure::TRAP, format!("the host cannot run it: {why:#}")))?;
    let returned = entry.call::<_, bindings::Returned>(&mut store, (bindings::wit_call(&call),)).await;
    if let Some(wasi) = &store.data().wasi {
        wasi.stdout.finish();
        wasi.stderr.finish();
    }
    let output = match returned {
        Ok((outcome,)) => bindings::outcome_of(outcome)?,
        Err(error) => return Err(store.data().failure(&error)),
    };
    check_payload("the output", &output, &policy.execution, Failure::INVALID_OUTPUT)?;
    Ok(output)
}

impl HasRole for Activity {
    fn role(&self) -> Role {
        Role::Activity
    }
}

impl Activity {
    fn store(engine: &Engine, policy: Arc<Policy>, call: &ActivityCall) -> wasmtime::Result<Store<Self>> {
        let data = Self {
            source: Arc::new(Source {
                instance: call.instance.clone(),
                function: call.name.clone(),
                last_words: Mutex::default(),
            }),
            table: ResourceTable::new(),
            wasi: None,
            http: WasiHttpCtx::new(),
            outbound: Outbound::new(policy.clone()),
            limiter: Limiter::new(policy.limits.activity_memory_bytes, policy.limits.table_elements),
            policy,
        };
        let mut store = Store::new(engine, data);
        store.limiter(|data| &mut data.limiter);
        // Time bounds an activity, not fuel. But a busy loop must let go now and then, so that others run and the
        // deadline can strike.
        store.set_fuel(u64::MAX)?;
        store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
        Ok(store)
    }

    fn failure(&self, error: &wasmtime::Error) -> Failure {
        let last_words = &self.source.last_words();
        let (limits, refused) = (&self.policy.limits, self.limiter.refused());
        Circumstances { limits, refused, last_words, role: Role::Activity }.failure(error)
    }
}

impl Source {
    fn last_words(&self) -> MutexGuard<'_, LastWords> {
        self.last_words.lock().expect("nothing panics while it holds this")
    }

    fn log(&self, level: LogLevel, line: &str) {
        let Self { instance, function, .. } = self;
        match level {
            LogLevel::Trace => tracing::trace!(target: "guest", %instance, %function, "{line}"),
            LogLevel::Debug => tracing::debug!(target: "guest", %instance, %function, "{line}"),
            LogLevel::Info => tracing::info!(target: "guest", %instance, %function, "{line}"),
            LogLevel::Warn => tracing::warn!(target: "guest", %instance, %function, "{line}"),
            LogLevel::Error => tracing::error!(target: "guest", %instance, %function, "{line}"),
        }
    }
}

impl Wasi {
    fn new(source: &Arc<Source>, policy: &Policy) -> Self {
        let out = source.clone();
        let stdout = Lines::new(move |line| out.log(LogLevel::Info, line));
        let err = source.clone();
        let stderr = Lines::new(move |line| {
            err.last_words().printed(line);
            err.log(LogLevel::Warn, line);
        });
        // Sockets are closed by default: whatever leaves the host goes through the allow-list of HTTP.
        let mut builder = WasiCtxBuilder::new();
        builder.envs(&policy.environment).stdout(stdout.clone()).stderr(stderr.clone());
        for grant in &policy.directories {
            if let Err(why) = builder.preopened_dir(&grant.host, &grant.guest, FsPerms::ReadOnly) {
                source.log(LogLevel::Warn, &format!("the granted directory {} cannot be opened: {why:#}", grant.host.display()));
            }
        }
        Self { context: builder.build(), stdout, stderr }
    }
}

impl WasiView for Activity {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.source, &self.policy)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

impl WasiHttpView for Activity {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

/// What activities are granted.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Activity>> {
    let mut linker = Linker::new(engine);
    logging::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    management::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    types::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

impl logging::Host for Activity {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = bindings::level_of(level);
        if level == LogLevel::Error {
            self.source.last_words().logged(&message);
        }
        self.source.log(level, &message);
        Ok(())
    }
}

impl management::Host for Activity {
    fn links(&mut self, instance_id: String) -> wasmtime::Result<String> {
        let Some(links) = &self.policy.management_links else {
            wasmtime::bail!("this host has no management links: nobody reaches it over HTTP");
        };
        match InstanceId::any(&instance_id) {
            Ok(_) => Ok(links.of(&instance_id)),
            Err(why) => wasmtime::bail!("'{instance_id}' is not an instance id: {why}"),
        }
    }
}

impl types::Host for Activity {}
