//! Runs one orchestrator: polls its future, and blocks in the host's `wait` when it cannot go on.
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
//! A task turns ready only when its turn in this order has come, never because its outcome happens to be readable. So
//! tasks turn ready one at a time, in the order in which they completed, and `select` sees that order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as PollContext, Poll, Wake, Waker};

use crate::failure::Failure;
use crate::host::{Host, Perform, TaskId};

/// One run of an orchestrator: the host, and the tasks that some future waits for at present.
pub(crate) struct Run {
    pub(crate) host: Box<dyn Host>,
    /// The function has asked for a fresh start.
    pub(crate) continues_as_new: Cell<bool>,
    pending: RefCell<BTreeMap<TaskId, Waker>>,
    /// Returned by `wait`, and not yet marked ready.
    completed: RefCell<VecDeque<TaskId>>,
    /// Marked ready, and not polled since. More than one where a future was polled once and then set aside.
    ready: RefCell<BTreeSet<TaskId>>,
    /// Tasks whose futures are gone, and what is to be done when they complete after all. Few at a time.
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

    /// Ready if the task was marked so; otherwise the next `wait` includes it.
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

    /// The future of the task is gone: no `wait` includes it any more.
    pub(crate) fn forget_task(&self, task: TaskId) {
        self.pending.borrow_mut().remove(&task);
        self.completed.borrow_mut().retain(|completed| *completed != task);
        self.ready.borrow_mut().remove(&task);
    }

    /// The future of the task is gone, but its success has an effect. `undo` is done when it has completed; it does
    /// nothing if there was no success.
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

    /// Marks the next completed task ready and gives its waker, blocking if there is none yet; none if no task is
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

/// What the contract allows in one call.
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
