//! The run queue of a hub: mailboxes of busy instances, the order of their turns, and the hot guests.
//! All work of a hub waits here until a worker thread ([`crate::engine::scheduler`]) takes it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use async_task::{Runnable, ScheduleInfo};
use dacapo_core::InstanceId;
use tokio::sync::watch;

use crate::engine::capacity::{Capacity, Occupant};
use crate::engine::memory::Account;
use crate::engine::panics::{Panicked, caught};
use crate::engine::scheduler::{JobClass, PausedTurn, Scheduler, Taken, WorkQueue};
use crate::hub::error::HubError;
use crate::hub::mailbox::hot::{Hot, HotGuests};
use crate::hub::mailbox::settled::Settled;
use crate::hub::mailbox::{Envelope, Mail};
use crate::log;

/// A hub begins no turn while commits of so many bytes are not durable. Less than the store's queue holds: a worker that hands
/// over a commit blocks while that is full, and other hubs would wait with it.
const UNSAVED_BYTES_MAX: usize = 32 << 20;

/// How long all new jobs of a hub are expected to be long, after one overran that should have been short.
const LONG_FOR: Duration = Duration::from_millis(100);

/// How long the processor time of a hub's jobs is measured, after one took long by the clock.
const WATCHED_FOR: Duration = Duration::from_secs(1);

/// A job of a worker thread.
pub(in crate::hub) enum Job {
    /// Run a turn of this instance, with these messages.
    Turn(InstanceId, Mail, Option<Box<Hot>>),
    /// Apply the effects of a commit that is durable, or retry one that has failed.
    Settle(Box<Settled>),
    /// Poll an activity that was woken, or has not begun.
    Activity(Runnable),
}

/// What a worker thread takes.
enum Work {
    Job(Job),
    /// A turn that has used up a slice, to be resumed on the thread where it is paused.
    Paused(PausedTurn),
}

/// Runs the jobs of a hub.
pub(in crate::hub) trait JobRunner: Send + Sync {
    /// Runs a turn. If it panics, the messages left in `envelopes` were not handled. `stored`: more are in the store.
    fn run_turn(self: Arc<Self>, id: &InstanceId, envelopes: &mut Vec<Envelope>, stored: bool, hot: Option<Hot>);

    /// Handles the panic of a turn, which has changed nothing.
    fn turn_panicked(self: Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, why: &Panicked);

    /// Applies the effects of a commit that is durable, or retries one that has failed.
    fn settle(self: Arc<Self>, settled: Settled);
}

pub(in crate::hub) struct RunQueue {
    state: Mutex<State>,
    scheduler: Arc<Scheduler>,
    capacity: Arc<Capacity>,
    memory: Account,
    runner: Weak<dyn JobRunner>,
    /// The run queue has closed, and all work that was begun is done.
    drained: watch::Sender<bool>,
    /// Running turns are stopped at their next checkpoint.
    cuts_off: AtomicBool,
    /// The processor time of jobs is measured.
    is_watched: AtomicBool,
}

struct State {
    /// The mailboxes of instances that are queued or in a turn.
    mailboxes: HashMap<InstanceId, Mail>,
    queue: VecDeque<InstanceId>,
    settled: VecDeque<Box<Settled>>,
    /// Activities that are new or were woken.
    activities: VecDeque<Runnable>,
    /// Activities that have used up a slice.
    busy_activities: VecDeque<Runnable>,
    paused_turns: VecDeque<PausedTurn>,
    /// Whether an activity, and not a turn, is next: of new jobs, and of those that have used up a slice.
    activity_next: bool,
    busy_activity_next: bool,
    /// Alternates between new and begun jobs while both are of the long class.
    new_next: bool,
    pace: Pace,
    hot: HotGuests,
    hot_max: usize,
    /// Turns that compute or are paused: taken, and neither handed to the store nor ended without a commit.
    begun: usize,
    begun_max: usize,
    /// Turns that were taken and are not settled.
    in_flight: usize,
    /// Bytes of the commits that were handed to the store and are not durable.
    unsaved_bytes: usize,
    /// Jobs that were taken and are not done.
    running: usize,
    /// Whether the hub is in the scheduler's ring of each class.
    enqueued: [bool; 2],
    /// Counts arrivals, so that two equal readings show that the hub was idle in between.
    arrived: u64,
    closing: bool,
}

