//! Many task hubs in one process, with real guests: opening and closing, limits, fairness.

mod fairness;
mod limits;
mod modules;
mod opening;
mod panics;
mod room;
mod transfer;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dacapo::config::Settings;
use dacapo::engine::{Engine, EngineOptions};
use dacapo::hub::{Hub, HubRules, Queries, StartRequest, Traffic};
use dacapo::hubs::{Hubs, HubsOptions};
use dacapo_core::{FunctionName, InstanceId, InstanceRecord};
use dacapo_store::StoreOptions;
use dacapo_store::control::{AuditEntry, ControlFile, HubRecord, Scope};
use dacapo_wasm::{ManagementLinks, Policy, Runtime};

/// The hubs of a host, without the rest of the host.
struct World {
    hubs: Hubs,
    control: Arc<ControlFile>,
    directory: PathBuf,
}

impl World {
    /// Opens hubs, of which at most `open` are open at a time.
    fn open(directory: &Path, open: usize, idle: Duration) -> Self {
        Self::with(directory, open, idle, |_| {})
    }

    /// Like [`Self::open`], with changes to the runtime's configuration.
    fn with(directory: &Path, open: usize, idle: Duration, configure: impl FnOnce(&mut dacapo_wasm::Config)) -> Self {
        let mut settings = Settings { data: directory.to_owned(), ..Settings::default() };
        settings.engine.hot_instances = 100;
        settings.hubs.open = open as u32;
        let control = Arc::new(ControlFile::open(&directory.join("control.redb")).unwrap());
        let mut config = settings.runtime();
        configure(&mut config);
        let engine = Engine::new(EngineOptions {
            directory: directory.to_owned(),
            runtime: Runtime::new(config).unwrap(),
            control: control.clone(),
            threads: settings.turn_threads(),
            capacity: settings.capacity(),
            store: StoreOptions::default(),
        });
        let rules = move |record: &HubRecord| {
            let limits = settings.limits.with(&record.limits)?;
            let links = ManagementLinks::new(|_| panic!("there is no host around these hubs"));
            let policy = Policy { management_links: Some(links), ..settings.policy(&limits)? };
            Ok(HubRules { policy, limits, ..HubRules::default() })
        };
        let options = HubsOptions {
            queries: Queries::default(),
            control: control.clone(),
            engine: engine.unwrap(),
            rules: Box::new(rules),
            retention: Default::default(),
            webhook: None,
            versions: Default::default(),
            open,
            idle,
        };
        Self { hubs: Hubs::open(options).unwrap(), control, directory: directory.to_owned() }
    }

    /// Creates a hub with these limits, and deploys guests to it.
    async fn create(&self, name: &str, limits: &[(&str, u64)], guests: &[&str]) {
        let record = HubRecord { name: name.into(), limits: table(limits), ..HubRecord::default() };
        self.hubs.create(&record, &entry(name)).await.unwrap();
        let hub = self.hub(name).await;
        for guest in guests {
            hub.deploy(guest, "", dacapo_tests::guest(guest).unwrap(), Traffic::All).await.unwrap();
        }
    }

    /// Closes all hubs, so that the directory can be opened again.
    async fn close(self) {
        self.hubs.shutdown(Duration::ZERO).await;
        let control = self.directory.join("control.redb");
        drop(self);
        // Another thread may hold it for a moment longer.
        until("the control file is closed", || ControlFile::open(&control).is_ok()).await;
    }

    async fn hub(&self, name: &str) -> Hub {
        self.hubs.hub(name).await.unwrap().expect("it was made")
    }

    async fn limit(&self, name: &str, limits: &[(&str, u64)]) {
        let limits = table(limits);
        self.hubs.change(name, &entry(name), move |record| record.limits = limits.clone()).await.unwrap();
    }
}

fn table(limits: &[(&str, u64)]) -> BTreeMap<String, u64> {
    limits.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn entry(hub: &str) -> AuditEntry {
    AuditEntry {
        at: 0,
        actor: "test".into(),
        scope: Scope::Hub(hub.into()),
        action: "test".into(),
        details: serde_json::Value::Null,
        denied: false,
    }
}

fn start(name: &str, input: &str) -> StartRequest {
    let name = FunctionName::new(name).unwrap();
    StartRequest { name, id: None, input: input.into(), version: String::new(), start_at: None }
}

async fn run(hub: &Hub, name: &str, input: &str) -> InstanceRecord {
    let id = hub.start_new(start(name, input)).await.unwrap();
    hub.wait(&id).await.unwrap()
}

fn output(hub: &Hub, id: &InstanceId) -> String {
    hub.state(id).unwrap().and_then(|state| state.output).map_or_else(String::new, |output| output.to_string())
}

/// Polls until the condition holds.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
