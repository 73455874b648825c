//! External events: kept until they are read, in the order of their arrival, per name.
//!
//! ```text
//!            raise                    ask                      read
//!   client ────────▶ unread ───────────────────▶ served ───────────────▶ taken
//!                      ▲                           │
//!                      └───────── put back ────────┘  its wait is not asked for any more, and another is
//! ```
//!
//! A wait is *asked for* while the guest blocks on it, watches it, or reads its outcome. A wait that lost a race, and that
//! nobody asks for, takes nothing ([`EventDelivery::FirstAsked`]).

use std::collections::{BTreeSet, VecDeque};

use super::tasks::Work;
use super::{Execution, Stopped, TaskId, arguments};
use crate::commit::EventDelivery;
use crate::id::fold;
use crate::{Event, Payload};

/// The unread events of one name, and the waits for it.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// By rank.
    unread: VecDeque<Unread>,
    /// The waits that take what comes, the one that was made first first.
    waits: BTreeSet<TaskId>,
    /// Waits whose event may still go to another.
    served: Vec<TaskId>,
}

#[derive(Debug)]
pub(super) struct Unread {
    /// Its arrival among all arrivals and completions.
    rank: u64,
    name: String,
    data: Payload,
}

/// What a wait for an event is.
#[derive(Debug)]
pub(super) struct Wait {
    folded_name: String,
    /// When it was made, among all arrivals and completions.
    made: u64,
    /// What it was served with.
    event: Option<Unread>,
    /// The event is its own, read or not: the guest was told of it first of all.
    is_claimed: bool,
}

impl Wait {
    pub fn is_served(&self) -> bool {
        self.event.is_some()
    }

    /// It was read, and its wait is gone.
    pub fn forget_event(&mut self) {
        self.event = None;
    }
}

impl Execution {
    pub fn wait_for_external_event(&mut self, name: &str) -> Result<TaskId, Stopped> {
        let name = match arguments::event(name) {
            Ok(name) => name,
            Err(why) => return self.refused(why),
        };
        let made = self.next_rank();
        let id = self.add_task(Work::ExternalEvent(Wait { folded_name: fold(&name), made, event: None, is_claimed: false }))?;
        match self.context.event_delivery {
            EventDelivery::FirstMade => self.ask(id),
            EventDelivery::FirstAsked => {}
        }
        Ok(id)
    }

    pub(super) fn raise(&mut self, name: &str, data: &Payload) {
        let event = Unread { rank: self.next_rank(), name: name.into(), data: data.clone() };
        let channel = self.channels.entry(fold(name)).or_default();
        match channel.waits.pop_first() {
            Some(id) => self.serve(id, event),
            None => channel.unread.push_back(event),
        }
    }

    /// Serves a wait that is open, now or with the next event that comes.
    pub(super) fn ask(&mut self, id: TaskId) {
        self.reclaim(id);
        let Some(channel) = self.channel_of(id) else { return };
        match channel.unread.pop_front() {
            Some(event) => self.serve(id, event),
            None => drop(channel.waits.insert(id)),
        }
    }

    /// The wait takes no event that comes.
    pub(super) fn stop_asking(&mut self, id: TaskId) {
        if let Some(channel) = self.channel_of(id) {
            channel.waits.remove(&id);
        }
    }

    pub(super) fn claim(&mut self, id: TaskId) {
        if let Work::ExternalEvent(wait) = &mut self.tasks[id.0 as usize].work {
            wait.is_claimed = true;
        }
    }

    /// The channel of an open wait.
    fn channel_of(&mut self, id: TaskId) -> Option<&mut Channel> {
        let task = &self.tasks[id.0 as usize];
        match &task.work {
            Work::ExternalEvent(wait) if !task.is_done() => Some(self.channels.entry(wait.folded_name.clone()).or_default()),
            Work::ExternalEvent(_) | Work::Call { .. } | Work::Http(_) | Work::Entity | Work::Timer { .. } | Work::Refused => {
                None
            }
        }
    }

    /// Puts back what others of its name were served with, have not read, and are not asked for any more.
    fn reclaim(&mut self, id: TaskId) {
        let served = self.channel_of(id).map_or_else(Vec::new, |channel| std::mem::take(&mut channel.served));
        let mut kept = Vec::new();
        for other in served {
            let task = &self.tasks[other.0 as usize];
            match &task.work {
                Work::ExternalEvent(wait) if wait.event.is_none() || wait.is_claimed || task.read => {}
                _ if task.is_asked_for() => kept.push(other),
                _ => {
                    self.reopen(other);
                    self.put_back(other);
                }
            }
        }
        if let Some(channel) = self.channel_of(id) {
            channel.served.extend(kept);
        }
    }

    /// Takes the event from a wait that was served with it, for the next wait or the next that is asked for.
    pub(super) fn put_back(&mut self, id: TaskId) {
        let Work::ExternalEvent(wait) = &mut self.tasks[id.0 as usize].work else { return };
        let Some(event) = wait.event.take() else { return };
        let channel = self.channels.entry(wait.folded_name.clone()).or_default();
        match channel.waits.pop_first() {
            Some(next) => self.serve(next, event),
            None => {
                let place = match self.context.event_delivery {
                    EventDelivery::FirstMade => 0,
                    EventDelivery::FirstAsked => channel.unread.partition_point(|unread| unread.rank < event.rank),
                };
                channel.unread.insert(place, event);
            }
        }
    }

    /// Completes a wait with an event: when that came, or when the wait was made, if that was later.
    fn serve(&mut self, id: TaskId, served: Unread) {
        let data = served.data.clone();
        let mut rank = self.next_rank();
        if let Work::ExternalEvent(wait) = &mut self.tasks[id.0 as usize].work {
            if self.context.event_delivery == EventDelivery::FirstAsked {
                rank = served.rank.max(wait.made);
                self.channels.entry(wait.folded_name.clone()).or_default().served.push(id);
            }
            wait.event = Some(served);
        }
        self.complete_at(rank, id, Ok(data));
    }

    /// The events that the guest never read, in the order in which they arrived: continue-as-new takes them along.
    pub fn take_unread(&mut self) -> Vec<Event> {
        let served = self.tasks.iter_mut().filter(|task| !task.read).filter_map(|task| match &mut task.work {
            Work::ExternalEvent(wait) => wait.event.take(),
            Work::Call { .. } | Work::Http(_) | Work::Entity | Work::Timer { .. } | Work::Refused => None,
        });
        let mut unread: Vec<Unread> = served.collect();
        unread.extend(self.channels.drain().flat_map(|(_, channel)| channel.unread));
        unread.sort_by_key(|event| event.rank);
        unread.into_iter().map(|event| Event::EventRaised { name: event.name, data: event.data }).collect()
    }
}
