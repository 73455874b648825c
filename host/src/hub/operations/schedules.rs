//! Schedules: entities of the host ([`schedule`]), made by clients, and by the deployment of apps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dacapo_core::{
    Delivery, Event, FunctionKind, FunctionName, InstanceId, InstanceRecord, Message, RuntimeStatus, Timestamp, VersionId,
};
use dacapo_store::{AppVersion, InstanceQuery};
use dacapo_wasm::{App, Manifest};
use serde::Serialize;
use uuid::Uuid;

use crate::hub::builtin;
use crate::hub::builtin::schedule::{self, Create, Note, Range, TriggerNow};
use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore, now};
use crate::hub::versions::catalog::Beginning;
use crate::schedules::specification::{TIMER_PREFIX, check_text, is_name};
use crate::schedules::state::{backfilled, by_hand, instance};
use crate::schedules::{InvalidSchedule, Overlap, Plan, Specification, State, Target};
use crate::triggers::bindings::parsed;
use crate::triggers::{Parsed, Source};

/// How many completed runs of timer triggers are kept before the older half of them is removed. They are counted anew when the hub is
/// opened.
const COMPLETED_MAX: usize = 1_000;

/// What the hub keeps in memory of its schedules.
#[derive(Default)]
pub(in crate::hub) struct Schedules {
    /// How many there are, once they were counted.
    count: Mutex<Option<u64>>,
    /// The instances whose end a schedule waits for.
    watched: Mutex<HashMap<InstanceId, InstanceId>>,
    /// Runs of timer triggers that have completed, the oldest first.
    completed: Mutex<Vec<InstanceRecord>>,
    /// Held while those of apps are made and removed.
    of_apps: tokio::sync::Mutex<()>,
}

impl Schedules {
    /// Has a schedule woken when an instance ends.
    pub fn watch(&self, instance: InstanceId, schedule: InstanceId) {
        lock(&self.watched).insert(instance, schedule);
    }
}

/// No holder leaves it half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A schedule that a client makes.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    pub name: String,
    pub specification: Specification,
    pub replace: bool,
}

/// A schedule, as it is now.
#[derive(Debug, Clone)]
pub struct ScheduleState {
    pub name: String,
    pub state: State,
    pub plan: Plan,
    /// Whether a request has made it that it did not exist before.
    pub is_new: bool,
}

/// A run that is asked for by hand.
#[derive(Debug, Clone)]
pub struct TriggerRequest {
    pub name: String,
    /// None: as the schedule has it.
    pub overlap: Option<Overlap>,
}

/// Runs of the past that are asked for.
#[derive(Debug, Clone)]
pub struct Backfill {
    pub name: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub overlap: Overlap,
}

/// The versions whose timer triggers with `runOnStartup` are run now.
#[derive(Debug, Clone, Default)]
pub(in crate::hub) enum Startup {
    #[default]
    Nobody,
    /// It has just become the active one.
    Version(VersionId),
    /// The host has started: those that were active then.
    Host(Vec<VersionId>),
}

impl Startup {
    fn is_of(&self, version: VersionId) -> bool {
        match self {
            Startup::Nobody => false,
            Startup::Version(started) => *started == version,
            Startup::Host(started) => started.contains(&version),
        }
    }
}

/// A schedule that an app has.
struct Wanted {
    app: String,
    /// Whether it is paused when it is made, and why.
    pause: (Option<bool>, Option<String>),
    specification: Specification,
    target: Target,
    run_on_startup: bool,
}

impl Hub {
    /// Makes a schedule, or replaces one. `InvalidSchedule`, `ScheduleExists`, `ScheduleOfApp`, `UnknownOrchestrator`, `Limit`
    pub async fn create_schedule(&self, new: NewSchedule) -> Result<ScheduleState, HubError> {
        let NewSchedule { name, mut specification, replace } = new;
        if !is_name(&name) {
            return Err(InvalidSchedule::new("name", crate::schedules::specification::NAME_RULE).into());
        }
        let plan = specification.new_plan(now())?;
        let (paused, note) = specification.take_pause();
        self.0.check_input(&plan.input)?;
        let id = InstanceId::orchestration(&instance(&name, now()))
            .map_err(|why| InvalidSchedule::new("name", format!("cannot begin the ids of instances: {why}")))?;
        let beginning = Beginning { name: &plan.orchestrator, id: &id, asked: &plan.version, parent: None };
        self.0.catalog.require_start(&beginning)?;
        self.0.check_storage()?;
        let before = self.find_schedule(&name).await?;
        if let Some(app) = before.as_ref().and_then(|before| before.app.clone()) {
            return Err(HubError::ScheduleOfApp { name, app });
        }
        if before.is_some() && !replace {
            return Err(HubError::ScheduleExists(name));
        }
        let (target, made_by) = (Target::Orchestrator, Uuid::new_v4());
        let create = Create { specification, target, app: None, made_by, replace, paused, note };
        self.0.make_schedule(&name, create, before.is_none()).await?;
        let made = self.schedule(&name).await?;
        match made.state.made_by == made_by || replace {
            true => Ok(ScheduleState { is_new: before.is_none(), ..made }),
            false => Err(HubError::ScheduleExists(name)),
        }
    }

