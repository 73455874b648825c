//! The attacked host, and the only holder of the administrator's key.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::servers::{SECRET, Servers};
use super::watch::Watch;
use crate::host::{Answer, Host, binary};
use crate::trigger_guest;

/// Marks all data of the honest hubs.
pub const MARK: &str = "velvet-ZqX4";

/// The name of the secret in each hub.
pub const SECRET_NAME: &str = "token";

/// The route of an HTTP trigger that each honest hub has, with the prefix `api`; its clients need a key.
pub const ROUTE: &str = "api/orders/{id}";
pub const ROUTE_OF_ALL: &str = "{*all}";

pub struct Stage {
    pub host: Host,
    root: String,
    honest: Vec<Tenant>,
    pub watch: Arc<Watch>,
    pub servers: Servers,
    /// The directory that is granted to the attacker's activities, and the key file for secrets.
    shared: TempDir,
    data: TempDir,
}

/// A task hub, and a key that administers it.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub hub: String,
    pub key: String,
}

/// Limits per address and for slow clients. Limits of hubs are set when they are created.
const SETTINGS: [&str; 4] =
    ["--set=http.connections_per_address=256", "--set=http.head_seconds=1", "--set=http.stall_seconds=1", "--log=warn"];

/// Names that an administrator has granted in good faith, and that resolve to this machine: names of a hosts file, and other
/// spellings of its address.
pub const NAMES: [&str; 9] =
    ["ip6-localhost", "localhost.", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "0", "127.0.0.1."];

/// The limits of the attacker's hubs, unless an attack sets others: so low that they are reached within seconds.
const LIMITS: [(&str, u64); 6] = [
    ("activity_seconds", 1),
    ("activity_memory_bytes", 64 << 20),
    ("orchestrator_memory_bytes", 32 << 20),
    ("fuel_per_turn", 200_000_000),
    ("history_events", 1_000),
    ("instances_alive", 5_000),
];

impl Stage {
    pub async fn set() -> Result<Self> {
        let shared = tempfile::tempdir()?;
        let key = shared.path().join("key");
        let made = Command::new(binary()?).arg("new-secrets-key").arg(&key).status()?;
        ensure!(made.success(), "the key for secrets could not be made");
        std::fs::create_dir(shared.path().join("granted"))?;
        std::fs::write(shared.path().join("granted/own.txt"), "its own")?;
        std::os::unix::fs::symlink("/etc/passwd", shared.path().join("granted/passwd"))?;
        let key_file = format!("--set=secrets.key_file={}", key.display());
        let (host, data) = Host::temporary_locked(&[SETTINGS.as_slice(), &[&key_file]].concat())?;
        let root = host.administrator_key().context("the first start creates a key")?.to_owned();
        let watch = Arc::new(Watch::default());
        watch.guard("data of an honest hub", MARK);
        watch.guard("the key of the host", &root);
        watch.guard("a secret that it may only use", SECRET);
        watch.guard("a file of the host", "root:x:0:0");
        let servers = Servers::start(&watch).await?;
        Ok(Self { host, root, honest: Vec::new(), watch, servers, shared, data })
    }

    /// Creates a hub with the default limits, a secret of its own, and an HTTP trigger.
    pub fn honest(&mut self, hub: &str) -> Result<Tenant> {
        self.administer("POST", "/admin/hubs", &json!({ "name": hub }))?;
        self.put_secret(hub, &format!("{MARK}-secret"))?;
        let tenant = self.tenant(hub)?;
        self.watch.guard("the key of an honest hub", &tenant.key);
        let route = json!([{ "type": "httpTrigger", "route": ROUTE.trim_start_matches("api/"), "authLevel": "function" }]);
        let module = trigger_guest::module("order", &[("place_order", &route.to_string())]);
        let deployed = self.host.request_as(&tenant.key, "POST", "/admin/apps/orders", Some(&module))?;
        ensure!(deployed.status == 200, "{deployed:?}");
        self.honest.push(tenant.clone());
        Ok(tenant)
    }

