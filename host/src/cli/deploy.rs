use std::path::PathBuf;

use clap::Args;
use dacapo_wasm::{Finding, Manifest};

use super::apps::App;
use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{note, print, print_table, table};

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
    /// The name of the app [default: that of its manifest, or the name of the file without its extension].
    #[arg(long)]
    name: Option<String>,
    /// What people call this version [default: the version of its manifest].
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Deploy {
    pub fn run(self) -> Result<(), CliError> {
        let bytes = std::fs::read(&self.file).map_err(|why| CliError::file("reading", &self.file, &why))?;
        // What is wrong with a manifest the host says.
        let own = Manifest::read(&bytes).ok().flatten().and_then(|manifest| manifest.name);
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.or(own).or(stem).unwrap_or_default();
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
        print_table(functions)?;
        for line in noted(&app.report) {
            note(line);
        }
        Ok(())
    }
}

/// The determinism report, a line for each interface.
fn noted(report: &[Finding]) -> Vec<String> {
    let of_interfaces = report.chunk_by(|one, other| one.interface == other.interface && one.what == other.what);
    let line = |findings: &[Finding]| {
        let functions: Vec<String> = findings.iter().map(with_callers).collect();
        format!("note: it imports {}: {} ({})", findings[0].interface, findings[0].what, functions.join(", "))
    };
    of_interfaces.map(line).collect()
}

fn with_callers(finding: &Finding) -> String {
    let function = finding.function.split_once(']').map_or(finding.function.as_str(), |(_, name)| name);
    match finding.called_by.as_slice() {
        [] => function.to_owned(),
        callers => format!("{function}, called by {}", callers.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_a_line_for_each_interface() {
        let finding = |interface: &str, function: &str, called_by: &[&str]| Finding {
            interface: interface.into(),
            function: function.into(),
            what: "it traps".into(),
            called_by: called_by.iter().map(ToString::to_string).collect(),
        };
        let report = [
            finding("wasi:http/types", "[method]fields.append", &[]),
            finding("wasi:http/types", "send", &["f", "g"]),
            finding("x", "y", &[]),
        ];
        let expected = [
            "note: it imports wasi:http/types: it traps (fields.append, send, called by f and g)",
            "note: it imports x: it traps (y)",
        ];
        assert_eq!(noted(&report), expected);
    }
}
