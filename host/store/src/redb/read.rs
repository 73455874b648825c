//! Reading: each function is one read transaction's view of the hub.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};

use ::redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use dacapo_core::commit::Timer;
use dacapo_core::{
    Announcement, EntityState, Event, HistoryChunk, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row, Seq,
    Timestamp, VersionId,
};

use super::fault::Fault;
use super::tables::{ACTIVE, ACTIVITIES, APPS, HISTORY, IDS, INBOX, OUTBOX, RECORDS, STATES, TIMERS, ZONES};
use crate::{AppVersion, DueTimer, PendingActivity, Snapshot, StoreError, StoreStats, TimerKey, codec};

pub(super) type Result<T> = std::result::Result<T, Fault>;

pub(super) fn corrupt<T>(what: String) -> Result<T> {
    Err(StoreError::Corrupt(what).into())
}

pub(super) fn instance(txn: &ReadTransaction, id: &InstanceId) -> Result<Option<InstanceRecord>> {
    let row = txn.open_table(IDS)?.get(id.as_str())?.map(|row| Row(row.value()));
    row.map(|row| record(txn, row)).transpose()
}

/// The record of a row that something refers to.
fn record(txn: &ReadTransaction, row: Row) -> Result<InstanceRecord> {
    match txn.open_table(RECORDS)?.get(row.0)? {
        Some(bytes) => Ok(codec::decode_record(row, bytes.value())?),
        None => corrupt(format!("the instance in row {} is missing", row.0)),
    }
}

pub(super) fn history(txn: &ReadTransaction, row: Row, turns: Range<u32>) -> Result<Vec<HistoryEvent>> {
    let mut events = Vec::new();
    if turns.is_empty() {
        return Ok(events);
    }
    let mut before = None;
    for chunk in txn.open_table(HISTORY)?.range((row.0, turns.start)..(row.0, turns.end))? {
        let (key, bytes) = chunk?;
        let turn = key.value().1;
        if before.is_some_and(|before| turn != before + 1) {
            return corrupt(format!("the history in row {} has a gap before turn {turn}", row.0));
        }
        before = Some(turn);
        codec::decode_history(bytes.value(), &mut events)?;
    }
    Ok(events)
}

pub(super) fn inbox(txn: &ReadTransaction, row: Row) -> Result<Vec<(MessageKey, Message)>> {
    messages(txn, Bound::Included((row.0, 0)), Bound::Included((row.0, u64::MAX)), usize::MAX)
}

pub(super) fn undelivered(txn: &ReadTransaction, after: Option<MessageKey>, limit: usize) -> Result<Vec<(MessageKey, Message)>> {
    let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded((key.row.0, key.number)));
    messages(txn, from, Bound::Unbounded, limit)
}

fn messages(
    txn: &ReadTransaction,
    from: Bound<(u64, u64)>,
    to: Bound<(u64, u64)>,
    limit: usize,
) -> Result<Vec<(MessageKey, Message)>> {
    let mut messages = Vec::new();
    for entry in txn.open_table(INBOX)?.range((from, to))?.take(limit) {
        let (key, bytes) = entry?;
        let (row, number) = key.value();
        messages.push((MessageKey { row: Row(row), number }, codec::decode_message(bytes.value())?));
    }
    Ok(messages)
}

pub(super) fn timers(txn: &ReadTransaction, after: Option<TimerKey>, until: Timestamp, limit: usize) -> Result<Vec<DueTimer>> {
    if after.is_some_and(|after| after.fire_at > until) {
        return Ok(Vec::new());
    }
    let range = (after_timer(after), Bound::Included((until.0, u64::MAX, u32::MAX)));
    let mut due = Vec::new();
    for entry in txn.open_table(TIMERS)?.range(range)?.take(limit) {
        let (key, bytes) = entry?;
        let (fire_at, row, seq) = key.value();
        let (instance, execution) = codec::decode_timer(bytes.value())?;
        due.push(DueTimer { key: TimerKey { fire_at: Timestamp(fire_at), row: Row(row), seq: Seq(seq) }, instance, execution });
    }
    Ok(due)
}

