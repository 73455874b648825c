//! The operator's settings. The environment overrides the file, and flags override the environment.
//!
//! Every key has one name, such as `limits.payload_bytes`. It is a key of the file, the variable
//! `DACAPO_LIMITS_PAYLOAD_BYTES`, and a key for `--set`. [`DEFAULT_FILE`] documents them all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dacapo_core::RuntimeStatus;
use dacapo_core::guest::ClientGrant;
use dacapo_store::control::{Role, check_hub_name};
use dacapo_wasm::{AllowList, Checkpoint, DirectoryGrant, GuestLimits, Policy, PoolSize, Reuse, SLOTS_PER_GUEST_MAX};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::engine::capacity::{CapacityLimits, TURNS_BEGUN_MAX};
use crate::engine::pressure::memory_of_the_machine;
use crate::engine::scheduler::checkpoint;
use crate::hub::{Retention, Webhook};
use crate::limits::{BYTES_MAX, COUNT_MAX, HubLimits, limit};
use crate::log::LogSettings;
use crate::server::{CertificateFiles, ConnectionLimits, TimeLimits};
use crate::versioning::VersionRules;

/// The documented file: every key with its default, commented out.
pub const DEFAULT_FILE: &str = include_str!("dacapo.default.toml");

/// The file that is read if it exists and no other is named.
pub const FILE_NAME: &str = "dacapo.toml";

const VARIABLE_PREFIX: &str = "DACAPO_";

/// Variables that other parts of the command line use.
const OTHER_VARIABLES: [&str; 8] = [
    "DACAPO_CA_CERTIFICATE",
    "DACAPO_CONFIG",
    crate::access::FIRST_KEY_VARIABLE,
    "DACAPO_FIRST_KEY_FILE",
    "DACAPO_KEY",
    "DACAPO_READY_FILE",
    crate::secrets::KEY_VARIABLE,
    "DACAPO_SERVER",
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub data: PathBuf,
    pub address: String,
    pub task_hub: String,
    pub allowed_hosts: Vec<String>,
    pub http: HttpSettings,
    pub hubs: HubsSettings,
    pub tls: TlsSettings,
    pub rpc: RpcSettings,
    pub engine: EngineSettings,
    pub store: StoreSettings,
    pub limits: HubLimits,
    pub versions: VersionRules,
    pub activities: ActivitySettings,
    pub secrets: SecretSettings,
    pub retention: RetentionSettings,
    pub webhook: WebhookSettings,
    pub environment: BTreeMap<String, String>,
    pub connections: BTreeMap<String, ConnectionSetting>,
    pub log: LogSettings,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    pub public_url: String,
    pub use_forwarded_host: bool,
    pub cors_origins: Vec<String>,
    pub connections: usize,
    pub connections_per_address: usize,
    pub bodies_bytes: usize,
    pub handshake_seconds: u64,
    pub head_seconds: u64,
    pub idle_seconds: u64,
    pub stall_seconds: u64,
    pub bytes_per_second: u32,
}

/// Empty: no TLS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// An address for local programs without a key. Empty: there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcSettings {
    pub address: String,
    /// Empty: the default task hub.
    pub hub: String,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubsSettings {
    pub open: u32,
    pub idle_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    pub turn_threads: usize,
    pub concurrent_activities: u32,
    pub concurrent_triggers: u32,
    pub idle_activities: u32,
    pub hot_instances: u32,
    pub memory_bytes: usize,
    pub stack_bytes: usize,
    pub shutdown_grace_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    pub cache_bytes: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActivitySettings {
    pub allow_hosts: Vec<String>,
    pub directories: Vec<DirectorySetting>,
    pub reuse_instances: Reuse,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySetting {
    pub guest: String,
    pub host: PathBuf,
    #[serde(default)]
    pub writable: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretSettings {
    pub key_file: String,
}

/// Days; 0 keeps for ever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    pub completed_days: f64,
    pub failed_days: f64,
    pub terminated_days: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    pub url: String,
    pub secret: String,
    pub statuses: Vec<String>,
    pub give_up_hours: u32,
}

/// A host that the command line can name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSetting {
    pub server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "dacapo-data".into(),
            address: "127.0.0.1:7071".into(),
            task_hub: "TestHubName".into(),
            allowed_hosts: Vec::new(),
            http: HttpSettings::default(),
            hubs: HubsSettings::default(),
            tls: TlsSettings::default(),
            rpc: RpcSettings::default(),
            engine: EngineSettings::default(),
            store: StoreSettings::default(),
            limits: HubLimits::default(),
            versions: VersionRules::default(),
            activities: ActivitySettings::default(),
            secrets: SecretSettings::default(),
            retention: RetentionSettings::default(),
            webhook: WebhookSettings::default(),
            environment: BTreeMap::new(),
            connections: BTreeMap::new(),
            log: LogSettings::default(),
        }
    }
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self { address: String::new(), hub: String::new(), role: Role::Operate }
    }
}

