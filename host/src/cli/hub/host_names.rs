use clap::Args;
use serde_json::json;

use super::{CliError, Connection, Target, print_done, unknown};

/// Give a task hub a host name: requests that come to the host under it are for this hub, its HTTP triggers and the rest of the API.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub add-host-name acme shop.example.com
  dacapo hub add-host-name acme '*.acme.example.com'
  dacapo hub show acme                                        its host names are at the end
The DNS, or a proxy that passes the name on, must lead to this host. A request under such a name that names another task hub is
refused by the HTTP triggers.")]
pub(in crate::cli) struct AddHostName {
    #[command(flatten)]
    of: HostNameOf,
}

/// Take a host name away from a task hub.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub remove-host-name acme shop.example.com")]
pub(in crate::cli) struct RemoveHostName {
    #[command(flatten)]
    of: HostNameOf,
}

#[derive(Debug, Args)]
struct HostNameOf {
    /// The task hub.
    name: String,
    /// The host name, without a port, as the DNS has it (xn--...). '*' may stand for its first label.
    host_name: String,
    #[command(flatten)]
    connection: Connection,
}

impl AddHostName {
    pub fn run(self) -> Result<(), CliError> {
        let HostNameOf { name, host_name, connection } = &self.of;
        let client = connection.client();
        client.put(&self.of.target())?.success(|| unknown(&client))?;
        let done = json!({ "name": name, "hostName": host_name });
        print_done(connection.json, &done, format_args!("Requests under the name '{host_name}' are for the task hub '{name}'."))
    }
}

impl RemoveHostName {
    pub fn run(self) -> Result<(), CliError> {
        let HostNameOf { name, host_name, connection } = &self.of;
        let client = connection.client();
        client.delete(&self.of.target())?.success(|| unknown(&client))?;
        let done = json!({ "name": name, "hostName": host_name });
        print_done(connection.json, &done, format_args!("The name '{host_name}' is not one of the task hub '{name}' any more."))
    }
}

impl HostNameOf {
    fn target(&self) -> Target {
        Target::host(["admin", "hubs", &self.name, "host-names", &self.host_name])
    }
}
