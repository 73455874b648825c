//! The running host.
//!
//! ```text
//!   settings ─▶ listener ─▶ control file ─▶ runtime ─▶ hubs ─▶ announce ─▶ serve ── signal ─▶ finish turns ─▶ close connections
//! ```
//!
//! The address is taken first, so that a host that cannot have it touches nothing. A first SIGINT or SIGTERM stops the
//! host in good order, a second one at once; neither loses anything that was acknowledged. Event streams, which have no
//! end of their own, end with the first one.

use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use dacapo_store::StoreOptions;
use dacapo_store::control::{ControlFile, Grants, HubRecord};
use dacapo_wasm::{Compiler, ManagementLinks, Policy, Runtime};

use crate::access::{self, Access, Door, KeyText, Scope};
use crate::api::{self, ApiOptions, Links};
use crate::config::{LogFormat, LogSettings, Settings};
use crate::grants;
use crate::hub::{Hub, HubError, HubOptions, HubRules, Shared, SharedOptions};
use crate::hubs::{Hubs, HubsOptions};
use crate::secrets::{Secrets, SecretsKey, SecretsKeySource};
use crate::server::{self, ServerOptions, Tls};

/// How long requests that are being answered may take once the hub is closed.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(5);

/// Where to say that the host is ready.
#[derive(Debug, Default)]
pub struct Announce {
    /// One line of JSON on standard output instead of one for people.
    pub json: bool,
    /// A file that is written, whole, when the host is ready.
    pub ready_file: Option<PathBuf>,
}

/// What the operator says at the start and not in a file.
#[derive(Debug)]
pub struct Start {
    pub door: Door,
    pub secrets_key: SecretsKeySource,
    pub announce: Announce,
}

/// Runs a host until it is told to stop.
pub fn run(settings: Settings, start: &Start) -> anyhow::Result<()> {
    start_logging(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")?;
    let result = runtime.block_on(serve(settings, start));
    // What still blocks a thread now (an activity that was cut off) is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(settings: Settings, start: &Start) -> anyhow::Result<()> {
    let listener = listen(&settings.address).await?;
    let address = listener.local_addr().context("asking for the address that was taken")?;
    let tls = settings.certificate().map(Tls::load).transpose()?.map(Arc::new);
    if start.door == Door::Open {
        ensure!(
            address.ip().is_loopback(),
            "--dev asks nobody for a key, so it is for loopback addresses only, and {address} is none"
        );
        tracing::warn!("--dev: no keys are needed, every program of this machine has full access to this host");
    }
    let data = prepare_directory(&settings.data)?;
    let settings = Settings { data: data.clone(), ..settings };
    let secrets_key = SecretsKey::find(&start.secrets_key, &data)?;
    let mut stopping = stop_signal().context("listening for signals")?;
    let control = open_control_file(&data)?;
    let access = Arc::new(Access::open(control.clone(), start.door)?);
    make_default_hub(&control, &settings.task_hub)?;
    let secrets = Arc::new(Secrets::new(control, secrets_key.as_ref()));
    let hubs = open_hubs(&settings, address, &access, &secrets)?;
    // What an earlier release left is taken up, and what is wrong with the file is said now.
    match hubs.hub(&settings.task_hub).await {
        Err(HubError::Suspended { hub, why }) => tracing::warn!(hub, why, "the task hub is suspended"),
        opened => drop(opened.context("opening the default task hub")?),
    }

    let options = ApiOptions {
        hubs: hubs.clone(),
        secrets,
        data: data.clone(),
        limits: settings.limits.clone(),
        default_hub: settings.task_hub.clone(),
        address,
        allowed_hosts: settings.allowed_hosts.clone(),
        scheme: settings.scheme(),
        use_forwarded_host: settings.http.use_forwarded_host,
        stopping: stopping.clone(),
        payload_bytes: settings.limits.payload_bytes as usize,
        module_bytes: settings.limits.module_bytes as usize,
        bodies_bytes: settings.http.bodies_bytes,
        access: access.clone(),
    };
    let connections = settings.connection_limits(raise_open_files());
    if connections.total < settings.http.connections {
        let wanted = settings.http.connections;
        tracing::warn!(
            connections.total,
            wanted,
            "fewer connections at once than wanted: the limit of open files allows no more"
        );
    }
    let secure = tls.is_some();
    let server = ServerOptions { api: api::router(options), tls, connections, times: settings.time_limits() };
    let mut server = tokio::spawn(server::serve(listener, server, stopping.clone()));

    if !address.ip().is_loopback() && !secure {
        tracing::warn!(%address, "the address is not a loopback address, and without TLS keys travel over it in clear");
    }
    let first_key = access.first_key().context("making the first key")?;
    start.announce.ready(&Ready {
        address,
        url: format!("{}://{address}", settings.scheme()),
        task_hub: &settings.task_hub,
        data: &data,
        administrator_key: first_key.as_ref().map(KeyText::as_str),
    })?;

    tokio::select! {
        // In this order: the server ends too once the host is to stop.
        biased;
        () = stopped(&mut stopping) => {}
        ended = &mut server => return Err(anyhow!("the HTTP server has ended: {ended:?}")),
    }
    tracing::info!("stopping: running turns are finished and committed");
    hubs.shutdown(settings.shutdown_grace()).await;
    if tokio::time::timeout(CONNECTIONS_GRACE, server).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut off");
    }
    // Those last requests count as well.
    hubs.save_usage().await;
    tracing::info!("stopped");
    Ok(())
}

