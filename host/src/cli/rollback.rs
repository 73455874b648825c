use clap::Args;
use serde::Deserialize;

use super::apps::{App, Share, shared_out};
use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::output::print;
use super::versions::no_app;

/// Take the new starts away from the newest version of an app that gets any, or direct all of them to a given version.
///
/// A version with only a share of the new starts loses it to those that have the rest. If the newest version gets all of them,
/// they go to the one that was active before, never to one that was itself rolled back. Running instances stay on their versions:
/// `dacapo migrate` moves them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo rollback orders
  dacapo rollback orders 2.0")]
pub(super) struct Rollback {
    /// The app.
    app: String,
    /// Direct all new starts to this version: a label, or six digits or more of a digest.
    version: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RolledBack {
    from: Named,
    active: Named,
    /// Absent from hosts of earlier releases.
    #[serde(default)]
    new_starts: Vec<Share>,
}

#[derive(Debug, Deserialize)]
struct Named {
    version: String,
    label: String,
}

impl Rollback {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        match &self.version {
            Some(version) => self.activate(&client, version),
            None => self.roll_back(&client),
        }
    }

    fn activate(&self, client: &Client, version: &str) -> Result<(), CliError> {
        let target = Target::host(["admin", "apps", self.app.as_str(), "activate"]).with("version", version);
        let answer = client.post(&target)?.success(|| no_app(&self.app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let app: App = answer.parse()?;
        let change = if app.changed { "gets all new starts now" } else { "gets all new starts already" };
        print(format_args!("App '{}': version {} {change}.", app.app, named(app.short_version(), &app.label)))
    }

    fn roll_back(&self, client: &Client) -> Result<(), CliError> {
        let target = Target::host(["admin", "apps", self.app.as_str(), "rollback"]);
        let answer = client.post(&target)?.success(|| no_app(&self.app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let RolledBack { from, active, new_starts } = answer.parse()?;
        print(format_args!("App '{}': version {from} gets no new starts any more; {active} is the active version.", self.app))?;
        if new_starts.is_empty() { Ok(()) } else { print(shared_out(&new_starts)) }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&named(self.version.get(..12).unwrap_or(&self.version), &self.label))
    }
}

/// A version, by its label and digits.
pub(super) fn named(digits: &str, label: &str) -> String {
    if label.is_empty() { digits.to_owned() } else { format!("{label} ({digits})") }
}
