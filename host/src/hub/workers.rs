//! The threads of a host, and who may use them: turns, what follows from commits, and activities of all hubs.
//!
//! ```text
//!   desk of a hub ──stand──▶ ring ──▶ thread with a seat ──▶ one job of that hub ──▶ next hub of the ring
//! ```
//!
//! A thread works while it has a *seat*. It takes one job from the first hub of a ring, and that hub goes to the end of it.
//! There are two rings, one for each [`Lane`]:
//! - *short*: what is over within a slice of time (about a millisecond), as far as anybody knows beforehand.
//! - *long*: turns and activities that have used up a slice and want more; and for a while all of a hub of which something took
//!   long without letting go.
//!
//! Each lane has as many seats as there are processors, and both together one more. So when hubs loop with all they have,
//! a seat is left for what is short, and the operating system shares the processors among the seats. And when there is
//! much that is short, a seat is left for what takes long.
//!
//! A turn runs on a thread's stack. When its slice is over and somebody waits, it leaves its seat and the thread sleeps
//! until the turn's place in the ring has come; a spare thread works meanwhile. An activity is a future, and needs none.
//!
//! A job lets go by itself. One that does not come to that in time (a guest fills a hundred megabytes with one instruction, a
//! long history is decoded) loses its short seat to whoever waits: it is one of the long ones then, or an *excess* one, which
//! goes on without a seat until it lets go. The operating system shares the processors meanwhile.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dacapo_wasm::processor_time;
use tokio::sync::oneshot;

use super::desk::{Desk, Job, Mail, Taken};
use super::panics::caught;
use crate::log;

/// Guests run on these threads, on stacks of their own; the thread's own stack serves the compiler and the host.
const STACK_BYTES: usize = 4 << 20;

/// Threads that carry out what the futures of activities ask of the system: sockets, clocks, files.
const IO_THREADS: usize = 1;

/// How long a job has its thread before somebody else may have it: long against what letting go costs (some tens of
/// microseconds if another thread takes over).
const SLICE_TIME: Duration = Duration::from_millis(1);

/// After this a job that has not let go loses its short seat, if others wait for one; and if it has computed for as long, what its hub
/// does next is not expected to be short.
const OVERDUE_AFTER: Duration = Duration::from_millis(3);

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
        let state = State {
            rings: [VecDeque::new(), VecDeque::new()],
            seats: Seats::new(threads),
            free: 0,
            awake: 0,
            watch_sleeps: false,
            probes: Vec::new(),
            closing: false,
        };
        let floor = Floor { state: Mutex::new(state), ready: Condvar::new(), starved: Condvar::new(), io: io.handle().clone() };
        let workers = Self(Arc::new(Crew { floor: Arc::new(floor), io: Some(io) }));
        let floor = workers.floor();
        let mut state = floor.lock();
        for _ in 0..state.seats.in_all() {
            floor.spawn(&mut state).context("starting the threads that run turns")?;
        }
        drop(state);
        let watch = floor.clone();
        let builder = std::thread::Builder::new().name("worker-watch".into());
        builder.spawn(move || watch.watch()).context("starting the thread that watches those that run turns")?;
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
        self.floor.starved.notify_all();
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
    /// There is something short to do and no seat for it, or the threads are to end.
    starved: Condvar,
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
    /// Nobody looks whether jobs are overdue, until there are some that wait.
    watch_sleeps: bool,
    /// Who asks whether jobs are taken.
    probes: Vec<oneshot::Sender<()>>,
    closing: bool,
}

impl State {
    /// The lane from which a job can be taken now. What is short goes first; it can never have all seats.
    fn next_lane(&self) -> Option<Lane> {
        Lane::ALL.into_iter().find(|&lane| !self.rings[lane as usize].is_empty() && self.seats.has_one_for(lane))
    }

    /// Whether a thread could answer those who ask whether jobs are taken: it could take a short one.
    fn has_probe(&self) -> bool {
        !self.probes.is_empty() && self.seats.has_one_for(Lane::Short)
    }

    /// Whether a job could be taken if a long seat were left.
    fn wants_long_seat(&mut self) -> bool {
        self.seats.taken[Lane::Long as usize] -= 1;
        let wanted = self.next_lane().is_some();
        self.seats.taken[Lane::Long as usize] += 1;
        wanted
    }

    fn is_starved(&self) -> bool {
        !self.rings[Lane::Short as usize].is_empty() && !self.seats.has_one_for(Lane::Short)
    }

    /// As many threads as there are seats, beside those that go on without one.
    fn threads_wanted(&self) -> usize {
        self.seats.in_all() + self.seats.excess
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
        self.call(&mut state);
    }

