use std::path::PathBuf;

use clap::Args;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::error::CliError;
use crate::access::{FIRST_KEY_VARIABLE, FirstKey, KeyPolicy};
use crate::bad_value::BadValue;
use crate::config::{self, Settings, Sources};
use crate::log::LogFormat;
use crate::secrets::{KEY_VARIABLE, SecretsKeySource};
use crate::serve::{Announce, Start, run};

/// Run a host: open its task hubs and serve them over HTTP.
///
/// Clients need a key. The first start creates one for the administrator and prints it, once, unless --first-key-file names its
/// file; `--dev` needs none.
///
/// SIGINT (Ctrl-C) and SIGTERM stop it in good order: running turns finish, and waiting work continues after the next start.
/// A second signal stops it at once. No way of stopping it, kill -9 included, loses anything that was acknowledged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo serve                                  prints the administrator's key at the first start
  dacapo serve --dev                            on this machine, without keys
  dacapo serve --data /var/lib/dacapo --address 0.0.0.0:7071
  dacapo serve --rpc-address 127.0.0.1:17071    also for clients on this machine that send no key
  dacapo serve --dir /data=$HOME/texts --allow-host localhost:8080
  dacapo serve --set limits.activity_seconds=60
  DACAPO_ENGINE_HOT_INSTANCES=500 dacapo serve
  dacapo config --defaults > dacapo.toml && dacapo serve --config dacapo.toml")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingArguments,
    /// Require no keys. For development: refused on an address that is not a loopback address.
    #[arg(long)]
    dev: bool,
    /// Print the address that the host listens on, as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Write the same to a file once the host is ready.
    #[arg(long, value_name = "PATH", env = "DACAPO_READY_FILE")]
    ready_file: Option<PathBuf>,
    /// Start a task hub anew, empty, if its file is missing or empty and cannot be restored. Its keys, limits and grants stay.
    /// May be repeated.
    #[arg(long, value_name = "HUB")]
    recover: Vec<String>,
    /// Print no key at the first start: read the administrator's from this file, or create it and write it there. (Or
    /// DACAPO_FIRST_KEY may hold the key itself: dcp_ and 43 characters of Base64 for URLs.)
    #[arg(long, value_name = "FILE", env = "DACAPO_FIRST_KEY_FILE")]
    first_key_file: Option<PathBuf>,
}

impl Serve {
    pub fn run(self) -> Result<(), CliError> {
        let settings = self.settings.load()?;
        let text = std::env::var(KEY_VARIABLE).ok().filter(|text| !text.is_empty()).map(Zeroizing::new);
        let first_key = std::env::var(FIRST_KEY_VARIABLE).ok().map(Zeroizing::new);
        let first_key = first_key.as_ref().map(|text| text.as_str());
        let start = Start {
            key_policy: if self.dev { KeyPolicy::NotRequired } else { KeyPolicy::Required },
            secrets_key: SecretsKeySource { text, file: settings.secrets_key_file() },
            first_key: FirstKey::find(first_key, self.first_key_file)?,
            announce: Announce { json: self.json, ready_file: self.ready_file },
            recover: self.recover,
            environment: None,
        };
        Ok(run(settings, &start)?)
    }
}

/// Flags that set something. Each overrides the environment and the file.
#[derive(Debug, Args)]
pub(super) struct SettingArguments {
    /// The configuration file [default: dacapo.toml in the working directory, if there is one].
    #[arg(long, value_name = "FILE", env = "DACAPO_CONFIG")]
    config: Option<PathBuf>,
    /// The directory for all data [default: dacapo-data].
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7071].
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// A second address, on this machine, for clients that send no key; Durable Functions uses 127.0.0.1:17071.
    #[arg(long, value_name = "HOST:PORT")]
    rpc_address: Option<String>,
    /// The task hub that it opens [default: that of requests that name none].
    #[arg(long, value_name = "NAME")]
    rpc_hub: Option<String>,
    /// The role of its clients: read or operate [default: operate].
    #[arg(long, value_name = "ROLE")]
    rpc_role: Option<String>,
    /// The task hub of requests that name none; created if it is missing [default: TestHubName].
    #[arg(long, value_name = "NAME")]
    task_hub_name: Option<String>,
    /// Let activities read a directory: the path that they see, and the path on this machine. May be repeated.
    #[arg(long = "dir", value_name = "/GUEST=/HOST", value_parser = pair)]
    directories: Vec<(String, String)>,
    /// Let activities send HTTP requests to a host. May be repeated.
    #[arg(long = "allow-host", value_name = "HOST[:PORT]")]
    allow_hosts: Vec<String>,
    /// Set an environment variable of guests. May be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    environment: Vec<(String, String)>,
    /// Threads that run orchestrators [default: one per processor].
    #[arg(long, value_name = "COUNT")]
    turn_threads: Option<u32>,
    /// Activities that run at once [default: 1024].
    #[arg(long, value_name = "COUNT")]
    concurrent_activities: Option<u32>,
    /// Orchestrations that stay in memory between their turns [default: 1000].
    #[arg(long, value_name = "COUNT")]
    hot_instances: Option<u32>,
    /// Keep no orchestrations in memory: every turn replays.
    #[arg(long, conflicts_with = "hot_instances")]
    no_heat: bool,
    /// What is logged, such as debug or info,dacapo::api=debug [default: info].
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// The format of the log [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Set any key of the configuration, such as limits.tasks=1000. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

