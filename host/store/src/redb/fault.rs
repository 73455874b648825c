use std::io;

use ::redb::Error;

use crate::StoreError;

/// What can go wrong inside a transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The request or the stored data is wrong; the file works.
    Store(StoreError),
    /// The file failed, and the transaction is not stored.
    File(Error),
    /// The file failed while a transaction was being made durable: it may be stored, or not.
    Uncertain(Error),
}

impl Fault {
    pub fn into_error(self) -> StoreError {
        match self {
            Fault::Store(error) => error,
            Fault::File(error) | Fault::Uncertain(error) => store_error(error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

macro_rules! file_faults {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Fault::File(error.into())
            }
        }
    )*};
}

file_faults!(::redb::StorageError, ::redb::TableError, ::redb::TransactionError);

/// Converts an error of redb into what a caller can do about it.
pub(super) fn store_error(error: Error) -> StoreError {
    match error {
        Error::Io(cause) if is_full(&cause) => StoreError::DiskFull(cause.to_string()),
        // redb returns this for a file that it did not write.
        Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => StoreError::Corrupt(cause.to_string()),
        Error::Corrupted(what) => StoreError::Corrupt(what),
        error @ (Error::TableTypeMismatch { .. } | Error::TableIsMultimap(_) | Error::TypeDefinitionChanged { .. }) => {
            StoreError::Corrupt(error.to_string())
        }
        // redb's own file format; ours is checked with the hub's format row.
        error => StoreError::Backend(error.to_string()),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
