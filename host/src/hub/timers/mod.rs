//! Timers: rows ordered by the time they are due, and one task that sleeps until the first.
//!
//! The task reads forward from a cursor. A timer that is set behind the cursor (one that is due already) is delivered
//! by [`HubCore::set_timers`]. A timer may be delivered twice when both happen at once: the execution takes only the first.

pub(super) mod cursor;

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::commit::Timer;
use dacapo_core::{Delivery, Event, ExecutionId, InstanceId, InstanceRecord, Message};
use dacapo_store::{DueTimer, TimerKey};

use crate::engine::panics::restart_on_panic;
use crate::hub::error::{HubError, join_result};
use crate::hub::hub_core::{HubCore, now};
use crate::hub::timers::cursor::Cursor;

/// Timers that are read at once.
const BATCH: usize = 1_000;
/// The longest sleep: bounds the delay of timers after the clock was set forward.
const MAX_SLEEP: Duration = Duration::from_secs(60);
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(super) fn spawn(hub: &Arc<HubCore>) {
    let inner = hub.clone();
    hub.tokio.spawn(async move { restart_on_panic("the loop of the timers", || inner.fire_timers()).await });
}

impl HubCore {
    /// Fires timers until the hub closes.
    async fn fire_timers(self: &Arc<Self>) {
        while !self.is_closing() {
            let reading = self.clone();
            // Reading may have to wait for the disk.
            let fired = tokio::task::spawn_blocking(move || reading.fire_due_timers()).await;
            let sleep = join_result(fired).and_then(|fired| fired).unwrap_or_else(|error| {
                tracing::error!(%error, "the timers could not be read");
                TRY_AGAIN_AFTER
            });
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.timers.sooner.notified() => {}
            }
        }
    }

    /// Delivers every timer that is due and returns how long to sleep.
    fn fire_due_timers(&self) -> Result<Duration, HubError> {
        loop {
            let due = self.take_due_timers()?;
            for timer in &due {
                self.fire(&timer.instance, timer.execution, Timer { fire_at: timer.key.fire_at, seq: timer.key.seq });
            }
            if due.len() < BATCH {
                break;
            }
        }
        let mut state = self.timers.lock();
        // Read under the lock: a timer that is set from now on sees `wakes_at` and wakes the task.
        let next = self.store.next_timer(state.cursor.at(now()))?;
        let sleep = next.map_or(MAX_SLEEP, |at| at.since(now()).min(MAX_SLEEP));
        state.wakes_at = Some(now().plus(sleep));
        Ok(sleep)
    }

    /// Reads timers that are due and moves the cursor past them, both under the lock: a timer that was set before (and so is
    /// durable) is read here, and one that is set later is compared with the new cursor. None falls in between.
    fn take_due_timers(&self) -> Result<Vec<DueTimer>, HubError> {
        let mut state = self.timers.lock();
        let now = now();
        let due = self.store.timers(state.cursor.at(now), now, BATCH)?;
        if let Some(last) = due.last() {
            state.cursor = Cursor(Some(last.key));
        }
        Ok(due)
    }

    /// Registers timers that are durable now, and delivers those that are behind the cursor.
    pub(super) fn set_timers(&self, record: &InstanceRecord, timers: &[Timer]) {
        if timers.is_empty() {
            return;
        }
        let mut sooner = false;
        let mut passed = Vec::new();
        {
            let mut state = self.timers.lock();
            let cursor = state.cursor.at(now());
            for &timer in timers {
                let key = TimerKey { fire_at: timer.fire_at, row: record.row, seq: timer.seq };
                if cursor.is_some_and(|cursor| key <= cursor) {
                    passed.push(timer);
                } else {
                    sooner |= state.wakes_at.is_none_or(|at| timer.fire_at < at);
                }
            }
        }
        passed.into_iter().for_each(|timer| self.fire(&record.id, record.execution, timer));
        if sooner {
            self.timers.sooner.notify_one();
        }
    }

    fn fire(&self, to: &InstanceId, execution: ExecutionId, timer: Timer) {
        let event = Event::TimerFired { seq: timer.seq, fire_at: timer.fire_at };
        let message = Message { to: to.clone(), execution: Some(execution), sent_at: now(), event };
        self.deliver(Delivery { message, stored: None });
    }
}
