use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::client::{Connection, Target};
use super::error::CliError;
use super::hub::unknown;
use super::output::{print, print_done, print_table, table};

/// Set, list and delete the secrets of a task hub. No command shows a secret.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  dacapo secret set api-token --hub acme < token.txt
  dacapo secret list --hub acme
  dacapo secret delete api-token --hub acme")]
pub(super) enum Secret {
    Set(Set),
    List(List),
    Delete(Delete),
}

/// Set a secret, which is read from a file or from standard input. One line break at its end is dropped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo secret set api-token --hub acme < token.txt
  pass show acme | dacapo secret set api-token --hub acme
  dacapo hub grant acme --secret api-token=api.example.org      lets activities use it there")]
pub(super) struct Set {
    /// Its name: letters, digits, '-', '_' and '.'.
    name: String,
    #[command(flatten)]
    hub: HubArgument,
    /// The file with the secret [default: standard input].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// List the names of the secrets.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    hub: HubArgument,
    #[command(flatten)]
    connection: Connection,
}

/// Delete a secret.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The name of the secret.
    name: String,
    #[command(flatten)]
    hub: HubArgument,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct HubArgument {
    /// The task hub.
    #[arg(long)]
    hub: String,
}

impl Secret {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Secret::Set(command) => command.run(),
            Secret::List(command) => command.run(),
            Secret::Delete(command) => command.run(),
        }
    }
}

impl Set {
    fn run(self) -> Result<(), CliError> {
        let mut text = Zeroizing::new(String::new());
        match &self.file {
            Some(path) => {
                let read = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
                read.map_err(|why| CliError::file("reading", path, &why))?;
            }
            None => {
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|why| CliError::Failed(format!("reading standard input failed: {why}")))?;
            }
        }
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        let client = self.connection.client();
        client.put_text(&self.hub.target(Some(&self.name)), secret)?.success(|| unknown(&client))?;
        print_done(self.connection.json, &json!({ "name": self.name }), format_args!("Set the secret '{}'.", self.name))
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = client.get(&self.hub.target(None))?.success(|| unknown(&client))?;
        if self.connection.json {
            return print(answer.text);
        }
        let mut rows = table(["SECRET"]);
        rows.add_rows(answer.parse::<Vec<String>>()?.into_iter().map(|name| [name]));
        print_table(rows)
    }
}

impl Delete {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        client.delete(&self.hub.target(Some(&self.name)))?.success(|| unknown(&client))?;
        print_done(self.connection.json, &json!({ "name": self.name }), format_args!("Deleted the secret '{}'.", self.name))
    }
}

impl HubArgument {
    fn target(&self, secret: Option<&str>) -> Target {
        Target::host(["admin", "hubs", self.hub.as_str(), "secrets"].into_iter().chain(secret))
    }
}
