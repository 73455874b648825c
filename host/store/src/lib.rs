//! Durable storage of a task hub: its instances, messages, timers, pending activities and apps.
//!
//! - [`Store`]: the interface between the engine and storage.
//! - [`RedbStore`]: the embedded backend, one file per hub ([`mod@redb`]).
//! - [`codec`]: the only module that knows stored bytes; every backend stores the values that it encodes.
//! - [`conformance`]: the behaviour of a store, written once and run for every backend.
//! - [`control`]: the control file, which the host keeps beside its hubs.
//! - [`StoreError`]: errors, by what a caller can do about them.
//!
//! The store makes no decisions about orchestrations. It knows just enough to deliver a message to an existing instance, to
//! create the instance that a message starts, and to refuse a commit that does not follow the stored state.

use std::ops::Range;

use dacapo_core::versioning::AppVersioning;
use dacapo_core::{
    Announcement, Commit, EntityState, ExecutionId, FunctionKind, FunctionName, HistoryEvent, InstanceId, InstanceRecord,
    Message, MessageKey, Once, Payload, Row, RuntimeStatus, Seq, Timestamp, VersionId,
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
pub use snapshot::{Snapshot, SnapshotError};

type Result<T> = std::result::Result<T, StoreError>;

/// Called once, on the writer thread, when a commit is durable or has failed. It must not block, nor wait for the store.
pub type Done = Box<dyn FnOnce(Result<Receipt>) + Send>;

/// The storage of one task hub. Reads block on the disk at most, never on a commit that is being synced, and see every commit
/// whose `done` was called. Any method may fail with [`StoreError::Backend`] or [`StoreError::Corrupt`], after which the store
/// can still be used; other errors are listed at each method.
pub trait Store: Send + Sync + 'static {
    /// Returns a row for a new instance, which no stored instance ever had, even before a crash.
    fn next_row(&self) -> Row;

    /// Queues a commit. `done` gets `Ok` once all of it is stored and survives any crash, or an error if nothing of it is
    /// stored: `DiskFull` (try again when there is space), `Stale` (another owner was faster: load and run the turn again),
    /// `Closed`. Commits are stored in the order of the calls. Blocks while the queue is full.
    fn commit(&self, commit: Commit, done: Done);

    /// The instance as its last commit left it.
    fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>>;
    /// The events of these turns, as far as they are stored, in order. `Corrupt` if there is a gap between them.
    fn history(&self, row: Row, turns: Range<u32>) -> Result<Vec<HistoryEvent>>;
    /// A page of the events from this place up to the turn `end`: at least one, and more up to about `bytes` in all. None: some
    /// of these turns are no longer stored, because the instance continued as new, was rewound or is gone.
    fn history_page(&self, row: Row, from: EventPlace, end: u32, bytes: usize) -> Result<Option<HistoryPage>>;
    /// The events at places that pages have returned. None: some of them are no longer stored.
    fn events_at(&self, row: Row, places: &[EventPlace]) -> Result<Option<Vec<HistoryEvent>>>;
    /// About how many bytes these turns take in memory. Counting stops once it reaches `most`.
    fn history_bytes(&self, row: Row, turns: Range<u32>, most: usize) -> Result<usize>;
    /// The messages that an instance has not consumed, in the order in which they were stored.
    fn inbox(&self, row: Row) -> Result<Vec<(MessageKey, Message)>>;
    /// A page of these messages, after `after`: at least one, and more up to about `bytes` in all.
    fn inbox_page(&self, row: Row, after: Option<MessageKey>, bytes: usize) -> Result<InboxPage>;
    /// The number of these messages, and about how many bytes they take in memory.
    fn inbox_size(&self, row: Row) -> Result<InboxSize>;
    /// The instances with unconsumed messages, by row, after the given one.
    fn unread(&self, after: Option<Row>, limit: usize) -> Result<Vec<(Row, InstanceId)>>;
    /// The unconsumed messages of all instances, in the order of their keys: what waits after a crash.
    fn undelivered(&self, after: Option<MessageKey>, limit: usize) -> Result<Vec<(MessageKey, Message)>>;
    /// The timers that are due at `until`, the earliest first.
    fn timers(&self, after: Option<TimerKey>, until: Timestamp, limit: usize) -> Result<Vec<DueTimer>>;
    /// When the first timer after this one is due.
    fn next_timer(&self, after: Option<TimerKey>) -> Result<Option<Timestamp>>;
    /// The activities that were scheduled and have not reported: after a crash they run again.
    fn activities(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<PendingActivity>>;
    /// A page of these activities: at least one, and more up to about `bytes` of inputs in all.
    fn activities_page(&self, after: Option<(Row, Seq)>, bytes: usize) -> Result<Vec<PendingActivity>>;
    /// The keys of these activities.
    fn activity_keys(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<(Row, Seq)>>;
    /// Whether a commit has taken in the message of this name. Forgotten once its call cannot run again: when the activity has
    /// reported, or the caller has ended, continued as new or is gone.
    fn has_taken(&self, once: &Once) -> Result<bool>;
    /// The state of an entity; none if the row is not that of an entity.
    fn entity(&self, row: Row) -> Result<Option<EntityState>>;
    /// The instances that match: ordered by id if an id prefix is asked for, otherwise by row, which is about the order in
    /// which they were created. A page may hold fewer than `limit`, even none, and still have a next.
    fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page>;

    /// Queues the removal of these instances. Skips those that have not ended, were replaced, or are about to be rewound by a
    /// parent, and entities, which vanish by a commit. `done` gets the number removed.
    fn purge(&self, rows: Vec<Row>, done: Box<dyn FnOnce(Result<u64>) + Send>);

    /// The pending announcements in the order of their commits, each with its number.
    fn announcements(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Announcement)>>;
    /// Deletes the announcements up to and including this one. Returns once that is durable.
    fn forget_announcements(&self, up_to: u64) -> Result<()>;

    /// All that is stored of one instance, read in one transaction.
    fn snapshot(&self, id: &InstanceId) -> Result<Option<Snapshot>>;
    /// The same without its history, which may be large.
    fn snapshot_without_history(&self, id: &InstanceId) -> Result<Option<Snapshot>>;
    /// Stores an instance from another hub, whole or not at all, in the row of its record, which [`Store::next_row`] must have
    /// returned. Returns once that survives any crash. `Stale` if its id is in use, unless it `replaces` the present holder;
    /// `Corrupt` if its parts are inconsistent. Waits for the writer, as `change_app` does.
    fn restore(&self, snapshot: &Snapshot, replaces: bool) -> Result<Receipt>;

    /// Changes the versions of an app. Returns once that survives any crash; after an error, or a crash before that, nothing
    /// has changed. `DiskFull`, `Closed`. Waits for the writer, so it must not be called in a `done`.
    fn change_app(&self, change: &AppChange) -> Result<()>;
    /// Every stored version, by app and time of deployment, and whether it is its app's active one.
    fn apps(&self) -> Result<Vec<(AppVersion, bool)>>;

    /// How many instances have not ended, entities among them. Exact after each commit; costs nothing.
    fn alive(&self) -> u64;
    /// Bytes on disk. Costs next to nothing.
    fn bytes(&self) -> u64;

    /// How much is stored. Cheap.
    fn stats(&self) -> Result<StoreStats>;
}

/// The result of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The messages that the commit put into inboxes: those of `Commit::sent`, and refusals. Not those of `Commit::kept`.
    pub delivered: Vec<(MessageKey, Message)>,
}

/// The position of an event in a history.
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

/// A page of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPage {
    pub events: Vec<(EventPlace, HistoryEvent)>,
    /// Where the next page begins, if there is one.
    pub next: Option<EventPlace>,
}

