use clap::Args;
use dacapo_store::Snapshot;

use super::raw_event::raw_events;
use crate::cli::client::{Client, Connection, Target};
use crate::cli::error::CliError;
use crate::cli::get_history::history_events;
use crate::cli::output::{note, print, print_indented};
use crate::export::{Item, Reader};

/// Show the history of an instance, as JSON.
///
/// The events are those that are stored, in the shape of Durable Task. Only an administrator's key can read them; with another key,
/// the events of a status query are shown, in which beginnings and outcomes are merged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable get-history --id 1234567
  func durable get-history --id 1234567 | jq '.[] | select(.EventType == \"TaskFailed\")'
`dacapo get-history` shows them as a table.")]
pub(super) struct GetHistory {
    /// The id of the instance.
    #[arg(long)]
    id: String,
    #[command(flatten)]
    pub connection: Connection,
}

impl GetHistory {
    pub fn run(self) -> Result<(), CliError> {
        let (id, client) = (&self.id, self.connection.client());
        if self.connection.json {
            return print(history_events(&client, id)?);
        }
        match stored(&client, id)? {
            Some(snapshot) => print_indented(&raw_events(&snapshot)),
            None => {
                note("The key may not read the stored events: these are the events of a status query.");
                let events = history_events(&client, id)?;
                let events: serde_json::Value = serde_json::from_str(&events).map_err(anyhow::Error::from)?;
                print_indented(&events)
            }
        }
    }
}

/// All that is stored of an instance. None: the key may not read it.
fn stored(client: &Client, id: &str) -> Result<Option<Snapshot>, CliError> {
    let target = Target::host(["admin", "instances", id, "export"]).with("withModules", false);
    let lines = match client.get_lines(&target)? {
        Ok(lines) => lines,
        Err(refusal) if refusal.status == 403 => return Ok(None),
        Err(refusal) => {
            refusal.about_instance(id)?;
            return Err(unreadable("it is not a history"));
        }
    };
    for item in Reader::new(lines).map_err(unreadable)? {
        if let Item::Instance(snapshot) = item.map_err(unreadable)? {
            return Ok(Some(*snapshot));
        }
    }
    Err(unreadable("it ends too early"))
}

fn unreadable(why: impl std::fmt::Display) -> CliError {
    CliError::Failed(format!("the response of the host cannot be read: {why}"))
}
