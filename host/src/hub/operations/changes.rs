//! Notifications of changes of instances, for clients that wait for the end of one, and for those that follow all changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use dacapo_core::{InstanceId, InstanceRecord};
use tokio::sync::{broadcast, oneshot};

use crate::engine::memory::Reservation;

/// Changes that a subscriber may be behind before it misses some.
const BACKLOG: usize = 1_024;

/// A change of an instance.
#[derive(Debug, Clone)]
pub struct Change {
    pub record: Arc<InstanceRecord>,
    /// Its rows are gone: it was purged, or is an entity that vanished.
    pub purged: bool,
    /// The change as it is sent, the same for all followers: the first one makes it, the others share it while anyone holds it.
    pub text: Arc<tokio::sync::Mutex<Weak<EventText>>>,
}

/// A change as it is sent.
#[derive(Debug)]
pub struct EventText {
    pub text: String,
    /// The reservation of its memory, unless the hub could never have so much.
    pub reservation: Option<Reservation>,
}

/// Up to so many followers of a hub are notified of each change at once.
const NOTIFIED_AT_ONCE: usize = 10;
/// More are notified together, this much later for each of them, ...
const LATER_FOR_EACH: Duration = Duration::from_micros(100);
/// ... but at most this much later.
const LATER_MAX: Duration = Duration::from_millis(50);

impl Change {
    pub fn new(record: Arc<InstanceRecord>, purged: bool) -> Self {
        Self { record, purged, text: Arc::default() }
    }
}

/// The end of the slice of time that `now` is in.
fn tell_at(begun: Instant, now: Instant, followers: usize) -> Option<Instant> {
    if followers <= NOTIFIED_AT_ONCE {
        return None;
    }
    let slice = LATER_FOR_EACH.saturating_mul(u32::try_from(followers).unwrap_or(u32::MAX)).min(LATER_MAX);
    let passed = now.saturating_duration_since(begun).as_nanos() % slice.as_nanos();
    Some(now + slice - Duration::from_nanos(passed as u64))
}

/// Notifies followers of changes.
pub(in crate::hub) struct Changes {
    begun: Instant,
    sender: Mutex<Option<broadcast::Sender<Change>>>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { begun: Instant::now(), sender: Mutex::new(Some(broadcast::Sender::new(BACKLOG))) }
    }
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<Change>>> {
        self.sender.lock().expect("no holder of this lock panics")
    }

    pub fn followers(&self) -> usize {
        self.lock().as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        // A hub that has closed has no more changes: a sender that is dropped at once says so.
        self.lock().as_ref().map_or_else(|| broadcast::Sender::new(1).subscribe(), broadcast::Sender::subscribe)
    }

    /// Returns when followers are notified of a change that happens now, so that many of them are woken together and not for
    /// each change. None: at once.
    pub fn tells_at(&self) -> Option<Instant> {
        tell_at(self.begun, Instant::now(), self.followers())
    }

    pub fn tell(&self, record: &InstanceRecord, purged: bool) {
        if let Some(sender) = self.lock().as_ref().filter(|sender| sender.receiver_count() > 0) {
            // The last receiver may be gone by now.
            let _ = sender.send(Change::new(Arc::new(record.clone()), purged));
        }
    }

    /// Ends every subscription.
    pub fn close(&self) {
        self.lock().take();
    }
}

/// Clients that wait for instances to end.
#[derive(Default)]
pub(in crate::hub) struct Waiters(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last_number: u64,
    of_instances: HashMap<InstanceId, HashMap<u64, oneshot::Sender<InstanceRecord>>>,
}

/// A registered waiter, removed on drop: one that gives up, or waits for a missing instance, leaves nothing behind.
pub(in crate::hub) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: InstanceId,
    number: u64,
    ended: oneshot::Receiver<InstanceRecord>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("no holder of this lock panics")
    }

    pub fn register(&self, id: &InstanceId) -> Waiter<'_> {
        let (sender, ended) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.last_number += 1;
        let number = waiting.last_number;
        waiting.of_instances.entry(id.clone()).or_default().insert(number, sender);
        Waiter { waiters: self, id: id.clone(), number, ended }
    }

    pub fn ended(&self, record: &InstanceRecord) {
        let waiters = self.lock().of_instances.remove(&record.id);
        for waiter in waiters.into_iter().flat_map(HashMap::into_values) {
            let _ = waiter.send(record.clone());
        }
    }

    pub fn clear(&self) {
        self.lock().of_instances.clear();
    }
}

impl Waiter<'_> {
    /// None: the hub has closed.
    pub async fn ended(mut self) -> Option<InstanceRecord> {
        (&mut self.ended).await.ok()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        if let Some(of_instance) = waiting.of_instances.get_mut(&self.id) {
            of_instance.remove(&self.number);
            if of_instance.is_empty() {
                waiting.of_instances.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn many_followers_are_told_together() {
        let begun = Instant::now();
        let at = |millis, followers| tell_at(begun, begun + Duration::from_millis(millis), followers);
        assert_eq!(at(3, NOTIFIED_AT_ONCE), None);
        assert_eq!(at(3, 100), Some(begun + Duration::from_millis(10)));
        assert_eq!(at(9, 100), at(3, 100));
        assert_eq!(at(10, 100), Some(begun + Duration::from_millis(20)));
        assert_eq!(at(1, 1_000_000), Some(begun + LATER_MAX));
    }

    /// Asking for instances that do not exist, and waiting for them, filled memory with one entry each.
    #[test]
    fn who_does_not_wait_any_more_leaves_nothing_behind() {
        let waiters = Waiters::default();
        let id = InstanceId::any("i").unwrap();
        let (mut first, second) = (Box::pin(waiters.register(&id).ended()), waiters.register(&id));
        assert!(first.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(waiters.lock().of_instances[&id].len(), 1);
        drop(second);
        assert!(waiters.lock().of_instances.is_empty());
        let waiter = waiters.register(&id);
        waiters.clear();
        assert_eq!(waiter.ended().now_or_never(), Some(None));
    }
}
