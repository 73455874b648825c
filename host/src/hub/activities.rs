//! Activities: run by the workers in slices, so many at a time, each at least once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_task::{Runnable, Task, WithInfo};
use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::{HTTP_ACTIVITY, SharedClient};
use dacapo_core::{ActivityCall, Delivery, Event, ExecutionId, Failure, FunctionName, Message, Row, Seq, VersionId};
use dacapo_store::PendingActivity;

use super::caller::Caller;
use super::desk::Envelope;
use super::{Inner, now};
use crate::meters::Attempt;

pub(super) struct Activities {
    state: Mutex<State>,
    idle: tokio::sync::Notify,
}

struct State {
    queue: VecDeque<PendingActivity>,
    running: HashMap<u64, Running>,
    limit: usize,
    /// Numbers the runs.
    runs: u64,
    /// The hub stands among those that wait for room in the host.
    waits: bool,
    closing: bool,
}

struct Running {
    row: Row,
    execution: ExecutionId,
    seq: Seq,
    /// Dropping it stops the activity at its next wait or at the end of its slice. None: it is about to be spawned.
    task: Option<Task<()>>,
}

impl Activities {
    pub fn new(limit: usize) -> Self {
        let state = State { queue: VecDeque::new(), running: HashMap::new(), limit, runs: 0, waits: false, closing: false };
        Self { state: Mutex::new(state), idle: tokio::sync::Notify::new() }
    }

    /// Tasks are not dropped under this lock: that may wake others.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
    }

    pub fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// Whether none runs or waits.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.running.is_empty() && state.queue.is_empty()
    }

    /// Whether an activity runs or is queued.
    pub fn has(&self, row: Row, execution: ExecutionId, seq: Seq) -> bool {
        let state = self.lock();
        let wanted = (row, execution, seq);
        state.running.values().any(|run| (run.row, run.execution, run.seq) == wanted)
            || state.queue.iter().any(|queued| (queued.row, queued.execution, queued.seq) == wanted)
    }

    /// Tells activities that nobody waits for them any more: those that run are stopped at their next yield.
    ///
    /// Looks at everything that runs or is queued: called when an execution ends, not for each result.
    pub fn cancel(&self, row: Row, seqs: &[Seq]) {
        if seqs.is_empty() {
            return;
        }
        let mut state = self.lock();
        let concerned = state.running.values_mut().filter(|run| run.row == row && seqs.contains(&run.seq));
        let tasks: Vec<Task<()>> = concerned.filter_map(|run| run.task.take()).collect();
        state.queue.retain(|activity| activity.row != row || !seqs.contains(&activity.seq));
        drop(state);
        drop(tasks);
    }

    /// Starts no more, and gives those that run some time to end. The rest runs again when the hub is opened again.
    pub async fn finish(&self, grace: Duration) {
        {
            let mut state = self.lock();
            state.closing = true;
            state.queue.clear();
        }
        if tokio::time::timeout(grace, self.all_ended()).await.is_err() {
            let tasks: Vec<Task<()>> = self.lock().running.values_mut().filter_map(|run| run.task.take()).collect();
            drop(tasks);
            self.all_ended().await;
        }
    }

    async fn all_ended(&self) {
        loop {
            let notified = self.idle.notified();
            if self.lock().running.is_empty() {
                return;
            }
            notified.await;
        }
    }
}

impl Inner {
    /// Runs activities as soon as there is room.
    ///
    /// One that comes alone, the next step of a chain, is begun on this very thread: if it needs no waiting it ends
    /// there, and no other thread has to be woken. It lets go when it waits or has used up its slice.
    pub(super) fn schedule_activities(self: &Arc<Self>, activities: Vec<PendingActivity>) {
        let mut here = activities.len() == 1;
        {
            let mut state = self.activities.lock();
            if state.closing {
                return;
            }
            state.queue.extend(activities);
        }
        while let Some(activity) = self.begin_activity() {
            if std::mem::replace(&mut here, false) {
                activity.run();
            } else {
                activity.schedule();
            }
        }
    }

    /// There is room in the host: begins one of the activities that wait. Whether one did, and the hub may have it.
    pub(super) fn begin_waiting_activity(self: &Arc<Self>) -> bool {
        self.activities.lock().waits = false;
        let Some(activity) = self.begin_activity() else { return false };
        activity.schedule();
        let mut state = self.activities.lock();
        if !state.queue.is_empty() {
            self.wait_for_room(&mut state);
        }
        true
    }

