//! The files of Azure Functions beside an app: `host.json`, and `local.settings.json`.

use std::collections::BTreeMap;
use std::path::Path;

use dacapo_wasm::{HttpSettings, Manifest};
use serde_json::{Map, Value};

use super::BuildError;

pub const HOST_FILE: &str = "host.json";
const SETTINGS_FILE: &str = "local.settings.json";

/// What a `host.json` says that is heeded.
#[derive(Debug, Default, PartialEq)]
pub struct HostFile {
    pub route_prefix: Option<String>,
    /// Its settings that have no counterpart.
    pub ignored: Vec<String>,
}

/// Settings of `host.json` that have no effect here, and whose absence changes nothing that an app can notice; and what other
/// commands read.
const QUIET: [&str; 9] = [
    "version",
    "logging",
    "extensionBundle",
    "extensions.durableTask.hubName",
    "extensions.durableTask.storageProvider",
    "extensions.durableTask.tracing",
    "extensions.durableTask.logReplayEvents",
    "extensions.http.routePrefix",
    "concurrency",
];

impl HostFile {
    /// Reads the file of an app, if there is one.
    pub fn read(folder: &Path) -> Result<Self, BuildError> {
        let path = folder.join(HOST_FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path).map_err(BuildError::file("reading", &path))?;
        Self::parse(&text).map_err(|why| BuildError::Sources(format!("{}: {why}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let whole: Map<String, Value> = serde_json::from_str(text).map_err(|why| format!("it is not a JSON object: {why}"))?;
        let prefix = Value::Object(whole.clone()).pointer("/extensions/http/routePrefix").cloned();
        let route_prefix = match prefix {
            None | Some(Value::Null) => None,
            Some(Value::String(prefix)) => Some(prefix),
            Some(_) => return Err("`extensions.http.routePrefix` must be a text".into()),
        };
        let mut ignored = Vec::new();
        note_ignored("", &whole, &mut ignored);
        Ok(Self { route_prefix, ignored })
    }

    /// The manifest of an app, with what this file adds to it.
    pub fn add_to(&self, manifest: Manifest) -> Manifest {
        let Some(prefix) = &self.route_prefix else { return manifest };
        let http = manifest.http.unwrap_or_default();
        let route_prefix = http.route_prefix.or_else(|| Some(prefix.clone()));
        Manifest { http: Some(HttpSettings { route_prefix }), ..manifest }
    }
}

fn note_ignored(path: &str, settings: &Map<String, Value>, ignored: &mut Vec<String>) {
    for (name, value) in settings {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_quiet = QUIET.iter().any(|quiet| path == *quiet || path.starts_with(&format!("{quiet}.")));
        let leads_on = QUIET.iter().any(|quiet| quiet.starts_with(&format!("{path}.")));
        match value {
            _ if is_quiet => {}
            Value::Object(inner) if leads_on => note_ignored(&path, inner, ignored),
            _ => ignored.push(path),
        }
    }
}

/// The environment that `local.settings.json` sets for an app that runs on the developer's machine. It is never part of an app.
pub fn local_settings(folder: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let path = folder.join(SETTINGS_FILE);
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let wrong = |why: String| BuildError::Sources(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(BuildError::file("reading", &path))?;
    let whole: Value =
        serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|why| wrong(why.to_string()))?;
    if whole["IsEncrypted"] == true {
        return Err(wrong("its values are encrypted: decrypt it with `func settings decrypt`".into()));
    }
    let Some(values) = whole.get("Values").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Ok(values.iter().map(|(name, value)| (name.clone(), text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_file_sets_the_prefix_and_names_what_it_cannot() {
        let read = |text: &str| HostFile::parse(text);
        let file = read(
            r#"{"version":"2.0","functionTimeout":"00:05:00","logging":{"logLevel":{}},"extensions":{"http":{"routePrefix":"v1","hsts":{}},
                "durableTask":{"hubName":"Hub","maxConcurrentActivityFunctions":5}}}"#,
        )
        .unwrap();
        assert_eq!(file.route_prefix.as_deref(), Some("v1"));
        let ignored = ["extensions.durableTask.maxConcurrentActivityFunctions", "extensions.http.hsts", "functionTimeout"];
        let mut named = file.ignored.clone();
        named.sort();
        assert_eq!(named, ignored);
        let manifest = file.add_to(Manifest { name: Some("app".into()), ..Manifest::default() });
        assert_eq!(manifest.http.unwrap().route_prefix.as_deref(), Some("v1"));
        assert_eq!(read("\u{feff}{}").unwrap(), HostFile::default());
        assert!(read("[]").unwrap_err().contains("not a JSON object"));
        assert!(read(r#"{"extensions":{"http":{"routePrefix":1}}}"#).unwrap_err().contains("must be a text"));
    }

    #[test]
    fn local_settings_are_an_environment() {
        let folder = tempfile::tempdir().unwrap();
        assert!(local_settings(folder.path()).unwrap().is_empty());
        let write = |text: &str| std::fs::write(folder.path().join(SETTINGS_FILE), text).unwrap();
        write(r#"{"IsEncrypted":false,"Values":{"A":"1","B":true},"Host":{"CORS":"*"}}"#);
        let settings = local_settings(folder.path()).unwrap();
        assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("A".to_owned(), "1".to_owned()), ("B".into(), "true".into())]);
        write(r#"{"IsEncrypted":true,"Values":{}}"#);
        assert!(local_settings(folder.path()).unwrap_err().to_string().contains("encrypted"));
        write("{");
        assert!(local_settings(folder.path()).is_err());
    }
}
