//! The task hubs of a host: opened when they are needed, closed when nothing happens in them.
//!
//! The control file says which hubs there are. Each has a *place* here, whose lock is held while the hub is opened, closed,
//! changed or deleted; so each of these happens alone, and other hubs do not wait.
//!
//! A hub is opened when a client asks for it, when a timer of it is due ([`alarms`]), and at the start of the host if it had
//! work to do when the former process ended: the control file says `Open` of a hub from before it is opened until after it
//! was closed in good order, and then when its first timer is due.
//!
//! A place keeps the meters of its hub, whether the hub is open or not; what is in them goes to the [`ledger`].

mod alarms;
mod ledger;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dacapo_core::Timestamp;
use dacapo_store::control::{AuditEntry, ControlError, ControlFile, HubRecord, Wake};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::hub::{Gone, Hub, HubError, HubOptions, HubRules, Retention, Shared, Webhook, file_of, now};
use crate::meters::{HubUsage, Meters};
use crate::versioning::VersionRules;
use alarms::Alarms;
use ledger::{Ledger, MeterOf};

/// How long a hub that is asked for waits until another one can be closed, and until its own file is free.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How often closed hubs are opened to remove instances that are old enough.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often it is saved what hubs have used.
const SAVE_USAGE_EVERY: Duration = Duration::from_secs(60);

/// How long a hub whose alarm has come, and that did not open, is left alone.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What a hub may use and reach, from what the administrator says of it.
pub type RulesOf = Box<dyn Fn(&HubRecord) -> anyhow::Result<HubRules> + Send + Sync>;

/// How the hubs of a host are kept.
pub struct HubsOptions {
    pub control: Arc<ControlFile>,
    pub shared: Shared,
    pub rules: RulesOf,
    pub retention: Retention,
    pub webhook: Option<Webhook>,
    pub versions: VersionRules,
    /// How many may be open at once.
    pub open: usize,
    /// How long a hub stays open that has nothing to do.
    pub idle: Duration,
}

/// All task hubs. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Hubs(Arc<Inner>);

struct Inner {
    control: Arc<ControlFile>,
    shared: Shared,
    rules: RulesOf,
    retention: Retention,
    webhook: Option<Webhook>,
    versions: VersionRules,
    open: usize,
    /// One for each hub that may be open.
    seats: Arc<Semaphore>,
    idle: Duration,
    /// By folded name. A place stays, also when its hub is deleted: one that comes after it takes it over.
    places: Mutex<HashMap<String, Arc<Place>>>,
    alarms: Alarms,
    ledger: Ledger,
    closing: watch::Sender<bool>,
    began: Instant,
}

/// Where a hub is when it is open.
struct Place {
    folded: String,
    state: Arc<tokio::sync::Mutex<State>>,
    meters: Arc<Meters>,
    /// When it was last asked for, in milliseconds since the host began.
    used: AtomicU64,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The hub has closed, and somebody may still hold it.
    leaving: Option<Gone>,
}

struct Open {
    hub: Hub,
    gone: Gone,
    /// What was found when it was last seen with nothing to do, and since when that is so.
    quiet: Option<(u64, Instant)>,
    _seat: OwnedSemaphorePermit,
}

/// What a hub has used, and how much it holds.
#[derive(Debug, Clone, Default)]
pub struct HubReport {
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Since then.
    pub usage: HubUsage,
    /// Whether it is in memory at present.
    pub open: bool,
    /// Bytes on disk.
    pub storage_bytes: u64,
    /// Instances of whatever status, entities among them. None: it is closed, and not opened to be counted.
    pub instances: Option<u64>,
}

impl Hubs {
    /// Takes up the hubs: those that were open when the former process ended are opened, in the background. Must be called
    /// within a tokio runtime.
    pub fn open(options: HubsOptions) -> Result<Self, HubError> {
        let HubsOptions { control, shared, rules, retention, webhook, versions, open, idle } = options;
        let hubs = Self(Arc::new(Inner {
            ledger: Ledger::new(control.clone()),
            control,
            shared,
            rules,
            retention,
            webhook,
            versions,
            open,
            seats: Arc::new(Semaphore::new(open)),
            idle,
            places: Mutex::default(),
            alarms: Alarms::default(),
            closing: watch::Sender::new(false),
            began: Instant::now(),
        }));
        let mut unfinished = Vec::new();
        for (hub, wake) in hubs.0.control.wakes()? {
            match wake {
                Wake::Open => unfinished.push(hub),
                Wake::Idle { next_timer } => hubs.0.alarms.set(&hub, next_timer.map(Timestamp)),
            }
        }
        hubs.spawn(|hubs| async move {
            for hub in unfinished {
                hubs.wake(&hub).await;
            }
            loop {
                let hub = hubs.0.alarms.next().await;
                hubs.wake(&hub).await;
            }
        });
        hubs.spawn(|hubs| async move {
            let interval = (hubs.0.idle / 4).clamp(LOOK_AGAIN_AFTER, Duration::from_secs(15));
            loop {
                tokio::time::sleep(interval).await;
                hubs.0.close_quiet_ones().await;
            }
        });
        hubs.spawn(|hubs| async move {
            loop {
                tokio::time::sleep(SAVE_USAGE_EVERY).await;
                hubs.save_usage().await;
            }
        });
        Ok(hubs)
    }

