use clap::Args;

use super::client::Connection;
use super::error::CliError;
use super::instance::{IdArgument, tell};
use super::output::print;

/// Suspend an instance: messages to it are kept until it is resumed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo suspend order-17
  dacapo suspend --id order-17 --reason \"waiting for the audit\"")]
pub(super) struct Suspend {
    #[command(flatten)]
    instance: IdArgument,
    /// Why; the history keeps it.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Suspend {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        tell(&self.connection.client(), id, "suspend", self.reason.as_deref())?;
        if self.connection.json {
            return Ok(());
        }
        print(format_args!("Suspended instance '{id}'."))
    }
}
