//! The control file of a host: its task hubs, their keys, limits, grants and secrets, and what the administrator did.
//!
//! One small redb file beside the hubs, `control.redb`. Its values are JSON with named members, because they are few, are
//! read by people in need, and gain members from release to release: an unknown member is kept out of the way, a missing one
//! has its default. Every change is one transaction with the line of the audit log that tells of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A task hub, as its administrator made it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HubRecord {
    /// As it was spelled; names compare ignoring case.
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Why it serves nobody at present. None: it serves.
    pub suspended: Option<String>,
    /// Limits that are not those of the host's configuration, by name.
    pub limits: BTreeMap<String, u64>,
    /// What all activities of the hub may reach.
    pub grants: Grants,
    /// What those of an app may reach instead.
    pub app_grants: BTreeMap<String, Grants>,
}

/// What activities may reach beside what the host's configuration grants to all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// Entries of an allow-list: `[scheme://]host[:port]`, `*.example.org`, an address.
    pub outbound: Vec<String>,
    pub directories: Vec<DirectoryGrant>,
    pub environment: BTreeMap<String, String>,
    /// Secrets of the hub, by name.
    pub secrets: BTreeMap<String, SecretGrant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryGrant {
    /// The path at which guests see it, such as `/data`.
    pub guest: String,
    /// Where it is on the host.
    pub host: String,
    #[serde(default)]
    pub writable: bool,
}

/// How a secret may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretGrant {
    /// Hosts (as in `outbound`) in requests to which the host puts the secret in the place of `{{secret:NAME}}` in a header.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The environment variable in which guests see it. None: they never see it.
    #[serde(default)]
    pub environment: Option<String>,
}
