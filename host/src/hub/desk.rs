//! The desk: mailboxes of busy instances, the order in which they get their turns, and the guests that are kept hot.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard};

use dacapo_core::turn::Live;
use dacapo_core::{Delivery, InstanceId, InstanceRecord};
use lru::LruCache;
use tokio::sync::oneshot;

use super::HubError;
use super::settle::Settled;

/// A message, and who waits for it to be durable.
pub(super) struct Envelope {
    pub delivery: Delivery,
    pub acknowledge: Option<oneshot::Sender<Result<(), HubError>>>,
}

impl Envelope {
    pub fn answer(self, result: Result<(), HubError>) {
        if let Some(acknowledge) = self.acknowledge {
            // A client that has gone away needs no answer.
            let _ = acknowledge.send(result);
        }
    }
}

/// An instance between two turns, its guest suspended in memory.
pub(super) struct Hot {
    pub record: InstanceRecord,
    pub live: Live,
}

/// What a turn thread does next.
pub(super) enum Job {
    /// Run a turn of this instance, with these messages.
    Turn(InstanceId, Vec<Envelope>, Option<Box<Hot>>),
    /// A commit is durable, or has failed: let what follows happen.
    Settle(Box<Settled>),
}

pub(super) struct Desk {
    state: Mutex<State>,
    ready: Condvar,
}

struct State {
    /// Instances that are queued or in a turn. Their next messages gather here.
    mailboxes: HashMap<InstanceId, Vec<Envelope>>,
    queue: VecDeque<InstanceId>,
    settled: VecDeque<Box<Settled>>,
    hot: Option<LruCache<InstanceId, Hot>>,
    /// Turns that were taken and are not settled.
    in_flight: usize,
    closing: bool,
}

impl Desk {
    pub fn new(hot_instances: usize) -> Self {
        let state = State {
            mailboxes: HashMap::new(),
            queue: VecDeque::new(),
            settled: VecDeque::new(),
            hot: NonZeroUsize::new(hot_instances).map(LruCache::new),
            in_flight: 0,
            closing: false,
        };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }

    /// Nothing awaits or runs guests under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Puts a message into a mailbox; the instance gets a turn.
    pub fn deliver(&self, envelope: Envelope) {
        self.deliver_all([envelope]);
    }

    pub fn deliver_all(&self, envelopes: impl IntoIterator<Item = Envelope>) {
        let mut state = self.lock();
        if state.closing {
            drop(state);
            return give_up(envelopes);
        }
        for envelope in envelopes {
            let id = &envelope.delivery.message.to;
            match state.mailboxes.get_mut(id) {
                Some(mailbox) => mailbox.push(envelope),
                None => {
                    let id = id.clone();
                    state.mailboxes.insert(id.clone(), vec![envelope]);
                    state.queue.push_back(id);
                    self.ready.notify_one();
                }
            }
        }
    }

    /// The next thing to do; blocks until there is one. None: the desk has closed and every turn is settled.
    pub fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(settled) = state.settled.pop_front() {
                return Some(Job::Settle(settled));
            }
            if !state.closing
                && let Some(id) = state.queue.pop_front()
            {
                state.in_flight += 1;
                let hot = state.hot.as_mut().and_then(|hot| hot.pop(&id)).map(Box::new);
                let mailbox = state.mailboxes.get_mut(&id).expect("a queued instance has a mailbox");
                let envelopes = std::mem::take(mailbox);
                return Some(Job::Turn(id, envelopes, hot));
            }
            if state.closing && state.in_flight == 0 {
                return None;
            }
            state = self.ready.wait(state).expect("no holder of this lock panics");
        }
    }

    /// A commit is durable or has failed.
    pub fn settled(&self, settled: Box<Settled>) {
        self.lock().settled.push_back(settled);
        self.ready.notify_one();
    }

    /// Ends a turn: the guest is kept hot if there is one, and the instance is queued again if messages came meanwhile or
    /// if it needs another turn without any.
    pub fn end_turn(&self, id: &InstanceId, hot: Option<Hot>, again: bool) {
        let mut state = self.lock();
        state.in_flight -= 1;
        let pushed_out = match (hot, &mut state.hot) {
            (Some(entry), Some(cache)) => cache.push(id.clone(), entry),
            (entry, _) => entry.map(|entry| (id.clone(), entry)),
        };
        let more = again || state.mailboxes.get(id).is_some_and(|mailbox| !mailbox.is_empty());
        let mut left = None;
        if more && !state.closing {
            state.queue.push_back(id.clone());
            self.ready.notify_one();
        } else {
            left = state.mailboxes.remove(id);
        }
        if state.closing {
            self.ready.notify_all();
        }
        drop(state);
        give_up(left.into_iter().flatten());
        // Dropping a guest takes its stack down: not under the lock.
        drop(pushed_out);
    }

    /// Puts messages back in front of those that have come since: their turn did not become durable.
    pub fn put_back(&self, id: &InstanceId, envelopes: Vec<Envelope>) {
        let mut state = self.lock();
        let mailbox = state.mailboxes.entry(id.clone()).or_default();
        let newer = std::mem::replace(mailbox, envelopes);
        mailbox.extend(newer);
    }

    /// Lets no further turn begin. What waits in mailboxes is given up: it is stored, or its sender is told.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        let queued: Vec<InstanceId> = state.queue.drain(..).collect();
        let given_up: Vec<Vec<Envelope>> = queued.iter().filter_map(|id| state.mailboxes.remove(id)).collect();
        self.ready.notify_all();
        drop(state);
        give_up(given_up.into_iter().flatten());
    }

    /// Drops the hot guests.
    pub fn drop_hot(&self) {
        let hot = self.lock().hot.take();
        drop(hot);
    }
}

/// Messages that get no turn any more: they are stored, or their sender is told.
fn give_up(envelopes: impl IntoIterator<Item = Envelope>) {
    envelopes.into_iter().for_each(|envelope| envelope.answer(Err(HubError::ShuttingDown)));
}
