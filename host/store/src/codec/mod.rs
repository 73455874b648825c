//! The format of stored bytes, which no other module knows. Hand-written, because it must be readable for ever.
//!
//! Every value begins with a byte for its format, now always [`FORMAT`], followed by fields in a fixed order. A later release
//! may
//! - add fields at the end of a value, of an event, or of another block: this release skips them;
//! - add a kind of event, or change anything else: this release then fails with [`StoreError::NewerFormat`].
//!
//! Older formats are converted here, on reading, and nowhere else. No input makes reading panic or allocate more than the
//! input's own size. `tests/golden` keeps what every release wrote.

use std::ops::Range;

use dacapo_core::versioning::{self, AppVersioning};
use dacapo_core::{
    Announcement, EntityState, EventDelivery, ExecutionId, FunctionKind, HistoryEvent, InstanceId, InstanceRecord, Message, Row,
    RuntimeStatus, Timestamp, Usage, VersionId,
};

use crate::{AppVersion, StoreError};

mod event;
mod wire;
mod zone;

use event::{
    read_event, read_execution, read_instance, read_name, read_parent, read_payload, read_string, read_time, write_event,
    write_execution, write_parent, write_time,
};
use wire::{Bad, Reader, Writer};
pub use zone::{Zone, decode_zone, encode_zone};

/// The format that this release writes.
pub const FORMAT: u8 = 1;

type Result<T> = std::result::Result<T, StoreError>;

/// What a commit is checked against: the first fields of a record, so that the rest need not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitGuard {
    pub status: RuntimeStatus,
    pub turns: Range<u32>,
    pub execution: ExecutionId,
    pub id: InstanceId,
}

/// The fields that decide whether a listing shows a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingFields {
    pub status: RuntimeStatus,
    pub created: Timestamp,
}

/// The counters of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// The number of transactions. Tells whether a transaction whose outcome was uncertain is stored.
    pub transactions: u64,
    /// Above every row that was ever stored.
    pub next_row: u64,
    /// Above the number of every message that was ever stored.
    pub next_message: u64,
    /// Above the number of every announcement that is stored. 0: last written by the first release, which knew neither
    /// announcements nor zones.
    pub next_announcement: u64,
}

/// A record without its row, which is its key.
pub fn encode_record(record: &InstanceRecord) -> Vec<u8> {
    let mut w = value(160);
    w.byte(record.status as u8);
    w.number(record.turns.start.into());
    w.number(record.turns.end.into());
    write_execution(&mut w, record.execution);
    w.text(record.id.as_str());
    w.text(record.name.as_str());
    w.option(record.version, |w, version| w.raw(&version.0));
    w.text(&record.version_label);
    w.option(record.parent.as_ref(), write_parent);
    w.option(record.custom_status.as_deref(), Writer::text);
    w.signed(record.created.0);
    w.signed(record.updated.0.wrapping_sub(record.created.0));
    w.option(record.halted.as_deref(), Writer::text);
    let Usage { turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out } = record.usage;
    w.block(|w| {
        for number in [turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out] {
            w.number(number);
        }
    });
    w.flag(record.event_delivery == EventDelivery::FirstAsked);
    w.option(Some(record.first_execution).filter(|first| *first != record.execution), write_execution);
    w.finish()
}

pub fn decode_record(row: Row, bytes: &[u8]) -> Result<InstanceRecord> {
    decode("an instance", bytes, |r| {
        let CommitGuard { status, turns, execution, id } = read_commit_guard(r)?;
        let name = read_name(r)?;
        let version = r.option(|r| r.raw().map(VersionId))?;
        let version_label = read_string(r)?;
        let parent = r.option(read_parent)?;
        let custom_status = r.option(read_payload)?;
        let created = read_time(r)?;
        let updated = Timestamp(created.0.wrapping_add(r.signed()?));
        let halted = r.option(read_string)?;
        let usage = r.added(read_usage)?.unwrap_or_default();
        let (asked, first_execution) = r.added(|r| Ok((r.flag()?, r.option(read_execution)?)))?.unwrap_or_default();
        // Earlier releases knew this rule only.
        let event_delivery = if asked { EventDelivery::FirstAsked } else { EventDelivery::FirstMade };
        // Not known of an instance that continued as new under an earlier release.
        let first_execution = first_execution.unwrap_or(execution);
        Ok(InstanceRecord {
            id,
            row,
            name,
            execution,
            first_execution,
            version,
            version_label,
            parent,
            status,
            custom_status,
            created,
            updated,
            turns,
            halted,
            usage,
            event_delivery,
        })
    })
}

