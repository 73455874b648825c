//! External events: kept until they are read, in the order of their arrival, per name.
//!
//! ```text
//!            raise                    ask                      read
//!   client ────────▶ unread ───────────────────▶ served ───────────────▶ taken
//!                      ▲                           │
//!                      └───────── put back ────────┘  its wait is not asked for any more, and another is
//! ```
//!
//! A wait is *asked for* while the guest blocks on it, watches it, or reads its outcome. A wait that lost a race and is not
//! asked for any more takes no event ([`EventDelivery::FirstAsked`]).

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
    /// The waits that can take the next event, oldest first.
    waits: BTreeSet<TaskId>,
    /// Waits whose event may still be given to another wait.
    served: Vec<TaskId>,
}

#[derive(Debug)]
pub(super) struct Unread {
    /// The position of its arrival among all arrivals and completions.
    rank: u64,
    name: String,
    data: Payload,
}

/// The state of a wait for an event.
#[derive(Debug)]
pub(super) struct Wait {
    folded_name: String,
    /// The position of its creation among all arrivals and completions.
    made: u64,
    /// The event that it was served with.
    event: Option<Unread>,
    /// The event stays with this wait, read or not: the guest was given this task as the first completed one.
    is_final: bool,
}

impl Wait {
    pub fn is_served(&self) -> bool {
        self.event.is_some()
    }

    /// Drops the event, which was read and whose wait was released.
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
        let id = self.add_task(Work::ExternalEvent(Wait { folded_name: fold(&name), made, event: None, is_final: false }))?;
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

    /// Serves an open wait, now or with the next event that arrives.
    pub(super) fn ask(&mut self, id: TaskId) {
        self.reclaim(id);
        let Some(channel) = self.channel_of(id) else { return };
        match channel.unread.pop_front() {
            Some(event) => self.serve(id, event),
            None => drop(channel.waits.insert(id)),
        }
    }

    /// Stops the wait from taking the next event.
    pub(super) fn dequeue_wait(&mut self, id: TaskId) {
        if let Some(channel) = self.channel_of(id) {
            channel.waits.remove(&id);
        }
    }

    pub(super) fn claim(&mut self, id: TaskId) {
        if let Work::ExternalEvent(wait) = &mut self.tasks[id.0 as usize].work {
            wait.is_final = true;
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

    /// Puts back the unread events of other waits for the same name that are not asked for any more.
    fn reclaim(&mut self, id: TaskId) {
        let served = self.channel_of(id).map_or_else(Vec::new, |channel| std::mem::take(&mut channel.served));
        let mut kept = Vec::new();
        for other in served {
            let task = &self.tasks[other.0 as usize];
            match &task.work {
                Work::ExternalEvent(wait) if wait.event.is_none() || wait.is_final || task.read => {}
                _ if task.is_awaited() => kept.push(other),
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

    /// Takes the event back from a wait that was served with it, and gives it to the next wait or to the channel.
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

    /// Completes a wait with an event. With `FirstAsked`, its rank is that of the event or of the wait, whichever is later.
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

    /// Takes the events that the guest never read, in the order of their arrival: continue-as-new carries them over.
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
