//! The task hubs of a host: opened when they are needed, closed when they are idle.
//!
//! The control file lists the hubs. Each has an *entry* here, whose lock is held while the hub is opened, closed, changed or
//! deleted, so that these exclude each other and other hubs do not wait.
//!
//! A hub is opened when a client asks for it, when a timer of it is due ([`alarms`]), and at the start of the host if it had
//! work to do when the previous process ended: the control file records a hub as `Open` from before it is opened until after
//! it was closed in good order, and then when its first timer is due.
//!
//! An entry keeps the meters of its hub, whether the hub is open or not; the [`ledger`] saves what they count.

mod alarms;
mod ledger;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dacapo_core::{Timestamp, VersionId};
use dacapo_store::control::{AuditEntry, ControlError, ControlFile, HubRecord, Wake};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::directory::{Identity, control_path};
use crate::engine::Engine;
use crate::engine::memory::MemoryBudget;
use crate::engine::panics::restart_on_panic;
use crate::hub::{
    Gone, Hub, HubError, HubOptions, HubRules, Queries, QueueState, Retention, Webhook, create_file, join_result, now, path_of,
};
use crate::meters::{HubUsage, Meters};
use crate::versioning::VersionRules;
use alarms::Alarms;
use ledger::{Ledger, MeterOf};

/// How long opening a hub waits until another one can be closed, and until its own file is free.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it checks meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How often closed hubs are opened to remove instances that are old enough.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often the usage of hubs is saved.
const SAVE_USAGE_EVERY: Duration = Duration::from_secs(60);

/// How often the files in use are checked for having been removed or replaced.
const LOOK_FOR_FILES_EVERY: Duration = Duration::from_secs(2);

/// The delay before opening a hub is tried again after it failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Derives what a hub may use and reach from its record.
pub type RulesOf = Box<dyn Fn(&HubRecord) -> anyhow::Result<HubRules> + Send + Sync>;

/// How the hubs of a host are run.
pub struct HubsOptions {
    pub control: Arc<ControlFile>,
    pub engine: Engine,
    pub rules: RulesOf,
    pub retention: Retention,
    pub webhook: Option<Webhook>,
    pub versions: VersionRules,
    /// Where guests' queries are answered.
    pub queries: Queries,
    /// How many may be open at once.
    pub open: usize,
    /// How long a hub that has nothing to do stays open.
    pub idle: Duration,
}

/// All task hubs. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Hubs(Arc<Inner>);

struct Inner {
    control: Arc<ControlFile>,
    /// Files that must not be removed or replaced: the control file, and the directory of the modules.
    watched: [Identity; 2],
    engine: Engine,
    rules: RulesOf,
    retention: Retention,
    webhook: Option<Webhook>,
    versions: VersionRules,
    queries: Queries,
    open: usize,
    /// One for each hub that may be open.
    open_permits: Arc<Semaphore>,
    idle: Duration,
    /// By folded name. An entry stays when its hub is deleted: a new hub of the same name takes it over.
    places: Mutex<HashMap<String, Arc<HubEntry>>>,
    alarms: Alarms,
    ledger: Ledger,
    closing: watch::Sender<bool>,
    began: Instant,
    /// The number of health probes so far.
    probes: AtomicU64,
}

/// The entry of a hub, whether it is open or not.
struct HubEntry {
    folded: String,
    state: Arc<tokio::sync::Mutex<State>>,
    meters: Arc<Meters>,
    /// When it was last requested, in milliseconds since the host began.
    used: AtomicU64,
    /// Whether it was open since the host has started.
    was_open: AtomicBool,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The hub has been closed, but handles to it may remain.
    leaving: Option<Gone>,
}

struct Open {
    hub: Hub,
    gone: Gone,
    /// Which file was opened.
    file: Identity,
    /// Its state number when it was last seen with nothing to do, and since when it has had that number.
    quiet: Option<(u64, Instant)>,
    _permit: OwnedSemaphorePermit,
}

/// What a hub has used, and how much it holds.
#[derive(Debug, Clone, Default)]
pub struct HubReport {
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// What it has used since then.
    pub usage: HubUsage,
    /// Whether it is in memory at present.
    pub open: bool,
    /// Bytes on disk.
    pub storage_bytes: u64,
    /// Bytes that it holds of the memory budget.
    pub memory_bytes: u64,
    /// Instances in any status, entities included. None: the hub is closed, and is not opened for this.
    pub instances: Option<u64>,
    /// Its queues that have messages or a trigger. Empty if it is closed.
    pub queues: Vec<QueueState>,
}