impl SettingArguments {
    /// The settings from all sources. Warns of variables that look like settings but are not.
    pub fn load(self) -> Result<Settings, CliError> {
        let (config, texts) = (self.config.clone(), self.set.clone());
        let limits_rpc = self.rpc_hub.is_some() || self.rpc_role.is_some();
        let settings = load(config, texts, self.flags()?)?;
        if limits_rpc && settings.rpc.address.is_empty() {
            let why = "--rpc-hub and --rpc-role are for the address without keys, and there is none: --rpc-address names it";
            return Err(CliError::Usage(why.into()));
        }
        Ok(settings)
    }

    fn flags(self) -> Result<Vec<(&'static str, Value)>, CliError> {
        let count = |count: u32| Value::Integer(count.into());
        let format = |format| match format {
            LogFormat::Text => Value::from("text"),
            LogFormat::Json => Value::from("json"),
        };
        let data = data_flag(self.data)?;
        let directory = |(guest, host): (String, String)| {
            Value::Table(Table::from_iter([("guest".into(), Value::String(guest)), ("host".into(), Value::String(host))]))
        };
        let environment = self.environment.into_iter().map(|(name, value)| (name, Value::String(value)));
        let some = |value: Value| {
            Some(value).filter(|value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Table(table) => !table.is_empty(),
                _ => true,
            })
        };
        let flags = [
            ("data", data),
            ("address", self.address.map(Value::String)),
            ("task_hub", self.task_hub_name.map(Value::String)),
            ("rpc.address", self.rpc_address.map(Value::String)),
            ("rpc.hub", self.rpc_hub.map(Value::String)),
            ("rpc.role", self.rpc_role.map(Value::String)),
            ("activities.directories", some(Value::Array(self.directories.into_iter().map(directory).collect()))),
            ("activities.allow_hosts", some(Value::Array(self.allow_hosts.into_iter().map(Value::String).collect()))),
            ("environment", some(Value::Table(environment.collect()))),
            ("engine.turn_threads", self.turn_threads.map(count)),
            ("engine.concurrent_activities", self.concurrent_activities.map(count)),
            ("engine.hot_instances", if self.no_heat { Some(count(0)) } else { self.hot_instances.map(count) }),
            ("log.filter", self.log.map(Value::String)),
            ("log.format", self.log_format.map(format)),
        ];
        Ok(flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}

/// Flags that select a task hub, for commands that work on its file.
#[derive(Debug, Args)]
pub(super) struct HubArguments {
    /// The configuration file [default: dacapo.toml in the working directory, if there is one].
    #[arg(long, value_name = "FILE", env = "DACAPO_CONFIG")]
    config: Option<PathBuf>,
    /// The directory for all data [default: dacapo-data].
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// The task hub [default: TestHubName].
    #[arg(long, value_name = "NAME")]
    task_hub_name: Option<String>,
}

impl HubArguments {
    /// A configuration file, and a data directory that overrides the one in it.
    pub fn of(config: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        Self { config, data, task_hub_name: None }
    }

    /// The settings from all sources, as for a host.
    pub fn load(self) -> Result<Settings, CliError> {
        let flags = [("data", data_flag(self.data)?), ("task_hub", self.task_hub_name.map(Value::String))];
        load(self.config, Vec::new(), given(flags))
    }
}

/// What `dacapo dev` sets of its own host.
pub(super) struct Developing {
    /// The data directory.
    pub data: PathBuf,
    pub address: String,
    /// The task hub that its options name.
    pub hub: Option<String>,
    /// The one that the app names: for a configuration that says none.
    pub hub_of_app: Option<String>,
    /// The same, of origins of pages.
    pub cors_origins: Vec<String>,
}

impl Developing {
    /// The settings from all sources, as for a host.
    pub fn load(self) -> Result<Settings, CliError> {
        let Self { data, address, hub, hub_of_app, cors_origins } = self;
        let flags = [("data", data_flag(Some(data))?), ("address", Some(address.into())), ("task_hub", hub.map(Value::from))];
        let origins = Some(cors_origins).filter(|origins| !origins.is_empty());
        let defaults = [("task_hub", hub_of_app.map(Value::from)), ("http.cors_origins", origins.map(Value::from))];
        load_with(given(defaults), None, Vec::new(), given(flags))
    }
}

fn given<const N: usize>(settings: [(&'static str, Option<Value>); N]) -> Vec<(&'static str, Value)> {
    settings.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn load(config: Option<PathBuf>, texts: Vec<(String, String)>, flags: Vec<(&'static str, Value)>) -> Result<Settings, CliError> {
    load_with(Vec::new(), config, texts, flags)
}

fn load_with(
    defaults: Vec<(&'static str, Value)>,
    config: Option<PathBuf>,
    texts: Vec<(String, String)>,
    flags: Vec<(&'static str, Value)>,
) -> Result<Settings, CliError> {
    let default_file = || Some(PathBuf::from(config::FILE_NAME)).filter(|path| path.exists());
    let sources = Sources {
        defaults,
        file: config.or_else(default_file),
        environment: std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect(),
        texts,
        flags,
    };
    let loaded = config::load(sources).map_err(|error| CliError::Usage(format!("{error:#}")))?;
    for variable in loaded.unknown_variables {
        super::output::note(format!(
            "dacapo: the environment variable {variable} sets nothing; `dacapo config --defaults` shows all keys"
        ));
    }
    Ok(loaded.settings)
}

fn data_flag(data: Option<PathBuf>) -> Result<Option<Value>, CliError> {
    let data = data.map(|path| path.into_os_string().into_string()).transpose();
    let data = data.map_err(|path| CliError::Usage(format!("--data: {} is not UTF-8", path.display())))?;
    Ok(data.map(Value::String))
}

pub(super) fn pair(text: &str) -> Result<(String, String), BadValue> {
    let (left, right) = text.split_once('=').ok_or("it has no '='")?;
    if left.is_empty() { Err("there is nothing before the '='".into()) } else { Ok((left.into(), right.into())) }
}
