//! The manifest of an app: the custom section `dacapo:manifest`, a JSON object. A manifest in a file beside the wasm file is
//! added as that section when it is deployed, so that the version's digest covers it.

use std::collections::BTreeSet;
use std::time::Duration;

use dacapo_core::guest::ClientGrant;
use dacapo_core::versioning::{AppVersioning, Failure, Match};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wasm_encoder::{CustomSection, Section as _};
use wasmparser::{Parser, Payload};

use crate::config::{DirectoryGrant, Policy, Reuse};
use crate::{AllowList, DeployError};

/// The name of the custom section.
pub const MANIFEST_SECTION: &str = "dacapo:manifest";

const MANIFEST_BYTES_MAX: usize = 64 << 10;
const TEXT_CHARS_MAX: usize = 128;
const ENTRIES_MAX: usize = 1_000;

/// A week: the longest that a message of Azure's queues may be hidden.
const SECONDS_MAX: u64 = 7 * 86_400;

/// The manifest of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The name of the app, if the deployment gives no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The label of this version, if the deployment gives no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The grants that its activities ask for. They get no others, whatever the administrator grants. None: they get all that are
    /// granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<AskedGrants>,
    /// How its HTTP triggers are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSettings>,
    /// How the messages of its queue triggers are processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<QueueSettings>,
    /// The same for its event-hub triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_hubs: Option<EventHubSettings>,
    /// Its task hub, and how its orchestrations are versioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_task: Option<DurableTaskSettings>,
    /// How long a call of an activity or trigger may take, in seconds. The limits of the task hub hold as well. None: only they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_timeout: Option<u64>,
    /// Whether an instance that has run an activity runs further ones, which then find its globals and memory. The operator may
    /// forbid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse_instances: Option<bool>,
    /// Its schedules. They are made, changed and removed with the version that becomes active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<DeclaredSchedule>,
}

/// A schedule of an app. What its members mean is for the task hub to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredSchedule {
    pub name: String,
    #[serde(flatten)]
    pub specification: Map<String, Value>,
}

/// How an app's HTTP triggers are served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpSettings {
    /// What all routes begin with; may be empty. None: `api`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_prefix: Option<String>,
}

/// How the messages of an app's queue triggers are processed. The names are those of Azure Functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueSettings {
    /// How many messages of one queue are processed at once. None: as many as the task hub has places for activities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// How often a message is delivered before it goes to the poison queue. None: 5 times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_dequeue_count: Option<u32>,
    /// The seconds between a failed attempt and the next one. None: 1, 2, 4, ... up to 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<u64>,
}

/// How the messages of an app's event-hub triggers are processed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EventHubSettings {
    /// How many messages a call is given at most. None: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_event_batch_size: Option<u32>,
}

/// Where an app runs, and how its orchestrations are versioned. The names are those of Azure Functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DurableTaskSettings {
    /// The task hub to which `dacapo deploy` deploys it if nothing else says one; it may name variables as `%NAME%`. A host ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_name: Option<String>,
    /// The version of orchestrations that are started without one. None: they have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_version: Option<String>,
    /// Which versions take a start that asks for one. None: what the host's configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_match_strategy: Option<Match>,
    /// What happens to a start that none takes. None: what the host's configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_failure_strategy: Option<Failure>,
}

impl DurableTaskSettings {
    /// What it says about versions.
    pub fn versioning(&self) -> AppVersioning {
        let Self { hub_name: _, default_version, version_match_strategy, version_failure_strategy } = self.clone();
        AppVersioning {
            default: default_version.unwrap_or_default(),
            r#match: version_match_strategy,
            failure: version_failure_strategy,
        }
    }
}

/// The grants that an app asks for. It gets those of them that are granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AskedGrants {
    /// Entries of an [`AllowList`].
    pub outbound: Vec<String>,
    pub directories: Vec<AskedDirectory>,
    /// Names of environment variables.
    pub environment: BTreeSet<String>,
    /// Names of secrets.
    pub secrets: BTreeSet<String>,
    /// What its code may do with the durable client. None: as much as is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientGrant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskedDirectory {
    /// The path at which the app expects it, such as `/data`.
    pub guest: String,
    #[serde(default)]
    pub writable: bool,
}

