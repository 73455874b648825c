use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::input;
use super::instance::Instance;
use super::output::{note, print};

/// How long one request waits; then the next one does. Short enough for whatever is between here and the host.
const WAIT_STEP: Duration = Duration::from_secs(30);

/// Start an orchestration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo start-new hello_sequence
  dacapo start-new hello_sequence --input '\"Tokyo\"' --wait
  dacapo start-new --function-name order --id order-17 --input @order.json
  echo '[1, 2]' | dacapo start-new sum --input - --wait=60 --json

The input is JSON: a text needs quotes of its own, inside those of the shell.")]
pub(super) struct StartNew {
    #[command(flatten)]
    function: FunctionArgument,
    /// The id of the new instance [default: a new one]. An id in use is refused until its instance has ended.
    #[arg(long)]
    id: Option<String>,
    /// The input: JSON, @FILE, or - for standard input [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// The version label that the orchestration sees.
    #[arg(long = "version", value_name = "LABEL")]
    version_label: Option<String>,
    /// Wait for the end, at most so many seconds, and print the output.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "inf")]
    wait: Option<f64>,
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

#[derive(Debug, Deserialize)]
struct Started {
    id: String,
}

impl StartNew {
    pub fn run(self) -> Result<(), CliError> {
        let FunctionArgument { positional, option } = self.function;
        let function = positional.or(option).expect("clap requires one of the two");
        let input = self.input.map(|input| input::json("input", &input)).transpose()?;
        let deadline = self.wait.map(deadline).transpose()?;
        let client = self.connection.client();

        let segments = ["orchestrators", function.as_str()].into_iter().chain(self.id.as_deref());
        let target = Target::management(segments).with_some("version", self.version_label);
        let answer = client.post_json(&target, input.as_deref().unwrap_or("null"))?;
        let answer = answer.success(|| format!("{} starts no orchestrations", client.server()))?;
        let id = answer.parse::<Started>()?.id;

        let Some(deadline) = deadline else {
            return match self.connection.json {
                true => print(answer.text),
                false => print(format_args!("Started '{function}'. Instance ID: '{id}'.")),
            };
        };
        if !self.connection.json {
            note(format_args!("Started '{function}'. Instance ID: '{id}'. Waiting for its end."));
        }
        let (text, instance) = wait(&client, &id, deadline)?;
        if self.connection.json {
            print(text)?;
        } else if instance.runtime_status == "Completed" {
            print(instance.output_text())?;
        }
        ended_well(&instance)
    }
}

/// None: never.
fn deadline(seconds: f64) -> Result<Option<Instant>, CliError> {
    if seconds == f64::INFINITY {
        return Ok(None);
    }
    let patience = Duration::try_from_secs_f64(seconds).map_err(|why| CliError::Usage(format!("--wait={seconds}: {why}")))?;
    Ok(Instant::now().checked_add(patience))
}

/// The instance once it has ended, and the host's own text of it.
fn wait(client: &Client, id: &str, deadline: Option<Instant>) -> Result<(String, Instance), CliError> {
    loop {
        let left = deadline.map_or(WAIT_STEP, |deadline| deadline.saturating_duration_since(Instant::now()));
        let target = Target::instance(id, []).with("wait", left.min(WAIT_STEP).as_secs_f64());
        let answer = client.get(&target)?.about_instance(id)?;
        let instance: Instance = answer.parse()?;
        if instance.has_ended() {
            return Ok((answer.text, instance));
        }
        if let Some(why) = &instance.halted {
            return Err(CliError::NotCompleted(format!(
                "the orchestration '{id}' is halted, and goes on by `dacapo resume {id}` once the right code is deployed: {why}"
            )));
        }
        if left.is_zero() {
            return Err(CliError::Failed(format!(
                "the orchestration '{id}' has not ended yet, it is {}; it goes on: `dacapo get-runtime-status {id}` shows how",
                instance.runtime_status
            )));
        }
    }
}

fn ended_well(instance: &Instance) -> Result<(), CliError> {
    if instance.runtime_status == "Completed" {
        return Ok(());
    }
    let output = instance.output_text();
    let output = serde_json::from_str::<String>(output).unwrap_or(output.to_owned());
    Err(CliError::NotCompleted(format!("the orchestration '{}' is {}: {output}", instance.instance_id, instance.runtime_status)))
}
