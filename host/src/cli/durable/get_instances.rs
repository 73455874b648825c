use clap::Args;

use super::filter::Filter;
use super::state::OrchestrationState;
use crate::cli::client::{Connection, Target};
use crate::cli::error::CliError;
use crate::cli::instance::{Instance, Shown};
use crate::cli::output::{print, print_indented};
use crate::cli::pages::PageArguments;

/// List instances, as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable get-instances
  func durable get-instances --created-after 2018-03-10T13:57:31Z --top 15
  func durable get-instances --created-before 2018-03-10T23:59Z
  func durable get-instances --runtime-status running completed
  func durable get-instances --continuation-token TOKEN        what the last listing printed")]
pub(super) struct GetInstances {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    pub connection: Connection,
}

impl GetInstances {
    pub fn run(self) -> Result<(), CliError> {
        let target = self.filter.conditions().apply(Target::management(["instances"]).with("showInput", true));
        let client = self.connection.client();
        let listing = self.pages.fetch(&client, target, || format!("{} lists no instances", client.server()))?;
        if self.connection.json {
            listing.print_json()?;
            listing.note_continuation();
            return Ok(());
        }
        let instances: Vec<Instance> = listing.parse()?;
        let shown = Shown { input: true, output: true };
        print_indented(&instances.iter().map(|instance| OrchestrationState::new(instance, shown)).collect::<Vec<_>>())?;
        print(format_args!("Continuation token for next set of results: '{}'", listing.continuation().unwrap_or_default()))
    }
}