pub(super) fn next_timer(txn: &ReadTransaction, after: Option<TimerKey>) -> Result<Option<Timestamp>> {
    let first = txn.open_table(TIMERS)?.range((after_timer(after), Bound::Unbounded))?.next().transpose()?;
    Ok(first.map(|(key, _)| Timestamp(key.value().0)))
}

fn after_timer(after: Option<TimerKey>) -> Bound<(i64, u64, u32)> {
    after.map_or(Bound::Unbounded, |key| Bound::Excluded((key.fire_at.0, key.row.0, key.seq.0)))
}

pub(super) fn activities(txn: &ReadTransaction, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<PendingActivity>> {
    let from = after.map_or(Bound::Unbounded, |(row, seq)| Bound::Excluded((row.0, seq.0)));
    let mut pending = Vec::new();
    let mut turn: Option<ScheduledTurn> = None;
    for entry in txn.open_table(ACTIVITIES)?.range((from, Bound::Unbounded))?.take(limit) {
        let (key, number) = entry?;
        let (row, seq) = (Row(key.value().0), Seq(key.value().1));
        let scheduled = match turn.take() {
            Some(turn) if turn.record.row == row && turn.number == number.value() => turn,
            _ => ScheduledTurn::read(txn, row, number.value())?,
        };
        pending.push(scheduled.activity(seq)?);
        turn = Some(scheduled);
    }
    Ok(pending)
}

/// A turn that scheduled activities. Read once for all of them: a fan-out schedules thousands in one turn.
struct ScheduledTurn {
    record: InstanceRecord,
    number: u32,
    /// Its actions, by seq.
    scheduled: Vec<(Seq, HistoryEvent)>,
}

impl ScheduledTurn {
    fn read(txn: &ReadTransaction, row: Row, number: u32) -> Result<Self> {
        let events = history(txn, row, number..number.saturating_add(1))?;
        let mut scheduled: Vec<(Seq, HistoryEvent)> = events
            .into_iter()
            .filter_map(|event| match event.event {
                Event::TaskScheduled { seq, .. } => Some((seq, event)),
                _ => None,
            })
            .collect();
        scheduled.sort_by_key(|(seq, _)| *seq);
        Ok(Self { record: record(txn, row)?, number, scheduled })
    }

    fn activity(&self, seq: Seq) -> Result<PendingActivity> {
        let position = self.scheduled.binary_search_by_key(&seq, |(seq, _)| *seq);
        let event = position.ok().map(|position| &self.scheduled[position].1.event);
        let Some(Event::TaskScheduled { name, input, attempt, .. }) = event else {
            return corrupt(format!("turn {} of '{}' does not schedule the activity {seq}", self.number, self.record.id));
        };
        Ok(PendingActivity {
            row: self.record.row,
            seq,
            instance: self.record.id.clone(),
            execution: self.record.execution,
            version: self.record.version,
            name: name.clone(),
            input: input.clone(),
            attempt: *attempt,
        })
    }
}

pub(super) fn entity(txn: &ReadTransaction, row: Row) -> Result<Option<EntityState>> {
    let state = txn.open_table(STATES)?.get(row.0)?;
    Ok(state.map(|bytes| codec::decode_entity(bytes.value())).transpose()?)
}

pub(super) fn announcements(txn: &ReadTransaction, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Announcement)>> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut announcements = Vec::new();
    for entry in txn.open_table(OUTBOX)?.range((from, Bound::Unbounded))?.take(limit) {
        let (number, bytes) = entry?;
        announcements.push((number.value(), codec::decode_announcement(bytes.value())?));
    }
    Ok(announcements)
}

pub(super) fn apps(txn: &ReadTransaction) -> Result<Vec<(AppVersion, bool)>> {
    let active = txn.open_table(ACTIVE)?;
    let mut versions = Vec::new();
    for entry in txn.open_table(APPS)?.range::<(&str, &[u8; 32])>(..)? {
        let (key, bytes) = entry?;
        let (app, digest) = key.value();
        let is_active = active.get(app)?.is_some_and(|active| active.value() == digest);
        versions.push((codec::decode_app(app, VersionId(*digest), bytes.value())?, is_active));
    }
    versions.sort_by(|(a, _), (b, _)| (&a.app, a.deployed_at, a.version).cmp(&(&b.app, b.deployed_at, b.version)));
    Ok(versions)
}

