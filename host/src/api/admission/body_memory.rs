//! The limit on the bytes of all request bodies that the host holds at once.
//!
//! Bytes count once they have arrived, so a body that is announced but not sent takes nothing from others. No task hub may have
//! more than half, so that none can lock out the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::memory::{MemoryBudget, NoRoom, Reservation};

/// The count of all bodies. Clones share it.
#[derive(Clone)]
pub(in crate::api) struct Bodies {
    most: usize,
    /// The memory budget that they count against.
    memory: MemoryBudget,
    // Nothing awaits while it is locked.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    in_all: usize,
    /// Only hubs that hold any bytes.
    of_hubs: HashMap<String, usize>,
}

/// Why a body does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) enum BodyRefused {
    /// The limit in bytes that was reached: of this hub, or in all.
    Bodies(usize),
    Memory(NoRoom),
}

/// The bytes that one request holds, released on drop.
pub(in crate::api) struct BodyReservation {
    bodies: Bodies,
    hub: String,
    bytes: usize,
    room: Reservation,
}

impl Bodies {
    pub fn new(most: usize, memory: MemoryBudget) -> Self {
        Self { most, memory, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the count for the body of a request. The name of the hub ignores case.
    pub fn hold(&self, hub: &str) -> BodyReservation {
        let room = self.memory.account(hub).empty();
        BodyReservation { bodies: self.clone(), hub: hub.to_ascii_lowercase(), bytes: 0, room }
    }
}

impl BodyReservation {
    /// Counts bytes that have arrived.
    pub fn add(&mut self, bytes: usize) -> Result<(), BodyRefused> {
        if bytes == 0 {
            return Ok(());
        }
        let mut state = self.bodies.lock();
        let (most, own) = (self.bodies.most, state.of_hubs.get(&self.hub).copied().unwrap_or(0));
        if own + bytes > most / 2 {
            return Err(BodyRefused::Bodies(most / 2));
        }
        if state.in_all + bytes > most {
            return Err(BodyRefused::Bodies(most));
        }
        self.room.try_grow(bytes).map_err(BodyRefused::Memory)?;
        state.in_all += bytes;
        match state.of_hubs.get_mut(&self.hub) {
            Some(own) => *own += bytes,
            None => drop(state.of_hubs.insert(self.hub.clone(), bytes)),
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Releases all bytes counted so far: they are not kept.
    pub fn clear(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.room.shrink_to(0);
        let mut state = self.bodies.lock();
        state.in_all -= self.bytes;
        if let Some(own) = state.of_hubs.get_mut(&self.hub) {
            *own -= self.bytes;
            if *own == 0 {
                state.of_hubs.remove(&self.hub);
            }
        }
        self.bytes = 0;
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hub_has_more_than_half() {
        let bodies = Bodies::new(100, MemoryBudget::new(usize::MAX, 1));
        let (mut one, mut same, mut two, mut three) =
            (bodies.hold("One"), bodies.hold("ONE"), bodies.hold("two"), bodies.hold("three"));
        one.add(30).unwrap();
        same.add(20).unwrap();
        assert_eq!(same.add(1), Err(BodyRefused::Bodies(50)));
        two.add(40).unwrap();
        assert_eq!(three.add(11), Err(BodyRefused::Bodies(100)));
        three.add(10).unwrap();
        drop(one);
        same.add(30).unwrap();
        same.clear();
        drop((same, two, three));
        let state = bodies.lock();
        assert!(state.in_all == 0 && state.of_hubs.is_empty());
    }
}
