//! Reading: each function is one read transaction's view of the hub.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};

use ::redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use dacapo_core::commit::Timer;
use dacapo_core::{
    Announcement, EntityState, Event, HistoryChunk, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Once, Row,
    Seq, Timestamp, VersionId,
};

use super::fault::Fault;
use super::tables::{ACTIVE, ACTIVITIES, APPS, HISTORY, IDS, INBOX, ONCE, OUTBOX, RECORDS, STATES, TIMERS, ZONES};
use crate::{
    AppVersion, DueTimer, EventPlace, HistoryPage, InboxPage, InboxSize, PendingActivity, Snapshot, StoreError, StoreStats,
    TimerKey, codec,
};

pub(super) type Result<T> = std::result::Result<T, Fault>;

pub(super) fn corrupt<T>(what: String) -> Result<T> {
    Err(StoreError::Corrupt(what).into())
}

fn gap<T>(row: Row, turn: u32) -> Result<T> {
    corrupt(format!("the history in row {} has a gap before turn {turn}", row.0))
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
            return gap(row, turn);
        }
        before = Some(turn);
        codec::decode_history(bytes.value(), &mut events)?;
    }
    Ok(events)
}

pub(super) fn history_page(
    txn: &ReadTransaction,
    row: Row,
    from: EventPlace,
    end: u32,
    bytes: usize,
) -> Result<Option<HistoryPage>> {
    let (mut page, mut taken, mut place) = (HistoryPage::default(), 0, from);
    if from.turn >= end {
        return Ok(Some(page));
    }
    for chunk in txn.open_table(HISTORY)?.range((row.0, from.turn)..(row.0, end))? {
        let (key, stored) = chunk?;
        let turn = key.value().1;
        if turn != place.turn {
            return if page.events.is_empty() { Ok(None) } else { gap(row, turn) };
        }
        if taken >= bytes && taken > 0 {
            page.next = Some(place);
            return Ok(Some(page));
        }
        let most = bytes.saturating_sub(taken);
        let next = codec::decode_history_part(stored.value(), place.offset, most, |offset, event| {
            page.events.push((EventPlace { turn, offset }, event));
        })?;
        if let Some(offset) = next {
            page.next = Some(EventPlace { turn, offset });
            return Ok(Some(page));
        }
        taken += stored.value().len();
        place = EventPlace::of_turn(turn + 1);
    }
    Ok((place.turn == end).then_some(page))
}

pub(super) fn events_at(txn: &ReadTransaction, row: Row, places: &[EventPlace]) -> Result<Option<Vec<HistoryEvent>>> {
    let table = txn.open_table(HISTORY)?;
    let mut events = Vec::with_capacity(places.len());
    for EventPlace { turn, offset } in places {
        let Some(stored) = table.get((row.0, *turn))? else { return Ok(None) };
        codec::decode_history_part(stored.value(), *offset, 0, |_, event| events.push(event))?;
    }
    Ok((events.len() == places.len()).then_some(events))
}

/// The bytes as they are stored, which is about what they take in memory.
pub(super) fn history_bytes(txn: &ReadTransaction, row: Row, turns: Range<u32>, most: usize) -> Result<usize> {
    let mut total = 0;
    if turns.is_empty() {
        return Ok(total);
    }
    for chunk in txn.open_table(HISTORY)?.range((row.0, turns.start)..(row.0, turns.end))? {
        total += chunk?.1.value().len();
        if total >= most {
            break;
        }
    }
    Ok(total)
}

pub(super) fn inbox_page(txn: &ReadTransaction, row: Row, after: Option<MessageKey>, bytes: usize) -> Result<InboxPage> {
    let from = after.map_or(Bound::Included((row.0, 0)), |key| Bound::Excluded((row.0, key.number)));
    let (mut page, mut taken) = (InboxPage::default(), 0);
    for entry in txn.open_table(INBOX)?.range((from, Bound::Included((row.0, u64::MAX))))? {
        let (key, stored) = entry?;
        taken += stored.value().len();
        if taken > bytes && !page.messages.is_empty() {
            page.more = true;
            break;
        }
        page.messages.push((MessageKey { row, number: key.value().1 }, codec::decode_message(stored.value())?));
    }
    Ok(page)
}

pub(super) fn inbox_size(txn: &ReadTransaction, row: Row) -> Result<InboxSize> {
    let mut size = InboxSize::default();
    for entry in txn.open_table(INBOX)?.range((row.0, 0)..=(row.0, u64::MAX))? {
        size.messages += 1;
        size.bytes += entry?.1.value().len();
    }
    Ok(size)
}

