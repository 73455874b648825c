//! A guest that runs an activity or a trigger: real WASI as far as the operator grants it, on tokio, with a deadline.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::execution::{LogLevel, TaskOutcome, arguments, check_payload};
use dacapo_core::guest::{ClientGrant, SharedClient, Start};
use dacapo_core::scripted::NoHub;
use dacapo_core::{ActivityCall, Failure, FunctionName, TriggerCall};
use wasmtime::component::{HasSelf, Linker, ResourceTable, TypedFunc};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::account::{Account, ActivityContext};
use crate::config::Policy;
use crate::deployment::imports::{HasRole, Role};
use crate::engine::limiter::Limiter;
use crate::engine::slices::{CHECK_FUEL, in_slices};
use crate::guest::bindings::{self, client, logging, management, types};
use crate::guest::deterministic::bytes_at_once;
use crate::guest::lines::Lines;
use crate::guest::prepared::Entry;
use crate::guest::trap::{NoRoom, PanicOutput, TrapContext};
use crate::outbound::http::Outbound;
use crate::outbound::http_activity;

/// Open files, requests, bodies, pollables and the like of one call: they take memory and files of the host.
const RESOURCES_MAX: usize = 1_000;

/// Bytes of one set of HTTP headers, in memory.
const HEADERS_BYTES_MAX: usize = 64 << 10;

/// Bytes of log lines after which a guest yields.
const HANDLED_BYTES_MAX: usize = 64 << 10;

/// Random bytes at a time.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// The data of the store of a guest that runs an activity or a trigger.
pub(crate) struct Activity {
    role: Role,
    terms: ActivityContext,
    pub(super) client: SharedClient,
    source: Arc<Source>,
    table: ResourceTable,
    /// Made when the guest first asks for WASI.
    wasi: Option<Box<Wasi>>,
    http: WasiHttpCtx,
    outbound: Outbound,
    limiter: Limiter,
    /// Bytes that were logged since it last yielded for that.
    handled: usize,
}

/// Where log lines come from.
struct Source {
    account: Arc<Account>,
    call: Mutex<Call>,
}

/// A call of a function, and what it is run with.
pub(crate) struct Run<C> {
    pub call: C,
    pub terms: ActivityContext,
    pub client: SharedClient,
}

/// A call of a function with real WASI.
pub(crate) trait Invocation {
    const ROLE: Role;

    fn function(&self) -> &FunctionName;

    /// What identifies the call in the log: the calling instance, or the id of the invocation.
    fn caller(&self) -> String;
}

impl Invocation for ActivityCall {
    const ROLE: Role = Role::Activity;

    fn function(&self) -> &FunctionName {
        &self.name
    }

    fn caller(&self) -> String {
        self.instance.to_string()
    }
}

impl Invocation for TriggerCall {
    const ROLE: Role = Role::Trigger;

    fn function(&self) -> &FunctionName {
        &self.name
    }

    fn caller(&self) -> String {
        self.invocation.to_string()
    }
}

/// The current call of an instance.
struct Call {
    caller: String,
    function: FunctionName,
    panic_output: PanicOutput,
    log: LogBudget,
}

impl Call {
    fn new(call: &impl Invocation, policy: &Policy) -> Self {
        Self {
            caller: call.caller(),
            function: call.function().clone(),
            panic_output: PanicOutput::default(),
            log: LogBudget::new(policy.limits.activity_log_bytes),
        }
    }
}

/// The bytes that a call may still log.
#[derive(Debug)]
struct LogBudget {
    allowed: usize,
    /// None: the limit was reached, and a line has said so.
    left: Option<usize>,
}

impl LogBudget {
    fn new(allowed: usize) -> Self {
        Self { allowed, left: Some(allowed) }
    }

    /// Returns the line to log: this one, once a warning in its place, or none.
    fn spend<'a>(&mut self, level: LogLevel, line: &'a str) -> Option<(LogLevel, Cow<'a, str>)> {
        self.left = self.left?.checked_sub(line.len());
        match self.left {
            Some(_) => Some((level, line.into())),
            None => {
                let allowed = self.allowed;
                let why = format!(
                    "further log lines are dropped: the call has reached the limit log_bytes_per_activity of {allowed} bytes"
                );
                Some((LogLevel::Warn, why.into()))
            }
        }
    }
}

struct Wasi {
    context: WasiCtx,
    stdout: Lines,
    stderr: Lines,
}

type RunActivity = TypedFunc<(types::ActivityCall,), bindings::Returned>;