impl Manifest {
    /// Reads the manifest of a component or core module: of its outermost level, or of the level nearest to it that has one
    /// (tools that make a component of a module leave the module's sections within). None: there is none.
    pub fn read(wasm: &[u8]) -> Result<Option<Self>, DeployError> {
        match section(wasm)? {
            Some(bytes) => Self::parse(bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the file with this manifest added. Fails if the file has one already.
    pub fn attach(manifest: &[u8], wasm: &[u8]) -> Result<Vec<u8>, DeployError> {
        Self::parse(manifest)?;
        match section(wasm)? {
            None => {}
            Some(own) if own == manifest => return Ok(wasm.to_vec()),
            Some(_) => {
                return Err(DeployError::Manifest("the app has another one embedded already, as one that was built with a host.json has: write yours to dacapo.json in the folder of its sources and build it again, or leave it out".into()));
            }
        }
        let mut attached = wasm.to_vec();
        CustomSection { name: MANIFEST_SECTION.into(), data: manifest.into() }.append_to(&mut attached);
        Ok(attached)
    }

    /// Reads a manifest from its JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, DeployError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(refused(format!("it has {} bytes, {MANIFEST_BYTES_MAX} are allowed", bytes.len())));
        }
        // Parsed as an object first, because serde would accept an array as well.
        let object: Map<String, Value> = serde_json::from_slice(bytes).map_err(refused)?;
        let manifest: Self = serde_json::from_value(object.into()).map_err(refused)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), DeployError> {
        let durable = self.durable_task.clone().unwrap_or_default();
        for (member, text) in [
            ("name", &self.name),
            ("version", &self.version),
            ("durableTask.hubName", &durable.hub_name),
            ("durableTask.defaultVersion", &durable.default_version),
        ] {
            let Some(text) = text else { continue };
            if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
                let rule = format!("`{member}` must have 1 to {TEXT_CHARS_MAX} characters, and no control characters");
                return Err(refused(rule));
            }
        }
        if self.schedules.len() > ENTRIES_MAX {
            return Err(refused(format!("`schedules` has more than {ENTRIES_MAX} entries")));
        }
        self.check_numbers()?;
        self.grants.as_ref().map_or(Ok(()), AskedGrants::check)
    }

