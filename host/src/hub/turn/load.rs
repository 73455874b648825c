//! Loads what a turn needs: the instance, its history, and the messages that it takes in. Changes nothing.

use std::collections::HashSet;
use std::mem::take;
use std::sync::{Arc, OnceLock};

use dacapo_core::turn::{History, Memory, Pages, reaches_suspended};
use dacapo_core::{Delivery, Event, HistoryEvent, InstanceId, InstanceRecord, Message, NotNow, Row, RuntimeStatus, Timestamp};
use dacapo_store::{EventPlace, HistoryPage, Store, StoreError};

use crate::engine::memory::Reservation;
use crate::hub::error::HubError;
use crate::hub::hub_core::{HubCore, now};
use crate::hub::mailbox::hot::Hot;
use crate::hub::mailbox::{Envelope, IfEnded};
use crate::hub::operations::query::history_page;

/// Bytes of messages that a turn takes from the store, but at least one message: the others are left to the next turns.
const INBOX_BYTES_PER_TURN: usize = 8 << 20;

/// About how many bytes of a history are read at once while it is replayed.
const HISTORY_BYTES_AT_ONCE: usize = 256 << 10;

/// Up to this many bytes, what is loaded for a turn is not counted.
const LITTLE_BYTES: usize = 64 << 10;

/// A turn that is ready to be executed.
pub(super) struct Loaded {
    pub record: InstanceRecord,
    pub memory: Memory,
    pub inbox: Inbox,
    /// The ended instance that this one replaces.
    pub replaces: Option<InstanceRecord>,
    /// The reservation of what was loaded.
    _room: Option<Reservation>,
    /// Why the history could not be read.
    pub unread: Unread,
}

pub(super) type Unread = Arc<OnceLock<HubError>>;

/// The history of an instance in the store.
struct StoredHistory {
    store: Arc<dyn Store>,
    record: InstanceRecord,
    unread: Unread,
}

impl StoredHistory {
    fn page(&self, from: EventPlace) -> Result<(Vec<HistoryEvent>, Option<EventPlace>), NotNow> {
        match history_page(self.store.as_ref(), &self.record, from, HISTORY_BYTES_AT_ONCE) {
            Ok(HistoryPage { events, next }) => Ok((events.into_iter().map(|(_, event)| event).collect(), next)),
            Err(why) => {
                // The first error is kept.
                let _ = self.unread.set(why);
                Err(NotNow::Unread)
            }
        }
    }
}

impl History for StoredHistory {
    fn pages(&self) -> Pages<'_> {
        let mut next = Some(EventPlace::of_turn(self.record.turns.start));
        Box::new(std::iter::from_fn(move || {
            let page = self.page(next.take()?);
            Some(page.map(|(events, more)| {
                next = more;
                events
            }))
        }))
    }
}

/// What a turn takes in.
#[derive(Default)]
pub(super) struct Inbox {
    pub deliveries: Vec<Delivery>,
    /// There are more messages in the store, which come first.
    pub more: bool,
    /// Messages that have arrived, and have to wait for those.
    pub later: Vec<Envelope>,
    /// Bytes of the messages that were read from the store.
    bytes: usize,
}

impl Inbox {
    fn of(deliveries: impl Iterator<Item = Delivery>) -> Self {
        Self { deliveries: deliveries.collect(), ..Self::default() }
    }
}

/// Why a turn does not begin.
pub(in crate::hub) enum NotLoaded {
    Failed(HubError),
    /// It needs so many bytes of memory, which are not free.
    NoRoom(usize),
}

