//! One running task hub: the engine that moves its instances.
//!
//! ```text
//!   clients ──start, raise, terminate──▶ ┌──────┐ take ┌─────────────┐ Commit ┌───────┐
//!   timers  ──TimerFired───────────────▶ │ desk │ ───▶ │ turn thread │ ─────▶ │ store │
//!   activities ──TaskCompleted/Failed──▶ └──────┘      └─────────────┘        └───────┘
//!                                           ▲                                     │ durable
//!                                           └──── settle: acknowledge, deliver, ──┘
//!                                                 start activities and timers
//! ```
//!
//! Rules:
//! - A message that is not stored yet becomes durable with the turn that takes it in; only then is its sender told.
//! - A turn's effects happen after its commit is durable ([`settle`]).
//! - An instance has at most one turn at a time, from taking its mailbox to the settling of the commit.
//! - Memory holds what is busy, what is hot, and what is queued; everything else is rows.

mod activities;
mod catalog;
mod changes;
mod desk;
mod entities;
mod error;
mod manage;
mod purge;
mod query;
mod settle;
mod timers;
mod turns;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use dacapo_core::execution::{Limits, check_payload};
use dacapo_core::{Delivery, Event, Executor, InstanceId, Message, Payload, Timestamp};
use dacapo_store::{RedbStore, Store, StoreOptions, StoreStats};
use dacapo_wasm::{Policy, Runtime, Tenant};
use tokio::sync::{Notify, oneshot};

pub use catalog::DeployedApp;
pub use changes::Change;
pub use error::HubError;
pub use manage::{NewId, RestartRequest, StartRequest};
pub use purge::Retention;
pub use query::InstanceState;
pub use webhook::Webhook;

use crate::limits::HubLimits;
use activities::Activities;
use catalog::{Catalog, Deployment};
use changes::{Changes, Waiters};
use desk::{Desk, Envelope};
use timers::Timers;

/// How to open a hub.
pub struct HubOptions {
    pub name: String,
    /// The data directory; the hub is the file `hubs/NAME.redb` in it.
    pub directory: PathBuf,
    pub runtime: Runtime,
    pub limits: HubLimits,
    /// What its guests may use and reach.
    pub policy: Policy,
    /// Guests that stay in memory between turns. 0: none, every turn replays.
    pub hot_instances: usize,
    pub turn_threads: usize,
    pub concurrent_activities: usize,
    pub store: StoreOptions,
    pub retention: Retention,
    /// Who is told of every change of an orchestration's status.
    pub webhook: Option<Webhook>,
}

/// A running hub. Clones are handles of the same hub.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    name: String,
    store: Arc<dyn Store>,
    executor: Arc<dyn Executor>,
    /// The same, for what only WebAssembly has: deployments.
    tenant: Arc<Tenant>,
    limits: Limits,
    catalog: Catalog,
    desk: Desk,
    activities: Activities,
    timers: Timers,
    waiters: Waiters,
    changes: Changes,
    webhook: Option<Webhook>,
    /// There is something in the outbox.
    announced: Notify,
    closing: AtomicBool,
    /// Wakes the tasks that sleep while the hub is open.
    closed: Notify,
    threads: std::sync::Mutex<Vec<std::thread::JoinHandle<()>>>,
    tokio: tokio::runtime::Handle,
}

