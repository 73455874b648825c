//! The guests of a hub that are suspended in memory, in the order in which they were last used.

use dacapo_core::turn::Live;
use dacapo_core::{InstanceId, InstanceRecord};
use lru::LruCache;

/// An instance between two turns, its guest suspended in memory.
pub(super) struct Hot {
    pub record: InstanceRecord,
    pub live: Live,
}

pub(super) struct HotGuests {
    guests: LruCache<InstanceId, Hot>,
    /// What all of them may hold.
    bytes: usize,
}

impl HotGuests {
    pub fn new() -> Self {
        Self { guests: LruCache::unbounded(), bytes: 0 }
    }

    pub fn len(&self) -> usize {
        self.guests.len()
    }

    /// Bytes of memory that they may hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// One that was taken out when its turn began.
    pub fn park(&mut self, id: InstanceId, hot: Hot) {
        self.bytes += hot.live.memory_bytes();
        self.guests.push(id, hot);
    }

    pub fn take(&mut self, id: &InstanceId) -> Option<Hot> {
        let hot = self.guests.pop(id)?;
        self.bytes -= hot.live.memory_bytes();
        Some(hot)
    }

    /// The one that was used longest ago.
    pub fn take_oldest(&mut self) -> Option<Hot> {
        let (_, hot) = self.guests.pop_lru()?;
        self.bytes -= hot.live.memory_bytes();
        Some(hot)
    }
}
