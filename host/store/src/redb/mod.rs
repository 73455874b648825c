//! The embedded backend: one redb file per task hub, one thread that writes it.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dacapo_core::{Commit, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row, Seq, Timestamp};

use crate::{AppVersion, Done, DueTimer, InstanceQuery, Page, PendingActivity, Result, Store, StoreError, StoreStats, TimerKey};

mod apply;
mod disk_file;
mod fault;
mod file;
mod prepare;
mod read;
mod tables;
mod writer;

pub use file::Medium;

use disk_file::DiskFile;
use file::HubFile;
use prepare::Prepared;
use writer::{Change, Job, Queue, Writer};

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
    file: Arc<HubFile>,
    queue: Arc<Queue>,
    rows: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the hub in this file, or makes a new one. The directory must exist.
    ///
    /// `Locked` if a process has it open; `NewerFormat`, `Corrupt`, `DiskFull`, `Backend`.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        Self::open_on(DiskFile(path.to_owned()), options)
    }

    /// Opens the hub on another medium than a file.
    pub fn open_on(medium: impl Medium, options: StoreOptions) -> Result<Self> {
        let (file, counters) = HubFile::open(Box::new(medium), options.cache_bytes, options.reopen_pause)?;
        let file = Arc::new(file);
        let queue = Arc::new(Queue::default());
        let rows = Arc::new(AtomicU64::new(counters.next_row));
        let writer =
            Writer { queue: queue.clone(), file: file.clone(), rows: rows.clone(), counters, quick_repair: options.quick_repair };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(|| writer.run());
        let thread = thread.map_err(|error| StoreError::Backend(format!("starting the writer thread: {error}")))?;
        Ok(Self { file, queue, rows, writer: Some(thread) })
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

impl Store for RedbStore {
    fn next_row(&self) -> Row {
        Row(self.rows.fetch_add(1, Ordering::Relaxed))
    }

    fn commit(&self, commit: Commit, done: Done) {
        self.queue.push(Job { change: Change::Commit(Box::new(Prepared::new(commit))), done });
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
        self.file.read(|txn| read::activities(txn, after, limit))
    }

    fn instances(&self, query: &InstanceQuery, after: Option<&InstanceId>, limit: usize) -> Result<Page> {
        self.file.read(|txn| read::instances(txn, query, after, limit))
    }

    fn put_app(&self, version: &AppVersion) -> Result<()> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let done = Box::new(move |result: Result<_>| drop(sender.send(result.map(|_| ()))));
        self.queue.push(Job { change: Change::App(version.clone()), done });
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }

    fn apps(&self) -> Result<Vec<(AppVersion, bool)>> {
        self.file.read(read::apps)
    }

    fn stats(&self) -> Result<StoreStats> {
        let bytes = self.file.size();
        self.file.read(|txn| read::stats(txn, bytes))
    }
}
