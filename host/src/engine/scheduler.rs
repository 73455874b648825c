//! The worker threads of a host, and how the jobs of all hubs share them: turns, work that follows from commits, activities.
//!
//! ```text
//!   work queue of a hub ──enqueue──▶ ring ──▶ thread with a permit ──▶ one job of that hub ──▶ next hub in the ring
//! ```
//!
//! A thread works while it has a *permit*. It takes one job from the first hub in a ring, and that hub goes to the end of it.
//! There are two rings, one for each [`JobClass`]:
//! - *short*: jobs that are expected to end within a time slice (about a millisecond).
//! - *long*: turns and activities that have used up a slice and need more; and for a while all jobs of a hub after one of them
//!   took long without yielding.
//!
//! Each class has as many permits as there are processors, and both together one more. So when hubs compute without end, a
//! permit is left for short jobs, and the operating system shares the processors among the permits. And when there are many
//! short jobs, a permit is left for long ones.
//!
//! A turn runs on a thread's stack. When its slice is over and others wait, it releases its permit and its thread sleeps until
//! its hub's turn in the ring has come; a spare thread works meanwhile. An activity is a future, and needs no spare thread.
//!
//! Jobs yield cooperatively. One that does not yield in time (a guest fills a hundred megabytes with one instruction, a long
//! history is decoded) loses its short permit if others wait for one: it becomes a long job, or an *excess* job, which continues
//! without a permit until it yields. The operating system shares the processors meanwhile.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dacapo_wasm::processor_time;
use tokio::sync::oneshot;

use super::panics::caught;
use crate::log;

/// Guests run on these threads, on stacks of their own; the thread's own stack serves the compiler and the host.
const STACK_BYTES: usize = 4 << 20;

/// Threads that drive the I/O of activities: sockets, timers, files.
const IO_THREADS: usize = 1;

/// How long a job runs before another may have its permit: long compared with the cost of yielding (some tens of microseconds
/// if another thread takes over).
const SLICE_TIME: Duration = Duration::from_millis(1);

/// After this time a job that has not yielded loses its short permit, if others wait for one. If it has computed for so long, the
/// next jobs of its hub are not expected to be short.
const OVERDUE_AFTER: Duration = Duration::from_millis(3);

/// How long a job is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobClass {
    Short,
    Long,
}

impl JobClass {
    pub const ALL: [JobClass; 2] = [JobClass::Short, JobClass::Long];
}

/// The jobs of a hub.
pub(crate) trait WorkQueue: Send + Sync {
    /// Takes a job of this class; the hub goes to the end of the ring if it has more.
    fn take(self: Arc<Self>, class: JobClass) -> Option<Taken>;

    /// Keeps a turn that has used up its slice.
    fn pause(self: Arc<Self>, turn: PausedTurn);

    /// A job did not yield in time: measured in processor time (`computed`), or only by the clock.
    fn overran(&self, computed: bool);

    /// Whether the processor time of the hub's jobs is to be measured.
    fn is_watched(&self) -> bool;

    /// Whether turns that still run are to stop at their next checkpoint.
    fn cuts_off(&self) -> bool;
}

/// What a thread takes from a work queue.
pub(crate) enum Taken {
    /// A job, which catches its own panics.
    Job(Box<dyn FnOnce() + Send>),
    /// A paused turn, which continues on its own thread.
    Paused(PausedTurn),
}

/// The worker threads of a host. Clones are handles; the threads end when the last one is dropped.
#[derive(Clone)]
pub struct Workers(Arc<Pool>);

struct Pool {
    scheduler: Arc<Scheduler>,
    /// Drives the I/O of activities. None: it is being dropped.
    io: Option<tokio::runtime::Runtime>,
}

