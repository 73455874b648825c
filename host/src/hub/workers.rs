//! The threads of a host, and who may use them: turns, what follows from commits, and activities of all hubs.
//!
//! ```text
//!   desk of a hub ──stand──▶ ring ──▶ thread with a seat ──▶ one job of that hub ──▶ next hub of the ring
//! ```
//!
//! A thread works while it has a *seat*. It takes one job from the first hub of a ring, and that hub goes to the end of it.
//! There are two rings, one for each [`Lane`]:
//! - *short*: what is over within a slice of time (about a millisecond), as far as anybody knows beforehand.
//! - *long*: turns and activities that have used up a slice and want more.
//!
//! Each lane has as many seats as there are processors, and both together one more. So when hubs loop with all they have,
//! a seat is left for what is short, and the operating system shares the processors among the seats. And when there is
//! much that is short, a seat is left for what takes long.
//!
//! A turn runs on a thread's stack. When its slice is over and somebody waits, it leaves its seat and the thread sleeps
//! until the turn's place in the ring has come; a spare thread works meanwhile. An activity is a future, and needs none.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};

use anyhow::Context as _;

use super::desk::{Desk, Job, Taken};

/// Guests run on these threads, on stacks of their own; the thread's own stack serves the compiler and the host.
const STACK_BYTES: usize = 4 << 20;

/// Threads that carry out what the futures of activities ask of the system: sockets, clocks, files.
const IO_THREADS: usize = 1;

/// How long a job may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Short,
    Long,
}

impl Lane {
    pub const ALL: [Lane; 2] = [Lane::Short, Lane::Long];
}

/// The threads of a host. Clones are handles; with the last one the threads end.
#[derive(Clone)]
pub struct Workers(Arc<Crew>);

struct Crew {
    floor: Arc<Floor>,
    /// Drives what activities wait for. None: it is being dropped.
    io: Option<tokio::runtime::Runtime>,
}

