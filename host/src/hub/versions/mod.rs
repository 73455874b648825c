//! Operations on the versions of an app.

pub(super) mod app;
pub(super) mod catalog;
pub(super) mod deploy;
pub(super) mod gate;
pub(super) mod locks;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use dacapo_core::{FunctionKind, FunctionName, InstanceRecord, RuntimeStatus, Timestamp, VersionId};
use dacapo_store::{Cursor, InstanceQuery};

use crate::hub::error::{HubError, join_result};
use crate::hub::hub_core::{Hub, HubCore, now};
use crate::hub::versions::catalog::{DeployedApp, RolledBack};

/// Records that are read at once.
pub(in crate::hub) const PAGE: usize = 1_000;

/// The same for reads of clients, for which hubs take turns.
pub(in crate::hub) const PAGE_OF_A_CLIENT: usize = 250;

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

/// The versions that were pruned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pruned {
    pub removed: Vec<VersionId>,
    /// Those of them that nothing in this hub refers to any more. Other hubs may have deployed the same file.
    pub unreferenced: Vec<VersionId>,
}

/// What was removed with an app.
#[derive(Debug, Clone, PartialEq)]
pub struct Undeployed {
    pub versions: Pruned,
    /// Orchestrations.
    pub terminated: u64,
    /// Entities.
    pub purged: u64,
}

