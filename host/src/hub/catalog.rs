//! The apps of a hub: which versions exist, which is active, and who holds a function.

use std::collections::HashMap;
use std::sync::RwLock;

use dacapo_core::{FunctionKind, FunctionName, InstanceId, Timestamp, VersionId};
use dacapo_store::{AppVersion, Store};
use dacapo_wasm::{App, Finding};

use super::HubError;

/// A version of an app, as a deployment shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedApp {
    pub app: String,
    pub version: VersionId,
    pub label: String,
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// Whether the deployment made another version the active one.
    pub changed: bool,
    /// What the version imports that traps in an orchestrator or entity. Only after a deployment.
    pub report: Vec<Finding>,
}

/// A version that is about to be deployed.
pub(super) struct Deployment {
    pub app: String,
    pub label: String,
    pub prepared: App,
    /// Bytes of the deployed file.
    pub size: u64,
    pub at: Timestamp,
}

pub(super) struct Catalog(RwLock<State>);

#[derive(Default)]
struct State {
    /// Active versions by app name.
    active: HashMap<String, AppVersion>,
    /// The functions of the active versions by folded name.
    functions: HashMap<String, Holder>,
    /// The activities of every version ever deployed, by folded name: an instance calls those of its own version.
    activities: HashMap<VersionId, Vec<String>>,
}

struct Holder {
    app: String,
    name: FunctionName,
    kind: FunctionKind,
    version: VersionId,
}

impl Catalog {
    pub fn load(store: &dyn Store) -> Result<Self, HubError> {
        let mut state = State::default();
        for (version, active) in store.apps()? {
            state.add(version, active);
        }
        Ok(Self(RwLock::new(state)))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().expect("no holder of this lock panics")
    }

    pub fn active(&self) -> Vec<DeployedApp> {
        let state = self.read();
        let mut apps: Vec<DeployedApp> = state.active.values().map(|version| deployed(version, false)).collect();
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        apps
    }

    /// The version that a new execution of the orchestrator runs on.
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

    pub fn require_orchestrator(&self, name: &FunctionName) -> Result<(), HubError> {
        if self.orchestrator_version(name).is_some() {
            return Ok(());
        }
        let state = self.read();
        let orchestrators = state.functions.values().filter(|holder| holder.kind == FunctionKind::Orchestrator);
        let mut known: Vec<FunctionName> = orchestrators.map(|holder| holder.name.clone()).collect();
        known.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Err(HubError::UnknownOrchestrator { name: name.clone(), known })
    }

    /// The version whose activity is called: the caller's own if it holds one of that name, otherwise the active one.
    pub fn activity_version(&self, name: &FunctionName, caller: Option<VersionId>) -> Option<VersionId> {
        let state = self.read();
        let name = name.folded();
        let own = caller.filter(|version| state.activities.get(version).is_some_and(|names| names.contains(&name)));
        own.or_else(|| {
            let holder = state.functions.get(&name)?;
            (holder.kind == FunctionKind::Activity).then_some(holder.version)
        })
    }

    /// Records a version and makes it the active one of its app.
    pub fn deploy(&self, store: &dyn Store, deployment: Deployment) -> Result<DeployedApp, HubError> {
        let Deployment { app, label, prepared, size, at } = deployment;
        let mut state = self.0.write().expect("no holder of this lock panics");
        if let Some(current) = state.active.get(&app)
            && current.version == prepared.version
        {
            return Ok(deployed(current, false));
        }
        for (name, _) in &prepared.functions {
            if let Some(holder) = state.functions.get(&name.folded())
                && holder.app != app
            {
                return Err(HubError::FunctionTaken { function: name.clone(), app: holder.app.clone() });
            }
        }
        let App { version, functions, .. } = prepared;
        let version = AppVersion { app, version, deployed_at: at, label, functions, size };
        store.put_app(&version)?;
        let shown = deployed(&version, true);
        state.add(version, true);
        Ok(shown)
    }
}

impl State {
    fn add(&mut self, version: AppVersion, active: bool) {
        let activities = version.functions.iter().filter(|(_, kind)| *kind == FunctionKind::Activity);
        self.activities.insert(version.version, activities.map(|(name, _)| name.folded()).collect());
        if !active {
            return;
        }
        self.functions.retain(|_, holder| holder.app != version.app);
        for (name, kind) in &version.functions {
            let holder = Holder { app: version.app.clone(), name: name.clone(), kind: *kind, version: version.version };
            self.functions.insert(name.folded(), holder);
        }
        self.active.insert(version.app.clone(), version);
    }
}

fn deployed(version: &AppVersion, changed: bool) -> DeployedApp {
    DeployedApp {
        app: version.app.clone(),
        version: version.version,
        label: version.label.clone(),
        functions: version.functions.clone(),
        changed,
        report: Vec::new(),
    }
}
