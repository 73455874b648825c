//! Activities: run by the workers in slices, so many at a time, each at least once.

mod caller;
mod memory;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use async_task::{Runnable, Task, WithInfo};
use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::{HTTP_ACTIVITY, SharedClient};
use dacapo_core::{ActivityCall, Delivery, Event, ExecutionId, Failure, FunctionName, Message, Row, Seq, VersionId};
use dacapo_store::PendingActivity;

use crate::engine::capacity::ActivityQueue;
use crate::engine::memory::{Account, Reservation};
use crate::engine::panics::caught_async;
use crate::hub::activity::caller::Caller;
use crate::hub::activity::memory::{Expected, RunMemory};
use crate::hub::mailbox::Envelope;
use crate::hub::{HubCore, HubError, now, size};
use crate::meters::Attempt;

/// Bytes of inputs of queued activities that a hub keeps in memory; the others lie in the store.
const INPUTS_BYTES_MAX: usize = 16 << 20;

/// Bytes of inputs that are read from the store at once.
const INPUTS_BYTES_READ: usize = 4 << 20;

const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(in crate::hub) struct Activities {
    state: Mutex<State>,
    idle: tokio::sync::Notify,
}

struct State {
    queue: VecDeque<Queued>,
    /// Where the inputs are counted of those that are queued.
    inputs: Reservation,
    running: HashMap<u64, Running>,
    limit: usize,
    /// Numbers the runs.
    runs: u64,
    /// The hub stands among those that wait for room in the host.
    waits: bool,
    /// The same for those that wait for room in memory.
    waits_for_memory: bool,
    /// What the next one begins with, which it waited for.
    memory: Option<Reservation>,
    expected: Expected,
    closing: bool,
}

enum Queued {
    Here {
        activity: PendingActivity,
        /// Bytes of memory that it was short of when it ran before.
        needs: usize,
    },
    /// It lies in the store, because there was no room for its input.
    Stored { row: Row, seq: Seq },
}

impl Queued {
    fn is(&self, row: Row, seq: Seq) -> bool {
        match self {
            Queued::Here { activity, .. } => (activity.row, activity.seq) == (row, seq),
            Queued::Stored { row: own_row, seq: own_seq } => (*own_row, *own_seq) == (row, seq),
        }
    }
}

impl State {
    /// Queues an activity, with its input if there is room for that.
    fn push(&mut self, activity: PendingActivity, needs: usize) {
        let (row, seq, bytes) = (activity.row, activity.seq, activity.input.len());
        let fits = self.inputs.bytes() + bytes <= INPUTS_BYTES_MAX && self.inputs.try_grow(bytes).is_ok();
        self.queue.push_back(if fits { Queued::Here { activity, needs } } else { Queued::Stored { row, seq } });
    }

    /// Takes out what is not queued any more.
    fn retain(&mut self, keep: impl Fn(&Queued) -> bool) {
        self.queue.retain(keep);
        let input = |queued: &Queued| match queued {
            Queued::Here { activity, .. } => activity.input.len(),
            Queued::Stored { .. } => 0,
        };
        self.inputs.shrink_to(self.queue.iter().map(input).sum());
    }

    /// What was read of the store takes its places in the queue, as far as there is room. What was to be read and is not
    /// there is not due any more.
    fn take_in(&mut self, first: (Row, Seq), read: Vec<PendingActivity>) {
        let last = read.last().map_or(first, |activity| (activity.row, activity.seq)).max(first);
        let mut read: HashMap<(Row, Seq), PendingActivity> =
            read.into_iter().map(|activity| ((activity.row, activity.seq), activity)).collect();
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain_mut(|queued| {
            let Queued::Stored { row, seq } = queued else { return true };
            let key = (*row, *seq);
            let Some(activity) = read.remove(&key) else { return key < first || key > last };
            let fits = self.inputs.bytes() + activity.input.len() <= INPUTS_BYTES_MAX;
            // The first one is about to begin.
            if (fits && self.inputs.try_grow(activity.input.len()).is_ok()) || key == first {
                *queued = Queued::Here { activity, needs: 0 };
            }
            true
        });
        self.queue = queue;
    }
}

struct Running {
    row: Row,
    execution: ExecutionId,
    seq: Seq,
    /// Dropping it stops the activity at its next wait or at the end of its slice. None: it is about to be spawned.
    task: Option<Task<()>>,
}

impl Activities {
    pub fn new(limit: usize, memory: &Account) -> Self {
        let state = State {
            queue: VecDeque::new(),
            inputs: memory.empty(),
            running: HashMap::new(),
            limit,
            runs: 0,
            waits: false,
            waits_for_memory: false,
            memory: None,
            expected: Expected::default(),
            closing: false,
        };
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
            || state.queue.iter().any(|queued| match queued {
                Queued::Here { activity, .. } => (activity.row, activity.execution, activity.seq) == wanted,
                // It is what the store has there when its turn comes.
                Queued::Stored { .. } => queued.is(row, seq),
            })
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
        state.retain(|queued| !seqs.iter().any(|&seq| queued.is(row, seq)));
        if state.queue.is_empty() {
            state.memory = None;
        }
        drop(state);
        drop(tasks);
    }