    /// Checks that nothing is set to do nothing, or to wait for ever.
    fn check_numbers(&self) -> Result<(), DeployError> {
        let queues = self.queues.clone().unwrap_or_default();
        let events = self.event_hubs.clone().unwrap_or_default().max_event_batch_size;
        for (member, number, least, most) in [
            ("queues.batchSize", queues.batch_size.map(u64::from), 1, u64::MAX),
            ("queues.maxDequeueCount", queues.max_dequeue_count.map(u64::from), 1, u64::MAX),
            ("queues.visibilityTimeout", queues.visibility_timeout, 0, SECONDS_MAX),
            ("eventHubs.maxEventBatchSize", events.map(u64::from), 1, u64::MAX),
            ("functionTimeout", self.function_timeout, 1, u64::MAX),
        ] {
            match number {
                Some(number) if number < least => {
                    return Err(refused(format!("`{member}` is {number}, and must be at least {least}")));
                }
                Some(number) if number > most => {
                    return Err(refused(format!("`{member}` is {number}, and must be at most {most}")));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

impl AskedGrants {
    fn check(&self) -> Result<(), DeployError> {
        let Self { outbound, directories, environment, secrets, client: _ } = self;
        if outbound.len() + directories.len() + environment.len() + secrets.len() > ENTRIES_MAX {
            return Err(refused(format!("`grants` asks for more than {ENTRIES_MAX} things")));
        }
        AllowList::parse(outbound).map_err(|why| refused(format!("`grants.outbound`: {why}")))?;
        match directories.iter().find(|directory| !directory.guest.starts_with('/')) {
            Some(directory) => Err(refused(format!("`grants.directories`: the path '{}' must begin with '/'", directory.guest))),
            None => Ok(()),
        }
    }

    fn directory(&self, granted: &DirectoryGrant) -> Option<DirectoryGrant> {
        let asked = self.directories.iter().find(|asked| asked.guest == granted.guest)?;
        Some(DirectoryGrant { writable: granted.writable && asked.writable, ..granted.clone() })
    }
}

impl Policy {
    /// Returns this policy with the same limits and no grants.
    pub fn without_grants(&self) -> Policy {
        let (outbound, directories, environment, secrets) = Default::default();
        Policy { outbound, directories, environment, secrets, client: ClientGrant::None, ..self.clone() }
    }

    /// Returns this policy for an app: reduced to the grants and the time that its manifest asks for, all of them if there is no
    /// manifest or it says nothing of them; and reusing its instances always or never.
    pub fn narrowed(&self, manifest: Option<&Manifest>) -> Policy {
        let mut policy = self.clone();
        if policy.reuse == Reuse::Asked {
            let asks = manifest.and_then(|manifest| manifest.reuse_instances) == Some(true);
            policy.reuse = if asks { Reuse::Always } else { Reuse::Never };
        }
        let Some(manifest) = manifest else { return policy };
        if let Some(seconds) = manifest.function_timeout {
            let most = Duration::from_secs(seconds);
            policy.limits.activity_time = policy.limits.activity_time.min(most);
            policy.limits.trigger_time = policy.limits.trigger_time.min(most);
        }
        let Some(asked) = &manifest.grants else { return policy };
        // Entries were checked when the manifest was read; an invalid one would ask for nothing.
        let outbound = AllowList::parse(&asked.outbound).unwrap_or_default();
        policy.outbound = self.outbound.narrowed(&outbound);
        policy.directories = self.directories.iter().filter_map(|granted| asked.directory(granted)).collect();
        policy.environment.retain(|(name, _)| asked.environment.contains(name));
        policy.secrets.retain(|secret| asked.secrets.contains(&secret.name));
        policy.client = policy.client.min(asked.client.unwrap_or_default());
        policy
    }
}

fn refused(why: impl ToString) -> DeployError {
    DeployError::Manifest(why.to_string())
}

/// Finds the section of the least depth. None for a file that is cut off: the compiler reports what is wrong with it.
fn section(wasm: &[u8]) -> Result<Option<&[u8]>, DeployError> {
    let mut found: Option<(usize, &[u8])> = None;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) if section.name() == MANIFEST_SECTION => match found {
                Some((at, _)) if at < depth => {}
                Some((at, _)) if at == depth => {
                    return Err(DeployError::Manifest("there are two of them, none of which is the outer one".into()));
                }
                Some(_) | None => found = Some((depth, section.data())),
            },
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(found.map(|(_, bytes)| bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn read(wat: &str) -> Result<Option<Manifest>, DeployError> {
        Manifest::read(&wat::parse_str(wat).unwrap())
    }

    fn named(name: &str) -> Option<Manifest> {
        Some(Manifest { name: Some(name.into()), ..Manifest::default() })
    }

    #[test]
    fn the_outermost_section_counts() {
        let section = |name: &str| format!(r#"(@custom "dacapo:manifest" "{{\22name\22:\22{name}\22}}")"#);
        let (a, b) = (section("a"), section("b"));
        assert_eq!(read("(module)").unwrap(), None);
        assert_eq!(read(&format!("(module {a})")).unwrap(), named("a"));
        assert_eq!(read(&format!("(component {a} (core module {b}))")).unwrap(), named("a"));
        assert_eq!(read(&format!("(component (core module {b}) {a})")).unwrap(), named("a"));
        assert_eq!(read(&format!("(component (core module) (core module {b}))")).unwrap(), named("b"));
        for two in [format!("(module {a} {b})"), format!("(component (core module {a}) (core module {b}))")] {
            assert!(read(&two).unwrap_err().to_string().contains("two of them"));
        }
    }

    #[test]
    fn one_that_lies_beside_is_attached_once() {
        for wat in ["(module)", "(component (core module))"] {
            let attached = Manifest::attach(br#"{"name":"a"}"#, &wat::parse_str(wat).unwrap()).unwrap();
            wasmparser::validate(&attached).unwrap();
            assert_eq!(Manifest::read(&attached).unwrap(), named("a"));
            let twice = Manifest::attach(b"{}", &attached).unwrap_err().to_string();
            assert!(twice.contains("another one embedded"), "{twice}");
            assert_eq!(Manifest::attach(br#"{"name":"a"}"#, &attached).unwrap(), attached, "the same one");
            assert!(Manifest::attach(b"[]", &attached).is_err());
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_member() {
        let error = |json: &str| Manifest::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(error("nonsense").contains("expected"));
        assert!(error("[]").contains("invalid"));
        assert!(error(r#"{"nam":"x"}"#).contains("unknown field `nam`"));
        assert!(error(r#"{"name":""}"#).contains("`name` must have"));
        assert!(error("{\"version\":\"a\\nb\"}").contains("`version` must have"));
        assert!(error(r#"{"grants":{"outbound":["http://a/b"]}}"#).contains("`grants.outbound`: 'http://a/b'"));
        assert!(error(r#"{"grants":{"directories":[{"guest":"data"}]}}"#).contains("`grants.directories`: the path 'data'"));
        assert!(error(r#"{"grants":{"directories":[{"guest":"/d","host":"/etc"}]}}"#).contains("unknown field `host`"));
        assert!(error(r#"{"grants":{"secrets":{"KEY":"value"}}}"#).contains("expected a sequence"));
        assert!(error(&format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000))).contains("65536 are allowed"));
        assert!(error(r#"{"queues":{"batchSize":0}}"#).contains("`queues.batchSize` is 0, and must be at least 1"));
        assert!(error(r#"{"queues":{"visibilityTimeout":604801}}"#).contains("`queues.visibilityTimeout` is 604801"));
        assert!(error(r#"{"queues":{"newBatchThreshold":1}}"#).contains("unknown field `newBatchThreshold`"));
        assert!(error(r#"{"eventHubs":{"maxEventBatchSize":-1}}"#).contains("invalid value"));
        assert!(error(r#"{"functionTimeout":0}"#).contains("`functionTimeout` is 0"));
        assert!(Manifest::parse(b"{}").is_ok());
    }

    #[test]
    fn an_app_may_take_less_time_than_it_is_allowed() {
        let time = |asked: &str| {
            let policy = Policy::default().narrowed(Some(&Manifest::parse(asked.as_bytes()).unwrap()));
            (policy.limits.activity_time.as_secs(), policy.limits.trigger_time.as_secs())
        };
        assert_eq!(time("{}"), (300, 230));
        assert_eq!(time(r#"{"functionTimeout":250}"#), (250, 230));
        assert_eq!(time(r#"{"functionTimeout":9,"grants":{}}"#), (9, 9));
        assert_eq!(time(r#"{"functionTimeout":100000}"#), (300, 230));
    }

    #[test]
    fn a_manifest_narrows_and_never_widens() {
        let directory = |guest: &str, writable| DirectoryGrant { guest: guest.into(), host: "/srv".into(), writable };
        let secret = |name: &str| Secret { name: name.into(), value: "v".into(), hosts: AllowList::default(), environment: None };
        let granted = Policy {
            outbound: AllowList::parse(["*.example.org"]).unwrap(),
            directories: vec![directory("/a", true), directory("/b", true), directory("/c", false)],
            environment: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            secrets: vec![secret("K"), secret("L")],
            ..Policy::default()
        };
        let asked = r#"{"grants":{"outbound":["api.example.org","elsewhere.org"],
            "directories":[{"guest":"/a"},{"guest":"/c","writable":true},{"guest":"/d"}],
            "environment":["B","C"],"secrets":["L","M"]}}"#;
        let narrowed = granted.narrowed(Some(&Manifest::parse(asked.as_bytes()).unwrap()));
        assert_eq!(narrowed.outbound, AllowList::parse(["api.example.org"]).unwrap());
        assert_eq!(narrowed.directories, [directory("/a", false), directory("/c", false)]);
        assert_eq!(narrowed.environment, [("B".to_owned(), "2".to_owned())]);
        assert_eq!(narrowed.secrets, [secret("L")]);
        for all in [None, Some(Manifest::default())] {
            assert_eq!(granted.narrowed(all.as_ref()).secrets.len(), 2);
        }
        let nothing = granted.narrowed(Some(&Manifest { grants: Some(AskedGrants::default()), ..Manifest::default() }));
        assert_eq!(nothing.outbound, AllowList::default());
        assert!(nothing.directories.is_empty() && nothing.environment.is_empty() && nothing.secrets.is_empty());
    }
}
