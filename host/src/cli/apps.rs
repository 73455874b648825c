use clap::Args;
use serde::Deserialize;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{Table, print, print_table, table};
use crate::triggers::StartedBy;

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
#[serde(rename_all = "camelCase")]
pub(super) struct App {
    pub app: String,
    pub version: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub task_hub: String,
    pub functions: Vec<Function>,
    #[serde(default)]
    pub changed: bool,
    #[serde(default)]
    pub active: bool,
    pub former_label: Option<String>,
    pub label_taken_from: Option<String>,
    #[serde(default)]
    pub new_starts: Vec<Share>,
}

/// A version's share of the new starts.
#[derive(Debug, Deserialize)]
pub(super) struct Share {
    version: String,
    label: String,
    percent: f64,
}

/// A sentence that says how new starts are shared among versions.
pub(super) fn shared_out(shares: &[Share]) -> String {
    let share = |Share { version, label, percent }: &Share| {
        let name = if label.is_empty() { version.get(..12).unwrap_or(version) } else { label };
        let is_whole = (percent - percent.round()).abs() < 0.05;
        if is_whole { format!("{percent:.0} % for {name}") } else { format!("{percent:.1} % for {name}") }
    };
    match shares {
        [Share { version, label, .. }] if label.is_empty() => format!("New starts: all for {:.12}.", version),
        [Share { label, .. }] => format!("New starts: all for {label}."),
        shares => format!("New starts: {}.", shares.iter().map(share).collect::<Vec<_>>().join(", ")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function {
    pub name: String,
    pub kind: String,
    /// Of a trigger; none from a host of an earlier release.
    #[serde(default)]
    pub started_by: Option<StartedBy>,
    #[serde(default)]
    pub disabled: bool,
}

impl Function {
    /// What starts it, on a host at this address; of what orchestrations call, nothing.
    pub fn started_by(&self, server: &str) -> String {
        let text = self.started_by.as_ref().map_or_else(String::new, |started_by| started_by.text(server));
        if self.disabled { format!("{text} (disabled)") } else { text }
    }
}

impl App {
    /// Its functions, and what starts them, on a host at this address.
    pub fn functions_table(&self, server: &str) -> Table {
        let mut functions = table(["FUNCTION", "KIND", "STARTED BY"]);
        let row = |function: &Function| [function.name.clone(), function.kind.clone(), function.started_by(server)];
        functions.add_rows(self.functions.iter().map(row));
        functions
    }

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
        let mut rows = table(["APP", "VERSION", "LABEL", "FUNCTION", "KIND", "STARTED BY"]);
        for app in &apps {
            for function in &app.functions {
                let started_by = function.started_by(client.server());
                rows.add_row([&app.app, app.short_version(), &app.label, &function.name, &function.kind, &started_by]);
            }
        }
        print_table(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_who_gets_new_starts() {
        let share = |label: &str, percent| Share { version: "ab".repeat(32), label: label.into(), percent };
        assert_eq!(shared_out(&[share("1.0", 100.0)]), "New starts: all for 1.0.");
        assert_eq!(shared_out(&[share("", 100.0)]), "New starts: all for abababababab.");
        let shares = [share("1.0", 9.0), share("", 80.5), share("3.0", 10.51)];
        assert_eq!(shared_out(&shares), "New starts: 9 % for 1.0, 80.5 % for abababababab, 10.5 % for 3.0.");
    }
}
