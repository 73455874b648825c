//! Who is told when an instance changes: those that wait for its end, and those that follow what happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::{InstanceId, InstanceRecord};
use tokio::sync::{broadcast, oneshot};

use super::Hub;

/// Changes that a subscriber may be behind before it misses some.
const BACKLOG: usize = 1_024;

/// An instance after something has happened to it.
#[derive(Debug, Clone)]
pub struct Change {
    pub record: Arc<InstanceRecord>,
    /// Its rows are gone: it was purged, or is an entity that vanished.
    pub purged: bool,
}

impl Hub {
    /// Everything that changes from now on. A subscriber that falls behind is told how many changes it missed; the end of
    /// the hub ends the stream.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }
}

/// Tells of changes those that follow them.
pub(super) struct Changes(Mutex<Option<broadcast::Sender<Change>>>);

impl Default for Changes {
    fn default() -> Self {
        Self(Mutex::new(Some(broadcast::Sender::new(BACKLOG))))
    }
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<Change>>> {
        self.0.lock().expect("no holder of this lock panics")
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        // A hub that has closed has no more changes: a sender that is dropped at once says so.
        self.lock().as_ref().map_or_else(|| broadcast::Sender::new(1).subscribe(), broadcast::Sender::subscribe)
    }

    pub fn tell(&self, record: &InstanceRecord, purged: bool) {
        if let Some(sender) = self.lock().as_ref().filter(|sender| sender.receiver_count() > 0) {
            // Nobody may be left to listen.
            let _ = sender.send(Change { record: Arc::new(record.clone()), purged });
        }
    }

    /// Ends every subscription.
    pub fn close(&self) {
        self.lock().take();
    }
}

/// Who waits for instances to end.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<InstanceId, Vec<oneshot::Sender<InstanceRecord>>>>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceId, Vec<oneshot::Sender<InstanceRecord>>>> {
        self.0.lock().expect("no holder of this lock panics")
    }

    pub fn register(&self, id: &InstanceId) -> oneshot::Receiver<InstanceRecord> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.lock();
        let of_instance = waiters.entry(id.clone()).or_default();
        // Those that gave up leave their place, so that a client that asks again and again does not fill memory.
        of_instance.retain(|waiter| !waiter.is_closed());
        of_instance.push(sender);
        receiver
    }

    pub fn ended(&self, record: &InstanceRecord) {
        let waiters = self.lock().remove(&record.id);
        for waiter in waiters.into_iter().flatten() {
            let _ = waiter.send(record.clone());
        }
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}