    /// Runs a task until the host stops.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(Self) -> F) {
        let (task, mut closing) = (task(self.clone()), self.0.closing.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }

    /// The hub of this name, opened if need be. It stays open for as long as the handle is kept.
    ///
    /// None: there is none. `Suspended`, `DoesNotOpen`, `TooManyOpen`.
    pub async fn hub(&self, name: &str) -> Result<Option<Hub>, HubError> {
        let folded = name.to_ascii_lowercase();
        let known = self.0.places().get(&folded).cloned();
        let place = match known {
            Some(place) => place,
            // Names that mean nothing are not kept.
            None if self.0.control.hub(name)?.is_none() => return Ok(None),
            None => self.0.place(folded),
        };
        place.used.store(self.0.began.elapsed().as_millis() as u64, Ordering::Relaxed);
        if let Ok(state) = place.state.try_lock()
            && let Some(open) = &state.open
        {
            return Ok(Some(open.hub.clone()));
        }
        // A client that goes away must not leave a hub behind that nobody knows of.
        let inner = self.0.clone();
        let opening = tokio::spawn(async move {
            let mut state = place.state.clone().lock_owned().await;
            inner.opened(&place, &mut state).await
        });
        opening.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// Opens a hub that has work to do. Its own tasks do the rest.
    async fn wake(&self, hub: &str) {
        match self.hub(hub).await {
            Ok(_) | Err(HubError::Suspended { .. } | HubError::ShuttingDown) => {}
            Err(error) => {
                tracing::error!(hub, %error, "the task hub has work to do and cannot be opened; it is tried again");
                self.0.alarms.set(hub, Some(now().plus(TRY_AGAIN_AFTER)));
            }
        }
    }

    /// Makes a hub. `Control(HubExists)`.
    pub async fn create(&self, record: &HubRecord, entry: &AuditEntry) -> Result<(), HubError> {
        Ok(self.0.control.create_hub(record, entry)?)
    }

    /// Changes what the administrator says of a hub, and returns it as it is then. Limits and grants hold at once. One that
    /// is suspended is closed: no turn and no activity begins, and timers wait, until it is resumed. `Control(NoHub)`.
    pub async fn change(&self, name: &str, entry: &AuditEntry, change: impl Fn(&mut HubRecord)) -> Result<HubRecord, HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let mut state = place.state.clone().lock_owned().await;
        let record = self.0.control.change_hub(name, entry, change)?;
        let (inner, changed) = (self.0.clone(), record.clone());
        let applied = tokio::spawn(async move {
            if changed.suspended.is_some() {
                inner.close(&place, &mut state, Duration::ZERO).await
            } else if let Some(open) = &state.open {
                open.hub.change(inner.rules_of(&changed)?);
                Ok(())
            } else {
                // It may have been suspended with work to do.
                inner.opened(&place, &mut state).await.map(drop)
            }
        });
        applied.await.unwrap_or(Err(HubError::ShuttingDown))?;
        Ok(record)
    }