/// Whether the jobs of a hub are expected to be short.
#[derive(Default)]
struct Pace {
    /// Until then new jobs are expected to be long.
    long_until: Option<Instant>,
    watched_until: Option<Instant>,
}

impl Pace {
    /// A job did not yield in time. Unless it `computed`, it may have waited for a processor, so that is measured from now on.
    fn overran(&mut self, computed: bool, now: Instant) {
        if computed {
            self.long_until = Some(now + LONG_FOR);
        }
        self.watched_until = Some(now + WATCHED_FOR);
    }

    /// The class of new jobs.
    fn class(&self, now: impl FnOnce() -> Instant) -> JobClass {
        match self.long_until {
            Some(until) if now() < until => JobClass::Long,
            Some(_) | None => JobClass::Short,
        }
    }

    /// Whether no job has overrun for a while.
    fn has_recovered(&self, now: impl FnOnce() -> Instant) -> bool {
        self.watched_until.is_some_and(|until| until <= now())
    }
}

impl State {
    fn may_begin_turn(&self, capacity: &Capacity) -> bool {
        !self.closing
            && !self.queue.is_empty()
            && self.begun < capacity.turns_of_a_hub(self.begun_max)
            && self.unsaved_bytes < UNSAVED_BYTES_MAX
    }

    /// The class of new jobs.
    fn class_of_new(&self) -> JobClass {
        self.pace.class(Instant::now)
    }

    fn has_job(&self, class: JobClass, capacity: &Capacity) -> bool {
        let has_new = || !self.settled.is_empty() || !self.activities.is_empty() || self.may_begin_turn(capacity);
        let has_begun = || !self.busy_activities.is_empty() || !self.paused_turns.is_empty();
        self.class_of_new() == class && has_new() || class == JobClass::Long && has_begun()
    }

    fn next(&mut self, class: JobClass, capacity: &Capacity) -> Option<Work> {
        let takes_new = self.class_of_new() == class;
        // Clients and other instances wait for the effects of a commit, which are quick to apply.
        if takes_new && let Some(settled) = self.settled.pop_front() {
            return Some(Work::Job(Job::Settle(settled)));
        }
        let next_new = |state: &mut Self| state.next_new(capacity).map(Work::Job);
        match (class, takes_new) {
            (JobClass::Short, true) => next_new(self),
            (JobClass::Short, false) => None,
            (JobClass::Long, false) => self.next_begun(),
            (JobClass::Long, true) => {
                self.new_next = !self.new_next;
                match self.new_next {
                    true => next_new(self).or_else(|| self.next_begun()),
                    false => self.next_begun().or_else(|| next_new(self)),
                }
            }
        }
    }

    /// Takes a new job, of activities and turns alternately.
    fn next_new(&mut self, capacity: &Capacity) -> Option<Job> {
        let activity = |state: &mut Self| state.activities.pop_front().map(Job::Activity);
        let job = match self.activity_next {
            true => activity(self).or_else(|| self.next_turn(capacity)),
            false => self.next_turn(capacity).or_else(|| activity(self)),
        }?;
        self.activity_next = !matches!(job, Job::Activity(_));
        Some(job)
    }

    /// Takes a job that has used up a slice, of activities and turns alternately.
    fn next_begun(&mut self) -> Option<Work> {
        let activity = |state: &mut Self| state.busy_activities.pop_front().map(|activity| Work::Job(Job::Activity(activity)));
        let turn = |state: &mut Self| state.paused_turns.pop_front().map(Work::Paused);
        let work = match self.busy_activity_next {
            true => activity(self).or_else(|| turn(self)),
            false => turn(self).or_else(|| activity(self)),
        }?;
        self.busy_activity_next = matches!(work, Work::Paused(_));
        Some(work)
    }

