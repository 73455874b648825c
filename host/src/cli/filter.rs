//! Selects the instances of a command that acts on many.

use clap::{ArgGroup, Args};
use serde::Deserialize;

use super::client::{Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::output::{note, print};
use super::times::{self, local_time};

/// Conditions, all of which a selected instance meets.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only those created at this time or later: 2h or 7d (ago), 2026-01-31, 2026-01-31T12:00 (local time) or
    /// 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    pub created_after: Option<String>,
    /// Only those created at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    pub created_before: Option<String>,
    /// Only those with one of these statuses.
    #[arg(long, value_name = "STATUS", num_args = 1.., value_delimiter = ',', ignore_case = true, value_parser = STATUSES)]
    pub runtime_status: Vec<String>,
    /// Only those whose id begins with this.
    #[arg(long, value_name = "PREFIX")]
    pub id_prefix: Option<String>,
    /// Only those of this function.
    #[arg(long, value_name = "FUNCTION")]
    pub function_name: Option<String>,
    /// Only those that run on this version: a label, or six digits or more of a digest.
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

/// The arguments of [`Filter`].
pub(super) const CONDITIONS: [&str; 6] =
    ["created_after", "created_before", "runtime_status", "id_prefix", "function_name", "version"];

/// The contract of Durable Functions needs a beginning even to select all: this one is before everything.
pub(super) const BEGINNING: &str = "0001-01-01T00:00:00Z";

/// The instances that a command acts on: one, or all that match.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("meant").required(true).multiple(true).args(MEANT)))]
pub(super) struct Targets {
    /// The id of the one instance.
    #[arg(value_name = "ID", conflicts_with_all = CONDITIONS)]
    positional_id: Option<String>,
    /// The id of the one instance, as an option.
    #[arg(long, value_name = "ID", conflicts_with = "positional_id", conflicts_with_all = CONDITIONS)]
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// All instances of the task hub.
    #[arg(long, conflicts_with_all = ["positional_id", "id"])]
    all: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

const MEANT: [&str; 9] =
    ["positional_id", "id", "all", "created_after", "created_before", "runtime_status", "id_prefix", "function_name", "version"];

#[derive(Debug, Deserialize)]
struct BulkOutcome {
    done: u64,
    refused: u64,
    refusals: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    instance_id: String,
    why: String,
}

impl Targets {
    /// The id, if one instance is selected.
    pub fn one(&self) -> Option<&str> {
        self.positional_id.as_deref().or(self.id.as_deref())
    }

    /// Runs a bulk action on all that match, after asking for confirmation. `done` is such as "Suspended".
    pub fn tell_all(&self, connection: &Connection, verb: &'static str, done: &str, more: Target) -> Result<(), CliError> {
        let meant = self.filter.meant();
        self.confirmation.ask(&format!("Really {verb} the orchestrations {meant}, as far as that can be done?"))?;
        let target = self.filter.apply(more);
        let target = match self.filter.created_after {
            Some(_) => target,
            None => target.with("createdTimeFrom", BEGINNING),
        };
        let client = connection.client();
        let answer = client.post(&target)?.success(|| format!("{} does not act on many instances at once", client.server()))?;
        if connection.json {
            return print(answer.text);
        }
        let acted: BulkOutcome = answer.parse()?;
        print(format_args!("{done} orchestrations {meant}: {}", acted.done))?;
        for Refused { instance_id, why } in &acted.refusals {
            note(format_args!("{instance_id}: {why}"));
        }
        match acted.refused {
            0 => Ok(()),
            refused => Err(CliError::Failed(format!("{refused} orchestrations refused this"))),
        }
    }
}

pub(super) const STATUSES: [&str; 8] =
    ["Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended"];

impl Filter {
    /// Adds the filters to a request.
    pub fn apply(&self, target: Target) -> Target {
        let statuses = Some(self.runtime_status.join(",")).filter(|statuses| !statuses.is_empty());
        target
            .with_some("createdTimeFrom", self.created_after.as_deref())
            .with_some("createdTimeTo", self.created_before.as_deref())
            .with_some("runtimeStatus", statuses)
            .with_some("instanceIdPrefix", self.id_prefix.as_deref())
            .with_some("functionName", self.function_name.as_deref())
            .with_some("version", self.version.as_deref())
    }

    /// Describes the selected instances in words.
    pub fn meant(&self) -> String {
        let Filter { created_after, created_before, runtime_status, id_prefix, function_name, version } = self;
        let created = match (created_after.as_deref().map(local_time), created_before.as_deref().map(local_time)) {
            (Some(after), Some(before)) => Some(format!("created between '{after}' and '{before}'")),
            (Some(after), None) => Some(format!("created after '{after}'")),
            (None, Some(before)) => Some(format!("created before '{before}'")),
            (None, None) => None,
        };
        let prefix = id_prefix.as_ref().map(|prefix| format!("whose id begins with '{prefix}'"));
        let function = function_name.as_ref().map(|function| format!("of the function '{function}'"));
        let version = version.as_ref().map(|version| format!("on the version '{version}'"));
        let statuses = runtime_status.join(", ");
        let status = format!("whose runtime status matched one of the following: [{statuses}]");
        let status = Some(status).filter(|_| !runtime_status.is_empty());
        let conditions: Vec<_> = [created, prefix, function, version, status].into_iter().flatten().collect();
        if conditions.is_empty() { "of the task hub".into() } else { conditions.join(" and ") }
    }
}