    /// `NoSchedule`
    pub async fn schedule(&self, name: &str) -> Result<ScheduleState, HubError> {
        let state = self.find_schedule(name).await?.ok_or_else(|| HubError::NoSchedule(name.to_owned()))?;
        shown(name, state)
    }

    /// The schedule in an instance; none if it is gone.
    pub fn schedule_in(&self, id: &InstanceId) -> Result<Option<ScheduleState>, HubError> {
        let Some(name) = schedule::name_of(id) else { return Ok(None) };
        self.0.schedule_state(id)?.map(|state| shown(name, state)).transpose()
    }

    async fn find_schedule(&self, name: &str) -> Result<Option<State>, HubError> {
        let Some(id) = schedule::instance(name) else { return Ok(None) };
        self.read(move |hub| hub.0.schedule_state(&id)).await
    }

    /// What the ids of the instances of all schedules begin with.
    pub fn schedules_prefix() -> String {
        schedule::prefix()
    }

    /// Stops a schedule from occurring. `NoSchedule`
    pub async fn pause_schedule(&self, name: &str, note: String) -> Result<ScheduleState, HubError> {
        self.note_schedule(name, schedule::PAUSE, note).await
    }

    /// Lets it occur again. `NoSchedule`
    pub async fn resume_schedule(&self, name: &str, note: String) -> Result<ScheduleState, HubError> {
        self.note_schedule(name, schedule::RESUME, note).await
    }

    async fn note_schedule(&self, name: &str, operation: &'static str, note: String) -> Result<ScheduleState, HubError> {
        check_text("note", &note)?;
        self.schedule(name).await?;
        self.0.operate_schedule(name, operation, &Note { note }).await?;
        self.schedule(name).await
    }

    /// Runs a schedule once, now. Returns the id of the instance, and the schedule. `NoSchedule`
    pub async fn trigger_schedule(&self, request: TriggerRequest) -> Result<(InstanceId, ScheduleState), HubError> {
        let TriggerRequest { name, overlap } = request;
        self.schedule(&name).await?;
        self.0.check_storage()?;
        self.0.check_birth()?;
        let at = by_hand(now());
        let id = InstanceId::orchestration(&instance(&name, at)).map_err(|why| HubError::InvalidPayload(why.to_string()))?;
        self.0.operate_schedule(&name, schedule::TRIGGER, &TriggerNow { at: at.0, overlap }).await?;
        Ok((id, self.schedule(&name).await?))
    }

    /// Runs what has occurred in a range of the past, and has not run. Returns how many occurrences that are at most. `NoSchedule`
    pub async fn backfill_schedule(&self, backfill: Backfill) -> Result<usize, HubError> {
        let Backfill { name, from, to, overlap } = backfill;
        let known = self.schedule(&name).await?;
        self.0.check_storage()?;
        let count = known.state.clone().backfill(from, to, overlap, now())?;
        debug_assert_eq!(backfilled(&known.plan, from, to, now()).ok(), Some(count));
        self.0.operate_schedule(&name, schedule::BACKFILL, &Range { from: from.0, to: to.0, overlap }).await?;
        Ok(count)
    }

    /// Removes a schedule. What it has started goes on. `NoSchedule`, `ScheduleOfApp`
    pub async fn delete_schedule(&self, name: &str) -> Result<(), HubError> {
        let known = self.schedule(name).await?;
        if let Some(app) = known.state.app {
            return Err(HubError::ScheduleOfApp { name: name.to_owned(), app });
        }
        self.0.remove_schedule(name).await
    }
}

fn shown(name: &str, state: State) -> Result<ScheduleState, HubError> {
    let plan = state.specification.plan()?;
    Ok(ScheduleState { name: name.to_owned(), state, plan, is_new: false })
}

