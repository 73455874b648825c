//! Resources that are divided among the hubs of a host, so that none can take them all: guests in memory, activities, turns that
//! have begun, page caches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::pressure::Pressure;

/// Turns of all hubs that have begun and are paused: each holds a sleeping thread and a guest. The more hubs are open, the fewer
/// each may have, down to one.
pub const TURNS_BEGUN_MAX: usize = 512;

/// The smallest page cache of a hub's file.
const CACHE_BYTES_MIN: usize = 1 << 20;

/// A hub that keeps guests in memory.
pub(crate) trait Occupant: Send + Sync {
    /// The number of guests that its hot guests count as.
    fn hot_slots(&self) -> usize;

    /// Bytes of memory that its guests may hold.
    fn hot_bytes(&self) -> usize;

    /// Evicts the least recently used guest, if there is one, and returns how many bytes it may have held.
    fn evict_one(&self) -> Option<usize>;
}

/// A hub with activities to run.
pub(crate) trait ActivityQueue: Send + Sync {
    /// Begins one of the waiting activities. Returns false if none waits or the hub may not run another one.
    fn begin_one(self: Arc<Self>) -> bool;
}

/// The size of each resource.
#[derive(Debug, Clone, Copy)]
pub struct CapacityLimits {
    /// Guests that stay in memory between turns. One that is made of many parts counts as several.
    pub hot_instances: usize,
    /// Bytes that the process may hold before hot guests are evicted.
    pub memory_bytes: usize,
    /// Activities that run at once.
    pub activities: usize,
    /// Bytes for the page caches of all files.
    pub cache_bytes: usize,
    /// Hubs that may be open at once.
    pub hubs: usize,
}

pub(crate) struct Capacity {
    size: CapacityLimits,
    is_owed: Box<dyn Fn() -> bool + Send + Sync>,
    /// The number of guests that the hot guests of all hubs count as.
    hot: AtomicUsize,
    pressure: Pressure,
    hubs: AtomicUsize,
    occupants: Mutex<Vec<Weak<dyn Occupant>>>,
    activities: Mutex<Activities>,
    cache_left: Mutex<usize>,
}

#[derive(Default)]
struct Activities {
    running: usize,
    /// Hubs with waiting activities, each once.
    waiting: VecDeque<Weak<dyn ActivityQueue>>,
}

