use clap::Args;
use serde_json::json;

use super::client::{Connection, Target};
use super::error::CliError;
use super::filter::Targets;
use super::output::print_done;

/// End an instance, or all that match, at once. Its output is the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo terminate order-17
  dacapo terminate --id order-17 --reason \"no longer needed\"
  dacapo terminate order-17 --recursive         and every sub-orchestration that it waits for
  dacapo terminate --id-prefix test- --yes")]
pub(super) struct Terminate {
    #[command(flatten)]
    meant: Targets,
    /// The reason, which becomes the output and is kept in the history.
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
        let told = |target: Target| {
            target.with_some("reason", self.reason.as_deref()).with_some("recursive", self.recursive.then_some(true))
        };
        let Some(id) = self.meant.one() else {
            let target = told(Target::management(["instances", "terminate"]));
            return self.meant.tell_all(&self.connection, "terminate", "Terminated", target);
        };
        let target = told(Target::instance(id, ["terminate"]));
        self.connection.client().post(&target)?.about_instance(id)?;
        print_done(self.connection.json, &json!({ "instanceId": id }), format_args!("Terminated instance '{id}'."))
    }
}
