//! The apps of a hub: which versions exist, which take new starts, and which app holds a function.
//!
//! A version **serves** if it is the active one of its app, or has a weight. Names of functions are unique among the apps
//! that serve.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};

use dacapo_core::turn::NoVersion;
use dacapo_core::{Failure, FunctionKind, FunctionName, InstanceId, InstanceRecord, Timestamp, VersionId};
use dacapo_store::{AppChange, AppVersion, Store};
use dacapo_wasm::{App, Finding, Manifest};
use sha2::{Digest as _, Sha256};

use crate::export::Brought;
use crate::hub::builtin;
use crate::hub::builtin::trigger::Target;
use crate::hub::error::HubError;
use crate::hub::versions::app::Versions;
use crate::limits::HubLimits;
use crate::triggers::bindings::parsed;
use crate::triggers::queue;
use crate::triggers::routes::full_template;
use crate::triggers::routes::prefix_trouble;
use crate::triggers::{Disabled, Parsed, RouteConflict, Routes, Served, Source, StartedBy, Trigger};
use crate::versioning::{self, Match, Naming, VersionRules, label_trouble};

/// A version of an app, as a deployment shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedApp {
    pub app: String,
    pub version: VersionId,
    pub label: String,
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// What starts those of its functions that are triggers.
    pub triggers: Vec<(FunctionName, StartedBy)>,
    /// Whether the deployment changed which versions take new starts.
    pub changed: bool,
    /// Whether it is the active one.
    pub active: bool,
    /// What the version imports that traps in an orchestrator or entity. Only after a deployment.
    pub report: Vec<Finding>,
    /// The label of the version before this deployment, if that was another one.
    pub former_label: Option<String>,
    /// The version that had the label before this deployment, and has none now.
    pub label_taken_from: Option<VersionId>,
    /// Which versions get new starts now. Only after a change.
    pub new_starts: Vec<Share>,
}

/// A version's share of the new starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    pub version: VersionId,
    pub label: String,
    pub percent: f64,
}

/// What a rollback has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledBack {
    /// The version that gets no new starts any more.
    pub from: AppVersion,
    /// The active version now.
    pub active: AppVersion,
    /// Which versions get new starts now.
    pub new_starts: Vec<Share>,
}

/// The share of the new starts that a deployed version gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// It becomes the active version.
    All,
    /// So many of 100. The versions that got them so far, or the active version, which stays active, share the rest.
    Percent(u32),
}

/// A version that is about to be deployed.
pub(in crate::hub) struct Deployment {
    pub app: String,
    pub label: String,
    pub prepared: App,
    /// Bytes of the deployed file.
    pub size: u64,
    pub at: Timestamp,
    pub traffic: Traffic,
}

/// An execution that needs a version.
pub(in crate::hub) struct Beginning<'a> {
    pub name: &'a FunctionName,
    pub id: &'a InstanceId,
    /// The version that the start asks for; empty for none.
    pub asked: &'a str,
    /// The version of the parent that started it.
    pub parent: Option<VersionId>,
}

enum Unserved {
    Unknown,
    Mismatch(String),
}

pub(in crate::hub) struct Catalog {
    rules: VersionRules,
    /// Held while the state is changed, also while the change is being saved.
    changing: Mutex<()>,
    /// Never locked while anything waits for the disk: each start and each turn reads it.
    state: RwLock<State>,
}

/// The versions of an app, and the functions that it holds among those that serve.
pub(in crate::hub) struct AppDependents {
    versions: HashSet<VersionId>,
    /// Folded names.
    functions: HashSet<String>,
}

impl AppDependents {
    /// Whether an instance cannot continue without the app: it runs on one of its versions, or will.
    pub fn is_needed_by(&self, record: &InstanceRecord) -> bool {
        match record.version {
            Some(version) if !record.id.is_entity() => self.versions.contains(&version),
            Some(_) | None => self.functions.contains(&record.name.folded()),
        }
    }
}

/// Held from before a version is looked up until it is recorded what runs on it.
#[derive(Default)]
pub(in crate::hub) struct Choice(OnceLock<mpsc::Sender<Infallible>>);

