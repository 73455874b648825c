//! From the bytes of a file to compiled code on the disk, and what is known of an app before it runs.

pub(crate) mod cache;
pub(crate) mod compilations;
pub(crate) mod compile;
pub(crate) mod complexity;
pub(crate) mod deploy;
pub(crate) mod function_cache;
pub(crate) mod imports;
pub(crate) mod inspect;
pub(crate) mod manifest;
pub(crate) mod merge;
pub(crate) mod outline;
pub(crate) mod report;
pub(crate) mod wrap;