    /// Starts no more, and gives those that run some time to end. The rest runs again when the hub is opened again.
    pub async fn finish(&self, grace: Duration) {
        {
            let mut state = self.lock();
            state.closing = true;
            state.retain(|_| false);
            state.memory = None;
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

impl HubCore {
    /// Runs activities as soon as there is room.
    ///
    /// One that comes alone, the next step of a chain, is begun on this very thread: if it needs no waiting it ends
    /// there, and no other thread has to be woken. It lets go when it waits or has used up its slice.
    pub(in crate::hub) fn schedule_activities(self: &Arc<Self>, activities: Vec<PendingActivity>) {
        let mut here = activities.len() == 1;
        {
            let mut state = self.activities.lock();
            if state.closing {
                return;
            }
            activities.into_iter().for_each(|activity| state.push(activity, 0));
        }
        while let Some(activity) = self.begin_activity() {
            if std::mem::replace(&mut here, false) {
                activity.run();
            } else {
                activity.schedule();
            }
        }
    }

    /// The same for activities that lie in the store.
    pub(in crate::hub) fn queue_stored_activities(self: &Arc<Self>, keys: Vec<(Row, Seq)>) {
        self.activities.lock().queue.extend(keys.into_iter().map(|(row, seq)| Queued::Stored { row, seq }));
        while let Some(activity) = self.begin_activity() {
            activity.schedule();
        }
    }

    /// Sees to it that the first activity of the queue is in memory.
    fn load_next_activity(self: &Arc<Self>) -> Result<(), HubError> {
        loop {
            let first = match self.activities.lock().queue.front() {
                Some(&Queued::Stored { row, seq }) => (row, seq),
                Some(Queued::Here { .. }) | None => return Ok(()),
            };
            let before = match first {
                (row, Seq(0)) => row.0.checked_sub(1).map(|row| (Row(row), Seq(u32::MAX))),
                (row, Seq(seq)) => Some((row, Seq(seq - 1))),
            };
            let read = self.store.activities_page(before, INPUTS_BYTES_READ)?;
            self.activities.lock().take_in(first, read);
        }
    }

    /// There is room in the host: begins one of the activities that wait. Whether one did, and the hub may have it.
    pub(in crate::hub) fn begin_waiting_activity(self: &Arc<Self>) -> bool {
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
            let hub: Weak<dyn ActivityQueue> = Arc::downgrade(self) as _;
            self.engine.capacity().wait_for_activity(hub);
        }
    }

    /// What the next activity begins with in memory. None: it waits for it.
    fn memory_of_next(self: &Arc<Self>, state: &mut State) -> Option<Reservation> {
        // What was waited for is for the first one, whichever that is now.
        let waited_for = state.memory.take();
        let Queued::Here { activity, needs } = state.queue.front()? else { return None };
        // Never more than any guest may have.
        let most = size(self.rules().limits.activity_memory_bytes);
        let needs = (*needs).max(state.expected.of(&activity.name)).min(most).saturating_add(activity.input.len());
        if let Some(memory) = waited_for.filter(|memory| memory.bytes() >= needs || memory.is_beyond()) {
            return Some(memory);
        }
        if let Ok(memory) = self.memory.try_reserve(needs) {
            return Some(memory);
        }
        if !std::mem::replace(&mut state.waits_for_memory, true) {
            let hub = self.clone();
            self.tokio.spawn(async move {
                let memory = tokio::select! {
                    biased;
                    () = hub.closed() => return,
                    Ok(memory) = hub.memory.reserve(needs) => memory,
                    memory = hub.memory.reserve_beyond() => memory,
                };
                {
                    let mut state = hub.activities.lock();
                    state.waits_for_memory = false;
                    state.memory = Some(memory);
                }
                while hub.begin_waiting_activity() {}
            });
        }
        None
    }

    /// Gives the next activity a place, if there is one and there is room.
    fn begin_activity(self: &Arc<Self>) -> Option<Runnable> {
        if let Err(error) = self.load_next_activity() {
            tracing::error!(hub = self.name, %error, "activities that wait could not be read; it is tried again");
            let hub = self.clone();
            self.tokio.spawn(async move {
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
                while !hub.is_closing() && hub.begin_waiting_activity() {}
            });
            return None;
        }
        let (run, activity, memory) = {
            let mut state = self.activities.lock();
            let memory = self.memory_of_next(&mut state)?;
            let running = state.running.len();
            if running >= state.limit || !self.engine.capacity().admit_activity(running) {
                state.memory = Some(memory);
                self.wait_for_room(&mut state);
                return None;
            }
            let Queued::Here { activity, .. } = state.queue.pop_front()? else { return None };
            let inputs = state.inputs.bytes().saturating_sub(activity.input.len());
            state.inputs.shrink_to(inputs);
            state.runs += 1;
            let run = state.runs;
            let (row, execution, seq) = (activity.row, activity.execution, activity.seq);
            state.running.insert(run, Running { row, execution, seq, task: None });
            (run, activity, RunMemory::new(memory, self.engine.runtime().clone()))
        };
        let run_queue = self.run_queue.clone();
        let schedule = WithInfo(move |activity, info| run_queue.activity(activity, info));
        let (name, bytes_in) = (activity.name.clone(), activity.input.len() as u64);
        let place =
            ActivityPermit { hub: self.clone(), run, name, bytes_in, began: Instant::now(), ended: None, put_back: false };
        let perform = move |_: &()| perform(place, activity, memory);
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
        let name = call.name.clone();
        let outcome = match self.catalog.activity_version(&name, caller) {
            Some(version) => self.executor.run_activity(version, call, client).await,
            None => Err(Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("no active app has an activity '{name}'"))),
        };
        outcome.map_err(|failure| failure.of_activity(&name))
    }

    /// The host had no room in memory for what an activity wanted: it runs again when there is.
    fn put_back_activity(self: &Arc<Self>, activity: PendingActivity, wanted: usize) {
        tracing::debug!(hub = self.name, activity = %activity.name, wanted, "no room in memory: it runs again when there is");
        let mut state = self.activities.lock();
        if state.closing {
            return;
        }
        let needs = state.expected.was_short(&activity.name, wanted);
        state.push(activity, needs);
        self.wait_for_room(&mut state);
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
        self.engine.capacity().leave_activity();
    }
}

impl ActivityQueue for HubCore {
    fn begin_one(self: Arc<Self>) -> bool {
        self.begin_waiting_activity()
    }
}

async fn perform(mut place: ActivityPermit, activity: PendingActivity, memory: RunMemory) {
    let hub = place.hub.clone();
    let PendingActivity { seq, instance, execution, version, name, input, attempt, .. } = activity.clone();
    let call = ActivityCall { name, input, instance: instance.clone(), seq, attempt };
    let client = Arc::new(Caller::new(hub.clone(), execution, seq, memory.clone()));
    let outcome = caught_async(async { hub.run_activity(version, call, client).await }).await.unwrap_or_else(|why| {
        let message = format!("the host panicked while it ran the activity, which is a bug of the host: {why}");
        Err(Failure::permanent(Failure::HOST_FAILED, message))
    });
    if let Some(wanted) = memory.was_short() {
        hub.put_back_activity(activity, wanted);
        return place.put_back();
    }
    hub.activities.lock().expected.ended(&activity.name, memory.took());
    let took = place.end(&outcome);
    let event = match outcome {
        Ok(result) => Event::TaskCompleted { seq, result },
        Err(failure) => Event::TaskFailed { seq, failure },
    };
    let message = Message { to: instance, execution: Some(execution), sent_at: now(), event };
    // It has its place until there is room for what it has returned.
    let memory = hub.memory.reserve(Envelope::size(&message)).await.ok();
    drop(place);
    hub.run_queue.deliver(Envelope { took: Some(took), memory, ..Envelope::of(Delivery { message, stored: None }) });
}

/// A place among the running activities, and the meter that runs for it. Given to the next one that waits when the activity
/// ends, however it ends.
struct ActivityPermit {
    hub: Arc<HubCore>,
    run: u64,
    name: FunctionName,
    bytes_in: u64,
    began: Instant,
    /// None: it was cut off.
    ended: Option<Attempt>,
    /// It runs again, and this run is nobody's to pay for.
    put_back: bool,
}

impl ActivityPermit {
    fn put_back(mut self) {
        self.put_back = true;
    }

    /// The activity has ended by itself. Returns how long it took: what is billed.
    fn end(&mut self, outcome: &TaskOutcome) -> Duration {
        let (took, bytes_in) = (self.began.elapsed(), self.bytes_in);
        let bytes_out = outcome.as_ref().map_or(0, |output| output.len() as u64);
        self.ended = Some(Attempt { took, failed: outcome.is_err(), bytes_in, bytes_out });
        took
    }
}

impl Drop for ActivityPermit {
    fn drop(&mut self) {
        let cut_off = || Attempt { took: self.began.elapsed(), failed: true, bytes_in: self.bytes_in, bytes_out: 0 };
        if !self.put_back {
            self.hub.meters.activity(&self.name, self.ended.unwrap_or_else(cut_off));
        }
        self.hub.leave_place(self.run);
    }
}
