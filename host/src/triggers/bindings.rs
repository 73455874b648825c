//! The description of a trigger: a JSON array in the form of the `bindings` in a `function.json` of Azure Functions.

use std::sync::Arc;

use axum::http::Method;
use dacapo_core::FunctionName;
use dacapo_wasm::is_disabled;
use serde_json::{Map, Value};

use super::queue;
use super::route::Template;
use crate::schedules::Specification;
use crate::schedules::span::{Span, is_time_span};

/// The setting that holds the time zone of timer triggers, as in Azure Functions; by its IANA name.
const TIME_ZONE_SETTING: &str = "WEBSITE_TIME_ZONE";

/// How late a timer trigger may be that makes up for nothing.
const TIMER_CATCH_UP_SECONDS: u64 = 10;

/// What the schedule of a timer trigger names as its orchestrator; what it starts, its target says.
const TIMER_ORCHESTRATOR: &str = "BuiltIn::Call";

/// Bindings of one trigger.
const BINDINGS_MAX: usize = 100;

/// A trigger that a task hub can run.
#[derive(Debug, Clone)]
pub struct Trigger {
    pub source: Source,
    /// Its outputs to queues: the name of the binding, and the queue.
    pub queues: Vec<(String, String)>,
    pub disabled: Disabled,
}

/// Whether a trigger does not run, although an operator may run it by hand. So may a setting of its app:
/// `AzureWebJobs.NAME.Disabled`, where NAME is that of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disabled {
    No,
    Yes,
    /// If this setting of its app is true.
    IfSet(String),
}

impl Disabled {
    fn parse(binding: &Map<String, Value>) -> Result<Self, InvalidBindings> {
        match binding.get("disabled") {
            None | Some(Value::Null | Value::Bool(false)) => Ok(Self::No),
            Some(Value::Bool(true)) => Ok(Self::Yes),
            Some(Value::String(setting)) => Ok(Self::IfSet(setting.trim_matches('%').to_owned())),
            Some(_) => Err(invalid("its `disabled` must be true, false, or the name of a setting")),
        }
    }

    /// Whether the trigger of this function is disabled in an app with these settings.
    pub fn holds(&self, function: &FunctionName, settings: &[(String, String)]) -> bool {
        match self {
            Self::Yes => true,
            Self::IfSet(setting) => is_disabled(function, Some(setting), settings),
            Self::No => is_disabled(function, None, settings),
        }
    }
}

/// What starts a trigger.
#[derive(Debug, Clone)]
pub enum Source {
    Http(HttpTrigger),
    Queue {
        queue: String,
    },
    /// Fed from a queue, in batches.
    EventHub {
        queue: String,
        cardinality: Cardinality,
    },
    EventGrid,
    Timer(TimerTrigger),
    /// An operator only.
    Manual,
}

/// How many messages an event hub's trigger takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    One,
    Many,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TimerTrigger {
    /// A cron pattern or a time span, as it is written: it may name settings, such as `%CLEANUP_SCHEDULE%`.
    pub schedule: String,
    pub run_on_startup: bool,
    /// Whether an occurrence that was missed is made up for.
    pub use_monitor: bool,
}

#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Empty: all of them.
    pub methods: Vec<Method>,
    /// As it is written, without the prefix of the app. Empty: the name of the function.
    pub route: String,
    pub auth: AuthLevel,
}

/// The key that a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthLevel {
    Anonymous,
    /// A key of the task hub, or of the host, that may operate.
    Function,
    /// One that may administer.
    Admin,
}

/// The triggers of a version, each as its bindings were read.
pub type Parsed = Arc<[(FunctionName, Result<Trigger, InvalidBindings>)]>;

/// Reads the bindings of all triggers of a version.
pub fn parsed(triggers: &[(FunctionName, String)]) -> Parsed {
    triggers.iter().map(|(function, bindings)| (function.clone(), Trigger::parse(bindings))).collect()
}

/// What is wrong with the bindings of a trigger, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBindings(String);

