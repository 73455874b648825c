use clap::Args;

use super::client::Connection;
use super::error::CliError;
use super::instance::{IdArgument, tell};
use super::output::print;

/// End an instance at once. Its output is the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo terminate order-17
  dacapo terminate --id order-17 --reason \"no longer needed\"")]
pub(super) struct Terminate {
    #[command(flatten)]
    instance: IdArgument,
    /// Why; the history keeps it.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Terminate {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        tell(&self.connection.client(), id, "terminate", self.reason.as_deref())?;
        if self.connection.json {
            return Ok(());
        }
        print(format_args!("Terminated instance '{id}'."))
    }
}