    /// Looks after jobs that do not let go, while others wait.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.closing {
            if state.is_starved() {
                let wait = state.seats.until_overdue(Instant::now());
                state = self.starved.wait_timeout(state, wait).expect("no holder of this lock panics").0;
            } else {
                state.watch_sleeps = true;
                state = self.starved.wait(state).expect("no holder of this lock panics");
                continue;
            }
            if !state.is_starved() || !state.seats.unseat_overdue(Instant::now()) {
                continue;
            }
            if state.awake < state.threads_wanted()
                && let Err(error) = self.spawn(&mut state)
            {
                tracing::warn!(%error, "no further thread can be started: what is short waits for what takes long");
            }
            self.call(&mut state);
        }
    }

    /// Heard of when a thread could take a job.
    pub fn probe(&self) -> oneshot::Receiver<()> {
        let (probe, answered) = oneshot::channel();
        let mut state = self.lock();
        state.probes.push(probe);
        self.call(&mut state);
        answered
    }

    /// Wakes a thread if there is something for it. Each one that takes a job wakes the next. Wakes the watch if there is
    /// something and no seat for it.
    fn call(&self, state: &mut State) {
        if state.free > 0 && (state.has_probe() || state.next_lane().is_some()) {
            self.ready.notify_one();
        }
        if state.watch_sleeps && state.is_starved() {
            state.watch_sleeps = false;
            self.starved.notify_one();
        }
    }

    /// The hub that a job is to be taken from, with a seat; blocks until there is one. None: the thread is to end.
    fn next(&self, left: Option<SeatId>) -> Option<(Arc<Desk>, Lane, SeatId)> {
        let mut state = self.lock();
        if let Some(seat) = left {
            state.seats.leave(seat);
        }
        state.free += 1;
        loop {
            if state.has_probe() {
                let probes = std::mem::take(&mut state.probes);
                drop(state);
                // Whoever has asked may have gone.
                for probe in probes {
                    let _ = probe.send(());
                }
                state = self.lock();
            }
            if let Some(lane) = state.next_lane() {
                let desk = state.rings[lane as usize].pop_front().expect("it was found not to be empty");
                let seat = state.seats.take(lane, Instant::now());
                state.free -= 1;
                self.call(&mut state);
                return Some((desk, lane, seat));
            }
            // A spare one, that took the place of turns which have gone on since.
            if state.closing || state.free > state.threads_wanted() {
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
        builder.spawn(move || {
            caught(|| floor.work()).unwrap_or_else(|why| log::cannot_go_on(&format!("a worker is gone: {why}")))
        })?;
        state.awake += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        let _io = self.io.enter();
        let mut left = None;
        while let Some((desk, lane, seat)) = self.next(left.take()) {
            match desk.take(lane) {
                // The seat goes to the thread that the turn is on.
                Some(Taken::Paused(turn)) => turn.go_on(seat),
                Some(Taken::Job(job)) => {
                    SEAT.set(Some(Seat::new(self.clone(), desk.clone(), seat)));
                    run(&desk, job);
                    left = SEAT.take().map(|seat| seat.end());
                }
                None => left = Some(seat),
            }
        }
    }

    /// The slice of this thread's turn is over.
    fn end_slice(self: &Arc<Self>, seat: &mut Seat) {
        {
            let mut state = self.lock();
            match state.seats.lane(seat.id) {
                Some(Lane::Long) if !state.wants_long_seat() => return,
                Some(Lane::Long) => {}
                // From now on it takes long.
                Some(Lane::Short) | None => {
                    if state.rings[Lane::Long as usize].is_empty() && state.seats.move_to_long(seat.id) {
                        return self.call(&mut state);
                    }
                }
            }
            // As many threads as there are seats must be awake without this one.
            let wanted = state.threads_wanted() - usize::from(state.seats.lane(seat.id).is_none());
            if state.awake <= wanted
                && let Err(error) = self.spawn(&mut state)
            {
                tracing::warn!(%error, "no further thread can be started: a turn that takes long keeps its own");
                return;
            }
            state.awake -= 1;
        }
        let (turn, pause) = PausedTurn::new();
        seat.desk.pause(turn);
        self.leave(seat.id);
        let given = pause.wait();
        let mut state = self.lock();
        seat.id = given.unwrap_or_else(|| state.seats.take(Lane::Long, Instant::now()));
        state.awake += 1;
    }

    fn leave(&self, seat: SeatId) {
        let mut state = self.lock();
        state.seats.leave(seat);
        self.call(&mut state);
    }
}

/// A panic is a bug of the host. It ends what has panicked, in a way that somebody hears of, and nothing else.
fn run(desk: &Arc<Desk>, job: Job) {
    let is_turn = matches!(job, Job::Turn(..));
    match job {
        // Its outcome was caught within: what panics here is what it leaves behind.
        Job::Activity(activity) => drop(caught(|| activity.run())),
        Job::Settle(settled) => {
            if let Some(hub) = desk.hub() {
                // What follows from a durable commit must not be left out: whoever opens the hub again finds it in the store.
                caught(|| hub.settle(*settled))
                    .unwrap_or_else(|why| log::cannot_go_on(&format!("what follows from a commit has failed: {why}")));
            }
        }
        Job::Turn(id, mail, hot) => {
            let Mail { mut envelopes, stored, .. } = mail;
            if let Some(hub) = desk.hub()
                && let Err(why) = caught(|| hub.run_turn(&id, &mut envelopes, stored, hot.map(|hot| *hot)))
            {
                // Nothing more can be done than to let it be.
                caught(|| hub.turn_panicked(&id, envelopes, &why)).unwrap_or_else(|_| desk.end_turn(&id, None, false));
            }
        }
    }
    desk.done(is_turn);
}

/// What [`dacapo_wasm::Checkpoint`] is for: if the slice of this thread's turn is over, somebody else may have the seat. Does
/// nothing on a thread that has none.
pub fn checkpoint() -> ControlFlow<()> {
    SEAT.with_borrow_mut(|seat| match seat {
        Some(seat) if seat.began.elapsed() >= SLICE_TIME => seat.pass(),
        Some(_) | None => ControlFlow::Continue(()),
    })
}

/// Whether the turn of this thread was stopped at a checkpoint: what has come of it is to be dropped.
pub(super) fn was_cut_off() -> bool {
    SEAT.with_borrow(|seat| seat.as_ref().is_some_and(|seat| seat.cut_off))
}

thread_local! {
    /// The seat of this thread while it does a job.
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

struct Seat {
    floor: Arc<Floor>,
    desk: Arc<Desk>,
    id: SeatId,
    /// When the slice began.
    began: Instant,
    /// The processor time of the thread then, if somebody watches.
    computed: Option<Duration>,
    cut_off: bool,
}

impl Seat {
    fn new(floor: Arc<Floor>, desk: Arc<Desk>, id: SeatId) -> Self {
        let computed = desk.is_watched().then(processor_time);
        Self { floor, desk, id, began: Instant::now(), computed, cut_off: false }
    }

    /// A job may be slow by the clock because others have the processor. Whether it was slow by itself is known of the next one.
    fn look(&self) {
        if self.began.elapsed() < OVERDUE_AFTER {
            return;
        }
        match self.computed {
            None => self.desk.overran(false),
            Some(before) if processor_time().saturating_sub(before) >= OVERDUE_AFTER => self.desk.overran(true),
            Some(_) => {}
        }
    }

    /// The job is done.
    fn end(self) -> SeatId {
        self.look();
        self.id
    }

    fn pass(&mut self) -> ControlFlow<()> {
        self.look();
        let floor = self.floor.clone();
        floor.end_slice(self);
        self.began = Instant::now();
        self.computed = self.desk.is_watched().then(processor_time);
        self.cut_off |= self.desk.cuts_off();
        if self.cut_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A turn whose slice is over. Whoever lets it go on gives it a long seat.
pub(super) struct PausedTurn(mpsc::Sender<SeatId>);

struct Pause(mpsc::Receiver<SeatId>);

impl PausedTurn {
    fn new() -> (Self, Pause) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), Pause(receiver))
    }

    fn go_on(self, seat: SeatId) {
        // Its thread is there: it waits for nothing else.
        let _ = self.0.send(seat);
    }
}

impl Pause {
    /// The seat with which it goes on. None: the desk was dropped with the turn on it, which only a bug could do.
    fn wait(self) -> Option<SeatId> {
        self.0.recv().ok()
    }
}

/// Names a seat, as long as it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SeatId(u64);

/// How many threads work, and how long.
#[derive(Debug)]
struct Seats {
    /// Of each lane.
    most: usize,
    taken: [usize; 2],
    /// Jobs that go on without a seat: they had a short one for too long.
    excess: usize,
    /// The seats that were given out.
    given: HashMap<SeatId, Given>,
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    /// None: the job goes on in excess.
    lane: Option<Lane>,
    at: Instant,
}

impl Seats {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: [0, 0], excess: 0, given: HashMap::new(), last: 0 }
    }

    fn in_all(&self) -> usize {
        self.most + 1
    }

    fn has_one_for(&self, lane: Lane) -> bool {
        self.taken[lane as usize] < self.most && self.taken.iter().sum::<usize>() < self.in_all()
    }

    fn take(&mut self, lane: Lane, at: Instant) -> SeatId {
        self.last += 1;
        let seat = SeatId(self.last);
        self.given.insert(seat, Given { lane: Some(lane), at });
        self.taken[lane as usize] += 1;
        seat
    }

    /// None: it is in excess.
    fn lane(&self, seat: SeatId) -> Option<Lane> {
        self.given.get(&seat).and_then(|given| given.lane)
    }

    fn leave(&mut self, seat: SeatId) {
        match self.given.remove(&seat).and_then(|given| given.lane) {
            Some(lane) => self.taken[lane as usize] -= 1,
            None => self.excess -= 1,
        }
    }

    /// Makes it a long one, whatever it was, if there is one.
    fn move_to_long(&mut self, seat: SeatId) -> bool {
        let Some(given) = self.given.get_mut(&seat) else { return false };
        let Given { lane: before, at } = *given;
        self.leave(seat);
        let lane = self.has_one_for(Lane::Long).then_some(Lane::Long).or(before);
        match lane {
            Some(lane) => self.taken[lane as usize] += 1,
            None => self.excess += 1,
        }
        self.given.insert(seat, Given { lane, at });
        lane == Some(Lane::Long)
    }

    /// How long it is until a job is overdue that has a short seat now.
    fn until_overdue(&self, now: Instant) -> Duration {
        let short = self.given.values().filter(|given| given.lane == Some(Lane::Short));
        let oldest = short.map(|given| given.at).min().unwrap_or(now);
        (oldest + OVERDUE_AFTER).saturating_duration_since(now).max(SLICE_TIME / 4)
    }

    /// Takes its short seat from the job that has had one for longest, if that is too long. Whether there is one more now.
    fn unseat_overdue(&mut self, now: Instant) -> bool {
        let short = self.given.iter().filter(|(_, given)| given.lane == Some(Lane::Short));
        let oldest = short.min_by_key(|(_, given)| given.at).map(|(seat, given)| (*seat, *given));
        let Some((seat, given)) = oldest.filter(|(_, given)| now.duration_since(given.at) >= OVERDUE_AFTER) else {
            return false;
        };
        if self.taken.iter().sum::<usize>() < self.in_all() {
            return self.move_to_long(seat);
        }
        // As many as have seats, and no more: each takes its share of the processors.
        if self.excess >= self.in_all() {
            return false;
        }
        self.leave(seat);
        self.excess += 1;
        self.given.insert(seat, Given { lane: None, ..given });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lane_ever_has_all_seats() {
        let mut seats = Seats::new(2);
        let now = Instant::now();
        for (one, other) in [(Lane::Short, Lane::Long), (Lane::Long, Lane::Short)] {
            let first = [seats.take(one, now), seats.take(one, now)];
            assert!(!seats.has_one_for(one) && seats.has_one_for(other));
            let last = seats.take(other, now);
            assert!(!seats.has_one_for(one) && !seats.has_one_for(other));
            seats.leave(first[0]);
            assert!(seats.has_one_for(one) && seats.has_one_for(other));
            seats.leave(first[1]);
            seats.leave(last);
        }
    }

    /// A guest that fills its memory with one instruction lets go when that is done, and a neighbour waited for it.
    #[test]
    fn a_job_that_does_not_let_go_loses_its_short_seat_and_goes_on() {
        let mut seats = Seats::new(1);
        let (now, later) = (Instant::now(), Instant::now() + OVERDUE_AFTER);
        let slow = seats.take(Lane::Short, now);
        assert!(!seats.unseat_overdue(now), "it has time");
        assert!(seats.unseat_overdue(later));
        assert_eq!(seats.lane(slow), Some(Lane::Long));
        // There is no further long seat.
        let (mut excess, most) = (Vec::new(), seats.in_all());
        for number in 0..most {
            let slow = seats.take(Lane::Short, now);
            assert!(seats.unseat_overdue(later) && seats.has_one_for(Lane::Short));
            assert_eq!((seats.lane(slow), seats.excess), (None, number + 1));
            excess.push(slow);
        }
        let last = seats.take(Lane::Short, now);
        assert!(!seats.unseat_overdue(later), "there are enough of them");
        // Who lets go has a long seat if there is one, or waits for it.
        assert!(!seats.move_to_long(excess[0]));
        seats.leave(slow);
        assert!(seats.move_to_long(excess[0]));
        excess.into_iter().chain([last]).for_each(|seat| seats.leave(seat));
        assert_eq!((seats.taken, seats.excess, seats.given.len()), ([0, 0], 0, 0));
    }
}
