//! One running task hub: the engine that moves its instances.
//!
//! ```text
//!   clients ──start, raise, terminate──▶ ┌───────────┐ take ┌────────┐ Commit ┌───────┐
//!   timers  ──TimerFired───────────────▶ │ run queue │ ───▶ │ worker │ ─────▶ │ store │
//!   activities ──TaskCompleted/Failed──▶ └───────────┘      └────────┘        └───────┘
//!                                              ▲                                  │ durable
//!                                              └── settle: acknowledge, deliver, ─┘
//!                                                  start activities and timers
//! ```
//!
//! Rules:
//! - A message that is not stored yet becomes durable with the turn that takes it in; only then is its sender told.
//! - A turn's effects happen after its commit is durable ([`turn::settle`]).
//! - An instance has at most one turn at a time, from taking its mailbox to the settling of the commit.
//! - Memory holds what is busy, what is hot, and what is queued; everything else is rows.

mod activity;
mod bounds;
mod error;
mod mailbox;
mod operations;
mod timers;
mod turn;
mod versions;
mod webhook;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use dacapo_core::execution::{Limits, check_payload};
use dacapo_core::{Delivery, Event, InstanceId, Message, Payload, Timestamp, VersionId};
use dacapo_store::{RedbStore, Store, StoreError, StoreOptions, StoreStats};
use dacapo_wasm::{Account, Policy, Tenant};
use tokio::sync::{mpsc, oneshot, watch};

pub use error::HubError;
pub(crate) use error::joined;
pub use operations::bulk::{BulkAction, BulkOutcome, Selection};
pub use operations::changes::{Change, Told};
pub use operations::instance::{Ended, NewId, RestartRequest, StartRequest};
pub use operations::purge::Retention;
pub use operations::query::InstanceState;
pub use operations::transfer::{Export, Exported, ImportOptions, Imported, Waiting};
pub use versions::catalog::{DeployedApp, RolledBack, Share, Traffic};
pub use versions::deploy::PreparedFile;
pub use versions::gate::{Candidate, Checked, ReplayProgress, Totals, Verdict, Which};
pub use versions::{Difference, Pruned, Undeployed, VersionState};
use webhook::Outbox;
pub use webhook::Webhook;

use crate::engine::Engine;
use crate::engine::capacity::CacheShare;
use crate::engine::memory;
use crate::limits::HubLimits;
use crate::meters::Meters;
use crate::versioning::VersionRules;
use activity::Activities;
use bounds::InboxBounds;
use mailbox::Envelope;
use mailbox::run_queue::{RunQueue, RunQueueLimits, RunQueueOptions};
use operations::changes::{Changes, Waiters};
use timers::Timers;
use turn::loading::Loading;
use versions::DeploymentLocks;
use versions::catalog::Catalog;

/// What is a hub's own.
pub struct HubOptions {
    pub name: String,
    pub rules: HubRules,
    pub retention: Retention,
    /// Who is told of every change of an orchestration's status.
    pub webhook: Option<Webhook>,
    pub versions: VersionRules,
    /// Where it is counted what the hub uses.
    pub meters: Arc<Meters>,
}

/// What a hub may use, and what its guests may reach. Can be changed while it is open.
#[derive(Debug, Clone, Default)]
pub struct HubRules {
    pub limits: HubLimits,
    pub policy: Policy,
    /// Of apps that have one of their own, by name.
    pub of_apps: BTreeMap<String, Policy>,
}

/// A running hub. Clones are handles of the same hub.
#[derive(Clone)]
pub struct Hub(Arc<HubCore>, Arc<Handles>);

/// Counts the handles of a hub.
struct Handles;

/// Resolves when nothing of a hub is left in memory and its file is closed.
pub struct Gone(oneshot::Receiver<Infallible>);

impl Gone {
    /// May be dropped and called again until it has returned.
    pub async fn wait(&mut self) {
        // The sender is never used: it is dropped with the hub.
        let _ = (&mut self.0).await;
    }
}

