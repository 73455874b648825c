//! The files of Azure Functions beside an app: `host.json`, and `local.settings.json`.

use std::collections::BTreeMap;
use std::path::Path;

use dacapo_store::control::check_hub_name;
use dacapo_wasm::{DurableTaskSettings, EventHubSettings, HttpSettings, Manifest, QueueSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::BuildError;
use super::json_file::{self, member};
use crate::schedules::span::Span;

pub const HOST_FILE: &str = "host.json";
pub const SETTINGS_FILE: &str = "local.settings.json";

/// What a `host.json` says that is heeded.
#[derive(Debug, Default, PartialEq)]
pub struct HostFile {
    /// What it adds to the manifest of an app.
    settings: Manifest,
    /// Its settings that have no counterpart.
    pub ignored: Vec<String>,
}

/// Settings of `host.json` that are heeded, and those that have no effect here and whose absence changes nothing that an app can
/// notice.
const QUIET: [&str; 24] = [
    "version",
    "logging",
    "extensionBundle",
    "extensions.durableTask.hubName",
    "extensions.durableTask.defaultVersion",
    "extensions.durableTask.versionMatchStrategy",
    "extensions.durableTask.versionFailureStrategy",
    // The first version of Functions had no `extensions`.
    "durableTask.hubName",
    "durableTask.defaultVersion",
    "durableTask.versionMatchStrategy",
    "durableTask.versionFailureStrategy",
    "extensions.durableTask.storageProvider",
    "extensions.durableTask.tracing",
    "extensions.durableTask.logReplayEvents",
    "extensions.http.routePrefix",
    "extensions.queues.batchSize",
    "extensions.queues.maxDequeueCount",
    "extensions.queues.visibilityTimeout",
    // Nothing polls here, and messages are texts.
    "extensions.queues.maxPollingInterval",
    "extensions.queues.messageEncoding",
    "extensions.eventHubs.maxEventBatchSize",
    "extensions.eventHubs.eventProcessorOptions.maxBatchSize",
    "functionTimeout",
    "concurrency",
];

impl HostFile {
    /// Reads the file of an app, if there is one. `reuses_instances`: an app of its language that has the file was written for
    /// Azure Functions, where all calls share a process.
    pub fn read(folder: &Path, reuses_instances: bool) -> Result<Self, BuildError> {
        let path = folder.join(HOST_FILE);
        let Some(whole) = json_file::read(&path)? else { return Ok(Self::default()) };
        let mut file = Self::of(whole).map_err(|why| BuildError::Sources(format!("{}: {why}", path.display())))?;
        file.settings.reuse_instances = reuses_instances.then_some(true);
        Ok(file)
    }

    fn of(whole: Map<String, Value>) -> Result<Self, String> {
        let settings = Settings(&whole);
        let http = settings.text("extensions.http.routePrefix")?.map(|prefix| HttpSettings { route_prefix: Some(prefix) });
        let queues = QueueSettings {
            batch_size: settings.number("extensions.queues.batchSize")?,
            max_dequeue_count: settings.number("extensions.queues.maxDequeueCount")?,
            visibility_timeout: settings.seconds("extensions.queues.visibilityTimeout")?,
        };
        let events = match settings.number("extensions.eventHubs.maxEventBatchSize")? {
            None => settings.number("extensions.eventHubs.eventProcessorOptions.maxBatchSize")?,
            number => number,
        };
        let timeout = "functionTimeout";
        let is_unlimited = settings.find(timeout).is_some_and(|value| value == "-1" || *value == -1);
        let settings = Manifest {
            http,
            queues: Some(queues).filter(|queues| *queues != QueueSettings::default()),
            event_hubs: events.map(|events| EventHubSettings { max_event_batch_size: Some(events) }),
            durable_task: settings.durable_task()?,
            function_timeout: if is_unlimited { None } else { settings.seconds(timeout)? },
            ..Manifest::default()
        };
        let mut ignored = Vec::new();
        note_ignored("", &whole, &mut ignored);
        Ok(Self { settings, ignored })
    }

    /// Whether it adds anything to a manifest.
    pub fn adds_nothing(&self) -> bool {
        self.settings == Manifest::default()
    }

    /// The manifest of an app, with what this file adds to it: what the manifest says itself stays.
    pub fn add_to(&self, manifest: Manifest) -> Manifest {
        let Manifest { http, queues, event_hubs, durable_task, function_timeout, reuse_instances, .. } = self.settings.clone();
        let durable_task = match (manifest.durable_task.clone(), durable_task) {
            (Some(own), Some(added)) => Some(DurableTaskSettings {
                hub_name: own.hub_name.or(added.hub_name),
                default_version: own.default_version.or(added.default_version),
                version_match_strategy: own.version_match_strategy.or(added.version_match_strategy),
                version_failure_strategy: own.version_failure_strategy.or(added.version_failure_strategy),
            }),
            (own, added) => own.or(added),
        };
        // Starts that ask for a version are compared with the label.
        let default_version = durable_task.as_ref().and_then(|settings| settings.default_version.clone());
        let queues = match (manifest.queues.clone(), queues) {
            (Some(own), Some(added)) => Some(QueueSettings {
                batch_size: own.batch_size.or(added.batch_size),
                max_dequeue_count: own.max_dequeue_count.or(added.max_dequeue_count),
                visibility_timeout: own.visibility_timeout.or(added.visibility_timeout),
            }),
            (own, added) => own.or(added),
        };
        Manifest {
            version: manifest.version.clone().or(default_version),
            durable_task,
            http: manifest.http.clone().filter(|http| http.route_prefix.is_some()).or(http),
            queues,
            event_hubs: manifest.event_hubs.clone().filter(|hubs| hubs.max_event_batch_size.is_some()).or(event_hubs),
            function_timeout: manifest.function_timeout.or(function_timeout),
            reuse_instances: manifest.reuse_instances.or(reuse_instances),
            ..manifest
        }
    }
}

/// The settings of a file. Each is named by its path, such as `extensions.http.routePrefix`; case is ignored.
struct Settings<'a>(&'a Map<String, Value>);

