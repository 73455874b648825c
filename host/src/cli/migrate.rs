use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::gate;
use super::output::print;

/// Move running instances to another version of their app, as far as their histories allow.
///
/// Each history is replayed against the version first; an instance that would diverge stays on its version. An
/// instance that is halted because its code diverged goes on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo migrate orders --to 2.1 --all
  dacapo migrate orders --to 3fa9c2 --instances order-17 order-18")]
#[group(id = "which", required = true, multiple = false, args = ["instances", "all"])]
pub(super) struct Migrate {
    /// The app.
    app: String,
    /// The version: a label, or six digits or more of a digest.
    #[arg(long, value_name = "VERSION")]
    to: String,
    /// Only these instances.
    #[arg(long, value_name = "ID", num_args = 1..)]
    instances: Vec<String>,
    /// All instances of the app.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Migrate {
    pub fn run(self) -> Result<(), CliError> {
        let target = Target::host(["admin", "apps", self.app.as_str(), "migrate"]).with("version", &self.to);
        let body = match self.all {
            true => String::new(),
            false => serde_json::json!({ "instances": self.instances }).to_string(),
        };
        let totals = gate::follow(&self.connection.client(), &target, body.as_bytes(), self.connection.json)?;
        if !self.connection.json {
            print(format_args!("{} of {} instances run on version {} now.", totals.migrated, totals.instances(), self.to))?;
        }
        match totals.failed() {
            0 => Ok(()),
            failed => Err(CliError::Failed(format!("{failed} instances stay on their version"))),
        }
    }
}