impl HubCore {
    fn schedule_state(&self, id: &InstanceId) -> Result<Option<State>, HubError> {
        let Some(record) = self.store.instance(id)? else { return Ok(None) };
        let state = self.store.entity(record.row)?.and_then(|entity| entity.state);
        let read = |text: &str| {
            serde_json::from_str(text)
                .map_err(|why| HubError::Internal(format!("the state of the schedule in '{id}' cannot be read: {why}")))
        };
        state.as_deref().map(read).transpose()
    }

    /// Sends an operation to a schedule. Returns once it is durable.
    async fn operate_schedule(&self, name: &str, operation: &'static str, input: &impl Serialize) -> Result<(), HubError> {
        let id = schedule::instance(name).ok_or_else(|| HubError::NoSchedule(name.to_owned()))?;
        let input = serde_json::to_string(input).expect("the input of an operation can be written as JSON").into();
        self.post(&id, Event::OperationRequested { operation: operation.into(), input, caller: None, deliver_at: None }).await
    }

    /// `Limit`
    async fn make_schedule(self: &Arc<Self>, name: &str, create: Create, is_new: bool) -> Result<(), HubError> {
        if !is_new {
            return self.operate_schedule(name, schedule::CREATE, &create).await;
        }
        self.check_birth()?;
        self.count_schedules().await?;
        self.take_room_for_schedule()?;
        let made = self.operate_schedule(name, schedule::CREATE, &create).await;
        if made.is_err() {
            self.release_room_of_schedule();
        }
        made
    }

    async fn remove_schedule(self: &Arc<Self>, name: &str) -> Result<(), HubError> {
        self.operate_schedule(name, schedule::DELETE, &()).await?;
        self.release_room_of_schedule();
        Ok(())
    }

    fn take_room_for_schedule(&self) -> Result<(), HubError> {
        let most = self.rules().limits.schedules;
        let mut count = lock(&self.schedules.count);
        let count = count.get_or_insert(0);
        if *count >= most {
            return Err(HubError::Limit { limit: "schedules", value: most, what: format!("the task hub has {count} schedules") });
        }
        *count += 1;
        Ok(())
    }

