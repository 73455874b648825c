//! The running host.
//!
//! ```text
//!   settings ─▶ listener ─▶ control file ─▶ runtime ─▶ hubs ─▶ announce ─▶ serve ── signal ─▶ finish turns ─▶ close connections
//! ```
//!
//! The address is bound first, so that a host that cannot bind it changes nothing. The first SIGINT or SIGTERM stops the host
//! in good order, the second one at once; neither loses anything that was acknowledged. Event streams, which do not end by
//! themselves, end with the first one.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use dacapo_store::control::{ControlFile, Grants, HubRecord};
use dacapo_store::{StoreError, StoreOptions};
use dacapo_wasm::{Compiler, GuestLimits, ManagementLinks, Policy, Runtime};

use crate::access::{self, Access, FirstKey, KeyPolicy, KeyText, Scope};
use crate::api::{self, ApiOptions, Links};
use crate::config::Settings;
use crate::directory::{self, control_path};
use crate::engine::{Engine, EngineOptions};
use crate::grants;
use crate::hub::{Gone, Hub, HubError, HubOptions, HubRules, Queries, create_file};
use crate::hubs::{Hubs, HubsOptions};
use crate::log;
use crate::secrets::{Secrets, SecretsKey, SecretsKeySource};
use crate::server::{self, ServerOptions, Tls};

/// How long requests in progress may take once the hubs are closed.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(5);

/// How to announce that the host is ready.
#[derive(Debug, Default)]
pub struct Announce {
    /// One line of JSON on standard output instead of one for people.
    pub json: bool,
    /// A file that is written, atomically, when the host is ready.
    pub ready_file: Option<PathBuf>,
}

/// Options of the start that are not part of the settings.
#[derive(Debug)]
pub struct Start {
    pub key_policy: KeyPolicy,
    pub secrets_key: SecretsKeySource,
    pub first_key: FirstKey,
    pub announce: Announce,
    /// Hubs whose files are lost, and that are to start empty.
    pub recover: Vec<String>,
    /// The environment of guests in place of the one in the settings, which may change.
    pub environment: Option<watch::Receiver<BTreeMap<String, String>>>,
}