impl Capacity {
    /// `is_owed` returns whether a waiter is owed the slots of hot guests.
    pub fn new(size: CapacityLimits, is_owed: impl Fn() -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            size,
            is_owed: Box::new(is_owed),
            hot: AtomicUsize::new(0),
            pressure: Pressure::new(size.memory_bytes),
            hubs: AtomicUsize::new(0),
            occupants: Mutex::default(),
            activities: Mutex::default(),
            cache_left: Mutex::new(size.cache_bytes),
        })
    }

    pub fn register(&self, hub: Weak<dyn Occupant>) {
        self.hubs.fetch_add(1, Ordering::Relaxed);
        self.occupants().push(hub);
    }

    pub fn deregister(&self) {
        self.hubs.fetch_sub(1, Ordering::Relaxed);
        self.occupants().retain(|hub| hub.strong_count() > 0);
    }

    fn occupants(&self) -> MutexGuard<'_, Vec<Weak<dyn Occupant>>> {
        self.occupants.lock().expect("no holder of this lock panics")
    }

    fn hubs(&self) -> usize {
        self.hubs.load(Ordering::Relaxed).max(1)
    }

    /// The most turns of a hub that may have begun, no more than its limit `most`.
    pub fn turns_of_a_hub(&self, most: usize) -> usize {
        most.min(TURNS_BEGUN_MAX / self.hubs()).max(1)
    }

    /// Counts a guest that becomes hot and counts as `guests`.
    pub fn add_hot(&self, guests: usize) {
        self.hot.fetch_add(guests, Ordering::Relaxed);
    }

    /// Counts hot guests that were evicted or resumed.
    pub fn remove_hot(&self, guests: usize) {
        self.hot.fetch_sub(guests, Ordering::Relaxed);
    }

    fn overflows(&self) -> bool {
        self.hot.load(Ordering::Relaxed) > self.size.hot_instances
    }

    /// Whether a hub with `guests` hot guests must evict some: there are too many, and it has more than its share.
    pub fn must_evict(&self, guests: usize) -> bool {
        self.overflows() && guests > self.size.hot_instances / self.hubs()
    }

    /// Evicts a hot guest of the hub that has the most, as long as there are too many or a waiter is owed their slots.
    /// Must not be called under the lock of a run queue.
    ///
    /// It looks at all hubs, but only while a hub that has less than its share comes up to it.
    pub fn make_room(&self) {
        while self.overflows() || (self.is_owed)() {
            let hubs: Vec<Arc<dyn Occupant>> = self.occupants().iter().filter_map(Weak::upgrade).collect();
            let hottest = hubs.iter().max_by_key(|hub| hub.hot_slots());
            if hottest.and_then(|hottest| hottest.evict_one()).is_none() {
                return;
            }
        }
    }

    /// Evicts hot guests if the process holds more memory than it may: an eighth, by the bytes that they may hold, from the hubs
    /// whose guests may hold most. If that was not enough, the next measurement shows it. Called without the lock of a run queue.
    ///
    /// How much one guest really holds is unknown: it shares the pages of its initial memory until it writes to them. So the
    /// memory of the process is measured, and what a guest may hold only determines whose guests are evicted.
    pub fn evict_under_pressure(&self) {
        if !self.pressure.is_high() {
            return;
        }
        let hubs: Vec<Arc<dyn Occupant>> = self.occupants().iter().filter_map(Weak::upgrade).collect();
        let mut left = hubs.iter().map(|hub| hub.hot_bytes()).sum::<usize>() / 8;
        while let Some(largest) = hubs.iter().max_by_key(|hub| hub.hot_bytes())
            && let Some(freed) = largest.evict_one()
            && freed < left
        {
            left -= freed;
        }
    }

    fn activities(&self) -> MutexGuard<'_, Activities> {
        self.activities.lock().expect("no holder of this lock panics")
    }

    /// Takes a place for an activity of a hub that runs `running` already, if there is one. Half of all places are first come,
    /// first served; the other half is reserved in equal shares, one for each hub that may be open.
    pub fn admit_activity(&self, running: usize) -> bool {
        let own = (self.size.activities / 2 / self.size.hubs.max(1)).max(1);
        let mut activities = self.activities();
        let admitted = running < own || activities.running < self.size.activities.div_ceil(2);
        activities.running += usize::from(admitted);
        admitted
    }

    /// Queues a hub that has more activities to run.
    pub fn wait_for_activity(&self, hub: Weak<dyn ActivityQueue>) {
        self.activities().waiting.push_back(hub);
    }

    /// Releases the place of an activity, and offers it to the waiting hubs, one after the other.
    pub fn leave_activity(&self) {
        let waiting = {
            let mut activities = self.activities();
            activities.running -= 1;
            activities.waiting.len()
        };
        for _ in 0..waiting {
            let Some(hub) = self.activities().waiting.pop_front() else { return };
            if hub.upgrade().is_some_and(|hub| hub.begin_one()) {
                return;
            }
        }
    }

    /// Takes the page cache of one more file: half of what is left, so that the first hubs have much and all have some.
    pub fn cache(self: &Arc<Self>) -> CacheShare {
        let mut left = self.cache_left.lock().expect("no holder of this lock panics");
        let bytes = *left / 2;
        *left -= bytes;
        CacheShare { capacity: self.clone(), bytes }
    }
}

/// The page cache of a file, released on drop.
pub(crate) struct CacheShare {
    capacity: Arc<Capacity>,
    bytes: usize,
}

impl CacheShare {
    pub fn bytes(&self) -> usize {
        self.bytes.max(CACHE_BYTES_MIN)
    }
}

impl Drop for CacheShare {
    fn drop(&mut self) {
        *self.capacity.cache_left.lock().expect("no holder of this lock panics") += self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(activities: usize, hubs: usize) -> Arc<Capacity> {
        Capacity::new(
            CapacityLimits { hot_instances: 0, memory_bytes: usize::MAX, activities, cache_bytes: 64 << 20, hubs },
            || false,
        )
    }

    #[test]
    fn every_hub_has_places_for_activities_that_no_other_can_take() {
        let capacity = capacity(16, 4);
        let greedy = (0..16).take_while(|&running| capacity.admit_activity(running)).count();
        assert_eq!(greedy, 8);
        for _ in 0..3 {
            assert!(capacity.admit_activity(0) && capacity.admit_activity(1) && !capacity.admit_activity(2));
        }
    }

    #[test]
    fn what_files_have_of_the_cache_is_bounded_and_given_back() {
        let capacity = capacity(2, 1);
        let first = capacity.cache();
        assert_eq!(first.bytes(), 32 << 20);
        let others: Vec<CacheShare> = (0..100).map(|_| capacity.cache()).collect();
        assert!(first.bytes + others.iter().map(|share| share.bytes).sum::<usize>() <= 64 << 20);
        assert!(others.iter().all(|share| share.bytes() >= CACHE_BYTES_MIN));
        drop((first, others));
        assert_eq!(capacity.cache().bytes(), 32 << 20);
    }
}
