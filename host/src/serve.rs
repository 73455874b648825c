//! The running host.
//!
//! ```text
//!   settings ─▶ listener ─▶ runtime ─▶ hub ─▶ announce ─▶ serve ── signal ─▶ finish turns ─▶ close connections
//! ```
//!
//! The address is taken first, so that a host that cannot have it touches nothing. A first SIGINT or SIGTERM stops the
//! host in good order, a second one at once; neither loses anything that was acknowledged. Event streams, which have no
//! end of their own, end with the first one.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use dacapo_core::InstanceId;
use dacapo_store::StoreOptions;
use dacapo_wasm::{Compiler, ManagementLinks, Policy, Runtime};

use crate::api::{self, ApiOptions, Links};
use crate::config::{LogFormat, LogSettings, Settings};
use crate::hub::{Hub, HubOptions, HubRules, Shared, SharedOptions};
use crate::hubs::Hubs;
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

/// Runs a host until it is told to stop.
pub fn run(settings: Settings, announce: &Announce) -> anyhow::Result<()> {
    start_logging(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")?;
    let result = runtime.block_on(serve(settings, announce));
    // What still blocks a thread now (an activity that was cut off) is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(settings: Settings, announce: &Announce) -> anyhow::Result<()> {
    let listener = listen(&settings.address).await?;
    let address = listener.local_addr().context("asking for the address that was taken")?;
    let tls = settings.certificate().map(Tls::load).transpose()?.map(Arc::new);
    let data = prepare_directory(&settings.data)?;
    let mut stopping = stop_signal().context("listening for signals")?;
    let hub = open_hub(&Settings { data: data.clone(), ..settings.clone() }, Some(address), own_compiler()?)?;
    let hubs = Hubs::of(hub.clone());

    let options = ApiOptions {
        hubs: hubs.clone(),
        default_hub: settings.task_hub.clone(),
        address,
        allowed_hosts: settings.allowed_hosts.clone(),
        scheme: settings.scheme(),
        use_forwarded_host: settings.http.use_forwarded_host,
        stopping: stopping.clone(),
        payload_bytes: settings.limits.payload_bytes as usize,
        module_bytes: settings.limits.module_bytes as usize,
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
    let server = ServerOptions { api: api::router(options), tls, connections, times: settings.time_limits() };
    let mut server = tokio::spawn(server::serve(listener, server, stopping.clone()));

    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the address is not a loopback address: everybody who can reach it has full access to this host");
    }
    announce.ready(&Ready { address, url: format!("{}://{address}", settings.scheme()), task_hub: hub.name(), data: &data })?;

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

/// Opens the hub that the settings name, and starts working on it. Must be called within a tokio runtime.
///
/// `address` is where its host listens. Without one, activities have no management links to hand out.
pub fn open_hub(settings: &Settings, address: Option<SocketAddr>, compiler: Compiler) -> anyhow::Result<Hub> {
    let management_links = address.map(|address| {
        let links = Links::public(&settings.public_url(address), &settings.task_hub);
        ManagementLinks::new(move |id| InstanceId::any(id).map_or_else(|_| "null".into(), |id| links.management(&id)))
    });
    let policy = Policy { management_links, ..settings.policy(&settings.limits)? };
    let shared = share(settings, compiler)?;
    let (hub, _) = Hub::open(
        &shared,
        HubOptions {
            name: settings.task_hub.clone(),
            rules: HubRules { limits: settings.limits.clone(), policy },
            retention: settings.retention(),
            webhook: settings.webhook()?,
            versions: settings.versions,
        },
    )?;
    Ok(hub)
}

/// Starts what all hubs of the host share. Must be called within a tokio runtime.
fn share(settings: &Settings, compiler: Compiler) -> anyhow::Result<Shared> {
    let runtime = Runtime::new(dacapo_wasm::Config { compiler, ..settings.runtime() }).context("preparing to run WebAssembly")?;
    let room = settings.room();
    if (room.hot_instances as u64) < u64::from(settings.engine.hot_instances) {
        let (hot_instances, wanted) = (room.hot_instances, settings.engine.hot_instances);
        tracing::warn!(hot_instances, wanted, "fewer orchestrations stay in memory than wanted: vm.max_map_count allows no more");
    }
    Shared::new(SharedOptions {
        directory: settings.data.clone(),
        runtime,
        threads: settings.turn_threads(),
        room,
        store: StoreOptions::default(),
    })
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
}

impl Announce {
    fn ready(&self, ready: &Ready) -> anyhow::Result<()> {
        let json = serde_json::to_string(ready).context("the path of the data directory is not UTF-8")?;
        let line = match self.json {
            true => json.clone(),
            false => format!("listening on {}, task hub {}, data {}", ready.url, ready.task_hub, ready.data.display()),
        };
        // Nobody has to read it.
        let _ = writeln!(std::io::stdout(), "{line}");
        if let Some(path) = &self.ready_file {
            let unfinished = path.with_extension("unfinished");
            let written = std::fs::write(&unfinished, json + "\n").and_then(|()| std::fs::rename(&unfinished, path));
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