impl Workers {
    /// `threads` is how many turns and activities may compute at once.
    pub fn new(threads: usize) -> anyhow::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let io = builder.worker_threads(IO_THREADS).thread_name("activity-io").enable_all().build();
        let io = io.context("starting the runtime of activities")?;
        let state = State {
            rings: [VecDeque::new(), VecDeque::new()],
            permits: Permits::new(threads),
            free: 0,
            awake: 0,
            watch_sleeps: false,
            probes: Vec::new(),
            closing: false,
        };
        let scheduler =
            Scheduler { state: Mutex::new(state), ready: Condvar::new(), starved: Condvar::new(), io: io.handle().clone() };
        let workers = Self(Arc::new(Pool { scheduler: Arc::new(scheduler), io: Some(io) }));
        let scheduler = workers.scheduler();
        let mut state = scheduler.lock();
        for _ in 0..state.permits.in_all() {
            scheduler.spawn(&mut state).context("starting the threads that run turns")?;
        }
        drop(state);
        let watch = scheduler.clone();
        let builder = std::thread::Builder::new().name("worker-watch".into());
        builder.spawn(move || watch.watch()).context("starting the thread that watches those that run turns")?;
        Ok(workers)
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.0.scheduler
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.scheduler.lock().closing = true;
        self.scheduler.ready.notify_all();
        self.scheduler.starved.notify_all();
        // Does not wait for I/O of activities that is still open.
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

/// Assigns jobs to threads: hubs with jobs wait in its rings, idle threads on its condition variable.
pub(crate) struct Scheduler {
    state: Mutex<State>,
    /// Notified when there is a job and a permit for it.
    ready: Condvar,
    /// Notified when there is a short job and no permit for it, or when the threads are to end.
    starved: Condvar,
    io: tokio::runtime::Handle,
}

struct State {
    /// By class. Each contains a hub at most once.
    rings: [VecDeque<Arc<dyn WorkQueue>>; 2],
    permits: Permits,
    /// Threads that look for a job.
    free: usize,
    /// Threads on which no turn is paused.
    awake: usize,
    /// The watch thread sleeps until short jobs wait for a permit.
    watch_sleeps: bool,
    /// Callers of [`Scheduler::probe`].
    probes: Vec<oneshot::Sender<()>>,
    closing: bool,
}

impl State {
    /// The class from which a job can be taken now. Short jobs go first; they can never have all permits.
    fn next_class(&self) -> Option<JobClass> {
        JobClass::ALL.into_iter().find(|&class| !self.rings[class as usize].is_empty() && self.permits.has_one_for(class))
    }

    /// Whether probes can be answered: a thread could take a short job.
    fn has_probe(&self) -> bool {
        !self.probes.is_empty() && self.permits.has_one_for(JobClass::Short)
    }

    /// Whether a job could be taken if a long permit were released.
    fn wants_long_permit(&mut self) -> bool {
        self.permits.taken[JobClass::Long as usize] -= 1;
        let wanted = self.next_class().is_some();
        self.permits.taken[JobClass::Long as usize] += 1;
        wanted
    }

    fn is_starved(&self) -> bool {
        !self.rings[JobClass::Short as usize].is_empty() && !self.permits.has_one_for(JobClass::Short)
    }

    /// As many threads as there are permits, plus those that work without one.
    fn threads_wanted(&self) -> usize {
        self.permits.in_all() + self.permits.excess
    }
}

impl Scheduler {
    /// Never held across an await, while guests run, or while another lock is taken.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Adds a hub with jobs to a ring. The caller ensures that the ring does not contain it already.
    pub fn enqueue(&self, hub: Arc<dyn WorkQueue>, class: JobClass) {
        let mut state = self.lock();
        state.rings[class as usize].push_back(hub);
        self.call(&mut state);
    }