fn read_usage(r: &mut Reader<'_>) -> wire::Result<Usage> {
    let mut r = r.block()?;
    Ok(Usage {
        turns: r.number()?,
        replayed_events: r.number()?,
        fuel: r.number()?,
        operations: r.number()?,
        activities: r.number()?,
        activity_micros: r.number()?,
        bytes_in: r.number()?,
        bytes_out: r.number()?,
    })
}

/// Reads only the beginning of a record.
pub fn decode_commit_guard(bytes: &[u8]) -> Result<CommitGuard> {
    decode("an instance", bytes, read_commit_guard)
}

fn read_commit_guard(r: &mut Reader<'_>) -> wire::Result<CommitGuard> {
    Ok(CommitGuard {
        status: read_status(r)?,
        turns: r.number32()?..r.number32()?,
        execution: read_execution(r)?,
        id: read_instance(r)?,
    })
}

fn read_status(r: &mut Reader<'_>) -> wire::Result<RuntimeStatus> {
    status_of(r.byte()?).ok_or(Bad::Malformed("a status is unknown"))
}

fn status_of(number: u8) -> Option<RuntimeStatus> {
    RuntimeStatus::ALL.get(usize::from(number)).copied().filter(|status| *status as u8 == number)
}

/// Reads only the fields that a listing needs from a record.
pub fn decode_listing_fields(bytes: &[u8]) -> Result<ListingFields> {
    decode("an instance", bytes, |r| {
        let status = read_status(r)?;
        // The turns, the execution, the id and the name; the version and its label; the parent and the custom status.
        r.number32()?;
        r.number32()?;
        r.raw::<16>()?;
        r.skip()?;
        r.skip()?;
        r.option(Reader::raw::<32>)?;
        r.skip()?;
        r.option(Reader::skip)?;
        r.option(Reader::skip)?;
        Ok(ListingFields { status, created: read_time(r)? })
    })
}

pub fn encode_entity(entity: &EntityState) -> Vec<u8> {
    let mut w = value(32 + entity.state.as_ref().map_or(0, |state| state.len()));
    w.option(entity.state.as_deref(), Writer::text);
    w.option(entity.lock.as_ref(), write_parent);
    w.number(entity.operations);
    w.flag(entity.waiting);
    w.finish()
}

pub fn decode_entity(bytes: &[u8]) -> Result<EntityState> {
    decode("an entity", bytes, |r| {
        Ok(EntityState {
            state: r.option(read_payload)?,
            lock: r.option(read_parent)?,
            operations: r.number()?,
            waiting: r.flag()?,
        })
    })
}

pub fn encode_announcement(announcement: &Announcement) -> Vec<u8> {
    let mut w = value(128);
    w.text(announcement.instance.as_str());
    w.text(announcement.name.as_str());
    write_execution(&mut w, announcement.execution);
    w.byte(announcement.status as u8);
    w.option(announcement.reason.as_deref(), Writer::text);
    write_time(&mut w, announcement.at);
    w.finish()
}

pub fn decode_announcement(bytes: &[u8]) -> Result<Announcement> {
    decode("an announcement", bytes, |r| {
        Ok(Announcement {
            instance: read_instance(r)?,
            name: read_name(r)?,
            execution: read_execution(r)?,
            status: read_status(r)?,
            reason: r.option(read_string)?,
            at: read_time(r)?,
        })
    })
}

/// The events of one turn.
pub fn encode_history(events: &[HistoryEvent]) -> Vec<u8> {
    let mut w = value(64 + 64 * events.len());
    w.block(|w| {
        let mut before = 0;
        for HistoryEvent { at, event } in events {
            // Times of one turn lie close together, so the difference to the previous one is short.
            w.signed(at.0.wrapping_sub(before));
            before = at.0;
            write_event(w, event);
        }
    });
    w.finish()
}

