//! The apps of a hub: which versions exist, which take new starts, and who holds a function.
//!
//! A version **serves** if it is the active one of its app, or has a weight. Names of functions are unique among the apps
//! that serve.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};

use dacapo_core::turn::NoVersion;
use dacapo_core::{Failure, FunctionKind, FunctionName, InstanceId, Timestamp, VersionId};
use dacapo_store::{AppChange, AppVersion, Store};
use dacapo_wasm::{App, Finding};
use sha2::{Digest as _, Sha256};

use super::HubError;
use crate::limits::HubLimits;
use crate::versioning::{self, Match, VersionRules, compare};

/// Digits of a digest that name a version, at least.
const DIGEST_DIGITS_MIN: usize = 6;

/// A version of an app, as a deployment shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedApp {
    pub app: String,
    pub version: VersionId,
    pub label: String,
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// Whether the deployment changed which versions take new starts.
    pub changed: bool,
    /// Whether it is the active one.
    pub active: bool,
    /// What the version imports that traps in an orchestrator or entity. Only after a deployment.
    pub report: Vec<Finding>,
}

/// What a new version gets of the new starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// It becomes the active version.
    All,
    /// So many of 100; the active version, which stays that, gets the rest. With 0 nothing changes for the others.
    Percent(u32),
}

/// A version that is about to be deployed.
pub(super) struct Deployment {
    pub app: String,
    pub label: String,
    pub prepared: App,
    /// Bytes of the deployed file.
    pub size: u64,
    pub at: Timestamp,
    pub traffic: Traffic,
}

/// An execution that needs a version.
pub(super) struct Beginning<'a> {
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

pub(super) struct Catalog {
    rules: VersionRules,
    state: RwLock<State>,
}

/// Kept by whoever has looked for a version, until it is recorded what became of that.
#[derive(Default)]
pub(super) struct Choice(OnceLock<mpsc::Sender<Infallible>>);

/// Those who may have chosen a version before it was removed.
pub(super) struct Choices(mpsc::Receiver<Infallible>);

impl Choices {
    /// Waits, on this thread, until all of it is recorded.
    pub fn recorded(self) {
        // Nothing is ever sent: the last of them drops the sender.
        let _ = self.0.recv();
    }
}

#[derive(Default)]
struct State {
    /// Of those who look now.
    choice: Arc<Choice>,
    apps: BTreeMap<String, Versions>,
    /// The functions of the versions that serve, by folded name.
    functions: HashMap<String, Holder>,
    /// The functions of every version, by folded name.
    held: HashMap<VersionId, HashMap<String, FunctionKind>>,
}

/// The versions of one app, in the order of their deployment.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    pub all: Vec<AppVersion>,
    pub active: Option<VersionId>,
}

struct Holder {
    app: String,
    name: FunctionName,
    kind: FunctionKind,
    /// The active version, if that one holds it.
    version: VersionId,
}

impl Versions {
    pub fn get(&self, version: VersionId) -> Option<&AppVersion> {
        self.all.iter().find(|known| known.version == version)
    }

    pub fn ids(&self) -> Vec<VersionId> {
        self.all.iter().map(|version| version.version).collect()
    }

    pub fn active(&self) -> Option<&AppVersion> {
        self.active.and_then(|active| self.get(active))
    }

    fn serving(&self) -> impl Iterator<Item = &AppVersion> {
        let others = self.all.iter().filter(|version| version.weight > 0 && Some(version.version) != self.active);
        self.active().into_iter().chain(others)
    }

