use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _, Utc};
use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::instance::Instance;
use super::output::{age, local_time, note, print, print_table, short, status_cell, table};

/// List instances.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-instances
  dacapo get-instances --runtime-status failed terminated --created-after 2026-01-31
  dacapo get-instances --id-prefix order- --top 100 --json")]
pub(super) struct GetInstances {
    /// Only those created at this time or later: 2026-01-31, 2026-01-31T12:00 (local time) or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_after: Option<String>,
    /// Only those created at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_before: Option<String>,
    /// Only those with one of these statuses.
    #[arg(long, value_name = "STATUS", num_args = 1.., value_delimiter = ',', ignore_case = true, value_parser = STATUSES)]
    runtime_status: Vec<String>,
    /// Only those whose id begins so.
    #[arg(long, value_name = "PREFIX")]
    id_prefix: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    top: u32,
    /// Go on where the listing before this one has ended.
    #[arg(long, value_name = "TOKEN")]
    continuation_token: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

const STATUSES: [&str; 8] =
    ["running", "completed", "continuedasnew", "failed", "canceled", "terminated", "pending", "suspended"];

impl GetInstances {
    pub fn run(self) -> Result<(), CliError> {
        let statuses = Some(self.runtime_status.join(",")).filter(|statuses| !statuses.is_empty());
        let target = Target::management(["instances"])
            .with("top", self.top)
            .with("showInput", self.connection.json)
            .with_some("createdTimeFrom", self.created_after)
            .with_some("createdTimeTo", self.created_before)
            .with_some("instanceIdPrefix", self.id_prefix)
            .with_some("runtimeStatus", statuses);
        let client = self.connection.client();
        let answer = client.get_page(&target, self.continuation_token.as_deref())?;
        let answer = answer.success(|| format!("{} lists no instances", client.server()))?;
        let next = answer.continuation.clone();
        match self.connection.json {
            true => print(answer.text)?,
            false => print_rows(&answer.parse::<Vec<Instance>>()?)?,
        }
        if let Some(token) = next {
            note(format_args!("Continuation token for next set of results: '{token}'"));
        }
        Ok(())
    }
}

fn print_rows(instances: &[Instance]) -> Result<(), CliError> {
    if instances.is_empty() {
        return print("No instances.");
    }
    let now = Utc::now();
    let mut rows = table(["INSTANCE", "FUNCTION", "STATUS", "CREATED", "UPDATED", "CUSTOM STATUS"]);
    for instance in instances {
        let custom_status = instance.custom_status.as_deref().map(|status| short(status.get()));
        rows.add_row([
            instance.instance_id.as_str().into(),
            instance.name.as_str().into(),
            status_cell(&instance.runtime_status),
            local_time(&instance.created_time).into(),
            format!("{} ago", age(&instance.last_updated_time, now)).into(),
            custom_status.unwrap_or_default().into(),
        ]);
    }
    print_table(rows)
}

/// Reads a time and writes it in UTC. What names no offset is local, like the times in the tables.
fn time(text: &str) -> Result<String, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(utc(time.to_utc()));
    }
    let text = text.replacen(' ', "T", 1);
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
    let time = time.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0));
    let local = time.and_then(|time| Local.from_local_datetime(&time).earliest());
    local.map(|time| utc(time.to_utc())).ok_or_else(|| "it is not a time such as 2026-01-31T12:00".into())
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sent_in_utc() {
        assert_eq!(time("2026-01-31T12:00:00+02:00").unwrap(), "2026-01-31T10:00:00.000000Z");
        let midnight = Local.with_ymd_and_hms(2026, 1, 31, 0, 0, 0).unwrap();
        for same in ["2026-01-31", "2026-01-31 00:00", "2026-01-31T00:00:00"] {
            assert_eq!(time(same).unwrap(), utc(midnight.to_utc()), "{same}");
        }
        assert!(time("yesterday").is_err());
    }
}