struct HubCore {
    name: String,
    meters: Arc<Meters>,
    memory: memory::Account,
    store: Arc<dyn Store>,
    executor: Arc<Tenant>,
    rules: RwLock<Arc<Rules>>,
    catalog: Catalog,
    deployment: DeploymentLocks,
    loading: Loading,
    inbox_bounds: InboxBounds,
    run_queue: Arc<RunQueue>,
    activities: Activities,
    timers: Timers,
    waiters: Waiters,
    changes: Changes,
    outbox: Outbox,
    closing: watch::Sender<bool>,
    tokio: tokio::runtime::Handle,
    engine: Engine,
    /// Given back when the file is closed.
    _cache: CacheShare,
    /// Dropped last.
    _gone: oneshot::Sender<Infallible>,
}

/// The rules, as the engine looks at them.
struct Rules {
    limits: HubLimits,
    execution: Limits,
    policy: Policy,
    of_apps: BTreeMap<String, Policy>,
}

impl Rules {
    fn new(rules: HubRules) -> Arc<Self> {
        let HubRules { limits, policy, of_apps } = rules;
        Arc::new(Self { execution: limits.execution(), limits, policy, of_apps })
    }

    fn run_queue(&self) -> RunQueueLimits {
        RunQueueLimits { turns: size(self.limits.turns_at_once), hot: size(self.limits.hot_instances) }
    }
}

fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Hub {
    /// Opens the hub's file, which [`make_file`] has made, takes up what was left unfinished, and starts working. Blocks on the
    /// disk.
    pub fn open(engine: &Engine, options: HubOptions) -> anyhow::Result<(Hub, Gone)> {
        let HubOptions { name, rules, retention, webhook, versions, meters } = options;
        let path = file_of(engine, &name);
        let cache = engine.capacity().cache();
        let store = StoreOptions { cache_bytes: cache.bytes(), ..engine.store().clone() };
        let store = RedbStore::open_existing(&path, store).map_err(|why| does_not_open(&name, &path, why.into()))?;
        let store: Arc<dyn Store> = Arc::new(store);
        let catalog = Catalog::load(store.as_ref(), versions).map_err(|why| does_not_open(&name, &path, why))?;
        // Mostly that is known.
        let recorded: Vec<VersionId> = catalog.all().into_iter().flat_map(|(_, versions)| versions.ids()).collect();
        engine.modules().need(&name, &recorded).context("noting which modules the task hub needs")?;
        let rules = Rules::new(rules);
        let (gone, is_gone) = oneshot::channel();
        let account = Account { hub: name.clone(), outbound: meters.outbound.clone() };
        let memory = engine.memory().account(&name);
        let inner = Arc::new_cyclic(|hub| HubCore {
            name,
            meters,
            executor: Arc::new(engine.runtime().tenant(account, rules.policy.clone())),
            catalog,
            deployment: DeploymentLocks::default(),
            loading: Loading::default(),
            inbox_bounds: InboxBounds::default(),
            run_queue: RunQueue::new(RunQueueOptions {
                hub: hub.clone(),
                scheduler: engine.scheduler().clone(),
                capacity: engine.capacity().clone(),
                memory: memory.clone(),
                limits: rules.run_queue(),
            }),
            activities: Activities::new(size(rules.limits.concurrent_activities), &memory),
            timers: Timers::default(),
            waiters: Waiters::default(),
            changes: Changes::default(),
            outbox: Outbox::new(webhook),
            closing: watch::Sender::new(false),
            tokio: engine.tokio().clone(),
            engine: engine.clone(),
            memory,
            rules: RwLock::new(rules),
            store,
            _cache: cache,
            _gone: gone,
        });
        let hub = Hub(inner, Arc::new(Handles));
        hub.0.apply_policies(&[]);
        hub.0.take_up().map_err(|why| does_not_open(hub.name(), &path, why))?;
        timers::spawn(&hub.0);
        operations::purge::spawn_retention(&hub.0, retention);
        webhook::spawn(&hub.0);
        Ok((hub, Gone(is_gone)))
    }

    /// Changes what the hub may use and reach, at once. Guests that are in memory keep what they began with.
    pub fn change(&self, rules: HubRules) {
        let rules = Rules::new(rules);
        *self.0.rules.write().expect("no holder of this lock panics") = rules.clone();
        self.0.apply_policies(&[]);
        self.0.run_queue.set_limits(rules.run_queue());
        self.0.activities.set_limit(size(rules.limits.concurrent_activities));
        while self.0.begin_waiting_activity() {}
    }

    /// How many handles of this hub there are.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.1)
    }

    /// A number that stays the same for as long as the hub has nothing to do; none while it has.
    pub fn idle_since(&self) -> Option<u64> {
        self.0.run_queue.idle_since().filter(|_| self.0.activities.is_idle())
    }

    /// How many activities run.
    pub fn running_activities(&self) -> usize {
        self.0.activities.running()
    }

    /// When the first timer is due.
    pub fn next_timer(&self) -> Result<Option<Timestamp>, HubError> {
        Ok(self.0.store.next_timer(None)?)
    }

    /// Whether something was begun and is not finished, also in a hub that has closed.
    pub fn is_unfinished(&self) -> Result<bool, HubError> {
        let store = &self.0.store;
        Ok(!store.undelivered(None, 1)?.is_empty() || !store.activities(None, 1)?.is_empty())
    }

    /// Whether notifications wait for the webhook.
    pub fn has_announcements(&self) -> Result<bool, HubError> {
        Ok(self.0.outbox.has_webhook() && !self.0.store.announcements(None, 1)?.is_empty())
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it holds in memory is counted here.
    pub fn memory(&self) -> &memory::Account {
        &self.0.memory
    }

    /// Counts a request of a client, which a limit may have refused.
    pub fn count_request(&self, throttled: bool) {
        self.0.meters.request(throttled);
    }

    /// How many requests of clients it may have.
    pub fn requests_per_second(&self) -> u64 {
        self.0.rules().limits.requests_per_second
    }

    /// Reads one slice, when the hub's turn has come.
    pub async fn read<T, E>(&self, read: impl FnOnce(&Hub) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<HubError> + Send + 'static,
    {
        let hub = self.clone();
        self.0.read(move |_| read(&hub)).await
    }

    /// The active version of each app.
    pub fn apps(&self) -> Vec<DeployedApp> {
        self.0.catalog.active()
    }

    /// Lets the writer save something that changes nothing. Blocks on the disk.
    pub fn probe_writer(&self) -> Result<(), HubError> {
        // None has this number.
        Ok(self.0.store.forget_announcements(0)?)
    }

    /// How much is stored, and in how many transactions it was.
    pub fn stats(&self) -> Result<StoreStats, HubError> {
        Ok(self.0.store.stats()?)
    }

    /// Stops: no new work is taken, and what runs gets `grace` to end: turns are committed then. What is left is stopped at its
    /// next checkpoint, as if it had not begun, and taken up when the hub is opened again.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.closing.send_replace(true);
        self.0.deployment.close();
        self.0.run_queue.close();
        self.0.timers.stop();
        let deadline = tokio::time::Instant::now() + grace;
        self.0.activities.finish(grace).await;
        self.0.waiters.clear();
        self.0.changes.close();
        if tokio::time::timeout_at(deadline, self.0.run_queue.drained()).await.is_err() {
            self.0.run_queue.cut_off();
            self.0.run_queue.drained().await;
        }
    }
}

