//! The embedded backend: one redb file per task hub, one thread that writes it.
//!
//! ```text
//!   commit ──▶ prepare (caller's thread) ──▶ writer: apply, sync ──▶ done
//!   reads  ──▶ read (caller's thread, a snapshot)
//!                          both through file, which reopens it after a failure
//! ```
//!
//! # Durability
//! Every transaction is synced. A small file is committed in one phase: pages and header are written, then synced once, and
//! checksums show after a crash whether all of it was written. That is safe against crashes and torn pages, but not against an
//! attacker who chooses the stored bytes, sees the file, controls the order in which the system writes pages, *and* cuts the
//! power at that moment. A guest can do only the first. [`QuickRepair::Always`] commits in two phases, which excludes this.
//!
//! # Opening after a crash
//! redb then reads the whole file, unless the last commit was made with *quick repair*, which saves the result of such a scan
//! and needs a second sync. So quick repair is off while the file is small enough for a short scan, and on above
//! [`QuickRepair::Above`], which bounds the time to open. Measured with `examples/repair_cost.rs` (opening) and
//! `examples/commit_rate.rs` (hello sequences of four commits), two runs each on two cores that were compiling too, where a
//! sync takes 0.3 to 4 ms: only the ratios are of use, so measure again on a quiet machine.
//!
//! | file    | open, plain | open, quick | | concurrency | sequences/s plain | quick         | ratio       |
//! |---------|-------------|-------------|-|-------------|-------------------|---------------|-------------|
//! | 64 MB   | 80-160 ms   | 7-8 ms      | | 1           | 76                | 37            | 0.5         |
//! | 128 MB  | 200-350 ms  | 7-19 ms     | | 64          | 2,532-3,353       | 1,775-1,886   | 0.53-0.74   |
//! | 1028 MB | 0.9-2.9 s   | 2-53 ms     | | 256         | 7,890-21,048      | 5,815-20,432  | 0.74-0.97   |
//!
//! Plain opening costs 0.9 to 2.8 ms per megabyte. With the default of 256 MiB a crash costs at most 0.25 to 0.75 s, whatever
//! the size of the file; above it a commit on its own takes twice as long, while a busy hub loses little, because its groups
//! share the second sync.
//!
//! # Listing and purging
//! Listing by row reads *zones*: the statuses of 256 neighbouring records and the range of their creation times. So it looks up
//! only records that may match, and skips whole zones. Measured with `examples/listing.rs` and 1,000,000 finished instances, on
//! two cores that were compiling too: a page of 100 takes 0.1 ms when many match, 0.2 ms when one in each zone does, 1 to 2 ms
//! by time, and 3 to 4 ms (7 at most) when it has to skip all zones.
//!
//! Purging in batches of 1,000 removes some 23,000 instances per second there, each with four turns. The data of neighbouring
//! rows is removed in one range. Most of the time goes into the index of ids, which are in no order: each id that is removed
//! changes a page of its own. Commits wait for a batch that is queued before them, so a caller should pause between batches.
//!
//! # Failures
//! A commit that does not follow the stored state is refused alone. A failed transaction fails its whole group. When a *sync*
//! fails it is not known whether the group is stored: the file is reopened, a counter in it gives the answer, and `done` gets
//! the true outcome. Some systems drop unwritten pages after a failed sync; a store cannot detect that, and the next opening
//! finds such a file damaged.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dacapo_core::{
    Announcement, Commit, EntityState, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Once, Row, Seq, Timestamp,
};

use crate::{
    AppChange, AppVersion, Cursor, Done, DueTimer, EventPlace, HistoryPage, InboxPage, InboxSize, InstanceQuery, Page,
    PendingActivity, Receipt, Result, Snapshot, Store, StoreError, StoreStats, TimerKey,
};

mod apply;
mod disk_file;
mod fault;
mod file;
mod hub;
mod listing;
mod prepare;
mod read;
mod tables;
mod writer;

pub use file::{Medium, is_reading};

pub(crate) use disk_file::DiskFile;
pub(crate) use fault::Fault;
pub(crate) use file::{Failed, RedbFile};
use prepare::{Prepared, Restored};
use writer::{Change, Job, Outcome, Queue, Writer};

