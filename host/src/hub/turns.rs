//! Turns: load, execute, write.

use std::mem::take;
use std::sync::{Arc, OnceLock, PoisonError};

use dacapo_core::event::Outcome;
use dacapo_core::turn::{History, Memory, NoVersion, Pages, Turn, TurnResult, reaches_suspended};
use dacapo_core::{
    Announcement, Commit, Delivery, Event, HistoryEvent, InstanceId, InstanceRecord, Message, NotNow, Row, RuntimeStatus,
    ScheduledActivity, Timestamp, Usage, VersionId,
};
use dacapo_store::{EventPlace, HistoryPage, PendingActivity, Store, StoreError};

use super::bounds::waits;
use super::catalog::Beginning;
use super::hot::Hot;
use super::manage::Ended;
use super::query::history_page;
use super::run_queue::Envelope;
use super::scheduler::was_cut_off;
use super::settle::Settled;
use super::{HubCore, HubError, now};
use crate::memory::Reservation;
use crate::meters::Before;

/// Bytes of messages that a turn takes from the store at once, one at least: the others are for the next turns.
const INBOX_BYTES_PER_TURN: usize = 8 << 20;

/// About as many bytes of a history are read at once while it is replayed.
const HISTORY_BYTES_AT_ONCE: usize = 256 << 10;

/// What is loaded for a turn and is no more than this is not worth counting.
const LITTLE_BYTES: usize = 64 << 10;

/// A turn that is ready to be executed.
struct Loaded {
    record: InstanceRecord,
    memory: Memory,
    inbox: Inbox,
    /// The finished instance whose place this one takes.
    replaces: Option<InstanceRecord>,
    /// Where it is counted what was loaded.
    _room: Option<Reservation>,
    /// Why the history could not be read.
    unread: Unread,
}

type Unread = Arc<OnceLock<HubError>>;

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
                // The first one is told.
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
struct Inbox {
    deliveries: Vec<Delivery>,
    /// There is more in the store, which comes first.
    more: bool,
    /// What came, and has to wait for that.
    later: Vec<Envelope>,
    /// Bytes that were read from the store, and that the history will take.
    bytes: usize,
}

impl Inbox {
    fn of(deliveries: impl Iterator<Item = Delivery>) -> Self {
        Self { deliveries: deliveries.collect(), ..Self::default() }
    }
}

