use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use dacapo_core::guest::ClientGrant;
use dacapo_store::control::{DirectoryGrant, Grants, SecretGrant};

use super::{CliError, Connection, HubBody, get, tell};
use crate::cli::output::{Table, properties, table_text};
use crate::cli::serve::pair;

/// Grant the activities of a task hub, or of one of its apps, access to hosts, directories, variables and secrets. Adds to the
/// existing grants.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo hub grant acme --outbound https://api.example.org --secret token=api.example.org
  dacapo hub grant acme --app orders --dir /prices=/srv/prices
  dacapo hub grant acme --client read
  dacapo hub grant acme --none
  dacapo hub grant acme --file grants.json                     replaces the grants
In a header of a request to api.example.org, the host then replaces {{secret:token}} with the secret.")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["outbound", "directories", "writable_directories", "environment", "secrets", "secret_environment", "client", "none", "file"]))]
pub(in crate::cli) struct Grant {
    /// The task hub.
    name: String,
    /// For this app only, instead of the grants of the hub.
    #[arg(long)]
    app: Option<String>,
    /// A host that may be sent requests: [scheme://]host[:port], *.example.org or an address. May be repeated.
    #[arg(long, value_name = "HOST")]
    outbound: Vec<String>,
    /// A directory that may be read: the path that activities see, and the path on the host. May be repeated.
    #[arg(long = "dir", value_name = "/GUEST=/HOST", value_parser = pair)]
    directories: Vec<(String, String)>,
    /// A directory that may be written. May be repeated.
    #[arg(long = "writable-dir", value_name = "/GUEST=/HOST", value_parser = pair)]
    writable_directories: Vec<(String, String)>,
    /// An environment variable. May be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    environment: Vec<(String, String)>,
    /// A secret, and a host that it may be sent to. May be repeated.
    #[arg(long = "secret", value_name = "SECRET=HOST", value_parser = pair)]
    secrets: Vec<(String, String)>,
    /// A secret, and the environment variable in which activities see it. May be repeated.
    #[arg(long = "secret-env", value_name = "SECRET=NAME", value_parser = pair)]
    secret_environment: Vec<(String, String)>,
    /// What activities and triggers may do with the durable client, in this task hub: operate if nothing is granted.
    #[arg(long, value_name = "WHAT", value_parser = ["none", "read", "operate"])]
    client: Option<String>,
    /// Remove all grants first, then add those of the other options.
    #[arg(long, conflicts_with = "file")]
    none: bool,
    /// Grants as JSON, as in the member `grants` of what `dacapo hub show --json` prints; they replace the existing ones.
    #[arg(long, value_name = "FILE", exclusive = false)]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Grant {
    pub fn run(self) -> Result<(), CliError> {
        let hub: HubBody = get(&self.connection.client(), &self.name)?.parse()?;
        let there_is = match &self.app {
            Some(app) => hub.app_grants.get(app).cloned().unwrap_or_default(),
            None => hub.grants,
        };
        let mut grants = match &self.file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|why| CliError::file("reading", path, &why))?;
                let wrong = |why| CliError::Usage(format!("the file {} holds no grants: {why}", path.display()));
                serde_json::from_str(&text).map_err(wrong)?
            }
            None if self.none => Grants::default(),
            None => there_is,
        };
        self.add_to(&mut grants);
        let change = match &self.app {
            Some(app) => json!({ "appGrants": { app: grants } }),
            None => json!({ "grants": grants }),
        };
        tell(&self.connection, &self.name, &change, || {
            let of = self.app.as_ref().map_or_else(String::new, |app| format!("the app '{app}' of "));
            let rows = table_text(granted(&grants));
            format!("Activities of {of}the task hub '{}' may reach:\n{rows}", self.name)
        })
    }

    fn add_to(&self, grants: &mut Grants) {
        let directory =
            |(guest, host): &(String, String), writable| DirectoryGrant { guest: guest.clone(), host: host.clone(), writable };
        grants.outbound.extend(self.outbound.iter().filter(|host| !grants.outbound.contains(host)).cloned().collect::<Vec<_>>());
        let new = self.directories.iter().map(|pair| directory(pair, false));
        for new in new.chain(self.writable_directories.iter().map(|pair| directory(pair, true))) {
            grants.directories.retain(|old| old.guest != new.guest);
            grants.directories.push(new);
        }
        grants.environment.extend(self.environment.iter().cloned());
        let none = || SecretGrant { hosts: Vec::new(), environment: None };
        for (name, host) in &self.secrets {
            let secret = grants.secrets.entry(name.clone()).or_insert_with(none);
            if !secret.hosts.contains(host) {
                secret.hosts.push(host.clone());
            }
        }
        for (name, variable) in &self.secret_environment {
            grants.secrets.entry(name.clone()).or_insert_with(none).environment = Some(variable.clone());
        }
        if let Some(client) = ClientGrant::ALL.into_iter().find(|grant| Some(grant.name()) == self.client.as_deref()) {
            grants.client = client;
        }
    }
}

