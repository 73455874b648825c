//! The number of messages that wait for instances that take in none at present.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dacapo_core::InstanceId;

/// The most instances whose waiting messages are counted here. The others are counted in the store when a message arrives.
const COUNTED_MAX: usize = 10_000;

/// The waiting messages of instances that are suspended, locked or have not begun.
#[derive(Default)]
pub(in crate::hub) struct InboxBounds(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Instances whose inbox is full. What others send them would be stored before they could refuse it, so the senders check
    /// this. Usually empty.
    crowded: HashSet<InstanceId>,
    /// The number of waiting messages, so that the inbox is not read again for each message that arrives.
    counted: HashMap<InstanceId, usize>,
}

impl InboxBounds {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No method leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether the inbox of an instance is full. Called where one of its turns begins; [`Self::forget`] resets it where
    /// the instance no longer waits.
    pub fn note(&self, id: &InstanceId, is_crowded: bool) {
        let crowded = &mut self.lock().crowded;
        match is_crowded {
            true if !crowded.contains(id) => drop(crowded.insert(id.clone())),
            false if !crowded.is_empty() => drop(crowded.remove(id)),
            _ => {}
        }
    }

    /// Returns the instances whose inbox is full.
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

    /// Drops the count: the turn may take in some of the waiting messages.
    pub fn recount(&self, id: &InstanceId) {
        let counted = &mut self.lock().counted;
        if !counted.is_empty() {
            counted.remove(id);
        }
    }

    /// Drops the count and the mark: the messages were taken in, or their number is no longer known.
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