    /// The version that a label or the beginning of a digest means. A label that more than one has means the newest.
    pub fn find(&self, app: &str, text: &str) -> Result<VersionId, HubError> {
        if let Some(labelled) = self.all.iter().rev().find(|version| !text.is_empty() && version.label == text) {
            return Ok(labelled.version);
        }
        let digits = text.to_ascii_lowercase();
        let is_digest = digits.len() >= DIGEST_DIGITS_MIN && digits.chars().all(|c| c.is_ascii_hexdigit());
        let named = |version: &&AppVersion| is_digest && version.version.to_string().starts_with(&digits);
        let mut found = self.all.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(version), None) => Ok(version.version),
            (Some(_), Some(_)) => Err(HubError::AmbiguousVersion { app: app.to_owned(), version: text.to_owned() }),
            (None, _) => Err(HubError::UnknownVersion { app: app.to_owned(), version: text.to_owned() }),
        }
    }

    /// What the app is after a change.
    fn after(&self, change: &AppChange) -> Self {
        let mut all: Vec<AppVersion> =
            self.all.iter().filter(|version| !change.removed.contains(&version.version)).cloned().collect();
        for put in &change.put {
            match all.iter_mut().find(|version| version.version == put.version) {
                Some(version) => *version = put.clone(),
                None => all.push(put.clone()),
            }
        }
        all.sort_by_key(|version| (version.deployed_at, version.version));
        let active = change.active.or(self.active).filter(|active| all.iter().any(|version| version.version == *active));
        Self { all, active }
    }
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
        Ok(Self { rules, state: RwLock::new(state) })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of this lock panics")
    }

    /// To be taken before a version is looked for, by whoever is about to record that something runs on it: so long, nobody
    /// takes a version that is removed meanwhile for unused.
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

    /// Whether some app has this version.
    pub fn has(&self, version: VersionId) -> bool {
        self.read().held.contains_key(&version)
    }

    /// Whether a version holds a function of this kind.
    pub fn holds(&self, version: VersionId, kind: FunctionKind, name: &FunctionName) -> bool {
        self.read().holds(version, kind, &name.folded())
    }

    /// The active version of the app that holds the orchestrator.
    pub fn orchestrator_version(&self, name: &FunctionName) -> Option<VersionId> {
        self.version_of(name, FunctionKind::Orchestrator)
    }

    /// The version that an entity runs on at present.
    pub fn entity_version(&self, name: &FunctionName) -> Option<VersionId> {
        self.version_of(name, FunctionKind::Entity)
    }

    pub fn require_entity(&self, id: &InstanceId) -> Result<(), HubError> {
        let name = id.entity_name().ok_or_else(|| HubError::NotFound(id.clone()))?;
        self.entity_version(&name).map(|_| ()).ok_or(HubError::UnknownEntity { name })
    }

    fn version_of(&self, name: &FunctionName, kind: FunctionKind) -> Option<VersionId> {
        self.read().functions.get(&name.folded()).filter(|holder| holder.kind == kind).map(|holder| holder.version)
    }

    /// The version that an execution begins on.
    pub fn begins_on(&self, beginning: &Beginning<'_>) -> Result<VersionId, NoVersion> {
        self.read().choose(self.rules.r#match, beginning).map_err(|unserved| match (unserved, self.rules.failure) {
            (Unserved::Unknown, _) => NoVersion::unknown(beginning.name),
            (Unserved::Mismatch(why), versioning::Failure::Reject) => NoVersion::Halts(why),
            (Unserved::Mismatch(why), versioning::Failure::Fail) => {
                NoVersion::Fails(Failure::permanent(Failure::VERSION_MISMATCH, why))
            }
        })
    }

    /// Whether a start would find a version.
    pub fn require_start(&self, beginning: &Beginning<'_>) -> Result<(), HubError> {
        let state = self.read();
        match state.choose(self.rules.r#match, beginning) {
            Ok(_) => Ok(()),
            Err(Unserved::Mismatch(why)) => match self.rules.failure {
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
        let mut state = self.write();
        let versions = state.apps.get(&app).cloned().unwrap_or_default();
        let known = versions.get(prepared.version).cloned();
        if known.is_none() {
            state.require_room(limits, &app, &versions)?;
        }
        let is_active = versions.active == Some(prepared.version);
        let label = match &known {
            Some(known) if label.is_empty() => known.label.clone(),
            _ => label,
        };
        if is_active && known.as_ref().is_some_and(|known| known.label == label) {
            return Ok(deployed(&known.expect("it was looked at"), true, false));
        }
        let App { version, functions, .. } = prepared;
        let weight = known.as_ref().map_or(0, |known| known.weight);
        let deployed_at = if is_active { known.as_ref().map_or(at, |known| known.deployed_at) } else { at };
        let new = AppVersion { app: app.clone(), version, deployed_at, label, functions, size, weight };
        let change = match (traffic, versions.active) {
            _ if is_active => AppChange { put: vec![new.clone()], ..AppChange::default() },
            (Traffic::All, _) | (_, None) => AppChange {
                active: Some(version),
                put: without_weights(&versions, version).chain([AppVersion { weight: 0, ..new.clone() }]).collect(),
                ..AppChange::default()
            },
            (Traffic::Percent(0), _) => AppChange { put: vec![new.clone()], ..AppChange::default() },
            (Traffic::Percent(share), Some(active)) => {
                let others = versions.all.iter().filter(|known| known.version != version);
                let weight = |known: &AppVersion| if known.version == active { 100 - share.min(100) } else { 0 };
                let others = others.map(|known| AppVersion { weight: weight(known), ..known.clone() });
                let put = others.chain([AppVersion { weight: share.min(100), ..new.clone() }]).collect();
                AppChange { put, ..AppChange::default() }
            }
        };
        state.change(store, AppChange { app: app.clone(), ..change })?;
        let active = state.apps.get(&app).is_some_and(|versions| versions.active == Some(version));
        Ok(deployed(&new, active, !is_active))
    }

    /// All new starts go to this version.
    pub fn activate(&self, store: &dyn Store, app: &str, version: &str) -> Result<DeployedApp, HubError> {
        let mut state = self.write();
        let versions = state.app(app)?;
        let version = versions.find(app, version)?;
        let chosen = versions.get(version).expect("it was found").clone();
        let changed = versions.active != Some(version) || versions.all.iter().any(|version| version.weight > 0);
        if changed {
            let put = versions.all.iter().filter(|known| known.weight > 0);
            let put = put.map(|known| AppVersion { weight: 0, ..known.clone() }).collect();
            state.change(store, AppChange { app: app.to_owned(), put, removed: vec![], active: Some(version) })?;
        }
        Ok(deployed(&chosen, true, changed))
    }

    /// Shares the new starts out. Versions that are not named get none; if none gets any, all go to the active one.
    pub fn weigh(&self, store: &dyn Store, app: &str, weights: &[(String, u32)]) -> Result<(), HubError> {
        let mut state = self.write();
        let versions = state.app(app)?;
        let mut wanted: BTreeMap<VersionId, u32> = BTreeMap::new();
        for (text, weight) in weights {
            wanted.insert(versions.find(app, text)?, *weight);
        }
        let weighed = versions.all.iter().map(|known| {
            let weight = wanted.get(&known.version).copied().unwrap_or(0);
            AppVersion { weight, ..known.clone() }
        });
        let put = weighed.collect();
        state.change(store, AppChange { app: app.to_owned(), put, ..AppChange::default() })
    }

    /// Forgets those of these versions that take no new starts. Returns which, and who may have chosen one before.
    pub fn remove(&self, store: &dyn Store, app: &str, idle: &HashSet<VersionId>) -> Result<(Vec<VersionId>, Choices), HubError> {
        let mut state = self.write();
        let versions = state.app(app)?;
        let goes =
            |known: &&AppVersion| known.weight == 0 && Some(known.version) != versions.active && idle.contains(&known.version);
        let gone: Vec<VersionId> = versions.all.iter().filter(goes).map(|known| known.version).collect();
        if !gone.is_empty() {
            let removed = gone.clone();
            state.change(store, AppChange { app: app.to_owned(), removed, ..AppChange::default() })?;
        }
        let (sender, choices) = mpsc::channel();
        let before = std::mem::take(&mut state.choice);
        before.0.set(sender).expect("it is set once, by whoever takes it out");
        Ok((gone, Choices(choices)))
    }

    /// Records what another hub had deployed. It gets no starts, unless it is the first version of its app.
    pub fn adopt(&self, store: &dyn Store, limits: &HubLimits, version: AppVersion) -> Result<bool, HubError> {
        let mut state = self.write();
        let app = version.app.clone();
        let versions = state.apps.get(&app).cloned().unwrap_or_default();
        if versions.get(version.version).is_some() {
            return Ok(false);
        }
        state.require_room(limits, &app, &versions)?;
        let active = versions.active.is_none().then_some(version.version);
        let put = vec![AppVersion { weight: 0, ..version }];
        state.change(store, AppChange { app, put, removed: vec![], active })?;
        Ok(true)
    }
}

impl State {
    fn app(&self, app: &str) -> Result<Versions, HubError> {
        self.apps.get(app).cloned().ok_or_else(|| HubError::UnknownApp(app.to_owned()))
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

    /// Makes a change durable and then seen.
    fn change(&mut self, store: &dyn Store, change: AppChange) -> Result<(), HubError> {
        let after = self.apps.get(&change.app).cloned().unwrap_or_default().after(&change);
        for (name, _) in after.serving().flat_map(|version| &version.functions) {
            if let Some(holder) = self.functions.get(&name.folded())
                && holder.app != change.app
            {
                return Err(HubError::FunctionTaken { function: name.clone(), app: holder.app.clone() });
            }
        }
        store.change_app(&change)?;
        self.apps.insert(change.app, after);
        self.index();
        Ok(())
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
    }

    fn holds(&self, version: VersionId, kind: FunctionKind, folded: &str) -> bool {
        self.held.get(&version).is_some_and(|functions| functions.get(folded) == Some(&kind))
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
            let named = |versions: &Versions| {
                let mut newest_first = versions.all.iter().rev();
                let named = newest_first.find(|version| compare(&version.label, asked).is_eq() && holds(version));
                named.map(|version| version.version)
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
            Unserved::Mismatch(format!("no deployed version takes '{name}' with the version '{asked}': there is {labels}"))
        })
    }
}

/// The choice among versions, the active one first. The same for the same id, so that who starts an instance again under
/// its id meets the same code.
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

/// The versions other than one that have weights, without them.
fn without_weights(versions: &Versions, but: VersionId) -> impl Iterator<Item = AppVersion> {
    let weighed = versions.all.iter().filter(move |known| known.weight > 0 && known.version != but);
    weighed.map(|known| AppVersion { weight: 0, ..known.clone() })
}

fn deployed(version: &AppVersion, active: bool, changed: bool) -> DeployedApp {
    DeployedApp {
        app: version.app.clone(),
        version: version.version,
        label: version.label.clone(),
        functions: version.functions.clone(),
        changed,
        active,
        report: Vec::new(),
    }
}
