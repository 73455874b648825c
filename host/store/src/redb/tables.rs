//! The tables of a hub's file. Keys are laid out so that data written together is stored together, at the end of a table: all
//! keys of an instance, except its id and its timers, begin with its row, and rows rise. Fixed-width numbers are stored by
//! redb, all other values are made by the codec.

use ::redb::TableDefinition;

/// Name of a fact about the hub itself → that fact.
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
pub(super) const META_COUNTERS: &str = "counters";

/// Instance id → row. Ids come in no order, so this is the only table whose pages are touched at random; it is written
/// once in the life of an instance, not once for each commit as its record is.
pub(super) const IDS: TableDefinition<'static, &str, u64> = TableDefinition::new("ids");
/// Row → record.
pub(super) const RECORDS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("records");
/// Row → state of the entity. Apart from its record, so that listing reads small rows.
pub(super) const STATES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("states");
/// Number of a zone → the statuses of its records, and when they were created. Updated in the transaction that changes them.
pub(super) const ZONES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("zones");
/// (Row, turn) → the events of the turn.
pub(super) const HISTORY: TableDefinition<'static, (u64, u32), &[u8]> = TableDefinition::new("history");
/// (Row, number) → message.
pub(super) const INBOX: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("inbox");
/// (Time due, row, seq) → the execution that it wakes.
pub(super) const TIMERS: TableDefinition<'static, (i64, u64, u32), &[u8]> = TableDefinition::new("timers");
/// (Row, seq) → the turn that scheduled it, whose events hold the rest.
pub(super) const ACTIVITIES: TableDefinition<'static, (u64, u32), u32> = TableDefinition::new("activities");
/// (Row of the caller, seq of its call, id) → a message that the call has sent was taken in.
pub(super) const ONCE: TableDefinition<'static, (u64, u32, u128), ()> = TableDefinition::new("once");
/// Number → announcement.
pub(super) const OUTBOX: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("outbox");

/// (App, digest) → the deployed version.
pub(super) const APPS: TableDefinition<'static, (&str, &[u8; 32]), &[u8]> = TableDefinition::new("apps");
/// App → the digest of its active version.
pub(super) const ACTIVE: TableDefinition<'static, &str, &[u8; 32]> = TableDefinition::new("active");
