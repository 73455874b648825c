//! The state of a hub's activities, queued and running. Which one begins next, and when, is decided in `super`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_task::Task;
use dacapo_core::{ExecutionId, FunctionName, Row, Seq};
use dacapo_store::PendingActivity;

use crate::engine::memory::{Account, Reservation};
use crate::hub::activity::memory::Expected;

/// Bytes of inputs of queued activities that a hub keeps in memory; the others stay in the store.
const INPUTS_BYTES_MAX: usize = 16 << 20;

pub(in crate::hub) struct Activities {
    state: Mutex<State>,
    pub(super) idle: tokio::sync::Notify,
}

pub(super) struct State {
    pub queue: VecDeque<Queued>,
    /// The reservation of the inputs of queued activities.
    pub inputs: Reservation,
    pub running: HashMap<u64, Running>,
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

impl Queued {
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

    /// Removes the activities that are not to be kept, and releases their inputs.
    fn retain(&mut self, keep: impl Fn(&Queued) -> bool) {
        self.queue.retain(keep);
        let input = |queued: &Queued| match queued {
            Queued::Here { activity, .. } => activity.input.len(),
            Queued::Stored { .. } => 0,
        };
        self.inputs.shrink_to(self.queue.iter().map(input).sum());
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
    /// Dropping it stops the activity at its next wait or at the end of its slice. None: it is about to be spawned.
    pub task: Option<Task<()>>,
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
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
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
            || state.queue.iter().any(|queued| match queued {
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
