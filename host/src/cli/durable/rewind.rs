use clap::Args;

use crate::cli::client::Connection;
use crate::cli::error::CliError;
use crate::cli::instance::Instance;
use crate::cli::output::{note, print};
use crate::cli::rewind::rewind_one;
use crate::printable::one_line;

/// Bring a failed instance back to just before its failure, and let it go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable rewind --id 1234567 --reason \"Orchestrator failed and needs to be revived.\"
`dacapo rewind` can also rewind many instances.")]
pub(super) struct Rewind {
    /// The id of the instance.
    #[arg(long)]
    id: String,
    /// The reason, which is kept in the history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

impl Rewind {
    pub fn run(self) -> Result<(), CliError> {
        let json = self.connection.json;
        let say = |sent: String| if json { Ok(()) } else { print(sent) };
        let (before, answer) = rewind_one(&self.connection.client(), &self.id, self.reason.as_deref(), say)?;
        if json {
            return print(answer.text);
        }
        let after: Instance = answer.parse()?;
        print(format_args!("Status before rewind: {}", before.runtime_status))?;
        print(format_args!("Status after rewind: {}", after.runtime_status))?;
        if after.runtime_status == "Failed" {
            note(format_args!("It has failed again: {}", one_line(&after.plain_output())));
        }
        Ok(())
    }
}