/// The holders of a [`Choice`] who may have chosen a version before it was removed.
pub(in crate::hub) struct Choices(mpsc::Receiver<Infallible>);

impl Choices {
    /// Blocks this thread until all of them have recorded what they chose.
    pub fn recorded(self) {
        // Nothing is ever sent: the last of them drops the sender.
        let _ = self.0.recv();
    }
}

#[derive(Default)]
struct State {
    /// The one for lookups from now on.
    choice: Arc<Choice>,
    apps: BTreeMap<String, Versions>,
    /// The functions of the versions that serve, by folded name.
    functions: HashMap<String, Holder>,
    /// The functions of every version, by folded name.
    held: HashMap<VersionId, HashMap<String, FunctionKind>>,
    /// The triggers of the active versions, as they were read when these became active.
    parsed: HashMap<VersionId, Parsed>,
    /// Those of the HTTP triggers of the active versions.
    routes: Routes,
    /// The triggers of the active versions, by folded name, and which of them a queue has.
    triggers: HashMap<String, KnownTrigger>,
    queues: BTreeMap<String, FunctionName>,
}

struct KnownTrigger {
    app: String,
    function: FunctionName,
    version: VersionId,
    trigger: Trigger,
}

struct Holder {
    app: String,
    name: FunctionName,
    kind: FunctionKind,
    /// The active version, if that one holds the function.
    version: VersionId,
}

impl Catalog {
    pub fn load(store: &dyn Store, rules: VersionRules) -> Result<Self, HubError> {
        let mut state = State::default();
        for (version, active) in store.apps()? {
            let versions = state.apps.entry(version.app.clone()).or_default();
            versions.active = versions.active.or(active.then_some(version.version));
            versions.all.push(version);
        }
        state.index();
        Ok(Self { rules, changing: Mutex::default(), state: RwLock::new(state) })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of this lock panics")
    }

    /// Locks out all other changes.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change of an app durable, and then visible. `_alone` was locked before the state was read that is changed.
    fn change(&self, _alone: &MutexGuard<'_, ()>, store: &dyn Store, app: &str, after: Versions) -> Result<(), HubError> {
        let Some((after, change)) = self.read().change_to(app, after)? else { return Ok(()) };
        store.change_app(&change)?;
        let mut state = self.write();
        match after.all.is_empty() {
            true => drop(state.apps.remove(app)),
            false => drop(state.apps.insert(app.to_owned(), after)),
        }
        state.index();
        Ok(())
    }

    /// Must be taken before a version is looked up to record that something runs on it. While it is held, a version that is
    /// removed is not taken for unused.
    pub fn choice(&self) -> Arc<Choice> {
        self.read().choice.clone()
    }

    /// The active version of each app.
    pub fn active(&self) -> Vec<DeployedApp> {
        let state = self.read();
        state.apps.values().filter_map(|versions| Some(deployed(versions.active()?, true, false))).collect()
    }

    pub fn versions(&self, app: &str) -> Result<Versions, HubError> {
        self.read().apps.get(app).cloned().ok_or_else(|| HubError::UnknownApp(app.to_owned()))
    }

    pub fn all(&self) -> Vec<(String, Versions)> {
        self.read().apps.iter().map(|(app, versions)| (app.clone(), versions.clone())).collect()
    }

    /// Returns the label of a version; empty if it has none, or is not deployed.
    pub fn label_of(&self, version: VersionId) -> String {
        let state = self.read();
        let known = state.apps.values().find_map(|versions| versions.get(version));
        known.map_or_else(String::new, |version| version.label.clone())
    }

    /// The version that orchestrations have which begin on this one and were started without; empty for none.
    pub fn default_version(&self, version: VersionId) -> String {
        let state = self.read();
        let known = state.apps.values().find_map(|versions| versions.get(version));
        known.map_or_else(String::new, |version| version.versioning.default.clone())
    }

    /// Whether some app has this version, or the host itself.
    pub fn has(&self, version: VersionId) -> bool {
        version == builtin::VERSION || self.read().held.contains_key(&version)
    }

    /// Whether a version holds a function of this kind.
    pub fn holds(&self, version: VersionId, kind: FunctionKind, name: &FunctionName) -> bool {
        self.read().holds(version, kind, &name.folded())
    }

