use clap::Args;
use serde_json::json;

use super::client::Connection;
use super::entity::EntityArgument;
use super::error::CliError;
use super::input;
use super::output::print_done;
use super::times::{self, local_time};

/// Send a one-way operation to an entity. The first one creates it.
///
/// Operations on one entity run one after another, in the order of their arrival. Their effect shows in its state.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo signal-entity @counter@total --operation add --input 5
  dacapo signal-entity counter total --operation reset
  dacapo signal-entity --entity @counter@total --operation add --input @amount.json --at 2h")]
pub(super) struct SignalEntity {
    #[command(flatten)]
    entity: EntityArgument,
    /// The name of the operation.
    #[arg(long, value_name = "NAME")]
    operation: String,
    /// The input of the operation: JSON, @FILE, or - for standard input [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// Run it at this time, not at once: 2h or 7d (from now), 2026-01-31T12:00 (local time) or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::future)]
    at: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl SignalEntity {
    pub fn run(self) -> Result<(), CliError> {
        let entity = self.entity.read()?;
        let input = self.input.map(|input| input::json("input", &input)).transpose()?;
        let target = entity.target().with("op", &self.operation).with_some("deliverAt", self.at.as_deref());
        let client = self.connection.client();
        let answer = client.post_json(&target, input.as_deref().unwrap_or("null"))?;
        answer.success(|| format!("{} has no entities", client.server()))?;
        let done = json!({ "entityId": entity.to_string(), "operation": self.operation, "deliverAt": self.at });
        let at = self.at.map(|at| format!(" It runs at {}.", local_time(&at))).unwrap_or_default();
        let sentence = format_args!("Signaled operation '{}' to entity '{entity}'.{at}", self.operation);
        print_done(self.connection.json, &done, sentence)
    }
}
