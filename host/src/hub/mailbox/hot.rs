//! The guests of a hub that are suspended in memory, in the order in which they were last used.

use dacapo_core::turn::Live;
use dacapo_core::{InstanceId, InstanceRecord};
use lru::LruCache;

/// An instance between two turns, its guest suspended in memory.
pub(in crate::hub) struct Hot {
    pub record: InstanceRecord,
    pub live: Live,
}

pub(in crate::hub) struct HotGuests {
    guests: LruCache<InstanceId, Hot>,
    /// Bytes of memory that all of them may hold.
    bytes: usize,
    /// The number of guests that all of them count as.
    slots: usize,
}

impl HotGuests {
    pub fn new() -> Self {
        Self { guests: LruCache::unbounded(), bytes: 0, slots: 0 }
    }

    /// Returns the number of guests that they count as: one that is made of many parts takes several slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Returns the bytes of memory that they may hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the guest of an instance, which has none here: it was taken out when the turn began.
    pub fn park(&mut self, id: InstanceId, hot: Hot) {
        self.bytes += hot.live.memory_bytes();
        self.slots += hot.live.slots();
        self.guests.push(id, hot);
    }

    pub fn contains(&self, id: &InstanceId) -> bool {
        self.guests.contains(id)
    }

    pub fn take(&mut self, id: &InstanceId) -> Option<Hot> {
        let hot = self.guests.pop(id)?;
        self.leaves(&hot);
        Some(hot)
    }

    /// Takes out the least recently used guest.
    pub fn take_oldest(&mut self) -> Option<Hot> {
        let (_, hot) = self.guests.pop_lru()?;
        self.leaves(&hot);
        Some(hot)
    }

    fn leaves(&mut self, hot: &Hot) {
        self.bytes -= hot.live.memory_bytes();
        self.slots -= hot.live.slots();
    }
}