/// Options of a hub's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of memory for pages of the file. A hub that works on its newest instances needs few of them; with redb's default
    /// of 1 GiB, a host with ten hubs could grow to 10 GiB.
    pub cache_bytes: usize,
    pub quick_repair: QuickRepair,
    /// The time until the next attempt, after a file could not be reopened.
    pub reopen_pause: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, quick_repair: QuickRepair::default(), reopen_pause: Duration::from_secs(1) }
    }
}

/// When commits are made with redb's quick repair, so that opening the file after a crash need not read all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuickRepair {
    Never,
    /// Once the file has more bytes than this.
    Above(u64),
    Always,
}

impl Default for QuickRepair {
    fn default() -> Self {
        QuickRepair::Above(256 << 20)
    }
}

impl QuickRepair {
    fn applies_to(self, bytes: u64) -> bool {
        match self {
            QuickRepair::Never => false,
            QuickRepair::Above(limit) => bytes > limit,
            QuickRepair::Always => true,
        }
    }
}

/// A task hub in a redb file. Dropping it writes the queued commits, and closes the file.
pub struct RedbStore {
    file: Arc<RedbFile>,
    queue: Arc<Queue>,
    rows: Arc<AtomicU64>,
    alive: Arc<AtomicI64>,
    writer: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the hub in this file, or makes a new one. The directory must exist.
    ///
    /// `Locked` if a process has it open; `Missing` if it is empty; `NewerFormat`, `Corrupt`, `DiskFull`, `Backend`.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        Self::open_on(DiskFile::new(path), options)
    }

    /// Opens the hub in this file, which must exist. The same errors, and `Missing` if it does not.
    pub fn open_existing(path: &Path, options: StoreOptions) -> Result<Self> {
        Self::open_on(DiskFile::existing(path), options)
    }

    /// Opens the hub on another medium than a file.
    pub fn open_on(medium: impl Medium, options: StoreOptions) -> Result<Self> {
        let (file, counters) = RedbFile::open(Box::new(medium), options.cache_bytes, options.reopen_pause, hub::prepare)?;
        let file = Arc::new(file);
        let queue = Arc::new(Queue::default());
        let rows = Arc::new(AtomicU64::new(counters.next_row));
        let alive = Arc::new(AtomicI64::new(file.read(read::alive)?));
        let writer = Writer {
            queue: queue.clone(),
            file: file.clone(),
            rows: rows.clone(),
            alive: alive.clone(),
            counters,
            quick_repair: options.quick_repair,
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(|| writer.run());
        let thread = thread.map_err(|error| StoreError::Backend(format!("starting the writer thread: {error}")))?;
        Ok(Self { file, queue, rows, alive, writer: Some(thread) })
    }
}

