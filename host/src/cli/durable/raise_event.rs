use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::cli::client::{Connection, Target};
use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::output::print_done;

/// Raise an external event for an instance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable raise-event --id 1234567 --event-name MyEvent --event-data @eventdata.json
  func durable raise-event --id 1234567 --event-name MyOtherEvent --event-data 3
  func durable raise-event --id 1234567 --event-name operation --event-data add   the string \"add\"")]
pub(super) struct RaiseEvent {
    /// The id of the instance.
    #[arg(long)]
    id: String,
    /// The name of the event [default: Event_ and a random number].
    #[arg(long, value_name = "EVENT")]
    event_name: Option<String>,
    /// The data of the event: @FILE with JSON, JSON, or any other text, which is passed as a string [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    event_data: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

impl RaiseEvent {
    pub fn run(self) -> Result<(), CliError> {
        let id = &self.id;
        let name = self.event_name.unwrap_or_else(|| format!("Event_{}", Uuid::new_v4().simple()));
        let data = self.event_data.map(|data| input::json_or_text("event-data", &data)).transpose()?;
        let target = Target::instance(id, ["raiseEvent", name.as_str()]);
        self.connection.client().post_json(&target, data.as_deref().unwrap_or("null"))?.about_instance(id)?;
        let done = json!({ "instanceId": id, "eventName": name });
        print_done(self.connection.json, &done, format_args!("Raised event '{name}' to instance '{id}'."))
    }
}
