use std::str::FromStr;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{CliError, Connection, Target, print, print_table, table, tell, unknown};

/// Show the limits of a task hub, and what happens at each. Without a name: those of the host's configuration.
#[derive(Debug, Args)]
pub(in crate::cli) struct Limits {
    /// The task hub; without one, all limits with the values that hubs have by default.
    name: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Change a limit of a task hub. It takes effect at once; calls that are running keep those that they began with.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub set-limit acme requests_per_second 500
  dacapo hub set-limit acme requests_per_second default")]
pub(in crate::cli) struct SetLimit {
    /// The task hub.
    name: String,
    /// The limit; `dacapo hub limits` shows all.
    limit: String,
    /// A whole number, or 'default' for that of the host's configuration.
    value: NewValue,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy)]
enum NewValue {
    Default,
    Own(u64),
}

impl FromStr for NewValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(NewValue::Default),
            text => text.replace('_', "").parse().map(NewValue::Own).map_err(|_| "should be a whole number or 'default'"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct LimitBody {
    name: String,
    value: u64,
    default: u64,
    unit: String,
    then: String,
    what: String,
}

impl Limits {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let target = match &self.name {
            Some(name) => Target::host(["admin", "hubs", name, "limits"]),
            None => Target::host(["admin", "limits"]),
        };
        let answer = client.get(&target)?.success(|| unknown(&client))?;
        if self.connection.json {
            return print(answer.text);
        }
        let mut rows = table(["LIMIT", "VALUE", "UNIT", "THEN", "WHAT"]);
        for limit in answer.parse::<Vec<LimitBody>>()? {
            let own = if limit.value == limit.default { "" } else { " (changed)" };
            rows.add_row([limit.name, format!("{}{own}", limit.value), limit.unit, limit.then, limit.what]);
        }
        print_table(rows)
    }
}

impl SetLimit {
    pub fn run(self) -> Result<(), CliError> {
        let (limit, value) = (self.limit.as_str(), self.value);
        let change = match value {
            NewValue::Default => json!({ "limits": { limit: null } }),
            NewValue::Own(value) => json!({ "limits": { limit: value } }),
        };
        tell(&self.connection, &self.name, &change, || match value {
            NewValue::Default => format!("The limit {limit} of the task hub '{}' is that of the host.", self.name),
            NewValue::Own(value) => format!("The limit {limit} of the task hub '{}' is {value}.", self.name),
        })
    }
}