    fn next_turn(&mut self, capacity: &Capacity) -> Option<Job> {
        if !self.may_begin_turn(capacity) {
            return None;
        }
        let id = self.queue.pop_front()?;
        self.begun += 1;
        self.in_flight += 1;
        let hot = self.hot.take(&id).map(Box::new);
        capacity.remove_hot(hot.as_ref().map_or(0, |hot| hot.live.slots()));
        let mailbox = self.mailboxes.get_mut(&id).expect("a queued instance has a mailbox");
        let mail = std::mem::take(mailbox);
        mailbox.is_alive = hot.is_some();
        Some(Job::Turn(id, mail, hot))
    }

    /// Returns the mailbox of an instance, which is queued unless it is queued or in a turn already.
    fn mailbox(&mut self, id: &InstanceId) -> &mut Mail {
        if !self.mailboxes.contains_key(id) {
            self.queue.push_back(id.clone());
        }
        self.mailboxes.entry(id.clone()).or_default()
    }

    fn is_drained(&self) -> bool {
        self.closing
            && self.in_flight == 0
            && self.running == 0
            && self.settled.is_empty()
            && self.activities.is_empty()
            && self.busy_activities.is_empty()
    }

    /// Whether there is nothing to do until something arrives.
    fn is_idle(&self) -> bool {
        self.mailboxes.is_empty() && self.in_flight == 0 && self.running == 0 && self.activities.is_empty()
    }
}

/// The parts and limits that a run queue is made with.
pub(in crate::hub) struct RunQueueOptions {
    pub runner: Weak<dyn JobRunner>,
    pub scheduler: Arc<Scheduler>,
    pub capacity: Arc<Capacity>,
    pub memory: Account,
    pub limits: RunQueueLimits,
}

/// The most turns that a hub may have begun, and the most hot guests.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct RunQueueLimits {
    pub turns: usize,
    pub hot: usize,
}

impl RunQueue {
    pub fn new(options: RunQueueOptions) -> Arc<Self> {
        let RunQueueOptions { runner, scheduler, capacity, memory, limits } = options;
        let state = State {
            mailboxes: HashMap::new(),
            queue: VecDeque::new(),
            settled: VecDeque::new(),
            activities: VecDeque::new(),
            busy_activities: VecDeque::new(),
            paused_turns: VecDeque::new(),
            activity_next: false,
            busy_activity_next: false,
            new_next: false,
            pace: Pace::default(),
            hot: HotGuests::new(),
            hot_max: limits.hot,
            begun: 0,
            begun_max: limits.turns,
            in_flight: 0,
            unsaved_bytes: 0,
            running: 0,
            enqueued: [false; 2],
            arrived: 0,
            closing: false,
        };
        let run_queue = Arc::new(Self {
            state: Mutex::new(state),
            scheduler,
            capacity,
            memory,
            runner,
            drained: watch::Sender::new(false),
            cuts_off: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
        });
        let occupant: Weak<dyn Occupant> = Arc::downgrade(&run_queue) as _;
        run_queue.capacity.register(occupant);
        run_queue
    }

    /// Never held across an await or while a guest runs. No future is dropped under it, because that may wake others.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Ends a change of the state: puts the hub into the ring of each class of which it has jobs.
    fn enqueue(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut to_enqueue = [false; 2];
        for class in JobClass::ALL {
            let enqueued = state.enqueued[class as usize];
            to_enqueue[class as usize] = !enqueued && state.has_job(class, &self.capacity);
            state.enqueued[class as usize] |= to_enqueue[class as usize];
        }
        let drained = state.is_drained();
        drop(state);
        for class in JobClass::ALL.into_iter().filter(|&class| to_enqueue[class as usize]) {
            self.scheduler.enqueue(self.clone(), class);
        }
        if drained {
            self.drained.send_replace(true);
        }
    }

