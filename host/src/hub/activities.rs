//! Activities: run on the tokio runtime, so many at a time, each at least once.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use dacapo_core::guest::HTTP_ACTIVITY;
use dacapo_core::{ActivityCall, Delivery, Event, ExecutionId, Failure, Message, Payload, Row, Seq, VersionId};
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

impl State {
    fn enter(&mut self, activity: &PendingActivity) -> u64 {
        self.runs += 1;
        self.running
            .insert(self.runs, Running { row: activity.row, execution: activity.execution, seq: activity.seq, handle: None });
        self.runs
    }
}

struct Running {
    row: Row,
    execution: ExecutionId,
    seq: Seq,
    /// None while it runs on the thread that began it.
    handle: Option<AbortHandle>,
}

impl Activities {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(1), idle: tokio::sync::Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Whether an activity runs or is queued.
    pub fn has(&self, row: Row, execution: ExecutionId, seq: Seq) -> bool {
        let state = self.lock();
        let wanted = (row, execution, seq);
        state.running.values().any(|run| (run.row, run.execution, run.seq) == wanted)
            || state.queue.iter().any(|queued| (queued.row, queued.execution, queued.seq) == wanted)
    }

    /// Gives an activity a place and a number, or queues it.
    fn admit(&self, activity: PendingActivity) -> Option<(u64, PendingActivity)> {
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        if state.running.len() >= self.limit {
            state.queue.push_back(activity);
            return None;
        }
        Some((state.enter(&activity), activity))
    }

    /// Gives up a place; the next in the queue gets it.
    fn leave(&self, run: u64) -> Option<(u64, PendingActivity)> {
        let mut state = self.lock();
        state.running.remove(&run);
        let next = state.queue.pop_front();
        if next.is_none() && state.running.is_empty() {
            self.idle.notify_waiters();
        }
        next.map(|next| (state.enter(&next), next))
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
        concerned.filter_map(|run| run.handle.as_ref()).for_each(AbortHandle::abort);
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
            running.into_values().filter_map(|run| run.handle).for_each(|handle| handle.abort());
        }
    }
}

impl Inner {
    /// Runs activities as soon as there is room.
    ///
    /// One that comes alone, the next step of a chain, is begun on this very thread: if it needs no waiting it ends
    /// there, and no other thread has to be woken. It lets go when it waits or has used up its slice of fuel. Several
    /// go to the tokio runtime at once, which spreads them.
    pub(super) fn schedule_activities(self: &Arc<Self>, activities: Vec<PendingActivity>) {
        let alone = activities.len() == 1;
        for activity in activities {
            let Some((run, activity)) = self.activities.admit(activity) else { continue };
            let mut task = self.task(run, activity);
            if alone {
                let _runtime = self.tokio.enter();
                if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    continue;
                }
            }
            self.spawn_activity(run, task);
        }
    }

    fn spawn_activity(self: &Arc<Self>, run: u64, task: ActivityTask) {
        let handle = self.tokio.spawn(task).abort_handle();
        // It may have ended already, and left its place.
        if let Some(running) = self.activities.lock().running.get_mut(&run) {
            running.handle = Some(handle);
        }
    }

    fn task(self: &Arc<Self>, run: u64, activity: PendingActivity) -> ActivityTask {
        let hub = self.clone();
        Box::pin(async move {
            let place = Place { hub: &hub, run };
            let PendingActivity { seq, instance, execution, version, name, input, attempt, .. } = activity;
            let call = ActivityCall { name, input, instance: instance.clone(), seq, attempt };
            let event = match hub.run_activity(version, call).await {
                Ok(result) => Event::TaskCompleted { seq, result },
                Err(failure) => Event::TaskFailed { seq, failure },
            };
            drop(place);
            let message = Message { to: instance, execution: Some(execution), sent_at: now(), event };
            hub.deliver(Delivery { message, stored: None });
        })
    }

    async fn run_activity(&self, caller: Option<VersionId>, call: ActivityCall) -> Result<Payload, Failure> {
        if call.name.as_str() == HTTP_ACTIVITY {
            return self.executor.run_http(caller, call).await;
        }
        match self.catalog.activity_version(&call.name, caller) {
            Some(version) => self.executor.run_activity(version, call).await,
            None => {
                Err(Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("no active app has an activity '{}'", call.name)))
            }
        }
    }
}

type ActivityTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place among the running activities. Given to the next in the queue when the activity ends, however it ends.
struct Place<'a> {
    hub: &'a Arc<Inner>,
    run: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some((run, next)) = self.hub.activities.leave(self.run) {
            self.hub.spawn_activity(run, self.hub.task(run, next));
        }
    }
}
