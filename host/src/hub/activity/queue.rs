//! The state of a hub's activities, queued and running. Which one begins next, and when, is decided in `super`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_task::Task;
use dacapo_core::{ExecutionId, FunctionName, Row, Seq};
use dacapo_store::PendingActivity;

use crate::engine::memory::{Account, Reservation};
use crate::hub::activity::memory::Expected;
use crate::hub::builtin::{message, trigger};

/// Queues that are asked for a message which may be processed, when another one was.
const QUEUES_ASKED: usize = 16;

/// Bytes of inputs of queued activities that a hub keeps in memory; the others stay in the store.
const INPUTS_BYTES_MAX: usize = 16 << 20;

pub(in crate::hub) struct Activities {
    state: Mutex<State>,
    pub(super) idle: tokio::sync::Notify,
}

pub(super) struct State {
    pub queue: VecDeque<Queued>,
    /// Messages of queues that wait because as many are processed as may be at once, by queue.
    aside: BTreeMap<String, VecDeque<Queued>>,
    /// The queue of which a message was taken back last.
    taken_back: String,
    /// How many messages are processed, by queue and in all.
    processing: BTreeMap<String, usize>,
    processing_all: usize,
    /// How many messages may be processed at once.
    pub messages_limit: usize,
    /// The reservation of the inputs of queued activities.
    pub inputs: Reservation,
    running: HashMap<u64, Running>,
    pub limit: usize,
    /// The number of the last run.
    pub runs: u64,
    /// The hub is queued for a place among the host's activities.
    pub waits: bool,
    /// The hub waits for the memory of the next activity.
    pub waits_for_memory: bool,
    /// The reservation that the next activity has waited for.
    pub memory: Option<Reservation>,
    pub expected: Expected,
    pub closing: bool,
}

pub(super) enum Queued {
    Here {
        activity: PendingActivity,
        /// Bytes that it is to begin with, because it was short of memory when it ran before.
        needs: usize,
    },
    /// It is in the store only, as there was no memory for its input, or the hub was opened with it there.
    Stored { row: Row, seq: Seq },
}

/// The queue of which an activity processes a message, if it does.
pub(super) fn queue_of(activity: &PendingActivity) -> Option<&str> {
    let is_it = activity.name.as_str() == trigger::ACTIVITY;
    message::parse(&activity.instance).filter(|_| is_it).map(|(queue, _)| queue)
}

impl Queued {
    fn bytes(&self) -> usize {
        match self {
            Queued::Here { activity, .. } => activity.input.len(),
            Queued::Stored { .. } => 0,
        }
    }

    fn is(&self, row: Row, seq: Seq) -> bool {
        match self {
            Queued::Here { activity, .. } => (activity.row, activity.seq) == (row, seq),
            Queued::Stored { row: own_row, seq: own_seq } => (*own_row, *own_seq) == (row, seq),
        }
    }
}

impl State {
    /// Queues an activity, with its input if there is memory for that.
    pub fn push(&mut self, activity: PendingActivity, needs: usize) {
        let (row, seq, bytes) = (activity.row, activity.seq, activity.input.len());
        let fits = self.inputs.bytes() + bytes <= INPUTS_BYTES_MAX && self.inputs.try_grow(bytes).is_ok();
        self.queue.push_back(if fits { Queued::Here { activity, needs } } else { Queued::Stored { row, seq } });
    }

    /// All that wait.
    fn waiting(&self) -> impl Iterator<Item = &Queued> {
        self.queue.iter().chain(self.aside.values().flatten())
    }

    /// Removes the activities that are not to be kept, and releases their inputs.
    fn retain(&mut self, keep: impl Fn(&Queued) -> bool) {
        self.queue.retain(&keep);
        self.aside.values_mut().for_each(|aside| aside.retain(&keep));
        self.aside.retain(|_, aside| !aside.is_empty());
        let inputs = self.waiting().map(Queued::bytes).sum();
        self.inputs.shrink_to(inputs);
    }

    /// The queue of which the next activity processes a message, if it does.
    pub fn next_message_of(&self) -> Option<&str> {
        match self.queue.front()? {
            Queued::Here { activity, .. } => queue_of(activity),
            Queued::Stored { .. } => None,
        }
    }

    /// Sets the next activity aside if it processes a message of this queue and as many are processed as may be: `most` of the
    /// queue (none for any number), or those of the hub.
    pub fn set_aside(&mut self, queue: &str, most: Option<usize>) -> bool {
        if self.has_room(queue, most) || self.next_message_of() != Some(queue) {
            return false;
        }
        let Some(queued) = self.queue.pop_front() else { return false };
        let queued = match queued {
            // Room is left for others.
            Queued::Here { activity, .. } if self.inputs.bytes() > INPUTS_BYTES_MAX / 2 => {
                self.release_input(&activity);
                Queued::Stored { row: activity.row, seq: activity.seq }
            }
            queued => queued,
        };
        self.aside.entry(queue.to_owned()).or_default().push_back(queued);
        true
    }

