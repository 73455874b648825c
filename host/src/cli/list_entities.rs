use chrono::Utc;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::{print, print_table, short, table};
use super::pages::PageArguments;
use super::times::{self, ago, local_time};

/// List entities.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo list-entities
  dacapo list-entities --entity-name counter --show-state --all
  dacapo list-entities --last-operation-after 2h --json")]
pub(super) struct ListEntities {
    /// Only those of this entity function.
    #[arg(long, value_name = "NAME")]
    entity_name: Option<String>,
    /// Show their states too.
    #[arg(long)]
    show_state: bool,
    /// Only those whose last operation was at this time or later: 2h or 7d (ago), 2026-01-31T12:00 (local time) or
    /// 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    last_operation_after: Option<String>,
    /// Only those whose last operation was at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    last_operation_before: Option<String>,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    entity_id: ListedId,
    last_operation_time: String,
    state: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct ListedId {
    name: String,
    key: String,
}

impl ListEntities {
    pub fn run(self) -> Result<(), CliError> {
        let segments = std::iter::once("entities").chain(self.entity_name.as_deref());
        let target = Target::management(segments)
            .with("fetchState", self.show_state)
            .with_some("lastOperationTimeFrom", self.last_operation_after.as_deref())
            .with_some("lastOperationTimeTo", self.last_operation_before.as_deref());
        let client = self.connection.client();
        let listing = self.pages.fetch(&client, target, || format!("{} lists no entities", client.server()))?;
        match self.connection.json {
            true => listing.print_json()?,
            false => self.print_rows(&listing.parse()?)?,
        }
        listing.note_continuation();
        Ok(())
    }

    fn print_rows(&self, entities: &[Listed]) -> Result<(), CliError> {
        if entities.is_empty() {
            return print("No entities.");
        }
        let now = Utc::now();
        let headers = ["NAME", "KEY", "LAST OPERATION", "", "STATE"];
        let mut rows = table(headers);
        for Listed { entity_id, last_operation_time: time, state } in entities {
            let state = state.as_deref().map(|state| short(state.get())).unwrap_or_default();
            rows.add_row([&entity_id.name, &entity_id.key, &local_time(time), &ago(time, now), &state]);
        }
        if !self.show_state {
            rows.hide_column(headers.len() - 1);
        }
        print_table(rows)
    }
}
