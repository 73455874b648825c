//! Turns whose guest cannot be started at present: their version is not in memory, or the host has no free slots for the guest.
//! Workers run other instances while the version is loaded, and compiled if necessary, or until other guests are gone.
//!
//! ```text
//!   turn ─▶ NotLoaded ─▶ put back, as if it had not begun ─▶ Tenant::load          ─▶ the same turn again
//!        ─▶ NoRoom    ─▶ put back, as if it had not begun ─▶ Tenant::wait_for_permit ─▶ the same turn again, with the permit
//! ```
//!
//! A turn changes nothing before its commit is saved, so one that could not start its guest can be dropped.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dacapo_core::{InstanceId, NotNow, VersionId};
use dacapo_wasm::{GuestPermit, LoadError};

use crate::engine::panics::caught_async;
use crate::hub::error::HubError;
use crate::hub::hub_core::HubCore;
use crate::hub::mailbox::Envelope;
use crate::hub::turn::turn_executor::{TurnExecutor, Unloadable};

/// How long a turn waits that had a permit, but found no free slots.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

impl HubCore {
    /// Returns the executor for a turn that begins now, with what the instance has waited for.
    pub(in crate::hub) fn in_memory(&self, id: &InstanceId) -> TurnExecutor<'_> {
        let mut state = self.loading.lock();
        let (unloadable, permit) = (state.unloadable.remove(id).unwrap_or_default(), state.permits.remove(id));
        drop(state);
        TurnExecutor { tenant: &self.executor, built_ins: &self.built_ins, unloadable, permit: Mutex::new(permit) }
    }

    /// Waits until a version is loaded and there is a permit, and returns an executor for its guest. None: the hub closes.
    pub(in crate::hub) async fn with_permit(&self, version: VersionId) -> Result<Option<TurnExecutor<'_>>, LoadError> {
        let permit = async {
            loop {
                match self.executor.wait_for_permit(version) {
                    Ok(waiting) => {
                        self.engine.capacity().make_room();
                        return Ok::<GuestPermit, LoadError>(waiting.await);
                    }
                    Err(_) => self.executor.load(version).await?,
                }
            }
        };
        tokio::select! {
            permit = permit => Ok(Some(TurnExecutor { tenant: &self.executor, built_ins: &self.built_ins, unloadable: Vec::new(), permit: Mutex::new(Some(permit?)) })),
            () = self.closed() => Ok(None),
        }
    }

    /// Puts a turn back, as if it had not begun, until its guest can be started.
    pub(in crate::hub) fn put_back(
        self: &Arc<Self>,
        id: &InstanceId,
        executor: TurnExecutor<'_>,
        envelopes: Vec<Envelope>,
        why: NotNow,
    ) {
        self.run_queue.put_back(id, envelopes);
        let TurnExecutor { unloadable, permit, .. } = executor;
        // With a permit there should have been free slots: do not retry at once.
        let had_permit = permit.into_inner().unwrap_or_else(PoisonError::into_inner).is_some();
        match why {
            NotNow::NotLoaded(version) => self.wait_for_version(id, version, unloadable),
            NotNow::Unread => self.try_again_later(id, Vec::new(), &HubError::HistoryChanged(id.clone())),
            NotNow::NoRoom(version) => {
                if !unloadable.is_empty() {
                    self.loading.lock().unloadable.insert(id.clone(), unloadable);
                }
                self.wait_for_permit(id, version, had_permit.then_some(AGAIN_AFTER));
            }
        }
    }

    fn wait_for_permit(self: &Arc<Self>, id: &InstanceId, version: VersionId, after: Option<Duration>) {
        let (hub, id, waiting) = (self.clone(), id.clone(), self.executor.wait_for_permit(version));
        self.engine.capacity().make_room();
        self.tokio.spawn(async move {
            let permit = async {
                if let Some(after) = after {
                    tokio::time::sleep(after).await;
                }
                // If the version is no longer in memory, the turn loads it.
                Some(waiting.ok()?.await)
            };
            let permit = tokio::select! {
                permit = permit => permit,
                // Its turn is given up.
                () = hub.closed() => None,
            };
            if let Some(permit) = permit {
                hub.loading.lock().permits.insert(id.clone(), permit);
            }
            hub.run_queue.end_turn(&id, None, true);
        });
    }

    fn wait_for_version(self: &Arc<Self>, id: &InstanceId, version: VersionId, unloadable: Vec<Unloadable>) {
        match self.loading.lock().waiting.entry(version) {
            Entry::Occupied(waiting) => return waiting.into_mut().push((id.clone(), unloadable)),
            Entry::Vacant(place) => drop(place.insert(vec![(id.clone(), unloadable)])),
        }
        let (hub, loading) = (self.clone(), self.executor.load(version));
        self.tokio.spawn(async move {
            let failed = tokio::select! {
                loaded = caught_async(loading) => match loaded {
                    Ok(loaded) => loaded.err().map(|why| why.to_string()),
                    Err(panicked) => Some(format!("loading it has failed: {panicked}")),
                },
                // Its turn is given up.
                () = hub.closed() => None,
            };
            hub.loaded(version, failed);
        });
    }

    /// Queues the instances that waited for a version, with the reason if it could not be loaded.
    fn loaded(self: &Arc<Self>, version: VersionId, failed: Option<String>) {
        let waited = {
            let mut state = self.loading.lock();
            let waited = state.waiting.remove(&version).unwrap_or_default();
            for (id, mut unloadable) in waited.iter().cloned() {
                unloadable.extend(failed.clone().map(|why| (version, why)));
                if !unloadable.is_empty() {
                    state.unloadable.insert(id, unloadable);
                }
            }
            waited
        };
        // Also without messages here: an entity may have been taking in its stored inbox.
        waited.iter().for_each(|(id, _)| self.run_queue.end_turn(id, None, true));
    }
}