impl Trigger {
    /// Reads the bindings that an app has described.
    pub fn parse(bindings: &str) -> Result<Self, InvalidBindings> {
        let bindings: Vec<Map<String, Value>> =
            serde_json::from_str(bindings).map_err(|why| invalid(format!("its bindings are no JSON array of objects: {why}")))?;
        if bindings.len() > BINDINGS_MAX {
            return Err(invalid(format!("it has {} bindings, {BINDINGS_MAX} are allowed", bindings.len())));
        }
        let (mut source, mut queues, mut disabled) = (None, Vec::<(String, String)>::new(), Disabled::No);
        for binding in &bindings {
            let kind = text(binding, "type")?.ok_or_else(|| invalid("a binding has no `type`"))?;
            let known = match kind.as_str() {
                "httpTrigger" => Source::Http(HttpTrigger::parse(binding)?),
                "manualTrigger" => Source::Manual,
                "queueTrigger" => Source::Queue { queue: queue_of(binding, "queueName")? },
                "eventHubTrigger" => Source::EventHub {
                    queue: queue_of(binding, "eventHubName")?,
                    cardinality: match text(binding, "cardinality")?.unwrap_or_default().to_ascii_lowercase().as_str() {
                        "one" => Cardinality::One,
                        "" | "many" => Cardinality::Many,
                        other => return Err(invalid(format!("its `cardinality` is '{other:.80}', and must be one or many"))),
                    },
                },
                "timerTrigger" => Source::Timer(TimerTrigger::parse(binding)?),
                "eventGridTrigger" => Source::EventGrid,
                "queue" | "eventHub" => {
                    let name = text(binding, "name")?.filter(|name| !name.is_empty());
                    let name = name.ok_or_else(|| invalid(format!("its output `{kind}` has no `name`")))?;
                    let member = if kind == "queue" { "queueName" } else { "eventHubName" };
                    if queues.iter().any(|(known, _)| *known == name) {
                        return Err(invalid(format!(
                            "two of its outputs have the name '{name:.80}': give one of them another `name`"
                        )));
                    }
                    queues.push((name, queue_of(binding, member)?));
                    continue;
                }
                "http" | "durableClient" | "orchestrationClient" => continue,
                "orchestrationTrigger" | "activityTrigger" | "entityTrigger" => {
                    return Err(invalid(format!(
                        "`{kind}` is not for triggers: `describe` returns orchestrators, activities and entities"
                    )));
                }
                _ => return Err(invalid(format!("this host has no binding of the type '{kind:.80}'"))),
            };
            disabled = Disabled::parse(binding)?;
            if source.replace(known).is_some() {
                return Err(invalid("it has two triggers among its bindings, and a function has one"));
            }
        }
        let source = source.ok_or_else(|| invalid("it has no trigger among its bindings, such as `httpTrigger`"))?;
        Ok(Self { source, queues, disabled })
    }
}

impl TimerTrigger {
    fn parse(binding: &Map<String, Value>) -> Result<Self, InvalidBindings> {
        let schedule = text(binding, "schedule")?.filter(|schedule| !schedule.trim().is_empty());
        let schedule = schedule.ok_or_else(|| invalid("its `schedule` is missing: a cron pattern or a time span"))?;
        let (run_on_startup, use_monitor) = (flag(binding, "runOnStartup")?, flag(binding, "useMonitor")?);
        Ok(Self { schedule, run_on_startup: run_on_startup.unwrap_or(false), use_monitor: use_monitor.unwrap_or(true) })
    }

    /// Its schedule. `setting`: the environment of the app. The error is what is wrong, in one sentence.
    pub fn specification(&self, setting: impl Fn(&str) -> Option<String>) -> Result<Specification, String> {
        let schedule = resolved(&self.schedule, &setting)?;
        let (cron, interval) = match is_time_span(&schedule) {
            true => (None, Some(Span::Text(schedule))),
            false => (Some(schedule), None),
        };
        // An interval knows no zone.
        let time_zone = cron.as_ref().and_then(|_| setting(TIME_ZONE_SETTING));
        let catch_up_window = (!self.use_monitor).then_some(Span::Seconds(TIMER_CATCH_UP_SECONDS));
        let orchestrator = TIMER_ORCHESTRATOR.to_owned();
        Ok(Specification { orchestrator, cron, interval, time_zone, catch_up_window, ..Specification::default() })
    }
}

/// Replaces the names of settings, each between two `%`, by their values.
fn resolved(schedule: &str, setting: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), schedule);
    while let Some((before, named)) = rest.split_once('%') {
        let (name, after) =
            named.split_once('%').ok_or_else(|| format!("its `schedule` is '{schedule:.80}', in which a '%' stands alone"))?;
        let value = setting(name).ok_or_else(|| {
            format!(
                "its `schedule` names the setting '{name:.80}', which is not in the environment of the app: its administrator can grant it: \
                 `dacapo hub grant HUB --env {name}=VALUE`"
            )
        })?;
        text += before;
        text += value.trim();
        rest = after;
    }
    Ok(text + rest)
}

impl HttpTrigger {
    fn parse(binding: &Map<String, Value>) -> Result<Self, InvalidBindings> {
        let route = text(binding, "route")?.unwrap_or_default();
        Template::parse(&route).map_err(|why| invalid(format!("its route '{route:.80}' cannot be served: {why}")))?;
        let auth = match text(binding, "authLevel")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "anonymous" => AuthLevel::Anonymous,
            "" | "function" => AuthLevel::Function,
            "admin" => AuthLevel::Admin,
            other => return Err(invalid(format!("its `authLevel` is '{other:.80}', and must be anonymous, function or admin"))),
        };
        let methods = match binding.get("methods") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(methods)) => methods.iter().map(method).collect::<Result<_, _>>()?,
            Some(_) => return Err(invalid("its `methods` must be an array of texts")),
        };
        Ok(Self { methods, route, auth })
    }

    /// The template of its route. `name`: of the function.
    pub fn template(&self, name: &str) -> Result<Template, String> {
        Template::parse(if self.route.is_empty() { name } else { &self.route })
    }

    /// Whether it serves a method.
    pub fn serves(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }
}

