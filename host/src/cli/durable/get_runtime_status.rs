use clap::{ArgAction, Args};

use super::state::OrchestrationState;
use crate::bad_value::BadValue;
use crate::cli::client::{Connection, Target};
use crate::cli::error::CliError;
use crate::cli::instance::{Instance, Shown};
use crate::cli::output::{print, print_indented};

/// Show the state of an instance, as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable get-runtime-status --id 1234567
  func durable get-runtime-status --id 1234567 --show-input true --show-output true
  func durable get-runtime-status --id 1234567 --show-output | jq -r .Output")]
pub(super) struct GetRuntimeStatus {
    /// The id of the instance.
    #[arg(long)]
    id: String,
    /// Show the input.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth)]
    pub show_input: bool,
    /// Show the output.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth)]
    pub show_output: bool,
    #[command(flatten)]
    pub connection: Connection,
}

fn truth(text: &str) -> Result<bool, BadValue> {
    text.to_ascii_lowercase().parse().map_err(|_| "it should be true or false".into())
}

impl GetRuntimeStatus {
    pub fn run(self) -> Result<(), CliError> {
        let id = &self.id;
        let target = Target::instance(id, []).with("showInput", self.show_input);
        let missing = || format!("Could not find an orchestration instance with id '{id}'");
        let answer = self.connection.client().get(&target)?.success(missing)?;
        if self.connection.json {
            return print(answer.text);
        }
        let instance: Instance = answer.parse()?;
        print_indented(&OrchestrationState::new(&instance, Shown { input: self.show_input, output: self.show_output }))
    }
}