/// Why a turn does not begin.
pub(super) enum NotLoaded {
    Failed(HubError),
    /// What it needs takes so many bytes, for which there is no room in memory.
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
    /// What is left in `envelopes` if it panics has not been dealt with. `stored`: more lies in the store.
    pub(super) fn run_turn(self: &Arc<Self>, id: &InstanceId, envelopes: &mut Vec<Envelope>, stored: bool, hot: Option<Hot>) {
        if id.is_entity() {
            return self.run_entity_turn(id, envelopes, stored);
        }
        let executor = self.in_memory(id);
        let loaded = match self.load(id, envelopes, stored, hot) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.run_queue.end_turn(id, None, false),
            Err(why) => return self.turn_not_loaded(id, take(envelopes), why),
        };
        let Inbox { deliveries, more, later, .. } = loaded.inbox;
        if !later.is_empty() {
            self.run_queue.put_back(id, later);
        }
        let choice = self.catalog.choice();
        let active_version = self.catalog.orchestrator_version(&loaded.record.name);
        let rules = self.rules();
        let begins_on = match loaded.record.version {
            Some(version) => Ok(version),
            None => self.begins_on(&loaded.record),
        };
        let limits = self.limits_of_turn(&rules);
        let turn = Turn { executor: &executor, limits: &limits, now: now(), begins_on, active_version };
        let before = loaded.record.clone();
        let TurnResult { commit, live, mut logs, refused, put_back } = turn.run(loaded.record, loaded.memory, deliveries);
        if let Some(why) = put_back {
            if let Some(error) = loaded.unread.get() {
                return self.turn_failed(id, take(envelopes), error.clone());
            }
            return self.put_back(id, executor, take(envelopes), why);
        }
        drop(executor);
        if was_cut_off() {
            return self.give_up_turn(id, take(envelopes));
        }
        if let Some(why) = refused.rewind {
            let refusal = HubError::NotRewindable { id: id.clone(), why };
            refuse(envelopes, is_rewind, &refusal);
        }
        if let Some(why) = refused.migration {
            let refusal = HubError::NotMigratable { id: id.clone(), why };
            refuse(envelopes, is_migration, &refusal);
        }
        match commit {
            None => {
                take(envelopes).into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.run_queue.end_turn(id, live.map(|live| Hot { record: before, live }), false);
            }
            Some(mut commit) => {
                if !waits(commit.record.status) {
                    self.crowds.forget(&commit.record.id);
                }
                // A turn that has left everything where it was would do so again.
                let again = more && !commit.consumed.is_empty();
                if let Err(error) = self.bound_sent(&rules, &mut commit, &mut logs) {
                    return self.turn_failed(id, take(envelopes), error);
                }
                commit.replaces = loaded.replaces;
                commit.record.usage = paid(envelopes, commit.record.usage);
                commit.announced = self.announcement(before.status, &commit);
                let hot = live.map(|live| Hot { record: commit.record.clone(), live });
                let settled = Settled::new(Before::from(&before), take(envelopes), hot, logs);
                self.save(commit, Settled { _choice: Some(choice), again, ..settled });
            }
        }
    }

    /// The version that an execution begins on. A child that asks for none begins on that of its parent, if that is still
    /// there and holds it; what was asked for counts for the first execution only.
    fn begins_on(&self, record: &InstanceRecord) -> Result<VersionId, NoVersion> {
        let is_first = record.turns.start == 0;
        let parent = record.parent.as_ref().filter(|_| is_first).and_then(|parent| {
            let record = self.store.instance(&parent.instance).ok().flatten()?;
            record.version.filter(|_| record.execution == parent.execution)
        });
        let asked = if is_first { record.version_label.as_str() } else { "" };
        self.catalog.begins_on(&Beginning { name: &record.name, id: &record.id, asked, parent })
    }

    /// What the operator is told of a turn.
    fn announcement(&self, before: RuntimeStatus, commit: &Commit) -> Option<Announcement> {
        self.webhook.as_ref()?.announcement(before, &commit.record, reason_of(commit))
    }

    /// Hands a commit to the store; what follows from it happens when it is durable.
    pub(super) fn save(self: &Arc<Self>, commit: Commit, mut settled: Settled) {
        settled.record = Some(commit.record.clone());
        settled.vanishes = commit.vanishes;
        settled.announced = commit.announced.is_some();
        settled.activities = self.activities_of(&commit);
        settled.activities_cleared.clone_from(&commit.activities_cleared);
        settled.timers.clone_from(&commit.timers_set);
        settled.bytes = payload_bytes(&commit);
        self.run_queue.saving(settled.bytes);
        // Not the hub: the store's writer must never be the last to hold it.
        let run_queue = self.run_queue.clone();
        self.store.commit(
            commit,
            Box::new(move |result| {
                settled.result = Some(result);
                run_queue.settled(Box::new(settled));
            }),
        );
    }

    /// The activities that a commit schedules. One of an earlier turn comes from a rewind: if it still runs, it is left to.
    fn activities_of(&self, commit: &Commit) -> Vec<PendingActivity> {
        let record = &commit.record;
        let this_turn = commit.history.as_ref().map(|chunk| chunk.turn);
        let runs = |activity: &ScheduledActivity| {
            Some(activity.turn) != this_turn && self.activities.has(record.row, record.execution, activity.seq)
        };
        let set = commit.activities_set.iter().filter(|activity| !runs(activity)).map(|activity| PendingActivity {
            row: record.row,
            seq: activity.seq,
            instance: record.id.clone(),
            execution: record.execution,
            version: record.version,
            name: activity.name.clone(),
            input: activity.input.clone(),
            attempt: activity.attempt,
        });
        set.collect()
    }

    /// Gathers what the turn needs. Messages that cannot be taken in are answered and removed from `envelopes`.
    /// None: nothing is left to do.
    fn load(
        &self,
        id: &InstanceId,
        envelopes: &mut Vec<Envelope>,
        stored: bool,
        hot: Option<Hot>,
    ) -> Result<Option<Loaded>, NotLoaded> {
        let waited_for = self.waited_for(id);
        // Another version begins anew; and so does what was put in the place of the instance, which has another row.
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
                (Some(known), true) if !known.status.is_terminal() || envelope.ended == Ended::Stays => {
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
                // Whether it can be rewound is for the turn to say.
                (Some(_), false) if is_rewind(message) => envelopes.push(envelope),
                (Some(ended), false) if ended.status.is_terminal() && envelope.acknowledge.is_some() => {
                    let (id, status) = (id.clone(), ended.status);
                    envelope.answer(Err(HubError::Ended { id, status }));
                }
                (Some(_), false) => envelopes.push(envelope),
            }
        }
        let Some(record) = record else { return Ok(None) };
        // Stored messages of an instance that was purged, or that is replaced now, go with its rows.
        envelopes.retain(|envelope| envelope.delivery.stored.is_none_or(|key| key.row == record.row));
        let stored = stored && replaces.is_none();
        if envelopes.is_empty() && !stored {
            return Ok(None);
        }
        self.bound_inbox(&record, envelopes)?;
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

    /// The memory of an instance for a turn that takes this in, and where it is counted what was loaded.
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
                let room = self.room_for_turn(bytes, waited_for)?;
                let (store, record, unread) = (self.store.clone(), record.clone(), unread.clone());
                Ok((Memory::Cold(Box::new(StoredHistory { store, record, unread })), room))
            }
            hot => {
                let room = self.room_for_turn(inbox.bytes, waited_for)?;
                Ok((hot.unwrap_or_else(|| Memory::cold(Vec::new())), room))
            }
        }
    }

    /// The messages of the turn. Those that wait in the store come first: an instance keeps some while it is suspended,
    /// until the time of its start has come, and when it has failed, in case it is rewound; and what finds no room in memory
    /// (`stored`) is left there. Those are read only if they can be taken in now.
    ///
    /// A turn that reads the store may meet a message there that is still on its way to the mailbox, and deal with it. So
    /// where that would be noticed (a result that comes twice is not) the store says whether a stored message is still due.
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
        self.crowds.recount(&record.id);
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

    /// Whether a message of this kind lies in an inbox.
    fn find_waiting(&self, row: Row, wanted: fn(&Event) -> bool) -> Result<bool, HubError> {
        Ok(self.find_in_inbox(row, |event| wanted(&event).then_some(()))?.is_some())
    }

    /// Looks through an inbox, of which it holds one page at a time.
    pub(super) fn find_in_inbox<T>(&self, row: Row, wanted: impl Fn(Event) -> Option<T>) -> Result<Option<T>, HubError> {
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

    /// Room for what a turn loads, of what it has waited for or else free.
    pub(super) fn room_for_turn(&self, bytes: usize, waited_for: Option<Reservation>) -> Result<Option<Reservation>, NotLoaded> {
        if bytes <= LITTLE_BYTES {
            return Ok(None);
        }
        let mut room = waited_for.unwrap_or_else(|| self.memory.empty());
        let more = bytes.saturating_sub(room.bytes());
        room.try_grow(more).map_err(|_| NotLoaded::NoRoom(bytes))?;
        Ok(Some(room))
    }

    /// What a turn has waited for.
    pub(super) fn waited_for(&self, id: &InstanceId) -> Option<Reservation> {
        self.rooms_for_turns.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Nothing has changed. Where there is no room in memory the turn waits for it; if the store could not be read, clients are
    /// told and the rest is tried again.
    pub(super) fn turn_not_loaded(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, why: NotLoaded) {
        let bytes = match why {
            NotLoaded::Failed(error) => return self.turn_failed(id, envelopes, error),
            NotLoaded::NoRoom(bytes) => bytes,
        };
        self.run_queue.put_back(id, envelopes);
        let (hub, id) = (self.clone(), id.clone());
        self.tokio.spawn(async move {
            let room = tokio::select! {
                biased;
                () = hub.closed() => None,
                Ok(room) = hub.memory.reserve(bytes) => Some(room),
                room = hub.memory.reserve_beyond() => Some(room),
            };
            if let Some(room) = room {
                hub.rooms_for_turns.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), room);
            }
            // Also without messages: what waits may lie in the store.
            hub.run_queue.end_turn(&id, None, true);
        });
    }

    /// The hub closes, and the turn was stopped: nothing has changed. Clients are told; what is stored, and what activities and
    /// timers have sent, comes again when the hub is opened.
    fn give_up_turn(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>) {
        envelopes.into_iter().for_each(|envelope| envelope.answer(Err(HubError::ShuttingDown)));
        self.run_queue.end_turn(id, None, false);
    }

    /// The store could not be read: nothing has changed. Clients are told, the rest is tried again.
    pub(super) fn turn_failed(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, error: HubError) {
        tracing::error!(instance = %id, %error, "the turn could not be loaded");
        self.try_again_later(id, envelopes, &error);
    }
}

