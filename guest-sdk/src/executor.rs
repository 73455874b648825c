//! Runs one orchestrator: polls its future, and blocks in the host's `wait` when the future makes no progress.
//!
//! ```text
//!    poll the root ──► ready: done
//!      ▲       │
//!      │       ▼ pending
//!      ├── yes ─ was the root woken meanwhile?
//!      │       │ no
//!      ├── yes ─ is a completed task left? mark the next one ready and wake it
//!      │       │ no
//!      ├── yes ─ are tasks pending? wait for all of them, and note those that completed
//!      │       │ no
//!      │       ▼
//!      │   it awaits something that is not durable: fail
//! ```
//!
//! A task becomes ready only in this order, even if the host could already return its outcome. So tasks become ready one
//! at a time, in the order in which they completed, and `select` observes that order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as PollContext, Poll, Wake, Waker};

use crate::failure::Failure;
use crate::host::{Host, Perform, TaskId};

/// One run of an orchestrator: the host, and the tasks that futures are waiting for.
pub(crate) struct Run {
    pub(crate) host: Box<dyn Host>,
    /// Whether the function has called `continue_as_new`.
    pub(crate) continues_as_new: Cell<bool>,
    pending: RefCell<BTreeMap<TaskId, Waker>>,
    /// Returned by `wait`, and not yet marked ready.
    completed: RefCell<VecDeque<TaskId>>,
    /// Marked ready, and not polled since. More than one if a future was polled once and then not again.
    ready: RefCell<BTreeSet<TaskId>>,
    /// Tasks whose futures were dropped, and the effects that undo them when they complete. Few at a time.
    abandoned: RefCell<Vec<(TaskId, Box<dyn Perform>)>>,
}

impl Run {
    pub(crate) fn new(host: Box<dyn Host>) -> Self {
        Self {
            host,
            continues_as_new: Cell::new(false),
            pending: RefCell::default(),
            completed: RefCell::default(),
            ready: RefCell::default(),
            abandoned: RefCell::default(),
        }
    }

    /// Returns ready if the task was marked ready; otherwise the next `wait` includes it.
    pub(crate) fn poll_task(&self, task: TaskId, context: &PollContext<'_>) -> Poll<()> {
        if self.ready.borrow_mut().remove(&task) {
            return Poll::Ready(());
        }
        let mut pending = self.pending.borrow_mut();
        match pending.get_mut(&task) {
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(pending.insert(task, context.waker().clone())),
        }
        Poll::Pending
    }

    /// Removes a task whose future was dropped, so that no `wait` includes it any more.
    pub(crate) fn forget_task(&self, task: TaskId) {
        self.pending.borrow_mut().remove(&task);
        self.completed.borrow_mut().retain(|completed| *completed != task);
        self.ready.borrow_mut().remove(&task);
    }

    /// Removes a task whose future was dropped, but whose success has an effect on the host: performs `undo` when the task
    /// has completed. `undo` has no effect if the task failed.
    pub(crate) fn abandon_task(&self, task: TaskId, undo: Box<dyn Perform>) {
        self.forget_task(task);
        match self.host.outcome(task) {
            Some(_) => self.undo(task, &*undo),
            None => self.abandoned.borrow_mut().push((task, undo)),
        }
    }

    fn undo(&self, task: TaskId, undo: &dyn Perform) {
        self.host.release(task);
        self.host.perform(undo);
    }

    /// Fills a buffer with random bytes.
    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(RANDOM_BYTES_MAX) {
            // A chunk is at most 65,536 long.
            chunk.copy_from_slice(&self.host.random_bytes(chunk.len() as u32));
        }
    }

    /// Polls the future to its end.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut future = pin!(future);
        let root = Arc::new(Root::default());
        let waker = Waker::from(root.clone());
        let mut context = PollContext::from_waker(&waker);
        loop {
            root.woken.store(false, Ordering::Relaxed);
            if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
                return outcome;
            }
            if root.woken.load(Ordering::Relaxed) {
                continue;
            }
            match self.next_completed() {
                Some(waker) => waker.wake(),
                None => return Err(nothing_to_wait_for(NOT_DURABLE)),
            }
        }
    }

    /// Marks the next completed task ready and returns its waker. Blocks if none has completed; returns none if no task is
    /// pending.
    fn next_completed(&self) -> Option<Waker> {
        loop {
            if self.completed.borrow().is_empty() {
                let mut waited: Vec<TaskId> = self.pending.borrow().keys().copied().collect();
                if !waited.is_empty() {
                    waited.extend(self.abandoned.borrow().iter().map(|(task, _)| *task));
                    self.completed.replace(self.host.wait(&waited).into());
                }
            }
            let task = self.completed.borrow_mut().pop_front()?;
            let abandoned = self.abandoned.borrow().iter().position(|(abandoned, _)| *abandoned == task);
            if let Some(index) = abandoned {
                let (_, undo) = self.abandoned.borrow_mut().swap_remove(index);
                self.undo(task, &*undo);
                continue;
            }
            self.ready.borrow_mut().insert(task);
            return self.pending.borrow_mut().remove(&task);
        }
    }
}

/// The maximum of the contract for one call of `random-bytes`.
const RANDOM_BYTES_MAX: usize = 65_536;

const NOT_DURABLE: &str = "the orchestrator awaits something that is not durable: \
                           whatever it waits for must come from its context";

#[derive(Default)]
struct Root {
    woken: AtomicBool,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn nothing_to_wait_for(message: &str) -> Failure {
    Failure::new("NothingToWaitFor", message).not_retriable()
}