    fn wait_for_room(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.waits, true) {
            self.shared.room().wait_for_activity(self);
        }
    }

    /// Gives the next activity a place, if there is one and there is room.
    fn begin_activity(self: &Arc<Self>) -> Option<Runnable> {
        let (run, activity) = {
            let mut state = self.activities.lock();
            if state.queue.is_empty() {
                return None;
            }
            let running = state.running.len();
            if running >= state.limit || !self.shared.room().admit_activity(running) {
                self.wait_for_room(&mut state);
                return None;
            }
            let activity = state.queue.pop_front()?;
            state.runs += 1;
            let run = state.runs;
            let (row, execution, seq) = (activity.row, activity.execution, activity.seq);
            state.running.insert(run, Running { row, execution, seq, task: None });
            (run, activity)
        };
        let desk = self.desk.clone();
        let schedule = WithInfo(move |activity, info| desk.activity(activity, info));
        let (name, bytes_in) = (activity.name.clone(), activity.input.len() as u64);
        let place = Place { hub: self.clone(), run, name, bytes_in, began: Instant::now(), ended: None };
        let perform = move |_: &()| perform(place, activity);
        let (runnable, task) = async_task::Builder::new().propagate_panic(true).spawn(perform, schedule);
        if let Some(running) = self.activities.lock().running.get_mut(&run) {
            running.task = Some(task);
        }
        Some(runnable)
    }

    async fn run_activity(&self, caller: Option<VersionId>, call: ActivityCall, client: SharedClient) -> TaskOutcome {
        use dacapo_core::Executor as _;
        if call.name.as_str() == HTTP_ACTIVITY {
            return self.executor.run_http(caller, call).await;
        }
        match self.catalog.activity_version(&call.name, caller) {
            Some(version) => self.executor.run_activity(version, call, client).await,
            None => {
                Err(Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("no active app has an activity '{}'", call.name)))
            }
        }
    }

    fn leave_place(&self, run: u64) {
        let mut state = self.activities.lock();
        let left = state.running.remove(&run);
        if state.running.is_empty() && state.queue.is_empty() {
            self.activities.idle.notify_waiters();
        }
        drop(state);
        // It ends by itself now, however it does.
        if let Some(task) = left.and_then(|running| running.task) {
            task.detach();
        }
        self.shared.room().leave_activity();
    }
}

async fn perform(place: Place, activity: PendingActivity) {
    let hub = place.hub.clone();
    let PendingActivity { seq, instance, execution, version, name, input, attempt, .. } = activity;
    let call = ActivityCall { name, input, instance: instance.clone(), seq, attempt };
    let client = Arc::new(Caller::new(hub.clone(), execution, seq));
    let outcome = hub.run_activity(version, call, client).await;
    let took = place.leave(&outcome);
    let event = match outcome {
        Ok(result) => Event::TaskCompleted { seq, result },
        Err(failure) => Event::TaskFailed { seq, failure },
    };
    let message = Message { to: instance, execution: Some(execution), sent_at: now(), event };
    hub.desk.deliver(Envelope { took: Some(took), ..Envelope::of(Delivery { message, stored: None }) });
}

/// A place among the running activities, and the meter that runs for it. Given to the next one that waits when the activity
/// ends, however it ends.
struct Place {
    hub: Arc<Inner>,
    run: u64,
    name: FunctionName,
    bytes_in: u64,
    began: Instant,
    /// None: it was cut off.
    ended: Option<Attempt>,
}

impl Place {
    /// The activity has ended by itself. Returns how long it had its place: what is billed.
    fn leave(mut self, outcome: &TaskOutcome) -> Duration {
        let (took, bytes_in) = (self.began.elapsed(), self.bytes_in);
        let bytes_out = outcome.as_ref().map_or(0, |output| output.len() as u64);
        self.ended = Some(Attempt { took, failed: outcome.is_err(), bytes_in, bytes_out });
        took
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let cut_off = || Attempt { took: self.began.elapsed(), failed: true, bytes_in: self.bytes_in, bytes_out: 0 };
        self.hub.meters.activity(&self.name, self.ended.unwrap_or_else(cut_off));
        self.hub.leave_place(self.run);
    }
}
