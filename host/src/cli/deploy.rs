use std::path::PathBuf;

use clap::Args;

use super::apps::App;
use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{print, print_table, table};

/// Deploy an app: a WebAssembly component, or a core module that follows the contract.
///
/// Each deployment is a version. New orchestrations run on the newest one; running ones stay on theirs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo deploy target/wasm32-unknown-unknown/guest/hello_sequence.wasm
  dacapo deploy app.wasm --name orders --label 2.1")]
pub(super) struct Deploy {
    /// The file to deploy.
    #[arg(value_name = "APP.wasm")]
    file: PathBuf,
    /// The name of the app [default: the name of the file without its extension].
    #[arg(long)]
    name: Option<String>,
    /// What people call this version.
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Deploy {
    pub fn run(self) -> Result<(), CliError> {
        let bytes = std::fs::read(&self.file).map_err(|why| CliError::file("reading", &self.file, &why))?;
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.or(stem).unwrap_or_default();
        let target = Target::host(["admin", "apps", name.as_str()]).with_some("label", self.label);
        let client = self.connection.client();
        let answer =
            client.post_body(&target, "application/wasm", &bytes)?.success(|| format!("{} deploys no apps", client.server()))?;
        if self.connection.json {
            return print(answer.text);
        }
        let app: App = answer.parse()?;
        let news = if app.changed { "is the active version now" } else { "was the active version already" };
        print(format_args!("App '{}': version {} {news}.", app.app, app.short_version()))?;
        let mut functions = table(["FUNCTION", "KIND"]);
        functions.add_rows(app.functions.iter().map(|function| [&function.name, &function.kind]));
        print_table(functions)
    }
}