/// An instance of a component that runs activities, one after the other.
///
/// A call finds the state that earlier calls left behind: globals and memory, and with them whatever the language keeps there
/// (imported modules, caches, the state of random generators), open files and requests. Limits are per call: time, fuel, bytes
/// of log, concurrent requests.
pub(crate) struct ActivityInstance {
    store: Store<Activity>,
    /// None before the first call. Making it counts towards that call's time.
    made: Option<Made>,
}

#[derive(Clone, Copy)]
struct Made {
    run: RunActivity,
    /// Bytes of memory when it was new.
    memory: usize,
}

impl ActivityInstance {
    pub fn new(engine: &Engine, run: &Run<ActivityCall>) -> wasmtime::Result<Self> {
        Ok(Self { store: Activity::store(engine, run)?, made: None })
    }

    /// Runs an activity within its time. Gives the instance back if it may run another one.
    pub async fn run(self, run: &Run<ActivityCall>, entry: &Entry<Activity>) -> Result<(TaskOutcome, Option<Self>), NoRoom> {
        let time = run.terms.policy.limits.activity_time;
        tokio::time::timeout(time, in_slices(self.run_untimed(run, entry))).await.unwrap_or_else(|_| {
            let message = format!("it did not finish within {time:?}, which is what an activity may take (activity_seconds, or functionTimeout of its app)");
            Ok((Err(Failure::retriable(Failure::TIMEOUT, message)), None))
        })
    }

    async fn run_untimed(
        mut self,
        run: &Run<ActivityCall>,
        entry: &Entry<Activity>,
    ) -> Result<(TaskOutcome, Option<Self>), NoRoom> {
        let returned = self.call(run, entry).await;
        let data = self.store.data();
        let has_returned = returned.is_ok();
        let outcome = data.outcome(returned)?.and_then(|output| {
            check_payload("the output", &output, &run.terms.policy.execution, Failure::INVALID_OUTPUT)?;
            Ok(output)
        });
        let outcome = outcome.map_err(|failure| data.outbound.explain(failure));
        Ok((outcome, (has_returned && self.can_go_on()).then_some(self)))
    }

    async fn call(&mut self, run: &Run<ActivityCall>, entry: &Entry<Activity>) -> wasmtime::Result<bindings::Returned> {
        let made = match self.made {
            Some(made) => {
                self.store.data_mut().begin_another(run)?;
                made
            }
            None => {
                let run = entry.open(&mut self.store).await?;
                *self.made.insert(Made { run, memory: self.store.data().limiter.used() })
            }
        };
        made.run.call_async(&mut self.store, (bindings::wit_call(&run.call),)).await
    }

    /// Whether the instance can run another call: a call must not fail because of what earlier ones have left behind.
    fn can_go_on(&mut self) -> bool {
        let Some(Made { memory, .. }) = self.made else { return false };
        let data = self.store.data_mut();
        // An idle instance must not keep its task hub alive.
        data.client = Arc::new(NoHub);
        let may_grow = data.terms.policy.limits.activity_memory_bytes.saturating_sub(memory);
        data.limiter.used() - memory <= may_grow / 2 && data.table.iter_mut().count() <= RESOURCES_MAX / 2
    }
}

/// Runs a trigger in a fresh instance, within its time.
pub(crate) async fn run_trigger(engine: &Engine, run: &Run<TriggerCall>, entry: &Entry<Activity>) -> Result<TaskOutcome, NoRoom> {
    let time = run.terms.policy.limits.trigger_time;
    let running = async {
        let mut store = match Activity::store(engine, run) {
            Ok(store) => store,
            Err(error) => return Ok(Err(Failure::retriable(Failure::UNAVAILABLE, format!("the host cannot run it: {error:#}")))),
        };
        let call = (bindings::wit_trigger_call(&run.call),);
        let returned = entry.call::<(types::TriggerCall,), bindings::Returned>(&mut store, call).await;
        let data = store.data();
        Ok(data.outcome(returned)?.map_err(|failure| data.outbound.explain(failure)))
    };
    tokio::time::timeout(time, in_slices(running)).await.unwrap_or_else(|_| {
        let message = format!(
            "it did not finish within {time:?}, which is what a trigger may take (trigger_seconds, or functionTimeout of its app)"
        );
        Ok(Err(Failure::retriable(Failure::TIMEOUT, message)))
    })
}

impl HasRole for Activity {
    fn role(&self) -> Role {
        self.role
    }
}

