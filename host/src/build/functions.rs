//! The files of Azure Functions beside an app: `host.json`, and `local.settings.json`.

use std::collections::BTreeMap;
use std::path::Path;

use dacapo_store::control::check_hub_name;
use dacapo_wasm::{HttpSettings, Manifest};
use serde_json::{Map, Value};

use super::BuildError;
use super::json_file::{self, member};

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
        let Some(whole) = json_file::read(&path)? else { return Ok(Self::default()) };
        Self::of(whole).map_err(|why| BuildError::Sources(format!("{}: {why}", path.display())))
    }

    fn of(whole: Map<String, Value>) -> Result<Self, String> {
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

/// The task hub that `host.json` in this folder names, if it does. It may name app settings as `%NAME%`: variables of the
/// environment, which `variable` reads, or else values in `local.settings.json`.
pub fn task_hub(folder: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, BuildError> {
    let path = folder.join(HOST_FILE);
    let wrong = |why: String| BuildError::Sources(format!("{}: {why}", path.display()));
    let Some(whole) = json_file::read(&path)? else { return Ok(None) };
    // The first version of Functions had no `extensions`.
    let found = [&["extensions", "durableTask"][..], &["durableTask"]].into_iter().find_map(|sections| {
        let section = sections.iter().try_fold(&whole, |section, name| member(section, name)?.as_object())?;
        Some((sections.join("."), member(section, "hubName")?))
    });
    let Some((section, value)) = found else { return Ok(None) };
    let key = format!("{section}.hubName");
    let Some(text) = value.as_str() else { return Err(wrong(format!("`{key}` is {value}, but must be a text"))) };
    let name = resolved(text, |name| {
        match variable(name) {
        Some(value) => Ok(value),
        None => local_setting(folder, name)?.ok_or_else(|| {
            wrong(format!(
                "`{key}` is '{text}', but {name} is neither a variable of the environment nor one of the Values in {SETTINGS_FILE}"
            ))
        }),
    }
    })?;
    match check_hub_name(&name) {
        Some(trouble) if name == text => Err(wrong(format!("`{key}` is '{text}', but {trouble}"))),
        Some(trouble) => Err(wrong(format!("`{key}` is '{text}', which is '{name}' here, but {trouble}"))),
        None => Ok(Some(name)),
    }
}

/// Replaces each `%NAME%`. A `%` without another after it stands for itself.
fn resolved<E>(text: &str, setting: impl Fn(&str) -> Result<String, E>) -> Result<String, E> {
    let mut parts = text.split('%');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    while let Some(name) = parts.next() {
        match parts.next() {
            Some(after) => whole += &(setting(name)? + after),
            None => whole += &format!("%{name}"),
        }
    }
    Ok(whole)
}

/// One value of `local.settings.json`, whose names ignore case.
fn local_setting(folder: &Path, name: &str) -> Result<Option<String>, BuildError> {
    let settings = local_settings(folder)?;
    Ok(settings.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The environment that `local.settings.json` sets for an app that runs on the developer's machine. It is never part of an app.
pub fn local_settings(folder: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let path = folder.join(SETTINGS_FILE);
    let Some(whole) = json_file::read(&path)? else { return Ok(BTreeMap::new()) };
    if member(&whole, "IsEncrypted") == Some(&Value::Bool(true)) {
        let why = "its values are encrypted: decrypt it with `func settings decrypt` of Azure Functions Core Tools";
        return Err(BuildError::Sources(format!("{}: {why}", path.display())));
    }
    let Some(values) = member(&whole, "Values").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
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
        let read = |text: &str| json_file::parse(text).and_then(HostFile::of);
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

    /// The result in a folder with these files, and with one variable of the environment, `FROM_ENVIRONMENT`.
    fn hub(files: &[(&str, &str)]) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let variable = |name: &str| (name == "FROM_ENVIRONMENT").then(|| "Environment".to_owned());
        task_hub(folder.path(), variable).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(host_json: &str, expected: Option<&str>) {
        assert_eq!(hub(&[(HOST_FILE, host_json)]), Ok(expected.map(str::to_owned)), "{host_json}");
    }

    #[track_caller]
    fn refuses(files: &[(&str, &str)], expected: &[&str]) {
        let why = hub(files).unwrap_err();
        assert!(expected.iter().all(|part| why.contains(part)), "{why}");
    }

    #[test]
    fn the_hub_is_that_of_the_extension() {
        assert_eq!(hub(&[]), Ok(None));
        check(r#"{"version": "2.0", "extensions": {"durableTask": {"hubName": "MyTaskHub"}}}"#, Some("MyTaskHub"));
        check(r#"{"version": "2.0", "Extensions": {"DurableTask": {"HubName": "MyTaskHub"}}}"#, Some("MyTaskHub"));
        check(r#"{"durableTask": {"HubName": "MyTaskHub"}}"#, Some("MyTaskHub"));
        check("{ // the hub:\n \"extensions\": {\"durableTask\": {\"hubName\": \"MyTaskHub\",},} }", Some("MyTaskHub"));
        for without in ["{}", r#"{"extensions": {}}"#, r#"{"extensions": {"durableTask": {"tracing": {}}}}"#] {
            check(without, None);
        }
    }

    #[test]
    fn app_settings_are_filled_in() {
        let named = |name: &str| format!(r#"{{"extensions": {{"durableTask": {{"hubName": "{name}"}}}}}}"#);
        let settings = r#"{"IsEncrypted": false, "Values": {"TaskHub": "Local", "FROM_ENVIRONMENT": "no", "N": 1}}"#;
        for (name, expected) in [
            ("%FROM_ENVIRONMENT%", "Environment"),
            ("%TaskHub%", "Local"),
            ("%taskhub%", "Local"),
            ("a-%TaskHub%-%FROM_ENVIRONMENT%", "a-Local-Environment"),
        ] {
            let files = [(HOST_FILE, &*named(name)), (SETTINGS_FILE, settings)];
            assert_eq!(hub(&files), Ok(Some(expected.to_owned())), "{name}");
        }
        let missing = named("%TaskHub%");
        refuses(&[(HOST_FILE, &missing)], &["host.json", "'%TaskHub%'", "environment", SETTINGS_FILE]);
        refuses(&[(HOST_FILE, &missing), (SETTINGS_FILE, "{\n oops")], &[SETTINGS_FILE, "line 2 column 2"]);
        let encrypted = r#"{"IsEncrypted": true, "Values": {"TaskHub": "x"}}"#;
        refuses(&[(HOST_FILE, &missing), (SETTINGS_FILE, encrypted)], &[SETTINGS_FILE, "encrypted"]);
        assert_eq!(hub(&[(HOST_FILE, &named("%N%")), (SETTINGS_FILE, settings)]), Ok(Some("1".into())));
    }

    #[test]
    fn a_broken_file_is_refused_with_its_place() {
        refuses(
            &[(HOST_FILE, "{\n  \"version\": \"2.0\"\n  \"x\": 1\n}")],
            &["host.json: it is not a JSON object", "line 3 column 3"],
        );
        refuses(&[(HOST_FILE, "[]")], &["host.json: it is not a JSON object"]);
        let named = |value: &str| format!(r#"{{"extensions": {{"durableTask": {{"hubName": {value}}}}}}}"#);
        refuses(&[(HOST_FILE, &named("5"))], &["extensions.durableTask.hubName` is 5", "text"]);
        refuses(&[(HOST_FILE, &named("\"my hub\""))], &["'my hub'", "letters"]);
        refuses(&[(HOST_FILE, &named("\"50%\""))], &["'50%'", "letters"]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(HOST_FILE)).unwrap();
        assert!(task_hub(folder.path(), |_| None).unwrap_err().to_string().contains("host.json failed"));
    }
}