    /// Returns what identifies the instances that need an app.
    pub fn use_of(&self, app: &str) -> Result<AppDependents, HubError> {
        let state = self.read();
        let versions = state.app(app)?.ids().into_iter().collect();
        let functions = state.functions.iter().filter(|(_, holder)| holder.app == app).map(|(folded, _)| folded.clone());
        Ok(AppDependents { versions, functions: functions.collect() })
    }

    /// The active version of the app that holds the orchestrator.
    pub fn orchestrator_version(&self, name: &FunctionName) -> Option<VersionId> {
        self.version_of(name, FunctionKind::Orchestrator)
    }

    /// The version that an entity runs on at present.
    pub fn entity_version(&self, name: &FunctionName) -> Option<VersionId> {
        self.version_of(name, FunctionKind::Entity)
    }

    /// The active trigger of a queue, and what it is.
    pub fn trigger_of_queue(&self, queue: &str) -> Option<(Target, Source)> {
        let state = self.read();
        let function = state.queues.get(queue)?;
        let known = state.triggers.get(&function.folded())?;
        Some((Target { function: function.clone(), version: known.version }, known.trigger.source.clone()))
    }

    /// The active trigger of this name.
    pub fn trigger(&self, name: &FunctionName) -> Option<Target> {
        let state = self.read();
        let known = state.triggers.get(&name.folded())?;
        Some(Target { function: known.function.clone(), version: known.version })
    }

    /// The app of the active trigger of this name, and whether it is disabled.
    pub fn disabled(&self, name: &FunctionName) -> Option<(String, Disabled)> {
        let state = self.read();
        state.triggers.get(&name.folded()).map(|known| (known.app.clone(), known.trigger.disabled.clone()))
    }

    /// What starts the active trigger of this name.
    pub fn source_of(&self, name: &FunctionName) -> Option<Source> {
        self.read().triggers.get(&name.folded()).map(|known| known.trigger.source.clone())
    }

    /// The outputs to queues of the active trigger of this name: the names of the bindings, and the queues.
    pub fn outputs_of(&self, name: &FunctionName) -> Vec<(String, String)> {
        self.read().triggers.get(&name.folded()).map_or_else(Vec::new, |known| known.trigger.queues.clone())
    }

    /// The triggers of a version.
    pub fn triggers_of(&self, version: &AppVersion) -> Parsed {
        self.read().triggers_of(version)
    }

    /// The active versions.
    pub fn active_versions(&self) -> Vec<AppVersion> {
        self.read().apps.values().filter_map(|versions| versions.active().cloned()).collect()
    }

    /// The queues that triggers of an active version take messages of.
    pub fn queues_of(&self, version: VersionId) -> Vec<String> {
        let state = self.read();
        let is_of =
            |function: &FunctionName| state.triggers.get(&function.folded()).is_some_and(|known| known.version == version);
        state.queues.iter().filter(|(_, function)| is_of(function)).map(|(queue, _)| queue.clone()).collect()
    }

    /// The queues that have a trigger.
    pub fn queues(&self) -> Vec<(String, FunctionName)> {
        self.read().queues.iter().map(|(queue, function)| (queue.clone(), function.clone())).collect()
    }

    /// Reads the routes of the HTTP triggers.
    pub fn with_routes<T>(&self, read: impl FnOnce(&Routes) -> T) -> T {
        read(&self.read().routes)
    }

    pub fn require_entity(&self, id: &InstanceId) -> Result<(), HubError> {
        let name = id.entity_name().ok_or_else(|| HubError::NotFound(id.clone()))?;
        // Those of the host have operations of their own in the API.
        if builtin::is_built_in(&name) {
            return Err(HubError::UnknownEntity { name });
        }
        self.entity_version(&name).map(|_| ()).ok_or(HubError::UnknownEntity { name })
    }

    fn version_of(&self, name: &FunctionName, kind: FunctionKind) -> Option<VersionId> {
        if let Some(version) = builtin::version_of(name, kind) {
            return Some(version);
        }
        self.read().functions.get(&name.folded()).filter(|holder| holder.kind == kind).map(|holder| holder.version)
    }