/// The queue that a binding names.
fn queue_of(binding: &Map<String, Value>, member: &str) -> Result<String, InvalidBindings> {
    let named = text(binding, member)?.unwrap_or_default();
    queue::name(&named).ok_or_else(|| invalid(format!("its `{member}` is '{named:.80}', and {}", queue::NAME_RULE)))
}

fn method(text: &Value) -> Result<Method, InvalidBindings> {
    let name = text.as_str().ok_or_else(|| invalid("its `methods` must be an array of texts"))?;
    Method::from_bytes(name.to_ascii_uppercase().as_bytes()).map_err(|_| invalid(format!("'{name:.80}' is not an HTTP method")))
}

/// A member that is true or false, if there is one.
fn flag(binding: &Map<String, Value>, member: &str) -> Result<Option<bool>, InvalidBindings> {
    match binding.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(invalid(format!("its `{member}` must be true or false"))),
    }
}

/// A member that is a text, if there is one.
fn text(binding: &Map<String, Value>, member: &str) -> Result<Option<String>, InvalidBindings> {
    match binding.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("its `{member}` must be a text"))),
    }
}

fn invalid(why: impl Into<String>) -> InvalidBindings {
    InvalidBindings(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(bindings: &str) -> HttpTrigger {
        match Trigger::parse(bindings).unwrap().source {
            Source::Http(http) => http,
            _ => panic!("{bindings}"),
        }
    }

    #[test]
    fn an_http_trigger_has_defaults() {
        let least = http(r#"[{"type":"httpTrigger"}]"#);
        assert!(least.methods.is_empty() && least.serves(&Method::DELETE));
        assert_eq!((least.route.as_str(), least.auth), ("", AuthLevel::Function));
        assert!(least.template("HttpStart").unwrap().matches(&["httpstart"]).is_some());
        let full = http(
            r#"[{"type":"httpTrigger","direction":"in","name":"req","methods":["get","POST"],"route":"x/{id}","authLevel":"Anonymous"},
                {"type":"http","direction":"out","name":"$return"},{"type":"durableClient","direction":"in","name":"starter"}]"#,
        );
        assert_eq!((full.methods.len(), full.auth), (2, AuthLevel::Anonymous));
        assert!(full.serves(&Method::GET) && !full.serves(&Method::PUT));
    }

    #[test]
    fn a_trigger_is_disabled_by_itself_or_by_a_setting() {
        let trigger =
            |disabled: &str| Trigger::parse(&format!(r#"[{{"type":"manualTrigger","disabled":{disabled}}}]"#)).unwrap().disabled;
        let function = FunctionName::new("Nightly").unwrap();
        for (disabled, settings, expected) in [
            ("null", &[][..], false),
            ("true", &[], true),
            ("false", &[("AzureWebJobs.Nightly.Disabled", "true")], true),
            ("false", &[("azurewebjobs.NIGHTLY.disabled", "1")], true),
            ("false", &[("AzureWebJobs__Nightly__Disabled", "True")], true),
            ("false", &[("AzureWebJobs.Nightly.Disabled", "false"), ("AzureWebJobs.Other.Disabled", "true")], false),
            ("\"IS_OFF\"", &[("IS_OFF", "true")], true),
            ("\"%IS_OFF%\"", &[("IS_OFF", "true")], true),
            ("\"IS_OFF\"", &[("IS_OFF", "0")], false),
            ("\"IS_OFF\"", &[("IS_OFF", "1"), ("IS_OFF", "0")], false),
        ] {
            let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(trigger(disabled).holds(&function, &settings), expected, "{disabled} {settings:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        for (bindings, says) in [
            ("", "no JSON array"),
            ("{}", "no JSON array"),
            ("[1]", "no JSON array"),
            ("[]", "no trigger"),
            (r#"[{"type":"http"}]"#, "no trigger"),
            (r#"[{"name":"x"}]"#, "no `type`"),
            (r#"[{"type":1}]"#, "`type` must be a text"),
            (r#"[{"type":"blobTrigger"}]"#, "'blobTrigger'"),
            (r#"[{"type":"activityTrigger"}]"#, "not for triggers"),
            (r#"[{"type":"httpTrigger"},{"type":"manualTrigger"}]"#, "two triggers"),
            (r#"[{"type":"httpTrigger","route":"a/{b"}]"#, "route 'a/{b'"),
            (r#"[{"type":"httpTrigger","route":7}]"#, "`route` must be a text"),
            (r#"[{"type":"httpTrigger","authLevel":"user"}]"#, "'user'"),
            (r#"[{"type":"httpTrigger","methods":"get"}]"#, "array of texts"),
            (r#"[{"type":"httpTrigger","methods":["g t"]}]"#, "'g t'"),
            (r#"[{"type":"httpTrigger","disabled":1}]"#, "`disabled` must be"),
            (
                r#"[{"type":"manualTrigger"},{"type":"queue","name":"o","queueName":"a"},{"type":"eventHub","name":"o","eventHubName":"b"}]"#,
                "two of its outputs have the name 'o'",
            ),
        ] {
            let why = Trigger::parse(bindings).unwrap_err().to_string();
            assert!(why.contains(says), "{bindings}: {why}");
        }
    }
}
