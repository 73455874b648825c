use clap::Args;
use serde_json::json;

use super::client::{Connection, Target};
use super::error::CliError;
use super::filter::Targets;
use super::instance::tell;
use super::output::print_done;

/// Suspend an instance, or all that match: messages to it are kept until it is resumed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo suspend order-17
  dacapo suspend --id order-17 --reason \"waiting for the audit\"
  dacapo suspend --function-name order --version 2.0 --yes")]
pub(super) struct Suspend {
    #[command(flatten)]
    meant: Targets,
    /// The reason, which is kept in the history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Suspend {
    pub fn run(self) -> Result<(), CliError> {
        let Some(id) = self.meant.one() else {
            let target = Target::management(["instances", "suspend"]).with_some("reason", self.reason.as_deref());
            return self.meant.tell_all(&self.connection, "suspend", "Suspended", target);
        };
        tell(&self.connection.client(), id, "suspend", self.reason.as_deref())?;
        print_done(self.connection.json, &json!({ "instanceId": id }), format_args!("Suspended instance '{id}'."))
    }
}
