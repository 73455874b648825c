//! The embedded backend: one redb file per task hub, one thread that writes it.
//!
//! ```text
//!   commit ──▶ prepare (caller's thread) ──▶ writer: apply, sync ──▶ done
//!   reads  ──▶ read (caller's thread, a snapshot)
//!                          both through file, which opens the file again when it has failed
//! ```
//!
//! # Durability
//! Every transaction is synced. A small file is committed in one phase: pages and header are written, then synced once,
//! and checksums tell after a crash whether all of it arrived. That is safe against crashes and torn pages. Not against
//! somebody who chooses the bytes that are stored, sees the file, decides the order in which the system writes pages, *and*
//! cuts the power in that moment: a guest has the first of these only. [`QuickRepair::Always`] commits in two phases, for who
//! must exclude it.
//!
//! # Opening after a crash
//! redb then reads the whole file, unless the last commit was made with *quick repair*, which saves what that reading
//! would find out and needs a second sync. So quick repair is off while the file is small enough to be read soon, and on
//! above [`QuickRepair::Above`], which bounds opening. Figures of `examples/repair_cost.rs` (opening) and
//! `examples/commit_rate.rs` (hello sequences of four commits), two runs each on two cores with compilers beside them, which
//! makes a sync cost 0.3 to 4 ms: take the ratios, and run them again on a quiet machine.
//!
//! | file    | open, plain | open, quick | | concurrency | sequences/s plain | quick         | ratio       |
//! |---------|-------------|-------------|-|-------------|-------------------|---------------|-------------|
//! | 64 MB   | 80-160 ms   | 7-8 ms      | | 1           | 76                | 37            | 0.5         |
//! | 128 MB  | 200-350 ms  | 7-19 ms     | | 64          | 2,532-3,353       | 1,775-1,886   | 0.53-0.74   |
//! | 1028 MB | 0.9-2.9 s   | 2-53 ms     | | 256         | 7,890-21,048      | 5,815-20,432  | 0.74-0.97   |
//!
//! Plain opening costs 0.9 to 2.8 ms for each megabyte. With the default of 256 MiB a crash costs at most 0.25 to 0.75 s,
//! whatever the size of the file; above it a commit that is alone takes twice as long, and a busy hub loses little, because
//! its groups share the second sync.
//!
//! # Listing and purging
//! Listing by row reads *zones*: the statuses of 256 neighbouring records and the span of the times when they were created.
//! So it searches only for records that it may show, and what it costs is to pass over the others' zones. Figures of
//! `examples/listing.rs` with 1,000,000 finished instances, beside compilers on two cores: a page of 100 takes 0.1 ms when
//! many match, 0.2 ms when one in each zone does, 1 to 2 ms by time, and 3 to 4 ms (7 at most) when it has to pass over all
//! zones.
//!
//! Purging in batches of 1,000 removes some 23,000 instances in a second there, each with four turns. What belongs to a row
//! goes at one stroke with its neighbours. The time goes into the index of ids, which are in no order: each id that goes
//! changes a page of its own. Commits wait for the batch before them, so who purges beside other work leaves pauses.
//!
//! # Failures
//! A commit that does not follow what is stored is refused alone. A transaction that fails fails its whole group. When a
//! *sync* fails it is not known whether the group is stored: the file is opened again and asked (a counter in it says), and
//! `done` hears what is so. After a failed sync some systems forget pages that were never written; no store can see that
//! from inside, and the next opening finds such a file damaged.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dacapo_core::{
    Announcement, Commit, EntityState, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row, Seq, Timestamp,
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

/// How a hub's file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Memory for pages of the file. A hub that works on its newest instances needs few of them; redb's own default of
    /// 1 GiB would let a host with ten hubs grow to ten.
    pub cache_bytes: usize,
    pub quick_repair: QuickRepair,
    /// How long a file that could not be opened again after a failure is left alone.
    pub reopen_pause: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, quick_repair: QuickRepair::default(), reopen_pause: Duration::from_secs(1) }
    }
}

/// When commits also save what opening the file after a crash would otherwise have to find out by reading all of it.
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

/// A task hub in a redb file. Dropping it writes what waits, and closes the file.
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

    /// Opens the hub in this file, which was made before. The same errors, and `Missing` if it is not there.
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

/// However small they are.
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