/// Runs a host until it is told to stop.
pub fn run(settings: Settings, start: &Start) -> anyhow::Result<()> {
    let _log = log::start(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")?;
    let result = runtime.block_on(serve(settings, start));
    // Does not wait for threads that still block (in an activity that was cut off).
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(settings: Settings, start: &Start) -> anyhow::Result<()> {
    let listener = listen(&settings.address, "--address").await?;
    let address = listener.local_addr().context("asking for the address that was taken")?;
    let rpc = match settings.rpc.address.as_str() {
        "" => None,
        address => Some(listen_for_rpc(address).await?),
    };
    let tls = settings.certificate().map(Tls::load).transpose()?.map(Arc::new);
    if start.key_policy == KeyPolicy::NotRequired {
        ensure!(
            address.ip().is_loopback(),
            "--dev requires no keys, so it is for loopback addresses only, and {address} is not one"
        );
        tracing::warn!("--dev: no keys are needed, every program of this machine has full access to this host");
    }
    let data = prepare_directory(&settings.data)?;
    let settings = Settings { data: data.clone(), ..settings };
    let secrets_key = SecretsKey::find(&start.secrets_key, &data)?;
    let mut stopping = stop_signal().context("listening for signals")?;
    expect_control_file(&data)?;
    let control = open_control_file(&data)?;
    recover(&control, &data, &start.recover)?;
    let access = Arc::new(Access::open(control.clone(), start.key_policy)?);
    make_default_hub(&control, &settings.task_hub)?;
    let rpc_hub = settings.rpc_hub();
    if rpc.is_some() && control.hub(rpc_hub)?.is_none() {
        tracing::warn!(
            "rpc.hub (--rpc-hub) names the task hub '{rpc_hub}', which does not exist: requests to that address fail until \
             `dacapo hub create {rpc_hub}` creates it"
        );
    }
    let secrets = Arc::new(Secrets::new(control, secrets_key.as_ref()));
    let queries = Queries::default();
    let hubs = open_hubs(&settings, start.environment.clone(), address, &access, &secrets, &queries)?;
    if let Some(environment) = start.environment.clone() {
        tokio::spawn(follow_environment(environment, hubs.clone()));
    }
    // Opened now to migrate data of an earlier release, and to report a damaged file at the start.
    match hubs.hub(&settings.task_hub).await {
        Err(HubError::Suspended { hub, why }) => tracing::warn!(hub, why, "the task hub is suspended"),
        opened => drop(opened.context("opening the default task hub")?),
    }

    let connections = settings.connection_limits(raise_open_files());
    if connections.total < settings.http.connections {
        let wanted = settings.http.connections;
        tracing::warn!(
            connections.total,
            wanted,
            "fewer connections at once than configured: the limit of open files allows no more"
        );
    }
    let options = ApiOptions {
        hubs: hubs.clone(),
        queries,
        secrets,
        data: data.clone(),
        limits: settings.limits.clone(),
        default_hub: settings.task_hub.clone(),
        address,
        allowed_hosts: settings.allowed_hosts.clone(),
        cors_origins: settings.http.cors_origins.clone(),
        scheme: settings.scheme(),
        public_url: settings.public_url(address),
        use_forwarded_host: settings.http.use_forwarded_host,
        stopping: stopping.clone(),
        payload_bytes: settings.limits.payload_bytes as usize,
        module_bytes: settings.limits.module_bytes as usize,
        bodies_bytes: settings.http.bodies_bytes,
        connections: connections.total,
        access: access.clone(),
    };
    let secure = tls.is_some();
    let api = api::router(options);
    let rpc_address = rpc.as_ref().map(TcpListener::local_addr).transpose().context("asking for the address that was taken")?;
    let rpc = rpc.map(|listener| {
        let api = api::rpc_router(&api, settings.rpc_hub(), settings.rpc.role);
        let server = ServerOptions { api, tls: None, connections, times: settings.time_limits() };
        tokio::spawn(server::serve(listener, server, stopping.clone()))
    });
    let server = ServerOptions { api, tls, connections, times: settings.time_limits() };
    let mut server = tokio::spawn(server::serve(listener, server, stopping.clone()));

    if !address.ip().is_loopback() && !secure {
        tracing::warn!(%address, "the address is not a loopback address, and without TLS keys travel over it in clear");
    }
    let first_key = access.first_key(&start.first_key).context("making the first key")?;
    start.announce.ready(&Ready {
        address,
        url: format!("{}://{address}", settings.scheme()),
        rpc_address,
        task_hub: &settings.task_hub,
        data: &data,
        administrator_key: first_key.as_ref().map(KeyText::as_str),
    })?;

    tokio::select! {
        // In this order: the server ends too once the host is to stop.
        biased;
        () = stopped(&mut stopping) => {}
        ended = &mut server => return Err(anyhow!("the HTTP server has ended: {ended:?}")),
        vanished = hubs.vanished() => return Err(anyhow!(
            "{} was removed or replaced while it was in use: further writes would be lost, so the host ends. Put it back, or \
             restore a backup, before the next start",
            vanished.display()
        )),
    }
    tracing::info!("stopping: running turns are finished and committed");
    hubs.shutdown(settings.shutdown_grace()).await;
    let servers = futures::future::join_all([server].into_iter().chain(rpc));
    if tokio::time::timeout(CONNECTIONS_GRACE, servers).await.is_err() {
        tracing::warn!("some connections did not end in time and are closed");
    }
    // The last requests are counted as well.
    hubs.save_usage().await;
    tracing::info!("stopped");
    Ok(())
}

/// This program, as the compiler of deployed modules.
fn own_compiler() -> anyhow::Result<Compiler> {
    // On Linux by a path that stays valid when the file is replaced by a newer release.
    let program = match Path::new("/proc/self/exe") {
        own if own.exists() => own.to_owned(),
        _ => std::env::current_exe().context("finding this program's own file, which compiles modules")?,
    };
    Ok(Compiler::Child { program })
}

/// Starts what all hubs of the host share. Must be called within a tokio runtime.
fn engine(settings: &Settings, control: Arc<ControlFile>, compiler: Compiler) -> anyhow::Result<Engine> {
    // Three quarters are for client connections; the rest is for task hubs, and for connections of activities.
    let files = u32::try_from(raise_open_files()).unwrap_or(u32::MAX) / 16;
    let own = settings.runtime();
    let (requests, versions) = (own.requests.min(files), own.versions.min(files as usize));
    let most = GuestLimits { stack_bytes: stack_bytes(settings, &control)?, ..own.most.clone() };
    let runtime = Runtime::new(dacapo_wasm::Config { compiler, requests, versions, most, ..own });
    let runtime = runtime.context("preparing to run WebAssembly")?;
    let capacity = settings.capacity();
    if (capacity.hot_instances as u64) < u64::from(settings.engine.hot_instances) {
        let (hot_instances, wanted) = (capacity.hot_instances, settings.engine.hot_instances);
        tracing::warn!(
            hot_instances,
            wanted,
            "fewer orchestrations stay in memory than configured: vm.max_map_count allows no more"
        );
    }
    Engine::new(EngineOptions {
        directory: settings.data.clone(),
        runtime,
        control,
        threads: settings.turn_threads(),
        capacity,
        store: StoreOptions::default(),
    })
}

/// The stack size of guests. It is the same for all, and never less than it was before: the replay of an instance may need as
/// much as its earlier turns did.
fn stack_bytes(settings: &Settings, control: &ControlFile) -> anyhow::Result<usize> {
    let wanted = settings.engine.stack_bytes;
    // Releases that did not record it mostly used the default.
    let modules = settings.data.join("modules");
    let has_run = || std::fs::read_dir(&modules).is_ok_and(|mut deployed| deployed.next().is_some());
    let before = || if has_run() { GuestLimits::default().stack_bytes as u64 } else { 0 };
    let highest = control.highest("stack_bytes", wanted as u64, before).context("noting the stack of guests")?;
    let stack_bytes = usize::try_from(highest).unwrap_or(wanted);
    if stack_bytes > wanted {
        tracing::warn!(
            stack_bytes,
            wanted,
            "guests have more stack than engine.stack_bytes, because guests of this data directory had it before"
        );
    }
    Ok(stack_bytes)
}

/// Opens the control file of a data directory. Only one host can have it open.
pub fn open_control_file(data: &Path) -> anyhow::Result<Arc<ControlFile>> {
    let path = control_path(data);
    let opened = ControlFile::open(&path);
    let advice = match &opened {
        Err(StoreError::Corrupt(_) | StoreError::Backend(_) | StoreError::Missing { .. }) => {
            ": restore it from a backup of the data directory, with the host stopped; without it the keys, limits and grants of \
             the task hubs are lost"
        }
        _ => "",
    };
    Ok(Arc::new(opened.with_context(|| format!("opening the control file {}{advice}", path.display()))?))
}

/// Creates the default hub, for requests that name none, if it does not exist.
fn make_default_hub(control: &ControlFile, name: &str) -> anyhow::Result<()> {
    if control.hub(name)?.is_some() {
        return Ok(());
    }
    let record = HubRecord { name: name.into(), created_at: access::now(), ..HubRecord::default() };
    let entry = access::entry_of_host(Scope::Hub(name.into()), "hub.create");
    control.create_hub(&record, &entry).context("making the default task hub")
}

/// Opens the hubs of the host. Must be called within a tokio runtime.
fn open_hubs(
    settings: &Settings,
    environment: Option<watch::Receiver<BTreeMap<String, String>>>,
    address: SocketAddr,
    access: &Arc<Access>,
    secrets: &Arc<Secrets>,
    queries: &Queries,
) -> anyhow::Result<Hubs> {
    let (own, keys, secrets) = (settings.clone(), access.clone(), secrets.clone());
    let rules = move |record: &HubRecord| {
        let links = Links::public(&own.public_url(address), &record.name).with_tokens(keys.links_for_code(&record.name)?);
        let links = ManagementLinks::new(move |id| links.management(id));
        let limits = own.limits.with_stored(&record.limits)?;
        let mut base = Policy { management_links: Some(links), ..own.policy(&limits)? };
        if let Some(environment) = &environment {
            base.environment = environment.borrow().clone().into_iter().collect();
        }
        let open = |name: &str| {
            let opened = secrets.open(&record.name, name);
            opened.inspect_err(|error| tracing::warn!(hub = record.name, %error, "a granted secret is not available")).ok()
        };
        let policy = grants::apply(&base, &record.grants, open)?;
        let of_app = |(app, granted): (&String, &Grants)| Ok((app.clone(), grants::apply(&base, granted, open)?));
        let of_apps = record.app_grants.iter().map(of_app).collect::<anyhow::Result<_>>()?;
        Ok(HubRules { limits, policy, of_apps })
    };
    let hubs = Hubs::open(HubsOptions {
        control: access.control().clone(),
        engine: engine(settings, access.control().clone(), own_compiler()?)?,
        rules: Box::new(rules),
        retention: settings.retention(),
        webhook: settings.webhook()?,
        versions: settings.versions,
        queries: queries.clone(),
        open: settings.hubs.open as usize,
        idle: Duration::from_secs(settings.hubs.idle_seconds),
    });
    hubs.context("opening the task hubs")
}

/// Applies the environment of guests whenever it changes.
async fn follow_environment(mut environment: watch::Receiver<BTreeMap<String, String>>, hubs: Hubs) {
    while environment.changed().await.is_ok() {
        hubs.refresh_all().await;
    }
}

/// Opens only the hub that the settings name, without serving HTTP, and starts its work. Its activities have no management links.
/// Must be called within a tokio runtime. The hub cannot be opened again until `Gone` has resolved.
pub fn open_hub(settings: &Settings) -> anyhow::Result<(Hub, Gone)> {
    let (limits, policy) = (settings.limits.clone(), settings.policy(&settings.limits)?);
    let rules = HubRules { limits, policy, of_apps: BTreeMap::new() };
    let (name, retention, webhook) = (settings.task_hub.clone(), settings.retention(), settings.webhook()?);
    let versions = settings.versions;
    let control = open_control_file(&prepare_directory(&settings.data)?)?;
    let engine = engine(settings, control, Compiler::default())?;
    create_file(&engine, &name)?;
    Hub::open(
        &engine,
        HubOptions {
            name,
            rules,
            retention,
            webhook,
            versions,
            queries: Queries::default(),
            meters: Arc::default(),
            first: true,
        },
    )
}

/// Raises the limit of open files as far as the process may, and returns it. Each connection is one.
fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If that is not permitted, the limit stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Binds an address. `option` is the flag that sets another one, for the error.
async fn listen(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "the address {address} is in use: is another `dacapo serve` running? {option} sets another one (port 0: any that is free)"
        ),
        _ => anyhow!("cannot listen on the address {address}: {error}"),
    })
}

