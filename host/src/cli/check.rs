use std::path::PathBuf;

use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::gate;
use super::output::print;

/// Replay the histories of running instances against new code, without changing anything.
///
/// Shows which instances would diverge, at which event of their history, what is recorded there and what the new code does.
/// Exit code 1 if there are any.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo check target/wasm32-unknown-unknown/release/orders.wasm
  dacapo check orders.wasm --app orders --sample 1000
  dacapo check --app orders --version 2.0 --json")]
pub(super) struct Check {
    /// The file to check.
    #[arg(value_name = "APP.wasm", required_unless_present = "version", conflicts_with = "version")]
    file: Option<PathBuf>,
    /// The name of the app [default: the name of the file without its extension].
    #[arg(long, required_unless_present = "file")]
    app: Option<String>,
    /// A deployed version instead of a file: a label, or six digits or more of a digest.
    #[arg(long)]
    version: Option<String>,
    /// The most instances to replay, always the same ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

impl Check {
    pub fn run(self) -> Result<(), CliError> {
        let bytes = match &self.file {
            Some(file) => std::fs::read(file).map_err(|why| CliError::file("reading", file, &why))?,
            None => Vec::new(),
        };
        let app = self.app.or_else(|| self.file.as_deref().and_then(app_of)).unwrap_or_default();
        let target = Target::host(["admin", "apps", app.as_str(), "check"]);
        let target = target.with_some("version", self.version).with_some("sample", self.sample);
        let totals = gate::follow(&self.connection.client(), &target, &bytes, self.connection.json)?;
        let (failed, of) = (totals.failed(), totals.instances());
        if failed > 0 {
            return Err(CliError::Failed(format!("{failed} of {of} instances would not go on with this code")));
        }
        if !self.connection.json {
            print(format_args!("All {of} instances would go on with this code ({}).", totals.speed()))?;
        }
        Ok(())
    }
}

/// The name of a file's app, unless an option or a manifest says otherwise.
pub(super) fn app_of(file: &std::path::Path) -> Option<String> {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}
