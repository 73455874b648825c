//! Opening and closing a hub, and changing its rules.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use anyhow::Context as _;
use dacapo_core::{Row, Seq, VersionId};
use dacapo_store::{RedbStore, Store, StoreError, StoreOptions};
use dacapo_wasm::{Account, IdleMemory, IdleMemoryBudget};
use tokio::sync::{Notify, oneshot, watch};

use crate::engine::{Engine, memory};
use crate::hub::activity::queue::Activities;
use crate::hub::bounds::inbox::InboxBounds;
use crate::hub::builtin;
use crate::hub::client::Queries;
use crate::hub::error::HubError;
use crate::hub::hub_core::{Handles, Hub, HubCore};
use crate::hub::mailbox::run_queue::{JobRunner, RunQueue, RunQueueOptions};
use crate::hub::operations::changes::{Changes, Waiters};
use crate::hub::operations::messages::Messages;
use crate::hub::operations::purge::{Retention, spawn_retention};
use crate::hub::operations::queues::spawn_sweep;
use crate::hub::operations::schedules::{Schedules, Startup};
use crate::hub::rules::{HubRules, Rules, size};
use crate::hub::timers;
use crate::hub::timers::cursor::Timers;
use crate::hub::trigger::running::Triggers;
use crate::hub::turn::turn_executor::Loading;
use crate::hub::versions::catalog::Catalog;
use crate::hub::versions::locks::DeploymentLocks;
use crate::hub::webhook::delivery;
use crate::hub::webhook::{Outbox, Webhook};
use crate::meters::Meters;
use crate::versioning::VersionRules;

/// The options of one hub.
pub struct HubOptions {
    pub name: String,
    pub rules: HubRules,
    pub retention: Retention,
    /// Where changes of an orchestration's status are posted.
    pub webhook: Option<Webhook>,
    pub versions: VersionRules,
    /// Where guests' queries are answered.
    pub queries: Queries,
    /// Counts what the hub uses.
    pub meters: Arc<Meters>,
    /// Whether it is opened for the first time since the host has started.
    pub first: bool,
}

/// Resolves when nothing of a hub is left in memory and its file is closed.
pub struct Gone(oneshot::Receiver<Infallible>);

impl Gone {
    /// Cancel-safe: the future may be dropped, and this called again.
    pub async fn wait(&mut self) {
        // The sender is never used: it is dropped with the hub.
        let _ = (&mut self.0).await;
    }
}

/// Memory for instances that are kept between turns: as long as half of what the hub may have is free for turns and activities.
fn idle_memory(memory: memory::Account) -> IdleMemoryBudget {
    IdleMemoryBudget(Arc::new(move |bytes| {
        let has_room = memory.held().saturating_add(bytes) <= memory.budget().most_of_a_hub() / 2;
        let reserved = has_room.then(|| memory.try_reserve(bytes).ok()).flatten()?;
        Some(Box::new(reserved) as IdleMemory)
    }))
}

