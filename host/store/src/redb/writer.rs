//! The writer of a hub: a thread that gathers queued commits into one synced transaction.
//!
//! ```text
//!   caller: encode ──▶ queue ──▶ writer: check, write, ... ──▶ sync ──▶ done, done, ...
//!   caller: encode ──▶        (while this group is synced, the next one gathers)
//! ```
//!
//! It never waits for more commits: one that comes alone is synced alone, and the others gather meanwhile.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use ::redb::{Database, Durability, WriteTransaction};
use dacapo_core::Row;

use super::QuickRepair;
use super::apply::{Rejected, Tables, change_app};
use super::fault::Fault;
use super::file::RedbFile;
use super::prepare::{Prepared, Restored};
use crate::codec::Counters;
use crate::{AppChange, Receipt, StoreError};

/// Commits in one transaction. Beyond some hundreds the cost of the sync hardly counts; more would only delay the first ones.
const GROUP_COMMITS_MAX: usize = 1_024;
/// Bytes in one transaction: what a disk writes in some tens of milliseconds, and well within the write half of the cache.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Bytes in the queue. When it is full, callers wait for the disk: memory must not grow with a slow disk.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// The bytes counted for a purged instance: each changes a page of the index of ids.
const PURGED_BYTES: usize = 4_096;

/// A change to store, and the callback that gets its outcome.
pub(super) struct Job {
    pub change: Change,
    pub done: Box<dyn FnOnce(Result<Outcome, StoreError>) + Send>,
}

pub(super) enum Change {
    Commit(Box<Prepared>),
    Purge(Vec<Row>),
    ForgetAnnouncements(u64),
    App(AppChange),
    Restore(Box<Restored>),
}

/// The outcome of a change.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The receipt of a commit or a restore.
    pub receipt: Receipt,
    /// How many instances a purge has removed.
    pub purged: u64,
}

impl Change {
    fn size(&self) -> usize {
        match self {
            Change::Commit(commit) => commit.size(),
            Change::Restore(restored) => restored.size(),
            Change::Purge(rows) => rows.len() * PURGED_BYTES,
            Change::ForgetAnnouncements(_) | Change::App(_) => 4_096,
        }
    }
}

/// The queue of the writer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when a job is queued, and when the queue is closed.
    filled: Condvar,
    /// Notified when jobs were taken, and when the queue is closed.
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
    /// The writer's thread, which must never wait for itself.
    writer: Option<ThreadId>,
}