/// What is granted, in rows.
pub(super) fn granted(grants: &Grants) -> Table {
    let Grants { outbound, directories, environment, secrets, client } = grants;
    let mut rows = properties();
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join("\n") };
    let directory = |DirectoryGrant { guest, host, writable }: &DirectoryGrant| {
        format!("{guest} is {host}, {}", if *writable { "writable" } else { "to read" })
    };
    let secret = |(name, SecretGrant { hosts, environment }): (&String, &SecretGrant)| {
        let to = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") };
        let variable = environment.as_ref().map_or_else(String::new, |variable| format!(", as the variable {variable}"));
        format!("{name}, for {to}{variable}")
    };
    rows.add_row(["Hosts", &list(outbound.clone())]);
    rows.add_row(["Directories", &list(directories.iter().map(directory).collect())]);
    rows.add_row(["Variables", &list(environment.iter().map(|(name, value)| format!("{name}={value}")).collect())]);
    rows.add_row(["Secrets", &list(secrets.iter().map(secret).collect())]);
    rows.add_row(["Durable client", client.name()]);
    rows
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        grant: Grant,
    }

    #[test]
    fn what_is_granted_is_shown_in_words() {
        let grants: Grants = serde_json::from_value(json!({
            "outbound": ["a.example", "b.example"],
            "directories": [{ "guest": "/d", "host": "/two", "writable": true }],
            "environment": { "A": "1" },
            "secrets": { "t": { "hosts": ["a.example"], "environment": "TOKEN" } },
        }))
        .unwrap();
        let text = table_text(granted(&grants));
        for part in
            ["a.example", "b.example", "/d is /two, writable", "A=1", "t, for a.example, as the variable TOKEN", "operate"]
        {
            assert!(text.contains(part) && !text.contains('{'), "{text}");
        }
        assert!(table_text(granted(&Grants::default())).contains("none"));
    }

    #[test]
    fn what_is_granted_is_added_once() {
        let line = "g acme --outbound a.example --outbound b.example --dir /d=/one --writable-dir /d=/two --env A=1 \
                    --secret t=a.example --secret t=b.example --secret-env t=TOKEN";
        let grant = Line::try_parse_from(line.split_whitespace()).unwrap().grant;
        let mut grants = Grants { outbound: vec!["a.example".into()], ..Grants::default() };
        grant.add_to(&mut grants);
        grant.add_to(&mut grants);
        let expected = json!({
            "outbound": ["a.example", "b.example"],
            "directories": [{ "guest": "/d", "host": "/two", "writable": true }],
            "environment": { "A": "1" },
            "secrets": { "t": { "hosts": ["a.example", "b.example"], "environment": "TOKEN" } },
        });
        assert_eq!(serde_json::to_value(&grants).unwrap(), expected);
    }
}