/// Binds the address for programs without a key, which only local programs can reach.
async fn listen_for_rpc(address: &str) -> anyhow::Result<TcpListener> {
    let listener = listen(address, "--rpc-address").await.context("rpc.address")?;
    let taken = listener.local_addr().context("asking for the address that was taken")?;
    ensure!(
        taken.ip().is_loopback(),
        "rpc.address requires no keys, so it must be a loopback address, such as 127.0.0.1:17071, and {taken} is not one"
    );
    Ok(listener)
}

/// The directory of compiled code, in the data directory.
const CACHE: &str = "cache";

/// Creates the data directory if it is missing, and ensures that only this user can write there. Returns its full path.
fn prepare_directory(directory: &Path) -> anyhow::Result<PathBuf> {
    let unusable = || format!("the data directory {} cannot be used; --data names another one", directory.display());
    directory::make(directory).with_context(unusable)?;
    // A user who owns it, or may write there, could replace any file in it.
    directory::belong_to_this_user(directory)?;
    directory::keep_others_from_writing(directory)?;
    let probe = directory.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).with_context(unusable)?;
    // Inputs and outputs are private, and the key in the control file signs links. The directory itself may hold files that are
    // not the host's.
    for own in ["hubs", "modules", CACHE] {
        let path = directory.join(own);
        directory::make(&path).with_context(unusable)?;
        directory::belong_to_this_user(&path)?;
        if directory::close_to_others(&path)? && own == CACHE {
            // It holds native code, which is run unchecked: it is compiled again.
            directory::empty(&path).with_context(|| format!("emptying {}, in which others could write", path.display()))?;
        }
    }
    let control = control_path(directory);
    if control.exists() {
        directory::belong_to_this_user(&control)?;
    }
    directory::close_to_others(&control)?;
    directory.canonicalize().with_context(unusable)
}