impl Hubs {
    /// Starts managing the hubs. Those that were open when the previous process ended are opened in the background. Must be
    /// called within a tokio runtime.
    pub fn open(options: HubsOptions) -> Result<Self, HubError> {
        let HubsOptions { control, engine, rules, retention, webhook, versions, queries, open, idle } = options;
        let hubs = Self(Arc::new(Inner {
            ledger: Ledger::new(control.clone()),
            control,
            // Identified now, not at the first check: a file may be gone by then.
            watched: [control_path(engine.directory()), engine.directory().join("modules")].map(|path| Identity::of(&path)),
            engine,
            rules,
            retention,
            webhook,
            versions,
            queries,
            open,
            open_permits: Arc::new(Semaphore::new(open)),
            idle,
            places: Mutex::default(),
            alarms: Alarms::default(),
            closing: watch::Sender::new(false),
            began: Instant::now(),
            probes: AtomicU64::new(0),
        }));
        let mut unfinished = VecDeque::new();
        for (hub, wake) in hubs.0.control.wakes()? {
            match wake {
                Wake::Open => unfinished.push_back(hub),
                Wake::Idle { next_timer } => hubs.0.alarms.set(&hub, next_timer.map(Timestamp)),
            }
        }
        let unfinished = Arc::new(Mutex::new(unfinished));
        hubs.spawn("the loop that opens task hubs", move |hubs| {
            let unfinished = unfinished.clone();
            async move {
                loop {
                    let next = unfinished.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let hub = match next {
                        Some(hub) => hub,
                        None => hubs.0.alarms.next().await,
                    };
                    hubs.wake(&hub).await;
                }
            }
        });
        hubs.spawn("the loop that closes task hubs", |hubs| async move {
            let interval = (hubs.0.idle / 4).clamp(LOOK_AGAIN_AFTER, Duration::from_secs(15));
            loop {
                tokio::time::sleep(interval).await;
                hubs.0.close_quiet_ones().await;
            }
        });
        hubs.spawn("the loop that saves what was used", |hubs| async move {
            loop {
                tokio::time::sleep(SAVE_USAGE_EVERY).await;
                hubs.save_usage().await;
            }
        });
        Ok(hubs)
    }

    /// Runs a loop until the host stops.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, what: &'static str, task: impl Fn(Self) -> F + Send + 'static) {
        let (hubs, mut closing) = (self.clone(), self.0.closing.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = restart_on_panic(what, move || task(hubs.clone())) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }

    /// Returns the hub of this name, and opens it if necessary. It stays open for as long as the handle is kept.
    ///
    /// None: there is no such hub. Errors: `Suspended`, `CannotOpen`, `Closing`, `TooManyOpen`.
    pub async fn hub(&self, name: &str) -> Result<Option<Hub>, HubError> {
        let folded = name.to_ascii_lowercase();
        let known = self.0.places().get(&folded).cloned();
        let place = match known {
            Some(place) => place,
            // Names of hubs that do not exist get no entry.
            None if self.0.control.hub(name)?.is_none() => return Ok(None),
            None => self.0.place(folded),
        };
        place.used.store(self.0.began.elapsed().as_millis() as u64, Ordering::Relaxed);
        if let Ok(state) = place.state.try_lock()
            && let Some(open) = &state.open
        {
            return Ok(Some(open.hub.clone()));
        }
        // A spawned task, because a client that disconnects must not leave an untracked open hub behind.
        let inner = self.0.clone();
        let opening = tokio::spawn(async move {
            let mut state = place.state.clone().lock_owned().await;
            inner.opened(&place, &mut state).await
        });
        join_result(opening.await)?
    }

    /// Whether a request for a hub need not open it: it is open, or is just being opened or closed.
    pub fn is_open(&self, name: &str) -> bool {
        let place = self.0.places().get(&name.to_ascii_lowercase()).cloned();
        place.is_some_and(|place| place.state.try_lock().map_or(true, |state| state.open.is_some()))
    }

    /// Opens a hub that has work to do. Its own tasks do the rest.
    async fn wake(&self, hub: &str) {
        match self.hub(hub).await {
            Ok(_) | Err(HubError::Suspended { .. } | HubError::ShuttingDown) => {}
            Err(error) => {
                tracing::error!(hub, %error, "the task hub has work to do but cannot be opened; it is retried");
                self.0.alarms.set(hub, Some(now().plus(TRY_AGAIN_AFTER)));
            }
        }
    }

