//! Versions that turns need and that are not in memory: they are loaded, and compiled if need be, while the workers go on
//! with other instances.
//!
//! ```text
//!   turn ─▶ InMemory: missing ─▶ put back, as if it had not been ─▶ Tenant::load ─▶ the same turn again
//! ```
//!
//! A turn changes nothing before its commit is saved, so one that has met a missing version can be dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dacapo_core::entity::SharedOperation;
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::{ActivityCall, EntityGuest, Executor, Guest, InstanceId, VersionId};
use dacapo_wasm::Tenant;

use super::Inner;
use super::desk::Envelope;

/// A version that could not be loaded, and why.
type Unloadable = (VersionId, String);

/// Who waits for which version.
#[derive(Default)]
pub(super) struct Loading(Mutex<State>);

#[derive(Default)]
struct State {
    /// With what each one has heard of other versions.
    waiting: HashMap<VersionId, Vec<(InstanceId, Vec<Unloadable>)>>,
    /// What instances hear in their next turn, once: who resumes one lets it be tried again.
    unloadable: HashMap<InstanceId, Vec<Unloadable>>,
}

impl Loading {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs guests of versions that are in memory. Of another one it says that it is missing; what the turn makes of that is
/// to be dropped.
pub(super) struct InMemory<'a> {
    tenant: &'a Tenant,
    unloadable: Vec<Unloadable>,
    missing: OnceLock<VersionId>,
}

impl InMemory<'_> {
    fn require(&self, version: VersionId) -> Result<(), String> {
        if let Some((_, why)) = self.unloadable.iter().find(|(unloadable, _)| *unloadable == version) {
            return Err(why.clone());
        }
        if self.tenant.is_ready(version) {
            return Ok(());
        }
        Err(format!("version {} is not in memory", self.missing.get_or_init(|| version)))
    }
}

impl Executor for InMemory<'_> {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, String> {
        self.require(version)?;
        self.tenant.start(version, execution)
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, String> {
        self.require(version)?;
        self.tenant.start_entity(version, scope)
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        self.tenant.run_activity(version, call, client)
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        self.tenant.run_http(caller, call)
    }
}

impl Inner {
    /// What runs the guests of the next turn of an instance.
    pub(super) fn in_memory(&self, id: &InstanceId) -> InMemory<'_> {
        let unloadable = self.loading.lock().unloadable.remove(id).unwrap_or_default();
        InMemory { tenant: &self.executor, unloadable, missing: OnceLock::new() }
    }

    /// Puts a turn back that has met a missing version, until that is loaded. The envelopes, if none was missing.
    pub(super) fn wait_for_missing(
        self: &Arc<Self>,
        id: &InstanceId,
        executor: InMemory<'_>,
        envelopes: Vec<Envelope>,
    ) -> Option<Vec<Envelope>> {
        let InMemory { unloadable, missing, .. } = executor;
        let Some(version) = missing.into_inner() else { return Some(envelopes) };
        self.desk.put_back(id, envelopes);
        match self.loading.lock().waiting.entry(version) {
            Entry::Occupied(waiting) => {
                waiting.into_mut().push((id.clone(), unloadable));
                return None;
            }
            Entry::Vacant(place) => drop(place.insert(vec![(id.clone(), unloadable)])),
        }
        let (hub, loading) = (self.clone(), self.executor.load(version));
        self.tokio.spawn(async move {
            let loaded = tokio::select! {
                loaded = loading => loaded.map_err(|why| why.to_string()),
                // Its turn is given up.
                () = hub.closed() => Ok(()),
            };
            hub.loaded(version, loaded);
        });
        None
    }

    /// Whoever waited for a version gets its turn.
    fn loaded(self: &Arc<Self>, version: VersionId, loaded: Result<(), String>) {
        let waited = {
            let mut state = self.loading.lock();
            let waited = state.waiting.remove(&version).unwrap_or_default();
            for (id, mut unloadable) in waited.iter().cloned() {
                unloadable.extend(loaded.clone().err().map(|why| (version, why)));
                if !unloadable.is_empty() {
                    state.unloadable.insert(id, unloadable);
                }
            }
            waited
        };
        // Also without messages: an entity may have been at what waits in its inbox.
        waited.iter().for_each(|(id, _)| self.desk.end_turn(id, None, true));
    }
}
