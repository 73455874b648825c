//! The desk: mailboxes of busy instances, the order in which they get their turns, and the guests that are kept hot. What a
//! hub has to do lies here until a thread of the host ([`super::workers`]) takes it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use async_task::{Runnable, ScheduleInfo};
use dacapo_core::{Delivery, InstanceId, Usage};
use tokio::sync::{oneshot, watch};

use super::hot::{Hot, HotGuests};
use super::room::Room;
use super::settle::Settled;
use super::workers::{Floor, Lane, PausedTurn};
use super::{HubError, Inner};

/// A message, and who waits for it to be durable.
pub(super) struct Envelope {
    pub delivery: Delivery,
    pub acknowledge: Option<oneshot::Sender<Result<(), HubError>>>,
    /// How long the attempt of an activity took whose result it is. It goes beside the message, which is recorded: what is
    /// recorded must not depend on how long something took.
    pub took: Option<Duration>,
}

impl Envelope {
    /// Nobody waits for it.
    pub fn of(delivery: Delivery) -> Self {
        Self { delivery, acknowledge: None, took: None }
    }

    /// What the instance that it is for has to pay for it.
    pub fn cost(&self) -> Usage {
        let Some(took) = self.took else { return Usage::default() };
        let activity_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Usage { activities: 1, activity_micros, ..Usage::default() }
    }

    pub fn answer(self, result: Result<(), HubError>) {
        if let Some(acknowledge) = self.acknowledge {
            // A client that has gone away needs no answer.
            let _ = acknowledge.send(result);
        }
    }
}

/// What a thread does next.
pub(super) enum Job {
    /// Run a turn of this instance, with these messages.
    Turn(InstanceId, Vec<Envelope>, Option<Box<Hot>>),
    /// A commit is durable, or has failed: let what follows happen.
    Settle(Box<Settled>),
    /// An activity that can go on, or has not begun.
    Activity(Runnable),
}

/// What a thread finds.
pub(super) enum Taken {
    Job(Job),
    /// A turn may go on, on the thread where it is paused.
    Paused(PausedTurn),
}

pub(super) struct Desk {
    state: Mutex<State>,
    floor: Arc<Floor>,
    room: Arc<Room>,
    hub: Weak<Inner>,
    /// The desk has closed, and everything that was begun is done.
    drained: watch::Sender<bool>,
}

struct State {
    /// Instances that are queued or in a turn. Their next messages gather here.
    mailboxes: HashMap<InstanceId, Vec<Envelope>>,
    queue: VecDeque<InstanceId>,
    settled: VecDeque<Box<Settled>>,
    /// Activities that are new, or that have what they waited for.
    activities: VecDeque<Runnable>,
    /// Activities that have used up a slice.
    busy_activities: VecDeque<Runnable>,
    paused_turns: VecDeque<PausedTurn>,
    /// Whether an activity, and not a turn, is next. By lane.
    activity_next: [bool; 2],
    hot: HotGuests,
    hot_most: usize,
    /// Turns that compute or are paused: taken, and neither handed to the store nor ended without a commit.
    begun: usize,
    begun_most: usize,
    /// Turns that were taken and are not settled.
    in_flight: usize,
    /// Jobs that were taken and are not done.
    running: usize,
    /// In which rings the hub stands.
    stands: [bool; 2],
    /// Counts what was put here, so that somebody who looks twice can tell whether the hub was idle in between.
    arrived: u64,
    closing: bool,
}

impl State {
    fn may_begin_turn(&self, room: &Room) -> bool {
        !self.closing && !self.queue.is_empty() && self.begun < room.turns_of_a_hub(self.begun_most)
    }

    fn has_job(&self, lane: Lane, room: &Room) -> bool {
        match lane {
            Lane::Short => !self.settled.is_empty() || !self.activities.is_empty() || self.may_begin_turn(room),
            Lane::Long => !self.busy_activities.is_empty() || !self.paused_turns.is_empty(),
        }
    }

    fn next(&mut self, lane: Lane, room: &Room) -> Option<Taken> {
        // What others wait for goes first, and is soon done.
        if lane == Lane::Short
            && let Some(settled) = self.settled.pop_front()
        {
            return Some(Taken::Job(Job::Settle(settled)));
        }
        let activity_first = self.activity_next[lane as usize];
        let taken = match activity_first {
            true => self.next_activity(lane).or_else(|| self.next_turn(lane, room)),
            false => self.next_turn(lane, room).or_else(|| self.next_activity(lane)),
        }?;
        self.activity_next[lane as usize] = !matches!(taken, Taken::Job(Job::Activity(_)));
        Some(taken)
    }

