use clap::Args;

use super::client::Connection;
use super::error::CliError;
use super::instance::Instance;
use super::output::{print, print_table, status_cell, table};
use super::waiting::{WaitTimeout, together, wait_for, wait_for_output};

/// Wait for the end of one or several orchestrations.
///
/// For one it prints the output, for several a table; with --json the host's JSON, or an array of it.
/// On a terminal the time, the status and the custom status are shown meanwhile. Ctrl-C ends only the waiting.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo wait order-17
  dacapo wait order-17 order-18 --timeout 60 || echo 'not all of them'
  result=$(dacapo wait order-17 --json | jq .output)

Exit code 6 means that one did not complete: it failed, was terminated, is halted, or the wait timed out.")]
pub(super) struct Wait {
    /// The ids of the instances.
    #[arg(value_name = "ID", required_unless_present = "options")]
    ids: Vec<String>,
    /// The id of an instance, as an option. May be repeated.
    #[arg(long = "id", value_name = "ID", id = "options")]
    options: Vec<String>,
    /// Wait at most this many seconds [default: for ever].
    #[arg(long, value_name = "SECONDS", value_parser = WaitTimeout::parse)]
    timeout: Option<WaitTimeout>,
    #[command(flatten)]
    connection: Connection,
}

impl Wait {
    pub fn run(self) -> Result<(), CliError> {
        let ids = [self.ids, self.options].concat();
        let patience = self.timeout.unwrap_or(WaitTimeout::Forever);
        if let [id] = &ids[..] {
            return wait_for_output(&self.connection, id, patience);
        }
        let ends = wait_for(&self.connection.client(), &ids, patience, !self.connection.json);
        if self.connection.json {
            // An instance without a state is null, so that the order is that of the ids.
            let states: Vec<&str> = ends.iter().map(|end| end.as_ref().map_or("null", |waited| waited.text.as_str())).collect();
            print(format_args!("[{}]", states.join(",")))?;
        } else {
            print_ends(ends.iter().flatten().map(|waited| &waited.instance))?;
        }
        together(ends.into_iter().filter_map(|end| end.and_then(|waited| waited.instance.verdict()).err()).collect())
    }
}

fn print_ends<'a>(instances: impl Iterator<Item = &'a Instance>) -> Result<(), CliError> {
    let mut rows = table(["INSTANCE", "STATUS", "OUTPUT"]);
    for instance in instances {
        let output = instance.detail();
        rows.add_row([instance.instance_id.as_str().into(), status_cell(&instance.runtime_status), output.into()]);
    }
    print_table(rows)
}