/// This program, as the compiler of deployed modules.
fn own_compiler() -> anyhow::Result<Compiler> {
    // On Linux by a name that stays right when the file is replaced by a newer release.
    let program = match Path::new("/proc/self/exe") {
        own if own.exists() => own.to_owned(),
        _ => std::env::current_exe().context("finding this program's own file, which compiles modules")?,
    };
    Ok(Compiler::Child { program })
}

/// Starts what all hubs of the host share. Must be called within a tokio runtime.
fn share(settings: &Settings, control: Arc<ControlFile>, compiler: Compiler) -> anyhow::Result<Shared> {
    let runtime = Runtime::new(dacapo_wasm::Config { compiler, ..settings.runtime() }).context("preparing to run WebAssembly")?;
    let room = settings.room();
    if (room.hot_instances as u64) < u64::from(settings.engine.hot_instances) {
        let (hot_instances, wanted) = (room.hot_instances, settings.engine.hot_instances);
        tracing::warn!(hot_instances, wanted, "fewer orchestrations stay in memory than wanted: vm.max_map_count allows no more");
    }
    Shared::new(SharedOptions {
        directory: settings.data.clone(),
        runtime,
        control,
        threads: settings.turn_threads(),
        room,
        store: StoreOptions::default(),
    })
}

/// The control file of a data directory. The host that has it open is the only one there.
pub fn open_control_file(data: &Path) -> anyhow::Result<Arc<ControlFile>> {
    let path = control_path(data);
    let opened = ControlFile::open(&path);
    Ok(Arc::new(opened.with_context(|| format!("opening the control file {}", path.display()))?))
}

pub fn control_path(data: &Path) -> PathBuf {
    data.join("control.redb")
}

/// The hub that requests mean that name none is there whenever a host starts.
fn make_default_hub(control: &ControlFile, name: &str) -> anyhow::Result<()> {
    if control.hub(name)?.is_some() {
        return Ok(());
    }
    let record = HubRecord { name: name.into(), created_at: access::now(), ..HubRecord::default() };
    let entry = access::entry_of_host(Scope::Hub(name.into()), "hub.create");
    control.create_hub(&record, &entry).context("making the default task hub")
}

