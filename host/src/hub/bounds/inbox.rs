//! How many messages wait for instances that take in none.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dacapo_core::InstanceId;

/// Instances whose waiting messages are counted here: the others are counted when something comes.
const COUNTED_MAX: usize = 10_000;

/// How much waits for instances that are suspended, locked or have not begun.
#[derive(Default)]
pub(in crate::hub) struct InboxBounds(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Instances for which as much waits as may. What others send them would be stored before they could refuse it, so the
    /// senders look here. Most often there are none.
    crowded: HashSet<InstanceId>,
    /// How many messages wait, so that not each one that comes has the whole inbox read.
    counted: HashMap<InstanceId, usize>,
}

impl InboxBounds {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No method leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as much waits for an instance as may: found where one of its turns begins, and not so any more where it has
    /// nothing to wait for.
    pub fn note(&self, id: &InstanceId, is_crowded: bool) {
        let crowded = &mut self.lock().crowded;
        match is_crowded {
            true if !crowded.contains(id) => drop(crowded.insert(id.clone())),
            false if !crowded.is_empty() => drop(crowded.remove(id)),
            _ => {}
        }
    }

    /// Instances for which as much waits as may.
    pub(super) fn crowded(&self) -> HashSet<InstanceId> {
        self.lock().crowded.clone()
    }

    pub(super) fn counted(&self, id: &InstanceId) -> Option<usize> {
        self.lock().counted.get(id).copied()
    }

    pub(super) fn count(&self, id: &InstanceId, messages: usize) {
        let counted = &mut self.lock().counted;
        if counted.len() >= COUNTED_MAX && !counted.contains_key(id) {
            counted.clear();
        }
        counted.insert(id.clone(), messages);
    }

    /// Some of what waits may be taken in.
    pub fn recount(&self, id: &InstanceId) {
        let counted = &mut self.lock().counted;
        if !counted.is_empty() {
            counted.remove(id);
        }
    }

    /// What waited is taken in, or it is not known any more how much waits.
    pub fn forget(&self, id: &InstanceId) {
        let mut waiting = self.lock();
        if !waiting.crowded.is_empty() {
            waiting.crowded.remove(id);
        }
        if !waiting.counted.is_empty() {
            waiting.counted.remove(id);
        }
    }
}