    /// Puts a message into a mailbox; the instance gets a turn.
    pub fn deliver(self: &Arc<Self>, envelope: Envelope) {
        self.deliver_all([envelope]);
    }

    pub fn deliver_all(self: &Arc<Self>, envelopes: impl IntoIterator<Item = Envelope>) {
        let mut state = self.lock();
        if state.closing {
            drop(state);
            return drop_with_error(envelopes);
        }
        for mut envelope in envelopes {
            state.arrived += 1;
            let message = &envelope.delivery.message;
            if envelope.delivery.stored.is_some() {
                envelope.memory = self.memory.try_reserve(Envelope::size(message)).ok();
            }
            let mailbox = state.mailbox(&message.to);
            // A stored message can stay in the store if there is no memory for it.
            match envelope.delivery.stored.is_some() && envelope.memory.is_none() {
                true => mailbox.stored = true,
                false => mailbox.envelopes.push(envelope),
            }
        }
        self.enqueue(state);
    }

    /// Gives turns to instances that have messages in the store.
    pub fn wake(self: &Arc<Self>, ids: impl IntoIterator<Item = InstanceId>) {
        let mut state = self.lock();
        if state.closing {
            return;
        }
        for id in ids {
            state.arrived += 1;
            state.mailbox(&id).stored = true;
        }
        self.enqueue(state);
    }

    /// Takes work. A job must end with [`Self::done`]; a paused turn ends with it on the thread where it is resumed.
    fn next(self: &Arc<Self>, class: JobClass) -> Option<Work> {
        let mut state = self.lock();
        state.enqueued[class as usize] = false;
        if state.pace.has_recovered(Instant::now) {
            state.pace = Pace::default();
            self.is_watched.store(false, Ordering::Relaxed);
        }
        let work = state.next(class, &self.capacity);
        state.running += usize::from(matches!(work, Some(Work::Job(_))));
        self.enqueue(state);
        work
    }

    /// Runs a job. A panic, which is a bug of the host, ends that job only, and is reported.
    fn run(self: &Arc<Self>, job: Job) {
        let is_turn = matches!(job, Job::Turn(..));
        match job {
            // A panic of the activity itself was caught within. This catches one of its clean-up.
            Job::Activity(activity) => drop(caught(|| activity.run())),
            Job::Settle(settled) => {
                if let Some(runner) = self.runner.upgrade() {
                    // The effects of a durable commit must not be skipped: the next process finds them in the store.
                    caught(|| runner.settle(*settled))
                        .unwrap_or_else(|why| log::abort(&format!("the effects of a commit could not be applied: {why}")));
                }
            }
            Job::Turn(id, mail, hot) => {
                let Mail { mut envelopes, stored, .. } = mail;
                if let Some(runner) = self.runner.upgrade()
                    && let Err(why) = caught(|| runner.clone().run_turn(&id, &mut envelopes, stored, hot.map(|hot| *hot)))
                {
                    // All that is left to do is to end the turn.
                    caught(|| runner.turn_panicked(&id, envelopes, &why)).unwrap_or_else(|_| self.end_turn(&id, None, false));
                }
            }
        }
        self.done(is_turn);
    }

    /// Ends a job. The commit of a turn, if it has one, was handed to the store.
    fn done(self: &Arc<Self>, is_turn: bool) {
        let mut state = self.lock();
        state.running -= 1;
        state.begun -= usize::from(is_turn);
        self.enqueue(state);
    }

    /// Queues an activity that was woken. One that has woken itself has used up its slice.
    pub fn activity(self: &Arc<Self>, activity: Runnable, info: ScheduleInfo) {
        let mut state = self.lock();
        state.arrived += 1;
        match info.woken_while_running {
            true => state.busy_activities.push_back(activity),
            false => state.activities.push_back(activity),
        }
        self.enqueue(state);
    }

