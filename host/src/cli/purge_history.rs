use clap::Args;
use serde::Deserialize;

use super::client::{Client, Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::filter::{BEGINNING, CONDITIONS, Filter};
use super::output::print;

/// Delete every trace of finished instances: one, or all that match.
///
/// With an id: that instance, which must have ended, or an entity and its state. Without an id: all instances that have ended
/// and match the conditions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo purge-history order-17
  dacapo purge-history --created-before 30d --runtime-status completed
  dacapo purge-history --created-after 2026-01-01 --created-before 2026-02-01 --yes")]
pub(super) struct PurgeHistory {
    /// The id of the one instance to purge.
    #[arg(value_name = "ID", conflicts_with_all = CONDITIONS)]
    positional_id: Option<String>,
    /// The id of the one instance to purge, as an option.
    #[arg(long, conflicts_with = "positional_id", conflicts_with_all = CONDITIONS)]
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Purged {
    pub instances_deleted: u64,
}

impl PurgeHistory {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let (text, sentence) = match self.id.as_deref().or(self.positional_id.as_deref()) {
            Some(id) => {
                self.confirmation.ask(&format!("Purge the instance '{id}' with its whole history?"))?;
                let answer = client.delete(&Target::instance(id, []))?.about_instance(id)?;
                (answer.text, format!("Purged orchestration history for instance '{id}'"))
            }
            None => {
                let meant = self.filter.meant();
                self.confirmation.ask(&format!("Purge the finished instances {meant} with their whole history?"))?;
                (purge_all(&client, &self.filter)?, format!("Purged orchestration history for all instances {meant}"))
            }
        };
        if self.connection.json {
            return print(text);
        }
        let purged: Purged = serde_json::from_str(&text).map_err(anyhow::Error::from)?;
        print(sentence)?;
        print(format_args!("Instances deleted: {}", purged.instances_deleted))
    }
}

/// Purges all finished instances that match. Returns the host's JSON, of a [`Purged`].
pub(super) fn purge_all(client: &Client, filter: &Filter) -> Result<String, CliError> {
    let target = filter.apply(Target::management(["instances"]));
    let target = match filter.created_after {
        Some(_) => target,
        None => target.with("createdTimeFrom", BEGINNING),
    };
    let answer = client.delete(&target)?;
    // The contract has a 404 for this.
    if answer.status == 404 && answer.reason().is_none() {
        return Ok(r#"{"instancesDeleted":0}"#.into());
    }
    Ok(answer.success(|| format!("{} purges nothing", client.server()))?.text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        purge: PurgeHistory,
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(Line::try_parse_from(line.split(' ')).unwrap().purge.filter.meant(), expected);
    }

    #[test]
    fn what_is_meant_is_said() {
        check("p", "of the task hub");
        check(
            "p --created-after 2026-01-31 --created-before 2026-02-01T12:00",
            "created between '2026-01-31 00:00:00' and '2026-02-01 12:00:00'",
        );
        check(
            "p --created-before 2026-01-31 --runtime-status Failed,Completed",
            "created before '2026-01-31 00:00:00' and whose runtime status matched one of the following: [Failed, Completed]",
        );
        check("p --runtime-status Failed Terminated", "whose runtime status matched one of the following: [Failed, Terminated]");
        check("p --id-prefix order-", "whose id begins with 'order-'");
        check("p --function-name order --version 2.0", "of the function 'order' and on the version '2.0'");
    }

    #[test]
    fn an_id_stands_without_conditions() {
        for wrong in ["p i --created-after 2d", "p --id i --runtime-status failed", "p i --id i"] {
            assert!(Line::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