impl Activity {
    fn store<C: Invocation>(engine: &Engine, run: &Run<C>) -> wasmtime::Result<Store<Self>> {
        let Run { call, terms, client } = run;
        let policy = &terms.policy;
        let (mut table, mut http) = (ResourceTable::new(), WasiHttpCtx::new());
        table.set_max_capacity(RESOURCES_MAX);
        http.set_field_size_limit(HEADERS_BYTES_MAX);
        let at_once = bytes_at_once(policy.execution.payload_bytes);
        let mut limiter = Limiter::new(policy.limits.activity_memory_bytes, policy.limits.table_elements);
        limiter.count_in(client.memory());
        let data = Self {
            role: C::ROLE,
            source: Arc::new(Source { account: terms.account.clone(), call: Mutex::new(Call::new(call, policy)) }),
            table,
            wasi: None,
            http,
            handled: 0,
            outbound: Outbound::new(terms.clone()),
            limiter,
            terms: terms.clone(),
            client: client.clone(),
        };
        let mut store = Store::new(engine, data);
        store.limiter(|data| &mut data.limiter);
        store.set_max_component_handles(RESOURCES_MAX);
        store.set_hostcall_fuel(at_once);
        store.fuel_async_yield_interval(Some(CHECK_FUEL))?;
        // Time bounds a call, not fuel. But a busy loop must yield now and then, so that others run and the deadline is noticed.
        store.set_fuel(u64::MAX)?;
        Ok(store)
    }

    /// What a call that has ended returned, or why it did not.
    fn outcome(&self, returned: wasmtime::Result<bindings::Returned>) -> Result<TaskOutcome, NoRoom> {
        if let Some(wasi) = &self.wasi {
            wasi.stdout.finish();
            wasi.stderr.finish();
        }
        match returned {
            Ok((outcome,)) => Ok(bindings::outcome_of(outcome)),
            Err(error) => match NoRoom::of(&error) {
                Some(no_room) => Err(no_room),
                None => Ok(Err(self.failure(&error))),
            },
        }
    }

    /// Resets the state that belongs to one call.
    fn begin_another(&mut self, run: &Run<ActivityCall>) -> wasmtime::Result<()> {
        let Run { call, terms, client } = run;
        *self.source.call() = Call::new(call, &terms.policy);
        self.outbound = Outbound::new(terms.clone());
        self.terms = terms.clone();
        self.client = client.clone();
        self.limiter.forget_refusal();
        self.handled = 0;
        // Its memory counts towards this call's reservation, also while the instance is idle afterwards.
        wasmtime::ensure!(self.limiter.count_in(run.client.memory()), "the host has no room in memory for it at present");
        Ok(())
    }

    fn failure(&self, error: &wasmtime::Error) -> Failure {
        let panic_output = &self.source.call().panic_output;
        let (limits, refused) = (&self.terms.policy.limits, self.limiter.refused());
        TrapContext { limits, refused, panic_output, role: self.role }.failure(error)
    }
}

impl Source {
    fn call(&self) -> MutexGuard<'_, Call> {
        self.call.lock().expect("nothing panics while it holds this")
    }

    fn log(&self, level: LogLevel, line: &str) {
        let mut call = self.call();
        let Call { caller: instance, function, log, .. } = &mut *call;
        let Some((level, line)) = log.spend(level, line) else { return };
        let hub = &self.account.hub;
        match level {
            LogLevel::Trace => tracing::trace!(target: "guest", hub, %instance, %function, "{line}"),
            LogLevel::Debug => tracing::debug!(target: "guest", hub, %instance, %function, "{line}"),
            LogLevel::Info => tracing::info!(target: "guest", hub, %instance, %function, "{line}"),
            LogLevel::Warn => tracing::warn!(target: "guest", hub, %instance, %function, "{line}"),
            LogLevel::Error => tracing::error!(target: "guest", hub, %instance, %function, "{line}"),
        }
    }
}

impl Wasi {
    fn new(source: &Arc<Source>, policy: &Policy) -> Self {
        let out = source.clone();
        let stdout = Lines::new(move |line| {
            out.log(LogLevel::Info, line);
            Ok(())
        });
        let err = source.clone();
        let stderr = Lines::new(move |line| {
            err.call().panic_output.printed(line);
            err.log(LogLevel::Warn, line);
            Ok(())
        });
        // Sockets are denied by default: everything that leaves the host passes the allow-list of HTTP.
        let mut builder = WasiCtxBuilder::new();
        builder.envs(&policy.environment).stdout(stdout.clone()).stderr(stderr.clone());
        builder.max_random_size(RANDOM_BYTES_MAX);
        for secret in &policy.secrets {
            if let Some(variable) = &secret.environment {
                builder.env(variable, &secret.value);
            }
        }
        for grant in &policy.directories {
            let permitted = if grant.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            if let Err(why) = builder.preopened_dir(&grant.host, &grant.guest, permitted) {
                source.log(LogLevel::Warn, &format!("the granted directory {} cannot be opened: {why:#}", grant.host.display()));
            }
        }
        Self { context: builder.build(), stdout, stderr }
    }
}

