use clap::Args;
use serde_json::json;

use crate::cli::client::Connection;
use crate::cli::confirm::Confirmation;
use crate::cli::error::CliError;
use crate::cli::hub;
use crate::cli::output::print_done;

/// Delete a task hub of a running host, with its instances, apps, keys and secrets.
///
/// This needs an administrator's key of the host. Without a running host, `dacapo delete-task-hub` does it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable delete-task-hub --task-hub-name UserTest
  func durable delete-task-hub --yes                  the one of host.json")]
pub(super) struct DeleteTaskHub {
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    pub connection: Connection,
}

impl DeleteTaskHub {
    pub fn run(self) -> Result<(), CliError> {
        let Some(name) = &self.connection.task_hub_name else {
            let why = "which task hub? --task-hub-name names it, or host.json in the working directory: \
                       {\"version\": \"2.0\", \"extensions\": {\"durableTask\": {\"hubName\": \"NAME\"}}}";
            return Err(CliError::Usage(why.into()));
        };
        self.confirmation.ask(&format!("Delete the task hub '{name}' with its instances, apps, keys and secrets?"))?;
        hub::delete(&self.connection.client(), name)?;
        print_done(self.connection.json, &json!({ "name": name }), format_args!("Task hub '{name}' successfully deleted."))
    }
}
