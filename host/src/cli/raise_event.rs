use clap::Args;
use serde_json::json;

use super::client::{Connection, Target};
use super::error::CliError;
use super::input;
use super::output::print_done;

/// Raise an external event for an instance.
///
/// If the instance does not wait for the event yet, it is kept; events keep their order.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo raise-event order-17 Approval --event-data true
  dacapo raise-event --id order-17 --event-name Approval --event-data @approval.json")]
pub(super) struct RaiseEvent {
    /// The id of the instance.
    #[arg(value_name = "ID", required_unless_present = "id")]
    positional_id: Option<String>,
    /// The name of the event.
    #[arg(value_name = "EVENT", required_unless_present = "event_name")]
    positional_name: Option<String>,
    /// The id of the instance, as an option.
    #[arg(long, requires = "event_name", conflicts_with = "positional_id")]
    id: Option<String>,
    /// The name of the event, as an option.
    #[arg(long, value_name = "EVENT", conflicts_with = "positional_name")]
    event_name: Option<String>,
    /// The data of the event: JSON, @FILE, or - for standard input [default: null].
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    event_data: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl RaiseEvent {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.id.or(self.positional_id).expect("clap requires one of the two");
        let name = self.event_name.or(self.positional_name).expect("clap requires one of the two");
        let data = self.event_data.map(|data| input::json("event-data", &data)).transpose()?;
        let target = Target::instance(&id, ["raiseEvent", name.as_str()]);
        self.connection.client().post_json(&target, data.as_deref().unwrap_or("null"))?.about_instance(&id)?;
        let done = json!({ "instanceId": id, "eventName": name });
        print_done(self.connection.json, &done, format_args!("Raised event '{name}' to instance '{id}'."))
    }
}
