use clap::Args;

use super::client::Connection;
use super::error::CliError;
use super::instance::{IdArgument, tell};
use super::output::print;

/// Resume an instance that is suspended or halted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo resume order-17
  dacapo resume --id order-17 --reason \"the audit is done\"")]
pub(super) struct Resume {
    #[command(flatten)]
    instance: IdArgument,
    /// Why; the history keeps it.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Resume {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        tell(&self.connection.client(), id, "resume", self.reason.as_deref())?;
        if self.connection.json {
            return Ok(());
        }
        print(format_args!("Resumed instance '{id}'."))
    }
}