/// Opens the hubs of the host. Must be called within a tokio runtime.
fn open_hubs(settings: &Settings, address: SocketAddr, access: &Arc<Access>, secrets: &Arc<Secrets>) -> anyhow::Result<Hubs> {
    let (own, keys, secrets) = (settings.clone(), access.clone(), secrets.clone());
    let rules = move |record: &HubRecord| {
        let links = Links::public(&own.public_url(address), &record.name).with_tokens(keys.links_of(&record.name)?);
        let links = ManagementLinks::new(move |id| links.management(id));
        let limits = own.limits.with(&record.limits)?;
        let base = Policy { management_links: Some(links), ..own.policy(&limits)? };
        let open = |name: &str| {
            let opened = secrets.open(&record.name, name);
            opened.inspect_err(|error| tracing::warn!(hub = record.name, %error, "a granted secret is not there")).ok()
        };
        let policy = grants::apply(&base, &record.grants, open)?;
        let of_app = |(app, granted): (&String, &Grants)| Ok((app.clone(), grants::apply(&base, granted, open)?));
        let of_apps = record.app_grants.iter().map(of_app).collect::<anyhow::Result<_>>()?;
        Ok(HubRules { limits, policy, of_apps })
    };
    let hubs = Hubs::open(HubsOptions {
        control: access.control().clone(),
        shared: share(settings, access.control().clone(), own_compiler()?)?,
        rules: Box::new(rules),
        retention: settings.retention(),
        webhook: settings.webhook()?,
        versions: settings.versions,
        open: settings.hubs.open as usize,
        idle: Duration::from_secs(settings.hubs.idle_seconds),
    });
    hubs.context("opening the task hubs")
}

/// Opens the hub that the settings name, alone and without a host around it, and starts working on it. Its activities have no
/// management links to hand out. Must be called within a tokio runtime.
pub fn open_hub(settings: &Settings) -> anyhow::Result<Hub> {
    let (limits, policy) = (settings.limits.clone(), settings.policy(&settings.limits)?);
    let rules = HubRules { limits, policy, of_apps: BTreeMap::new() };
    let (name, retention, webhook) = (settings.task_hub.clone(), settings.retention(), settings.webhook()?);
    let versions = settings.versions;
    let control = open_control_file(&prepare_directory(&settings.data)?)?;
    let shared = share(settings, control, Compiler::default())?;
    let (hub, _) = Hub::open(&shared, HubOptions { name, rules, retention, webhook, versions, meters: Arc::default() })?;
    Ok(hub)
}

/// Raises the limit of open files as far as the process may, and returns it. Each connection is one.
fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it may not, the limit stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "the address {address} is in use: is another `dacapo serve` running? --address takes another one (port 0: any that is free)"
        ),
        _ => anyhow!("cannot listen on the address {address}: {error}"),
    })
}

/// Creates the data directory if it is missing, and makes sure that it can be written. Returns its full path.
fn prepare_directory(directory: &Path) -> anyhow::Result<PathBuf> {
    let unusable = || format!("the data directory {} cannot be used; --data names another one", directory.display());
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // Inputs and outputs are nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).with_context(unusable)?;
    let probe = directory.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).with_context(unusable)?;
    directory.canonicalize().with_context(unusable)
}

/// Turns true at the first SIGINT or SIGTERM. The second one ends the process.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        let mut signals = async || tokio::select! { _ = interrupt.recv() => 2, _ = terminate.recv() => 15 };
        signals().await;
        stop.send_replace(true);
        let signal = signals().await;
        std::process::exit(128 + signal);
    });
    Ok(stopping)
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that the signal task is gone: then nothing can stop the host but the end of the process.
    if stopping.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    address: SocketAddr,
    url: String,
    task_hub: &'a str,
    data: &'a Path,
    /// Of a key that was made just now. Nothing shows it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    administrator_key: Option<&'a str>,
}

impl Ready<'_> {
    fn for_people(&self) -> String {
        let key = self.administrator_key.map_or_else(String::new, |key| {
            format!(
                "\nadministrator's key, shown only now: {key}\n  DACAPO_KEY hands it to the other commands; `dacapo key create` makes \
                 weaker ones"
            )
        });
        format!("listening on {}, task hub {}, data {}{key}", self.url, self.task_hub, self.data.display())
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
        // Nobody has to read it.
        let _ = writeln!(std::io::stdout(), "{line}");
        if let Some(path) = &self.ready_file {
            let unfinished = path.with_extension("unfinished");
            let written = write_private(&unfinished, &(json + "\n")).and_then(|()| std::fs::rename(&unfinished, path));
            written.with_context(|| format!("writing the ready file {}", path.display()))?;
        }
        Ok(())
    }
}

fn start_logging(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.filter)
        .with_context(|| format!("log.filter is '{}', but should be such as info or info,dacapo::api=debug", settings.filter))?;
    let colors = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors);
    match settings.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
