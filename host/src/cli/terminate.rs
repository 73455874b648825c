use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::instance::IdArgument;
use super::output::print;

/// End an instance at once. Its output is the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo terminate order-17
  dacapo terminate --id order-17 --reason \"no longer needed\"
  dacapo terminate order-17 --recursive         and every sub-orchestration that it waits for")]
pub(super) struct Terminate {
    #[command(flatten)]
    instance: IdArgument,
    /// Why; the history keeps it.
    #[arg(long)]
    reason: Option<String>,
    /// End the sub-orchestrations that it waits for too.
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Terminate {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        let target = Target::instance(id, ["terminate"])
            .with_some("reason", self.reason)
            .with_some("recursive", self.recursive.then_some(true));
        self.connection.client().post(&target)?.about_instance(id)?;
        if self.connection.json {
            return Ok(());
        }
        print(format_args!("Terminated instance '{id}'."))
    }
}