    /// Takes short permits from jobs that do not yield while others wait.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.closing {
            if state.is_starved() {
                let wait = state.permits.until_overdue(Instant::now());
                state = self.starved.wait_timeout(state, wait).expect("no holder of this lock panics").0;
            } else {
                state.watch_sleeps = true;
                state = self.starved.wait(state).expect("no holder of this lock panics");
                continue;
            }
            if !state.is_starved() || !state.permits.demote_overdue(Instant::now()) {
                continue;
            }
            if state.awake < state.threads_wanted()
                && let Err(error) = self.spawn(&mut state)
            {
                tracing::warn!(%error, "no further thread can be started: short jobs wait for long ones");
            }
            self.call(&mut state);
        }
    }

    /// Resolves when a thread could take a job.
    pub fn probe(&self) -> oneshot::Receiver<()> {
        let (probe, answered) = oneshot::channel();
        let mut state = self.lock();
        state.probes.push(probe);
        self.call(&mut state);
        answered
    }

    /// Wakes a thread if there is a job for it. Each thread that takes a job wakes the next. Wakes the watch thread if there is a
    /// short job and no permit for it.
    fn call(&self, state: &mut State) {
        if state.free > 0 && (state.has_probe() || state.next_class().is_some()) {
            self.ready.notify_one();
        }
        if state.watch_sleeps && state.is_starved() {
            state.watch_sleeps = false;
            self.starved.notify_one();
        }
    }

    /// Blocks until there is a hub to take a job from, and a permit. None: the thread is to end.
    fn next(&self, left: Option<PermitId>) -> Option<(Arc<dyn WorkQueue>, JobClass, PermitId)> {
        let mut state = self.lock();
        if let Some(permit) = left {
            state.permits.leave(permit);
        }
        state.free += 1;
        loop {
            if state.has_probe() {
                let probes = std::mem::take(&mut state.probes);
                drop(state);
                // The caller may have gone.
                for probe in probes {
                    let _ = probe.send(());
                }
                state = self.lock();
            }
            if let Some(class) = state.next_class() {
                let hub = state.rings[class as usize].pop_front().expect("it was found not to be empty");
                let permit = state.permits.take(class, Instant::now());
                state.free -= 1;
                self.call(&mut state);
                return Some((hub, class, permit));
            }
            // A spare thread, started in the place of turns that have continued since.
            if state.closing || state.free > state.threads_wanted() {
                state.free -= 1;
                state.awake -= 1;
                return None;
            }
            state = self.ready.wait(state).expect("no holder of this lock panics");
        }
    }

    fn spawn(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let scheduler = self.clone();
        let builder = std::thread::Builder::new().name("worker".into()).stack_size(STACK_BYTES);
        builder.spawn(move || {
            caught(|| scheduler.work()).unwrap_or_else(|why| log::abort(&format!("a worker thread has panicked: {why}")))
        })?;
        state.awake += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        let _io = self.io.enter();
        let mut left = None;
        while let Some((hub, class, permit)) = self.next(left.take()) {
            match hub.clone().take(class) {
                // The permit is passed to the thread that the turn is paused on.
                Some(Taken::Paused(turn)) => turn.go_on(permit),
                Some(Taken::Job(job)) => {
                    RUNNING.set(Some(RunningJob::new(self.clone(), hub, permit)));
                    job();
                    left = RUNNING.take().map(|permit| permit.end());
                }
                None => left = Some(permit),
            }
        }
    }

    /// Called when the slice of this thread's turn is over: pauses the turn if others wait.
    fn end_slice(self: &Arc<Self>, permit: &mut RunningJob) {
        {
            let mut state = self.lock();
            match state.permits.class(permit.id) {
                Some(JobClass::Long) if !state.wants_long_permit() => return,
                Some(JobClass::Long) => {}
                // From now on it is a long job.
                Some(JobClass::Short) | None => {
                    if state.rings[JobClass::Long as usize].is_empty() && state.permits.move_to_long(permit.id) {
                        return self.call(&mut state);
                    }
                }
            }
            // Without this thread, as many as there are permits must stay awake.
            let wanted = state.threads_wanted() - usize::from(state.permits.class(permit.id).is_none());
            if state.awake <= wanted
                && let Err(error) = self.spawn(&mut state)
            {
                tracing::warn!(%error, "no further thread can be started: a long turn keeps its thread");
                return;
            }
            state.awake -= 1;
        }
        let (turn, pause) = PausedTurn::new();
        permit.hub.clone().pause(turn);
        self.leave(permit.id);
        let given = pause.wait();
        let mut state = self.lock();
        permit.id = given.unwrap_or_else(|| state.permits.take(JobClass::Long, Instant::now()));
        state.awake += 1;
    }

    fn leave(&self, permit: PermitId) {
        let mut state = self.lock();
        state.permits.leave(permit);
        self.call(&mut state);
    }
}

