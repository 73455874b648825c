//! What waits for an instance until its next turn takes it in.

pub(super) mod hot;
pub(super) mod run_queue;
pub(super) mod settled;

use std::time::Duration;

use dacapo_core::{Delivery, Message, Usage};
use tokio::sync::oneshot;

use crate::engine::memory::Reservation;
use crate::hub::error::HubError;

/// A message, and who waits for it to be durable.
pub(in crate::hub) struct Envelope {
    pub delivery: Delivery,
    pub acknowledge: Option<oneshot::Sender<Result<(), HubError>>>,
    /// How long the attempt of an activity took whose result it is. It goes beside the message, which is recorded: what is
    /// recorded must not depend on how long something took.
    pub took: Option<Duration>,
    /// Where it is counted that it is in memory.
    pub memory: Option<Reservation>,
    /// What becomes of an instance that has ended, if this starts one with its id.
    pub ended: Ended,
}

/// What waits for the next turn of an instance.
#[derive(Default)]
pub(in crate::hub) struct Mail {
    pub envelopes: Vec<Envelope>,
    /// There is more, or may be, which lies in the store only.
    pub stored: bool,
    /// The instance has not ended, as far as is durable: it was hot when its turn began.
    pub is_alive: bool,
}

impl Mail {
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty() && !self.stored
    }
}

impl Envelope {
    /// Nobody waits for it.
    pub fn of(delivery: Delivery) -> Self {
        Self { delivery, acknowledge: None, took: None, memory: None, ended: Ended::Replaced }
    }

    /// Bytes that it takes in memory, about.
    pub fn size(message: &Message) -> usize {
        /// What every message has.
        const OTHERS: usize = 256;
        OTHERS + message.event.payload_bytes()
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

/// What becomes of an instance that has ended, if another one is started with its id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ended {
    /// The new one takes its place, as in Durable Functions.
    #[default]
    Replaced,
    /// It stays, and the start is refused.
    Stays,
}
