//! Mailboxes: the messages that the next turn of an instance takes in.

pub(super) mod hot;
pub(super) mod run_queue;
pub(super) mod settled;

use std::time::Duration;

use dacapo_core::{Delivery, Message, Once, Usage};
use tokio::sync::oneshot;

use crate::engine::memory::Reservation;
use crate::hub::error::HubError;

/// A message, and the sender that waits until it is durable, if one does.
pub(in crate::hub) struct Envelope {
    pub delivery: Delivery,
    pub acknowledge: Option<oneshot::Sender<Result<(), HubError>>>,
    /// If it is the result of an activity: how long the attempt took. Not part of the message, because that is recorded, and a
    /// history must not depend on durations.
    pub took: Option<Duration>,
    /// The reservation of its memory.
    pub memory: Option<Reservation>,
    /// Its name, if it may be sent again: then it is taken in once.
    pub once: Option<Once>,
    /// What happens to an instance that has ended, if this starts one with its id.
    pub ended: IfEnded,
}

/// The mailbox of an instance.
#[derive(Default)]
pub(in crate::hub) struct Mail {
    pub envelopes: Vec<Envelope>,
    /// There are, or may be, more messages, which are in the store only.
    pub stored: bool,
    /// The instance has not ended in the store: it was hot when its turn began.
    pub is_alive: bool,
}

impl Mail {
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty() && !self.stored
    }
}

impl Envelope {
    /// Creates an envelope that needs no acknowledgement.
    pub fn of(delivery: Delivery) -> Self {
        Self { delivery, acknowledge: None, took: None, memory: None, once: None, ended: IfEnded::Replace }
    }

    /// Returns about how many bytes of memory it takes.
    pub fn size(message: &Message) -> usize {
        /// Of any message, besides its payloads.
        const OTHERS: usize = 256;
        OTHERS + message.event.payload_bytes()
    }

    /// Returns the usage that is charged to the receiving instance.
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

/// How a message of a client is taken in.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::hub) struct Posting {
    pub ended: IfEnded,
    pub once: Option<Once>,
}

/// What happens to an instance that has ended, if another one is started with its id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IfEnded {
    /// The new one replaces it, as in Durable Functions.
    #[default]
    Replace,
    /// It stays, and the start is refused.
    Refuse,
}