    fn next_activity(&mut self, lane: Lane) -> Option<Taken> {
        let activities = match lane {
            Lane::Short => &mut self.activities,
            Lane::Long => &mut self.busy_activities,
        };
        activities.pop_front().map(|activity| Taken::Job(Job::Activity(activity)))
    }

    fn next_turn(&mut self, lane: Lane, room: &Room) -> Option<Taken> {
        match lane {
            Lane::Long => self.paused_turns.pop_front().map(Taken::Paused),
            Lane::Short if !self.may_begin_turn(room) => None,
            Lane::Short => {
                let id = self.queue.pop_front()?;
                self.begun += 1;
                self.in_flight += 1;
                let hot = self.hot.take(&id).map(Box::new);
                room.cooled(hot.iter().count());
                let mailbox = self.mailboxes.get_mut(&id).expect("a queued instance has a mailbox");
                let envelopes = std::mem::take(mailbox);
                Some(Taken::Job(Job::Turn(id, envelopes, hot)))
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.closing
            && self.in_flight == 0
            && self.running == 0
            && self.settled.is_empty()
            && self.activities.is_empty()
            && self.busy_activities.is_empty()
    }

    /// Nothing happens here, and nothing will until something arrives.
    fn is_idle(&self) -> bool {
        self.mailboxes.is_empty() && self.in_flight == 0 && self.running == 0 && self.activities.is_empty()
    }
}

/// How much a hub may have at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeskLimits {
    pub turns: usize,
    pub hot: usize,
}

impl Desk {
    pub fn new(hub: Weak<Inner>, floor: Arc<Floor>, room: Arc<Room>, limits: DeskLimits) -> Arc<Self> {
        let state = State {
            mailboxes: HashMap::new(),
            queue: VecDeque::new(),
            settled: VecDeque::new(),
            activities: VecDeque::new(),
            busy_activities: VecDeque::new(),
            paused_turns: VecDeque::new(),
            activity_next: [false; 2],
            hot: HotGuests::new(),
            hot_most: limits.hot,
            begun: 0,
            begun_most: limits.turns,
            in_flight: 0,
            running: 0,
            stands: [false; 2],
            arrived: 0,
            closing: false,
        };
        let desk = Arc::new(Self { state: Mutex::new(state), floor, room, hub, drained: watch::Sender::new(false) });
        desk.room.moves_in(&desk);
        desk
    }

    /// Nothing awaits or runs guests under this lock, and futures are not dropped under it: they may wake others.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The hub, unless it is gone.
    pub fn hub(&self) -> Option<Arc<Inner>> {
        self.hub.upgrade()
    }

    /// Ends a change: the hub stands where it has something to do.
    fn stand(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut to_stand = [false; 2];
        for lane in Lane::ALL {
            let stands = state.stands[lane as usize];
            to_stand[lane as usize] = !stands && state.has_job(lane, &self.room);
            state.stands[lane as usize] |= to_stand[lane as usize];
        }
        let drained = state.is_drained();
        drop(state);
        for lane in Lane::ALL.into_iter().filter(|&lane| to_stand[lane as usize]) {
            self.floor.stand(self.clone(), lane);
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
            return give_up(envelopes);
        }
        for envelope in envelopes {
            state.arrived += 1;
            let id = &envelope.delivery.message.to;
            match state.mailboxes.get_mut(id) {
                Some(mailbox) => mailbox.push(envelope),
                None => {
                    let id = id.clone();
                    state.mailboxes.insert(id.clone(), vec![envelope]);
                    state.queue.push_back(id);
                }
            }
        }
        self.stand(state);
    }

    /// Takes a job, which must be [`Self::done`]; the hub goes to the end of the ring if it has more.
    pub fn take(self: &Arc<Self>, lane: Lane) -> Option<Taken> {
        let mut state = self.lock();
        state.stands[lane as usize] = false;
        let taken = state.next(lane, &self.room);
        state.running += usize::from(matches!(taken, Some(Taken::Job(_))));
        self.stand(state);
        taken
    }

    /// A job is done; a turn's commit, if it has one, was handed to the store.
    pub fn done(self: &Arc<Self>, is_turn: bool) {
        let mut state = self.lock();
        state.running -= 1;
        state.begun -= usize::from(is_turn);
        self.stand(state);
    }

    /// A turn has used up its slice.
    pub fn pause(self: &Arc<Self>, turn: PausedTurn) {
        let mut state = self.lock();
        state.paused_turns.push_back(turn);
        self.stand(state);
    }