    /// Counts a commit that is about to be handed to the store.
    pub fn saving(&self, bytes: usize) {
        self.lock().unsaved_bytes += bytes;
    }

    /// Queues the settling of a commit that is durable or has failed.
    pub fn settled(self: &Arc<Self>, settled: Box<Settled>) {
        let mut state = self.lock();
        state.unsaved_bytes -= settled.bytes;
        state.settled.push_back(settled);
        self.enqueue(state);
    }

    /// Ends a turn: the guest is kept hot if there is one, and the instance is queued again if messages have arrived or, with
    /// `again`, for messages in the store.
    pub fn end_turn(self: &Arc<Self>, id: &InstanceId, hot: Option<Hot>, again: bool) {
        let mut state = self.lock();
        state.in_flight -= 1;
        let was_hot = hot.is_some();
        if let Some(mailbox) = state.mailboxes.get_mut(id) {
            mailbox.is_alive = was_hot;
        }
        if let Some(hot) = hot {
            self.capacity.add_hot(hot.live.slots());
            state.hot.park(id.clone(), hot);
        }
        let cooled = self.cool(&mut state);
        let more = state.mailboxes.get_mut(id).is_some_and(|mailbox| {
            mailbox.stored |= again;
            !mailbox.is_empty()
        });
        let mut left = None;
        if more && !state.closing {
            state.queue.push_back(id.clone());
        } else {
            left = state.mailboxes.remove(id);
        }
        self.enqueue(state);
        drop_with_error(left.into_iter().flat_map(|mail| mail.envelopes));
        // Dropping a guest tears down its stack: not under the lock.
        drop(cooled);
        if was_hot {
            self.capacity.make_room();
            self.capacity.evict_under_pressure();
        }
    }

    /// Evicts the least recently used guests while the hub has more than it may, or while the host has too many and this hub
    /// more than its share. Returns them, to be dropped without the lock.
    fn cool(&self, state: &mut State) -> Vec<Hot> {
        let mut cooled = Vec::new();
        while state.hot.slots() > state.hot_max || self.capacity.must_evict(state.hot.slots()) {
            let Some(hot) = state.hot.take_oldest() else { break };
            self.capacity.remove_hot(hot.live.slots());
            cooled.push(hot);
        }
        cooled
    }

    /// Whether the run queue knows, without reading the store, that an instance has not ended there.
    pub fn is_alive(&self, id: &InstanceId) -> bool {
        let state = self.lock();
        state.mailboxes.get(id).is_some_and(|mailbox| mailbox.is_alive) || state.hot.contains(id)
    }

    /// Evicts the guest of an id under which something else is stored now. A turn that still runs fails when it is saved.
    pub fn forget(&self, id: &InstanceId) {
        let mut state = self.lock();
        if let Some(mailbox) = state.mailboxes.get_mut(id) {
            mailbox.is_alive = false;
        }
        let cooled = state.hot.take(id);
        self.capacity.remove_hot(cooled.as_ref().map_or(0, |hot| hot.live.slots()));
        drop(state);
        // Dropping a guest tears down its stack: not under the lock.
        drop(cooled);
    }

    pub fn set_limits(self: &Arc<Self>, limits: RunQueueLimits) {
        let mut state = self.lock();
        state.begun_max = limits.turns;
        state.hot_max = limits.hot;
        let cooled = self.cool(&mut state);
        self.enqueue(state);
        drop(cooled);
    }

    /// Puts messages back in front of those that have arrived since: their turn did not become durable.
    pub fn put_back(&self, id: &InstanceId, envelopes: Vec<Envelope>) {
        let mut state = self.lock();
        let mailbox = &mut state.mailboxes.entry(id.clone()).or_default().envelopes;
        let newer = std::mem::replace(mailbox, envelopes);
        mailbox.extend(newer);
    }

