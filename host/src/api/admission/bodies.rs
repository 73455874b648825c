//! The bodies of all requests that the host holds at once: how many bytes of memory they may take.
//!
//! Bytes count when they have come, so whoever announces a body and does not send it takes room from nobody. No task hub has
//! more than half, so that none can keep out the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::memory::{MemoryBudget, NoRoom, Reservation};

/// All bodies. Clones are handles of the same.
#[derive(Clone)]
pub(in crate::api) struct Bodies {
    most: usize,
    /// Of which they are a part.
    memory: MemoryBudget,
    // Nothing awaits while it is locked.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    in_all: usize,
    /// Of those that have any.
    of_hubs: HashMap<String, usize>,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) enum Full {
    /// So many bytes there may be: of this hub, or in all.
    Bodies(usize),
    Memory(NoRoom),
}

/// What one request holds, until it is dropped.
pub(in crate::api) struct Held {
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

    /// Room for the body of a request, which has none yet. A hub is named however it is spelled.
    pub fn hold(&self, hub: &str) -> Held {
        let room = self.memory.account(hub).empty();
        Held { bodies: self.clone(), hub: hub.to_ascii_lowercase(), bytes: 0, room }
    }
}

impl Held {
    /// So many more bytes have come.
    pub fn add(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes == 0 {
            return Ok(());
        }
        let mut state = self.bodies.lock();
        let (most, own) = (self.bodies.most, state.of_hubs.get(&self.hub).copied().unwrap_or(0));
        if own + bytes > most / 2 {
            return Err(Full::Bodies(most / 2));
        }
        if state.in_all + bytes > most {
            return Err(Full::Bodies(most));
        }
        self.room.try_grow(bytes).map_err(Full::Memory)?;
        state.in_all += bytes;
        match state.of_hubs.get_mut(&self.hub) {
            Some(own) => *own += bytes,
            None => drop(state.of_hubs.insert(self.hub.clone(), bytes)),
        }
        self.bytes += bytes;
        Ok(())
    }

    /// What has come is not kept.
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

impl Drop for Held {
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
        assert_eq!(same.add(1), Err(Full::Bodies(50)));
        two.add(40).unwrap();
        assert_eq!(three.add(11), Err(Full::Bodies(100)));
        three.add(10).unwrap();
        drop(one);
        same.add(30).unwrap();
        same.clear();
        drop((same, two, three));
        let state = bodies.lock();
        assert!(state.in_all == 0 && state.of_hubs.is_empty());
    }
}
