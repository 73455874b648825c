//! The arguments that name an instance, and the host's description of one.

use chrono::{DateTime, Utc};
use clap::Args;
use dacapo_core::guest::BUILT_IN_PREFIX;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Target};
use super::error::CliError;
use super::output::{Cell, Table, properties, shell_word, short, status_cell, table};
use super::times::{ago, local_time};
use crate::printable::one_line;

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

/// The host's response to a start. The links in it are not used here.
#[derive(Debug, Deserialize)]
pub(super) struct Started {
    pub id: String,
}

/// The host's description of an instance.
#[derive(Debug, Clone, Deserialize)]
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
    pub version: Option<String>,
    #[serde(default)]
    pub version_label: String,
}

impl Instance {
    pub fn has_ended(&self) -> bool {
        matches!(self.runtime_status.as_str(), "Completed" | "Failed" | "Terminated" | "Canceled")
    }

    /// Whether it is one of the host's own: a message of a queue, or a schedule.
    pub fn is_built_in(&self) -> bool {
        self.name.starts_with(BUILT_IN_PREFIX)
    }

    /// The output, or `null`.
    pub fn output_text(&self) -> &str {
        self.output.as_deref().map_or("null", RawValue::get)
    }

    /// The output for a sentence: a text without its quotes.
    pub fn plain_output(&self) -> String {
        serde_json::from_str(self.output_text()).unwrap_or_else(|_| self.output_text().to_owned())
    }

    /// The label, or else the digits, of the version that it runs on; empty until there is one.
    pub fn version(&self) -> &str {
        match self.version_label.as_str() {
            "" => self.version.as_deref().map_or("", |version| version.get(..12).unwrap_or(version)),
            label => label,
        }
    }

    /// A short text beside the status: the output, why it is halted, or the custom status.
    pub fn detail(&self) -> String {
        match (&self.halted, &self.custom_status) {
            _ if self.has_ended() => short(self.output_text()),
            (Some(why), _) => short(&format!("halted: {why}")),
            (None, Some(status)) => short(status.get()),
            (None, None) => String::new(),
        }
    }

    /// An error unless it has completed.
    pub fn verdict(&self) -> Result<(), CliError> {
        let Self { instance_id: id, runtime_status: status, .. } = self;
        if status == "Completed" {
            return Ok(());
        }
        let word = shell_word(id);
        Err(CliError::NotCompleted(match &self.halted {
            _ if self.has_ended() => format!("the orchestration '{id}' is {status}: {}", one_line(&self.plain_output())),
            Some(why) => format!(
                "the orchestration '{id}' is halted, and goes on by `dacapo resume {word}` once the right code is deployed: {}",
                one_line(why)
            ),
            None => {
                format!(
                    "the orchestration '{id}' has not ended yet, it is {status}; it goes on: `dacapo wait {word}` waits again"
                )
            }
        }))
    }

    /// A table of its properties.
    pub fn properties(&self, now: DateTime<Utc>, show: Shown) -> Table {
        let moment = |time: &str| format!("{} ({})", local_time(time), ago(time, now));
        let mut table = properties();
        table.add_row(["Instance", &self.instance_id]).add_row(["Function", &self.name]);
        table.add_row([Cell::from("Status"), status_cell(&self.runtime_status)]);
        table.add_row(["Created", &moment(&self.created_time)]).add_row(["Updated", &moment(&self.last_updated_time)]);
        if let Some(version) = &self.version {
            let digits = version.get(..12).unwrap_or(version);
            let label = self.version_label.as_str();
            table.add_row(["Version", &if label.is_empty() { digits.to_owned() } else { format!("{label} ({digits})") }]);
        }
        if let Some(halted) = &self.halted {
            table.add_row(["Halted", halted]);
        }
        if let Some(status) = &self.custom_status {
            table.add_row(["Custom status".into(), Cell::json(status.get())]);
        }
        if show.input {
            table.add_row(["Input".into(), Cell::json(self.input.as_deref().map_or("null", RawValue::get))]);
        }
        // For a failed instance, the output is the reason.
        if show.output || self.runtime_status == "Failed" {
            table.add_row(["Output".into(), Cell::json(self.output_text())]);
        }
        table
    }
}

/// Which payloads of an instance are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub input: bool,
    pub output: bool,
}

/// Instances, one per row.
pub(super) fn instance_table<'a>(instances: impl IntoIterator<Item = &'a Instance>, now: DateTime<Utc>) -> Table {
    let mut rows =
        table(["INSTANCE", "FUNCTION", "VERSION", "STATUS", "CREATED", "UPDATED", "CUSTOM STATUS"]).dispensable(&[4, 5]);
    for instance in instances {
        let custom_status = instance.custom_status.as_deref().map(|status| short(status.get()));
        rows.add_row([
            instance.instance_id.as_str().into(),
            instance.name.as_str().into(),
            instance.version().into(),
            status_cell(&instance.runtime_status),
            Cell::from(local_time(&instance.created_time)),
            Cell::from(ago(&instance.last_updated_time, now)),
            custom_status.unwrap_or_default().into(),
        ]);
    }
    rows
}

/// Suspends or resumes an instance.
pub(super) fn tell(client: &Client, id: &str, verb: &'static str, reason: Option<&str>) -> Result<(), CliError> {
    let target = Target::instance(id, [verb]).with_some("reason", reason);
    match client.post(&target)?.about_instance(id) {
        // The contract has a 500 for this, although it is the state of the instance that is wrong, not the host.
        Err(CliError::Failed(why)) if why.starts_with(&format!("cannot {verb} ")) => Err(CliError::WrongState(why)),
        answer => answer.map(drop),
    }
}
