use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::input;
use super::instance::Started;
use super::output::{note, print};
use super::times::{self, local_time};
use super::waiting::{WaitArgument, wait_for_output};

/// Start an orchestration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo start-new hello_sequence
  dacapo start-new hello_sequence --input '[\"Tokyo\"]' --wait
  dacapo start-new --function-name order --id order-17 --input @order.json
  dacapo start-new reminder --at 2h
  echo '[1, 2]' | dacapo start-new sum --input - --wait=60 --json

The input is JSON: a text needs quotes of its own, inside those of the shell.")]
pub(super) struct StartNew {
    #[command(flatten)]
    function: FunctionArgument,
    /// The id of the new instance [default: a new one]. An id in use is refused until its instance has ended; then --if-ended
    /// decides.
    #[arg(long)]
    id: Option<String>,
    /// The input: JSON, @FILE, or - for standard input [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// What to do if an instance with this id has ended: replace it, or refuse the start.
    #[arg(long, value_name = "WHAT", value_parser = ["replace", "refuse"])]
    if_ended: Option<String>,
    /// The version to run on: a label, or six digits or more of a digest. If no version has this label, one with a later label.
    /// The orchestration can read it.
    #[arg(long = "version", value_name = "VERSION")]
    version_label: Option<String>,
    /// Begin at this time, not at once: 2h or 7d (from now), 2026-01-31T12:00 (local time) or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::future)]
    at: Option<String>,
    #[command(flatten)]
    wait: WaitArgument,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FunctionArgument {
    /// The orchestrator to start.
    #[arg(value_name = "FUNCTION")]
    positional: Option<String>,
    /// The orchestrator to start, as an option.
    #[arg(long = "function-name", value_name = "FUNCTION")]
    option: Option<String>,
}

impl StartNew {
    pub fn run(self) -> Result<(), CliError> {
        let FunctionArgument { positional, option } = self.function;
        let function = positional.or(option).expect("clap requires one of the two");
        let input = self.input.map(|input| input::json("input", &input)).transpose()?;
        let client = self.connection.client();
        let segments = ["orchestrators", function.as_str()].into_iter().chain(self.id.as_deref());
        let target = Target::management(segments)
            .with_some("version", self.version_label)
            .with_some("startAt", self.at.as_deref())
            .with_some("ifEnded", self.if_ended);
        let answer = client.post_json(&target, input.as_deref().unwrap_or("null"))?;
        let answer = answer.success(|| format!("{} starts no orchestrations", client.server()))?;
        let id = answer.parse::<Started>()?.id;

        let begins = self.at.map(|at| format!(" It begins at {}.", local_time(&at))).unwrap_or_default();
        let started = format!("Started '{function}'. Instance ID: '{id}'.{begins}");
        match (self.wait.patience, self.connection.json) {
            (None, true) => print(answer.text),
            (None, false) => print(started),
            (Some(patience), json) => {
                if !json {
                    note(format_args!("{started} Waiting for its end."));
                }
                wait_for_output(&self.connection, &id, patience)
            }
        }
    }
}
