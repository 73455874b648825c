//! What turns wait for before they can run, and the executor of a turn whose version is in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dacapo_core::entity::SharedOperation;
use dacapo_core::execution::Conditions;
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::scripted::Scripted;
use dacapo_core::{ActivityCall, EntityGuest, Executor, Guest, InstanceId, StartError, VersionId};
use dacapo_wasm::{GuestPermit, Tenant};

use crate::engine::memory::Reservation;
use crate::hub::builtin;

/// A version that could not be loaded, and why.
pub(super) type Unloadable = (VersionId, String);

/// The instances that wait for a version, and what the next turns of others have waited for.
#[derive(Default)]
pub(in crate::hub) struct Loading(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    /// By version; each with the other versions that could not be loaded for it.
    pub waiting: HashMap<VersionId, Vec<(InstanceId, Vec<Unloadable>)>>,
    /// The versions that the next turn of an instance cannot load; the turn after that, such as on resume, tries again.
    pub unloadable: HashMap<InstanceId, Vec<Unloadable>>,
    /// The guest permits of the instances' next turns.
    pub permits: HashMap<InstanceId, GuestPermit>,
    /// The reservations that turns have waited for.
    pub reserved: HashMap<InstanceId, Reservation>,
}

impl Loading {
    /// Keeps the reservation that the next turn of an instance has waited for.
    pub fn reserve(&self, id: InstanceId, memory: Reservation) {
        self.lock().reserved.insert(id, memory);
    }

    /// Takes the reservation that the turn of an instance has waited for.
    pub fn reserved(&self, id: &InstanceId) -> Option<Reservation> {
        self.lock().reserved.remove(id)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the guests of one turn, whose versions are in memory.
pub(in crate::hub) struct TurnExecutor<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) built_ins: &'a Scripted,
    pub(super) unloadable: Vec<Unloadable>,
    /// The permit for one guest at a time, kept for the next guest until the turn is over.
    pub(super) permit: Mutex<Option<GuestPermit>>,
}

impl TurnExecutor<'_> {
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

impl Executor for TurnExecutor<'_> {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        match version {
            builtin::VERSION => self.built_ins.start(version, execution),
            version => self.tenant.start_in(self.permit(version)?, execution),
        }
    }

    fn conditions(&self, version: VersionId) -> Arc<Conditions> {
        match version {
            builtin::VERSION => self.built_ins.conditions(version),
            version => self.tenant.conditions(version),
        }
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        match version {
            builtin::VERSION => self.built_ins.start_entity(version, scope),
            version => self.tenant.start_entity_with(version, scope, || self.permit(version)),
        }
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        self.tenant.run_activity(version, call, client)
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        self.tenant.run_http(caller, call)
    }
}
