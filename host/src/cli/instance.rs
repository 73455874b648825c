//! An instance, as commands name it and as the host shows it.

use chrono::Utc;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Target};
use super::error::CliError;
use super::output::{age, local_time, print_table, properties, status_cell};

/// The instance that a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct IdArgument {
    /// The id of the instance.
    #[arg(value_name = "ID")]
    positional: Option<String>,
    /// The id of the instance, as an option.
    #[arg(long = "id", value_name = "ID")]
    option: Option<String>,
}

impl IdArgument {
    pub fn id(&self) -> &str {
        self.positional.as_deref().or(self.option.as_deref()).expect("clap requires one of the two")
    }
}

/// What the host says of an instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub name: String,
    pub instance_id: String,
    pub runtime_status: String,
    pub input: Option<Box<RawValue>>,
    pub custom_status: Option<Box<RawValue>>,
    pub output: Option<Box<RawValue>>,
    pub created_time: String,
    pub last_updated_time: String,
    pub halted: Option<String>,
}

impl Instance {
    pub fn has_ended(&self) -> bool {
        matches!(self.runtime_status.as_str(), "Completed" | "Failed" | "Terminated" | "Canceled")
    }

    /// The output, or `null`.
    pub fn output_text(&self) -> &str {
        self.output.as_deref().map_or("null", RawValue::get)
    }

    /// Prints it as a table of names and values.
    pub fn print(&self, show_input: bool, show_output: bool) -> Result<(), CliError> {
        let now = Utc::now();
        let moment = |time: &str| format!("{} ({} ago)", local_time(time), age(time, now));
        let mut table = properties();
        table.add_row(["Instance", &self.instance_id]).add_row(["Function", &self.name]);
        table.add_row([comfy_table::Cell::new("Status"), status_cell(&self.runtime_status)]);
        table.add_row(["Created", &moment(&self.created_time)]).add_row(["Updated", &moment(&self.last_updated_time)]);
        if let Some(halted) = &self.halted {
            table.add_row(["Halted", halted]);
        }
        if let Some(status) = &self.custom_status {
            table.add_row(["Custom status", status.get()]);
        }
        if show_input {
            table.add_row(["Input", self.input.as_deref().map_or("null", RawValue::get)]);
        }
        // Why an instance has failed is what the question is about.
        if show_output || self.runtime_status == "Failed" {
            table.add_row(["Output", self.output_text()]);
        }
        print_table(table)
    }
}

/// Tells an instance something: suspend, resume, terminate.
pub(super) fn tell(client: &Client, id: &str, verb: &'static str, reason: Option<&str>) -> Result<(), CliError> {
    let target = Target::instance(id, [verb]).with_some("reason", reason);
    match client.post(&target)?.about_instance(id) {
        // The contract has a 500 for this; what is wrong is the state of the instance, not the host.
        Err(CliError::Failed(why)) if why.starts_with(&format!("cannot {verb} ")) => Err(CliError::WrongState(why)),
        answer => answer.map(drop),
    }
}