/// Fails if there are hubs but no control file: a new one would silently lose their keys, limits and grants.
fn expect_control_file(data: &Path) -> anyhow::Result<()> {
    let path = control_path(data);
    if path.exists() {
        return Ok(());
    }
    let hubs = std::fs::read_dir(data.join("hubs")).into_iter().flatten().flatten().map(|entry| entry.path());
    match hubs.filter(|file| file.extension().is_some_and(|extension| extension == "redb")).min() {
        None => Ok(()),
        Some(hub) => Err(anyhow!(
            "the control file {} is missing, but there are task hubs, such as {}: restore it from a backup of the data directory. \
             Without it their keys, limits and grants are lost; to accept that, move the directory {} elsewhere, start the host, \
             create the hubs again (`dacapo hub create`), stop the host, and put the files of the hubs back",
            path.display(),
            hub.display(),
            data.join("hubs").display()
        )),
    }
}

/// Lets hubs whose files are lost start empty.
fn recover(control: &ControlFile, data: &Path, hubs: &[String]) -> anyhow::Result<()> {
    for name in hubs {
        let record = control.hub(name)?.with_context(|| format!("--recover {name}: there is no task hub of this name"))?;
        let file = data.join("hubs").join(format!("{}.redb", record.name));
        match std::fs::metadata(&file) {
            Ok(found) => {
                ensure!(found.len() == 0, "--recover {name}: its file {} is there, and is left alone", file.display());
                std::fs::remove_file(&file).with_context(|| format!("removing the empty file {}", file.display()))?;
            }
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(why).with_context(|| format!("looking for {}", file.display())),
        }
        control.forget_wake(name)?;
        tracing::warn!(
            hub = name,
            "the file of the task hub is lost: the hub starts empty, with the keys and limits that it had"
        );
    }
    Ok(())
}

