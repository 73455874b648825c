//! A host in this process: the router of the API, with a hub and two apps, whose guests are replayed at every turn.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use dacapo::access::{self, Access, KeyPolicy, Scope};
use dacapo::api::{self, ApiOptions};
use dacapo::config::Settings;
use dacapo::engine::{Engine, EngineOptions};
use dacapo::hub::{HubRules, Queries, Retention, Traffic};
use dacapo::hubs::{Hubs, HubsOptions};
use dacapo::secrets::Secrets;
use dacapo::serve::open_control_file;
use dacapo_store::StoreOptions;
use dacapo_store::control::{ControlFile, HubRecord};
use dacapo_wasm::Runtime;
use tower::ServiceExt as _;

/// A response takes longer only if something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

struct Host {
    tokio: tokio::runtime::Runtime,
    router: axum::Router,
    _directory: tempfile::TempDir,
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| open().expect("a host can be opened here"))
}

fn open() -> anyhow::Result<Host> {
    let directory = tempfile::tempdir()?;
    let mut settings = Settings { data: directory.path().to_owned(), ..Settings::default() };
    settings.engine.hot_instances = 0;
    settings.limits.payload_bytes = 64 << 10;
    settings.limits.module_bytes = 8 << 20;
    settings.limits.fuel_per_turn = 100_000_000;
    settings.limits.activity_seconds = 2;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let data = directory.path().canonicalize()?;
    let control = open_control_file(&data)?;
    let record = HubRecord { name: settings.task_hub.clone(), ..HubRecord::default() };
    control.create_hub(&record, &access::entry_of_host(Scope::Host, "hub.create"))?;
    let queries = Queries::default();
    let hubs = tokio.block_on(async {
        let hubs = open_hubs(&settings, control.clone(), &queries)?;
        let hub = hubs.hub(&settings.task_hub).await?.context("it was made")?;
        for guest in ["fixture-probe", "fixture-hostile"] {
            hub.deploy(guest, "", crate::guest(guest)?, Traffic::All).await?;
        }
        anyhow::Ok(hubs)
    })?;
    let router = api::router(ApiOptions {
        default_hub: settings.task_hub.clone(),
        hubs,
        access: Arc::new(Access::open(control.clone(), KeyPolicy::NotRequired)?),
        secrets: Arc::new(Secrets::new(control, None)),
        data,
        limits: settings.limits.clone(),
        address: "127.0.0.1:7071".parse()?,
        allowed_hosts: Vec::new(),
        cors_origins: Vec::new(),
        queries: queries.clone(),
        scheme: "http",
        public_url: "http://127.0.0.1:7071".into(),
        use_forwarded_host: true,
        stopping: tokio::sync::watch::channel(false).1,
        payload_bytes: settings.limits.payload_bytes as usize,
        module_bytes: settings.limits.module_bytes as usize,
        bodies_bytes: settings.http.bodies_bytes,
        connections: 1_000,
    });
    Ok(Host { tokio, router, _directory: directory })
}

fn open_hubs(settings: &Settings, control: Arc<ControlFile>, queries: &Queries) -> anyhow::Result<Hubs> {
    let engine = Engine::new(EngineOptions {
        directory: settings.data.clone(),
        runtime: Runtime::new(settings.runtime())?,
        control: control.clone(),
        threads: settings.turn_threads(),
        capacity: settings.capacity(),
        store: StoreOptions::default(),
    })?;
    let (policy, limits) = (settings.policy(&settings.limits)?, settings.limits.clone());
    let rules = HubRules { policy, limits, ..HubRules::default() };
    let options = HubsOptions {
        control,
        engine,
        rules: Box::new(move |_| Ok(rules.clone())),
        retention: Retention::default(),
        webhook: None,
        versions: settings.versions,
        queries: queries.clone(),
        open: 1,
        idle: Duration::from_secs(3_600),
    };
    Ok(Hubs::open(options)?)
}

/// Returns the response of the API. Panics if the API panics or takes too long.
pub fn answer(request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let host = host();
    host.tokio.block_on(async {
        let answered = tokio::time::timeout(PATIENCE, host.router.clone().oneshot(request)).await;
        let response = answered.expect("an answer comes in time").unwrap_or_else(|never| match never {});
        let status = response.status();
        let events = response.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        // An event stream does not end.
        let body =
            if events { Vec::new() } else { to_bytes(response.into_body(), usize::MAX).await.expect("a whole body").into() };
        (status, body)
    })
}
