use clap::Args;
use serde::Deserialize;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::print;
use super::versions::no_app;

/// Remove the versions of an app that take no new starts and that no instance needs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo prune orders --dry-run
  dacapo prune orders
  dacapo prune orders --version 1.0")]
pub(super) struct Prune {
    /// The app.
    app: String,
    /// Only this version: a label, or six digits or more of a digest.
    #[arg(long)]
    version: Option<String>,
    /// Only show what would be removed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Pruned {
    removed: Vec<String>,
}

impl Prune {
    pub fn run(self) -> Result<(), CliError> {
        let (client, app) = (self.connection.client(), self.app.as_str());
        let told = |target: Target| target.with_some("dryRun", self.dry_run.then_some(true));
        let answer = match &self.version {
            Some(version) => client.delete(&told(Target::host(["admin", "apps", app, "versions", version])))?,
            None => client.post(&told(Target::host(["admin", "apps", app, "prune"])))?,
        };
        let answer = answer.success(|| no_app(app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let pruned: Pruned = answer.parse()?;
        let (each, all) = if self.dry_run { ("Would remove", "Versions to remove") } else { ("Removed", "Versions removed") };
        pruned.removed.iter().try_for_each(|version| print(format_args!("{each} {}", version.get(..12).unwrap_or(version))))?;
        print(format_args!("{all}: {}", pruned.removed.len()))
    }
}
