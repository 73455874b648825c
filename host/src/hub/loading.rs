//! Turns whose guest cannot be started at present: their version is not in memory, or the host has no room for one more guest.
//! The workers go on with other instances while the version is loaded, and compiled if need be, or until guests have left.
//!
//! ```text
//!   turn ─▶ NotLoaded ─▶ put back, as if it had not been ─▶ Tenant::load          ─▶ the same turn again
//!        ─▶ NoRoom    ─▶ put back, as if it had not been ─▶ Tenant::wait_for_seat ─▶ the same turn again, with the seat
//! ```
//!
//! A turn changes nothing before its commit is saved, so one that could not start its guest can be dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dacapo_core::entity::SharedOperation;
use dacapo_core::execution::Conditions;
use dacapo_core::guest::{ActivityFuture, SharedClient, SharedExecution};
use dacapo_core::{ActivityCall, EntityGuest, Executor, Guest, InstanceId, NotNow, StartError, VersionId};
use dacapo_wasm::{LoadError, Seat, Tenant};

use super::desk::Envelope;
use super::panics::caught_async;
use super::{HubError, Inner};

/// A version that could not be loaded, and why.
type Unloadable = (VersionId, String);

/// When a turn is run again for which there was no room though it had a seat.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Who waits for which version, and what those who have waited find.
#[derive(Default)]
pub(super) struct Loading(Mutex<State>);

#[derive(Default)]
struct State {
    /// With what each one has heard of other versions.
    waiting: HashMap<VersionId, Vec<(InstanceId, Vec<Unloadable>)>>,
    /// What instances hear in their next turn, once: who resumes one lets it be tried again.
    unloadable: HashMap<InstanceId, Vec<Unloadable>>,
    /// Of instances whose next turn has room for its guest.
    seats: HashMap<InstanceId, Seat>,
}

impl Loading {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the guests of one turn, of versions that are in memory.
pub(super) struct InMemory<'a> {
    tenant: &'a Tenant,
    unloadable: Vec<Unloadable>,
    /// Room for one guest at a time: it is kept for the next one until the turn is over.
    seat: Mutex<Option<Seat>>,
}

impl InMemory<'_> {
    fn seat(&self, version: VersionId) -> Result<Seat, StartError> {
        if let Some((_, why)) = self.unloadable.iter().find(|(unloadable, _)| *unloadable == version) {
            return Err(StartError::Unable(why.clone()));
        }
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if !seat.as_ref().is_some_and(|seat| seat.is_free_for(version)) {
            *seat = None;
            *seat = Some(self.tenant.seat(version)?);
        }
        Ok(seat.clone().expect("it is there now"))
    }
}

impl Executor for InMemory<'_> {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        self.tenant.start_in(self.seat(version)?, execution)
    }

    fn conditions(&self, version: VersionId) -> Arc<Conditions> {
        self.tenant.conditions(version)
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        self.tenant.start_entity_in(self.seat(version)?, scope)
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, client: SharedClient) -> ActivityFuture {
        self.tenant.run_activity(version, call, client)
    }

    fn run_http(&self, caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        self.tenant.run_http(caller, call)
    }
}

impl Inner {
    /// What runs the guests of the turn of an instance that begins now.
    pub(super) fn in_memory(&self, id: &InstanceId) -> InMemory<'_> {
        let mut state = self.loading.lock();
        let (unloadable, seat) = (state.unloadable.remove(id).unwrap_or_default(), state.seats.remove(id));
        drop(state);
        InMemory { tenant: &self.executor, unloadable, seat: Mutex::new(seat) }
    }

    /// What runs a guest of a version, when the version is loaded and there is room. None: the hub is to close.
    pub(super) async fn seated(&self, version: VersionId) -> Result<Option<InMemory<'_>>, LoadError> {
        let seat = async {
            loop {
                match self.executor.wait_for_seat(version) {
                    Ok(waiting) => {
                        self.shared.room().make_room();
                        return Ok::<Seat, LoadError>(waiting.await);
                    }
                    Err(_) => self.executor.load(version).await?,
                }
            }
        };
        tokio::select! {
            seat = seat => Ok(Some(InMemory { tenant: &self.executor, unloadable: Vec::new(), seat: Mutex::new(Some(seat?)) })),
            () = self.closed() => Ok(None),
        }
    }

    /// Puts a turn back, as if it had not been, until its guest can be started.
    pub(super) fn put_back(self: &Arc<Self>, id: &InstanceId, executor: InMemory<'_>, envelopes: Vec<Envelope>, why: NotNow) {
        self.desk.put_back(id, envelopes);
        let InMemory { unloadable, seat, .. } = executor;
        // With a seat there should have been room: not at once again.
        let had_seat = seat.into_inner().unwrap_or_else(PoisonError::into_inner).is_some();
        match why {
            NotNow::NotLoaded(version) => self.wait_for_version(id, version, unloadable),
            NotNow::Unread => self.try_again_later(id, Vec::new(), &HubError::HistoryChanged(id.clone())),
            NotNow::NoRoom(version) => {
                if !unloadable.is_empty() {
                    self.loading.lock().unloadable.insert(id.clone(), unloadable);
                }
                self.wait_for_seat(id, version, had_seat.then_some(AGAIN_AFTER));
            }
        }
    }

    fn wait_for_seat(self: &Arc<Self>, id: &InstanceId, version: VersionId, after: Option<Duration>) {
        let (hub, id, waiting) = (self.clone(), id.clone(), self.executor.wait_for_seat(version));
        self.shared.room().make_room();
        self.tokio.spawn(async move {
            let seat = async {
                if let Some(after) = after {
                    tokio::time::sleep(after).await;
                }
                // A version that is not in memory any more is loaded by the turn.
                Some(waiting.ok()?.await)
            };
            let seat = tokio::select! {
                seat = seat => seat,
                // Its turn is given up.
                () = hub.closed() => None,
            };
            if let Some(seat) = seat {
                hub.loading.lock().seats.insert(id.clone(), seat);
            }
            hub.desk.end_turn(&id, None, true);
        });
    }

    fn wait_for_version(self: &Arc<Self>, id: &InstanceId, version: VersionId, unloadable: Vec<Unloadable>) {
        match self.loading.lock().waiting.entry(version) {
            Entry::Occupied(waiting) => return waiting.into_mut().push((id.clone(), unloadable)),
            Entry::Vacant(place) => drop(place.insert(vec![(id.clone(), unloadable)])),
        }
        let (hub, loading) = (self.clone(), self.executor.load(version));
        self.tokio.spawn(async move {
            let loaded = tokio::select! {
                loaded = caught_async(loading) => match loaded {
                    Ok(loaded) => loaded.map_err(|why| why.to_string()),
                    Err(panicked) => Err(format!("loading it has failed: {panicked}")),
                },
                // Its turn is given up.
                () = hub.closed() => Ok(()),
            };
            hub.loaded(version, loaded);
        });
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
