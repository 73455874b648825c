use clap::Args;
use serde_json::json;

use super::client::{Connection, Target};
use super::error::CliError;
use super::filter::Targets;
use super::instance::tell;
use super::output::print_done;

/// Resume an instance that is suspended or halted, or all that match.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo resume order-17
  dacapo resume --id order-17 --reason \"the audit is done\"
  dacapo resume --all --yes")]
pub(super) struct Resume {
    #[command(flatten)]
    meant: Targets,
    /// The reason, which is kept in the history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Resume {
    pub fn run(self) -> Result<(), CliError> {
        let Some(id) = self.meant.one() else {
            let target = Target::management(["instances", "resume"]).with_some("reason", self.reason.as_deref());
            return self.meant.tell_all(&self.connection, "resume", "Resumed", target);
        };
        tell(&self.connection.client(), id, "resume", self.reason.as_deref())?;
        print_done(self.connection.json, &json!({ "instanceId": id }), format_args!("Resumed instance '{id}'."))
    }
}
