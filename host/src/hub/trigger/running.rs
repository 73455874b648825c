//! The triggers of a hub that run or wait to: how many may, and their end when the hub closes.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::hub::error::HubError;

pub(in crate::hub) struct Triggers {
    permits: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
    ended: Arc<Notify>,
    /// Whether those that still run are to stop.
    cut_off: watch::Sender<bool>,
}

struct State {
    limit: usize,
    /// Permits that are taken away as soon as they are returned, because the limit was lowered.
    owed: usize,
    running: usize,
    closing: bool,
}

/// A trigger that may run. Dropping it ends the run.
pub(in crate::hub) struct TriggerPermit {
    permit: Option<OwnedSemaphorePermit>,
    state: Arc<Mutex<State>>,
    ended: Arc<Notify>,
    cut_off: watch::Receiver<bool>,
}

impl Triggers {
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let state = State { limit, owed: 0, running: 0, closing: false };
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            state: Arc::new(Mutex::new(state)),
            ended: Arc::default(),
            cut_off: watch::Sender::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    pub fn running(&self) -> usize {
        self.lock().running
    }

    pub fn set_limit(&self, limit: usize) {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.limit, limit);
        if limit > before {
            let forgiven = state.owed.min(limit - before);
            state.owed -= forgiven;
            self.permits.add_permits(limit - before - forgiven);
        } else {
            let wanted = before - limit;
            state.owed += wanted - self.permits.forget_permits(wanted);
        }
    }

    /// Waits until one more may run. `ShuttingDown`
    pub async fn acquire(&self) -> Result<TriggerPermit, HubError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_closed| HubError::ShuttingDown)?;
        let mut state = self.lock();
        if state.closing {
            return Err(HubError::ShuttingDown);
        }
        state.running += 1;
        Ok(TriggerPermit {
            permit: Some(permit),
            state: self.state.clone(),
            ended: self.ended.clone(),
            cut_off: self.cut_off.subscribe(),
        })
    }

    /// Begins no more, and gives running ones `grace` to end; then they are stopped.
    pub async fn finish(&self, grace: Duration) {
        self.lock().closing = true;
        self.permits.close();
        if tokio::time::timeout(grace, self.all_ended()).await.is_err() {
            self.cut_off.send_replace(true);
            self.all_ended().await;
        }
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl TriggerPermit {
    /// Resolves when the run is to stop.
    pub async fn cut_off(&self) {
        let mut cut_off = self.cut_off.clone();
        // The sender is gone only with the hub.
        let _ = cut_off.wait_for(|cut_off| *cut_off).await;
    }
}

impl Drop for TriggerPermit {
    fn drop(&mut self) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.running -= 1;
        if let Some(permit) = self.permit.take()
            && state.owed > 0
        {
            state.owed -= 1;
            permit.forget();
        }
        drop(state);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn permits(triggers: &Triggers) -> Vec<TriggerPermit> {
        std::iter::from_fn(|| triggers.acquire().now_or_never()?.ok()).collect()
    }

    #[tokio::test]
    async fn as_many_run_as_the_limit_allows_also_after_it_has_changed() {
        let triggers = Triggers::new(2);
        let mut held = permits(&triggers);
        assert_eq!(held.len(), 2);
        triggers.set_limit(1);
        held.pop();
        assert_eq!(permits(&triggers).len(), 0);
        triggers.set_limit(4);
        assert_eq!(permits(&triggers).len(), 3);
        triggers.set_limit(1);
        drop(held);
        assert_eq!(permits(&triggers).len(), 1);
        assert_eq!(triggers.running(), 0);
    }

    #[tokio::test]
    async fn none_begins_once_the_hub_closes() {
        let triggers = Triggers::new(1);
        triggers.finish(Duration::ZERO).await;
        assert!(matches!(triggers.acquire().await, Err(HubError::ShuttingDown)));
    }
}
