//! A few threads for client requests that may block on the disk. Task hubs take turns on them.
//!
//! ```text
//!   handler ─▶ queue of its hub ─▶ ring of hubs ─▶ thread: one piece of work ─▶ next hub of the ring
//! ```
//!
//! Each job reads one slice, of about [`SLICE`]; a caller that needs more submits another job. So a client that lists over
//! hundreds of connections waits for itself, and delays another hub by the slices that run. A single read may take longer, such
//! as a history of many megabytes, so one hub never has all threads.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::panics::{Panicked, caught};

/// How long one slice continues to read.
pub const SLICE: Duration = Duration::from_millis(2);

/// The most jobs of one hub that may wait: as many as an address may have connections.
const WAITING_MAX: usize = 2_000;

/// A pool of a few threads. Clones are handles; the threads end when the last one is dropped.
#[derive(Clone)]
pub struct FairThreads(Arc<Handle>);

struct Handle(Arc<Queues>);

struct Queues {
    /// The name of the threads.
    name: &'static str,
    threads_max: usize,
    state: Mutex<State>,
    /// Notified when there is a job, or when the threads are to end.
    ready: Condvar,
}

#[derive(Default)]
struct State {
    /// Hubs with waiting jobs, each once, by folded name.
    ring: VecDeque<String>,
    waiting: HashMap<String, VecDeque<Job>>,
    /// The number of running jobs of each hub.
    running: HashMap<String, usize>,
    /// The number of waiting jobs of all hubs.
    queued: usize,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    closing: bool,
}

/// A job catches its own panics.
type Job = Box<dyn FnOnce() + Send>;

/// A job, and the hub that it is for.
struct Taken {
    hub: String,
    job: Job,
}

/// The hub's queue is full.
#[derive(Debug, PartialEq, Eq)]
struct Full;

/// Why a piece of work has no result.
#[derive(Debug)]
pub enum NotDone {
    /// The hub's queue is full. Holds its limit.
    TooManyWaiting(usize),
    Panicked(Panicked),
    /// The threads are ending.
    Ending,
}

impl FairThreads {
    /// One thread per processor for one hub, at least two because one may wait for the disk, and one more for the other hubs.
    pub fn for_reads() -> Self {
        Self::new("reader", std::thread::available_parallelism().map_or(1, usize::from).max(2) + 1)
    }

    /// Creates the pool. Its threads are started on demand.
    pub fn new(name: &'static str, threads_max: usize) -> Self {
        let queues = Queues { name, threads_max, state: Mutex::default(), ready: Condvar::new() };
        Self(Arc::new(Handle(Arc::new(queues))))
    }

    /// Runs `work` when the hub's turn has come. If the future is dropped before that, the work is not begun.
    pub async fn run<T: Send + 'static>(&self, hub: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotDone> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            if !answer.is_closed() {
                let _ = answer.send(caught(work));
            }
        };
        let pushed = self.0.0.push(hub, Box::new(job));
        pushed.map_err(|Full| NotDone::TooManyWaiting(WAITING_MAX))?;
        answered.await.map_err(|_| NotDone::Ending)?.map_err(NotDone::Panicked)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closing = true;
        self.0.ready.notify_all();
    }
}