impl From<HubError> for NotLoaded {
    fn from(error: HubError) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for NotLoaded {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl HubCore {
    /// Removes the messages that were taken in before, and answers them. A second one of the same name waits for the next turn, when
    /// the first is durable.
    pub(super) fn leave_out_repeated(&self, id: &InstanceId, envelopes: &mut Vec<Envelope>) -> Result<(), HubError> {
        if envelopes.iter().all(|envelope| envelope.once.is_none()) {
            return Ok(());
        }
        let (mut names, mut later) = (HashSet::new(), Vec::new());
        let mut taken = Vec::new();
        for envelope in envelopes.iter() {
            taken.push(match &envelope.once {
                Some(once) => self.store.has_taken(once)?,
                None => false,
            });
        }
        for (envelope, taken) in take(envelopes).into_iter().zip(taken) {
            match envelope.once {
                _ if taken => envelope.answer(Ok(())),
                Some(once) if !names.insert(once) => later.push(envelope),
                _ => envelopes.push(envelope),
            }
        }
        if !later.is_empty() {
            self.run_queue.put_back(id, later);
        }
        Ok(())
    }

    /// Loads what the turn needs. Messages that cannot be taken in are answered and removed from `envelopes`.
    /// None: nothing is left to do.
    pub(super) fn load(
        &self,
        id: &InstanceId,
        envelopes: &mut Vec<Envelope>,
        stored: bool,
        hot: Option<Hot>,
    ) -> Result<Option<Loaded>, NotLoaded> {
        let waited_for = self.loading.reserved(id);
        // A migration needs a new guest, and so does an instance that has replaced this one, which has another row.
        let begins_anew = |hot: &Hot, envelope: &Envelope| {
            let Delivery { message, stored } = &envelope.delivery;
            is_migration(message) || stored.is_some_and(|key| key.row != hot.record.row)
        };
        let hot = hot.filter(|hot| !envelopes.iter().any(|envelope| begins_anew(hot, envelope)));
        let (mut record, mut memory) = match hot {
            Some(Hot { record, live }) => (Some(record), Some(Memory::Hot(live))),
            None => (self.store.instance(id)?, None),
        };
        let mut replaces = None;
        for envelope in take(envelopes) {
            let Delivery { message, stored } = &envelope.delivery;
            let starts = stored.is_none() && matches!(message.event, Event::ExecutionStarted { .. });
            match (&record, starts) {
                (Some(known), true) if !known.status.is_terminal() || envelope.ended == IfEnded::Refuse => {
                    let (id, status) = (id.clone(), known.status);
                    envelope.answer(Err(HubError::AlreadyExists { id, status }));
                }
                (_, true) => {
                    replaces = record.take();
                    record = InstanceRecord::pending(self.store.next_row(), message);
                    memory = Some(Memory::cold(Vec::new()));
                    envelopes.push(envelope);
                }
                (None, false) => envelope.answer(Err(HubError::NotFound(id.clone()))),
                // The turn decides whether it can be rewound.
                (Some(_), false) if is_rewind(message) => envelopes.push(envelope),
                (Some(ended), false) if ended.status.is_terminal() && envelope.acknowledge.is_some() => {
                    let (id, status) = (id.clone(), ended.status);
                    envelope.answer(Err(HubError::Ended { id, status }));
                }
                (Some(_), false) => envelopes.push(envelope),
            }
        }
        let Some(record) = record else { return Ok(None) };
        // Stored messages of an instance that was purged, or that is replaced now, are removed with its rows.
        envelopes.retain(|envelope| envelope.delivery.stored.is_none_or(|key| key.row == record.row));
        let stored = stored && replaces.is_none();
        if envelopes.is_empty() && !stored {
            return Ok(None);
        }
        self.limit_inbox(&record, envelopes)?;
        let mut inbox = self.inbox(&record, envelopes, stored)?;
        if inbox.deliveries.is_empty() {
            return Ok(None);
        }
        let unread = Unread::default();
        match self.remember(&record, memory, &inbox, waited_for, &unread) {
            Ok((memory, _room)) => Ok(Some(Loaded { record, memory, inbox, replaces, _room, unread })),
            Err(why) => {
                envelopes.append(&mut inbox.later);
                Err(why)
            }
        }
    }

    /// Returns the memory of an instance for a turn that takes in `inbox`, and the reservation of what was loaded.
    fn remember(
        &self,
        record: &InstanceRecord,
        hot: Option<Memory>,
        inbox: &Inbox,
        waited_for: Option<Reservation>,
        unread: &Unread,
    ) -> Result<(Memory, Option<Reservation>), NotLoaded> {
        let arrives = |wanted: fn(&Event) -> bool| inbox.deliveries.iter().any(|delivery| wanted(&delivery.message.event));
        let needs_history = match record.status {
            RuntimeStatus::Suspended => arrives(reaches_suspended),
            status => !status.is_terminal() || arrives(is_rewind_event),
        };
        match hot {
            None if needs_history => {
                let bytes = inbox.bytes + self.store.history_bytes(record.row, record.turns.clone(), usize::MAX)?;
                let room = self.reserve_for_turn(bytes, waited_for)?;
                let (store, record, unread) = (self.store.clone(), record.clone(), unread.clone());
                Ok((Memory::Cold(Box::new(StoredHistory { store, record, unread })), room))
            }
            hot => {
                let room = self.reserve_for_turn(inbox.bytes, waited_for)?;
                Ok((hot.unwrap_or_else(|| Memory::cold(Vec::new())), room))
            }
        }
    }

    /// Returns the messages of the turn. Those in the store come first: an instance keeps some while it is suspended, until the
    /// time of its start has come, and when it has failed, in case it is rewound; and messages for which there is no memory
    /// (`stored`) are left there. They are read only if they can be taken in now.
    ///
    /// A turn that reads the store may take in a message whose copy is still on its way to the mailbox. So where a duplicate
    /// would matter (that of a result does not) the store decides whether a stored message is still due.
    fn inbox(&self, record: &InstanceRecord, envelopes: &mut Vec<Envelope>, stored: bool) -> Result<Inbox, NotLoaded> {
        let deliveries = || envelopes.iter().map(|envelope| &envelope.delivery);
        let arrived = |wanted: fn(&Event) -> bool| deliveries().any(|delivery| wanted(&delivery.message.event));
        let (mut reads, mut most) = (stored, INBOX_BYTES_PER_TURN);
        match record.status {
            RuntimeStatus::Suspended => {
                reads = arrived(reaches_suspended) || stored && self.find_waiting(record.row, reaches_suspended)?;
                if !reads {
                    return Ok(Inbox::of(deliveries().filter(|delivery| delivery.stored.is_none()).cloned()));
                }
            }
            RuntimeStatus::Pending => reads |= !arrived(is_start),
            status
                if status.is_terminal()
                    && (arrived(is_rewind_event) || stored && self.find_waiting(record.row, is_rewind_event)?) =>
            {
                (reads, most) = (true, usize::MAX);
            }
            _ => {}
        }
        let is_event = |d: &Delivery| d.stored.is_some() && matches!(d.message.event, Event::EventRaised { .. });
        if !reads && !deliveries().any(is_event) {
            return Ok(Inbox::of(deliveries().cloned()));
        }
        let page = self.store.inbox_page(record.row, None, most)?;
        self.inbox_bounds.recount(&record.id);
        let mut inbox = Inbox { more: page.more, ..Inbox::default() };
        let starts_later = page.messages.iter().any(|(_, message)| starts_after(&message.event, now()));
        let goes_first = |event: &Event| match record.status {
            RuntimeStatus::Suspended => reaches_suspended(event),
            RuntimeStatus::Pending => starts_later || reaches_suspended(event) || matches!(event, Event::TimerFired { .. }),
            status => status.is_terminal(),
        };
        let arrived = std::mem::take(envelopes).into_iter().filter(|envelope| envelope.delivery.stored.is_none());
        (*envelopes, inbox.later) = arrived.partition(|envelope| !page.more || goes_first(&envelope.delivery.message.event));
        inbox.bytes = page.messages.iter().map(|(_, message)| Envelope::size(message)).sum();
        inbox.deliveries = page.messages.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) }).collect();
        inbox.deliveries.extend(envelopes.iter().map(|envelope| envelope.delivery.clone()));
        Ok(inbox)
    }

    /// Whether a message of this kind is in an inbox.
    fn find_waiting(&self, row: Row, wanted: fn(&Event) -> bool) -> Result<bool, HubError> {
        Ok(self.find_in_inbox(row, |event| wanted(&event).then_some(()))?.is_some())
    }

    /// Searches an inbox, of which it holds one page at a time.
    pub(in crate::hub) fn find_in_inbox<T>(&self, row: Row, wanted: impl Fn(Event) -> Option<T>) -> Result<Option<T>, HubError> {
        let mut after = None;
        loop {
            let page = self.store.inbox_page(row, after, INBOX_BYTES_PER_TURN)?;
            let (last, more) = (page.messages.last().map(|(key, _)| *key), page.more);
            let found = page.messages.into_iter().find_map(|(_, message)| wanted(message.event));
            if found.is_some() || !more {
                return Ok(found);
            }
            after = last;
        }
    }

    /// Reserves memory for what a turn loads, growing the reservation that it has waited for, if any.
    pub(in crate::hub) fn reserve_for_turn(
        &self,
        bytes: usize,
        waited_for: Option<Reservation>,
    ) -> Result<Option<Reservation>, NotLoaded> {
        if bytes <= LITTLE_BYTES {
            return Ok(None);
        }
        let mut room = waited_for.unwrap_or_else(|| self.memory.empty());
        let more = bytes.saturating_sub(room.bytes());
        room.try_grow(more).map_err(|_| NotLoaded::NoRoom(bytes))?;
        Ok(Some(room))
    }
}

fn is_start(event: &Event) -> bool {
    matches!(event, Event::ExecutionStarted { .. })
}

fn starts_after(event: &Event, now: Timestamp) -> bool {
    matches!(event, Event::ExecutionStarted { start_at: Some(at), .. } if *at > now)
}

pub(super) fn is_rewind(message: &Message) -> bool {
    is_rewind_event(&message.event)
}

fn is_rewind_event(event: &Event) -> bool {
    matches!(event, Event::ExecutionRewound { .. })
}

pub(super) fn is_migration(message: &Message) -> bool {
    matches!(message.event, Event::ExecutionMigrated { .. })
}