    /// Creates a hub. Error: `Control(HubExists)`.
    pub async fn create(&self, record: &HubRecord, entry: &AuditEntry) -> Result<(), HubError> {
        let (record, entry) = (record.clone(), entry.clone());
        self.0.blocking(move |inner| Ok(inner.control.create_hub(&record, &entry)?)).await
    }

    /// Changes the record of a hub, and returns the new one. Limits and grants apply at once. A hub that is suspended is closed:
    /// no turn and no activity begins, and timers wait, until it is resumed. Error: `Control(NoHub)`.
    pub async fn change(
        &self,
        name: &str,
        entry: &AuditEntry,
        change: impl Fn(&mut HubRecord) + Send + 'static,
    ) -> Result<HubRecord, HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let mut state = place.state.clone().lock_owned().await;
        let (of, entry) = (name.to_owned(), entry.clone());
        let record = self.0.blocking(move |inner| Ok(inner.control.change_hub(&of, &entry, change)?)).await?;
        let (inner, changed) = (self.0.clone(), record.clone());
        let applied = tokio::spawn(async move {
            if changed.suspended.is_some() {
                inner.close(&place, &mut state, Duration::ZERO).await
            } else if let Some(open) = &state.open {
                let rules = inner.blocking(move |inner| inner.rules_of(&changed)).await?;
                open.hub.change(rules);
                Ok(())
            } else {
                // It may have been suspended with work to do.
                inner.opened(&place, &mut state).await.map(drop)
            }
        });
        join_result(applied.await)??;
        Ok(record)
    }

    /// Applies a change outside of the record, such as that of a secret, to an open hub at once.
    pub async fn refresh(&self, name: &str) -> Result<(), HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let state = place.state.lock().await;
        let Some(open) = &state.open else { return Ok(()) };
        let name = name.to_owned();
        let rules = self.0.blocking(move |inner| inner.control.hub(&name)?.map(|record| inner.rules_of(&record)).transpose());
        if let Some(rules) = rules.await? {
            open.hub.change(rules);
        }
        Ok(())
    }

    /// Applies a change that concerns all hubs to those that are open. An error is logged.
    pub async fn refresh_all(&self) {
        let names: Vec<String> = self.0.places().keys().cloned().collect();
        for hub in names {
            if let Err(error) = self.refresh(&hub).await {
                tracing::error!(hub, %error, "a change of the settings could not be applied to the task hub");
            }
        }
    }

    /// Removes a hub with everything in it. Errors: `Control(NoHub)`, `Closing` if its file is still in use.
    ///
    /// Its file is removed before its record: if the host dies in between, there is an empty hub, and never a new one with the
    /// instances of the old one.
    pub async fn delete(&self, name: &str, entry: &AuditEntry) -> Result<(), HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let mut state = place.state.clone().lock_owned().await;
        let record = self.0.control.hub(name)?.ok_or_else(|| ControlError::NoHub(name.into()))?;
        let (inner, entry) = (self.0.clone(), entry.clone());
        let deleted = tokio::spawn(async move {
            inner.close(&place, &mut state, Duration::ZERO).await?;
            state.has_left(&record.name).await?;
            inner.alarms.set(&place.folded, None);
            let (collecting, of) = (inner.engine.modules().clone(), place.clone());
            let modules = inner.blocking(move |inner| inner.remove(&of, record, &entry)).await?;
            // The caller does not wait for the files to be removed.
            tokio::task::spawn_blocking(move || collecting.collect(&modules));
            drop(state);
            Ok(())
        });
        join_result(deleted.await)?
    }

    /// Closes all hubs: running turns are finished and committed, activities get `grace` to end.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.closing.send_replace(true);
        let places: Vec<Arc<HubEntry>> = self.0.places().values().cloned().collect();
        let closing = places.iter().map(|place| async {
            let mut state = place.state.lock().await;
            if let Err(error) = self.0.close(place, &mut state, grace).await {
                tracing::error!(hub = place.folded, %error, "the state of the closed task hub could not be recorded");
            }
        });
        futures::future::join_all(closing).await;
        self.save_usage().await;
    }

    /// Resolves with the path of a file in use that was removed or replaced.
    pub async fn vanished(&self) -> PathBuf {
        // Reported only if it is missed twice: its hub may be about to be deleted.
        let mut missed: Option<Identity> = None;
        loop {
            tokio::time::sleep(LOOK_FOR_FILES_EVERY).await;
            let mut files = self.0.watched.to_vec();
            let places: Vec<Arc<HubEntry>> = self.0.places().values().cloned().collect();
            // A hub whose entry is locked is being opened or closed.
            let open = places.iter().filter_map(|place| place.state.try_lock().ok()?.open.as_ref().map(|open| open.file.clone()));
            files.extend(open);
            let looked = tokio::task::spawn_blocking(move || files.into_iter().find(Identity::has_vanished));
            let found = looked.await.ok().flatten().filter(|_| !*self.0.closing.borrow());
            match found {
                Some(file) if missed.as_ref() == Some(&file) => return file.path().to_owned(),
                found => missed = found,
            }
        }
    }

    /// Checks that workers take jobs and that data can be written: probes a worker, and writes to the control file or to an open
    /// hub, each time to another one. May take as long as the jobs that are running.
    pub async fn probe(&self) -> Result<(), HubError> {
        self.0.engine.probe_workers().await;
        let places: Vec<Arc<HubEntry>> = self.0.places().values().cloned().collect();
        let number = self.0.probes.fetch_add(1, Ordering::Relaxed) as usize % (places.len() + 1);
        let hub = match places.get(number) {
            Some(place) => place.hub().await,
            None => None,
        };
        let control = self.0.control.clone();
        let written = tokio::task::spawn_blocking(move || match hub {
            Some(hub) => hub.probe_writer(),
            None => Ok(control.probe()?),
        });
        join_result(written.await)?
    }

    /// Saves what the hubs have used. What cannot be saved is kept for the next attempt.
    pub async fn save_usage(&self) {
        let inner = self.0.clone();
        let saved = tokio::task::spawn_blocking(move || inner.ledger.save(&inner.meters())).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "the usage of the task hubs could not be saved");
        }
    }

    /// The memory budget of the process.
    pub fn memory(&self) -> &MemoryBudget {
        self.0.engine.memory()
    }

    /// Reports what a hub has used and how much it holds. Does not open it. None: there is no such hub.
    pub async fn report(&self, name: &str) -> Result<Option<HubReport>, HubError> {
        let open = self.0.open_hub(&name.to_ascii_lowercase()).await;
        let name = name.to_owned();
        let report = self.0.blocking(move |inner| {
            let Some(record) = inner.control.hub(&name)? else { return Ok(None) };
            let folded = record.name.to_ascii_lowercase();
            let place = inner.places().get(&folded).cloned();
            let usage = inner.ledger.of(&folded, place.as_ref().map(|place| place.meters.as_ref()))?;
            Ok(Some(inner.report(record, usage, open.as_ref())?))
        });
        report.await
    }

    /// Reports the same for all hubs, by name.
    pub async fn reports(&self) -> Result<Vec<HubReport>, HubError> {
        let mut open = HashMap::new();
        let places: Vec<Arc<HubEntry>> = self.0.places().values().cloned().collect();
        for place in places {
            open.extend(place.hub().await.map(|hub| (place.folded.clone(), hub)));
        }
        let reports = self.0.blocking(move |inner| {
            let mut usages = inner.ledger.all(&inner.meters())?;
            let reports = inner.control.hubs(None, usize::MAX)?.into_iter().map(|record| {
                let folded = record.name.to_ascii_lowercase();
                inner.report(record, usages.remove(&folded).unwrap_or_default(), open.get(&folded))
            });
            reports.collect()
        });
        reports.await
    }
}

