//! The limit on concurrent requests, which count until their responses end: half of the connections for each task hub, and a quarter
//! for requests to its triggers, which are counted apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::error::ApiError;

/// The number of concurrent requests of each hub. Clones share it.
#[derive(Clone)]
pub(in crate::api) struct ConcurrencyLimit {
    /// Of which each hub may have half.
    connections: usize,
    // Nothing awaits while it is locked.
    of_hubs: Arc<Mutex<HashMap<String, usize>>>,
}

/// The permit of one request, returned on drop.
pub(in crate::api) struct RequestPermit {
    limit: ConcurrencyLimit,
    hub: String,
}

impl ConcurrencyLimit {
    pub fn new(connections: usize) -> Self {
        Self { connections, of_hubs: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // No method leaves it half changed.
        self.of_hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit for one more request of a hub. The name ignores case.
    pub fn acquire(&self, hub: &str) -> Result<RequestPermit, ApiError> {
        let most = self.connections.div_ceil(2);
        let hub = hub.to_ascii_lowercase();
        let mut of_hubs = self.lock();
        let count = of_hubs.entry(hub.clone()).or_default();
        if *count >= most {
            return Err(ApiError::too_many_concurrent_requests(&hub, most));
        }
        *count += 1;
        drop(of_hubs);
        Ok(RequestPermit { limit: self.clone(), hub })
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut of_hubs = self.limit.lock();
        if let Some(count) = of_hubs.get_mut(&self.hub) {
            *count -= 1;
            if *count == 0 {
                of_hubs.remove(&self.hub);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hub_has_more_than_half_of_the_connections() {
        let limit = ConcurrencyLimit::new(4);
        let places = [limit.acquire("One").unwrap(), limit.acquire("ONE").unwrap()];
        assert!(limit.acquire("one").is_err());
        drop(limit.acquire("two").unwrap());
        drop(places);
        drop(limit.acquire("one").unwrap());
        assert!(limit.lock().is_empty(), "nothing is kept of a hub that asks for nothing");
    }
}