impl Settings<'_> {
    fn find(&self, path: &str) -> Option<&Value> {
        let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut sections = sections.split('.').filter(|section| !section.is_empty());
        let inner = sections.try_fold(self.0, |outer, section| member(outer, section)?.as_object())?;
        member(inner, name).filter(|value| !value.is_null())
    }

    /// What it says of durable functions.
    fn durable_task(&self) -> Result<Option<DurableTaskSettings>, String> {
        let section = ["extensions.durableTask", "durableTask"].into_iter().find(|section| self.find(section).is_some());
        let Some(section) = section else { return Ok(None) };
        let path = |name: &str| format!("{section}.{name}");
        let settings = DurableTaskSettings {
            hub_name: self.text(&path("hubName"))?,
            default_version: self.text(&path("defaultVersion"))?.filter(|version| !version.is_empty()),
            version_match_strategy: self.choice(&path("versionMatchStrategy"), &["None", "Strict", "CurrentOrOlder"])?,
            version_failure_strategy: self.choice(&path("versionFailureStrategy"), &["Reject", "Fail"])?,
        };
        Ok(Some(settings).filter(|settings| *settings != DurableTaskSettings::default()))
    }

    /// One of several words, whose case is ignored.
    fn choice<T: DeserializeOwned>(&self, path: &str, words: &[&str]) -> Result<Option<T>, String> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        let word = word.ok_or_else(|| format!("`{path}` is '{text}', and must be one of {}", words.join(", ")))?;
        Ok(Some(serde_json::from_value(Value::from(*word)).expect("it is one of the names")))
    }

    fn text(&self, path: &str) -> Result<Option<String>, String> {
        match self.find(path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("`{path}` must be a text")),
        }
    }

    /// A number of at least 1.
    fn number(&self, path: &str) -> Result<Option<u32>, String> {
        let Some(value) = self.find(path) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| format!("`{path}` is {value}, and must be a number of at least 1"))
    }

    /// A time span such as `00:05:00`.
    fn seconds(&self, path: &str) -> Result<Option<u64>, String> {
        let Some(span) = self.text(path)? else { return Ok(None) };
        Span::Text(span).seconds().map(Some).map_err(|why| format!("`{path}` {why}"))
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
    let Some(whole) = json_file::read(&path)? else { return Ok(None) };
    let wrong = |why: String| BuildError::Sources(format!("{}: {why}", path.display()));
    // The first version of Functions had no `extensions`.
    let found = [&["extensions", "durableTask"][..], &["durableTask"]].into_iter().find_map(|sections| {
        let section = sections.iter().try_fold(&whole, |section, name| member(section, name)?.as_object())?;
        Some((sections.join("."), member(section, "hubName")?))
    });
    let Some((section, value)) = found else { return Ok(None) };
    let key = format!("{section}.hubName");
    let Some(text) = value.as_str() else { return Err(wrong(format!("`{key}` is {value}, but must be a text"))) };
    named_hub(text, &format!("{}: `{key}`", path.display()), folder, variable).map(Some)
}

