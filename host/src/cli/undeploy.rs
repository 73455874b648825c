use clap::Args;
use serde::Deserialize;

use super::client::{Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::output::print;
use super::versions::no_app;

/// Remove an app with all of its versions.
///
/// Refused while it has entities or orchestrations that have not ended. Orchestrations that have ended keep their histories until
/// `dacapo purge-history` removes them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo undeploy orders
  dacapo undeploy orders --with-instances --yes")]
pub(super) struct Undeploy {
    /// The app.
    app: String,
    /// Terminate the orchestrations that run on it, and purge its entities.
    #[arg(long)]
    with_instances: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Undeployed {
    removed: Vec<String>,
    terminated: u64,
    entities_purged: u64,
}

impl Undeploy {
    pub fn run(self) -> Result<(), CliError> {
        let (client, app) = (self.connection.client(), self.app.as_str());
        let question = match self.with_instances {
            true => format!("Remove the app '{app}', terminate all that runs on it and purge its entities?"),
            false => format!("Remove the app '{app}' with all of its versions?"),
        };
        self.confirmation.ask(&question)?;
        let target = Target::host(["admin", "apps", app]).with_some("withInstances", self.with_instances.then_some(true));
        let answer = client.delete(&target)?.success(|| no_app(app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let Undeployed { removed, terminated, entities_purged } = answer.parse()?;
        print(format_args!("Removed the app '{app}'. Versions: {}", removed.len()))?;
        if self.with_instances {
            print(format_args!("Orchestrations terminated: {terminated}, entities purged: {entities_purged}"))?;
        }
        Ok(())
    }
}