/// The host's [`dacapo_wasm::Checkpoint`]: if the slice of this thread's job is over, others may have its permit. Does nothing on
/// a thread that has none.
pub fn checkpoint() -> ControlFlow<()> {
    RUNNING.with_borrow_mut(|permit| match permit {
        Some(permit) if permit.began.elapsed() >= SLICE_TIME => permit.pass(),
        Some(_) | None => ControlFlow::Continue(()),
    })
}

/// Whether the turn of this thread was stopped at a checkpoint, so that its result is to be dropped.
pub(crate) fn was_cut_off() -> bool {
    RUNNING.with_borrow(|permit| permit.as_ref().is_some_and(|permit| permit.cut_off))
}

thread_local! {
    /// The job that this thread runs, with its permit.
    static RUNNING: RefCell<Option<RunningJob>> = const { RefCell::new(None) };
}

struct RunningJob {
    scheduler: Arc<Scheduler>,
    hub: Arc<dyn WorkQueue>,
    id: PermitId,
    /// When the slice began.
    began: Instant,
    /// The processor time of the thread at that moment, if it is measured.
    computed: Option<Duration>,
    cut_off: bool,
}

impl RunningJob {
    fn new(scheduler: Arc<Scheduler>, hub: Arc<dyn WorkQueue>, id: PermitId) -> Self {
        let computed = hub.is_watched().then(processor_time);
        Self { scheduler, hub, id, began: Instant::now(), computed, cut_off: false }
    }

    /// Reports a slice that took too long. By the clock it may only have waited for a processor: the next ones are measured.
    fn look(&self) {
        if self.began.elapsed() < OVERDUE_AFTER {
            return;
        }
        match self.computed {
            None => self.hub.overran(false),
            Some(before) if processor_time().saturating_sub(before) >= OVERDUE_AFTER => self.hub.overran(true),
            Some(_) => {}
        }
    }

    /// The job is done.
    fn end(self) -> PermitId {
        self.look();
        self.id
    }

    fn pass(&mut self) -> ControlFlow<()> {
        self.look();
        let scheduler = self.scheduler.clone();
        scheduler.end_slice(self);
        self.began = Instant::now();
        self.computed = self.hub.is_watched().then(processor_time);
        self.cut_off |= self.hub.cuts_off();
        if self.cut_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A turn whose slice is over. It continues when it is given a long permit.
pub(crate) struct PausedTurn(mpsc::Sender<PermitId>);

struct Pause(mpsc::Receiver<PermitId>);

impl PausedTurn {
    fn new() -> (Self, Pause) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), Pause(receiver))
    }

    fn go_on(self, permit: PermitId) {
        // Its thread exists, and waits for nothing else.
        let _ = self.0.send(permit);
    }
}

impl Pause {
    /// Blocks until the turn is given a permit. None: the work queue was dropped with the turn on it, which only a bug could do.
    fn wait(self) -> Option<PermitId> {
        self.0.recv().ok()
    }
}

/// Identifies a permit while it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PermitId(u64);

/// The permits that are taken, and since when.
#[derive(Debug)]
struct Permits {
    /// The permits of each class.
    most: usize,
    taken: [usize; 2],
    /// Jobs that continue without a permit because they had a short one for too long.
    excess: usize,
    /// The permits that are taken, and the jobs in excess.
    given: HashMap<PermitId, Given>,
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    /// None: the job is in excess.
    class: Option<JobClass>,
    at: Instant,
}