pub(super) fn unread(txn: &ReadTransaction, after: Option<Row>, limit: usize) -> Result<Vec<(Row, InstanceId)>> {
    let inbox = txn.open_table(INBOX)?;
    let (mut instances, mut from) = (Vec::new(), after.map_or(Some(0), |row| row.0.checked_add(1)));
    while instances.len() < limit
        && let Some(row) = from
        && let Some(first) = inbox.range((row, 0)..)?.next().transpose()?
    {
        let row = Row(first.0.value().0);
        instances.push((row, record(txn, row)?.id));
        from = row.0.checked_add(1);
    }
    Ok(instances)
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

pub(super) fn activity_keys(txn: &ReadTransaction, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<(Row, Seq)>> {
    let from = after.map_or(Bound::Unbounded, |(row, seq)| Bound::Excluded((row.0, seq.0)));
    let entries = txn.open_table(ACTIVITIES)?.range((from, Bound::Unbounded))?.take(limit);
    entries.map(|entry| entry.map(|(key, _)| (Row(key.value().0), Seq(key.value().1))).map_err(Fault::from)).collect()
}

/// At most `limit` activities, and after the first one only while their inputs have no more than `bytes` in all.
pub(super) fn activities(
    txn: &ReadTransaction,
    after: Option<(Row, Seq)>,
    limit: usize,
    bytes: usize,
) -> Result<Vec<PendingActivity>> {
    let from = after.map_or(Bound::Unbounded, |(row, seq)| Bound::Excluded((row.0, seq.0)));
    let (mut pending, mut taken) = (Vec::new(), 0);
    let mut turn: Option<ScheduledTurn> = None;
    for entry in txn.open_table(ACTIVITIES)?.range((from, Bound::Unbounded))?.take(limit) {
        let (key, number) = entry?;
        let (row, seq) = (Row(key.value().0), Seq(key.value().1));
        let scheduled = match turn.take() {
            Some(turn) if turn.record.row == row && turn.number == number.value() => turn,
            _ => ScheduledTurn::read(txn, row, number.value())?,
        };
        let activity = scheduled.activity(seq)?;
        taken += activity.input.len();
        if taken > bytes && !pending.is_empty() {
            break;
        }
        pending.push(activity);
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

pub(super) fn has_taken(txn: &ReadTransaction, once: &Once) -> Result<bool> {
    Ok(txn.open_table(ONCE)?.get((once.caller.0, once.call.0, once.id.as_u128()))?.is_some())
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

pub(super) fn snapshot(txn: &ReadTransaction, id: &InstanceId, with_history: bool) -> Result<Option<Snapshot>> {
    let Some(record) = instance(txn, id)? else { return Ok(None) };
    let row = record.row;
    let (mut history, mut times) = (Vec::new(), BTreeSet::new());
    for chunk in txn.open_table(HISTORY)?.range((row.0, record.turns.start)..(row.0, record.turns.end))? {
        let (key, bytes) = chunk?;
        let mut events = Vec::new();
        codec::decode_history(bytes.value(), &mut events)?;
        times.extend(events.iter().filter_map(timer_of));
        if with_history {
            history.push(HistoryChunk { turn: key.value().1, events });
        }
    }
    let inbox = messages_of(&txn.open_table(INBOX)?, row)?;
    let timers = timers_at(&txn.open_table(TIMERS)?, row, times, &inbox)?;
    let mut activities = Vec::new();
    for entry in txn.open_table(ACTIVITIES)?.range((row.0, 0)..=(row.0, u32::MAX))? {
        let (key, turn) = entry?;
        activities.push((Seq(key.value().1), turn.value()));
    }
    let entity = entity(txn, row)?;
    Ok(Some(Snapshot { record, history, inbox, timers, activities, entity }))
}

/// When a timer is due, if this event has set one.
fn timer_of(entry: &HistoryEvent) -> Option<Timestamp> {
    match entry.event {
        Event::TimerCreated { fire_at, .. } => Some(fire_at),
        _ => None,
    }
}

/// The timers of one instance that are set.
pub(super) fn timers_of(
    timers: &impl ReadableTable<(i64, u64, u32), &'static [u8]>,
    row: Row,
    history: &[HistoryEvent],
    inbox: &[Message],
) -> Result<Vec<Timer>> {
    timers_at(timers, row, history.iter().filter_map(timer_of).collect(), inbox)
}

/// The same, with the due times of the timers in its history. Timers are not ordered by instance, so they are looked up at each
/// time at which the history or the inbox says that one may be due.
fn timers_at(
    timers: &impl ReadableTable<(i64, u64, u32), &'static [u8]>,
    row: Row,
    mut times: BTreeSet<Timestamp>,
    inbox: &[Message],
) -> Result<Vec<Timer>> {
    let awaited = inbox.iter().filter_map(|message| match message.event {
        Event::ExecutionStarted { start_at, .. } => start_at,
        Event::OperationRequested { deliver_at, .. } => deliver_at,
        _ => None,
    });
    times.extend(awaited);
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
