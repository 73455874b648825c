//! Turns whose guest cannot be started at present: their version is not in memory, or the host has no room for one more guest.
//! The workers go on with other instances while the version is loaded, and compiled if need be, or until guests have left.
//!
//! ```text
//!   turn ─▶ NotLoaded ─▶ put back, as if it had not been ─▶ Tenant::load          ─▶ the same turn again
//!        ─▶ NoRoom    ─▶ put back, as if it had not been ─▶ Tenant::wait_for_permit ─▶ the same turn again, with the permit
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
use crate::hub::turn::in_memory::{InMemory, Unloadable};

/// When a turn is run again for which there was no room though it had a permit.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

impl HubCore {
    /// What runs the guests of the turn of an instance that begins now.
    pub(in crate::hub) fn in_memory(&self, id: &InstanceId) -> InMemory<'_> {
        let mut state = self.loading.lock();
        let (unloadable, permit) = (state.unloadable.remove(id).unwrap_or_default(), state.permits.remove(id));
        drop(state);
        InMemory { tenant: &self.executor, unloadable, permit: Mutex::new(permit) }
    }

    /// What runs a guest of a version, when the version is loaded and there is room. None: the hub is to close.
    pub(in crate::hub) async fn with_permit(&self, version: VersionId) -> Result<Option<InMemory<'_>>, LoadError> {
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
            permit = permit => Ok(Some(InMemory { tenant: &self.executor, unloadable: Vec::new(), permit: Mutex::new(Some(permit?)) })),
            () = self.closed() => Ok(None),
        }
    }

    /// Puts a turn back, as if it had not been, until its guest can be started.
    pub(in crate::hub) fn put_back(
        self: &Arc<Self>,
        id: &InstanceId,
        executor: InMemory<'_>,
        envelopes: Vec<Envelope>,
        why: NotNow,
    ) {
        self.run_queue.put_back(id, envelopes);
        let InMemory { unloadable, permit, .. } = executor;
        // With a permit there should have been room: not at once again.
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
                // A version that is not in memory any more is loaded by the turn.
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

    /// Whoever waited for a version gets its turn, and is told why it could not be loaded.
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
        // Also without messages: an entity may have been at what waits in its inbox.
        waited.iter().for_each(|(id, _)| self.run_queue.end_turn(id, None, true));
    }
}