    fn release_room_of_schedule(&self) {
        if let Some(count) = lock(&self.schedules.count).as_mut() {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts the schedules, once.
    async fn count_schedules(self: &Arc<Self>) -> Result<u64, HubError> {
        if let Some(count) = *lock(&self.schedules.count) {
            return Ok(count);
        }
        let counted = self.all_schedules(|_, _| Some(())).await?.len() as u64;
        Ok(*lock(&self.schedules.count).get_or_insert(counted))
    }

    /// Reads all schedules, in slices, and keeps what is `wanted` of them.
    async fn all_schedules<T: Send + 'static>(
        self: &Arc<Self>,
        wanted: fn(&str, State) -> Option<T>,
    ) -> Result<Vec<T>, HubError> {
        let mut all = Vec::new();
        let mut pages = self.pages(InstanceQuery { id_prefix: schedule::prefix(), ..InstanceQuery::default() });
        while let Some(page) = pages.next().await? {
            let read = self.read(move |hub| -> Result<_, HubError> {
                let mut found = Vec::new();
                for record in &page {
                    let name = schedule::name_of(&record.id).unwrap_or_default();
                    match hub.schedule_state(&record.id) {
                        Ok(state) => found.extend(state.and_then(|state| wanted(name, state))),
                        Err(error @ HubError::Internal(_)) => tracing::error!(hub = hub.name, %error, "a schedule is left out"),
                        Err(error) => return Err(error),
                    }
                }
                Ok(found)
            });
            all.extend(read.await?);
        }
        Ok(all)
    }

    /// Wakes the schedule that waits for the end of an instance, if there is one.
    pub(in crate::hub) fn schedule_goes_on(&self, ended: &InstanceId) {
        let Some(to) = lock(&self.schedules.watched).remove(ended) else { return };
        let operation = schedule::WAKE.to_owned();
        let event = Event::OperationRequested { operation, input: "null".into(), caller: None, deliver_at: None };
        let message = Message { to, execution: None, sent_at: now(), event };
        self.deliver(Delivery { message, stored: None });
    }

    /// Removes the runs of timer triggers that have completed long ago: nobody else does, and there is one each second of some. Those
    /// that have failed stay.
    pub(in crate::hub) fn timer_has_ended(self: &Arc<Self>, record: &InstanceRecord) {
        let is_run = record.version == Some(builtin::VERSION) && record.id.as_str().starts_with(TIMER_PREFIX);
        if !is_run || record.status != RuntimeStatus::Completed {
            return;
        }
        let mut completed = lock(&self.schedules.completed);
        completed.push(record.clone());
        if completed.len() < COMPLETED_MAX {
            return;
        }
        let old: Vec<InstanceRecord> = completed.drain(..COMPLETED_MAX / 2).collect();
        let hub = self.clone();
        self.tokio.spawn(async move {
            if let Err(error) = hub.remove_ended(old).await {
                tracing::warn!(hub = hub.name, %error, "old runs of timer triggers could not be removed");
            }
        });
    }

    /// Checks the schedules and timer triggers of a version that is about to be deployed.
    ///
    /// `InvalidTrigger`, `ScheduleNotMade`, `ScheduleExists`, `ScheduleOfApp`, `Limit`
    pub(in crate::hub) async fn check_schedules(self: &Arc<Self>, app: &str, prepared: &App) -> Result<(), HubError> {
        let wanted = self.wanted(app, &parsed(&prepared.triggers), prepared.manifest.as_ref())?;
        let mut new = 0;
        for (name, wanted) in &wanted {
            let not_made = |why: String| HubError::ScheduleNotMade { name: name.clone(), why };
            let plan = wanted.specification.new_plan(now()).map_err(|why| match &wanted.target {
                Target::Timer { function, .. } => {
                    let function = FunctionName::new(function).expect("it was described");
                    HubError::InvalidTrigger { function, why: format!("its `schedule` {}", why.why) }
                }
                Target::Orchestrator => not_made(why.to_string()),
            })?;
            self.check_input(&plan.input)?;
            let is_own =
                |(name, kind): &(FunctionName, FunctionKind)| *kind == FunctionKind::Orchestrator && *name == plan.orchestrator;
            if wanted.target == Target::Orchestrator
                && !prepared.functions.iter().any(is_own)
                && self.catalog.orchestrator_version(&plan.orchestrator).is_none()
            {
                return Err(not_made(format!("no app has the orchestrator '{}'", plan.orchestrator)));
            }
            let id = schedule::instance(name).ok_or_else(|| not_made("its name is no key of an entity".into()))?;
            match self.read(move |hub| hub.schedule_state(&id)).await?.map(|state| state.app) {
                None => new += 1,
                Some(None) => return Err(HubError::ScheduleExists(name.clone())),
                Some(Some(other)) if other != app => return Err(HubError::ScheduleOfApp { name: name.clone(), app: other }),
                Some(Some(_)) => {}
            }
        }
        if new > 0 {
            let (count, most) = (self.count_schedules().await?, self.rules().limits.schedules);
            if count.saturating_add(new) > most {
                let what = format!("the task hub has {count} schedules, and the app brings {new} more");
                return Err(HubError::Limit { limit: "schedules", value: most, what });
            }
        }
        Ok(())
    }

    /// The schedules that a version has: those of its manifest, and of its timer triggers. `InvalidTrigger`, `ScheduleNotMade`
    fn wanted(&self, app: &str, triggers: &Parsed, manifest: Option<&Manifest>) -> Result<BTreeMap<String, Wanted>, HubError> {
        let rules = self.rules();
        let granted = rules.of_app(app);
        let policy = granted.narrowed(manifest);
        let setting = |name: &str| policy.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let mut wanted = BTreeMap::new();
        for declared in manifest.map(|manifest| manifest.schedules.as_slice()).unwrap_or_default() {
            let (name, not_made) =
                (declared.name.clone(), |why: String| HubError::ScheduleNotMade { name: declared.name.clone(), why });
            if !is_name(&name) {
                return Err(not_made(format!("its name {}", crate::schedules::specification::NAME_RULE)));
            }
            let read = serde_json::from_value(declared.specification.clone().into());
            let mut specification: Specification = read.map_err(|why| not_made(why.to_string()))?;
            let pause = specification.take_pause();
            let new = Wanted { app: app.to_owned(), pause, specification, target: Target::Orchestrator, run_on_startup: false };
            if wanted.insert(name, new).is_some() {
                return Err(not_made("the manifest has two of this name".into()));
            }
        }
        for (function, trigger) in triggers.iter() {
            let invalid = |why: String| HubError::InvalidTrigger { function: function.clone(), why };
            let trigger = trigger.as_ref().map_err(|why| invalid(why.to_string()))?;
            let Source::Timer(timer) = &trigger.source else { continue };
            if trigger.disabled.holds(function, &granted.environment) {
                continue;
            }
            let specification = timer.specification(setting).map_err(invalid)?;
            let target = Target::Timer { function: function.to_string(), adjust_for_dst: specification.cron.is_some() };
            let pause = (None, None);
            let new = Wanted { app: app.to_owned(), pause, specification, target, run_on_startup: timer.run_on_startup };
            wanted.insert(format!("{TIMER_PREFIX}{}", function.folded()), new);
        }
        Ok(wanted)
    }

    fn wanted_by(&self, version: &AppVersion) -> Result<BTreeMap<String, Wanted>, HubError> {
        let manifest = self.engine.runtime().manifest(version.version).map_err(|why| HubError::Unloadable(why.to_string()))?;
        self.wanted(&version.app, &self.catalog.triggers_of(version), manifest.as_ref().as_ref())
    }

    /// Makes, changes and removes schedules so that they are those of the active versions of the apps.
    pub(in crate::hub) async fn make_schedules_of_apps(self: &Arc<Self>, startup: Startup) -> Result<(), HubError> {
        let _alone = self.schedules.of_apps.lock().await;
        let active = self.catalog.active_versions();
        let reading = self.clone();
        let wanted = self.tokio.spawn_blocking(move || {
            let mut wanted = BTreeMap::new();
            for version in active {
                match reading.wanted_by(&version) {
                    Ok(own) => wanted.extend(own.into_iter().map(|(name, own)| (name, (version.version, own)))),
                    Err(error) => {
                        let (hub, app) = (&reading.name, &version.app);
                        tracing::error!(hub, app, %error, "the schedules of an app stay as they are");
                        return None;
                    }
                }
            }
            Some(wanted)
        });
        let Some(wanted) = crate::hub::join_result(wanted.await)? else { return Ok(()) };
        let existing = self.all_schedules(|name, state| state.app.is_some().then(|| (name.to_owned(), state))).await?;
        let existing: HashMap<String, State> = existing.into_iter().collect();
        for name in existing.keys().filter(|name| !wanted.contains_key(*name)) {
            self.remove_schedule(name).await?;
        }
        for (name, (version, Wanted { app, pause: (paused, note), specification, target, run_on_startup })) in wanted {
            let before = existing.get(&name);
            let is_so = before.is_some_and(|state| {
                state.specification == specification && state.target == target && state.app.as_ref() == Some(&app)
            });
            if !is_so {
                let is_new = before.is_none();
                if is_new
                    && let Some(id) = schedule::instance(&name)
                    && self.schedule_state(&id)?.is_some()
                {
                    tracing::error!(
                        hub = self.name,
                        app,
                        name,
                        "a client has made a schedule of this name: that of the app is left out"
                    );
                    continue;
                }
                let made_by = Uuid::new_v4();
                // An operator's pause survives a deployment.
                let (paused, note) = if is_new { (paused, note) } else { (None, None) };
                let create = Create { specification, target, app: Some(app), made_by, replace: true, paused, note };
                self.make_schedule(&name, create, is_new).await?;
            }
            if run_on_startup && startup.is_of(version) {
                let at = by_hand(now());
                self.operate_schedule(&name, schedule::TRIGGER, &TriggerNow { at: at.0, overlap: None }).await?;
            }
        }
        Ok(())
    }

    /// Does so in the background: a change may have been cut short by a crash.
    pub(in crate::hub) fn spawn_schedules_of_apps(self: &Arc<Self>, startup: Startup) {
        let hub = self.clone();
        self.tokio.spawn(async move {
            match hub.make_schedules_of_apps(startup).await {
                Ok(()) | Err(HubError::ShuttingDown) => {}
                Err(error) => tracing::error!(hub = hub.name, %error, "the schedules of the apps could not be made"),
            }
        });
    }

    /// Does so after a change of the versions that serve, on a thread that may block. `started`: the version that the change has made
    /// the active one. The change itself is done: an error is logged, and what is missing is made when the hub is opened again.
    pub(in crate::hub) fn schedules_follow(self: &Arc<Self>, started: Option<VersionId>) {
        if let Err(error) = self.tokio.block_on(self.make_schedules_of_apps(started.map_or(Startup::Nobody, Startup::Version))) {
            tracing::error!(hub = self.name, %error, "the schedules of the apps could not be made; they are when the hub is opened again");
        }
    }
}
