use clap::Args;

use super::filter::Filter;
use crate::cli::client::Connection;
use crate::cli::confirm::Confirmation;
use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::cli::purge_history::{Purged, purge_all};

/// Delete every trace of the instances that have ended and match the conditions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable purge-history --created-before 2018-11-14T19:35:00.0000000Z --runtime-status failed
  func durable purge-history --created-before 30d --runtime-status completed terminated --yes
`dacapo purge-history` can also purge one instance.")]
pub(super) struct PurgeHistory {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    pub connection: Connection,
}

impl PurgeHistory {
    pub fn run(self) -> Result<(), CliError> {
        let meant = self.filter.meant();
        self.confirmation.ask(&format!("Purge the finished instances {meant} with their whole history?"))?;
        let text = purge_all(&self.connection.client(), &self.filter.conditions())?;
        if self.connection.json {
            return print(text);
        }
        let purged: Purged = serde_json::from_str(&text).map_err(anyhow::Error::from)?;
        print(format_args!("Purged orchestration history for all instances {meant}"))?;
        print(format_args!("Instances deleted: {}", purged.instances_deleted))
    }
}