    /// The version that an execution begins on.
    pub fn begins_on(&self, beginning: &Beginning<'_>) -> Result<VersionId, NoVersion> {
        if let Some(version) = builtin::version_of(beginning.name, FunctionKind::Orchestrator) {
            return Ok(version);
        }
        let state = self.read();
        let rules = state.rules_for(beginning.name, self.rules);
        state.choose(rules.r#match, beginning).map_err(|unserved| match (unserved, rules.failure) {
            (Unserved::Unknown, _) => NoVersion::unknown(beginning.name),
            (Unserved::Mismatch(why), versioning::Failure::Reject) => NoVersion::Halts(why),
            (Unserved::Mismatch(why), versioning::Failure::Fail) => {
                NoVersion::Fails(Failure::permanent(Failure::VERSION_MISMATCH, why))
            }
        })
    }

    /// Checks that a start would find a version.
    pub fn require_start(&self, beginning: &Beginning<'_>) -> Result<(), HubError> {
        let state = self.read();
        let rules = state.rules_for(beginning.name, self.rules);
        match state.choose(rules.r#match, beginning) {
            Ok(_) => Ok(()),
            Err(Unserved::Mismatch(why)) => match rules.failure {
                versioning::Failure::Reject => Err(HubError::VersionMismatch(why)),
                versioning::Failure::Fail => Ok(()),
            },
            Err(Unserved::Unknown) => {
                let orchestrators = state.functions.values().filter(|holder| holder.kind == FunctionKind::Orchestrator);
                let mut known: Vec<FunctionName> = orchestrators.map(|holder| holder.name.clone()).collect();
                known.sort_by(|a, b| a.as_str().cmp(b.as_str()));
                Err(HubError::UnknownOrchestrator { name: beginning.name.clone(), known })
            }
        }
    }

    /// The version whose activity is called: the caller's own if it holds one of that name, otherwise the active one.
    pub fn activity_version(&self, name: &FunctionName, caller: Option<VersionId>) -> Option<VersionId> {
        let state = self.read();
        let name = name.folded();
        let own = caller.filter(|version| state.holds(*version, FunctionKind::Activity, &name));
        own.or_else(|| {
            let holder = state.functions.get(&name)?;
            (holder.kind == FunctionKind::Activity).then_some(holder.version)
        })
    }

    /// Records a version, and gives it its share of the new starts.
    pub fn deploy(&self, store: &dyn Store, limits: &HubLimits, deployment: Deployment) -> Result<DeployedApp, HubError> {
        let Deployment { app, label, prepared, size, at, traffic } = deployment;
        let alone = self.alone();
        let state = self.read();
        let versions = state.apps.get(&app).cloned().unwrap_or_default();
        let known = versions.get(prepared.version).cloned();
        if known.is_none() {
            state.require_room(limits, &app, &versions)?;
        }
        let is_active = versions.active == Some(prepared.version);
        let former_label = known.as_ref().map(|known| known.label.clone());
        let label = if label.is_empty() { former_label.clone().unwrap_or_default() } else { label };
        versions.require_label(&app, prepared.version, &label)?;
        let former_label = former_label.filter(|former| !former.is_empty() && *former != label);
        let App { version, functions, triggers, manifest, .. } = prepared;
        let Manifest { http, durable_task, .. } = manifest.unwrap_or_default();
        let route_prefix = http.and_then(|http| http.route_prefix);
        let versioning = durable_task.map(|settings| settings.versioning()).unwrap_or_default();
        let (weight, activated_at) = known.as_ref().map_or((0, None), |known| (known.weight, known.activated_at));
        let deployed_at = known.filter(|_| is_active).map_or(at, |known| known.deployed_at);
        let new = AppVersion {
            app: app.clone(),
            version,
            deployed_at,
            label,
            functions,
            triggers,
            route_prefix,
            versioning,
            size,
            weight,
            activated_at,
        };
        require_triggers(&new)?;
        let mut after = versions.clone();
        let label_taken_from = after.put(new.clone());
        match (traffic, versions.active) {
            _ if is_active => {}
            (Traffic::All, _) | (_, None) => {
                after.unweigh();
                after.activate(version, at);
            }
            (Traffic::Percent(0), Some(_)) if weight == 0 => {}
            (Traffic::Percent(share), Some(_)) => after.give_share(version, share),
        }
        let (active, new_starts) = (after.active == Some(version), new_starts(&after));
        drop(state);
        self.change(&alone, store, &app, after)?;
        Ok(DeployedApp { former_label, label_taken_from, new_starts, ..deployed(&new, active, !is_active) })
    }

    /// Sends all new starts to this version.
    pub fn activate(&self, store: &dyn Store, app: &str, version: &str, at: Timestamp) -> Result<DeployedApp, HubError> {
        let alone = self.alone();
        let mut versions = self.read().app(app)?;
        let version = versions.find(app, version)?;
        let chosen = versions.get(version).expect("it was found").clone();
        let changed = versions.active != Some(version) || versions.all.iter().any(|version| version.weight > 0);
        if changed {
            let since = versions.active().and_then(|active| active.activated_at);
            match chosen.activated_at.is_some() && chosen.activated_at <= since {
                true => versions.go_back(version),
                false => versions.activate(version, at),
            }
            versions.unweigh();
            self.change(&alone, store, app, versions.clone())?;
        }
        Ok(DeployedApp { new_starts: new_starts(&versions), ..deployed(&chosen, true, changed) })
    }

    /// Takes the new starts away from the newest version that gets any.
    pub fn roll_back(&self, store: &dyn Store, app: &str, at: Timestamp) -> Result<RolledBack, HubError> {
        let alone = self.alone();
        let mut versions = self.read().app(app)?;
        let from = versions.roll_back(at).ok_or_else(|| HubError::NoEarlierVersion(app.to_owned()))?;
        let known = |version: Option<VersionId>| version.and_then(|version| versions.get(version)).cloned();
        let rolled_back = RolledBack {
            from: known(Some(from)).expect("it has lost its starts, and stays"),
            active: known(versions.active).expect("a rollback leaves an active version"),
            new_starts: new_starts(&versions),
        };
        self.change(&alone, store, app, versions)?;
        Ok(rolled_back)
    }

    /// Divides the new starts. Versions that are not named get none; if none is named, all go to the active one. `NoWeight`
    pub fn weigh(&self, store: &dyn Store, app: &str, weights: &[(String, u32)]) -> Result<(), HubError> {
        let alone = self.alone();
        let mut versions = self.read().app(app)?;
        if !weights.is_empty() && weights.iter().all(|(_, weight)| *weight == 0) {
            return Err(HubError::NoWeight(app.to_owned()));
        }
        versions.unweigh();
        let mut named: HashMap<VersionId, &str> = HashMap::new();
        for (text, weight) in weights {
            let version = versions.find(app, text)?;
            if let Some(other) = named.insert(version, text) {
                return Err(HubError::NamedTwice { app: app.to_owned(), one: other.to_owned(), other: text.clone() });
            }
            versions.get_mut(version).expect("it was found").weight = *weight;
        }
        self.change(&alone, store, app, versions)
    }

    /// Removes those of these versions that take no new starts. Returns them, and who may have chosen one before.
    pub fn remove(&self, store: &dyn Store, app: &str, idle: &HashSet<VersionId>) -> Result<(Vec<VersionId>, Choices), HubError> {
        let alone = self.alone();
        let versions = self.read().app(app)?;
        let gone: Vec<VersionId> = versions.idle().filter(|version| idle.contains(version)).collect();
        let mut after = versions.clone();
        after.all.retain(|known| !gone.contains(&known.version));
        self.change(&alone, store, app, after)?;
        Ok((gone, self.write().new_choice()))
    }

    /// Removes an app. Returns its versions, and who may have chosen one of them before.
    pub fn undeploy(&self, store: &dyn Store, app: &str) -> Result<(Vec<VersionId>, Choices), HubError> {
        let alone = self.alone();
        let versions = self.read().app(app)?.ids();
        self.change(&alone, store, app, Versions::default())?;
        Ok((versions, self.write().new_choice()))
    }

    /// Records versions of an app that another hub had deployed, and returns those that are new here. Their shares of the new
    /// starts are taken over if the app is new here and its active version is among them. Otherwise these versions get none.
    pub fn deploy_brought(
        &self,
        store: &dyn Store,
        limits: &HubLimits,
        app: &str,
        brought: &[Brought],
    ) -> Result<Vec<VersionId>, HubError> {
        let alone = self.alone();
        let versions = self.read().apps.get(app).cloned().unwrap_or_default();
        let mut after = versions.clone();
        let active = brought.iter().find(|brought| brought.active).map(|brought| brought.version.version);
        let routed = versions.active.is_none() && active.is_some();
        for Brought { version, .. } in brought.iter().filter(|brought| versions.get(brought.version.version).is_none()) {
            self.read().require_room(limits, app, &after)?;
            let (weight, activated_at) = if routed { (version.weight, version.activated_at) } else { (0, None) };
            // A label that a version has here already is not taken from it, and one that is not valid here is left out.
            let is_taken = after.all.iter().any(|known| Naming::new(&version.label).is_label(&known.label));
            let stays = is_taken || label_trouble(&version.label).is_some();
            let label = if stays { String::new() } else { version.label.clone() };
            after.all.push(AppVersion { label, weight, activated_at, ..version.clone() });
        }
        let new = after.ids().into_iter().filter(|version| versions.get(*version).is_none()).collect();
        match (active, after.all.last().map(|newest| newest.version)) {
            (Some(active), _) if routed => after.active = Some(active),
            (None, Some(newest)) if versions.active.is_none() => {
                let at = after.get(newest).expect("it was put there").deployed_at;
                after.activate(newest, at);
            }
            (Some(_) | None, _) => {}
        }
        self.change(&alone, store, app, after)?;
        Ok(new)
    }
}

