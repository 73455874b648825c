use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::instance::IdArgument;
use super::output::{print, print_table, properties};
use super::times::seconds_of;
use crate::api::Receipt;

/// Show what an instance has cost since it was started.
///
/// Fuel is about one unit for each wasm instruction, replays included. Activity time is the time for which activities ran,
/// whether they computed or waited. `dacapo hub usage` shows the sums of a task hub.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-receipt order-17
  dacapo get-receipt --id order-17 --json | jq .fuel")]
pub(super) struct GetReceipt {
    #[command(flatten)]
    instance: IdArgument,
    #[command(flatten)]
    connection: Connection,
}

impl GetReceipt {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        let answer = self.connection.client().get(&Target::instance(id, ["receipt"]))?.about_instance(id)?;
        if self.connection.json {
            return print(answer.text);
        }
        let receipt: Receipt = answer.parse()?;
        let mut rows = properties();
        rows.add_row(["Name", &receipt.name]);
        for (what, count) in [
            ("Turns", receipt.turns),
            ("Replayed events", receipt.replayed_events),
            ("Fuel", receipt.fuel),
            ("Operations", receipt.operations),
            ("Activities", receipt.activities),
        ] {
            rows.add_row([what, &count.to_string()]);
        }
        rows.add_row(["Activity time", &seconds_of(receipt.activity_micros)]);
        rows.add_row(["Bytes in", &receipt.bytes_in.to_string()]);
        rows.add_row(["Bytes out", &receipt.bytes_out.to_string()]);
        print_table(rows)
    }
}