/// Adds the events of one turn to `events`.
pub fn decode_history(bytes: &[u8], events: &mut Vec<HistoryEvent>) -> Result<()> {
    decode_history_part(bytes, EventOffset::default(), usize::MAX, |_, event| events.push(event)).map(drop)
}

/// Where an event begins in the stored bytes of its turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventOffset {
    bytes: u32,
    /// The time of the event before it: times are stored as differences.
    before: i64,
}

/// Reads the events of one turn from this one on: at least one, if there is any, and more until `most` bytes are read. Returns
/// where the next one begins, if there is one.
pub fn decode_history_part(
    bytes: &[u8],
    from: EventOffset,
    most: usize,
    mut each: impl FnMut(EventOffset, HistoryEvent),
) -> Result<Option<EventOffset>> {
    decode("a history", bytes, |r| {
        let block = r.block()?;
        let mut r = block.at(from.bytes as usize)?;
        let (length, mut before) = (r.len(), from.before);
        while !r.is_empty() {
            let bytes = u32::try_from(block.len() - r.len()).map_err(|_| Bad::Malformed("a turn exceeds 4 GiB"))?;
            let offset = EventOffset { bytes, before };
            if bytes > from.bytes && length - r.len() >= most {
                return Ok(Some(offset));
            }
            before = before.wrapping_add(r.signed()?);
            each(offset, HistoryEvent { at: Timestamp(before), event: read_event(&mut r)? });
        }
        Ok(None)
    })
}

pub fn encode_message(message: &Message) -> Vec<u8> {
    let mut w = value(96);
    w.text(message.to.as_str());
    w.option(message.execution, write_execution);
    w.signed(message.sent_at.0);
    write_event(&mut w, &message.event);
    w.finish()
}

pub fn decode_message(bytes: &[u8]) -> Result<Message> {
    decode("a message", bytes, |r| {
        Ok(Message { to: read_instance(r)?, execution: r.option(read_execution)?, sent_at: read_time(r)?, event: read_event(r)? })
    })
}

/// The execution that a timer wakes.
pub fn encode_timer(instance: &InstanceId, execution: ExecutionId) -> Vec<u8> {
    let mut w = value(64);
    w.text(instance.as_str());
    write_execution(&mut w, execution);
    w.finish()
}

pub fn decode_timer(bytes: &[u8]) -> Result<(InstanceId, ExecutionId)> {
    decode("a timer", bytes, |r| Ok((read_instance(r)?, read_execution(r)?)))
}