impl State {
    fn app(&self, app: &str) -> Result<Versions, HubError> {
        self.apps.get(app).cloned().ok_or_else(|| HubError::UnknownApp(app.to_owned()))
    }

    /// Separates lookups from now on from those before, and returns the latter.
    fn new_choice(&mut self) -> Choices {
        let (sender, choices) = mpsc::channel();
        let before = std::mem::take(&mut self.choice);
        before.0.set(sender).expect("it is set once, by whoever takes it out");
        Choices(choices)
    }

    fn require_room(&self, limits: &HubLimits, app: &str, versions: &Versions) -> Result<(), HubError> {
        if versions.all.is_empty() && self.apps.len() as u64 >= limits.apps {
            let what = format!("the task hub has {} apps", self.apps.len());
            return Err(HubError::Limit { limit: "apps", value: limits.apps, what });
        }
        if versions.all.len() as u64 >= limits.versions {
            let what = format!("the app '{app}' has {} versions (`dacapo prune {app}` removes idle ones)", versions.all.len());
            return Err(HubError::Limit { limit: "versions", value: limits.versions, what });
        }
        Ok(())
    }

    /// Returns the sorted versions of an app, and the change to be stored; none if nothing changes. `FunctionTaken`.
    fn change_to(&self, app: &str, mut after: Versions) -> Result<Option<(Versions, AppChange)>, HubError> {
        after.all.sort_by_key(|version| (version.deployed_at, version.version));
        for (name, _) in after.serving().flat_map(|version| &version.functions) {
            if let Some(holder) = self.functions.get(&name.folded())
                && holder.app != app
            {
                return Err(HubError::FunctionTaken { function: name.clone(), app: holder.app.clone() });
            }
        }
        let others = self.apps.iter().filter(|(known, _)| *known != app).filter_map(|(_, versions)| versions.active());
        routes_of(others.chain(after.active()).map(|version| (version, self.triggers_of(version))))?;
        let change = after.since(self.apps.get(app).unwrap_or(&Versions::default()), app);
        let is_so_already = change == AppChange { app: app.to_owned(), ..AppChange::default() };
        Ok((!is_so_already).then_some((after, change)))
    }

