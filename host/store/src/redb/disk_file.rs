//! A file in a directory.

use std::io;
use std::path::{Path, PathBuf};

use ::redb::{Builder, Database, DatabaseError, StorageError};

use super::file::Medium;

/// A file of the operating system.
pub(crate) struct DiskFile(pub PathBuf);

impl Medium for DiskFile {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        if self.0.exists() { builder.create(&self.0) } else { self.make(builder) }
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |metadata| metadata.len())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl DiskFile {
    /// Makes a new file under another name and renames it when it is complete: a host that is killed while redb writes
    /// the first pages would otherwise leave a file that redb takes for somebody else's and refuses for ever.
    ///
    /// Two hosts cannot both do so: only who holds the lock of the unfinished file may rename it, and keeps the lock.
    fn make(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let unfinished = self.unfinished();
        let database = match builder.create(&unfinished) {
            Err(DatabaseError::Storage(error)) if is_half_made(&error) => {
                std::fs::remove_file(&unfinished)?;
                builder.create(&unfinished)?
            }
            result => result?,
        };
        if self.0.exists() {
            // Another host was faster.
            drop(database);
            std::fs::remove_file(&unfinished)?;
            return builder.open(&self.0);
        }
        std::fs::rename(&unfinished, &self.0)?;
        sync_directory(&self.0)?;
        Ok(database)
    }

    fn unfinished(&self) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(".new");
        name.into()
    }
}

/// Whether redb says that a file is none of its own.
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