impl HubCore {
    async fn read<T, E>(self: &Arc<Self>, read: impl FnOnce(&Arc<Self>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<HubError> + Send + 'static,
    {
        let hub = self.clone();
        let done = self.engine.reads().run(&self.name, move || read(&hub)).await;
        done.map_err(|why| HubError::not_done(&self.name, why))?
    }

    /// Waits on this thread, which is none of tokio's, until a reader who may be slow has room for what he asked for. Whether he
    /// got it: he may have gone, or the hub closes.
    fn tell<T>(&self, reader: &mpsc::Sender<T>, report: T) -> bool {
        self.tokio.block_on(async {
            tokio::select! {
                sent = reader.send(report) => sent.is_ok(),
                () = self.closed() => false,
            }
        })
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until the hub is to close.
    async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // It cannot fail: the sender is here.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    fn rules(&self) -> Arc<Rules> {
        self.rules.read().expect("no holder of this lock panics").clone()
    }

    /// Hands a client's message to its instance and waits until the turn that takes it in is durable.
    async fn post(&self, to: &InstanceId, event: Event) -> Result<(), HubError> {
        self.post_unless(to, event, Ended::Replaced).await
    }

    /// The same of a start, unless an instance stays that has ended.
    async fn post_unless(&self, to: &InstanceId, event: Event, ended: Ended) -> Result<(), HubError> {
        if self.is_closing() {
            return Err(HubError::ShuttingDown);
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        let message = Message { to: to.clone(), execution: None, sent_at: now(), event };
        // The hub that holds most waits. What could never have room is small all the same: a payload has a limit.
        let memory = self.memory.reserve(Envelope::size(&message)).await.ok();
        let delivery = Delivery { message, stored: None };
        self.run_queue.deliver(Envelope { acknowledge: Some(acknowledge), memory, ended, ..Envelope::of(delivery) });
        acknowledged.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// Hands over a message that nobody waits for.
    fn deliver(&self, delivery: Delivery) {
        self.run_queue.deliver(Envelope::of(delivery));
    }

    fn check_input(&self, payload: &Payload) -> Result<(), HubError> {
        let limits = &self.rules().execution;
        let limit = limits.payload_bytes;
        if payload.len() > limit {
            return Err(HubError::TooLarge { what: "payload", size: payload.len(), limit });
        }
        check_payload("the payload", payload, limits, "InvalidPayload").map_err(|why| HubError::InvalidPayload(why.message))
    }

    /// Takes up what a previous process left: messages in inboxes, and activities that were scheduled and have not
    /// reported. They stay in the store until it is their turn. Timers are found by the timer task.
    fn take_up(self: &Arc<Self>) -> Result<(), HubError> {
        const PAGE: usize = 1_000;
        let mut after = None;
        loop {
            let page = self.store.unread(after, PAGE)?;
            after = page.last().map(|(row, _)| *row);
            let more = page.len() == PAGE;
            self.run_queue.wake(page.into_iter().map(|(_, id)| id));
            if !more {
                break;
            }
        }
        let mut after = None;
        loop {
            let page = self.store.activity_keys(after, PAGE)?;
            after = page.last().copied();
            let more = page.len() == PAGE;
            self.queue_stored_activities(page);
            if !more {
                return Ok(());
            }
        }
    }
}

/// Where the file of a hub is.
pub fn file_of(engine: &Engine, name: &str) -> PathBuf {
    engine.directory().join("hubs").join(format!("{name}.redb"))
}

/// Says what to do about a hub that cannot be opened.
fn does_not_open(name: &str, path: &Path, why: HubError) -> anyhow::Error {
    let advice = match &why {
        HubError::Store(StoreError::Missing { .. }) => format!(
            "restore it from a backup, with the host stopped; or give up what was in the task hub: `dacapo serve --recover {name}` lets \
             it begin anew, empty"
        ),
        HubError::Store(StoreError::Corrupt(_) | StoreError::Backend(_)) => format!(
            "the file {} of the task hub cannot be opened: restore it from a backup, with the host stopped; or give up what was in the \
             task hub: move the file away, and `dacapo serve --recover {name}` lets it begin anew, empty",
            path.display()
        ),
        _ => format!("opening the task hub at {}", path.display()),
    };
    anyhow::Error::from(why).context(advice)
}

/// Makes the file of a hub that was never opened, unless an earlier release has. Blocks on the disk.
pub fn make_file(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let path = file_of(engine, name);
    let made = RedbStore::open(&path, engine.store().clone()).map(drop);
    made.with_context(|| format!("making the file of the task hub at {}", path.display()))
}

/// The only place of the engine that reads the clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as i64)
}