/// The same for a name that was read before. `place`: where, for errors.
pub fn named_hub(
    text: &str,
    place: &str,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, BuildError> {
    let wrong = |why: String| BuildError::Sources(format!("{place} is '{text}', {why}"));
    let name = resolved(text, |name| match variable(name) {
        Some(value) => Ok(value),
        None => local_setting(folder, name)?.ok_or_else(|| {
            wrong(format!("but {name} is neither a variable of the environment nor one of the Values in {SETTINGS_FILE}"))
        }),
    })?;
    match check_hub_name(&name) {
        Some(trouble) if name == text => Err(wrong(format!("but {trouble}"))),
        Some(trouble) => Err(wrong(format!("which is '{name}' here, but {trouble}"))),
        None => Ok(name),
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
    let Some(whole) = read_local_settings(folder)? else { return Ok(BTreeMap::new()) };
    let Some(values) = member(&whole, "Values").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Ok(values.iter().map(|(name, value)| (name.clone(), text(value))).collect())
}

/// What `local.settings.json` says of the host that runs the app there.
#[derive(Debug, Default, PartialEq)]
pub struct LocalHost {
    pub port: Option<u16>,
    /// Origins of pages that may send requests.
    pub cors_origins: Vec<String>,
}

impl LocalHost {
    pub fn read(folder: &Path) -> Result<Self, BuildError> {
        let Some(whole) = read_local_settings(folder)? else { return Ok(Self::default()) };
        let Some(host) = member(&whole, "Host").and_then(Value::as_object) else { return Ok(Self::default()) };
        let wrong = |why: String| BuildError::Sources(format!("{}: {why}", folder.join(SETTINGS_FILE).display()));
        let port = match member(host, "LocalHttpPort") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let port = text.trim().parse().ok().filter(|port| *port > 0);
                Some(port.ok_or_else(|| wrong(format!("`Host.LocalHttpPort` is {value}, and must be the number of a port")))?)
            }
        };
        let cors = member(host, "CORS").and_then(Value::as_str).unwrap_or_default();
        let cors_origins = cors.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect();
        Ok(Self { port, cors_origins })
    }
}

fn read_local_settings(folder: &Path) -> Result<Option<Map<String, Value>>, BuildError> {
    let path = folder.join(SETTINGS_FILE);
    let Some(whole) = json_file::read(&path)? else { return Ok(None) };
    if member(&whole, "IsEncrypted") == Some(&Value::Bool(true)) {
        let why = "its values are encrypted: decrypt it with `func settings decrypt` of Azure Functions Core Tools";
        return Err(BuildError::Sources(format!("{}: {why}", path.display())));
    }
    Ok(Some(whole))
}

#[cfg(test)]
mod tests {
    use dacapo_core::versioning::{AppVersioning, Failure, Match};

    use super::*;

