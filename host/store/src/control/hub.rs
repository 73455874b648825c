//! Task hubs, as the control file stores them.

use std::collections::{BTreeMap, BTreeSet};

use dacapo_core::guest::ClientGrant;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A task hub, as its administrator configured it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HubRecord {
    /// As it was spelled; names compare ignoring case.
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Why it is suspended and serves no requests. None: it is not suspended.
    pub suspended: Option<String>,
    /// Limits that override those of the host's configuration, by name.
    pub limits: BTreeMap<String, u64>,
    /// What all activities of the hub may reach.
    pub grants: Grants,
    /// By app, what its activities may reach instead.
    pub app_grants: BTreeMap<String, Grants>,
    /// The names of the host under which requests are for this hub, folded; `*` stands for a first label. Each is of one hub only.
    pub host_names: BTreeSet<String>,
}

/// What activities may reach, in addition to what the host's configuration grants to all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// Each `[scheme://]host[:port]`, `*.example.org`, an address.
    pub outbound: Vec<String>,
    pub directories: Vec<DirectoryGrant>,
    pub environment: BTreeMap<String, String>,
    /// How each secret of the hub may be used.
    pub secrets: BTreeMap<String, SecretGrant>,
    /// What activities and triggers may do with the durable client, in their own task hub.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(schema_with = "client_grants")]
    pub client: ClientGrant,
}

fn is_default(client: &ClientGrant) -> bool {
    *client == ClientGrant::default()
}

fn client_grants(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ClientGrant::ALL.map(ClientGrant::name), "default": ClientGrant::default() })
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryGrant {
    /// The path at which activities see it, such as `/data`.
    pub guest: String,
    /// Where it is on the host.
    pub host: String,
    #[serde(default)]
    pub writable: bool,
}

/// How a secret may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretGrant {
    /// Hosts (as in `outbound`) that may get the secret: it replaces `{{secret:NAME}}` in headers of requests to them.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The environment variable in which activities see it; `null` if they never do.
    #[serde(default)]
    pub environment: Option<String>,
}

/// When the host must open a hub that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wake {
    /// It was open when this was last saved: after a crash, work may wait in it.
    Open,
    /// It was closed cleanly.
    #[serde(rename_all = "camelCase")]
    Idle {
        /// When its first timer is due, in microseconds since 1970. None: only a client wakes it.
        next_timer: Option<i64>,
    },
}

/// Returns what is wrong with the name of a task hub; None if it is valid.
pub fn check_hub_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let fits = (1..=HUB_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(plain);
    (!fits).then_some("should be 1 to 64 letters, digits, '-' or '_'")
}

/// The limit of a hub's name, which is also the name of its file.
pub const HUB_NAME_CHARS_MAX: usize = 64;