impl Hub {
    /// Opens the hub's file, takes up what was left unfinished, and starts its threads. Must be called within a tokio
    /// runtime, which runs the activities.
    pub fn open(options: HubOptions) -> anyhow::Result<Hub> {
        let directory = options.directory.join("hubs");
        std::fs::create_dir_all(&directory).with_context(|| format!("creating the directory {}", directory.display()))?;
        let path = directory.join(format!("{}.redb", options.name));
        let store =
            RedbStore::open(&path, options.store).with_context(|| format!("opening the task hub at {}", path.display()))?;
        let store: Arc<dyn Store> = Arc::new(store);
        let catalog = Catalog::load(store.as_ref()).context("reading the apps of the task hub")?;
        let tenant = Arc::new(options.runtime.tenant(options.policy));
        let hub = Hub(Arc::new(Inner {
            name: options.name,
            executor: tenant.clone(),
            tenant,
            limits: options.limits.execution(),
            catalog,
            desk: Desk::new(options.hot_instances),
            activities: Activities::new(options.concurrent_activities),
            timers: Timers::default(),
            waiters: Waiters::default(),
            changes: Changes::default(),
            webhook: options.webhook,
            announced: Notify::new(),
            closed: Notify::new(),
            closing: AtomicBool::new(false),
            threads: std::sync::Mutex::default(),
            tokio: tokio::runtime::Handle::current(),
            store,
        }));
        hub.0.take_up().context("taking up the unfinished work of the task hub")?;
        turns::spawn(&hub.0, options.turn_threads.max(1)).context("starting the turn threads")?;
        timers::spawn(&hub.0);
        purge::spawn_retention(&hub.0, options.retention);
        webhook::spawn(&hub.0);
        Ok(hub)
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Deploys a version of an app and makes it the active one. The same bytes again change nothing.
    pub async fn deploy(&self, app: &str, label: &str, bytes: Vec<u8>) -> Result<DeployedApp, HubError> {
        let inner = self.0.clone();
        let (app, label) = (app.to_owned(), label.to_owned());
        let task = self.0.tokio.spawn_blocking(move || {
            let mut prepared = inner.tenant.prepare(&bytes).map_err(|error| HubError::Deploy(Arc::new(error)))?;
            let own_label = prepared.manifest.as_ref().and_then(|manifest| manifest.version.clone());
            let label = if label.is_empty() { own_label.unwrap_or_default() } else { label };
            let report = std::mem::take(&mut prepared.report);
            let deployment = Deployment { app, label, prepared, size: bytes.len() as u64, at: now() };
            Ok(DeployedApp { report, ..inner.catalog.deploy(inner.store.as_ref(), deployment)? })
        });
        task.await.map_err(|_| HubError::ShuttingDown)?
    }

    /// The active version of each app.
    pub fn apps(&self) -> Vec<DeployedApp> {
        self.0.catalog.active()
    }

    /// How much is stored, and in how many transactions it was.
    pub fn stats(&self) -> Result<StoreStats, HubError> {
        Ok(self.0.store.stats()?)
    }

    /// Stops: no new work is taken, turns that run are finished and committed, and activities get `grace` to end. What
    /// is left is taken up at the next start.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.closing.store(true, Ordering::SeqCst);
        self.0.closed.notify_waiters();
        self.0.desk.close();
        self.0.timers.stop();
        self.0.activities.finish(grace).await;
        self.0.waiters.clear();
        self.0.changes.close();
        let threads = std::mem::take(&mut *self.0.threads.lock().expect("no holder of this lock panics"));
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let _ = joined.await;
        self.0.desk.drop_hot();
    }
}

impl Inner {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Hands a client's message to its instance and waits until the turn that takes it in is durable.
    async fn post(&self, to: &InstanceId, event: Event) -> Result<(), HubError> {
        if self.is_closing() {
            return Err(HubError::ShuttingDown);
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        let message = Message { to: to.clone(), execution: None, sent_at: now(), event };
        let delivery = Delivery { message, stored: None };
        self.desk.deliver(Envelope { delivery, acknowledge: Some(acknowledge) });
        acknowledged.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// Hands over a message that nobody waits for.
    fn deliver(&self, delivery: Delivery) {
        self.desk.deliver(Envelope { delivery, acknowledge: None });
    }

    fn check_input(&self, payload: &Payload) -> Result<(), HubError> {
        let limit = self.limits.payload_bytes;
        if payload.len() > limit {
            return Err(HubError::TooLarge { what: "payload", size: payload.len(), limit });
        }
        check_payload("the payload", payload, &self.limits, "InvalidPayload").map_err(|why| HubError::InvalidPayload(why.message))
    }

    /// Takes up what a previous process left: messages in inboxes, and activities that were scheduled and have not
    /// reported. Timers are found by the timer task.
    fn take_up(self: &Arc<Self>) -> Result<(), HubError> {
        const PAGE: usize = 1_000;
        let mut after = None;
        loop {
            let page = self.store.undelivered(after, PAGE)?;
            after = page.last().map(|(key, _)| *key);
            let more = page.len() == PAGE;
            for (key, message) in page {
                self.deliver(Delivery { message, stored: Some(key) });
            }
            if !more {
                break;
            }
        }
        let mut after = None;
        loop {
            let page = self.store.activities(after, PAGE)?;
            after = page.last().map(|activity| (activity.row, activity.seq));
            let more = page.len() == PAGE;
            self.schedule_activities(page);
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// The only place of the engine that reads the clock.
fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as i64)
}