impl Queues {
    /// Never held across an await or while a job runs.
    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, hub: &str, job: Job) -> Result<(), Full> {
        let mut state = self.lock();
        state.push(hub.to_ascii_lowercase(), job)?;
        if state.queued > state.idle && state.threads < self.threads_max {
            let queues = self.clone();
            match std::thread::Builder::new().name(self.name.into()).spawn(move || queues.work()) {
                Ok(_detached) => state.threads += 1,
                Err(error) => {
                    tracing::error!(%error, threads = state.threads, "a thread for client requests could not be started")
                }
            }
        }
        if state.idle > 0 {
            self.ready.notify_one();
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(Taken { hub, job }) = self.next() {
            job();
            self.lock().end(&hub);
        }
    }

    /// The most threads that one hub may use.
    fn of_a_hub_most(&self) -> usize {
        self.threads_max.saturating_sub(1).max(1)
    }

    /// Blocks until there is a job, and takes it. None: the thread is to end.
    fn next(&self) -> Option<Taken> {
        let mut state = self.lock();
        loop {
            if let Some(taken) = state.pop(self.of_a_hub_most()) {
                return Some(taken);
            }
            if state.closing {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

impl State {
    fn push(&mut self, hub: String, job: Job) -> Result<(), Full> {
        match self.waiting.get_mut(&hub) {
            Some(waiting) if waiting.len() >= WAITING_MAX => return Err(Full),
            Some(waiting) => waiting.push_back(job),
            None => {
                self.waiting.insert(hub.clone(), VecDeque::from([job]));
                self.ring.push_back(hub);
            }
        }
        self.queued += 1;
        Ok(())
    }

    /// Takes the first job of the first hub in the ring that may use another thread. The hub goes to the end of the ring.
    fn pop(&mut self, of_a_hub_most: usize) -> Option<Taken> {
        let may_have = |hub: &String| self.running.get(hub).is_none_or(|running| *running < of_a_hub_most);
        let hub = self.ring.remove(self.ring.iter().position(may_have)?)?;
        let waiting = self.waiting.get_mut(&hub).expect("a hub in the ring has something waiting");
        let job = waiting.pop_front()?;
        self.queued -= 1;
        match waiting.is_empty() {
            true => drop(self.waiting.remove(&hub)),
            false => self.ring.push_back(hub.clone()),
        }
        *self.running.entry(hub.clone()).or_default() += 1;
        Some(Taken { hub, job })
    }

    /// A job of the hub is done.
    fn end(&mut self, hub: &str) {
        if let Some(running) = self.running.get_mut(hub) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(hub);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Lists over 300 connections made the requests of all other hubs wait behind theirs.
    #[test]
    fn hubs_take_turns_and_one_has_a_bound() {
        let (sender, order) = mpsc::channel();
        let mut state = State::default();
        let mut push = |hub: &str| {
            let (sender, of) = (sender.clone(), hub.to_owned());
            state.push(hub.to_owned(), Box::new(move || sender.send(of).unwrap()))
        };
        for _ in 0..WAITING_MAX {
            push("busy").unwrap();
        }
        assert_eq!(push("busy"), Err(Full));
        push("one").unwrap();
        push("two").unwrap();
        push("one").unwrap();
        let next = |state: &mut State| {
            let Taken { hub, job } = state.pop(1)?;
            job();
            state.end(&hub);
            Some(())
        };
        for _ in 0..7 {
            next(&mut state).unwrap();
        }
        let order: Vec<String> = order.try_iter().collect();
        assert_eq!(order, ["busy", "one", "two", "busy", "one", "busy", "busy"]);
        while next(&mut state).is_some() {}
        assert!(state.ring.is_empty() && state.waiting.is_empty(), "nothing is kept of a hub that asks for nothing");
        assert!(state.running.is_empty());
    }

    /// Repeated reads of four histories of 160 MB occupied all threads: requests to other hubs waited for seconds.
    #[test]
    fn one_hub_never_has_all_threads() {
        let mut state = State::default();
        for hub in ["busy", "busy", "busy", "other"] {
            state.push(hub.to_owned(), Box::new(|| ())).unwrap();
        }
        let taken: Vec<String> = std::iter::from_fn(|| state.pop(2)).map(|taken| taken.hub).collect();
        assert_eq!(taken, ["busy", "other", "busy"], "the third waits until one of the others is done");
        state.end("busy");
        assert_eq!(state.pop(2).unwrap().hub, "busy");
    }

    #[tokio::test]
    async fn what_panics_is_an_error_and_the_next_is_done() {
        let reads = FairThreads::new("test", 2);
        for _ in 0..2 * reads.0.0.threads_max {
            let read = reads.run::<()>("hub", || panic!("a bug")).await;
            assert!(matches!(read, Err(NotDone::Panicked(_))));
        }
        assert_eq!(reads.run("hub", || 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let reads = FairThreads::new("test", 2);
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let mut busy: Vec<_> = Vec::new();
        for _ in 0..reads.0.0.threads_max {
            let wait = wait.clone();
            busy.push(Box::pin(reads.run("hub", move || wait.lock().unwrap().recv().is_ok())));
        }
        let (sender, read) = mpsc::channel();
        let mut given_up = Box::pin(reads.run("hub", move || sender.send(()).unwrap()));
        for read in &mut busy {
            assert!(futures::poll!(read).is_pending());
        }
        assert!(futures::poll!(&mut given_up).is_pending());
        drop(given_up);
        drop(go_on);
        for read in busy {
            assert!(!read.await.unwrap());
        }
        reads.run("hub", || ()).await.unwrap();
        assert!(read.recv().is_err(), "its sender is dropped unused");
    }
}