    /// Lets a change beside the record, such as that of a secret, hold at once.
    pub async fn refresh(&self, name: &str) -> Result<(), HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let state = place.state.lock().await;
        if let (Some(open), Some(record)) = (&state.open, self.0.control.hub(name)?) {
            open.hub.change(self.0.rules_of(&record)?);
        }
        Ok(())
    }

    /// Removes a hub with everything in it. `Control(NoHub)`, `DoesNotOpen` if somebody holds its file.
    ///
    /// Its file goes before its record: if the host dies in between, there is an empty hub, and never a new one with the
    /// instances of the former.
    pub async fn delete(&self, name: &str, entry: &AuditEntry) -> Result<(), HubError> {
        let place = self.0.place(name.to_ascii_lowercase());
        let mut state = place.state.clone().lock_owned().await;
        let record = self.0.control.hub(name)?.ok_or_else(|| ControlError::NoHub(name.into()))?;
        let (inner, entry) = (self.0.clone(), entry.clone());
        let deleted = tokio::spawn(async move {
            inner.close(&place, &mut state, Duration::ZERO).await?;
            state.has_left(&record.name).await?;
            inner.alarms.set(&place.folded, None);
            match std::fs::remove_file(file_of(&inner.shared, &record.name)) {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    let why = format!("its file cannot be removed: {why}");
                    return Err(HubError::DoesNotOpen { hub: record.name, why });
                }
                Ok(()) | Err(_) => {}
            }
            let modules = inner.shared.modules().of(&record.name)?;
            let delete = |control: &ControlFile| control.delete_hub(&record.name, &entry);
            inner.ledger.forget(&place.folded, &place.meters, delete)?;
            let collecting = inner.shared.modules().clone();
            // Nobody waits for that.
            tokio::task::spawn_blocking(move || collecting.collect(&modules));
            Ok(())
        });
        deleted.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// Stops all: running turns are finished and committed, activities get `grace` to end.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.closing.send_replace(true);
        let places: Vec<Arc<Place>> = self.0.places().values().cloned().collect();
        let closing = places.iter().map(|place| async {
            let mut state = place.state.lock().await;
            if let Err(error) = self.0.close(place, &mut state, grace).await {
                tracing::error!(hub = place.folded, %error, "it could not be noted how the task hub was closed");
            }
        });
        futures::future::join_all(closing).await;
        self.save_usage().await;
    }

    /// Saves what hubs have used. What cannot be saved is kept for the next time.
    pub async fn save_usage(&self) {
        let inner = self.0.clone();
        let saved = tokio::task::spawn_blocking(move || inner.ledger.save(&inner.meters())).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "what the task hubs have used could not be saved");
        }
    }

    /// What a hub has used, and how much it holds. It is not opened for that. None: there is none.
    pub async fn report(&self, name: &str) -> Result<Option<HubReport>, HubError> {
        let open = self.0.open_hub(&name.to_ascii_lowercase()).await;
        let (inner, name) = (self.0.clone(), name.to_owned());
        let report = tokio::task::spawn_blocking(move || {
            let Some(record) = inner.control.hub(&name)? else { return Ok(None) };
            let folded = record.name.to_ascii_lowercase();
            let place = inner.places().get(&folded).cloned();
            let usage = inner.ledger.of(&folded, place.as_ref().map(|place| place.meters.as_ref()))?;
            Ok(Some(inner.report(record, usage, open.as_ref())?))
        });
        report.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// The same of all hubs, by name.
    pub async fn reports(&self) -> Result<Vec<HubReport>, HubError> {
        let mut open = HashMap::new();
        let places: Vec<Arc<Place>> = self.0.places().values().cloned().collect();
        for place in places {
            open.extend(place.hub().await.map(|hub| (place.folded.clone(), hub)));
        }
        let inner = self.0.clone();
        let reports = tokio::task::spawn_blocking(move || {
            let mut usages = inner.ledger.all(&inner.meters())?;
            let reports = inner.control.hubs(None, usize::MAX)?.into_iter().map(|record| {
                let folded = record.name.to_ascii_lowercase();
                inner.report(record, usages.remove(&folded).unwrap_or_default(), open.get(&folded))
            });
            reports.collect()
        });
        reports.await.unwrap_or(Err(HubError::ShuttingDown))
    }
}

impl Inner {
    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Place>>> {
        self.places.lock().expect("no holder of this lock panics")
    }

    fn place(&self, folded: String) -> Arc<Place> {
        let mut places = self.places();
        let make = |folded: &String| Place {
            folded: folded.clone(),
            state: Arc::default(),
            meters: Arc::default(),
            used: AtomicU64::new(0),
        };
        places.entry(folded).or_insert_with_key(|folded| Arc::new(make(folded))).clone()
    }

    /// The meters of all hubs that this process has had to do with.
    fn meters(&self) -> Vec<MeterOf> {
        self.places().iter().map(|(folded, place)| (folded.clone(), place.meters.clone())).collect()
    }

    /// The hub, if it is open.
    async fn open_hub(&self, folded: &str) -> Option<Hub> {
        let place = self.places().get(folded).cloned()?;
        place.hub().await
    }

    fn report(&self, record: HubRecord, usage: HubUsage, open: Option<&Hub>) -> Result<HubReport, HubError> {
        let (storage_bytes, instances) = match open {
            Some(hub) => hub.stats().map(|stats| (stats.bytes, Some(stats.instances)))?,
            // A hub that was never opened has no file.
            None => (std::fs::metadata(file_of(&self.shared, &record.name)).map_or(0, |file| file.len()), None),
        };
        let HubRecord { name, created_at, .. } = record;
        Ok(HubReport { name, created_at, usage, open: open.is_some(), storage_bytes, instances })
    }