    /// Returns the number of arrivals so far; none while there is work.
    pub fn idle_since(&self) -> Option<u64> {
        let state = self.lock();
        state.is_idle().then_some(state.arrived)
    }

    /// Closes the queue: no further turn begins. Messages in mailboxes are dropped: what they report is stored, or their sender
    /// gets an error. Activities continue until they are cancelled.
    pub fn close(self: &Arc<Self>) {
        let mut state = self.lock();
        state.closing = true;
        let queued: Vec<InstanceId> = state.queue.drain(..).collect();
        let given_up: Vec<Mail> = queued.iter().filter_map(|id| state.mailboxes.remove(id)).collect();
        self.enqueue(state);
        drop_with_error(given_up.into_iter().flat_map(|mail| mail.envelopes));
    }

    /// Stops the running turns, as if they had not begun.
    pub fn cut_off(&self) {
        self.cuts_off.store(true, Ordering::Relaxed);
    }

    /// Waits until a closed run queue has nothing left to do, and drops the hot guests.
    pub async fn drained(&self) {
        let mut drained = self.drained.subscribe();
        // It cannot fail: the sender is here.
        let _ = drained.wait_for(|drained| *drained).await;
        let hot = std::mem::replace(&mut self.lock().hot, HotGuests::new());
        self.capacity.remove_hot(hot.slots());
    }
}

impl WorkQueue for RunQueue {
    fn take(self: Arc<Self>, class: JobClass) -> Option<Taken> {
        Some(match self.next(class)? {
            Work::Paused(turn) => Taken::Paused(turn),
            Work::Job(job) => Taken::Job(Box::new(move || self.run(job))),
        })
    }

    fn pause(self: Arc<Self>, turn: PausedTurn) {
        let mut state = self.lock();
        state.paused_turns.push_back(turn);
        self.enqueue(state);
    }

    fn overran(&self, computed: bool) {
        let mut state = self.lock();
        state.pace.overran(computed, Instant::now());
        self.is_watched.store(true, Ordering::Relaxed);
    }

    fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    fn cuts_off(&self) -> bool {
        self.cuts_off.load(Ordering::Relaxed)
    }
}

impl Occupant for RunQueue {
    fn hot_slots(&self) -> usize {
        self.lock().hot.slots()
    }

    fn hot_bytes(&self) -> usize {
        self.lock().hot.bytes()
    }

    fn evict_one(&self) -> Option<usize> {
        let cooled = self.lock().hot.take_oldest();
        self.capacity.remove_hot(cooled.as_ref().map_or(0, |hot| hot.live.slots()));
        cooled.map(|hot| hot.live.memory_bytes())
    }
}

impl Drop for RunQueue {
    fn drop(&mut self) {
        self.capacity.deregister();
    }
}

/// Drops messages that get no turn: what they report is stored, or their sender gets an error.
fn drop_with_error(envelopes: impl IntoIterator<Item = Envelope>) {
    envelopes.into_iter().for_each(|envelope| envelope.answer(Err(HubError::ShuttingDown)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that touched thousands of pages for the first time, within one slice of fuel, had a short permit for milliseconds;
    /// and so had its next turn, each time.
    #[test]
    fn who_does_not_let_go_is_expected_to_take_long_for_a_while() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let class = |pace: &Pace, after: Duration| pace.class(|| now + after);
        pace.overran(false, now);
        assert_eq!(class(&pace, Duration::ZERO), JobClass::Short, "others may have had the processor");
        assert!(!pace.has_recovered(|| now));
        pace.overran(true, now);
        assert_eq!(class(&pace, LONG_FOR / 2), JobClass::Long);
        assert_eq!(class(&pace, LONG_FOR), JobClass::Short);
        assert!(!pace.has_recovered(|| now + LONG_FOR) && pace.has_recovered(|| now + WATCHED_FOR));
    }
}