impl Hub {
    /// Changes what is deployed, on a thread that may block on the disk and on turns. A hub has one such change at a time.
    pub async fn change_versions<T, E>(&self, change: impl FnOnce(&Hub) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<HubError> + Send + 'static,
    {
        let alone = self.0.deployment.changing.clone().lock_owned().await;
        let hub = self.clone();
        let changed = self.0.tokio.spawn_blocking(move || {
            // Held to the end, even if the future is dropped.
            let _alone = alone;
            change(&hub)
        });
        join_result(changed.await)?
    }

    /// The versions of an app, oldest first. Reads the records of all instances that have not ended, in slices.
    pub async fn versions(&self, app: &str) -> Result<Vec<VersionState>, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let (mut running, mut after) = (BTreeMap::new(), None);
        loop {
            (running, after) = self.read(move |hub| hub.0.count_running(running, after, PAGE_OF_A_CLIENT)).await?;
            if after.is_none() {
                break;
            }
        }
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

    /// Returns the version of an app that a label or the beginning of a digest names.
    pub fn find_version(&self, app: &str, version: &str) -> Result<VersionId, HubError> {
        self.0.catalog.versions(app)?.find(app, version)
    }

    /// Sends all new starts to this version. `FunctionTaken` if another app has its functions by now.
    pub fn activate(&self, app: &str, version: &str) -> Result<DeployedApp, HubError> {
        let activated = self.0.catalog.activate(self.0.store.as_ref(), app, version, now())?;
        self.0.schedules_follow(activated.changed.then_some(activated.version));
        self.0.wake_messages(self.0.catalog.queues_of(activated.version));
        Ok(activated)
    }

    /// Takes the new starts away from the newest version that gets any. `NoEarlierVersion`
    pub fn roll_back(&self, app: &str) -> Result<RolledBack, HubError> {
        let rolled_back = self.0.catalog.roll_back(self.0.store.as_ref(), app, now())?;
        self.0.schedules_follow(Some(rolled_back.active.version));
        self.0.wake_messages(self.0.catalog.queues_of(rolled_back.active.version));
        Ok(rolled_back)
    }

    /// Divides the new starts among versions, in proportion to their weights.
    pub fn weigh(&self, app: &str, weights: &[(String, u32)]) -> Result<(), HubError> {
        self.0.catalog.weigh(self.0.store.as_ref(), app, weights)
    }

    /// Removes a version that takes no new starts, and that no instance needs. `VersionInUse` otherwise.
    pub fn remove_version(&self, app: &str, version: &str) -> Result<Pruned, HubError> {
        let found = self.idle_version(app, version)?;
        self.0.forget(app, HashSet::from([found]))
    }

    /// Returns the version that [`Hub::remove_version`] would remove, with the same errors.
    pub fn idle_version(&self, app: &str, version: &str) -> Result<VersionId, HubError> {
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
        Ok(found)
    }

    /// Removes every version that takes no new starts, and that no instance needs.
    pub fn prune(&self, app: &str) -> Result<Pruned, HubError> {
        self.0.forget(app, self.idle_versions(app)?.removed.into_iter().collect())
    }

    /// Returns what [`Hub::prune`] would remove.
    pub fn idle_versions(&self, app: &str) -> Result<Pruned, HubError> {
        let versions = self.0.catalog.versions(app)?;
        let running = self.0.running_versions()?;
        let removed: Vec<VersionId> = versions.idle().filter(|version| !running.contains_key(version)).collect();
        Ok(Pruned { unreferenced: removed.clone(), removed })
    }

    /// Removes an app with all of its versions. `AppInUse` while instances need it.
    pub async fn undeploy(&self, app: &str) -> Result<Undeployed, HubError> {
        let app = app.to_owned();
        self.change_versions(move |hub| {
            let app_use = hub.0.catalog.use_of(&app)?;
            let (orchestrations, entities) = hub.0.count_those_who(|record| app_use.is_needed_by(record))?;
            if orchestrations + entities > 0 {
                return Err(HubError::AppInUse { app, orchestrations, entities });
            }
            let versions = hub.0.forget_app(&app)?;
            Ok(Undeployed { versions: hub.0.removed(versions)?, terminated: 0, purged: 0 })
        })
        .await
    }

    /// Removes an app, and ends the instances that need it: orchestrations are terminated, entities purged.
    pub async fn undeploy_with_instances(&self, app: &str) -> Result<Undeployed, HubError> {
        let name = app.to_owned();
        // First, so that no new instance comes to need it.
        let forgetting = self.change_versions(move |hub| {
            let app_use = hub.0.catalog.use_of(&name)?;
            Ok::<_, HubError>((app_use, hub.0.forget_app(&name)?))
        });
        let (app_use, versions) = forgetting.await?;
        let query = InstanceQuery { statuses: living(), ..InstanceQuery::default() };
        let (mut terminated, mut purged) = (0, 0);
        let mut pages = self.0.pages(query);
        while let Some(page) = pages.next().await? {
            for record in page.iter().filter(|record| app_use.is_needed_by(record)) {
                if record.id.is_entity() {
                    purged += self.purge(&record.id).await?;
                    continue;
                }
                match self.terminate(&record.id, &format!("the app '{app}' was removed"), false).await {
                    Ok(()) => terminated += 1,
                    Err(HubError::Ended { .. } | HubError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let versions = self.change_versions(move |hub| hub.0.removed(versions)).await?;
        Ok(Undeployed { versions, terminated, purged })
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
        let imports = |version| self.0.engine.runtime().imports(version).map_err(|why| HubError::Unloadable(why.to_string()));
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

impl HubCore {
    /// Counts the orchestrations that have not ended, by version.
    pub(in crate::hub) fn running_versions(&self) -> Result<BTreeMap<VersionId, u64>, HubError> {
        let (mut running, mut after) = (BTreeMap::new(), None);
        loop {
            (running, after) = self.count_running(running, after, PAGE)?;
            if after.is_none() {
                return Ok(running);
            }
        }
    }

    /// Adds those of one more page, and returns where to continue.
    fn count_running(
        &self,
        mut running: BTreeMap<VersionId, u64>,
        after: Option<Cursor>,
        page: usize,
    ) -> Result<(BTreeMap<VersionId, u64>, Option<Cursor>), HubError> {
        let query = InstanceQuery { statuses: living(), ..InstanceQuery::default() };
        let page = self.store.instances(&query, after.as_ref(), page)?;
        for version in page.records.iter().filter(|record| !record.id.is_entity()).filter_map(|record| record.version) {
            *running.entry(version).or_default() += 1;
        }
        Ok((running, page.next))
    }

    /// Removes versions from the catalog first, then waits for those that chose one before: the file of one that is in use stays.
    fn forget(&self, app: &str, idle: HashSet<VersionId>) -> Result<Pruned, HubError> {
        let (removed, choices) = self.catalog.remove(self.store.as_ref(), app, &idle)?;
        choices.recorded();
        self.removed(removed)
    }

    /// Releases the files of versions that were removed from the catalog, unless they are in use.
    fn removed(&self, removed: Vec<VersionId>) -> Result<Pruned, HubError> {
        let released = self.release_modules()?;
        let unreferenced = removed.iter().copied().filter(|version| released.contains(version)).collect();
        Ok(Pruned { removed, unreferenced })
    }

    /// Removes an app from the catalog, and waits for those that chose one of its versions before. Returns its versions.
    fn forget_app(self: &Arc<Self>, app: &str) -> Result<Vec<VersionId>, HubError> {
        let (versions, choices) = self.catalog.undeploy(self.store.as_ref(), app)?;
        choices.recorded();
        self.schedules_follow(None);
        Ok(versions)
    }

    /// Counts the orchestrations that have not ended, and the entities, for which `wanted` holds.
    fn count_those_who(&self, wanted: impl Fn(&InstanceRecord) -> bool) -> Result<(u64, u64), HubError> {
        let (mut orchestrations, mut entities, mut after) = (0, 0, None);
        let query = InstanceQuery { statuses: living(), ..InstanceQuery::default() };
        loop {
            let page = self.store.instances(&query, after.as_ref(), PAGE)?;
            for record in page.records.iter().filter(|record| wanted(record)) {
                *(if record.id.is_entity() { &mut entities } else { &mut orchestrations }) += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok((orchestrations, entities));
            }
        }
    }

    /// Records versions whose files are held, after it has noted in the control file that the hub needs the files.
    pub(in crate::hub) fn record<T>(
        &self,
        versions: &[VersionId],
        record: impl FnOnce() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let _alone = self.deployment.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let mut noted = self.engine.modules().need(&self.name, versions)?;
        let recorded = record();
        if recorded.is_err() {
            noted.retain(|version| !self.catalog.has(*version));
            self.engine.modules().release(&self.name, &noted)?;
        }
        recorded
    }

    /// Notes in the control file which files the hub no longer needs, and returns them.
    fn release_modules(&self) -> Result<Vec<VersionId>, HubError> {
        let _alone = self.deployment.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.running_versions()?;
        let mut released = self.engine.modules().of(&self.name)?;
        released.retain(|version| !running.contains_key(version) && !self.catalog.has(*version));
        self.engine.modules().release(&self.name, &released)?;
        Ok(released)
    }
}

/// The statuses of instances that have not ended.
pub(in crate::hub) fn living() -> Vec<RuntimeStatus> {
    RuntimeStatus::ALL.into_iter().filter(|status| !status.is_terminal()).collect()
}
