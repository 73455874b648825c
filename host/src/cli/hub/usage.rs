use clap::Args;

use super::{CliError, Connection, Target, local_time, print, print_table, properties, table, unknown};
use crate::api::Bill;
use crate::cli::times::seconds_of;

/// Show what a task hub has used since it was created, by function, and how much it stores.
///
/// Fuel is about one unit for each wasm instruction. Activity time is the time for which activities ran,
/// whether they computed or waited. Needs a key with the role `read`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub usage acme
  dacapo hub usage acme --json | jq '[.functions[].fuel] | add'
  curl -H \"Authorization: Bearer $DACAPO_KEY\" http://127.0.0.1:7071/metrics     all task hubs, for Prometheus")]
pub(in crate::cli) struct Usage {
    /// The task hub.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

impl Usage {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = client.get(&Target::host(["admin", "hubs", &self.name, "usage"]))?.success(|| unknown(&client))?;
        if self.connection.json {
            return print(answer.text);
        }
        let usage: Bill = answer.parse()?;
        let mut rows = properties();
        rows.add_row(["Since".into(), local_time(&usage.since)]);
        rows.add_row(["Storage".into(), format!("{} bytes", usage.storage_bytes)]);
        let instances = usage.instances.map_or_else(|| "not counted: the task hub is closed".into(), |count| count.to_string());
        rows.add_row(["Instances".into(), instances]);
        rows.add_row(["In memory", if usage.open { "yes" } else { "no" }]);
        rows.add_row(["Requests".into(), format!("{}, of which {} were throttled", usage.requests, usage.throttled)]);
        let (sent, received) = (usage.outbound_bytes_out, usage.outbound_bytes_in);
        rows.add_row(["Outgoing HTTP".into(), format!("{sent} bytes sent, {received} received")]);
        print_table(rows)?;
        if usage.functions.is_empty() {
            return Ok(());
        }
        let mut rows = table([
            "FUNCTION",
            "KIND",
            "EXECUTIONS",
            "FAILURES",
            "TURNS",
            "REPLAYED",
            "FUEL",
            "ACTIVITY TIME",
            "BYTES IN",
            "BYTES OUT",
        ]);
        for function in usage.functions {
            rows.add_row([
                function.name,
                function.kind,
                function.executions.to_string(),
                function.failures.to_string(),
                function.turns.to_string(),
                function.replayed_events.to_string(),
                function.fuel.to_string(),
                seconds_of(function.activity_micros),
                function.bytes_in.to_string(),
                function.bytes_out.to_string(),
            ]);
        }
        print("")?;
        print_table(rows)
    }
}
