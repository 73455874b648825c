use clap::Args;

use super::apps::App;
use super::client::{Connection, Target};
use super::error::CliError;
use super::output::print;
use super::versions::{Version, fetch, no_app};

/// Let all new starts go to an earlier version of an app, or to any other.
///
/// Running instances stay on their versions: `dacapo migrate` moves them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo rollback orders
  dacapo rollback orders 2.0")]
pub(super) struct Rollback {
    /// The app.
    app: String,
    /// The version: a label, or six digits or more of a digest [default: the one deployed before the active one].
    version: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Rollback {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let version = match self.version {
            Some(version) => version,
            None => before_active(&fetch(&client, &self.app)?.versions).ok_or_else(|| {
                CliError::WrongState(format!("no version of '{}' was deployed before the active one", self.app))
            })?,
        };
        let target = Target::host(["admin", "apps", self.app.as_str(), "activate"]).with("version", version);
        let answer = client.post(&target)?.success(|| no_app(&self.app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let app: App = answer.parse()?;
        let news = if app.changed { "is the active version now" } else { "was the active version already" };
        print(format_args!("App '{}': version {} {news}.", app.app, app.short_version()))
    }
}

/// The version that was deployed last before the active one. They come in the order of their deployment.
fn before_active(versions: &[Version]) -> Option<String> {
    let active = versions.iter().position(|version| version.active)?;
    Some(versions[active.checked_sub(1)?].version.clone())
}
