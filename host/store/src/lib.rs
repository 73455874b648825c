//! Durable storage of a task hub: one world of instances, its messages, timers, pending activities and apps.
//!
//! - [`Store`]: what the engine asks of storage, on one screen.
//! - [`RedbStore`]: the embedded backend, one file per hub ([`mod@redb`]).
//! - [`codec`]: the only place that knows stored bytes; every backend stores the values that it makes.
//! - [`conformance`]: the behaviour of a store, written once and run for every backend.
//! - [`control`]: what the host keeps beside its hubs.
//! - [`StoreError`]: what a caller can do about a failure.
//!
//! The store decides nothing about orchestrations. It knows just enough to hand a message to an instance that exists,
//! to make the instance that a message starts, and to refuse a commit that does not follow what is stored.

use std::ops::Range;

use dacapo_core::{
    Announcement, Commit, EntityState, ExecutionId, FunctionKind, FunctionName, HistoryEvent, InstanceId, InstanceRecord,
    Message, MessageKey, Payload, Row, RuntimeStatus, Seq, Timestamp, VersionId,
};

pub mod codec;
pub mod conformance;
pub mod control;
mod error;
pub mod redb;
mod snapshot;

use codec::{EventOffset, ListingFields};

pub use self::redb::{QuickRepair, RedbStore, StoreOptions, is_reading};
pub use error::StoreError;
pub use snapshot::{Misfit, Snapshot};

type Result<T> = std::result::Result<T, StoreError>;

/// Called once, on the writer thread, when a commit is durable or has failed. It must not block, nor wait for the store.
pub type Done = Box<dyn FnOnce(Result<Receipt>) + Send>;

/// The storage of one task hub. Reads block on the disk at most, never on a commit that is being synced, and see every
/// commit whose `done` was called. Any method may fail with [`StoreError::Backend`] or [`StoreError::Corrupt`], and none
/// stops the store from being used further; what else can happen stands beside each.
pub trait Store: Send + Sync + 'static {
    /// A row for a new instance. No stored instance had it before, also after a crash.
    fn next_row(&self) -> Row;

    /// Queues a commit. `done` hears `Ok` once all of it is stored and survives any crash, or an error and then nothing
    /// of it is stored: `DiskFull` (again when there is room), `Stale` (another owner was faster: load and run the turn
    /// again), `Closed`. Commits are stored in the order of the calls. Blocks while the queue is full.
    fn commit(&self, commit: Commit, done: Done);

    /// The instance as its last commit left it.
    fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>>;
    /// The events of those of these turns that are stored, in order. `Corrupt` if there is a gap between them.
    fn history(&self, row: Row, turns: Range<u32>) -> Result<Vec<HistoryEvent>>;
    /// Some of the events from this place up to the turn `end`: one, and more while all of them have about `bytes`. None: not
    /// all of these turns are stored, as the instance has gone on as new, was rewound or is gone.
    fn history_page(&self, row: Row, from: EventPlace, end: u32, bytes: usize) -> Result<Option<HistoryPage>>;
    /// The events at places that pages have named. None: they are not all stored any more.
    fn events_at(&self, row: Row, places: &[EventPlace]) -> Result<Option<Vec<HistoryEvent>>>;
    /// About how many bytes these turns take in memory. What is more than `most` is not counted to its end.
    fn history_bytes(&self, row: Row, turns: Range<u32>, most: usize) -> Result<usize>;
    /// The messages that an instance has not consumed, in the order in which they were stored.
    fn inbox(&self, row: Row) -> Result<Vec<(MessageKey, Message)>>;
    /// Some of the same, behind `after`: one, and more while all of them have about `bytes`.
    fn inbox_page(&self, row: Row, after: Option<MessageKey>, bytes: usize) -> Result<InboxPage>;
    /// How many there are of them, and about how many bytes they take in memory.
    fn inbox_size(&self, row: Row) -> Result<InboxSize>;
    /// The instances that have not consumed all of their messages, behind a row.
    fn unread(&self, after: Option<Row>, limit: usize) -> Result<Vec<(Row, InstanceId)>>;
    /// The unconsumed messages of all instances, in the order of their keys: what waits after a crash.
    fn undelivered(&self, after: Option<MessageKey>, limit: usize) -> Result<Vec<(MessageKey, Message)>>;
    /// The timers that are set and due, first due first.
    fn timers(&self, after: Option<TimerKey>, until: Timestamp, limit: usize) -> Result<Vec<DueTimer>>;
    /// When the first timer after this one is due.
    fn next_timer(&self, after: Option<TimerKey>) -> Result<Option<Timestamp>>;
    /// The activities that were scheduled and have not reported: after a crash they run again.
    fn activities(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<PendingActivity>>;
    /// Some of the same: one, and more while their inputs have about `bytes`.
    fn activities_page(&self, after: Option<(Row, Seq)>, bytes: usize) -> Result<Vec<PendingActivity>>;
    /// Which these are.
    fn activity_keys(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<(Row, Seq)>>;
    /// What an entity keeps; none if the row is no entity's.
    fn entity(&self, row: Row) -> Result<Option<EntityState>>;
    /// The instances that match: ordered by id if an id prefix is asked for, otherwise by row, which is about the order in
    /// which they were created. A page may hold fewer than `limit`, even none, and still have a next.
    fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page>;

    /// Queues the removal of every trace of these instances, as far as they have ended, nothing has taken their place, and
    /// no parent has asked that they be rewound.
    /// `done` hears how many were removed. Entities are not removed: they vanish by a commit.
    fn purge(&self, rows: Vec<Row>, done: Box<dyn FnOnce(Result<u64>) + Send>);

    /// What is to be announced, in the order of the commits, with a number that names it.
    fn announcements(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Announcement)>>;
    /// Forgets the announcements up to this one. Returns once that is durable.
    fn forget_announcements(&self, up_to: u64) -> Result<()>;

    /// All that is stored of one instance, as one moment saw it.
    fn snapshot(&self, id: &InstanceId) -> Result<Option<Snapshot>>;
    /// The same without its history, which may be large.
    fn snapshot_without_history(&self, id: &InstanceId) -> Result<Option<Snapshot>>;
    /// Stores an instance that came from another hub, whole or not at all, in the row that its record names: one that
    /// [`Store::next_row`] gave. Returns once that survives any crash. `Stale` if its id is in use, unless it `replaces`
    /// whatever has it; `Corrupt` if its parts do not fit together. Waits for the writer, as `change_app` does.
    fn restore(&self, snapshot: &Snapshot, replaces: bool) -> Result<Receipt>;

    /// Changes the versions of an app. Returns once that survives any crash; after an error or a crash before that, nothing
    /// of it has happened. `DiskFull`, `Closed`. Waits for the writer: not to be called in a `done`.
    fn change_app(&self, change: &AppChange) -> Result<()>;
    /// Every version that was put and not removed, by app and time, and whether it is its app's active one.
    fn apps(&self) -> Result<Vec<(AppVersion, bool)>>;

    /// How many instances have not ended, entities among them. Exact after each commit; costs nothing.
    fn alive(&self) -> u64;
    /// Bytes on disk. Costs next to nothing.
    fn bytes(&self) -> u64;

    /// How much is stored. Cheap.
    fn stats(&self) -> Result<StoreStats>;
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The messages that now lie in inboxes because of `Commit::sent`: sent ones, and refusals. Not the kept ones.
    pub delivered: Vec<(MessageKey, Message)>,
}

/// Where an event stands in a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    pub turn: u32,
    offset: EventOffset,
}