impl Hub {
    /// Opens the hub's file, which [`create_file`] has created, queues the work that was left unfinished, and starts the hub.
    /// Blocks on the disk.
    pub fn open(engine: &Engine, options: HubOptions) -> anyhow::Result<(Hub, Gone)> {
        let HubOptions { name, rules, retention, webhook, versions, queries, meters, first } = options;
        let path = path_of(engine, &name);
        let cache = engine.capacity().cache();
        let store = StoreOptions { cache_bytes: cache.bytes(), ..engine.store().clone() };
        let store = RedbStore::open_existing(&path, store).map_err(|why| explain_open_error(&name, &path, why.into()))?;
        let store: Arc<dyn Store> = Arc::new(store);
        let catalog = Catalog::load(store.as_ref(), versions).map_err(|why| explain_open_error(&name, &path, why))?;
        // Usually the control file has them already.
        let recorded: Vec<VersionId> = catalog.all().into_iter().flat_map(|(_, versions)| versions.ids()).collect();
        engine.modules().need(&name, &recorded).context("recording which modules the task hub needs")?;
        let rules = Rules::new(rules);
        let (gone, is_gone) = oneshot::channel();
        let memory = engine.memory().account(&name);
        let account = Account { hub: name.clone(), outbound: meters.outbound.clone(), idle_memory: idle_memory(memory.clone()) };
        let inner = Arc::new_cyclic(|hub: &Weak<HubCore>| HubCore {
            name,
            meters,
            executor: Arc::new(engine.runtime().tenant(account, rules.policy.clone())),
            catalog,
            deployment: DeploymentLocks::default(),
            loading: Loading::default(),
            inbox_bounds: InboxBounds::default(),
            births: AtomicU64::default(),
            run_queue: RunQueue::new(RunQueueOptions {
                runner: hub.clone() as Weak<dyn JobRunner>,
                scheduler: engine.scheduler().clone(),
                capacity: engine.capacity().clone(),
                memory: memory.clone(),
                limits: rules.run_queue(),
            }),
            activities: Activities::new(
                size(rules.limits.concurrent_activities),
                size(rules.limits.concurrent_messages),
                &memory,
            ),
            triggers: Triggers::new(size(rules.limits.concurrent_triggers)),
            queries,
            built_ins: builtin::functions(hub.clone()),
            batches: Arc::default(),
            messages: Messages::default(),
            ended_messages: Notify::new(),
            schedules: Schedules::default(),
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
        hub.0.queue_unfinished_work().map_err(|why| explain_open_error(hub.name(), &path, why))?;
        timers::spawn(&hub.0);
        spawn_retention(&hub.0, retention);
        delivery::spawn(&hub.0);
        spawn_sweep(&hub.0);
        let active = || hub.0.catalog.active_versions().into_iter().map(|version| version.version).collect();
        hub.0.spawn_schedules_of_apps(if first { Startup::Host(active()) } else { Startup::Nobody });
        // A crash may have come between a deployment and the events that it sends to waiting messages.
        hub.0.wake_messages(hub.0.catalog.queues().into_iter().map(|(queue, _)| queue).collect());
        Ok((hub, Gone(is_gone)))
    }

    /// Changes the limits and policies, effective at once. Guests that are in memory keep those that they began with.
    pub fn change(&self, rules: HubRules) {
        let rules = Rules::new(rules);
        *self.0.rules.write().expect("no holder of this lock panics") = rules.clone();
        self.0.apply_policies(&[]);
        self.0.run_queue.set_limits(rules.run_queue());
        self.0.activities.set_limits(size(rules.limits.concurrent_activities), size(rules.limits.concurrent_messages));
        self.0.take_messages_back();
        self.0.triggers.set_limit(size(rules.limits.concurrent_triggers));
        // They may name settings of the environment, and these may enable triggers.
        self.0.spawn_schedules_of_apps(Startup::Nobody);
        self.0.wake_messages(self.0.catalog.queues().into_iter().map(|(queue, _)| queue).collect());
        while self.0.begin_waiting_activity() {}
    }

    /// Stops the hub: no new work begins, and running work has `grace` to end; turns that do are committed. The rest is stopped
    /// at its next checkpoint, as if it had not begun, and runs again when the hub is opened again.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.closing.send_replace(true);
        self.0.deployment.close();
        self.0.run_queue.close();
        self.0.timers.stop();
        let deadline = tokio::time::Instant::now() + grace;
        tokio::join!(self.0.activities.finish(grace), self.0.triggers.finish(grace));
        self.0.waiters.clear();
        self.0.changes.close();
        if tokio::time::timeout_at(deadline, self.0.run_queue.drained()).await.is_err() {
            self.0.run_queue.cut_off();
            self.0.run_queue.drained().await;
        }
    }
}

impl HubCore {
    /// Queues the work that a previous process left: messages in inboxes, and scheduled activities without a result. They stay in
    /// the store until their turn comes. Timers are found by the timer task. First counts the messages of queues.
    fn queue_unfinished_work(self: &Arc<Self>) -> Result<(), HubError> {
        const PAGE: usize = 1_000;
        let mut activities: Vec<(Row, Seq)> = Vec::new();
        loop {
            let page = self.store.activity_keys(activities.last().copied(), PAGE)?;
            let more = page.len() == PAGE;
            activities.extend(page);
            if !more {
                break;
            }
        }
        self.find_messages(&activities.iter().map(|(row, _)| *row).collect())?;
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
        self.queue_stored_activities(activities);
        Ok(())
    }
}

/// Returns the path of a hub's file.
pub fn path_of(engine: &Engine, name: &str) -> PathBuf {
    engine.directory().join("hubs").join(format!("{name}.redb"))
}

/// Adds advice to the error of a hub that cannot be opened.
fn explain_open_error(name: &str, path: &Path, why: HubError) -> anyhow::Error {
    let advice = match &why {
        HubError::Store(StoreError::Missing { .. }) => format!(
            "restore it from a backup, with the host stopped; or give up its contents: `dacapo serve --recover {name}` creates it \
             anew, empty"
        ),
        HubError::Store(StoreError::Corrupt(_) | StoreError::Backend(_)) => format!(
            "the file {} of the task hub cannot be opened: restore it from a backup, with the host stopped; or give up its \
             contents: move the file away, and `dacapo serve --recover {name}` creates it anew, empty",
            path.display()
        ),
        _ => format!("opening the task hub at {}", path.display()),
    };
    anyhow::Error::from(why).context(advice)
}

/// Creates the file of a hub that was never opened, unless an earlier release has created it. Blocks on the disk.
pub fn create_file(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let path = path_of(engine, name);
    let made = RedbStore::open(&path, engine.store().clone()).map(drop);
    made.with_context(|| format!("creating the file of the task hub at {}", path.display()))
}
