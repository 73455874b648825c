//! A queue and its poison queue in the model.
//!
//! Nothing says when a message is delivered, nor how often: only that its trigger runs once it is there and no longer waits, and
//! that a message leaves the queue after that.

use std::collections::{BTreeMap, BTreeSet};

/// A message, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Good,
    /// The first delivery fails.
    Flaky,
    /// All deliveries fail.
    Bad,
}

impl Kind {
    /// This many deliveries fail.
    pub fn fails(self) -> u32 {
        match self {
            Kind::Good => 0,
            Kind::Flaky => 1,
            Kind::Bad => u32::MAX,
        }
    }
}

/// Which of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Work,
    Poison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Message {
    kind: Kind,
    work: bool,
    poison: bool,
    /// Its trigger has run, and has succeeded.
    ran: bool,
    /// A delivery may have been going on when the trigger, or the message, was taken away.
    in_flight: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Queue {
    /// Whether an app has a trigger for it.
    listening: bool,
    messages: BTreeMap<u32, Message>,
    /// What was started for these messages has completed, and was not purged.
    pub processed: BTreeSet<u32>,
}

impl Queue {
    pub fn put(&mut self, number: u32, kind: Kind, place: Place) {
        let (work, poison) = (place == Place::Work, place == Place::Poison);
        self.messages.insert(number, Message { kind, work, poison, ran: false, in_flight: false });
    }

    pub fn listen(&mut self, on: bool) {
        if self.listening && !on {
            self.messages.values_mut().for_each(|message| message.in_flight |= message.work);
        }
        self.listening = on;
    }

    /// The messages in one of the queues.
    pub fn peek(&self, place: Place) -> BTreeSet<u32> {
        let is_there = |message: &Message| match place {
            Place::Work => message.work,
            Place::Poison => message.poison,
        };
        self.messages.iter().filter(|(_, message)| is_there(message)).map(|(number, _)| *number).collect()
    }

    pub fn clear(&mut self, number: u32, place: Place) {
        let listening = self.listening;
        self.change(number, |message| match place {
            Place::Work => {
                message.in_flight |= listening;
                (message.work, message.ran) = (false, false);
            }
            Place::Poison => message.poison = false,
        });
    }

    /// The first half of a redrive: a crash may part it from the second, which is [`Self::clear`].
    pub fn put_back(&mut self, number: u32) {
        self.change(number, |message| message.work = true);
    }

    /// The queue after each single step that may happen next without a client.
    pub fn progress(&self) -> Vec<Queue> {
        let mut queues = Vec::new();
        for (&number, message) in &self.messages {
            let mut step = |change: &dyn Fn(&mut Queue)| {
                let mut queue = self.clone();
                change(&mut queue);
                // A run of a message that was there already changes nothing.
                queues.extend((queue != *self).then_some(queue));
            };
            let delivered = message.work && self.listening || message.in_flight;
            match message.kind {
                Kind::Good | Kind::Flaky if delivered => step(&|queue| {
                    queue.processed.insert(number);
                    queue.change(number, |message| (message.ran, message.in_flight) = (message.work, false));
                }),
                Kind::Bad if delivered && message.work => step(&|queue| {
                    queue.change(number, |message| {
                        (message.work, message.poison, message.in_flight) = (false, true, false);
                    });
                }),
                _ => {}
            }
            if message.ran {
                step(&|queue| queue.change(number, |message| (message.work, message.ran) = (false, false)));
            }
            if message.in_flight {
                step(&|queue| queue.change(number, |message| message.in_flight = false));
            }
        }
        queues
    }

    fn change(&mut self, number: u32, change: impl Fn(&mut Message)) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        change(message);
        if !message.work {
            (message.ran, message.in_flight) = (false, message.in_flight && message.kind != Kind::Bad);
        }
        if !message.work && !message.poison && !message.in_flight {
            self.messages.remove(&number);
        }
    }
}