    fn index(&mut self) {
        self.functions.clear();
        self.held.clear();
        for (app, versions) in &self.apps {
            for version in &versions.all {
                let functions = version.functions.iter().map(|(name, kind)| (name.folded(), *kind));
                self.held.insert(version.version, functions.collect());
            }
            for version in versions.serving() {
                for (name, kind) in &version.functions {
                    let holder = Holder { app: app.clone(), name: name.clone(), kind: *kind, version: version.version };
                    self.functions.entry(name.folded()).or_insert(holder);
                }
            }
        }
        // What was deployed has been checked. What a newer release has stored may be unknown here: then its routes are not served.
        let active = self.apps.values().filter_map(Versions::active);
        let active: Vec<(&AppVersion, Parsed)> = active.map(|version| (version, self.triggers_of(version))).collect();
        self.routes = routes_of(active.iter().cloned()).unwrap_or_else(|error| {
            tracing::error!(%error, "the HTTP triggers of the task hub cannot be served");
            Routes::default()
        });
        self.triggers.clear();
        self.queues.clear();
        for (version, triggers) in &active {
            for (function, trigger) in triggers.iter() {
                let Ok(trigger) = trigger else { continue };
                if let Some(queue) = queue_of(function, &trigger.source) {
                    self.queues.entry(queue).or_insert_with(|| function.clone());
                }
                let (app, function, version) = (version.app.clone(), function.clone(), version.version);
                let known = KnownTrigger { app, function: function.clone(), version, trigger: trigger.clone() };
                self.triggers.insert(function.folded(), known);
            }
        }
        self.parsed = active.into_iter().map(|(version, triggers)| (version.version, triggers)).collect();
    }

