//! When closed hubs must be opened because one of their timers is due.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dacapo_core::Timestamp;
use tokio::sync::Notify;

use crate::hub::now;

/// The longest sleep: bounds the delay when the system clock is set forward.
const MAX_SLEEP: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    by_hub: HashMap<String, Timestamp>,
    by_time: BTreeSet<(Timestamp, String)>,
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Sets the time at which a hub is to be opened. None: removes its alarm.
    pub fn set(&self, hub: &str, at: Option<Timestamp>) {
        let mut state = self.lock();
        if let Some(former) = state.by_hub.remove(hub) {
            state.by_time.remove(&(former, hub.to_owned()));
        }
        if let Some(at) = at {
            state.by_hub.insert(hub.to_owned(), at);
            state.by_time.insert((at, hub.to_owned()));
            self.changed.notify_one();
        }
    }

    /// Waits until an alarm is due, removes it and returns its hub.
    pub async fn next(&self) -> String {
        loop {
            let sleep = {
                let mut state = self.lock();
                match state.by_time.first() {
                    Some((at, _)) if *at <= now() => {
                        let (_, hub) = state.by_time.pop_first().expect("it has a first");
                        state.by_hub.remove(&hub);
                        return hub;
                    }
                    Some((at, _)) => at.since(now()).min(MAX_SLEEP),
                    None => MAX_SLEEP,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}