    fn rules_of(&self, record: &HubRecord) -> Result<HubRules, HubError> {
        let does_not = |why| HubError::DoesNotOpen { hub: record.name.clone(), why: format!("{why:#}") };
        (self.rules)(record).map_err(does_not)
    }

    /// The hub in this place, which is open then. Not to be dropped in the middle.
    async fn opened(self: &Arc<Self>, place: &Place, state: &mut State) -> Result<Option<Hub>, HubError> {
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
        let options = HubOptions {
            name: name.clone(),
            rules: self.rules_of(&record)?,
            retention: self.retention,
            webhook: self.webhook.clone(),
            versions: self.versions,
            meters: place.meters.clone(),
        };
        state.has_left(name).await?;
        let seat = self.seat().await?;
        let inner = self.clone();
        let opening = tokio::task::spawn_blocking(move || {
            inner.control.set_wake(&options.name, Wake::Open)?;
            let name = options.name.clone();
            let opened = Hub::open(&inner.shared, options);
            opened.map_err(|why| HubError::DoesNotOpen { hub: name, why: format!("{why:#}") })
        });
        let (hub, gone) = opening.await.unwrap_or(Err(HubError::ShuttingDown))?;
        self.alarms.set(&place.folded, None);
        tracing::debug!(hub = name, "opened");
        state.open = Some(Open { hub: hub.clone(), gone, quiet: None, _seat: seat });
        Ok(Some(hub))
    }

    /// Room for one more open hub: if there is none, the one is closed that was not used for longest and has nothing to do.
    async fn seat(&self) -> Result<OwnedSemaphorePermit, HubError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(seat) = self.seats.clone().try_acquire_owned() {
                return Ok(seat);
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
        let mut places: Vec<Arc<Place>> = self.places().values().cloned().collect();
        places.sort_by_cached_key(|place| place.used.load(Ordering::Relaxed));
        for place in places {
            // Whoever holds it uses it.
            if let Ok(mut state) = place.state.clone().try_lock_owned()
                && state.open.as_ref().is_some_and(|open| open.nothing_to_do().is_some())
            {
                return self.close_quietly(&place, &mut state).await;
            }
        }
        false
    }

    async fn close_quiet_ones(&self) {
        let places: Vec<Arc<Place>> = self.places().values().cloned().collect();
        for place in places {
            let Ok(mut state) = place.state.clone().try_lock_owned() else { continue };
            if self.is_quiet(&place, &mut state) {
                self.close_quietly(&place, &mut state).await;
            }
        }
    }

    /// Whether nothing has happened in the hub for long, and nothing is about to.
    fn is_quiet(&self, place: &Place, state: &mut State) -> bool {
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
        // What cannot be read is no reason to keep the hub open.
        since.elapsed().min(unused) >= self.idle
            && open.hub.next_timer().ok().flatten().is_none_or(|at| at > soon)
            && !open.hub.has_announcements().unwrap_or_default()
    }

    async fn close_quietly(&self, place: &Place, state: &mut OwnedMutexGuard<State>) -> bool {
        let closed = self.close(place, state, Duration::ZERO).await;
        closed
            .inspect_err(|error| tracing::error!(hub = place.folded, %error, "it could not be noted that the task hub is closed"))
            .is_ok()
    }

    /// Closes the hub in this place, if it is open, and notes when it must be opened again.
    async fn close(&self, place: &Place, state: &mut State, grace: Duration) -> Result<(), HubError> {
        let Some(Open { hub, gone, _seat, .. }) = state.open.take() else { return Ok(()) };
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
        Ok(noted.map_err(|_| HubError::ShuttingDown)??)
    }
}

impl Place {
    /// The hub, if it is open. Whoever holds the place for longer opens or closes it.
    async fn hub(&self) -> Option<Hub> {
        let state = tokio::time::timeout(LOOK_AGAIN_AFTER, self.state.lock()).await.ok()?;
        state.open.as_ref().map(|open| open.hub.clone())
    }
}

impl Open {
    /// A number that stays the same while nothing happens in the hub; none if it has something to do or is in use.
    fn nothing_to_do(&self) -> Option<u64> {
        // Handles are made under the lock of the place, or from others: so while this is the only one, it stays so.
        self.hub.idle_since().filter(|_| self.hub.handles() == 1)
    }
}

impl State {
    /// Waits until nothing is left of a hub that was closed: its file can be opened again.
    async fn has_left(&mut self, name: &str) -> Result<(), HubError> {
        let Some(gone) = &mut self.leaving else { return Ok(()) };
        if tokio::time::timeout(PATIENCE, gone.wait()).await.is_err() {
            return Err(HubError::DoesNotOpen { hub: name.to_owned(), why: "somebody still uses it after it was closed".into() });
        }
        self.leaving = None;
        Ok(())
    }
}
