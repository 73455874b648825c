use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::hub::unknown;
use super::output::{note, print, print_done, print_table, table};
use super::serve::HubArguments;
use super::times::local_time;
use crate::access::{self, KEY_NAME_RULE, Role, Scope, is_key_name};
use crate::serve::open_control_file;

/// Create, list and revoke keys.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  dacapo key create ci --role deploy --hub acme
  dacapo key list --hub acme
  dacapo key revoke ci --hub acme

Without --hub the task hub is that of --task-hub-name or DACAPO_TASK_HUB. Where none is named, the key is one of the host.")]
pub(super) enum Key {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Create a key and print it. It is never shown again.
#[derive(Debug, Args)]
#[command(after_help = "\
Roles, each including those before it:
  read         see instances, entities and apps
  operate      start instances and send them messages
  deploy       change the code
  administer   manage keys and secrets; with a key of the host also hubs, limits and grants

Examples:
  dacapo key create owner --role administer --hub acme
  dacapo key create --role read dashboard
  dacapo key create spare --role administer --offline --data /var/lib/dacapo    if the key is lost; no host may run")]
pub(super) struct Create {
    /// Its name: letters, digits, '-', '_' and '.'.
    name: String,
    #[arg(long)]
    role: RoleArgument,
    #[command(flatten)]
    hub: OfHub,
    /// Work on the data directory itself, while no host has it open.
    #[arg(long)]
    offline: bool,
    /// The data directory, with --offline [default: that of the configuration].
    #[arg(long, value_name = "DIRECTORY", requires = "offline")]
    data: Option<PathBuf>,
    /// The configuration file, with --offline.
    #[arg(long, value_name = "FILE", env = "DACAPO_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// List the keys of a task hub, or of the host: names and roles, not the keys themselves.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    hub: OfHub,
    #[command(flatten)]
    connection: Connection,
}

/// Revoke a key. It takes effect at once.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its name.
    name: String,
    #[command(flatten)]
    hub: OfHub,
    /// Revoke it even if it is the last key that can administer the host.
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Selects the keys of a task hub or of the host.
#[derive(Debug, Args)]
struct OfHub {
    /// The task hub of the key [default: that of --task-hub-name; without either, the host with all its hubs].
    #[arg(long)]
    hub: Option<String>,
}

impl OfHub {
    /// None: the host. A task hub set for all commands counts, so that its keys are never taken for those of the host.
    fn name<'a>(&'a self, connection: &'a Connection) -> Option<&'a str> {
        self.hub.as_deref().or(connection.task_hub_name.as_deref()).filter(|name| !name.is_empty())
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArgument {
    Read,
    Operate,
    Deploy,
    Administer,
}

impl From<RoleArgument> for Role {
    fn from(argument: RoleArgument) -> Self {
        match argument {
            RoleArgument::Read => Role::Read,
            RoleArgument::Operate => Role::Operate,
            RoleArgument::Deploy => Role::Deploy,
            RoleArgument::Administer => Role::Administer,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyBody {
    name: String,
    role: String,
    created_at: String,
    last_used_at: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    key: String,
}

impl Key {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Key::Create(command) => command.run(),
            Key::List(command) => command.run(),
            Key::Revoke(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        if self.offline {
            return self.run_offline();
        }
        let body = json!({ "name": self.name, "role": Role::from(self.role) }).to_string();
        let client = self.connection.client();
        let hub = self.hub.name(&self.connection);
        let answer = client.post_json(&target(hub, None), &body)?.success(|| unknown(&client))?;
        if self.connection.json {
            return print(answer.text);
        }
        let opens = hub.map_or_else(|| "the whole host".to_owned(), |hub| format!("the task hub '{hub}'"));
        note(format_args!(
            "The key '{}' opens {opens}, with the role {}. It is shown only now:",
            self.name,
            Role::from(self.role)
        ));
        // Only the key, so that a script can use the output directly.
        print(answer.parse::<Created>()?.key)
    }

    fn run_offline(self) -> Result<(), CliError> {
        if !is_key_name(&self.name) {
            return Err(CliError::Usage(format!("the name of the key is '{}', but {KEY_NAME_RULE}", self.name)));
        }
        let data = HubArguments::of(self.config, self.data).load()?.data;
        if !Path::new(&data).is_dir() {
            return Err(CliError::NotFound(format!("there is no data directory {}; --data names another one", data.display())));
        }
        let control = open_control_file(&data)?;
        let scope = self.hub.name(&self.connection).map_or(Scope::Host, |hub| Scope::Hub(hub.to_owned()));
        let key = access::create_key(&control, scope, &self.name, self.role.into(), access::OFFLINE);
        let key = key.map_err(anyhow::Error::from)?;
        match self.connection.json {
            true => print(json!({ "key": key.as_str() })),
            false => print(key.as_str()),
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = client.get(&target(self.hub.name(&self.connection), None))?.success(|| unknown(&client))?;
        if self.connection.json {
            return print(answer.text);
        }
        let mut rows = table(["KEY", "ROLE", "CREATED", "LAST USED"]);
        for key in answer.parse::<Vec<KeyBody>>()? {
            let last_used = key.last_used_at.as_deref().map_or_else(|| "never".into(), local_time);
            rows.add_row([key.name, key.role, local_time(&key.created_at), last_used]);
        }
        print_table(rows)
    }
}

impl Revoke {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let hub = self.hub.name(&self.connection);
        if hub.is_none() && !self.yes {
            self.require_another_administrator(&client)?;
        }
        client.delete(&target(hub, Some(&self.name)))?.success(|| unknown(&client))?;
        print_done(self.connection.json, &json!({ "name": self.name }), format_args!("Revoked the key '{}'.", self.name))
    }
}

impl Revoke {
    /// Without another one, no key could be created while the host runs.
    fn require_another_administrator(&self, client: &Client) -> Result<(), CliError> {
        let keys: Vec<KeyBody> = client.get(&target(None, None))?.success(|| unknown(client))?.parse()?;
        let (own, others): (Vec<KeyBody>, Vec<KeyBody>) =
            keys.into_iter().filter(|key| key.role == Role::Administer.to_string()).partition(|key| key.name == self.name);
        match own.is_empty() || !others.is_empty() {
            true => Ok(()),
            false => Err(CliError::WrongState(format!(
                "'{}' is the last key that administers the host: make another one first, or say --yes. Then only `dacapo key create \
                 --offline` makes one, while the host is stopped",
                self.name
            ))),
        }
    }
}

fn target(hub: Option<&str>, key: Option<&str>) -> Target {
    let of = hub.map_or_else(Vec::new, |hub| vec!["hubs", hub]);
    Target::host(["admin"].into_iter().chain(of).chain(["keys"]).chain(key))
}
