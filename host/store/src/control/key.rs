//! Keys, as the control file stores them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The SHA-256 of a key's text, by which the key is found. The text cannot be recovered from it.
pub type KeyHash = [u8; 32];

/// The beginning of a key's hash, which identifies the key in the links that were given to its holder.
pub type KeyId = [u8; 16];

/// What the holder of a key may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See instances, entities and apps.
    Read,
    /// Start instances and send them events and commands.
    Operate,
    /// Change the code.
    Deploy,
    /// Manage keys and secrets; with a key of the host also hubs, limits and grants.
    Administer,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Read, Role::Operate, Role::Deploy, Role::Administer];

    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Operate => "operate",
            Role::Deploy => "deploy",
            Role::Administer => "administer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key opens, or what a line of the audit log is about. As a text, `*` or the name of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Scope {
    /// The host, with all its hubs.
    Host,
    Hub(String),
}

impl Scope {
    pub fn as_str(&self) -> &str {
        match self {
            Scope::Host => "*",
            Scope::Hub(name) => name,
        }
    }

    pub fn is_hub(&self, name: &str) -> bool {
        matches!(self, Scope::Hub(hub) if hub.eq_ignore_ascii_case(name))
    }

    /// Whether access to this scope includes a hub.
    pub fn covers(&self, hub: &str) -> bool {
        *self == Scope::Host || self.is_hub(hub)
    }
}

impl From<String> for Scope {
    fn from(text: String) -> Self {
        if text == "*" { Scope::Host } else { Scope::Hub(text) }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Host => f.write_str("the host"),
            Scope::Hub(name) => write!(f, "the task hub '{name}'"),
        }
    }
}

/// A key, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    pub name: String,
    #[serde(rename = "hub")]
    pub scope: Scope,
    pub role: Role,
    /// Microseconds since 1970.
    pub created_at: i64,
}