impl Default for HubsSettings {
    fn default() -> Self {
        Self { open: 256, idle_seconds: 60 }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            use_forwarded_host: false,
            cors_origins: Vec::new(),
            connections: 10_000,
            connections_per_address: 2_000,
            bodies_bytes: 1 << 30,
            handshake_seconds: 10,
            head_seconds: 15,
            idle_seconds: 75,
            stall_seconds: 30,
            bytes_per_second: 1_024,
        }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        let GuestLimits { stack_bytes, .. } = GuestLimits::default();
        Self {
            turn_threads: 0,
            concurrent_activities: 1_024,
            concurrent_triggers: 256,
            idle_activities: 64,
            hot_instances: 1_000,
            memory_bytes: 0,
            stack_bytes,
            shutdown_grace_seconds: 10,
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { cache_bytes: 128 << 20 }
    }
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { url: String::new(), secret: String::new(), statuses: Vec::new(), give_up_hours: 24 }
    }
}

/// The sources of settings. Later fields override earlier ones.
#[derive(Debug, Default)]
pub struct Sources {
    /// What holds if no other source says anything.
    pub defaults: Vec<(&'static str, Value)>,
    pub file: Option<PathBuf>,
    /// The environment of the process; only variables that begin with `DACAPO_` are used.
    pub environment: Vec<(String, String)>,
    /// Keys with their values as text, from `--set`.
    pub texts: Vec<(String, String)>,
    /// Keys with their values, from flags of their own.
    pub flags: Vec<(&'static str, Value)>,
}

/// Settings, and the variables that look like settings but are not.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub unknown_variables: Vec<String>,
}

/// Reads the settings from all sources and checks them.
pub fn load(sources: Sources) -> anyhow::Result<Loaded> {
    let defaults = keys(&Settings::default());
    let mut table = sources.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    for (key, value) in sources.defaults {
        let is_set = key.split('.').try_fold(&Value::Table(table.clone()), |section, name| section.get(name)).is_some();
        if !is_set {
            set(&mut table, key, value);
        }
    }
    let mut unknown_variables = Vec::new();
    for (variable, text) in sources.environment {
        if !variable.starts_with(VARIABLE_PREFIX) || OTHER_VARIABLES.contains(&variable.as_str()) {
            continue;
        }
        match defaults.iter().find(|(key, _)| variable_of(key) == variable) {
            Some((key, default)) => {
                set(&mut table, key, parse_as(default, &text).with_context(|| format!("reading {variable}"))?)
            }
            None => unknown_variables.push(variable),
        }
    }
    for (key, text) in sources.texts {
        let default = defaults
            .get(&key)
            .with_context(|| format!("--set: there is no key '{key}'; `dacapo config --defaults` shows all"))?;
        set(&mut table, &key, parse_as(default, &text).with_context(|| format!("reading --set {key}"))?);
    }
    for (key, value) in sources.flags {
        set(&mut table, key, value);
    }
    let settings: Settings = table.try_into().context("reading the configuration")?;
    settings.check()?;
    Ok(Loaded { settings, unknown_variables })
}

/// Parses the file into settings first, although only its table is used: that reports a wrong key with its line.
fn read_file(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the configuration file {}", path.display()))?;
    let wrong = || format!("in the configuration file {}", path.display());
    toml::from_str::<Settings>(&text).with_context(wrong)?;
    text.parse().with_context(wrong)
}

/// The tables that the operator fills. Each is one key.
const FREE_TABLES: [&str; 2] = ["connections", "environment"];

/// All keys with their values.
fn keys(settings: &Settings) -> BTreeMap<String, Value> {
    let Ok(Value::Table(table)) = Value::try_from(settings) else { unreachable!("settings are a table") };
    let mut keys = BTreeMap::new();
    for (name, value) in table {
        match value {
            Value::Table(section) if !FREE_TABLES.contains(&name.as_str()) => {
                keys.extend(section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => drop(keys.insert(name, value)),
        }
    }
    keys
}

fn variable_of(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Reads a text as a value of the same type as the default.
fn parse_as(default: &Value, text: &str) -> anyhow::Result<Value> {
    let inline = || -> anyhow::Result<Value> {
        let mut table: Table = format!("value = {text}").parse().with_context(|| format!("'{text}' is not a TOML value"))?;
        table.remove("value").context("it is empty")
    };
    match default {
        Value::String(_) => Ok(Value::String(text.into())),
        Value::Integer(_) => {
            let number = text.replace('_', "").parse().with_context(|| format!("'{text}' is not a whole number"))?;
            Ok(Value::Integer(number))
        }
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.into())).collect()))
        }
        Value::Array(_) | Value::Table(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => inline(),
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.into(), value)),
        Some((section, key)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(key.into(), value);
            }
        }
    }
}