impl Inner {
    /// Runs work that may block on the disk on a blocking thread, not on one that serves HTTP.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let inner = self.clone();
        join_result(tokio::task::spawn_blocking(move || work(&inner)).await)?
    }

    /// Removes the stored data of a closed hub. Returns the modules that it needed.
    fn remove(&self, place: &HubEntry, record: HubRecord, entry: &AuditEntry) -> Result<Vec<VersionId>, HubError> {
        // A hub with a record but without a wake is an empty one.
        self.control.forget_wake(&record.name)?;
        match std::fs::remove_file(path_of(&self.engine, &record.name)) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                let why = format!("its file cannot be removed: {why}");
                return Err(HubError::CannotOpen { hub: record.name, why });
            }
            Ok(()) | Err(_) => {}
        }
        if let Err(error) = self.engine.runtime().forget_functions(&record.name) {
            tracing::warn!(hub = record.name, %error, "the compiled functions of the deleted task hub cannot be removed");
        }
        let modules = self.engine.modules().of(&record.name)?;
        let delete = |control: &ControlFile| control.delete_hub(&record.name, entry);
        self.ledger.forget(&place.folded, &place.meters, delete)?;
        Ok(modules)
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<HubEntry>>> {
        self.places.lock().expect("no holder of this lock panics")
    }

    fn place(&self, folded: String) -> Arc<HubEntry> {
        let mut places = self.places();
        let make = |folded: &String| HubEntry {
            folded: folded.clone(),
            state: Arc::default(),
            meters: Arc::default(),
            used: AtomicU64::new(0),
            was_open: AtomicBool::new(false),
        };
        places.entry(folded).or_insert_with_key(|folded| Arc::new(make(folded))).clone()
    }

    /// The meters of all hubs that have an entry.
    fn meters(&self) -> Vec<MeterOf> {
        self.places().iter().map(|(folded, place)| (folded.clone(), place.meters.clone())).collect()
    }

    /// The hub, if it is open.
    async fn open_hub(&self, folded: &str) -> Option<Hub> {
        let place = self.places().get(folded).cloned()?;
        place.hub().await
    }

    fn report(&self, record: HubRecord, usage: HubUsage, open: Option<&Hub>) -> Result<HubReport, HubError> {
        let (storage_bytes, instances, queues) = match open {
            Some(hub) => {
                let stats = hub.stats()?;
                (stats.bytes, Some(stats.instances), hub.queues()?)
            }
            // A hub that was never opened has no file.
            None => (std::fs::metadata(path_of(&self.engine, &record.name)).map_or(0, |file| file.len()), None, Vec::new()),
        };
        let HubRecord { name, created_at, .. } = record;
        let memory_bytes = self.engine.memory().account(&name).held() as u64;
        Ok(HubReport { name, created_at, usage, open: open.is_some(), storage_bytes, memory_bytes, instances, queues })
    }

    fn rules_of(&self, record: &HubRecord) -> Result<HubRules, HubError> {
        let does_not = |why| HubError::CannotOpen { hub: record.name.clone(), why: format!("{why:#}") };
        (self.rules)(record).map_err(does_not)
    }

    /// Opens the hub of this entry if it is not open. The future must not be dropped before it completes.
    async fn opened(self: &Arc<Self>, place: &HubEntry, state: &mut State) -> Result<Option<Hub>, HubError> {
        if let Some(open) = &state.open {
            return Ok(Some(open.hub.clone()));
        }
        if *self.closing.borrow() {
            return Err(HubError::ShuttingDown);
        }
        let Some(record) = self.control.hub(&place.folded)? else { return Ok(None) };
        let HubRecord { name, suspended, .. } = &record;
        if let Some(why) = suspended {
            return Err(HubError::Suspended { hub: name.clone(), why: why.clone() });
        }
        state.has_left(name).await?;
        let permit = self.open_permit().await?;
        let (meters, first) = (place.meters.clone(), !place.was_open.load(Ordering::Relaxed));
        let opening = self.blocking(move |inner| {
            let options = HubOptions {
                name: record.name.clone(),
                rules: inner.rules_of(&record)?,
                retention: inner.retention,
                webhook: inner.webhook.clone(),
                versions: inner.versions,
                queries: inner.queries.clone(),
                meters,
                first,
            };
            let name = record.name;
            let fails = |why: anyhow::Error| HubError::CannotOpen { hub: name.clone(), why: format!("{why:#}") };
            // The file is created before that is recorded, and never again afterwards.
            if inner.control.wake(&name)?.is_none() {
                create_file(&inner.engine, &name).map_err(fails)?;
            }
            inner.control.set_wake(&name, Wake::Open)?;
            let opened = Hub::open(&inner.engine, options).map_err(fails)?;
            Ok((opened, Identity::of(&path_of(&inner.engine, &name))))
        });
        let ((hub, gone), file) = opening.await?;
        place.was_open.store(true, Ordering::Relaxed);
        self.alarms.set(&place.folded, None);
        tracing::debug!(hub = hub.name(), "opened");
        state.open = Some(Open { hub: hub.clone(), gone, file, quiet: None, _permit: permit });
        Ok(Some(hub))
    }

    /// Takes a permit for one more open hub. If there is none, closes the least recently used hub that has nothing to do.
    async fn open_permit(&self) -> Result<OwnedSemaphorePermit, HubError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(permit) = self.open_permits.clone().try_acquire_owned() {
                return Ok(permit);
            }
            if self.close_one().await {
                continue;
            }
            if Instant::now() > until {
                return Err(HubError::TooManyOpen(self.open));
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    async fn close_one(&self) -> bool {
        let mut places: Vec<Arc<HubEntry>> = self.places().values().cloned().collect();
        places.sort_by_cached_key(|place| place.used.load(Ordering::Relaxed));
        for place in places {
            // A hub whose entry is locked is in use.
            if let Ok(mut state) = place.state.clone().try_lock_owned()
                && state.open.as_ref().is_some_and(|open| open.nothing_to_do().is_some())
            {
                return self.close_quietly(&place, &mut state).await;
            }
        }
        false
    }

    async fn close_quiet_ones(&self) {
        let places: Vec<Arc<HubEntry>> = self.places().values().cloned().collect();
        for place in places {
            let Ok(mut state) = place.state.clone().try_lock_owned() else { continue };
            if self.is_quiet(&place, &mut state) {
                self.close_quietly(&place, &mut state).await;
            }
        }
    }

    /// Whether nothing has happened in the hub for long, and nothing is due soon.
    fn is_quiet(&self, place: &HubEntry, state: &mut State) -> bool {
        let Some(open) = &mut state.open else { return false };
        let Some(seen) = open.nothing_to_do() else {
            open.quiet = None;
            return false;
        };
        let since = match open.quiet {
            Some((before, since)) if before == seen => since,
            _ => open.quiet.insert((seen, Instant::now())).1,
        };
        let unused = self.began.elapsed().saturating_sub(Duration::from_millis(place.used.load(Ordering::Relaxed)));
        let soon = now().plus(self.idle);
        // A read error is no reason to keep the hub open.
        since.elapsed().min(unused) >= self.idle
            && open.hub.next_timer().ok().flatten().is_none_or(|at| at > soon)
            && !open.hub.has_announcements().unwrap_or_default()
    }

    async fn close_quietly(&self, place: &HubEntry, state: &mut OwnedMutexGuard<State>) -> bool {
        let closed = self.close(place, state, Duration::ZERO).await;
        closed
            .inspect_err(|error| tracing::error!(hub = place.folded, %error, "the closing of the task hub could not be recorded"))
            .is_ok()
    }

    /// Closes the hub of this entry, if it is open, and records when it must be opened again.
    async fn close(&self, place: &HubEntry, state: &mut State, grace: Duration) -> Result<(), HubError> {
        let Some(Open { hub, gone, _permit, .. }) = state.open.take() else { return Ok(()) };
        let was_idle = hub.idle_since().is_some();
        hub.shutdown(grace).await;
        state.leaving = Some(gone);
        tracing::debug!(hub = hub.name(), "closed");
        if !was_idle && hub.is_unfinished()? {
            return Ok(());
        }
        let retention = (self.retention != Retention::default()).then(|| now().plus(RETENTION_INTERVAL));
        let next = [hub.next_timer()?, retention].into_iter().flatten().min();
        self.alarms.set(&place.folded, next);
        let (control, wake) = (self.control.clone(), Wake::Idle { next_timer: next.map(|at| at.0) });
        let name = hub.name().to_owned();
        let noted = tokio::task::spawn_blocking(move || control.set_wake(&name, wake)).await;
        Ok(join_result(noted)??)
    }
}

impl HubEntry {
    /// The hub, if it is open. None also if the entry stays locked, because the hub is being opened or closed.
    async fn hub(&self) -> Option<Hub> {
        let state = tokio::time::timeout(LOOK_AGAIN_AFTER, self.state.lock()).await.ok()?;
        state.open.as_ref().map(|open| open.hub.clone())
    }
}

impl Open {
    /// A number that stays the same while nothing happens in the hub. None if the hub has something to do or is in use.
    fn nothing_to_do(&self) -> Option<u64> {
        // Handles are made under the lock of the entry or from other handles, so while this is the only one, it stays so.
        self.hub.idle_since().filter(|_| self.hub.handles() == 1)
    }
}

impl State {
    /// Waits until nothing of a closed hub is left in memory, so that its file can be opened again.
    async fn has_left(&mut self, name: &str) -> Result<(), HubError> {
        let Some(gone) = &mut self.leaving else { return Ok(()) };
        if tokio::time::timeout(PATIENCE, gone.wait()).await.is_err() {
            return Err(HubError::Closing { hub: name.to_owned() });
        }
        self.leaving = None;
        Ok(())
    }
}
