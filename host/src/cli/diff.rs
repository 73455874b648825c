use clap::Args;
use serde::Deserialize;

use super::apps::Function;
use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{print, print_table, table};
use super::versions::no_app;

/// Show what has changed from one version of an app to another: functions and imports.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo diff orders 2.0 2.1
  dacapo diff orders 3fa9c2 71be00 --json")]
pub(super) struct Diff {
    /// The app.
    app: String,
    /// The version before: a label, or six digits or more of a digest.
    from: String,
    /// The version after.
    to: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Difference {
    functions: Functions,
    imports: Imports,
}

#[derive(Debug, Deserialize)]
struct Functions {
    added: Vec<Function>,
    removed: Vec<Function>,
    changed: Vec<Changed>,
}

#[derive(Debug, Deserialize)]
struct Changed {
    name: String,
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
struct Imports {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Diff {
    pub fn run(self) -> Result<(), CliError> {
        let target = Target::host(["admin", "apps", self.app.as_str(), "diff"]).with("from", &self.from).with("to", &self.to);
        let answer = self.connection.client().get(&target)?.success(|| no_app(&self.app))?;
        if self.connection.json {
            return print(answer.text);
        }
        let Difference { functions, imports } = answer.parse()?;
        let mut rows = table(["", "WHAT", "NAME"]);
        for (sign, functions) in [("+", &functions.added), ("-", &functions.removed)] {
            rows.add_rows(functions.iter().map(|function| [sign, &function.kind, &function.name]));
        }
        for Changed { name, from, to } in &functions.changed {
            rows.add_row(["~".to_owned(), format!("{from} -> {to}"), name.clone()]);
        }
        for (sign, imports) in [("+", &imports.added), ("-", &imports.removed)] {
            rows.add_rows(imports.iter().map(|import| [sign, "import", import]));
        }
        match rows.row_count() {
            0 => print("Functions and imports are the same."),
            _ => print_table(rows),
        }
    }
}
