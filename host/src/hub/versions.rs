//! What operators may ask of the versions of an app.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use dacapo_core::{FunctionKind, FunctionName, RuntimeStatus, Timestamp, VersionId};
use dacapo_store::InstanceQuery;

use super::{DeployedApp, Hub, HubError, Inner};

/// Records that are read at once.
pub(super) const PAGE: usize = 1_000;

/// A version of an app, as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionState {
    pub version: VersionId,
    pub label: String,
    pub deployed_at: Timestamp,
    pub active: bool,
    pub weight: u32,
    /// Bytes of the deployed file.
    pub size: u64,
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// Orchestrations that have not ended and run on it.
    pub instances: u64,
}

/// What has changed from one version of an app to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub from: VersionId,
    pub to: VersionId,
    pub added: Vec<(FunctionName, FunctionKind)>,
    pub removed: Vec<(FunctionName, FunctionKind)>,
    /// Functions of another kind than before.
    pub changed: Vec<(FunctionName, FunctionKind, FunctionKind)>,
    pub imports_added: Vec<String>,
    pub imports_removed: Vec<String>,
}

/// What a pruning has removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pruned {
    pub removed: Vec<VersionId>,
    /// Those of them that nothing in this hub refers to any more. Other hubs may have deployed the same file.
    pub unreferenced: Vec<VersionId>,
}

impl Hub {
    /// The versions of an app, oldest first. Reads the records of all instances that have not ended.
    pub fn versions(&self, app: &str) -> Result<Vec<VersionState>, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let running = self.0.running_versions()?;
        let state = versions.all.iter().map(|version| VersionState {
            version: version.version,
            label: version.label.clone(),
            deployed_at: version.deployed_at,
            active: versions.active == Some(version.version),
            weight: version.weight,
            size: version.size,
            functions: version.functions.clone(),
            instances: running.get(&version.version).copied().unwrap_or(0),
        });
        Ok(state.collect())
    }

    /// The version of an app that a label or the beginning of a digest means.
    pub fn find_version(&self, app: &str, version: &str) -> Result<VersionId, HubError> {
        self.0.catalog.versions(app)?.find(app, version)
    }

    /// Lets all new starts go to this version. `FunctionTaken` if another app has its functions by now.
    pub fn activate(&self, app: &str, version: &str) -> Result<DeployedApp, HubError> {
        self.0.catalog.activate(self.0.store.as_ref(), app, version)
    }

    /// Shares new starts out among versions, in proportion to their weights.
    pub fn weigh(&self, app: &str, weights: &[(String, u32)]) -> Result<(), HubError> {
        self.0.catalog.weigh(self.0.store.as_ref(), app, weights)
    }

    /// Removes a version that takes no new starts, and that no instance needs. `VersionInUse` otherwise.
    pub fn remove_version(&self, app: &str, version: &str) -> Result<Pruned, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let found = versions.find(app, version)?;
        let in_use = |why: String| Err(HubError::VersionInUse { app: app.to_owned(), version: found, why });
        if versions.active == Some(found) {
            return in_use("it is the active one".into());
        }
        if versions.get(found).is_some_and(|version| version.weight > 0) {
            return in_use("it has a share of the new starts".into());
        }
        if let Some(instances) = self.0.running_versions()?.get(&found) {
            return in_use(format!("{instances} instances run on it (`dacapo migrate` moves them)"));
        }
        self.0.forget(app, HashSet::from([found]))
    }

    /// Removes every version that takes no new starts, and that no instance needs.
    pub fn prune(&self, app: &str) -> Result<Pruned, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let running = self.0.running_versions()?;
        let idle = versions.all.iter().map(|version| version.version).filter(|version| !running.contains_key(version));
        self.0.forget(app, idle.collect())
    }

    pub fn diff(&self, app: &str, from: &str, to: &str) -> Result<Difference, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let (from, to) = (versions.find(app, from)?, versions.find(app, to)?);
        let functions = |version| versions.get(version).map_or(&[][..], |version| &version.functions[..]);
        let kinds = |version| -> HashMap<String, FunctionKind> {
            functions(version).iter().map(|(name, kind)| (name.folded(), *kind)).collect()
        };
        let (before, after) = (kinds(from), kinds(to));
        let only_in = |of, others: &HashMap<String, FunctionKind>| {
            functions(of).iter().filter(|(name, _)| !others.contains_key(&name.folded())).cloned().collect()
        };
        let changed = functions(to).iter().filter_map(|(name, kind)| {
            let was = before.get(&name.folded())?;
            (was != kind).then(|| (name.clone(), *was, *kind))
        });
        let imports = |version| self.0.shared.runtime().imports(version).map_err(|why| HubError::Unloadable(why.to_string()));
        let (imported, imports) = (imports(from)?, imports(to)?);
        let missing = |from: &[String], others: &[String]| from.iter().filter(|name| !others.contains(name)).cloned().collect();
        Ok(Difference {
            from,
            to,
            added: only_in(to, &before),
            removed: only_in(from, &after),
            changed: changed.collect(),
            imports_added: missing(&imports, &imported),
            imports_removed: missing(&imported, &imports),
        })
    }
}

impl Inner {
    /// How many orchestrations that have not ended run on each version.
    pub(super) fn running_versions(&self) -> Result<BTreeMap<VersionId, u64>, HubError> {
        let mut running = BTreeMap::new();
        let query = InstanceQuery { statuses: living(), ..InstanceQuery::default() };
        let mut after = None;
        loop {
            let page = self.store.instances(&query, after.as_ref(), PAGE)?;
            for version in page.records.iter().filter(|record| !record.id.is_entity()).filter_map(|record| record.version) {
                *running.entry(version).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(running);
            }
        }
    }

    /// Takes versions out of the choice first, and looks then who has chosen one before: that one's file stays.
    fn forget(&self, app: &str, idle: HashSet<VersionId>) -> Result<Pruned, HubError> {
        let (removed, choices) = self.catalog.remove(self.store.as_ref(), app, &idle)?;
        choices.recorded();
        let released = self.release_modules()?;
        let unreferenced = removed.iter().copied().filter(|version| released.contains(version)).collect();
        Ok(Pruned { removed, unreferenced })
    }

    /// Records a version whose file is held, and notes first that the hub needs that.
    pub(super) fn record<T>(&self, version: VersionId, record: impl FnOnce() -> Result<T, HubError>) -> Result<T, HubError> {
        let _alone = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.shared.modules().need(&self.name, &[version])?;
        let recorded = record();
        if recorded.is_err() && !self.catalog.has(version) {
            self.shared.modules().release(&self.name, &noted)?;
        }
        recorded
    }

    /// Notes what the hub does not need any more of what it has needed. Returns that.
    fn release_modules(&self) -> Result<Vec<VersionId>, HubError> {
        let _alone = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.running_versions()?;
        let mut released = self.shared.modules().of(&self.name)?;
        released.retain(|version| !running.contains_key(version) && !self.catalog.has(*version));
        self.shared.modules().release(&self.name, &released)?;
        Ok(released)
    }
}

/// The statuses of instances that have not ended.
pub(super) fn living() -> Vec<RuntimeStatus> {
    RuntimeStatus::ALL.into_iter().filter(|status| !status.is_terminal()).collect()
}
