//! Delivers the messages that a commit sends.

use std::sync::atomic::Ordering;

use ::redb::ReadableTable;
use dacapo_core::{EntityState, Event, InstanceRecord, Message, MessageKey, Row, RuntimeStatus};

use super::Tables;
use crate::codec::{self, CommitGuard, ListingFields};
use crate::redb::fault::Fault;
use crate::redb::prepare::{Prepared, Sent};

/// How a message is routed.
enum Routing {
    /// It goes into the inbox of this row.
    Delivered(Row),
    /// It creates an instance, which replaces the given one, if any, that has ended.
    Starts(Option<Row>),
    /// No instance takes it. If its sender waits for a reply, it gets a refusal.
    Refused,
    /// No instance takes it, and no sender waits for a reply.
    Dropped,
}

impl Tables<'_> {
    /// Delivers a message. Returns what was put into inboxes: the message, and refusals.
    pub(super) fn send(&mut self, sent: &Sent, sender: &Prepared) -> Result<Vec<(MessageKey, Message)>, Fault> {
        let Sent { message, bytes } = sent;
        let mut delivered = Vec::new();
        let row = match routing(message, self.holder(message.to.as_str())?, sender) {
            Routing::Delivered(row) => row,
            Routing::Starts(ended) => {
                if let Some(ended) = ended {
                    delivered = self.replace(ended)?;
                }
                self.start(message)?
            }
            Routing::Refused => return Ok(self.refuse(message)?.into_iter().collect()),
            Routing::Dropped => return Ok(delivered),
        };
        let number = self.store_message(row, bytes)?;
        delivered.push((MessageKey { row, number }, message.clone()));
        Ok(delivered)
    }

    /// Removes an ended instance that another one replaces. Refuses the rewinds in its inbox, for which parents wait.
    pub(super) fn replace(&mut self, row: Row) -> Result<Vec<(MessageKey, Message)>, Fault> {
        let waiting = self.rewinds(row)?;
        self.remove_rows(row)?;
        let mut refused = Vec::new();
        for rewind in waiting {
            refused.extend(self.refuse(&rewind)?);
        }
        Ok(refused)
    }

    /// The rewinds of an ended instance that parents have requested and that it has not taken in yet.
    pub(super) fn rewinds(&self, row: Row) -> Result<Vec<Message>, Fault> {
        let mut rewinds = Vec::new();
        for entry in self.inbox.range((row.0, 0)..=(row.0, u64::MAX))? {
            let message = codec::decode_message(entry?.1.value())?;
            if matches!(message.event, Event::ExecutionRewound { .. }) {
                rewinds.push(message);
            }
        }
        Ok(rewinds)
    }

    /// Creates the instance that a message starts. No instance has its id.
    fn start(&mut self, message: &Message) -> Result<Row, Fault> {
        let row = Row(self.rows.fetch_add(1, Ordering::Relaxed));
        let record = InstanceRecord::pending(row, message).expect("its routing is that it starts an instance");
        self.ids.insert(message.to.as_str(), row.0)?;
        self.records.insert(row.0, codec::encode_record(&record).as_slice())?;
        self.zones.set(row, ListingFields { status: record.status, created: record.created })?;
        if record.id.is_entity() {
            self.states.insert(row.0, codec::encode_entity(&EntityState::default()).as_slice())?;
        }
        self.counters.next_row = self.counters.next_row.max(row.0 + 1);
        Ok(row)
    }

    fn refuse(&mut self, message: &Message) -> Result<Option<(MessageKey, Message)>, Fault> {
        let Some(Sent { message, bytes }) = message.refused(message.sent_at).map(Sent::new) else { return Ok(None) };
        match self.holder(message.to.as_str())? {
            Some((row, guard)) if takes(guard.status, &message) => {
                let number = self.store_message(row, &bytes)?;
                Ok(Some((MessageKey { row, number }, message)))
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// Routes a message. `holder` is the instance that has its id.
fn routing(message: &Message, holder: Option<(Row, CommitGuard)>, sender: &Prepared) -> Routing {
    match (&message.event, holder) {
        (Event::ExecutionStarted { execution, .. }, Some((row, guard))) if !guard.status.is_terminal() => {
            // Continue-as-new: the instance starts itself again.
            match row == sender.row && guard.execution == *execution {
                true => Routing::Delivered(row),
                false => Routing::Refused,
            }
        }
        (Event::ExecutionStarted { .. }, ended) => Routing::Starts(ended.map(|(row, _)| row)),
        (_, Some((row, guard))) if takes(guard.status, message) => Routing::Delivered(row),
        (_, Some(_)) => Routing::Dropped,
        (_, None) if InstanceRecord::pending(Row(0), message).is_some() => Routing::Starts(None),
        (_, None) => Routing::Refused,
    }
}

/// Whether an instance of this status takes a message into its inbox. A failed instance keeps messages, because it may be
/// rewound; and a rewind is for instances that have ended.
fn takes(status: RuntimeStatus, message: &Message) -> bool {
    !status.is_terminal() || status == RuntimeStatus::Failed || matches!(message.event, Event::ExecutionRewound { .. })
}
