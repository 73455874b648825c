use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Connection, Target};
use super::error::CliError;
use super::hub::unknown;
use super::output::{print_table, table};
use super::pages::PageArguments;
use super::times::local_time;

/// Show the audit log, newest first: acts of administrators, changes of apps, ended and removed instances, and denied attempts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo audit
  dacapo audit --hub acme --all --json | jq 'select(.denied)'")]
pub(super) struct Audit {
    /// Only the entries of this task hub.
    #[arg(long)]
    hub: Option<String>,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Line {
    at: String,
    actor: String,
    hub: String,
    action: String,
    denied: bool,
    details: Value,
}

impl Audit {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let target = Target::host(["admin", "audit"]).with_some("hub", self.hub);
        let listing = self.pages.fetch(&client, target, || unknown(&client))?;
        if self.connection.json {
            listing.print_json()?;
        } else {
            let mut rows = table(["TIME", "BY", "TASK HUB", "ACTION", "DETAILS"]);
            for line in listing.parse::<Line>()? {
                let action = if line.denied { format!("{} (denied)", line.action) } else { line.action };
                rows.add_row([local_time(&line.at), line.actor, line.hub, action, line.details.to_string()]);
            }
            print_table(rows)?;
        }
        listing.note_continuation();
        Ok(())
    }
}
