use clap::Args;
use dacapo_wasm::Finding;
use serde::Deserialize;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{print, print_table, table};

/// List the deployed apps and their functions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo apps
  dacapo apps --json | jq -r '.[].functions[].name'")]
pub(super) struct Apps {
    #[command(flatten)]
    connection: Connection,
}

/// An app's version, as the host shows it.
#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub app: String,
    pub version: String,
    #[serde(default)]
    pub label: String,
    pub functions: Vec<Function>,
    #[serde(default)]
    pub changed: bool,
    #[serde(default)]
    pub active: bool,
    #[serde(default)]
    pub report: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub name: String,
    pub kind: String,
}

impl App {
    /// Enough of the digest to tell versions apart.
    pub fn short_version(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}

impl Apps {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = client.get(&Target::host(["admin", "apps"]))?.success(|| format!("{} lists no apps", client.server()))?;
        if self.connection.json {
            return print(answer.text);
        }
        let apps: Vec<App> = answer.parse()?;
        if apps.is_empty() {
            return print("No app is deployed yet: `dacapo deploy APP.wasm` deploys one.");
        }
        let mut rows = table(["APP", "VERSION", "LABEL", "FUNCTION", "KIND"]);
        for app in &apps {
            for function in &app.functions {
                rows.add_row([&app.app, app.short_version(), &app.label, &function.name, &function.kind]);
            }
        }
        print_table(rows)
    }
}
