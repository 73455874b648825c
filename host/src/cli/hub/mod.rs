//! Task hubs, for the administrator of a host.

mod grant;
mod host_names;
mod limits;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use dacapo_store::control::Grants;

use super::client::{Answer, Client, Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::output::{print, print_done, print_table, properties, table, table_text};
use super::pages::PageArguments;
use super::times::local_time;
use crate::bad_value::BadValue;

/// Create, list, change, suspend and delete task hubs, and see what they use. Changes need an administrator's key of the host.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  dacapo hub create acme --limit apps=3
  dacapo hub limits acme
  dacapo hub usage acme
  dacapo hub grant acme --outbound api.example.org
  dacapo hub add-host-name acme shop.example.com
  dacapo hub suspend acme --reason unpaid")]
pub(super) enum Hub {
    Create(Create),
    List(List),
    Show(Show),
    Limits(limits::Limits),
    Usage(usage::Usage),
    SetLimit(limits::SetLimit),
    Grant(grant::Grant),
    AddHostName(host_names::AddHostName),
    RemoveHostName(host_names::RemoveHostName),
    Suspend(Suspend),
    Resume(Resume),
    Delete(Delete),
}

/// Create a task hub.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub create acme
  dacapo hub create acme --limit apps=3 --limit storage_bytes=1000000000
  dacapo key create owner --role administer --hub acme        the key for its owner")]
pub(super) struct Create {
    /// Its name: letters, digits, '-' and '_'.
    name: String,
    /// A limit other than that of the host's configuration; `dacapo hub limits` shows all. May be repeated.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<(String, u64)>,
    #[command(flatten)]
    connection: Connection,
}

/// List the task hubs.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    connection: Connection,
}

/// Show a task hub: the limits that were changed, its grants, and its host names.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The task hub.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Suspend a task hub: until it is resumed, it refuses its clients and runs nothing.
#[derive(Debug, Args)]
pub(super) struct Suspend {
    /// The task hub.
    name: String,
    /// The reason, which its clients are shown.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// Resume a suspended task hub.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The task hub.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Delete a task hub with its instances, apps, keys, secrets and host names.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The task hub.
    name: String,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// A hub, as the host shows it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct HubBody {
    name: String,
    created_at: String,
    suspended: Option<String>,
    limits: BTreeMap<String, u64>,
    grants: Grants,
    app_grants: BTreeMap<String, Grants>,
    #[serde(default)]
    host_names: BTreeSet<String>,
}

impl Hub {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Hub::Create(command) => command.run(),
            Hub::List(command) => command.run(),
            Hub::Show(command) => command.run(),
            Hub::Limits(command) => command.run(),
            Hub::Usage(command) => command.run(),
            Hub::SetLimit(command) => command.run(),
            Hub::Grant(command) => command.run(),
            Hub::AddHostName(command) => command.run(),
            Hub::RemoveHostName(command) => command.run(),
            Hub::Suspend(command) => command.run(),
            Hub::Resume(command) => command.run(),
            Hub::Delete(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let limits: BTreeMap<_, _> = self.limits.into_iter().collect();
        let body = json!({ "name": self.name, "limits": limits }).to_string();
        let client = self.connection.client();
        let answer = client.post_json(&Target::host(["admin", "hubs"]), &body)?.success(|| unknown(&client))?;
        match self.connection.json {
            true => print(answer.text),
            false => print(format_args!("Task hub '{}' created.", self.name)),
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let listing = self.pages.fetch(&client, Target::host(["admin", "hubs"]), || unknown(&client))?;
        if self.connection.json {
            listing.print_json()?;
        } else {
            let hubs: Vec<HubBody> = listing.parse()?;
            let mut rows = table(["TASK HUB", "CREATED", "LIMITS CHANGED", "SUSPENDED"]);
            for hub in &hubs {
                let limits = hub.limits.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let suspended = hub.suspended.clone().unwrap_or_default();
                rows.add_row([hub.name.clone(), local_time(&hub.created_at), limits, suspended]);
            }
            print_table(rows)?;
        }
        listing.note_continuation();
        Ok(())
    }
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = get(&client, &self.name)?;
        if self.connection.json {
            return print(answer.text);
        }
        let hub: HubBody = answer.parse()?;
        let mut rows = properties();
        rows.add_row(["Name".into(), hub.name]);
        rows.add_row(["Created".into(), local_time(&hub.created_at)]);
        rows.add_row(["Suspended".into(), hub.suspended.unwrap_or_else(|| "no".into())]);
        for (name, value) in hub.limits {
            rows.add_row([format!("Limit {name}"), value.to_string()]);
        }
        let text = |grants: &Grants| table_text(grant::granted(grants));
        rows.add_row(["Grants".into(), text(&hub.grants)]);
        for (app, grants) in &hub.app_grants {
            rows.add_row([format!("Grants of {app}"), text(grants)]);
        }
        for name in hub.host_names {
            rows.add_row(["Host name".into(), name]);
        }
        print_table(rows)
    }
}

impl Suspend {
    fn run(self) -> Result<(), CliError> {
        let change = json!({ "suspended": self.reason });
        tell(&self.connection, &self.name, &change, || format!("Suspended the task hub '{}'.", self.name))
    }
}

impl Resume {
    fn run(self) -> Result<(), CliError> {
        let change = json!({ "suspended": null });
        tell(&self.connection, &self.name, &change, || format!("Resumed the task hub '{}'.", self.name))
    }
}

impl Delete {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let name = &self.name;
        self.confirmation.ask(&format!("Delete the task hub '{name}' with its instances, apps, keys and secrets?"))?;
        delete(&client, name)?;
        print_done(self.connection.json, &json!({ "name": name }), format_args!("Deleted the task hub '{name}'."))
    }
}

/// Deletes a hub of a running host.
pub(super) fn delete(client: &Client, name: &str) -> Result<(), CliError> {
    client.delete(&target(name))?.success(|| unknown(client)).map(drop)
}

fn target(name: &str) -> Target {
    Target::host(["admin", "hubs", name])
}

fn get(client: &Client, name: &str) -> Result<Answer, CliError> {
    client.get(&target(name))?.success(|| unknown(client))
}

/// Changes a hub, and prints that it did.
fn tell(
    connection: &Connection,
    name: &str,
    change: &serde_json::Value,
    sentence: impl FnOnce() -> String,
) -> Result<(), CliError> {
    let client = connection.client();
    let answer = client.patch_json(&target(name), &change.to_string())?.success(|| unknown(&client))?;
    if connection.json { print(answer.text) } else { print(sentence()) }
}

/// The error for a 404 without a body.
pub(super) fn unknown(client: &Client) -> String {
    format!("{} knows no task hubs: is it a Dacapo host?", client.server())
}

fn limit(text: &str) -> Result<(String, u64), BadValue> {
    let (name, value) = text.split_once('=').ok_or("it has no '='")?;
    let value = value.replace('_', "").parse().map_err(|_| format!("'{value}' is not a whole number"))?;
    Ok((name.into(), value))
}