    /// Visits a path of an honest hub, which a parameter names.
    pub fn visit(&self, hub: &str, path: &str) -> Result<Answer> {
        self.host.request_as(&self.root, "GET", &format!("{path}?taskHub={hub}"), None)
    }

    /// The same for a client of the hub: its key names it.
    pub fn visit_by_key(&self, hub: &str, path: &str) -> Result<Answer> {
        let tenant = self.honest.iter().find(|tenant| tenant.hub == hub).context("it is an honest hub")?;
        self.host.request_as(&tenant.key, "GET", path, None)
    }

    /// Creates a hub with low limits, and with grants that an administrator could have given.
    pub fn hostile(&self, hub: &str) -> Result<Tenant> {
        let (own, partner) = (&self.servers.own.authority, &self.servers.partner.authority);
        let mut outbound = vec![own.as_str(), partner.as_str()];
        outbound.extend(NAMES);
        let granted = self.shared.path().join("granted");
        let grants = json!({
            "outbound": outbound,
            "directories": [{ "guest": "/data", "host": granted, "writable": true }],
            "environment": { "MODE": "test" },
            "secrets": { SECRET_NAME: { "hosts": [format!("http://{partner}")] } },
        });
        self.administer("POST", "/admin/hubs", &json!({ "name": hub, "limits": table(&LIMITS), "grants": grants }))?;
        self.put_secret(hub, SECRET)?;
        self.tenant(hub)
    }

    /// Changes limits of a hub.
    pub fn limit(&self, tenant: &Tenant, limits: &[(&str, u64)]) -> Result<()> {
        self.administer("PATCH", &format!("/admin/hubs/{}", tenant.hub), &json!({ "limits": table(limits) })).map(drop)
    }

    /// Removes a hub with everything that runs in it.
    pub fn remove(&self, tenant: &Tenant) -> Result<()> {
        self.administer("DELETE", &format!("/admin/hubs/{}", tenant.hub), &Value::Null).map(drop)
    }

    fn tenant(&self, hub: &str) -> Result<Tenant> {
        let made = json!({ "name": "owner", "role": "administer" });
        let made = self.administer("POST", &format!("/admin/hubs/{hub}/keys"), &made)?;
        let key = made["key"].as_str().context("a new key is shown")?.to_owned();
        Ok(Tenant { hub: hub.to_owned(), key })
    }

    fn put_secret(&self, hub: &str, secret: &str) -> Result<()> {
        let answer = self.host.request_as(
            &self.root,
            "PUT",
            &format!("/admin/hubs/{hub}/secrets/{SECRET_NAME}"),
            Some(secret.as_bytes()),
        )?;
        ensure!(answer.status == 204, "{answer:?}");
        Ok(())
    }

    fn administer(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = Some(body.to_string()).filter(|_| !body.is_null());
        let answer = self.host.request_as(&self.root, method, path, body.as_deref().map(str::as_bytes))?;
        ensure!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// What must hold after every attack: the same process runs, it has not panicked, its log contains no secret, and its data
    /// directory contains no unexpected file.
    pub fn check(&mut self) -> Result<()> {
        ensure!(self.host.is_running()?, "the host has died:\n{}", self.host.log());
        let log = self.host.log();
        ensure!(!log.contains("panicked at host/"), "the host has panicked:\n{log}");
        let told = [SECRET, MARK, &self.root].into_iter().find(|hidden| log.contains(hidden));
        ensure!(told.is_none(), "the log contains a secret:\n{log}");
        for path in files(self.data.path())? {
            let inside = path.strip_prefix(self.data.path())?;
            ensure!(is_expected(inside), "the host has a file {}", inside.display());
        }
        Ok(())
    }
}

fn table(limits: &[(&str, u64)]) -> Value {
    limits.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn is_expected(path: &Path) -> bool {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    match names.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        ["control.redb" | "host.log"] => true,
        ["hubs", name] => name.ends_with(".redb"),
        ["modules" | "cache", name] => name.starts_with(|c: char| c.is_ascii_hexdigit()),
        ["cache", "functions", name] => name.ends_with(".functions") || name.contains(".tmp-"),
        _ => false,
    }
}

/// Returns all files below a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}
