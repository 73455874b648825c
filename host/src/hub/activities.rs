//! Activities: run on the tokio runtime, so many at a time, each at least once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dacapo_core::{ActivityCall, Delivery, Event, Failure, Message, Payload, Row, Seq, VersionId};
use dacapo_store::PendingActivity;
use tokio::task::AbortHandle;

use super::{Inner, now};

pub(super) struct Activities {
    state: Mutex<State>,
    limit: usize,
    idle: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<PendingActivity>,
    running: HashMap<u64, Running>,
    /// Numbers the runs.
    runs: u64,
    closing: bool,
}

struct Running {
    row: Row,
    seq: Seq,
    handle: AbortHandle,
}

impl Activities {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(1), idle: tokio::sync::Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Tells activities that nobody waits for them any more: those that run are stopped at their next yield.
    ///
    /// Looks at everything that runs or is queued: called when an execution ends, not for each result.
    pub fn cancel(&self, row: Row, seqs: &[Seq]) {
        if seqs.is_empty() {
            return;
        }
        let mut state = self.lock();
        let concerned = state.running.values().filter(|run| run.row == row && seqs.contains(&run.seq));
        concerned.for_each(|run| run.handle.abort());
        state.queue.retain(|activity| activity.row != row || !seqs.contains(&activity.seq));
    }

    /// Starts no more, and gives those that run some time to end. The rest runs again after the next start.
    pub async fn finish(&self, grace: Duration) {
        {
            let mut state = self.lock();
            state.closing = true;
            state.queue.clear();
        }
        let all_ended = async {
            loop {
                let notified = self.idle.notified();
                if self.lock().running.is_empty() {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            let running = std::mem::take(&mut self.lock().running);
            running.into_values().for_each(|run| run.handle.abort());
        }
    }
}

impl Inner {
    /// Runs an activity as soon as there is room.
    pub(super) fn schedule_activity(self: &Arc<Self>, activity: PendingActivity) {
        let mut state = self.activities.lock();
        if state.closing {
            return;
        }
        if state.running.len() < self.activities.limit {
            self.start_activity(&mut state, activity);
        } else {
            state.queue.push_back(activity);
        }
    }

    fn start_activity(self: &Arc<Self>, state: &mut State, activity: PendingActivity) {
        let (row, seq) = (activity.row, activity.seq);
        let hub = self.clone();
        state.runs += 1;
        let run = state.runs;
        let task = self.tokio.spawn(async move {
            let slot = Slot { hub: &hub, run };
            let PendingActivity { seq, instance, execution, version, name, input, attempt, .. } = activity;
            let call = ActivityCall { name, input, instance: instance.clone(), seq, attempt };
            let event = match hub.run_activity(version, call).await {
                Ok(result) => Event::TaskCompleted { seq, result },
                Err(failure) => Event::TaskFailed { seq, failure },
            };
            drop(slot);
            let message = Message { to: instance, execution: Some(execution), sent_at: now(), event };
            hub.deliver(Delivery { message, stored: None });
        });
        // The task cannot have left its place yet: that takes the lock that is held here.
        state.running.insert(run, Running { row, seq, handle: task.abort_handle() });
    }

    async fn run_activity(&self, caller: Option<VersionId>, call: ActivityCall) -> Result<Payload, Failure> {
        match self.catalog.activity_version(&call.name, caller) {
            Some(version) => self.executor.run_activity(version, call).await,
            None => {
                Err(Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("no active app has an activity '{}'", call.name)))
            }
        }
    }
}

/// A place among the running activities. Given to the next in the queue when the activity ends, however it ends.
struct Slot<'a> {
    hub: &'a Arc<Inner>,
    run: u64,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.activities.lock();
        state.running.remove(&self.run);
        if let Some(next) = state.queue.pop_front() {
            self.hub.start_activity(&mut state, next);
        } else if state.running.is_empty() {
            self.hub.activities.idle.notify_waiters();
        }
    }
}