/// A receipt, with what the messages that the turn has taken in have cost.
fn paid(envelopes: &[Envelope], receipt: Usage) -> Usage {
    envelopes.iter().fold(receipt, |receipt, envelope| receipt.plus(envelope.cost()))
}

/// What a commit has to write, about.
fn payload_bytes(commit: &Commit) -> usize {
    let events = commit.history.iter().flat_map(|chunk| &chunk.events).map(|entry| &entry.event);
    let messages = commit.sent.iter().chain(&commit.kept).map(|message| &message.event);
    events.chain(messages).map(Event::payload_bytes).sum()
}

fn is_rewind(message: &Message) -> bool {
    is_rewind_event(&message.event)
}

fn is_rewind_event(event: &Event) -> bool {
    matches!(event, Event::ExecutionRewound { .. })
}

fn is_start(event: &Event) -> bool {
    matches!(event, Event::ExecutionStarted { .. })
}

fn starts_after(event: &Event, now: Timestamp) -> bool {
    matches!(event, Event::ExecutionStarted { start_at: Some(at), .. } if *at > now)
}

fn is_migration(message: &Message) -> bool {
    matches!(message.event, Event::ExecutionMigrated { .. })
}

/// Answers the clients that wanted what cannot be.
fn refuse(envelopes: &mut Vec<Envelope>, wanted: fn(&Message) -> bool, why: &HubError) {
    let (refused, others): (Vec<_>, Vec<_>) =
        take(envelopes).into_iter().partition(|envelope| wanted(&envelope.delivery.message));
    *envelopes = others;
    refused.into_iter().for_each(|envelope| envelope.answer(Err(why.clone())));
}

/// Why a turn left its instance in the status in which it is, if somebody said why.
fn reason_of(commit: &Commit) -> Option<String> {
    if let Some(halted) = &commit.record.halted {
        return Some(halted.clone());
    }
    let events = commit.history.iter().flat_map(|chunk| &chunk.events).rev();
    events.into_iter().find_map(|e| match &e.event {
        Event::ExecutionCompleted { outcome: Outcome::Failed(failure) } => Some(failure.message.clone()),
        Event::ExecutionTerminated { reason, .. }
        | Event::ExecutionSuspended { reason }
        | Event::ExecutionResumed { reason }
        | Event::ExecutionRewound { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}
