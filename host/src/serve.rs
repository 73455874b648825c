//! The running host.
//!
//! ```text
//!   settings ─▶ listener ─▶ runtime ─▶ hub ─▶ announce ─▶ serve ── signal ─▶ finish turns ─▶ close connections
//! ```
//!
//! The address is taken first, so that a host that cannot have it touches nothing. A first SIGINT or SIGTERM stops the
//! host in good order, a second one at once; neither loses anything that was acknowledged. Event streams, which have no
//! end of their own, end with the first one.

use std::future::IntoFuture as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::serve::ListenerExt as _;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use dacapo_core::InstanceId;
use dacapo_store::StoreOptions;
use dacapo_store::control::{AuditEntry, ControlError, ControlFile, HubRecord, Scope};
use dacapo_wasm::{ManagementLinks, Policy, Runtime};

use crate::api::{self, ApiOptions, Links};
use crate::config::{LogFormat, LogSettings, Settings};
use crate::hub::{Hub, HubOptions, HubRules, Shared, SharedOptions, now};
use crate::hubs::{Hubs, HubsOptions};

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
    let data = prepare_directory(&settings.data)?;
    let mut stopping = stop_signal().context("listening for signals")?;
    let hubs = open_hubs(&Settings { data: data.clone(), ..settings.clone() }, address)?;
    // What an earlier release left is taken up, and what is wrong with the file is said now.
    hubs.hub(&settings.task_hub).await.context("opening the default task hub")?;

    let options = ApiOptions {
        hubs: hubs.clone(),
        default_hub: settings.task_hub.clone(),
        address,
        allowed_hosts: settings.allowed_hosts.clone(),
        use_forwarded_host: settings.http.use_forwarded_host,
        stopping: stopping.clone(),
        payload_bytes: settings.limits.payload_bytes as usize,
        module_bytes: settings.limits.module_bytes as usize,
    };
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let mut until_stopped = stopping.clone();
    let server =
        axum::serve(listener, api::router(options)).with_graceful_shutdown(async move { stopped(&mut until_stopped).await });
    let mut server = tokio::spawn(server.into_future());

    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the address is not a loopback address: everybody who can reach it has full access to this host");
    }
    announce.ready(&Ready { address, url: format!("http://{address}"), task_hub: &settings.task_hub, data: &data })?;

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

/// Opens the hubs of the host: the one that the settings name is made if it is missing. Must be called within a tokio runtime.
fn open_hubs(settings: &Settings, address: SocketAddr) -> anyhow::Result<Hubs> {
    let control = ControlFile::open(&settings.data.join("control.redb")).context("opening the control file")?;
    if control.hub(&settings.task_hub).context("reading the control file")?.is_none() {
        make_default_hub(&control, &settings.task_hub).context("making the default task hub")?;
    }
    let own = settings.clone();
    let rules = move |record: &HubRecord| {
        let links = Links::public(&own.public_url(address), &record.name);
        let links =
            ManagementLinks::new(move |id| InstanceId::any(id).map_or_else(|_| "null".into(), |id| links.management(&id)));
        let limits = own.limits.with(&record.limits)?;
        let policy = Policy { management_links: Some(links), ..own.policy(&limits)? };
        Ok(HubRules { limits, policy })
    };
    let hubs = Hubs::open(HubsOptions {
        control: Arc::new(control),
        shared: share(settings)?,
        rules: Box::new(rules),
        retention: settings.retention(),
        webhook: settings.webhook()?,
        open: settings.hubs.open as usize,
        idle: Duration::from_secs(settings.hubs.idle_seconds),
    });
    hubs.context("opening the task hubs")
}

fn make_default_hub(control: &ControlFile, name: &str) -> Result<(), ControlError> {
    let at = now().0;
    let entry = AuditEntry {
        at,
        actor: "host".into(),
        scope: Scope::Hub(name.to_owned()),
        action: "hub.create".into(),
        details: serde_json::Value::Null,
        denied: false,
    };
    control.create_hub(&HubRecord { name: name.to_owned(), created_at: at, ..HubRecord::default() }, &entry)
}

/// Opens the hub that the settings name, alone and without a host around it, and starts working on it. Its activities have no
/// management links to hand out. Must be called within a tokio runtime.
pub fn open_hub(settings: &Settings) -> anyhow::Result<Hub> {
    let rules = HubRules { limits: settings.limits.clone(), policy: settings.policy(&settings.limits)? };
    let (name, retention, webhook) = (settings.task_hub.clone(), settings.retention(), settings.webhook()?);
    let (hub, _) = Hub::open(&share(settings)?, HubOptions { name, rules, retention, webhook })?;
    Ok(hub)
}

/// Starts what all hubs of the host share. Must be called within a tokio runtime.
fn share(settings: &Settings) -> anyhow::Result<Shared> {
    let runtime = Runtime::new(settings.runtime()).context("preparing to run WebAssembly")?;
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