pub(super) fn snapshot(txn: &ReadTransaction, id: &InstanceId) -> Result<Option<Snapshot>> {
    let Some(record) = instance(txn, id)? else { return Ok(None) };
    let row = record.row;
    let mut history = Vec::new();
    for chunk in txn.open_table(HISTORY)?.range((row.0, record.turns.start)..(row.0, record.turns.end))? {
        let (key, bytes) = chunk?;
        let mut events = Vec::new();
        codec::decode_history(bytes.value(), &mut events)?;
        history.push(HistoryChunk { turn: key.value().1, events });
    }
    let inbox = messages_of(&txn.open_table(INBOX)?, row)?;
    let events: Vec<HistoryEvent> = history.iter().flat_map(|chunk| chunk.events.iter().cloned()).collect();
    let timers = timers_of(&txn.open_table(TIMERS)?, row, &events, &inbox)?;
    let mut activities = Vec::new();
    for entry in txn.open_table(ACTIVITIES)?.range((row.0, 0)..=(row.0, u32::MAX))? {
        let (key, turn) = entry?;
        activities.push((Seq(key.value().1), turn.value()));
    }
    let entity = entity(txn, row)?;
    Ok(Some(Snapshot { record, history, inbox, timers, activities, entity }))
}

/// The timers of one instance that are set. They are not ordered by instance, so they are looked for where what is known of
/// the instance says that one may be.
pub(super) fn timers_of(
    timers: &impl ReadableTable<(i64, u64, u32), &'static [u8]>,
    row: Row,
    history: &[HistoryEvent],
    inbox: &[Message],
) -> Result<Vec<Timer>> {
    let created = history.iter().filter_map(|entry| match entry.event {
        Event::TimerCreated { fire_at, .. } => Some(fire_at),
        _ => None,
    });
    let awaited = inbox.iter().filter_map(|message| match message.event {
        Event::ExecutionStarted { start_at, .. } => start_at,
        Event::OperationRequested { deliver_at, .. } => deliver_at,
        _ => None,
    });
    let times: BTreeSet<Timestamp> = created.chain(awaited).collect();
    let mut set = Vec::new();
    for time in times {
        for entry in timers.range((time.0, row.0, 0)..=(time.0, row.0, u32::MAX))? {
            set.push(Timer { fire_at: time, seq: Seq(entry?.0.value().2) });
        }
    }
    Ok(set)
}

pub(super) fn events_of(history: &impl ReadableTable<(u64, u32), &'static [u8]>, row: Row) -> Result<Vec<HistoryEvent>> {
    let mut events = Vec::new();
    for chunk in history.range((row.0, 0)..=(row.0, u32::MAX))? {
        codec::decode_history(chunk?.1.value(), &mut events)?;
    }
    Ok(events)
}

pub(super) fn messages_of(inbox: &impl ReadableTable<(u64, u64), &'static [u8]>, row: Row) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for entry in inbox.range((row.0, 0)..=(row.0, u64::MAX))? {
        messages.push(codec::decode_message(entry?.1.value())?);
    }
    Ok(messages)
}

pub(super) fn stats(txn: &ReadTransaction, bytes: u64, transactions: u64) -> Result<StoreStats> {
    Ok(StoreStats {
        bytes,
        transactions,
        instances: txn.open_table(RECORDS)?.len()?,
        turns: txn.open_table(HISTORY)?.len()?,
        messages: txn.open_table(INBOX)?.len()?,
        timers: txn.open_table(TIMERS)?.len()?,
        activities: txn.open_table(ACTIVITIES)?.len()?,
        entities: txn.open_table(STATES)?.len()?,
        announcements: txn.open_table(OUTBOX)?.len()?,
    })
}

/// How many instances have not ended.
pub(super) fn alive(txn: &ReadTransaction) -> Result<i64> {
    let mut alive = 0;
    for entry in txn.open_table(ZONES)?.iter()? {
        alive += codec::decode_zone(entry?.1.value())?.alive() as i64;
    }
    Ok(alive)
}