impl Settings {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(trouble) = check_hub_name(&self.task_hub) {
            bail!("task_hub is '{}', but {trouble}", self.task_hub);
        }
        if let Some(trouble) = check_hub_name(self.rpc_hub()) {
            bail!("rpc.hub is '{}', but {trouble}", self.rpc.hub);
        }
        ensure!(
            self.rpc.role <= Role::Operate,
            "rpc.role is '{}', but programs without a key may only read or operate",
            self.rpc.role
        );
        let url = &self.http.public_url;
        ensure!(
            url.is_empty() || is_base_url(url),
            "http.public_url is '{url}', but should be such as https://example.org or https://example.org/path"
        );
        for (key, value) in keys(self) {
            let Value::Integer(value) = value else { continue };
            let bounds = bounds(&key);
            ensure!(bounds.contains(&value), "{key} is {value}, but must be between {} and {}", bounds.start(), bounds.end());
        }
        let TlsSettings { certificate, key } = &self.tls;
        ensure!(
            certificate.as_os_str().is_empty() == key.as_os_str().is_empty(),
            "tls.certificate and tls.key must be given together"
        );
        for DirectorySetting { guest, host, .. } in &self.activities.directories {
            ensure!(guest.starts_with('/'), "activities.directories: the guest path '{guest}' must begin with '/'");
            ensure!(host.is_dir(), "activities.directories: {} is not a directory that can be read", host.display());
        }
        if let Some(name) = self.environment.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            bail!("environment: '{name}' is not the name of a variable");
        }
        if let Some((name, _)) = self.connections.iter().find(|(_, connection)| connection.server.trim().is_empty()) {
            bail!("connections.{name}: the server is empty; it should be a URL such as https://dacapo.example.org");
        }
        let RetentionSettings { completed_days, failed_days, terminated_days } = self.retention;
        ensure!(
            [completed_days, failed_days, terminated_days].iter().all(|days| (0.0..=DAYS_MAX).contains(days)),
            "retention: days must be between 0 and {DAYS_MAX}"
        );
        self.outbound()?;
        self.webhook()?;
        Ok(())
    }

    fn outbound(&self) -> anyhow::Result<AllowList> {
        AllowList::parse(&self.activities.allow_hosts).context("activities.allow_hosts")
    }

    /// The file with the key for secrets, if one is set.
    pub fn secrets_key_file(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.secrets.key_file)).filter(|path| !path.as_os_str().is_empty())
    }

    /// The connection of this name, ignoring case.
    pub fn connection(&self, name: &str) -> Option<&ConnectionSetting> {
        self.connections.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, connection)| connection)
    }

    /// How long finished instances are kept.
    pub fn retention(&self) -> Retention {
        const DAY_SECONDS: f64 = 24.0 * 3_600.0;
        let age = |days: f64| (days > 0.0).then(|| Duration::try_from_secs_f64(days * DAY_SECONDS).unwrap_or(Duration::MAX));
        let RetentionSettings { completed_days, failed_days, terminated_days } = self.retention;
        Retention { completed: age(completed_days), failed: age(failed_days), terminated: age(terminated_days) }
    }

    /// The webhook that is notified of changes of an orchestration's status.
    pub fn webhook(&self) -> anyhow::Result<Option<Webhook>> {
        let WebhookSettings { url, secret, statuses, give_up_hours } = &self.webhook;
        if url.is_empty() {
            return Ok(None);
        }
        let named = |name: &String| {
            let status = RuntimeStatus::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name));
            status.with_context(|| format!("webhook.statuses: '{name}' is not a status"))
        };
        let statuses = statuses.iter().map(named).collect::<anyhow::Result<_>>()?;
        let give_up_after = Duration::from_secs(u64::from(*give_up_hours) * 3_600);
        Webhook::new(url.clone(), secret, statuses, give_up_after).context("webhook").map(Some)
    }

    /// The task hub for programs without a key.
    pub fn rpc_hub(&self) -> &str {
        Some(self.rpc.hub.as_str()).filter(|hub| !hub.is_empty()).unwrap_or(&self.task_hub)
    }

    /// The scheme of this host's URLs.
    pub fn scheme(&self) -> &'static str {
        if self.certificate().is_some() { "https" } else { "http" }
    }

    /// The URL at which clients reach a host that listens on this address.
    pub fn public_url(&self, address: SocketAddr) -> String {
        match self.http.public_url.as_str() {
            "" => format!("{}://{address}", self.scheme()),
            url => url.trim_end_matches('/').to_owned(),
        }
    }

    /// The files of the host's certificate, if it has one.
    pub fn certificate(&self) -> Option<CertificateFiles> {
        let TlsSettings { certificate, key } = self.tls.clone();
        Some(CertificateFiles { certificate, key }).filter(|files| !files.certificate.as_os_str().is_empty())
    }

    /// How long clients may keep the host waiting.
    pub fn time_limits(&self) -> TimeLimits {
        let http = &self.http;
        TimeLimits {
            handshake: Duration::from_secs(http.handshake_seconds),
            head: Duration::from_secs(http.head_seconds),
            idle: Duration::from_secs(http.idle_seconds),
            stall: Duration::from_secs(http.stall_seconds),
            bytes_per_second: http.bytes_per_second,
        }
    }

    /// The limits of connections, if the process may have `open_files` open files.
    pub fn connection_limits(&self, open_files: u64) -> ConnectionLimits {
        // The other files are for task hubs, modules, and connections of activities.
        let total = self.http.connections.min(usize::try_from(open_files / 4 * 3).unwrap_or(usize::MAX));
        ConnectionLimits { total, per_address: self.http.connections_per_address }
    }

    pub fn turn_threads(&self) -> usize {
        match self.engine.turn_threads {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get()),
            threads => threads,
        }
    }

    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.engine.shutdown_grace_seconds)
    }

    /// The configuration of the runtime that all hubs share.
    pub fn runtime(&self) -> dacapo_wasm::Config {
        dacapo_wasm::Config {
            pool: self.pool(),
            // Memory that is kept for the next guests must leave enough for those that exist.
            resident_bytes: self.memory_bytes() / 4,
            idle_activities: self.engine.idle_activities as usize,
            checkpoint: Checkpoint::new(checkpoint),
            most: GuestLimits { stack_bytes: self.engine.stack_bytes, ..GuestLimits::MOST },
            ..dacapo_wasm::Config::new(self.data.join("modules"), self.data.join("cache"))
        }
    }

    /// The policy for the guests of a hub with these limits.
    pub fn policy(&self, limits: &HubLimits) -> anyhow::Result<Policy> {
        let grants = self.activities.directories.iter();
        let grants = grants.map(|DirectorySetting { guest, host, writable }| DirectoryGrant {
            guest: guest.clone(),
            host: host.clone(),
            writable: *writable,
        });
        Ok(Policy {
            limits: limits.guest(),
            outbound: self.outbound()?,
            http: limits.http(),
            directories: grants.collect(),
            environment: self.environment.clone().into_iter().collect(),
            secrets: Vec::new(),
            compile: limits.compile(),
            execution: limits.execution(),
            management_links: None,
            client: ClientGrant::default(),
            reuse: self.activities.reuse_instances,
        })
    }

    /// A pool for as many guests as are wanted, or as the kernel allows.
    fn pool(&self) -> PoolSize {
        let most = PoolSize::default();
        let slots = most.orchestrators + most.activities + most.triggers;
        // A guest that is made of many parts takes several slots.
        let activities = self.engine.concurrent_activities.min(slots / 2).max(SLOTS_PER_GUEST_MAX);
        let triggers = self.engine.concurrent_triggers.min(slots / 4).max(SLOTS_PER_GUEST_MAX);
        let wanted = self.engine.hot_instances.saturating_add(SLOTS_FOR_TURNS);
        PoolSize { orchestrators: wanted.min(slots - activities - triggers), activities, triggers }
    }

    /// Bytes of memory that the process may hold.
    fn memory_bytes(&self) -> usize {
        match self.engine.memory_bytes {
            0 => memory_of_the_machine().map_or(usize::MAX, |bytes| bytes / 2),
            bytes => bytes,
        }
    }

    /// The capacity that all hubs share: as many hot guests and activities as are wanted and have a slot.
    pub fn capacity(&self) -> CapacityLimits {
        let pool = self.pool();
        CapacityLimits {
            hot_instances: self.engine.hot_instances.min(pool.orchestrators.saturating_sub(SLOTS_FOR_TURNS)) as usize,
            memory_bytes: self.memory_bytes(),
            activities: self.engine.concurrent_activities.min(pool.activities) as usize,
            cache_bytes: self.store.cache_bytes,
            hubs: self.hubs.open as usize,
        }
    }
}

