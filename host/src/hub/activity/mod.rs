//! Activities: run by the workers in slices, a limited number at a time, each at least once.

pub(super) mod memory;
pub(super) mod queue;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_task::{Runnable, WithInfo};
use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::{HTTP_ACTIVITY, SharedClient};
use dacapo_core::{ActivityCall, Delivery, Event, Failure, FunctionName, Message, Once, Row, Seq, VersionId};
use dacapo_store::PendingActivity;

use crate::engine::capacity::ActivityQueue;
use crate::engine::memory::Reservation;
use crate::engine::panics::caught_async;
use crate::hub::activity::memory::RunMemory;
use crate::hub::activity::queue::{Queued, Running, State, queue_of};
use crate::hub::builtin;
use crate::hub::client::{Caller, RepeatableCall};
use crate::hub::error::HubError;
use crate::hub::hub_core::{HubCore, now};
use crate::hub::mailbox::Envelope;
use crate::hub::rules::size;
use crate::meters::Attempt;
use crate::triggers::Source;

/// Bytes of inputs that are read from the store at once.
const INPUTS_BYTES_READ: usize = 4 << 20;

const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Activities that are set aside before others have the thread.
const SET_ASIDE_AT_ONCE: usize = 1_000;

impl HubCore {
    /// Queues activities, and begins as many as may run.
    ///
    /// A single one, such as the next step of a chain, is begun on this thread: if it does not wait it ends here, and no
    /// other thread has to be woken. It yields when it waits or has used up its slice.
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

    /// Queues activities whose inputs are in the store, and begins as many as may run.
    pub(in crate::hub) fn queue_stored_activities(self: &Arc<Self>, keys: Vec<(Row, Seq)>) {
        self.activities.lock().queue.extend(keys.into_iter().map(|(row, seq)| Queued::Stored { row, seq }));
        while let Some(activity) = self.begin_activity() {
            activity.schedule();
        }
    }

    /// Loads the first activity of the queue into memory, unless it is there.
    fn load_next_activity(self: &Arc<Self>) -> Result<(), HubError> {
        loop {
            let (first, bytes) = {
                let state = self.activities.lock();
                let first = match state.queue.front() {
                    Some(&Queued::Stored { row, seq }) => (row, seq),
                    Some(Queued::Here { .. }) | None => return Ok(()),
                };
                // Only this one, if the next is not needed.
                let is_alone = !matches!(state.queue.get(1), Some(Queued::Stored { .. }));
                (first, if is_alone { 0 } else { INPUTS_BYTES_READ })
            };
            let before = match first {
                (row, Seq(0)) => row.0.checked_sub(1).map(|row| (Row(row), Seq(u32::MAX))),
                (row, Seq(seq)) => Some((row, Seq(seq - 1))),
            };
            let read = self.store.activities_page(before, bytes)?;
            self.activities.lock().take_in(first, read);
        }
    }

    /// Begins one of the waiting activities. Returns false if none waits or the hub may not run another one.
    pub(in crate::hub) fn begin_waiting_activity(self: &Arc<Self>) -> bool {
        self.activities.lock().waits = false;
        let Some(activity) = self.begin_activity() else { return false };
        activity.schedule();
        let mut state = self.activities.lock();
        if !state.queue.is_empty() {
            self.wait_for_capacity(&mut state);
        }
        true
    }

