use clap::Args;
use serde_json::json;

use crate::cli::client::{Connection, Target};
use crate::cli::error::CliError;
use crate::cli::instance::Instance;
use crate::cli::output::print_done;

/// How long the instance may take to end.
const WAIT_SECONDS: u32 = 30;

/// End an instance at once. Its output is the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable terminate --id 1234567 --reason \"It was time to be done.\"
`dacapo terminate` can also end sub-orchestrations, or many instances.")]
pub(super) struct Terminate {
    /// The id of the instance.
    #[arg(long)]
    id: String,
    /// The reason, which becomes the output and is kept in the history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

impl Terminate {
    pub fn run(self) -> Result<(), CliError> {
        let (id, client) = (&self.id, self.connection.client());
        let target = Target::instance(id, ["terminate"]).with_some("reason", self.reason.as_deref());
        let answer = client.post(&target)?;
        match answer.status {
            404 => answer.success(|| format!("Failed to find instance '{id}'. No instance was terminated."))?,
            _ => answer.about_instance(id)?,
        };
        let status = Target::instance(id, []).with("showInput", false).with("wait", WAIT_SECONDS);
        let instance: Instance = client.get(&status)?.about_instance(id)?.parse()?;
        match instance.runtime_status.as_str() {
            "Terminated" => {
                let done = json!({ "instanceId": id });
                print_done(self.connection.json, &done, format_args!("Successfully terminated '{id}'"))
            }
            status if instance.has_ended() => {
                Err(CliError::WrongState(format!("the instance '{id}' was not terminated: it ended as {status} before")))
            }
            status => Err(CliError::Failed(format!(
                "the instance '{id}' has not ended within {WAIT_SECONDS} seconds: it is {status}; it will, when its host comes to it"
            ))),
        }
    }
}