impl Queue {
    /// Blocks while the queue is full. If it is closed, the job gets `Closed` at once.
    pub fn push(&self, job: Job) {
        let size = job.change.size();
        let mut waiting = self.lock();
        let own = waiting.writer == Some(std::thread::current().id());
        while !own && !waiting.closed && !waiting.jobs.is_empty() && waiting.bytes + size > QUEUE_BYTES_MAX {
            waiting = self.emptied.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.closed {
            drop(waiting);
            return (job.done)(Err(StoreError::Closed));
        }
        waiting.bytes += size;
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Accepts no more jobs. The queued ones are still written.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Takes as many jobs as one transaction holds; blocks until there is one. Empty: the queue is closed and drained.
    fn take(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        while waiting.jobs.is_empty() && !waiting.closed {
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(job) = waiting.jobs.front() {
            let size = job.change.size();
            if !group.is_empty() && (group.len() == GROUP_COMMITS_MAX || bytes + size > GROUP_BYTES_MAX) {
                break;
            }
            bytes += size;
            group.extend(waiting.jobs.pop_front());
        }
        waiting.bytes -= bytes;
        drop(waiting);
        self.emptied.notify_all();
        group
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer, on its thread.
pub(super) struct Writer {
    pub queue: Arc<Queue>,
    pub file: Arc<RedbFile>,
    pub rows: Arc<AtomicU64>,
    /// Instances that have not ended, after the last transaction.
    pub alive: Arc<AtomicI64>,
    pub counters: Counters,
    pub quick_repair: QuickRepair,
}

/// The result of a transaction: the outcome of each job, and the counters after it.
struct Written {
    outcomes: Vec<Result<Outcome, StoreError>>,
    counters: Counters,
    /// The change of the number of living instances.
    born: i64,
}

enum Attempt {
    Done(Written),
    /// The job with this number found damage after it had written a part: the transaction must be repeated without it.
    Damaged(usize, StoreError),
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub fn run(mut self) {
        self.queue.lock().writer = Some(std::thread::current().id());
        let _last = FailRemainingJobs(self.queue.clone());
        loop {
            let group = self.queue.take();
            if group.is_empty() {
                return;
            }
            let outcomes = self.write(&group);
            for (job, outcome) in group.into_iter().zip(outcomes) {
                if catch_unwind(AssertUnwindSafe(|| (job.done)(outcome))).is_err() {
                    tracing::error!("the callback of a commit panicked");
                }
            }
        }
    }

    /// Writes a group in one transaction. One bad commit does not fail the others; a failed transaction fails all.
    fn write(&mut self, group: &[Job]) -> Vec<Result<Outcome, StoreError>> {
        let mut rejected: Vec<Option<StoreError>> = group.iter().map(|_| None).collect();
        loop {
            let mut intended = None;
            match self.file.with(|database| self.attempt(database, group, &rejected, &mut intended)) {
                Ok(Attempt::Damaged(number, error)) => rejected[number] = Some(error),
                Ok(Attempt::Done(written)) => return self.stored(written),
                Err(failed) => {
                    if let Some(written) = intended.filter(|_| failed.uncertain)
                        && self.is_stored(written.counters)
                    {
                        return self.stored(written);
                    }
                    return group.iter().map(|_| Err(failed.error.clone())).collect();
                }
            }
        }
    }

    fn stored(&mut self, written: Written) -> Vec<Result<Outcome, StoreError>> {
        self.counters = written.counters;
        self.alive.fetch_add(written.born, Ordering::Relaxed);
        written.outcomes
    }

    /// Runs one transaction. If it is not known whether it is stored, its result is left in `intended`.
    fn attempt(
        &self,
        database: &Database,
        group: &[Job],
        rejected: &[Option<StoreError>],
        intended: &mut Option<Written>,
    ) -> Result<Attempt, Fault> {
        let mut txn = database.begin_write()?;
        txn.set_durability(Durability::Immediate).expect("no savepoint was made");
        txn.set_quick_repair(self.quick_repair.applies_to(self.file.size()));
        let written = match self.apply(&txn, group, rejected)? {
            Attempt::Done(written) => written,
            spoiled => return Ok(spoiled),
        };
        if written.outcomes.iter().all(Result::is_err) {
            return Ok(Attempt::Done(Written { counters: self.counters, born: 0, ..written }));
        }
        let written = intended.insert(written);
        match txn.commit() {
            Ok(()) => {
                let Written { outcomes, counters, born } = written;
                Ok(Attempt::Done(Written { outcomes: std::mem::take(outcomes), counters: *counters, born: *born }))
            }
            Err(error) => Err(Fault::Uncertain(error.into())),
        }
    }

    fn apply(&self, txn: &WriteTransaction, group: &[Job], rejected: &[Option<StoreError>]) -> Result<Attempt, Fault> {
        let mut outcomes = Vec::with_capacity(group.len());
        let mut tables = Tables::open(txn, self.counters, &self.rows)?;
        for (number, (job, rejected)) in group.iter().zip(rejected).enumerate() {
            if let Some(error) = rejected {
                outcomes.push(Err(error.clone()));
                continue;
            }
            // A panic is a bug that concerns this change only: the others are written without it.
            let applied = catch_unwind(AssertUnwindSafe(|| apply_one(txn, &mut tables, &job.change)));
            let panicked = || StoreError::Backend("the store panicked on this change, which is a bug; the log says where".into());
            outcomes.push(match applied.unwrap_or_else(|_| Err(Rejected::Damaged(panicked()))) {
                Ok(outcome) => Ok(outcome),
                Err(Rejected::Refused(error)) => Err(error),
                Err(Rejected::Damaged(error)) => return Ok(Attempt::Damaged(number, error)),
                Err(Rejected::File(fault)) => return Err(fault),
            });
        }
        let (counters, born) = tables.finish()?;
        Ok(Attempt::Done(Written { outcomes, counters, born }))
    }

    /// Whether the transaction that ends with these counters is stored, although it failed: a failed sync may still have
    /// written everything. Callers must get the true outcome, so this retries until the file can be read.
    fn is_stored(&self, counters: Counters) -> bool {
        loop {
            match self.file.counters() {
                Ok(stored) => return stored.transactions == counters.transactions,
                Err(error) if self.queue.lock().closed => {
                    tracing::error!(%error, "closed without knowing whether the last commits are stored");
                    return false;
                }
                Err(_) => std::thread::sleep(self.file.reopen_pause()),
            }
        }
    }
}

fn apply_one(txn: &WriteTransaction, tables: &mut Tables<'_>, change: &Change) -> Result<Outcome, Rejected> {
    Ok(match change {
        Change::Commit(commit) => Outcome { receipt: tables.apply(commit)?, ..Outcome::default() },
        Change::Purge(rows) => Outcome { purged: tables.purge(rows)?, ..Outcome::default() },
        Change::ForgetAnnouncements(up_to) => tables.forget_announcements(*up_to).map(|()| Outcome::default())?,
        Change::App(change) => change_app(txn, change).map(|()| Outcome::default())?,
        Change::Restore(restored) => Outcome { receipt: tables.restore(restored)?, ..Outcome::default() },
    })
}

/// Answers the remaining jobs when the writer ends, even by a panic, so that no caller waits for ever.
struct FailRemainingJobs(Arc<Queue>);

impl Drop for FailRemainingJobs {
    fn drop(&mut self) {
        self.0.close();
        let jobs = std::mem::take(&mut self.0.lock().jobs);
        jobs.into_iter().for_each(|job| (job.done)(Err(StoreError::Closed)));
    }
}