/// The longest retention, in days, other than for ever.
const DAYS_MAX: f64 = 1e6;

/// The range that the number of a key must be in. Beyond it, a time would overflow a clock, or the host would allocate more of
/// something than any machine can hold.
fn bounds(key: &str) -> RangeInclusive<i64> {
    const U32_MAX: i64 = u32::MAX as i64;
    const BYTES: i64 = BYTES_MAX as i64;
    const COUNT: i64 = COUNT_MAX as i64;
    let limit = key.strip_prefix("limits.").and_then(limit);
    match key {
        "hubs.open" => 1..=SLOTS_FOR_TURNS.into(),
        "engine.turn_threads" => 0..=1_024,
        "engine.concurrent_activities" | "engine.concurrent_triggers" => 1..=U32_MAX,
        "engine.stack_bytes" => 64 << 10..=1 << 30,
        "webhook.give_up_hours" => 0..=1_000_000,
        _ => match limit {
            Some(limit) => 1..=i64::try_from(limit.most()).unwrap_or(i64::MAX),
            None if key.starts_with("http.") => 1..=U32_MAX,
            None if key.ends_with("_seconds") => 0..=U32_MAX,
            None if key.ends_with("_bytes") => 0..=BYTES,
            None => 0..=COUNT,
        },
    }
}

