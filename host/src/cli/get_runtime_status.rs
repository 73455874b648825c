use chrono::Utc;
use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::instance::{IdArgument, Instance, Shown};
use super::output::{print, print_table};

/// Show the state of an instance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-runtime-status order-17 --show-output
  dacapo get-runtime-status --id order-17 --json | jq .runtimeStatus")]
pub(super) struct GetRuntimeStatus {
    #[command(flatten)]
    instance: IdArgument,
    /// Show the input too.
    #[arg(long)]
    show_input: bool,
    /// Show the output too. (With --json, and of a failed instance, it is always shown.)
    #[arg(long)]
    show_output: bool,
    #[command(flatten)]
    connection: Connection,
}

impl GetRuntimeStatus {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        let target = Target::instance(id, []).with("showInput", self.show_input);
        let answer = self.connection.client().get(&target)?.about_instance(id)?;
        if self.connection.json {
            return print(answer.text);
        }
        let shown = Shown { input: self.show_input, output: self.show_output };
        print_table(answer.parse::<Instance>()?.properties(Utc::now(), shown))
    }
}
