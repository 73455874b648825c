//! A file, of a hub or of the host, which is reopened after a failure.
//!
//! After any failed read or write redb refuses all further work on a database, because its cache may differ from the disk.
//! Reopening the file repairs it. The first thread that meets the failure does that here, and no other code has to know: a full
//! disk fails the commits that meet it, and nothing else.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use ::redb::{Builder, Database, DatabaseError, ReadableDatabase};

use super::fault::{Fault, store_error};
use super::tables::{META, META_COUNTERS};
use crate::StoreError;
use crate::codec::{self, Counters};

/// The storage of a hub's bytes: a file, or a simulated disk in tests.
pub trait Medium: Send + Sync + 'static {
    /// Returns why the file can never be read, if so: "missing" if it must exist and does not, or "empty", which no complete
    /// file is.
    fn missing(&self) -> Option<&'static str> {
        None
    }
    /// Opens the existing file, or makes a new hub. The former database has been closed.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;
    /// Bytes in use.
    fn size(&self) -> u64;
    /// For messages.
    fn path(&self) -> &Path;
}

pub(crate) struct RedbFile {
    medium: Box<dyn Medium>,
    cache_bytes: usize,
    reopen_pause: Duration,
    state: RwLock<State>,
}

struct State {
    /// Counts openings, so that two threads that meet the same failure reopen the file only once.
    generation: u64,
    database: Result<Database, Broken>,
}

/// The file could not be reopened.
struct Broken {
    error: StoreError,
    retry_at: Instant,
}

/// Work on the file that failed.
pub(crate) struct Failed {
    pub error: StoreError,
    /// Whether it may be stored nevertheless.
    pub uncertain: bool,
}

/// Runs a read of data that may be damaged: redb panics on some damaged pages.
fn catch_read_panics<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let unreadable = || StoreError::Corrupt("it cannot be read (the log says where the storage library has failed)".into());
    let outer = READS.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    READS.set(outer);
    result.unwrap_or_else(|_| Err(unreadable().into()))
}

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is reading a file of redb: then a panic is likely caused by a damaged file, not by a bug.
pub fn is_reading() -> bool {
    READS.get()
}

impl RedbFile {
    /// Opens or makes a file, and lets `prepare` check or initialise it.
    pub fn open<T>(
        medium: Box<dyn Medium>,
        cache_bytes: usize,
        reopen_pause: Duration,
        prepare: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<(Self, T), StoreError> {
        let opened = catch_read_panics(|| {
            let database = open(medium.as_ref(), cache_bytes)?;
            let prepared = prepare(&database)?;
            Ok((database, prepared))
        });
        let (database, prepared) = opened.map_err(Fault::into_error)?;
        let state = RwLock::new(State { generation: 0, database: Ok(database) });
        Ok((Self { medium, cache_bytes, reopen_pause, state }, prepared))
    }

    pub fn size(&self) -> u64 {
        self.medium.size()
    }

    /// The time until the next attempt, after a file could not be reopened.
    pub fn reopen_pause(&self) -> Duration {
        self.reopen_pause
    }

    /// Runs a read. If the file has failed, it is reopened and the read is repeated.
    pub fn read<T>(&self, run: impl Fn(&::redb::ReadTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        let read = |database: &Database| match catch_read_panics(|| run(&database.begin_read()?)) {
            // Reopening repairs what a failure left in memory, not damage on the disk.
            Err(Fault::File(damage @ ::redb::Error::Corrupted(_))) => Err(Fault::Store(store_error(damage))),
            result => result,
        };
        self.with(read).map_err(|failed| failed.error)
    }

    /// Runs work on the database. Repeats it once if the file had to be reopened, unless repeating cannot help, or it is not
    /// known whether the work was done.
    pub fn with<T>(&self, mut work: impl FnMut(&Database) -> Result<T, Fault>) -> Result<T, Failed> {
        let mut repeated = false;
        loop {
            let (generation, fault) = match self.attempt(&mut work) {
                Ok(value) => return Ok(value),
                Err((_, Fault::Store(error))) => return Err(Failed { error, uncertain: false }),
                Err(failed) => failed,
            };
            let uncertain = matches!(fault, Fault::Uncertain(_));
            let error = fault.into_error();
            let healed = self.reopen_after_failure(generation, &error);
            let lasting = matches!(error, StoreError::DiskFull(_) | StoreError::Corrupt(_));
            if repeated || uncertain || lasting || healed.is_err() {
                return Err(Failed { error, uncertain });
            }
            repeated = true;
        }
    }

    fn attempt<T>(&self, work: &mut impl FnMut(&Database) -> Result<T, Fault>) -> Result<T, (u64, Fault)> {
        // The guard is held while the work runs, so that the database is not closed meanwhile.
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.database {
            Ok(database) => work(database).map_err(|fault| (state.generation, fault)),
            Err(broken) if Instant::now() < broken.retry_at => Err((state.generation, Fault::Store(broken.error.clone()))),
            Err(_) => {
                let generation = state.generation;
                drop(state);
                self.reopen(generation).map_err(|error| (generation, Fault::Store(error)))?;
                self.attempt(work)
            }
        }
    }

    /// Reopens the file after a failure, if no other thread has.
    fn reopen_after_failure(&self, generation: u64, error: &StoreError) -> Result<(), StoreError> {
        tracing::warn!(path = %self.medium.path().display(), %error, "the file failed and is reopened");
        self.reopen(generation)
    }

    /// Reopens the file if it was not reopened since `generation`.
    fn reopen(&self, generation: u64) -> Result<(), StoreError> {
        let mut state: RwLockWriteGuard<'_, State> = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            state.generation += 1;
            // Closed before it is reopened: closing releases the lock on the file.
            state.database = Err(Broken { error: StoreError::Closed, retry_at: Instant::now() });
            let opened = open(self.medium.as_ref(), self.cache_bytes);
            state.database = opened.map_err(|error| Broken { error, retry_at: Instant::now() + self.reopen_pause });
        }
        match &state.database {
            Ok(_) => Ok(()),
            Err(broken) => Err(broken.error.clone()),
        }
    }

    /// The stored counters. Reopens the file if necessary.
    pub fn counters(&self) -> Result<Counters, StoreError> {
        self.read(|txn| {
            let meta = txn.open_table(META)?;
            let stored = meta.get(META_COUNTERS)?;
            let stored = stored.ok_or_else(|| StoreError::Corrupt("the hub has no counters".into()))?;
            Ok(codec::decode_counters(stored.value())?)
        })
    }
}

fn open(medium: &dyn Medium, cache_bytes: usize) -> Result<Database, StoreError> {
    if let Some(what) = medium.missing() {
        return Err(StoreError::Missing { path: medium.path().to_owned(), what });
    }
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(|session| {
        tracing::info!(progress = session.progress(), "the file was not closed and is being checked");
    });
    medium.open(&builder).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked {
            path: medium.path().to_owned(),
            hint: "stop the other 'dacapo serve', or give this one another data directory",
        },
        DatabaseError::UpgradeRequired(format) => StoreError::Backend(format!(
            "the file has format {format} of redb, which must be upgraded with redb's own tools first"
        )),
        error => store_error(error.into()),
    })
}