    /// The triggers of a version, read if it is not an active one.
    fn triggers_of(&self, version: &AppVersion) -> Parsed {
        self.parsed.get(&version.version).cloned().unwrap_or_else(|| parsed(&version.triggers))
    }

    fn holds(&self, version: VersionId, kind: FunctionKind, folded: &str) -> bool {
        self.held.get(&version).is_some_and(|functions| functions.get(folded) == Some(&kind))
    }

    /// The rules for starts of an orchestrator: those of its app, or else of the host.
    fn rules_for(&self, orchestrator: &FunctionName, of_host: VersionRules) -> VersionRules {
        let app = self.functions.get(&orchestrator.folded()).and_then(|holder| self.apps.get(&holder.app));
        app.and_then(Versions::active).map_or(of_host, |active| of_host.of_app(&active.versioning))
    }

    fn choose(&self, rule: Match, beginning: &Beginning<'_>) -> Result<VersionId, Unserved> {
        let folded = beginning.name.folded();
        let holds = |version: &AppVersion| self.holds(version.version, FunctionKind::Orchestrator, &folded);
        let asked = Some(beginning.asked).filter(|asked| !asked.is_empty() && rule != Match::None);
        let parent = beginning.parent.filter(|parent| self.holds(*parent, FunctionKind::Orchestrator, &folded));
        if let (Some(parent), None) = (parent, asked) {
            return Ok(parent);
        }
        let serving = self.functions.get(&folded).and_then(|holder| self.apps.get(&holder.app));
        if let Some(asked) = asked {
            let named = |versions: &Versions| match versions.named(asked)[..] {
                [named] if holds(named) => Some(named.version),
                [..] => None,
            };
            let named = match serving {
                Some(versions) => named(versions),
                None => self.apps.values().find_map(named),
            };
            if let Some(version) = named {
                return Ok(version);
            }
        }
        let candidates: Vec<&AppVersion> =
            serving.into_iter().flat_map(Versions::serving).filter(|version| holds(version)).collect();
        if candidates.is_empty() {
            return Err(Unserved::Unknown);
        }
        let taking: Vec<&AppVersion> = match asked {
            Some(asked) => candidates.iter().copied().filter(|version| rule.takes(asked, &version.label)).collect(),
            None => candidates.clone(),
        };
        by_weight(&taking, beginning.id).ok_or_else(|| {
            let labels: Vec<String> = candidates.iter().map(|version| format!("'{}'", version.label)).collect();
            let (name, asked) = (beginning.name, beginning.asked);
            let labels = labels.join(", ");
            Unserved::Mismatch(format!("no deployed version takes '{name}' with the version '{asked}': the app has {labels}"))
        })
    }
}

