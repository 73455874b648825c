//! The control file of a host: its task hubs, their keys, limits, grants and secrets, and the audit log.
//!
//! One small redb file beside the hubs, `control.redb`. Its values are JSON with named members, because they are few, people
//! may have to read them in an emergency, and releases add members: unknown ones are ignored (except in grants), missing ones
//! have their defaults. Every change is one transaction with its line of the audit log.
//!
//! - [`ControlFile`]: the file, and the only place that knows its tables.
//! - [`HubRecord`]: a task hub; [`Grants`]: what its activities may reach; [`Wake`]: when it must be opened.
//! - [`HostNames`]: which hub requests under a host name are for, in memory.
//! - [`KeyRecord`]: a key, its [`Role`] and its [`Scope`]. Its text is not stored: it is found by its [`KeyHash`].
//! - [`AuditEntry`]: a line of the audit log.
//! - `modules`: which hubs need which deployed files.
//!
//! Names of hubs and keys compare ignoring case.

mod audit;
mod error;
mod file;
mod host_names;
mod hub;
mod key;
mod modules;

pub use audit::{AUDIT_PER_SCOPE_MAX, AuditEntry};
pub use error::ControlError;
pub use file::{ControlFile, KEYS_PER_SCOPE_MAX, SECRETS_PER_HUB_MAX};
pub use host_names::{HOST_NAME_CHARS_MAX, HOST_NAMES_PER_HUB_MAX, HostNames, check_host_name};
pub use hub::{DirectoryGrant, Grants, HUB_NAME_CHARS_MAX, HubRecord, SecretGrant, Wake, check_hub_name};
pub use key::{KeyHash, KeyId, KeyRecord, Role, Scope};
