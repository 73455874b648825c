use chrono::Utc;
use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::filter::Filter;
use super::instance::{Instance, instance_table};
use super::output::{print, print_table};
use super::pages::PageArguments;

/// List instances.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-instances
  dacapo get-instances --runtime-status failed terminated --created-after 2026-01-31
  dacapo get-instances --created-after 2h --all
  dacapo get-instances --function-name order --version 2.0
  dacapo get-instances --id-prefix order- --top 100 --json")]
pub(super) struct GetInstances {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    connection: Connection,
}

impl GetInstances {
    pub fn run(self) -> Result<(), CliError> {
        let target = Target::management(["instances"]).with("showInput", self.connection.json);
        let client = self.connection.client();
        let missing = || format!("{} lists no instances", client.server());
        let listing = self.pages.fetch(&client, self.filter.apply(target), missing)?;
        if self.connection.json {
            listing.print_json()?;
        } else {
            let instances: Vec<Instance> = listing.parse()?;
            match instances.is_empty() {
                true => print("No instances.")?,
                false => print_table(instance_table(&instances, Utc::now()))?,
            }
        }
        listing.note_continuation();
        Ok(())
    }
}