impl Workers {
    /// `threads` is how many turns and activities may compute at once.
    pub fn new(threads: usize) -> anyhow::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let io = builder.worker_threads(IO_THREADS).thread_name("activity-io").enable_all().build();
        let io = io.context("starting the runtime of activities")?;
        let state =
            State { rings: [VecDeque::new(), VecDeque::new()], seats: Seats::new(threads), free: 0, awake: 0, closing: false };
        let floor = Floor { state: Mutex::new(state), ready: Condvar::new(), io: io.handle().clone() };
        let workers = Self(Arc::new(Crew { floor: Arc::new(floor), io: Some(io) }));
        let floor = workers.floor();
        let mut state = floor.lock();
        for _ in 0..state.seats.in_all() {
            floor.spawn(&mut state).context("starting the threads that run turns")?;
        }
        drop(state);
        Ok(workers)
    }

    pub(super) fn floor(&self) -> &Arc<Floor> {
        &self.0.floor
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.floor.lock().closing = true;
        self.floor.ready.notify_all();
        // What an activity still has open is not waited for.
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

/// Where hubs stand that have something to do, and threads that have nothing.
pub(super) struct Floor {
    state: Mutex<State>,
    /// There is something to do, and a seat.
    ready: Condvar,
    io: tokio::runtime::Handle,
}

struct State {
    /// By lane. A desk stands in each at most once.
    rings: [VecDeque<Arc<Desk>>; 2],
    seats: Seats,
    /// Threads that look for something to do.
    free: usize,
    /// Threads on which no turn is paused.
    awake: usize,
    closing: bool,
}

impl State {
    /// The lane from which a job can be taken now. What is short goes first; it can never have all seats.
    fn next_lane(&self) -> Option<Lane> {
        Lane::ALL.into_iter().find(|&lane| !self.rings[lane as usize].is_empty() && self.seats.has_one_for(lane))
    }

    /// Whether a job could be taken if this seat were left.
    fn is_wanted(&mut self, lane: Lane) -> bool {
        self.seats.leave(lane);
        let wanted = self.next_lane().is_some();
        self.seats.take(lane);
        wanted
    }
}

impl Floor {
    /// Nothing awaits or runs guests under this lock, and nobody takes another lock under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// A hub has something to do. The caller sees to it that it stands here once.
    pub fn stand(&self, desk: Arc<Desk>, lane: Lane) {
        let mut state = self.lock();
        state.rings[lane as usize].push_back(desk);
        self.call(&state);
    }

    /// Wakes a thread if there is something for it. Each one that takes a job wakes the next.
    fn call(&self, state: &State) {
        if state.free > 0 && state.next_lane().is_some() {
            self.ready.notify_one();
        }
    }

    /// The hub that a job is to be taken from, with a seat; blocks until there is one. None: the thread is to end.
    fn next(&self, left: Option<Lane>) -> Option<(Arc<Desk>, Lane)> {
        let mut state = self.lock();
        if let Some(lane) = left {
            state.seats.leave(lane);
        }
        state.free += 1;
        loop {
            if let Some(lane) = state.next_lane() {
                let desk = state.rings[lane as usize].pop_front().expect("it was found not to be empty");
                state.seats.take(lane);
                state.free -= 1;
                self.call(&state);
                return Some((desk, lane));
            }
            // A spare one, that took the place of turns which have gone on since.
            if state.closing || state.free > state.seats.in_all() {
                state.free -= 1;
                state.awake -= 1;
                return None;
            }
            state = self.ready.wait(state).expect("no holder of this lock panics");
        }
    }

    fn spawn(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let floor = self.clone();
        let builder = std::thread::Builder::new().name("worker".into()).stack_size(STACK_BYTES);
        builder.spawn(move || floor.work())?;
        state.awake += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        let _io = self.io.enter();
        let mut left = None;
        while let Some((desk, lane)) = self.next(left.take()) {
            match desk.take(lane) {
                // The seat goes to the thread that the turn is on.
                Some(Taken::Paused(turn)) => turn.go_on(),
                Some(Taken::Job(job)) => {
                    SEAT.set(Some(Seat { floor: self.clone(), desk: desk.clone(), lane }));
                    run(&desk, job);
                    left = SEAT.take().map(|seat| seat.lane);
                }
                None => left = Some(lane),
            }
        }
    }

    /// The slice of this thread's turn is over.
    fn end_slice(self: &Arc<Self>, seat: &mut Seat) {
        {
            let mut state = self.lock();
            if seat.lane == Lane::Short {
                // From now on it takes long.
                state.seats.leave(Lane::Short);
                let stays = state.rings[Lane::Long as usize].is_empty() && state.seats.has_one_for(Lane::Long);
                seat.lane = if stays { Lane::Long } else { Lane::Short };
                state.seats.take(seat.lane);
                if stays {
                    return self.call(&state);
                }
            } else if !state.is_wanted(Lane::Long) {
                return;
            }
            // As many threads as there are seats must be awake without this one.
            if state.awake <= state.seats.in_all()
                && let Err(error) = self.spawn(&mut state)
            {
                tracing::warn!(%error, "no further thread can be started: a turn that takes long keeps its own");
                return;
            }
            state.awake -= 1;
        }
        let (turn, pause) = PausedTurn::new();
        seat.desk.pause(turn);
        self.leave(seat.lane);
        pause.wait();
        seat.lane = Lane::Long;
        self.lock().awake += 1;
    }

    fn leave(&self, lane: Lane) {
        let mut state = self.lock();
        state.seats.leave(lane);
        self.call(&state);
    }
}

/// A panic is a bug of the host. It must not take the other instances down with it.
fn run(desk: &Arc<Desk>, job: Job) {
    let is_turn = matches!(job, Job::Turn(..));
    let done = match job {
        Job::Activity(activity) => catch_unwind(AssertUnwindSafe(|| activity.run())).is_ok(),
        Job::Settle(settled) => desk.hub().is_none_or(|hub| catch_unwind(AssertUnwindSafe(|| hub.settle(*settled))).is_ok()),
        Job::Turn(id, envelopes, hot) => {
            let turn =
                |hub: Arc<super::Inner>| catch_unwind(AssertUnwindSafe(|| hub.run_turn(&id, envelopes, hot.map(|hot| *hot))));
            let done = desk.hub().is_none_or(|hub| turn(hub).is_ok());
            if !done {
                desk.end_turn(&id, None, false);
            }
            done
        }
    };
    if !done {
        tracing::error!("a job panicked; what is left of it is taken up when the task hub is opened again");
    }
    desk.done(is_turn);
}

/// What [`dacapo_wasm::BetweenSlices`] is for. Does nothing on a thread that has no seat.
pub fn between_slices() {
    SEAT.with_borrow_mut(|seat| {
        if let Some(seat) = seat {
            let floor = seat.floor.clone();
            floor.end_slice(seat);
        }
    });
}

thread_local! {
    /// The seat of this thread while it does a job.
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

struct Seat {
    floor: Arc<Floor>,
    desk: Arc<Desk>,
    lane: Lane,
}

/// A turn whose slice is over. Whoever lets it go on gives it a long seat.
pub(super) struct PausedTurn(mpsc::Sender<()>);

struct Pause(mpsc::Receiver<()>);

impl PausedTurn {
    fn new() -> (Self, Pause) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), Pause(receiver))
    }

    fn go_on(self) {
        // Its thread is there: it waits for nothing else.
        let _ = self.0.send(());
    }
}

impl Pause {
    fn wait(self) {
        // An error says that the desk was dropped with the turn on it, which only a bug could do: then it goes on at once.
        let _ = self.0.recv();
    }
}

/// How many threads work, and how long.
#[derive(Debug)]
struct Seats {
    /// Of each lane.
    most: usize,
    taken: [usize; 2],
}

impl Seats {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: [0, 0] }
    }

    fn in_all(&self) -> usize {
        self.most + 1
    }

    fn has_one_for(&self, lane: Lane) -> bool {
        self.taken[lane as usize] < self.most && self.taken.iter().sum::<usize>() < self.in_all()
    }

    fn take(&mut self, lane: Lane) {
        self.taken[lane as usize] += 1;
    }

    fn leave(&mut self, lane: Lane) {
        self.taken[lane as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lane_ever_has_all_seats() {
        let mut seats = Seats::new(2);
        for (one, other) in [(Lane::Short, Lane::Long), (Lane::Long, Lane::Short)] {
            seats.take(one);
            seats.take(one);
            assert!(!seats.has_one_for(one) && seats.has_one_for(other));
            seats.take(other);
            assert!(!seats.has_one_for(one) && !seats.has_one_for(other));
            seats.leave(one);
            assert!(seats.has_one_for(one) && seats.has_one_for(other));
            seats.leave(one);
            seats.leave(other);
        }
    }
}