impl WasiView for Activity {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.source, &self.terms.policy)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

impl WasiHttpView for Activity {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

/// The interfaces that activities and triggers are granted.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Activity>> {
    let mut linker = Linker::new(engine);
    logging::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    management::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    client::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    types::add_to_linker::<_, HasSelf<Activity>>(&mut linker, |data| data)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // The generated binding cannot yield: a guest that only logs would keep the thread for long.
    linker.allow_shadowing(true);
    linker.instance(bindings::LOGGING)?.func_wrap_async("log", |mut store, (level, message): (logging::Level, String)| {
        Box::new(async move {
            let data = store.data_mut();
            data.handled += message.len();
            let pause = data.handled > HANDLED_BYTES_MAX;
            logging::Host::log(data, level, message)?;
            if pause {
                data.handled = 0;
                tokio::task::yield_now().await;
            }
            Ok(())
        })
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

impl logging::Host for Activity {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = bindings::level_of(level);
        if level == LogLevel::Error {
            self.source.call().panic_output.logged(&message);
        }
        self.source.log(level, &message);
        Ok(())
    }
}

impl management::Host for Activity {
    fn links(&mut self, instance_id: String) -> wasmtime::Result<String> {
        self.require(ClientGrant::Operate, "links").map_err(|refusal| wasmtime::Error::msg(refusal.message))?;
        let Some(links) = self.links_of(&instance_id) else {
            wasmtime::bail!("this host has no management links: it does not serve HTTP");
        };
        Ok(links.unwrap_or_else(|_| "null".to_owned()))
    }

    async fn start_orchestration(
        &mut self,
        name: String,
        input: String,
        instance_id: Option<String>,
        version: Option<String>,
    ) -> wasmtime::Result<Result<String, types::Failure>> {
        let start = Start::parse(&name, input.into(), instance_id.as_deref(), version.as_deref());
        Ok(self.start(start).await)
    }

    async fn send_http(&mut self, request: String) -> wasmtime::Result<Result<String, types::Failure>> {
        let _permit = self.terms.requests.begin().await;
        let answered = http_activity::run(&self.terms, &request).await;
        Ok(answered.map(|response| response.to_string()).map_err(bindings::wit_failure))
    }
}

impl Activity {
    /// Fails unless the app's code may do this with the durable client.
    pub(super) fn require(&self, needs: ClientGrant, call: &str) -> Result<(), Failure> {
        self.terms.policy.client.require(needs, call)
    }

    pub(super) async fn start(&mut self, start: Result<Start, Failure>) -> Result<String, types::Failure> {
        let granted = self.require(ClientGrant::Operate, "start-orchestration").and(start);
        let started = match granted.map(|start| self.client.start_orchestration(start)) {
            Ok(starting) => starting.await,
            Err(refusal) => Err(refusal),
        };
        started.map(|id| id.to_string()).map_err(bindings::wit_failure)
    }

    /// None: the host has no links. The error: the text is not the id of an instance.
    pub(super) fn links_of(&self, instance_id: &str) -> Option<Result<String, Failure>> {
        let links = self.terms.policy.management_links.as_ref()?;
        Some(arguments::instance(instance_id).map(|id| links.of(&id)))
    }
}

impl types::Host for Activity {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_above_the_limit_is_dropped_with_one_word() {
        let mut budget = LogBudget::new(10);
        let mut spend = |line: &str| budget.spend(LogLevel::Info, line).map(|(level, line)| (level, line.into_owned()));
        assert_eq!(spend("12345"), Some((LogLevel::Info, "12345".into())));
        assert_eq!(spend("67890"), Some((LogLevel::Info, "67890".into())));
        let (level, why) = spend("x").unwrap();
        assert_eq!(level, LogLevel::Warn);
        assert!(why.contains("log_bytes_per_activity of 10 bytes"), "{why}");
        assert_eq!(spend("y"), None);
        assert_eq!(spend(""), None);
    }
}
