//! A file, of a hub or of the host, opened again when it has failed.
//!
//! After any failed read or write redb refuses all further work on a database: what its cache holds may no longer be what
//! the disk holds. The cure is to open the file again, which repairs it. That is done here, by whoever meets the failure
//! first, so that nobody else has to know of it: a full disk fails the commits that it fails, and nothing else.

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

/// Where a hub's bytes lie: a file, or a test's idea of a disk.
pub trait Medium: Send + Sync + 'static {
    /// What is wrong with it as a file, if nothing could ever be read from it: that it is missing where it must not be made, or
    /// empty, which what was made is not.
    fn missing(&self) -> Option<&'static str> {
        None
    }
    /// Opens what is there, or makes a new hub. The former database has been closed.
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
    /// Counts openings, so that two who meet the same failure open the file again only once.
    generation: u64,
    database: Result<Database, Broken>,
}

/// The file could not be opened again.
struct Broken {
    error: StoreError,
    retry_at: Instant,
}

/// A piece of work on the file that failed.
pub(crate) struct Failed {
    pub error: StoreError,
    /// Whether it may be stored all the same.
    pub uncertain: bool,
}

/// Reads what may be damaged. Over some pages that are, redb panics.
fn guarded<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let unreadable = || StoreError::Corrupt("it cannot be read (the log says where the storage library has failed)".into());
    let outer = READS.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    READS.set(outer);
    result.unwrap_or_else(|_| Err(unreadable().into()))
}

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread reads a file of redb: a panic is likely not a bug then, but a file that is damaged.
pub fn is_reading() -> bool {
    READS.get()
}

impl RedbFile {
    /// Opens or makes a file, and lets `prepare` make of it what it should be.
    pub fn open<T>(
        medium: Box<dyn Medium>,
        cache_bytes: usize,
        reopen_pause: Duration,
        prepare: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<(Self, T), StoreError> {
        let opened = guarded(|| {
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

    /// How long a file that could not be opened again is left alone.
    pub fn reopen_pause(&self) -> Duration {
        self.reopen_pause
    }

    /// Reads. A read that meets another's failure opens the file again and is repeated.
    pub fn read<T>(&self, run: impl Fn(&::redb::ReadTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        let read = |database: &Database| match guarded(|| run(&database.begin_read()?)) {
            // Opening the file again mends what a failure left in memory, not what is wrong on the disk.
            Err(Fault::File(damage @ ::redb::Error::Corrupted(_))) => Err(Fault::Store(store_error(damage))),
            result => result,
        };
        self.with(read).map_err(|failed| failed.error)
    }

    /// Works on the database; repeats the work once if the file had to be opened again, unless it is known that
    /// repeating cannot help, or not known whether the work was done.
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
            let healed = self.heal(generation, &error);
            let lasting = matches!(error, StoreError::DiskFull(_) | StoreError::Corrupt(_));
            if repeated || uncertain || lasting || healed.is_err() {
                return Err(Failed { error, uncertain });
            }
            repeated = true;
        }
    }

    fn attempt<T>(&self, work: &mut impl FnMut(&Database) -> Result<T, Fault>) -> Result<T, (u64, Fault)> {
        // The guard is held while the work runs: the database is not closed under it.
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

    /// Opens the file again after a failure, if nobody has done so yet.
    fn heal(&self, generation: u64, error: &StoreError) -> Result<(), StoreError> {
        tracing::warn!(path = %self.medium.path().display(), %error, "the file failed and is opened again");
        self.reopen(generation)
    }

    /// Opens the file again if it has not been since `generation`.
    fn reopen(&self, generation: u64) -> Result<(), StoreError> {
        let mut state: RwLockWriteGuard<'_, State> = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            state.generation += 1;
            // Closed before it is opened again: closing gives up the lock on the file.
            state.database = Err(Broken { error: StoreError::Closed, retry_at: Instant::now() });
            let opened = open(self.medium.as_ref(), self.cache_bytes);
            state.database = opened.map_err(|error| Broken { error, retry_at: Instant::now() + self.reopen_pause });
        }
        match &state.database {
            Ok(_) => Ok(()),
            Err(broken) => Err(broken.error.clone()),
        }
    }

    /// The counters as they are stored. Opens the file again if need be.
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