    fn wait_for_capacity(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.waits, true) {
            let hub: Weak<dyn ActivityQueue> = Arc::downgrade(self) as _;
            self.engine.capacity().wait_for_activity(hub);
        }
    }

    /// Reserves the memory that the next activity begins with. None: there is none, or it waits for the memory.
    fn memory_of_next(self: &Arc<Self>, state: &mut State) -> Option<Reservation> {
        // A reservation that was waited for is for the first activity, whichever that is now.
        let waited_for = state.memory.take();
        let Queued::Here { activity, needs } = state.queue.front()? else { return None };
        // No guest may have more.
        let most = size(self.rules().limits.activity_memory_bytes);
        let needs = (*needs).max(state.expected.of(&activity.name)).min(most).saturating_add(activity.input.len());
        if let Some(memory) = waited_for.filter(|memory| memory.bytes() >= needs || memory.is_over_budget()) {
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
                    memory = hub.memory.reserve_over_budget() => memory,
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

    /// Takes the next activity from the queue and gives it a permit, if there is one and the limits allow it.
    fn begin_activity(self: &Arc<Self>) -> Option<Runnable> {
        let mut set_aside = 0;
        let mut state = loop {
            if let Err(error) = self.load_next_activity() {
                tracing::error!(hub = self.name, %error, "queued activities could not be read; trying again");
                self.begin_activities_after(TRY_AGAIN_AFTER);
                return None;
            }
            let mut state = self.activities.lock();
            if !self.set_next_aside(&mut state) {
                break state;
            }
            set_aside += 1;
            if set_aside == SET_ASIDE_AT_ONCE {
                drop(state);
                self.begin_activities_after(Duration::ZERO);
                return None;
            }
        };
        let (run, activity, memory) = {
            let memory = self.memory_of_next(&mut state)?;
            let running = state.running();
            if running >= state.limit || !self.engine.capacity().admit_activity(running) {
                state.memory = Some(memory);
                self.wait_for_capacity(&mut state);
                return None;
            }
            let Queued::Here { activity, .. } = state.queue.pop_front()? else { return None };
            state.release_input(&activity);
            state.runs += 1;
            let run = state.runs;
            let (row, execution, seq) = (activity.row, activity.execution, activity.seq);
            let queue = queue_of(&activity).map(str::to_owned);
            state.begin(run, Running { row, execution, seq, queue, task: None });
            drop(state);
            (run, activity, RunMemory::new(memory, self.engine.runtime().clone()))
        };
        let run_queue = self.run_queue.clone();
        let schedule = WithInfo(move |activity, info| run_queue.activity(activity, info));
        let (name, bytes_in) = (activity.name.clone(), activity.input.len() as u64);
        let place =
            ActivityPermit { hub: self.clone(), run, name, bytes_in, began: Instant::now(), ended: None, put_back: false };
        let perform = move |_: &()| perform(place, activity, memory);
        let (runnable, task) = async_task::Builder::new().propagate_panic(true).spawn(perform, schedule);
        self.activities.lock().task_of(run, task);
        Some(runnable)
    }

    /// Sets the next activity aside if it processes a message of a queue, and as many are processed as may be at once. Returns whether
    /// it has.
    fn set_next_aside(&self, state: &mut State) -> bool {
        let Some(queue) = state.next_message_of().map(str::to_owned) else { return false };
        state.set_aside(&queue, self.messages_at_once(&queue))
    }

    /// Puts back the messages that may be processed since the limits have changed.
    pub(in crate::hub) fn take_messages_back(&self) {
        let mut state = self.activities.lock();
        // What is put back is not processed yet, so this ends after as many as may be.
        for _ in 0..state.messages_limit {
            if !state.take_back(None, |queue| self.messages_at_once(queue)) {
                return;
            }
        }
    }

    /// How many messages of a queue its app wants to be processed at once.
    fn messages_at_once(&self, queue: &str) -> Option<usize> {
        match self.catalog.trigger_of_queue(queue)? {
            (target, Source::Queue { .. }) => self.queue_rules(target.version).at_once,
            _ => None,
        }
    }

    fn begin_activities_after(self: &Arc<Self>, pause: Duration) {
        let hub = self.clone();
        self.tokio.spawn(async move {
            tokio::time::sleep(pause).await;
            while !hub.is_closing() && hub.begin_waiting_activity() {}
        });
    }

    async fn run_activity(self: &Arc<Self>, caller: Option<VersionId>, call: ActivityCall, client: SharedClient) -> TaskOutcome {
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

    /// Queues an activity again that was stopped for want of memory: it runs again when there is enough.
    fn put_back_activity(self: &Arc<Self>, activity: PendingActivity, wanted: usize) {
        tracing::debug!(hub = self.name, activity = %activity.name, wanted, "not enough memory: the activity runs again when there is");
        let mut state = self.activities.lock();
        if state.closing {
            return;
        }
        let needs = state.expected.was_short(&activity.name, wanted);
        state.push(activity, needs);
        self.wait_for_capacity(&mut state);
    }

    fn release_permit(self: &Arc<Self>, run: u64) {
        let mut state = self.activities.lock();
        let left = state.end(run);
        if let Some(queue) = left.as_ref().and_then(|left| left.queue.as_deref())
            && state.take_back(Some(queue), |queue| self.messages_at_once(queue))
        {
            self.wait_for_capacity(&mut state);
        }
        if state.running() == 0 && state.queue.is_empty() {
            self.activities.idle.notify_waiters();
        }
        drop(state);
        // The run is ending by itself: dropping the task would cancel it.
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
    let PendingActivity { row, seq, instance, execution, version, name, input, attempt } = activity.clone();
    let call = ActivityCall { name, input, instance: instance.clone(), seq, attempt };
    let outcome = caught_async(async {
        if call.name.as_str() == builtin::trigger::ACTIVITY {
            let of = RepeatableCall { caller: row, seq: Once::ANY_CALL };
            return hub.run_built_in_trigger(&call, execution, of, memory.clone()).await;
        }
        let client = Caller::new(hub.clone(), execution, seq, memory.clone()).of(RepeatableCall { caller: row, seq });
        hub.run_activity(version, call, Arc::new(client)).await
    });
    let outcome = outcome.await.unwrap_or_else(|why| {
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
    // It keeps its permit until there is memory for its result.
    let memory = hub.memory.reserve(Envelope::size(&message)).await.ok();
    drop(place);
    hub.run_queue.deliver(Envelope { took: Some(took), memory, ..Envelope::of(Delivery { message, stored: None }) });
}

/// The permit of a running activity, and the meter of the run. When the activity ends, however it ends, this is dropped, and
/// the permit goes to the next waiting one.
struct ActivityPermit {
    hub: Arc<HubCore>,
    run: u64,
    name: FunctionName,
    bytes_in: u64,
    began: Instant,
    /// None: it was cancelled.
    ended: Option<Attempt>,
    /// It runs again, and this run is not metered.
    put_back: bool,
}

impl ActivityPermit {
    fn put_back(mut self) {
        self.put_back = true;
    }

    /// Records the outcome of an activity that was not cancelled. Returns the duration that is billed.
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
        // A trigger is counted by its own name.
        if !self.put_back && self.name.as_str() != builtin::trigger::ACTIVITY {
            self.hub.meters.activity(&self.name, self.ended.unwrap_or_else(cut_off));
        }
        self.hub.release_permit(self.run);
    }
}
