//! Grants: their validation before they are stored, and what they add to a policy.

use std::path::Path;

use dacapo_store::control::Grants;
use dacapo_wasm::{AllowList, DirectoryGrant, InvalidAllowEntry, Policy, Secret};
use zeroize::Zeroizing;

/// A grant that cannot be given. The message names the member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidGrant(String);

/// Longer lists are a mistake.
const ENTRIES_MAX: usize = 1_000;

/// Checks grants for a host whose own data directory, `data`, guests must never see.
pub fn check(grants: &Grants, data: &Path) -> Result<(), InvalidGrant> {
    let Grants { outbound, directories, environment, secrets, client: _ } = grants;
    for (member, entries) in [
        ("outbound", outbound.len()),
        ("directories", directories.len()),
        ("environment", environment.len()),
        ("secrets", secrets.len()),
    ] {
        require(entries <= ENTRIES_MAX, || format!("{member} has {entries} entries, {ENTRIES_MAX} are allowed"))?;
    }
    hosts("outbound", outbound)?;
    for directory in directories {
        require(directory.guest.starts_with('/'), || {
            format!("directories: the guest path '{}' must begin with '/'", directory.guest)
        })?;
        check_directory(Path::new(&directory.host), data)?;
    }
    environment.keys().try_for_each(|name| variable("environment", name))?;
    for (name, grant) in secrets {
        require(is_secret_name(name), || format!("secrets: '{name}' {SECRET_NAME_RULE}"))?;
        hosts(&format!("secrets.{name}.hosts"), &grant.hosts)?;
        grant.environment.iter().try_for_each(|variable_name| variable(&format!("secrets.{name}.environment"), variable_name))?;
    }
    Ok(())
}

/// Returns the policy extended by the grants. A secret that cannot be opened (it was not set yet, or the key is missing) is left
/// out; requests that need it are then refused.
pub fn apply(
    policy: &Policy,
    grants: &Grants,
    open_secret: impl Fn(&str) -> Option<Zeroizing<String>>,
) -> Result<Policy, InvalidAllowEntry> {
    let mut policy = policy.clone();
    policy.outbound = policy.outbound.or(AllowList::parse(&grants.outbound)?);
    policy.directories.extend(grants.directories.iter().map(|grant| DirectoryGrant {
        guest: grant.guest.clone(),
        host: grant.host.clone().into(),
        writable: grant.writable,
    }));
    policy.environment.extend(grants.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (name, grant) in &grants.secrets {
        let Some(value) = open_secret(name) else { continue };
        let (hosts, environment) = (AllowList::parse(&grant.hosts)?, grant.environment.clone());
        policy.secrets.push(Secret { name: name.clone(), value: value.to_string(), hosts, environment });
    }
    policy.client = grants.client;
    Ok(policy)
}

pub const SECRET_NAME_CHARS_MAX: usize = 64;
pub const SECRET_NAME_RULE: &str = "should be 1 to 64 letters, digits, '-', '_' or '.'";

/// Names of secrets are written between braces in headers.
pub fn is_secret_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=SECRET_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(plain)
}

fn check_directory(host: &Path, data: &Path) -> Result<(), InvalidGrant> {
    let shown = host.display();
    require(host.is_absolute(), || format!("directories: the path '{shown}' of the host must begin with '/'"))?;
    let found = host.canonicalize().ok().filter(|path| path.is_dir());
    let found = found.ok_or_else(|| InvalidGrant(format!("directories: {shown} is not a directory that the host can read")))?;
    let apart = !found.starts_with(data) && !data.starts_with(&found);
    require(apart, || format!("directories: {shown} contains, or is within, the data directory of the host"))
}

fn hosts(member: &str, entries: &[String]) -> Result<(), InvalidGrant> {
    AllowList::parse(entries).map(drop).map_err(|why| InvalidGrant(format!("{member}: {why}")))
}

fn variable(member: &str, name: &str) -> Result<(), InvalidGrant> {
    require(!name.is_empty() && !name.contains(['=', '\0']), || format!("{member}: '{name}' is not the name of a variable"))
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), InvalidGrant> {
    if holds { Ok(()) } else { Err(InvalidGrant(why())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(grants: Value) -> Option<String> {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("hubs")).unwrap();
        let text = grants.to_string().replace("DATA", data.path().to_str().unwrap());
        let grants: Grants = serde_json::from_str(&text).unwrap();
        check(&grants, &data.path().canonicalize().unwrap()).err().map(|why| why.to_string())
    }

    #[test]
    fn what_can_be_granted_is() {
        let grants = json!({
            "outbound": ["example.org", "*.example.org:8080", "10.0.0.1"],
            "directories": [{ "guest": "/tmp", "host": "/usr" }],
            "environment": { "MODE": "test" },
            "secrets": { "token": { "hosts": ["example.org"], "environment": "TOKEN" } },
        });
        assert_eq!(refusal(grants), None);
        assert_eq!(refusal(json!({})), None);
    }

    #[test]
    fn what_cannot_is_refused_by_name() {
        for (grants, names) in [
            (json!({ "outbound": ["http://x/y"] }), "outbound"),
            (json!({ "directories": [{ "guest": "data", "host": "/usr" }] }), "'data'"),
            (json!({ "directories": [{ "guest": "/d", "host": "usr" }] }), "'usr'"),
            (json!({ "directories": [{ "guest": "/d", "host": "/nowhere" }] }), "/nowhere"),
            (json!({ "directories": [{ "guest": "/d", "host": "/" }] }), "data directory"),
            (json!({ "directories": [{ "guest": "/d", "host": "DATA" }] }), "data directory"),
            (json!({ "directories": [{ "guest": "/d", "host": "DATA/hubs/../hubs" }] }), "data directory"),
            (json!({ "environment": { "A=B": "" } }), "'A=B'"),
            (json!({ "secrets": { "a b": {} } }), "'a b'"),
            (json!({ "secrets": { "t": { "hosts": ["/"] } } }), "secrets.t.hosts"),
            (json!({ "secrets": { "t": { "environment": "" } } }), "secrets.t.environment"),
            (json!({ "outbound": vec!["a"; 1_001] }), "1001 entries"),
        ] {
            let why = refusal(grants.clone()).unwrap_or_else(|| panic!("{grants}"));
            assert!(why.contains(names), "{why}");
        }
    }
}