impl Permits {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: [0, 0], excess: 0, given: HashMap::new(), last: 0 }
    }

    fn in_all(&self) -> usize {
        self.most + 1
    }

    fn has_one_for(&self, class: JobClass) -> bool {
        self.taken[class as usize] < self.most && self.taken.iter().sum::<usize>() < self.in_all()
    }

    fn take(&mut self, class: JobClass, at: Instant) -> PermitId {
        self.last += 1;
        let permit = PermitId(self.last);
        self.given.insert(permit, Given { class: Some(class), at });
        self.taken[class as usize] += 1;
        permit
    }

    /// None: it is in excess.
    fn class(&self, permit: PermitId) -> Option<JobClass> {
        self.given.get(&permit).and_then(|given| given.class)
    }

    fn leave(&mut self, permit: PermitId) {
        match self.given.remove(&permit).and_then(|given| given.class) {
            Some(class) => self.taken[class as usize] -= 1,
            None => self.excess -= 1,
        }
    }

    /// Exchanges a permit for a long one, if there is one. Returns whether it is a long one now.
    fn move_to_long(&mut self, permit: PermitId) -> bool {
        let Some(given) = self.given.get_mut(&permit) else { return false };
        let Given { class: before, at } = *given;
        self.leave(permit);
        let class = self.has_one_for(JobClass::Long).then_some(JobClass::Long).or(before);
        match class {
            Some(class) => self.taken[class as usize] += 1,
            None => self.excess += 1,
        }
        self.given.insert(permit, Given { class, at });
        class == Some(JobClass::Long)
    }

    /// How long it is until the next job with a short permit is overdue.
    fn until_overdue(&self, now: Instant) -> Duration {
        let short = self.given.values().filter(|given| given.class == Some(JobClass::Short));
        let oldest = short.map(|given| given.at).min().unwrap_or(now);
        (oldest + OVERDUE_AFTER).saturating_duration_since(now).max(SLICE_TIME / 4)
    }

    /// Takes the short permit from the job that has had one for longest, if it is overdue. Returns whether one became free.
    fn demote_overdue(&mut self, now: Instant) -> bool {
        let short = self.given.iter().filter(|(_, given)| given.class == Some(JobClass::Short));
        let oldest = short.min_by_key(|(_, given)| given.at).map(|(permit, given)| (*permit, *given));
        let Some((permit, given)) = oldest.filter(|(_, given)| now.duration_since(given.at) >= OVERDUE_AFTER) else {
            return false;
        };
        if self.taken.iter().sum::<usize>() < self.in_all() {
            return self.move_to_long(permit);
        }
        // At most as many in excess as there are permits: each takes a share of the processors.
        if self.excess >= self.in_all() {
            return false;
        }
        self.leave(permit);
        self.excess += 1;
        self.given.insert(permit, Given { class: None, ..given });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_class_ever_has_all_permits() {
        let mut permits = Permits::new(2);
        let now = Instant::now();
        for (one, other) in [(JobClass::Short, JobClass::Long), (JobClass::Long, JobClass::Short)] {
            let first = [permits.take(one, now), permits.take(one, now)];
            assert!(!permits.has_one_for(one) && permits.has_one_for(other));
            let last = permits.take(other, now);
            assert!(!permits.has_one_for(one) && !permits.has_one_for(other));
            permits.leave(first[0]);
            assert!(permits.has_one_for(one) && permits.has_one_for(other));
            permits.leave(first[1]);
            permits.leave(last);
        }
    }

    /// A guest that fills its memory with one instruction yields only when that is done, and other hubs waited for it.
    #[test]
    fn a_job_that_does_not_let_go_loses_its_short_permit_and_goes_on() {
        let mut permits = Permits::new(1);
        let (now, later) = (Instant::now(), Instant::now() + OVERDUE_AFTER);
        let slow = permits.take(JobClass::Short, now);
        assert!(!permits.demote_overdue(now), "it has time");
        assert!(permits.demote_overdue(later));
        assert_eq!(permits.class(slow), Some(JobClass::Long));
        // There is no further long permit.
        let (mut excess, most) = (Vec::new(), permits.in_all());
        for number in 0..most {
            let slow = permits.take(JobClass::Short, now);
            assert!(permits.demote_overdue(later) && permits.has_one_for(JobClass::Short));
            assert_eq!((permits.class(slow), permits.excess), (None, number + 1));
            excess.push(slow);
        }
        let last = permits.take(JobClass::Short, now);
        assert!(!permits.demote_overdue(later), "there are enough of them");
        // A job that yields gets a long permit if there is one, or waits for it.
        assert!(!permits.move_to_long(excess[0]));
        permits.leave(slow);
        assert!(permits.move_to_long(excess[0]));
        excess.into_iter().chain([last]).for_each(|permit| permits.leave(permit));
        assert_eq!((permits.taken, permits.excess, permits.given.len()), ([0, 0], 0, 0));
    }
}