    /// Puts back a message that may be processed now: of the next queues in turn, or else of `ended`, of which one was processed.
    /// `most`: how many of a queue may be at once. Returns whether there was one.
    pub fn take_back(&mut self, ended: Option<&str>, most: impl Fn(&str) -> Option<usize>) -> bool {
        let later = (Bound::Excluded(self.taken_back.as_str()), Bound::Unbounded);
        let in_turn = self.aside.range::<str, _>(later).chain(&self.aside).map(|(queue, _)| queue.as_str()).take(QUEUES_ASKED);
        let may = |queue: &&str| self.aside.contains_key(*queue) && self.has_room(queue, most(queue));
        let Some(queue) = in_turn.chain(ended).find(may).map(str::to_owned) else { return false };
        let Some(aside) = self.aside.get_mut(&queue) else { return false };
        let back = aside.pop_front();
        if aside.is_empty() {
            self.aside.remove(&queue);
        }
        self.taken_back = queue;
        back.map(|queued| self.queue.push_front(queued)).is_some()
    }

    fn has_room(&self, queue: &str, most: Option<usize>) -> bool {
        let processing = self.processing.get(queue).copied().unwrap_or(0);
        self.processing_all < self.messages_limit && most.is_none_or(|most| processing < most)
    }

    /// Notes that an activity runs.
    pub fn begin(&mut self, run: u64, running: Running) {
        if let Some(queue) = &running.queue {
            *self.processing.entry(queue.clone()).or_default() += 1;
            self.processing_all += 1;
        }
        self.running.insert(run, running);
    }

