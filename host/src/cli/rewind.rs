use clap::Args;

use super::client::{Answer, Client, Connection, Target};
use super::error::CliError;
use super::filter::Targets;
use super::instance::Instance;
use super::output::{note, print};
use crate::printable::one_line;

/// How long to wait for the instance before its new status is shown.
const WAIT_SECONDS: u32 = 3;

/// Bring a failed instance, or all that match, back to just before its failure, and let it go on.
///
/// Work that has succeeded is not run again. It goes on with the active version of its app, so deploy the corrected code first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo rewind order-17
  dacapo rewind --id order-17 --reason \"the payment service is back\"
  dacapo rewind --function-name order --created-after 2h --yes")]
pub(super) struct Rewind {
    #[command(flatten)]
    meant: Targets,
    /// The reason, which is kept in the history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Rewind {
    pub fn run(self) -> Result<(), CliError> {
        let Some(id) = self.meant.one() else {
            let target = Target::management(["instances", "rewind"]).with_some("reason", self.reason.as_deref());
            return self.meant.tell_all(&self.connection, "rewind", "Rewound", target);
        };
        let client = self.connection.client();
        let (before, answer) = rewind_one(&client, id, self.reason.as_deref(), |sent| {
            if !self.connection.json {
                note(sent);
            }
            Ok(())
        })?;
        if self.connection.json {
            return print(answer.text);
        }
        let after: Instance = answer.parse()?;
        print(format_args!("Status before rewind: {}", before.runtime_status))?;
        print(format_args!("Status after rewind:  {}", after.runtime_status))?;
        if after.runtime_status == "Failed" {
            note(format_args!("It has failed again: {}", one_line(&after.plain_output())));
        }
        Ok(())
    }
}

/// Rewinds one instance. Returns its state before, and the host's description of it a moment later. Meanwhile `say` is called with
/// what is happening.
pub(super) fn rewind_one(
    client: &Client,
    id: &str,
    reason: Option<&str>,
    say: impl FnOnce(String) -> Result<(), CliError>,
) -> Result<(Instance, Answer), CliError> {
    let status = Target::instance(id, []).with("showInput", false);
    let before: Instance = client.get(&status)?.about_instance(id)?.parse()?;
    client.post(&Target::instance(id, ["rewind"]).with_some("reason", reason))?.about_instance(id)?;
    say(format!("Rewind message sent to instance '{id}'. Retrieving new status now..."))?;
    let after = client.get(&status.with("wait", WAIT_SECONDS))?.about_instance(id)?;
    Ok((before, after))
}