impl EventPlace {
    /// The first event of a turn.
    pub fn of_turn(turn: u32) -> Self {
        Self { turn, offset: EventOffset::default() }
    }
}

/// Some of the events of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPage {
    pub events: Vec<(EventPlace, HistoryEvent)>,
    /// Where the next page begins, if there is one.
    pub next: Option<EventPlace>,
}

/// Some of the messages that wait for an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPage {
    pub messages: Vec<(MessageKey, Message)>,
    /// There are more behind these.
    pub more: bool,
}

/// How much waits for an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxSize {
    pub messages: usize,
    pub bytes: usize,
}

/// Names a timer; ordered by the time it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    pub fire_at: Timestamp,
    pub row: Row,
    pub seq: Seq,
}

/// A timer and whom it wakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    pub key: TimerKey,
    pub instance: InstanceId,
    pub execution: ExecutionId,
}

/// An activity that was scheduled and has not reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingActivity {
    pub row: Row,
    pub seq: Seq,
    pub instance: InstanceId,
    pub execution: ExecutionId,
    /// The version that the instance runs on.
    pub version: Option<VersionId>,
    pub name: FunctionName,
    pub input: Payload,
    pub attempt: u32,
}

/// Which instances are asked for. The default asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceQuery {
    /// What the id begins with.
    pub id_prefix: String,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_to: Option<Timestamp>,
    /// One of these; empty for any.
    pub statuses: Vec<RuntimeStatus>,
}

impl InstanceQuery {
    /// Whether a record is asked for, its id aside.
    pub(crate) fn wants(&self, record: ListingFields) -> bool {
        self.created_from.is_none_or(|from| record.created >= from)
            && self.created_to.is_none_or(|to| record.created <= to)
            && self.wants_status(record.status)
    }

    pub(crate) fn wants_status(&self, status: RuntimeStatus) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// Some of the instances that match a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub records: Vec<InstanceRecord>,
    /// Go on after this. None: that was all.
    pub next: Option<Cursor>,
}

/// Where a page ended. Who asks for the other order with it begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    Id(InstanceId),
    Row(Row),
}

/// One deployed version of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppVersion {
    pub app: String,
    pub version: VersionId,
    pub deployed_at: Timestamp,
    pub label: String,
    pub functions: Vec<(FunctionName, FunctionKind)>,
    /// Bytes of the deployed file.
    pub size: u64,
    /// Its share of new starts, in proportion to those of the app's other versions. None has any: all go to the active one.
    pub weight: u32,
    /// When it became the active one. None: it never did, or that was taken back, so that nobody goes back to it unasked.
    pub activated_at: Option<Timestamp>,
}

/// What changes about the versions of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppChange {
    pub app: String,
    /// Recorded, in the place of what is recorded of the same version.
    pub put: Vec<AppVersion>,
    pub removed: Vec<VersionId>,
    /// The active version from then on. None: as before, or none if the active one is removed.
    pub active: Option<VersionId>,
}

/// How much a hub stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes on disk.
    pub bytes: u64,
    /// Synced transactions ever written: what commits were gathered into.
    pub transactions: u64,
    pub instances: u64,
    /// Turns in all histories.
    pub turns: u64,
    pub messages: u64,
    pub timers: u64,
    pub activities: u64,
    /// How many of the instances are entities.
    pub entities: u64,
    /// Announcements that are not forgotten yet.
    pub announcements: u64,
}