    /// Notes that one has ended.
    pub fn end(&mut self, run: u64) -> Option<Running> {
        let ended = self.running.remove(&run)?;
        if let Some(queue) = &ended.queue {
            self.processing_all -= 1;
            match self.processing.get_mut(queue) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.processing.remove(queue)),
            }
        }
        Some(ended)
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub fn task_of(&mut self, run: u64, task: Task<()>) {
        if let Some(running) = self.running.get_mut(&run) {
            running.task = Some(task);
        }
    }

    /// Releases the memory of the input of an activity that leaves the queue.
    pub fn release_input(&mut self, activity: &PendingActivity) {
        let inputs = self.inputs.bytes().saturating_sub(activity.input.len());
        self.inputs.shrink_to(inputs);
    }

    /// Puts activities that were read from the store into their places in the queue, as far as there is memory. Those in the
    /// range that was read, but not in the store, are no longer due and are removed.
    pub fn take_in(&mut self, first: (Row, Seq), read: Vec<PendingActivity>) {
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

pub(super) struct Running {
    pub row: Row,
    pub execution: ExecutionId,
    pub seq: Seq,
    /// The queue of which it processes a message.
    pub queue: Option<String>,
    /// Dropping it stops the activity at its next wait or at the end of its slice. None: it is about to be spawned.
    pub task: Option<Task<()>>,
}

impl Activities {
    pub fn new(limit: usize, messages_limit: usize, memory: &Account) -> Self {
        let state = State {
            queue: VecDeque::new(),
            aside: BTreeMap::new(),
            taken_back: String::new(),
            processing: BTreeMap::new(),
            processing_all: 0,
            messages_limit,
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
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    pub fn set_limits(&self, limit: usize, messages_limit: usize) {
        let mut state = self.lock();
        (state.limit, state.messages_limit) = (limit, messages_limit);
    }

    /// How many messages of each queue are processed.
    pub fn processing(&self) -> Vec<(String, u64)> {
        self.lock().processing.iter().map(|(queue, count)| (queue.clone(), *count as u64)).collect()
    }

    /// How many bytes a run of a function is expected to take.
    pub fn expected(&self, function: &FunctionName) -> usize {
        self.lock().expected.of(function)
    }

    /// Records the peak of a run that has ended.
    pub fn ended(&self, function: &FunctionName, took: usize) {
        self.lock().expected.ended(function, took);
    }

    /// Records that a run was stopped when it wanted `wanted` bytes.
    pub fn was_short(&self, function: &FunctionName, wanted: usize) {
        self.lock().expected.was_short(function, wanted);
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
            || state.waiting().any(|queued| match queued {
                Queued::Here { activity, .. } => (activity.row, activity.execution, activity.seq) == wanted,
                // It will be what the store has under this key when its turn comes.
                Queued::Stored { .. } => queued.is(row, seq),
            })
    }

    /// Cancels activities whose results are no longer needed: running ones are stopped at their next yield.
    ///
    /// Scans all running and queued activities: called when an execution ends, not for each result.
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

    /// Begins no more activities, and gives running ones `grace` to end. The rest run again when the hub is opened again.
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

#[cfg(test)]
mod tests {
    use dacapo_core::InstanceId;
    use uuid::Uuid;

    use super::*;
    use crate::engine::memory::MemoryBudget;

    fn activities() -> Activities {
        Activities::new(100, 100, &MemoryBudget::new(1 << 30, 10).account("hub"))
    }

    fn message(queue: &str, number: u64) -> PendingActivity {
        PendingActivity {
            row: Row(number),
            seq: Seq(0),
            instance: InstanceId::orchestration(&message::instance(queue, &number.to_string())).unwrap(),
            execution: ExecutionId(Uuid::from_u128(number.into())),
            version: None,
            name: FunctionName::new(trigger::ACTIVITY).unwrap(),
            input: "{}".into(),
            attempt: 1,
        }
    }

    /// Begins activities as long as one may. Returns the rows of those that run.
    fn begin(state: &mut State, most: Option<usize>) -> Vec<u64> {
        while let Some(queue) = state.next_message_of().map(str::to_owned) {
            if state.set_aside(&queue, most) {
                continue;
            }
            let Some(Queued::Here { activity, .. }) = state.queue.pop_front() else { panic!("it is here") };
            let (row, execution, seq) = (activity.row, activity.execution, activity.seq);
            state.begin(row.0, Running { row, execution, seq, queue: Some(queue), task: None });
        }
        let mut rows: Vec<u64> = state.running.keys().copied().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn as_many_messages_of_a_queue_are_processed_as_its_app_wants() {
        let activities = activities();
        let mut state = activities.lock();
        (1..=5).for_each(|number| state.push(message("a", number), 0));
        state.push(message("b", 6), 0);
        assert_eq!(begin(&mut state, Some(2)), [1, 2, 6], "those of another queue are not held up");
        state.end(1);
        assert!(state.take_back(Some("a"), |_| Some(2)) && !state.take_back(Some("a"), |_| Some(0)));
        assert_eq!(begin(&mut state, Some(2)), [2, 3, 6], "in their order");
        state.end(6);
        assert!(!state.take_back(Some("b"), |_| Some(2)));
        state.retain(|queued| !queued.is(Row(4), Seq(0)));
        // The app has changed its mind.
        state.end(2);
        assert!(state.take_back(Some("a"), |_| None));
        assert_eq!(begin(&mut state, None), [3, 5]);
        assert!(state.aside.is_empty() && !state.take_back(Some("a"), |_| None));
        state.end(3);
        state.end(5);
        assert!(state.processing.is_empty() && state.processing_all == 0);
    }

    /// A queue with many messages took all places for activities, and those of orchestrations waited behind its messages.
    #[test]
    fn the_messages_of_a_hub_are_limited_and_its_queues_take_turns() {
        let activities = Activities::new(100, 2, &MemoryBudget::new(1 << 30, 10).account("hub"));
        let mut state = activities.lock();
        (1..=4).for_each(|number| state.push(message("a", number), 0));
        (5..=6).for_each(|number| state.push(message("b", number), 0));
        let other = PendingActivity { name: FunctionName::new("pay").unwrap(), ..message("a", 7) };
        state.push(other, 0);
        assert_eq!(begin(&mut state, None), [1, 2]);
        let first = state.queue.front();
        assert!(
            matches!(first, Some(Queued::Here { activity, .. }) if activity.row == Row(7)),
            "activities do not wait behind them"
        );
        state.queue.clear();
        let mut next = |ended| {
            state.end(ended);
            assert!(state.take_back(Some("a"), |_| None));
            begin(&mut state, None)
        };
        assert_eq!([next(1), next(2), next(3)], [[2, 3], [3, 5], [4, 5]], "queues take turns");
        assert_eq!(state.aside.keys().collect::<Vec<_>>(), ["b"]);
        state.messages_limit = 3;
        assert!(state.take_back(None, |_| None));
        assert_eq!(begin(&mut state, None), [4, 5, 6]);
    }

    #[test]
    fn what_is_set_aside_leaves_memory_for_others() {
        let activities = activities();
        let mut state = activities.lock();
        let large = "x".repeat(INPUTS_BYTES_MAX / 4);
        (1..=4).for_each(|number| state.push(PendingActivity { input: large.as_str().into(), ..message("a", number) }, 0));
        begin(&mut state, Some(0));
        assert!(state.inputs.bytes() <= INPUTS_BYTES_MAX / 2);
        assert_eq!(state.waiting().count(), 4);
        assert!(state.aside["a"].iter().any(|queued| queued.is(Row(1), Seq(0)) && matches!(queued, Queued::Stored { .. })));
    }
}
