use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::instance::IdArgument;
use super::output::{flat, print, print_table, short, table};
use super::times::{local_time, local_time_millis};

/// Show what has happened in an instance, event by event.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo get-history order-17
  dacapo get-history --id order-17 --json | jq '.[] | select(.EventType == \"TaskFailed\")'")]
pub(super) struct GetHistory {
    #[command(flatten)]
    instance: IdArgument,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct WithHistory {
    /// Missing while the instance is pending.
    #[serde(rename = "historyEvents")]
    events: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_type: String,
    timestamp: String,
    function_name: Option<String>,
    name: Option<String>,
    instance_id: Option<String>,
    fire_at: Option<String>,
    orchestration_status: Option<String>,
    reason: Option<String>,
    input: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
}

impl GetHistory {
    pub fn run(self) -> Result<(), CliError> {
        let events = history_events(&self.connection.client(), self.instance.id())?;
        if self.connection.json {
            return print(events);
        }
        let entries: Vec<Entry> = serde_json::from_str(&events).map_err(anyhow::Error::from)?;
        let mut rows = table(["TIME", "EVENT", "NAME", "DETAIL"]);
        for entry in &entries {
            rows.add_row([local_time_millis(&entry.timestamp), entry.event_type.clone(), entry.shown_name(), entry.detail()]);
        }
        print_table(rows)
    }
}

/// The events of a status query, in the host's own JSON.
pub(super) fn history_events(client: &Client, id: &str) -> Result<String, CliError> {
    let target = Target::instance(id, []).with("showHistory", true).with("showHistoryOutput", true);
    let events = client.get(&target)?.about_instance(id)?.parse::<WithHistory>()?.events;
    Ok(events.as_deref().map_or("[]", RawValue::get).to_owned())
}

impl Entry {
    fn shown_name(&self) -> String {
        let name = [&self.function_name, &self.name, &self.orchestration_status].into_iter().flatten().next();
        name.map(|name| short(name)).unwrap_or_default()
    }

    /// The outcome of the event, or else its input.
    fn detail(&self) -> String {
        let payload = |payload: &Option<Box<RawValue>>| payload.as_deref().map(|payload| flat(payload.get()));
        let instance = self.instance_id.as_ref().map(|id| format!("instance {id}"));
        let fire_at = self.fire_at.as_ref().map(|time| format!("at {}", local_time(time)));
        let outcome = self.reason.as_deref().map(flat).or(payload(&self.result)).or(payload(&self.input));
        [instance, fire_at, outcome].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