/// Returns a value that turns true at the first SIGINT or SIGTERM. The second one ends the process.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        let mut signals = async || tokio::select! { _ = interrupt.recv() => 2, _ = terminate.recv() => 15 };
        signals().await;
        stop.send_replace(true);
        let signal = signals().await;
        log::flush();
        std::process::exit(128 + signal);
    });
    Ok(stopping)
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the signal task is gone: then only the end of the process can stop the host.
    if stopping.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    address: SocketAddr,
    url: String,
    /// The address for programs without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc_address: Option<SocketAddr>,
    task_hub: &'a str,
    data: &'a Path,
    /// The administrator's key, if it was just created. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    administrator_key: Option<&'a str>,
}

impl Ready<'_> {
    fn for_people(&self) -> String {
        let key = self.administrator_key.map_or_else(String::new, |key| {
            format!(
                "\nadministrator's key, shown only now: {key}\n  set DACAPO_KEY to it for other commands; `dacapo key create` \
                 creates weaker ones"
            )
        });
        let rpc = self.rpc_address.map_or_else(String::new, |address| format!(" (without keys: http://{address}/durabletask/)"));
        format!("listening on {}{rpc}, task hub {}, data {}{key}", self.url, self.task_hub, self.data.display())
    }
}

/// Writes a file that may hold a key.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

impl Announce {
    fn ready(&self, ready: &Ready) -> anyhow::Result<()> {
        let json = serde_json::to_string(ready).context("the path of the data directory is not UTF-8")?;
        let line = match self.json {
            true => json.clone(),
            false => ready.for_people(),
        };
        // Standard output need not be read.
        let _ = writeln!(std::io::stdout(), "{line}");
        if let Some(path) = &self.ready_file {
            let unfinished = path.with_extension("unfinished");
            let written = write_private(&unfinished, &(json + "\n")).and_then(|()| std::fs::rename(&unfinished, path));
            written.with_context(|| format!("writing the ready file {}", path.display()))?;
        }
        Ok(())
    }
}