/// Checks the triggers of a version. `InvalidTrigger`
fn require_triggers(version: &AppVersion) -> Result<(), HubError> {
    let triggers = parsed(&version.triggers);
    let is_http =
        |(_, trigger): &&(FunctionName, Result<Trigger, _>)| matches!(trigger, Ok(Trigger { source: Source::Http(_), .. }));
    if let Some((function, _)) = triggers.iter().find(is_http)
        && let Some(why) = version.route_prefix.as_deref().and_then(prefix_trouble)
    {
        return Err(HubError::InvalidTrigger { function: function.clone(), why });
    }
    routes_of(std::iter::once((version, parsed(&version.triggers)))).map(drop)
}

/// The queue that a trigger is fed from.
fn queue_of(function: &FunctionName, source: &Source) -> Option<String> {
    match source {
        Source::Queue { queue } | Source::EventHub { queue, .. } => Some(queue.clone()),
        Source::EventGrid => Some(queue::of_event_grid(function.as_str())),
        Source::Http(_) | Source::Timer(_) | Source::Manual => None,
    }
}

/// The routes of the HTTP triggers of some versions. `InvalidTrigger`, `RouteTaken`
fn routes_of<'a>(versions: impl Iterator<Item = (&'a AppVersion, Parsed)>) -> Result<Routes, HubError> {
    let (mut routes, mut queues) = (Routes::default(), HashMap::new());
    for (version, triggers) in versions {
        for (function, trigger) in triggers.iter() {
            let invalid = |why: String| HubError::InvalidTrigger { function: function.clone(), why };
            let source = &trigger.as_ref().map_err(|why| invalid(why.to_string()))?.source;
            if let Some(queue) = queue_of(function, source)
                && let Some(other) = queues.insert(queue.clone(), function.clone())
            {
                return Err(invalid(format!("the trigger '{other}' takes the messages of the queue '{queue}' already")));
            }
            let Source::Http(http) = source else { continue };
            let template = full_template(version.route_prefix.as_deref(), function, http);
            let template = template.map_err(|why| invalid(format!("its route '{}' cannot be served: {why}", http.route)))?;
            let served = Served { function: function.clone(), app: version.app.clone(), version: version.version };
            routes.add(template, http.clone(), served).map_err(|RouteConflict { route, function, other }| {
                HubError::RouteTaken { function, route, other: other.function, app: other.app }
            })?;
        }
    }
    Ok(routes.sorted())
}

/// Chooses among versions by weight, the active one first. The choice is the same for the same id, so that an instance that
/// is started again under its id runs on the same code.
fn by_weight(versions: &[&AppVersion], id: &InstanceId) -> Option<VersionId> {
    let total: u64 = versions.iter().map(|version| u64::from(version.weight)).sum();
    if total == 0 {
        return versions.first().map(|version| version.version);
    }
    let digest = Sha256::digest(id.as_str());
    let number = u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
    let mut left = number % total;
    let chosen = versions.iter().find(|version| match left.checked_sub(version.weight.into()) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    chosen.map(|version| version.version)
}

fn new_starts(versions: &Versions) -> Vec<Share> {
    let shares = versions.shares();
    let total: f64 = shares.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let share = |(version, weight): (&AppVersion, u32)| Share {
        version: version.version,
        label: version.label.clone(),
        percent: f64::from(weight) * 100.0 / total,
    };
    shares.into_iter().map(share).collect()
}

/// What starts the triggers of a version.
fn started_by(version: &AppVersion) -> Vec<(FunctionName, StartedBy)> {
    let prefix = version.route_prefix.as_deref();
    let one = |(function, trigger): &(FunctionName, Result<Trigger, _>)| {
        let trigger = trigger.as_ref().ok()?;
        Some((function.clone(), StartedBy::of(function, trigger, prefix)))
    };
    parsed(&version.triggers).iter().filter_map(one).collect()
}

fn deployed(version: &AppVersion, active: bool, changed: bool) -> DeployedApp {
    DeployedApp {
        app: version.app.clone(),
        version: version.version,
        label: version.label.clone(),
        functions: version.functions.clone(),
        triggers: started_by(version),
        changed,
        active,
        report: Vec::new(),
        former_label: None,
        label_taken_from: None,
        new_starts: Vec::new(),
    }
}