    #[test]
    fn a_host_file_sets_the_prefix_and_names_what_it_cannot() {
        let read = |text: &str| json_file::parse(text).and_then(HostFile::of);
        let file = read(
            r#"{"version":"2.0","watchDirectories":["a"],"logging":{"logLevel":{}},"extensions":{"http":{"routePrefix":"v1","hsts":{}},
                "durableTask":{"hubName":"Hub","maxConcurrentActivityFunctions":5}}}"#,
        )
        .unwrap();
        let ignored = ["extensions.durableTask.maxConcurrentActivityFunctions", "extensions.http.hsts", "watchDirectories"];
        let mut named = file.ignored.clone();
        named.sort();
        assert_eq!(named, ignored);
        let manifest = file.add_to(Manifest { name: Some("app".into()), ..Manifest::default() });
        assert_eq!(manifest.http.unwrap().route_prefix.as_deref(), Some("v1"));
        let durable = manifest.durable_task.unwrap();
        assert_eq!((durable.hub_name.as_deref(), manifest.version), (Some("Hub"), None));
        assert_eq!(read("\u{feff}{}").unwrap(), HostFile::default());
        assert!(read("[]").unwrap_err().contains("not a JSON object"));
        assert!(read(r#"{"extensions":{"http":{"routePrefix":1}}}"#).unwrap_err().contains("must be a text"));
    }

    #[test]
    fn a_host_file_sets_how_messages_are_processed_and_how_long_a_call_may_take() {
        let read = |text: &str| json_file::parse(text).and_then(HostFile::of);
        let file = read(
            r#"{"functionTimeout":"00:10:00","extensions":{"queues":{"batchSize":8,"newBatchThreshold":4,"maxDequeueCount":3,
                "visibilityTimeout":"00:00:30","maxPollingInterval":"00:00:02","messageEncoding":"base64"},
                "eventHubs":{"maxEventBatchSize":50,"prefetchCount":100}}}"#,
        )
        .unwrap();
        let mut named = file.ignored.clone();
        named.sort();
        assert_eq!(named, ["extensions.eventHubs.prefetchCount", "extensions.queues.newBatchThreshold"]);
        let queues = QueueSettings { batch_size: Some(8), max_dequeue_count: Some(3), visibility_timeout: Some(30) };
        let manifest = file.add_to(Manifest::default());
        assert_eq!((manifest.queues, manifest.function_timeout), (Some(queues), Some(600)));
        assert_eq!(manifest.event_hubs.unwrap().max_event_batch_size, Some(50));
        let own = Manifest::parse(br#"{"queues":{"batchSize":1},"functionTimeout":5}"#).unwrap();
        let both = file.add_to(own);
        let queues = QueueSettings { batch_size: Some(1), max_dequeue_count: Some(3), visibility_timeout: Some(30) };
        assert_eq!((both.queues, both.function_timeout), (Some(queues), Some(5)));

        let older = read(r#"{"extensions":{"eventHubs":{"eventProcessorOptions":{"maxBatchSize":64}}},"functionTimeout":"-1"}"#);
        let older = older.unwrap().add_to(Manifest::default());
        assert_eq!(older.event_hubs.unwrap().max_event_batch_size, Some(64));
        assert_eq!(older.function_timeout, None);
        assert!(read(r#"{"extensions":{"queues":{"maxPollingInterval":"00:00:02"}}}"#).unwrap().adds_nothing());
        for (wrong, says) in [
            (r#"{"functionTimeout":"soon"}"#, "`functionTimeout` is 'soon'"),
            (r#"{"functionTimeout":5}"#, "`functionTimeout` must be a text"),
            (r#"{"extensions":{"queues":{"batchSize":0}}}"#, "`extensions.queues.batchSize` is 0, and must be"),
            (r#"{"extensions":{"queues":{"maxDequeueCount":"5"}}}"#, "`extensions.queues.maxDequeueCount` is \"5\""),
            (r#"{"extensions":{"queues":{"visibilityTimeout":30}}}"#, "`extensions.queues.visibilityTimeout` must be a text"),
        ] {
            assert!(read(wrong).unwrap_err().contains(says), "{wrong}");
        }
    }

    #[test]
    fn a_host_file_says_how_orchestrations_are_versioned() {
        let read = |text: &str| json_file::parse(text).and_then(HostFile::of);
        let section =
            r#"{"hubName":"%HUB%","defaultVersion":"2.0","versionMatchStrategy":"strict","versionFailureStrategy":"Fail"}"#;
        for text in [format!(r#"{{"extensions":{{"durableTask":{section}}}}}"#), format!(r#"{{"durableTask":{section}}}"#)] {
            let file = read(&text).unwrap();
            assert!(file.ignored.is_empty(), "{:?}", file.ignored);
            let manifest = file.add_to(Manifest::default());
            assert_eq!(manifest.version.as_deref(), Some("2.0"), "with which starts that ask for one are compared");
            let durable = manifest.durable_task.unwrap();
            assert_eq!(durable.hub_name.as_deref(), Some("%HUB%"));
            let expected = AppVersioning { default: "2.0".into(), r#match: Some(Match::Strict), failure: Some(Failure::Fail) };
            assert_eq!(durable.versioning(), expected);
            let own = Manifest::parse(br#"{"version":"3","durableTask":{"defaultVersion":"1"}}"#).unwrap();
            let both = file.add_to(own);
            assert_eq!((both.version.as_deref(), both.durable_task.unwrap().versioning().default.as_str()), (Some("3"), "1"));
        }
        let wrong = read(r#"{"extensions":{"durableTask":{"versionMatchStrategy":"Newest"}}}"#).unwrap_err();
        assert!(wrong.contains("versionMatchStrategy` is 'Newest'") && wrong.contains("CurrentOrOlder"), "{wrong}");
    }

    #[test]
    fn local_settings_are_an_environment() {
        let folder = tempfile::tempdir().unwrap();
        assert!(local_settings(folder.path()).unwrap().is_empty());
        let write = |text: &str| std::fs::write(folder.path().join(SETTINGS_FILE), text).unwrap();
        write(r#"{"IsEncrypted":false,"Values":{"A":"1","B":true},"Host":{"CORS":"*"}}"#);
        let settings = local_settings(folder.path()).unwrap();
        assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("A".to_owned(), "1".to_owned()), ("B".into(), "true".into())]);
        assert_eq!(LocalHost::read(folder.path()).unwrap(), LocalHost { port: None, cors_origins: vec!["*".into()] });
        write(r#"{"Host":{"LocalHttpPort":"7099","CORS":"http://a.example, http://b.example"}}"#);
        let host = LocalHost::read(folder.path()).unwrap();
        assert_eq!((host.port, host.cors_origins), (Some(7099), vec!["http://a.example".into(), "http://b.example".into()]));
        write(r#"{"Host":{"LocalHttpPort":70000}}"#);
        assert!(LocalHost::read(folder.path()).unwrap_err().to_string().contains("`Host.LocalHttpPort` is 70000"));
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
