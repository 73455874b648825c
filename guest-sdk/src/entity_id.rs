//! The ids of entities.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::failure::Result;

/// The id of an entity: the name of its entity function, compared ignoring case, and a key, which may be empty.
///
/// As a text and as JSON it is `@name@key`, which is also the instance id of the entity.
///
/// ```
/// use dacapo_sdk::EntityId;
///
/// let id = EntityId::new("Account", "ada");
/// assert_eq!(id.to_string(), "@account@ada");
/// assert_eq!("@account@ada".parse(), Ok(id));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// In lower case.
    name: String,
    key: String,
}

impl EntityId {
    /// Makes an id from the name of the entity function and a key.
    ///
    /// ```
    /// # use dacapo_sdk::EntityId;
    /// assert_eq!(EntityId::new("Counter", "a"), EntityId::new("counter", "a"));
    /// ```
    pub fn new(name: &str, key: impl Into<String>) -> Self {
        Self { name: name.to_ascii_lowercase(), key: key.into() }
    }

    /// The name of the entity function, in lower case.
    ///
    /// ```
    /// # use dacapo_sdk::EntityId;
    /// assert_eq!(EntityId::new("Counter", "a").name(), "counter");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    ///
    /// ```
    /// # use dacapo_sdk::EntityId;
    /// assert_eq!(EntityId::new("Counter", "a").key(), "a");
    /// ```
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}@{}", self.name, self.key)
    }
}

/// The error of parsing a text that is not the id of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseEntityIdError(());

impl Display for ParseEntityIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of an entity is written `@name@key`")
    }
}

impl std::error::Error for ParseEntityIdError {}

impl FromStr for EntityId {
    type Err = ParseEntityIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('@').and_then(|rest| rest.split_once('@')) {
            Some((name, key)) if !name.is_empty() => Ok(Self::new(name, key)),
            _ => Err(ParseEntityIdError(())),
        }
    }
}

impl Serialize for EntityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntityId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
