//! Which versions turns wait for, and what runs the guests of a turn whose version is in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dacapo_core::entity::SharedOperation;
use dacapo_core::execution::Conditions;
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::{ActivityCall, EntityGuest, Executor, Guest, InstanceId, StartError, VersionId};
use dacapo_wasm::{GuestPermit, Tenant};

use crate::engine::memory::Reservation;

/// A version that could not be loaded, and why.
pub(super) type Unloadable = (VersionId, String);

/// Who waits for which version, and what those who have waited find.
#[derive(Default)]
pub(in crate::hub) struct Loading(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    /// With what each one has heard of other versions.
    pub waiting: HashMap<VersionId, Vec<(InstanceId, Vec<Unloadable>)>>,
    /// What instances hear in their next turn, once: who resumes one lets it be tried again.
    pub unloadable: HashMap<InstanceId, Vec<Unloadable>>,
    /// Of instances whose next turn has room for its guest.
    pub permits: HashMap<InstanceId, GuestPermit>,
    /// Memory that turns have waited for.
    pub reserved: HashMap<InstanceId, Reservation>,
}

impl Loading {
    /// Keeps for the next turn of an instance what it has waited for.
    pub fn reserve(&self, id: InstanceId, memory: Reservation) {
        self.lock().reserved.insert(id, memory);
    }

    /// What the turn of an instance has waited for.
    pub fn reserved(&self, id: &InstanceId) -> Option<Reservation> {
        self.lock().reserved.remove(id)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the guests of one turn, of versions that are in memory.
pub(in crate::hub) struct InMemory<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) unloadable: Vec<Unloadable>,
    /// Capacity for one guest at a time: it is kept for the next one until the turn is over.
    pub(super) permit: Mutex<Option<GuestPermit>>,
}

impl InMemory<'_> {
    fn permit(&self, version: VersionId) -> Result<GuestPermit, StartError> {
        if let Some((_, why)) = self.unloadable.iter().find(|(unloadable, _)| *unloadable == version) {
            return Err(StartError::Unable(why.clone()));
        }
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        if !permit.as_ref().is_some_and(|permit| permit.is_free_for(version)) {
            *permit = None;
            *permit = Some(self.tenant.permit(version)?);
        }
        Ok(permit.clone().expect("it is there now"))
    }
}

impl Executor for InMemory<'_> {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        self.tenant.start_in(self.permit(version)?, execution)
    }

    fn conditions(&self, version: VersionId) -> Arc<Conditions> {
        self.tenant.conditions(version)
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        self.tenant.start_entity_in(self.permit(version)?, scope)
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        self.tenant.run_activity(version, call, client)
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        self.tenant.run_http(caller, call)
    }
}