impl RedbStore {
    /// Queues a change and waits until it is durable.
    fn change(&self, change: Change) -> Result<Outcome> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let done = Box::new(move |outcome: Result<Outcome>| drop(sender.send(outcome)));
        self.queue.push(Job { change, done });
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.queue.close();
        // A `done` may hold the last handle to the store; then this is the writer thread, which ends by itself.
        if let Some(writer) = self.writer.take().filter(|writer| writer.thread().id() != std::thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

/// The most activities of a page, however small they are.
const ACTIVITIES_PER_PAGE: usize = 10_000;

impl Store for RedbStore {
    fn next_row(&self) -> Row {
        Row(self.rows.fetch_add(1, Ordering::Relaxed))
    }

    fn commit(&self, commit: Commit, done: Done) {
        let change = Change::Commit(Box::new(Prepared::new(commit)));
        self.queue.push(Job { change, done: Box::new(|outcome| done(outcome.map(|outcome| outcome.receipt))) });
    }

    fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRecord>> {
        self.file.read(|txn| read::instance(txn, id))
    }

    fn history(&self, row: Row, turns: Range<u32>) -> Result<Vec<HistoryEvent>> {
        self.file.read(|txn| read::history(txn, row, turns.clone()))
    }

    fn inbox(&self, row: Row) -> Result<Vec<(MessageKey, Message)>> {
        self.file.read(|txn| read::inbox(txn, row))
    }

    fn inbox_page(&self, row: Row, after: Option<MessageKey>, bytes: usize) -> Result<InboxPage> {
        self.file.read(|txn| read::inbox_page(txn, row, after, bytes))
    }

    fn inbox_size(&self, row: Row) -> Result<InboxSize> {
        self.file.read(|txn| read::inbox_size(txn, row))
    }

    fn unread(&self, after: Option<Row>, limit: usize) -> Result<Vec<(Row, InstanceId)>> {
        self.file.read(|txn| read::unread(txn, after, limit))
    }

    fn history_page(&self, row: Row, from: EventPlace, end: u32, bytes: usize) -> Result<Option<HistoryPage>> {
        self.file.read(|txn| read::history_page(txn, row, from, end, bytes))
    }

    fn events_at(&self, row: Row, places: &[EventPlace]) -> Result<Option<Vec<HistoryEvent>>> {
        self.file.read(|txn| read::events_at(txn, row, places))
    }

    fn history_bytes(&self, row: Row, turns: Range<u32>, most: usize) -> Result<usize> {
        self.file.read(|txn| read::history_bytes(txn, row, turns.clone(), most))
    }

    fn undelivered(&self, after: Option<MessageKey>, limit: usize) -> Result<Vec<(MessageKey, Message)>> {
        self.file.read(|txn| read::undelivered(txn, after, limit))
    }

    fn timers(&self, after: Option<TimerKey>, until: Timestamp, limit: usize) -> Result<Vec<DueTimer>> {
        self.file.read(|txn| read::timers(txn, after, until, limit))
    }

    fn next_timer(&self, after: Option<TimerKey>) -> Result<Option<Timestamp>> {
        self.file.read(|txn| read::next_timer(txn, after))
    }

    fn activities(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<PendingActivity>> {
        self.file.read(|txn| read::activities(txn, after, limit, usize::MAX))
    }

    fn activities_page(&self, after: Option<(Row, Seq)>, bytes: usize) -> Result<Vec<PendingActivity>> {
        self.file.read(|txn| read::activities(txn, after, ACTIVITIES_PER_PAGE, bytes))
    }

    fn activity_keys(&self, after: Option<(Row, Seq)>, limit: usize) -> Result<Vec<(Row, Seq)>> {
        self.file.read(|txn| read::activity_keys(txn, after, limit))
    }

    fn has_taken(&self, once: &Once) -> Result<bool> {
        self.file.read(|txn| read::has_taken(txn, once))
    }

    fn entity(&self, row: Row) -> Result<Option<EntityState>> {
        self.file.read(|txn| read::entity(txn, row))
    }

    fn instances(&self, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.file.read(|txn| listing::instances(txn, query, after, limit))
    }

    fn purge(&self, rows: Vec<Row>, done: Box<dyn FnOnce(Result<u64>) + Send>) {
        let done = Box::new(|outcome: Result<Outcome>| done(outcome.map(|outcome| outcome.purged)));
        self.queue.push(Job { change: Change::Purge(rows), done });
    }

    fn announcements(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Announcement)>> {
        self.file.read(|txn| read::announcements(txn, after, limit))
    }

    fn forget_announcements(&self, up_to: u64) -> Result<()> {
        self.change(Change::ForgetAnnouncements(up_to)).map(drop)
    }

    fn snapshot(&self, id: &InstanceId) -> Result<Option<Snapshot>> {
        self.file.read(|txn| read::snapshot(txn, id, true))
    }

    fn snapshot_without_history(&self, id: &InstanceId) -> Result<Option<Snapshot>> {
        self.file.read(|txn| read::snapshot(txn, id, false))
    }

    fn restore(&self, snapshot: &Snapshot, replaces: bool) -> Result<Receipt> {
        snapshot.check().map_err(|why| StoreError::Corrupt(why.to_string()))?;
        let change = Change::Restore(Box::new(Restored::new(snapshot, replaces)));
        self.change(change).map(|outcome| outcome.receipt)
    }

    fn change_app(&self, change: &AppChange) -> Result<()> {
        self.change(Change::App(change.clone())).map(drop)
    }

    fn apps(&self) -> Result<Vec<(AppVersion, bool)>> {
        self.file.read(read::apps)
    }

    fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed).try_into().unwrap_or_default()
    }

    fn bytes(&self) -> u64 {
        self.file.size()
    }

    fn stats(&self) -> Result<StoreStats> {
        let bytes = self.file.size();
        let transactions = self.file.counters()?.transactions;
        self.file.read(|txn| read::stats(txn, bytes, transactions))
    }
}