/// A version of an app without its name and digest, which are its key.
pub fn encode_app(version: &AppVersion) -> Vec<u8> {
    let mut w = value(256);
    w.signed(version.deployed_at.0);
    w.text(&version.label);
    w.number(version.size);
    w.block(|w| {
        for (name, kind) in &version.functions {
            w.block(|w| {
                w.text(name.as_str());
                w.byte(kind_number(*kind));
            });
        }
    });
    w.number(version.weight.into());
    w.option(version.activated_at, |w, at| w.signed(at.0));
    w.block(|w| {
        for (name, bindings) in &version.triggers {
            w.text(name.as_str());
            w.text(bindings);
        }
    });
    w.option(version.route_prefix.as_deref(), |w, prefix| w.text(prefix));
    let AppVersioning { default, r#match, failure } = &version.versioning;
    w.text(default);
    w.option(*r#match, |w, rule| w.byte(match_number(rule)));
    w.option(*failure, |w, failure| w.byte(failure_number(failure)));
    w.finish()
}

pub fn decode_app(app: &str, version: VersionId, bytes: &[u8]) -> Result<AppVersion> {
    decode("an app", bytes, |r| {
        let (deployed_at, label, size) = (read_time(r)?, read_string(r)?, r.number()?);
        let mut list = r.block()?;
        let mut functions = Vec::new();
        while !list.is_empty() {
            let mut function = list.block()?;
            functions.push((read_name(&mut function)?, read_kind(&mut function)?));
        }
        let weight = r.added(Reader::number32)?.unwrap_or(0);
        // Earlier releases did not store it: most often, a deployed version became the active one.
        let activated_at = r.added(|r| r.option(read_time))?.unwrap_or(Some(deployed_at));
        let triggers = r.added(|r| {
            let (mut list, mut triggers) = (r.block()?, Vec::new());
            while !list.is_empty() {
                triggers.push((read_name(&mut list)?, read_string(&mut list)?));
            }
            Ok((triggers, r.option(read_string)?))
        })?;
        let (triggers, route_prefix) = triggers.unwrap_or_default();
        let versioning = r.added(|r| {
            let (default, rule) = (read_string(r)?, r.option(read_match)?);
            Ok(AppVersioning { default, r#match: rule, failure: r.option(read_failure_strategy)? })
        })?;
        let versioning = versioning.unwrap_or_default();
        let app = app.to_owned();
        Ok(AppVersion {
            app,
            version,
            deployed_at,
            label,
            functions,
            triggers,
            route_prefix,
            versioning,
            size,
            weight,
            activated_at,
        })
    })
}

fn match_number(rule: versioning::Match) -> u8 {
    match rule {
        versioning::Match::None => 0,
        versioning::Match::Strict => 1,
        versioning::Match::CurrentOrOlder => 2,
    }
}

fn read_match(r: &mut Reader<'_>) -> wire::Result<versioning::Match> {
    Ok(match r.byte()? {
        0 => versioning::Match::None,
        1 => versioning::Match::Strict,
        2 => versioning::Match::CurrentOrOlder,
        newer => return Err(Bad::Newer { found: newer.into(), known: 2 }),
    })
}

fn failure_number(failure: versioning::Failure) -> u8 {
    match failure {
        versioning::Failure::Reject => 0,
        versioning::Failure::Fail => 1,
    }
}

fn read_failure_strategy(r: &mut Reader<'_>) -> wire::Result<versioning::Failure> {
    Ok(match r.byte()? {
        0 => versioning::Failure::Reject,
        1 => versioning::Failure::Fail,
        newer => return Err(Bad::Newer { found: newer.into(), known: 1 }),
    })
}

fn kind_number(kind: FunctionKind) -> u8 {
    match kind {
        FunctionKind::Orchestrator => 0,
        FunctionKind::Activity => 1,
        FunctionKind::Entity => 2,
        FunctionKind::Trigger => 3,
    }
}

fn read_kind(r: &mut Reader<'_>) -> wire::Result<FunctionKind> {
    Ok(match r.byte()? {
        0 => FunctionKind::Orchestrator,
        1 => FunctionKind::Activity,
        2 => FunctionKind::Entity,
        3 => FunctionKind::Trigger,
        newer => return Err(Bad::Newer { found: newer.into(), known: 3 }),
    })
}

pub fn encode_counters(counters: Counters) -> Vec<u8> {
    let mut w = value(16);
    w.number(counters.transactions);
    w.number(counters.next_row);
    w.number(counters.next_message);
    w.number(counters.next_announcement);
    w.finish()
}

pub fn decode_counters(bytes: &[u8]) -> Result<Counters> {
    decode("the hub's counters", bytes, |r| {
        Ok(Counters {
            transactions: r.number()?,
            next_row: r.number()?,
            next_message: r.number()?,
            next_announcement: r.added(Reader::number)?.unwrap_or(0),
        })
    })
}

/// Marks a file as a task hub of this format.
pub fn encode_hub_format() -> Vec<u8> {
    value(1).finish()
}

pub fn check_hub_format(bytes: &[u8]) -> Result<()> {
    decode("the task hub", bytes, |_| Ok(()))
}

fn value(capacity: usize) -> Writer {
    let mut w = Writer::with_capacity(capacity);
    w.byte(FORMAT);
    w
}

fn decode<T>(what: &'static str, bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> wire::Result<T>) -> Result<T> {
    let mut reader = Reader::new(bytes);
    let result = match reader.byte() {
        Ok(FORMAT) => read(&mut reader),
        Ok(0) => Err(Bad::Malformed("it has no format")),
        Ok(newer) => Err(Bad::Newer { found: newer.into(), known: FORMAT.into() }),
        Err(bad) => Err(bad),
    };
    result.map_err(|bad| match bad {
        Bad::Truncated => StoreError::Corrupt(format!("{what} ends too early")),
        Bad::Malformed(why) => StoreError::Corrupt(format!("{what} cannot be read: {why}")),
        Bad::Newer { found, known } => StoreError::NewerFormat { what, found, known },
    })
}
