use clap::Args;
use serde::Deserialize;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{print, print_table, table};
use super::times::local_time;

/// List the versions of an app, and how many instances run on each.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo versions orders
  dacapo versions orders --json | jq '.versions[] | select(.active)'")]
pub(super) struct Versions {
    /// The app.
    app: String,
    #[command(flatten)]
    connection: Connection,
}

/// The versions of an app, as the host shows them.
#[derive(Debug, Deserialize)]
pub(super) struct VersionList {
    pub versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub version: String,
    pub label: String,
    pub deployed_at: String,
    pub active: bool,
    pub weight: u32,
    pub instances: u64,
}

impl Versions {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = client.get(&target(&self.app))?.success(|| no_app(&self.app))?;
        match self.connection.json {
            true => print(answer.text),
            false => show(&answer.parse()?),
        }
    }
}

pub(super) fn target(app: &str) -> Target {
    Target::host(["admin", "apps", app])
}

pub(super) fn no_app(app: &str) -> String {
    format!("no app '{app}' is deployed; `dacapo apps` lists those that are")
}

pub(super) fn show(list: &VersionList) -> Result<(), CliError> {
    let total: u64 = list.versions.iter().map(|version| u64::from(version.weight)).sum();
    let mut rows = table(["VERSION", "LABEL", "DEPLOYED", "NEW STARTS", "INSTANCES", ""]);
    for version in &list.versions {
        let share = match (total, version.active) {
            (0, true) => "all".to_owned(),
            (0, false) => String::new(),
            (total, _) => format!("{:.0} %", f64::from(version.weight) * 100.0 / total as f64),
        };
        rows.add_row([
            version.short(),
            &version.label,
            &local_time(&version.deployed_at),
            &share,
            &version.instances.to_string(),
            if version.active { "active" } else { "" },
        ]);
    }
    print_table(rows)
}

impl Version {
    /// Enough of the digest to tell versions apart.
    pub fn short(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}
