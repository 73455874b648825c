use clap::Args;

use crate::cli::client::{Connection, Target};
use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::instance::{Instance, Started};
use crate::cli::output::print;

/// Start an orchestration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable start-new --function-name HelloWorld --input @counter-data.json
  func durable start-new --function-name HelloWorld --task-hub-name TestTaskHub
  func durable start-new --function-name HelloWorld --id 1234567 --input 3
  func durable start-new --function-name HelloWorld --input Tokyo        the string \"Tokyo\"")]
pub(super) struct StartNew {
    /// The orchestrator to start.
    #[arg(long, value_name = "FUNCTION")]
    function_name: String,
    /// The id of the new instance [default: a new one].
    #[arg(long)]
    id: Option<String>,
    /// The input: @FILE with JSON, JSON, or any other text, which is passed as a string [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

impl StartNew {
    pub fn run(self) -> Result<(), CliError> {
        let function = &self.function_name;
        let input = self.input.map(|input| input::json_or_text("input", &input)).transpose()?;
        let client = self.connection.client();
        let segments = ["orchestrators", function.as_str()].into_iter().chain(self.id.as_deref());
        let answer = client.post_json(&Target::management(segments), input.as_deref().unwrap_or("null"))?;
        let answer = answer.success(|| format!("{} starts no orchestrations", client.server()))?;
        if self.connection.json {
            return print(answer.text);
        }
        let id = answer.parse::<Started>()?.id;
        // It has started: nothing that happens from now on is an error.
        let status =
            client.get(&Target::instance(&id, []).with("showInput", false)).and_then(|answer| answer.about_instance(&id));
        let created = match status.and_then(|answer| answer.parse::<Instance>()) {
            Ok(instance) => format!(" at {}", instance.created_time),
            Err(_) => String::new(),
        };
        print(format_args!("Started '{function}'{created}. Instance ID: '{id}'."))
    }
}
