//! A file in a directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ::redb::{Builder, Database, DatabaseError, StorageError};

use super::file::Medium;

/// A file of the operating system.
pub(crate) struct DiskFile {
    path: PathBuf,
    /// The file must exist: once it was opened, it is never made again.
    exists: AtomicBool,
}

impl DiskFile {
    /// A file that is made if it is missing.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), exists: AtomicBool::new(false) }
    }

    /// A file that was made before.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), exists: AtomicBool::new(true) }
    }
}

impl Medium for DiskFile {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let database = if self.path.exists() { builder.create(&self.path) } else { self.make(builder) };
        self.exists.fetch_or(database.is_ok(), Ordering::Relaxed);
        database
    }

    fn missing(&self) -> Option<&'static str> {
        match std::fs::metadata(&self.path) {
            Ok(file) if file.len() == 0 => Some("empty"),
            Err(why) if why.kind() == io::ErrorKind::NotFound && self.exists.load(Ordering::Relaxed) => Some("missing"),
            Ok(_) | Err(_) => None,
        }
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl DiskFile {
    /// Makes a new file under another name and renames it when it is complete: a host that is killed while redb writes the
    /// first pages would otherwise leave a file that redb does not recognise and refuses for ever.
    ///
    /// Two hosts cannot both do so: only the holder of the unfinished file's lock may rename it, and keeps the lock.
    fn make(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let unfinished = self.unfinished();
        make_private(&unfinished)?;
        let database = match builder.create(&unfinished) {
            Err(DatabaseError::Storage(error)) if is_half_made(&error) => {
                std::fs::remove_file(&unfinished)?;
                make_private(&unfinished)?;
                builder.create(&unfinished)?
            }
            result => result?,
        };
        if self.path.exists() {
            // Another host was faster.
            drop(database);
            std::fs::remove_file(&unfinished)?;
            return builder.open(&self.path);
        }
        std::fs::rename(&unfinished, &self.path)?;
        sync_directory(&self.path)?;
        Ok(database)
    }

    fn unfinished(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }
}

/// Makes an empty file, which redb takes for a new one, unless there is one. Only its owner may read it.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Whether this error of redb means that it does not recognise the file.
fn is_half_made(error: &StorageError) -> bool {
    match error {
        StorageError::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        error => matches!(error, StorageError::Corrupted(_)),
    }
}

/// Makes the name of a new file survive a crash.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { std::fs::File::open(directory)?.sync_all() } else { Ok(()) }
}