/// A page of the inbox of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPage {
    pub messages: Vec<(MessageKey, Message)>,
    /// More messages follow.
    pub more: bool,
}

/// The size of the inbox of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxSize {
    pub messages: usize,
    pub bytes: usize,
}

/// Identifies a timer; ordered by the time it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    pub fire_at: Timestamp,
    pub row: Row,
    pub seq: Seq,
}

/// A timer and the execution that it wakes.
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

/// A filter for instances. The default matches all.
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
    /// Whether a record matches, apart from its id.
    pub(crate) fn wants(&self, record: ListingFields) -> bool {
        self.created_from.is_none_or(|from| record.created >= from)
            && self.created_to.is_none_or(|to| record.created <= to)
            && self.wants_status(record.status)
    }

    pub(crate) fn wants_status(&self, status: RuntimeStatus) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// A page of the instances that match a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub records: Vec<InstanceRecord>,
    /// Where the next page begins. None: this is the last page.
    pub next: Option<Cursor>,
}

/// Where a page ended. With a query in the other order, listing starts from the beginning.
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
    /// The bindings of those that are triggers, as JSON.
    pub triggers: Vec<(FunctionName, String)>,
    /// What the routes of its HTTP triggers begin with. None: the default.
    pub route_prefix: Option<String>,
    /// How the versions of its orchestrations are compared, and which one they have by default.
    pub versioning: AppVersioning,
    /// Bytes of the deployed file.
    pub size: u64,
    /// Its share of new starts, relative to the app's other versions. If all are 0, the active one gets all starts.
    pub weight: u32,
    /// When it became the active one. None: it never did, or its activation was undone, so that no rollback chooses it.
    pub activated_at: Option<Timestamp>,
}

/// A change of the versions of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppChange {
    pub app: String,
    /// The versions to store, replacing what is stored of the same ones.
    pub put: Vec<AppVersion>,
    pub removed: Vec<VersionId>,
    /// The new active version. None: unchanged, or no active version if that is removed.
    pub active: Option<VersionId>,
}

/// How much a hub stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes on disk.
    pub bytes: u64,
    /// Synced transactions ever written, each with a group of commits.
    pub transactions: u64,
    pub instances: u64,
    /// Turns in all histories.
    pub turns: u64,
    pub messages: u64,
    pub timers: u64,
    pub activities: u64,
    /// How many of the instances are entities.
    pub entities: u64,
    /// Announcements that are still pending.
    pub announcements: u64,
}
