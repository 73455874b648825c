use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{note, print};
use crate::printable::printable;

/// Write an instance, or the whole task hub, to a file that another host can import.
///
/// The file holds a consistent snapshot of each instance; the host keeps running. To move an instance, suspend it
/// first, and terminate it here once it is imported there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo export order-17 -o order-17.jsonl --with-modules
  dacapo export --hub -o hub.jsonl
  dacapo export order-17 -o - | jq -r 'select(.kind == \"turn\").events[]'")]
pub(super) struct Export {
    /// The id of the instance.
    #[arg(value_name = "ID", required_unless_present = "hub", conflicts_with = "hub")]
    id: Option<String>,
    /// All instances and all versions of the task hub.
    #[arg(long)]
    hub: bool,
    /// The file to write; - for standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Include the deployed file that the instance runs on, for a host that does not have it.
    #[arg(long)]
    with_modules: bool,
    /// Leave out the deployed files of the task hub, for a host that has them.
    #[arg(long, requires = "hub", conflicts_with = "with_modules")]
    without_modules: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Export {
    pub fn run(self) -> Result<(), CliError> {
        let target = match &self.id {
            Some(id) => Target::host(["admin", "instances", id.as_str(), "export"]),
            None => Target::host(["admin", "export"]),
        };
        let with_modules = self.with_modules || self.hub && !self.without_modules;
        let client = self.connection.client();
        let lines = match client.get_lines(&target.with("withModules", with_modules))? {
            Ok(lines) => lines,
            Err(refusal) => {
                let id = self.id.as_deref().unwrap_or_default();
                refusal.about_instance(id)?;
                return Err(CliError::Failed("the host did not respond with an export".into()));
            }
        };
        let to_stdout = self.output.as_os_str() == "-";
        let to_terminal = to_stdout && std::io::stdout().is_terminal();
        let mut output: Box<dyn Write> = match to_stdout {
            true => Box::new(std::io::stdout().lock()),
            false => Box::new(File::create(&self.output).map_err(|why| CliError::file("writing", &self.output, &why))?),
        };
        let mut output = BufWriter::new(&mut output);
        let mut last = String::new();
        for line in lines.lines() {
            last = line.map_err(|why| CliError::Failed(format!("the host broke off its response: {why}")))?;
            let shown = if to_terminal { printable(&last) } else { Cow::Borrowed(last.as_str()) };
            writeln!(output, "{shown}")?;
        }
        output.flush()?;
        let instances = match serde_json::from_str(&last) {
            Ok(crate::export::Line::Done { instances }) => instances,
            _ => return Err(CliError::Failed("the host broke off its response: the file is not complete".into())),
        };
        match (to_stdout, self.connection.json) {
            // Standard output holds only the lines.
            (true, _) => Ok(()),
            (false, true) => print(serde_json::json!({ "instances": instances })),
            (false, false) => {
                note(format_args!("Instances written: {instances}"));
                Ok(())
            }
        }
    }
}