/// Slots that hot instances leave to the turns that have begun, and to guests whose memory is being given back.
const SLOTS_FOR_TURNS: u32 = 2 * TURNS_BEGUN_MAX as u32;

/// Whether a path can be appended to it.
fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
        !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn refusal(sources: Sources) -> String {
        format!("{:#}", load(sources).unwrap_err())
    }

    #[test]
    fn the_default_file_documents_every_key_with_its_default() {
        let lines = DEFAULT_FILE.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        });
        let uncommented = lines.collect::<Vec<_>>().join("\n");
        let table: Table = uncommented.parse().unwrap();
        for (key, default) in keys(&Settings::default()) {
            let value = match key.split_once('.') {
                Some((section, key)) => table.get(section).and_then(|section| section.get(key)),
                None => table.get(&key),
            };
            assert_eq!(value, Some(&default), "{key}");
        }
        assert_eq!(toml::from_str::<Settings>(&uncommented).unwrap(), Settings::default());
        assert_eq!(toml::from_str::<Settings>(DEFAULT_FILE).unwrap(), Settings::default());
    }

    #[test]
    fn flags_stand_above_the_environment_and_that_above_the_file() {
        let file = file(
            "task_hub = \"FromFile\"\naddress = \"127.0.0.1:1\"\n[limits]\ntasks = 1\npayload_bytes = 11\nmodule_bytes = 111\n",
        );
        let loaded = load(Sources {
            defaults: vec![
                ("task_hub", Value::from("OfTheApp")),
                ("address", Value::from("127.0.0.1:1")),
                ("http.cors_origins", Value::from(vec!["http://a.example"])),
            ],
            file: Some(file.path().into()),
            environment: owned(&[
                ("DACAPO_ADDRESS", "127.0.0.1:2"),
                ("DACAPO_LIMITS_TASKS", "2_000"),
                ("DACAPO_LIMITS_PAYLOAD_BYTES", "22"),
                ("DACAPO_ACTIVITIES_ALLOW_HOSTS", "example.org, localhost:8080"),
                ("DACAPO_ENVIRONMENT", "{ MODE = \"test\" }"),
                ("DACAPO_CONNECTIONS", "{ Here = { server = \"http://127.0.0.1:7171\" } }"),
                ("DACAPO_LIMIT_TASKS", "3"),
                ("DACAPO_SERVER", "http://elsewhere"),
                ("HOME", "/"),
            ]),
            texts: owned(&[("limits.tasks", "3")]),
            flags: vec![("address", "127.0.0.1:3".into())],
        })
        .unwrap();
        let settings = loaded.settings;
        assert_eq!(settings.task_hub, "FromFile");
        assert_eq!(settings.http.cors_origins, ["http://a.example"]);
        assert_eq!(settings.address, "127.0.0.1:3");
        assert_eq!(settings.limits.tasks, 3);
        assert_eq!(settings.limits.payload_bytes, 22);
        assert_eq!(settings.limits.module_bytes, 111);
        assert_eq!(settings.limits.apps, HubLimits::default().apps);
        assert_eq!(settings.activities.allow_hosts, ["example.org", "localhost:8080"]);
        assert_eq!(settings.environment["MODE"], "test");
        assert_eq!(settings.connection("here").map(|connection| connection.server.as_str()), Some("http://127.0.0.1:7171"));
        assert_eq!(settings.connection("there"), None);
        assert_eq!(loaded.unknown_variables, ["DACAPO_LIMIT_TASKS"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_name_and_line() {
        let file = file("data = \"x\"\n\n[engine]\nhot_instance = 5\n");
        let refusal = refusal(Sources { file: Some(file.path().into()), ..Sources::default() });
        assert!(refusal.contains("hot_instance") && refusal.contains("line 4"), "{refusal}");
        assert!(refusal.contains(file.path().to_str().unwrap()), "{refusal}");
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let text = |key: &str, value: &str| refusal(Sources { texts: owned(&[(key, value)]), ..Sources::default() });
        assert!(text("limits.task", "1").contains("'limits.task'"));
        assert!(text("limits.tasks", "many").contains("limits.tasks"));
        assert!(text("limits.tasks", "0").contains("limits.tasks"));
        assert!(text("limits.tasks", "-1").contains("tasks"));
        assert!(text("task_hub", "../up").contains("task_hub"));
        assert!(text("activities.allow_hosts", "http://x/y").contains("allow_hosts"));
        assert!(text("activities.directories", "[{ guest = \"data\", host = \"/\" }]").contains("'data'"));
        assert!(text("http.connections", "0").contains("http.connections"));
        assert!(text("http.head_seconds", "99999999999").contains("http.head_seconds"));
        assert!(text("tls.certificate", "a.pem").contains("tls.key"));
        assert!(text("rpc.role", "deploy").contains("rpc.role"));
        assert!(text("rpc.hub", "../up").contains("rpc.hub"));
        for url in ["example.org", "ftp://example.org", "http://", "http:///path", "https://example.org?x=1", "https://a b"] {
            assert!(text("http.public_url", url).contains("http.public_url"), "{url}");
        }
        assert!(text("connections", "{ a = { server = \" \" } }").contains("connections.a"));
        assert!(text("connections", "{ a = { server = \"http://h\", key = \"dcp_x\" } }").contains("key"));
        assert!(text("connections", "{ a = {} }").contains("server"));
        let environment = owned(&[("DACAPO_STORE_CACHE_BYTES", "big")]);
        assert!(refusal(Sources { environment, ..Sources::default() }).contains("DACAPO_STORE_CACHE_BYTES"));
    }

    /// One such number was added to a clock, which panicked when the host was told to stop; with another, threads were started
    /// until the host was aborted.
    #[test]
    fn numbers_that_nothing_can_hold_are_refused() {
        for (key, default) in keys(&Settings::default()).into_iter().filter(|(_, default)| default.is_integer()) {
            let (least, most) = (*bounds(&key).start(), *bounds(&key).end());
            assert!((least..=most).contains(&default.as_integer().unwrap()), "{key}");
            assert!(most < i64::MAX / 4, "{key}");
            for beyond in [i64::MAX, most + 1, least - 1] {
                let sources = Sources { texts: vec![(key.clone(), beyond.to_string())], ..Sources::default() };
                let refusal = refusal(sources);
                let name = key.rsplit('.').next().unwrap();
                assert!(refusal.contains(name) || beyond < 0 || beyond > u32::MAX.into(), "{key}: {refusal}");
            }
        }
        for days in ["-0.5", "1e7", "inf", "nan"] {
            let sources = Sources { texts: owned(&[("retention.failed_days", days)]), ..Sources::default() };
            assert!(refusal(sources).contains("retention"), "{days}");
        }
        let of = |key: &str, most: i64| {
            let texts = vec![(key.to_owned(), most.to_string())];
            load(Sources { texts, ..Sources::default() }).unwrap().settings
        };
        let longest = of("engine.shutdown_grace_seconds", u32::MAX.into()).shutdown_grace();
        assert!(tokio::time::Instant::now().checked_add(longest).is_some());
    }

    #[test]
    fn the_public_address_is_that_of_the_listener_unless_it_is_configured() {
        let mut settings = Settings::default();
        let address = "127.0.0.1:7071".parse().unwrap();
        assert_eq!(settings.public_url(address), "http://127.0.0.1:7071");
        settings.http.public_url = "https://example.org/dacapo/".into();
        settings.check().unwrap();
        assert_eq!(settings.public_url(address), "https://example.org/dacapo");
    }

    #[test]
    fn the_pool_has_room_for_the_turns_beside_the_hot_instances() {
        let mut settings = Settings::default();
        settings.engine.hot_instances = u32::MAX;
        settings.engine.concurrent_activities = u32::MAX;
        let pool = settings.pool();
        assert!(settings.capacity().hot_instances + SLOTS_FOR_TURNS as usize <= pool.orchestrators as usize);
        settings.engine.hot_instances = 0;
        assert_eq!(settings.capacity().hot_instances, 0);
        assert_eq!(settings.pool().orchestrators, SLOTS_FOR_TURNS);
    }
}