    /// An activity can go on. One that has woken itself has used up its slice.
    pub fn activity(self: &Arc<Self>, activity: Runnable, info: ScheduleInfo) {
        let mut state = self.lock();
        state.arrived += 1;
        match info.woken_while_running {
            true => state.busy_activities.push_back(activity),
            false => state.activities.push_back(activity),
        }
        self.stand(state);
    }

    /// A commit is durable or has failed.
    pub fn settled(self: &Arc<Self>, settled: Box<Settled>) {
        let mut state = self.lock();
        state.settled.push_back(settled);
        self.stand(state);
    }

    /// Ends a turn: the guest is kept hot if there is one, and the instance is queued again if messages came meanwhile or
    /// if it needs another turn without any.
    pub fn end_turn(self: &Arc<Self>, id: &InstanceId, hot: Option<Hot>, again: bool) {
        let mut state = self.lock();
        state.in_flight -= 1;
        let was_hot = hot.is_some();
        if let Some(hot) = hot {
            self.room.heated();
            state.hot.park(id.clone(), hot);
        }
        let cooled = self.cool(&mut state);
        let more = again || state.mailboxes.get(id).is_some_and(|mailbox| !mailbox.is_empty());
        let mut left = None;
        if more && !state.closing {
            state.queue.push_back(id.clone());
        } else {
            left = state.mailboxes.remove(id);
        }
        self.stand(state);
        give_up(left.into_iter().flatten());
        // Dropping a guest takes its stack down: not under the lock.
        drop(cooled);
        if was_hot {
            self.room.make_room();
            self.room.relieve();
        }
    }

    /// Takes out the guests that were used longest ago, while there are more than the hub may have, or while the host has
    /// too many and this hub more than its share.
    fn cool(&self, state: &mut State) -> Vec<Hot> {
        let mut cooled = Vec::new();
        while state.hot.len() > state.hot_most || self.room.is_too_hot(state.hot.len()) {
            let Some(hot) = state.hot.take_oldest() else { break };
            self.room.cooled(1);
            cooled.push(hot);
        }
        cooled
    }

    /// How many guests are hot.
    pub fn heat(&self) -> usize {
        self.lock().hot.len()
    }

    /// Bytes of memory that its guests may hold.
    pub fn hot_bytes(&self) -> usize {
        self.lock().hot.bytes()
    }

    /// Gives up the guest that was used longest ago, if there is one, and says how many bytes it may have held.
    pub fn cool_one(&self) -> Option<usize> {
        let cooled = self.lock().hot.take_oldest();
        self.room.cooled(cooled.iter().count());
        cooled.map(|hot| hot.live.memory_bytes())
    }

    pub fn set_limits(self: &Arc<Self>, limits: DeskLimits) {
        let mut state = self.lock();
        state.begun_most = limits.turns;
        state.hot_most = limits.hot;
        let cooled = self.cool(&mut state);
        self.stand(state);
        drop(cooled);
    }

    /// Puts messages back in front of those that have come since: their turn did not become durable.
    pub fn put_back(&self, id: &InstanceId, envelopes: Vec<Envelope>) {
        let mut state = self.lock();
        let mailbox = state.mailboxes.entry(id.clone()).or_default();
        let newer = std::mem::replace(mailbox, envelopes);
        mailbox.extend(newer);
    }

    /// How much was ever put here; none while something is being done.
    pub fn idle_since(&self) -> Option<u64> {
        let state = self.lock();
        state.is_idle().then_some(state.arrived)
    }

    /// Lets no further turn begin. What waits in mailboxes is given up: it is stored, or its sender is told. Activities go
    /// on until they are cancelled.
    pub fn close(self: &Arc<Self>) {
        let mut state = self.lock();
        state.closing = true;
        let queued: Vec<InstanceId> = state.queue.drain(..).collect();
        let given_up: Vec<Vec<Envelope>> = queued.iter().filter_map(|id| state.mailboxes.remove(id)).collect();
        self.stand(state);
        give_up(given_up.into_iter().flatten());
    }

    /// Waits until a closed desk has nothing left to do, and drops the hot guests.
    pub async fn drained(&self) {
        let mut drained = self.drained.subscribe();
        // It cannot fail: the sender is here.
        let _ = drained.wait_for(|drained| *drained).await;
        let hot = std::mem::replace(&mut self.lock().hot, HotGuests::new());
        self.room.cooled(hot.len());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.room.moves_out();
    }
}

/// Messages that get no turn any more: they are stored, or their sender is told.
fn give_up(envelopes: impl IntoIterator<Item = Envelope>) {
    envelopes.into_iter().for_each(|envelope| envelope.answer(Err(HubError::ShuttingDown)));
}
