//! The arguments that name an entity.

use clap::Args;

use super::client::Target;
use super::error::CliError;

/// The entity that a command is about.
#[derive(Debug, Args)]
pub(super) struct EntityArgument {
    /// The entity as @NAME@KEY, or its name.
    #[arg(value_name = "ENTITY", required_unless_present = "entity")]
    entity_or_name: Option<String>,
    /// Its key, after its name.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// The entity as @NAME@KEY, as an option.
    #[arg(long, value_name = "@NAME@KEY", conflicts_with_all = ["entity_or_name", "key"])]
    entity: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Entity {
    pub name: String,
    /// May be empty.
    pub key: String,
}

impl EntityArgument {
    pub fn read(&self) -> Result<Entity, CliError> {
        let text = self.entity.as_deref().or(self.entity_or_name.as_deref()).expect("clap requires one of the two");
        let (name, key) = match (text.strip_prefix('@').and_then(|id| id.split_once('@')), &self.key) {
            (Some(id), None) => id,
            (None, Some(key)) if !text.starts_with('@') => (text, key.as_str()),
            _ => return Err(wrong(text)),
        };
        if name.is_empty() {
            return Err(wrong(text));
        }
        Ok(Entity { name: name.into(), key: key.into() })
    }
}

fn wrong(text: &str) -> CliError {
    CliError::Usage(format!("'{text}' does not name an entity: it is @NAME@KEY, such as @counter@total, or NAME KEY"))
}

impl Entity {
    pub fn target(&self) -> Target {
        Target::entity(&self.name, &self.key)
    }
}

impl std::fmt::Display for Entity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}@{}", self.name, self.key)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        entity: EntityArgument,
    }

    fn read(words: &[&str]) -> Option<String> {
        let words = std::iter::once("test").chain(words.iter().copied());
        Line::try_parse_from(words).ok()?.entity.read().ok().map(|entity| format!("{} {}", entity.name, entity.key))
    }

    #[test]
    fn an_entity_is_named_as_one_word_or_two() {
        for (words, expected) in [
            (&["@counter@total"][..], Some("counter total")),
            (&["@counter@a@b"], Some("counter a@b")),
            (&["@counter@"], Some("counter ")),
            (&["counter", "total"], Some("counter total")),
            (&["counter", "@x@y"], Some("counter @x@y")),
            (&["--entity", "@counter@total"], Some("counter total")),
            (&["counter", ""], Some("counter ")),
            (&["counter"], None),
            (&["--entity", "counter"], None),
            (&["@counter"], None),
            (&["@@key"], None),
            (&["@counter@total", "x"], None),
            (&["counter", "x", "--entity", "@counter@x"], None),
            (&[], None),
        ] {
            assert_eq!(read(words).as_deref(), expected, "{words:?}");
        }
    }
}
