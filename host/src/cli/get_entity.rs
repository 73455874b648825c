use clap::Args;

use super::client::Connection;
use super::entity::EntityArgument;
use super::error::CliError;
use super::output::print;

/// Print the state of an entity, as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-entity @counter@total
  dacapo get-entity counter total
  dacapo get-entity --entity @account@ada | jq .balance")]
pub(super) struct GetEntity {
    #[command(flatten)]
    entity: EntityArgument,
    #[command(flatten)]
    connection: Connection,
}

impl GetEntity {
    pub fn run(self) -> Result<(), CliError> {
        let entity = self.entity.read()?;
        let answer = self.connection.client().get(&entity.target())?;
        print(answer.success(|| format!("the entity '{entity}' has no state; list-entities lists those that have"))?.text)
    }
}
