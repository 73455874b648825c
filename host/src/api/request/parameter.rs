//! The parameters of the API: the name, type and default of each.
//!
//! A handler reads a parameter through its declaration in this file, and only if its route lists it (a debug assertion); the
//! OpenAPI document is made from the same declarations. So the two cannot disagree.

use std::marker::PhantomData;
use std::time::Duration;

use chrono::Utc;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use dacapo_core::{FunctionName, InstanceId, RuntimeStatus, Timestamp};
use dacapo_store::control::{HOST_NAME_CHARS_MAX, HUB_NAME_CHARS_MAX, check_host_name, check_hub_name};

use crate::api::error::ApiError;
use crate::bad_value::BadValue;
use crate::hub::IfEnded;
use crate::moment::parse_moment;
use crate::printable::one_line;
use crate::schedules::Overlap;
use crate::schedules::specification::{NAME_CHARS_MAX, NAME_RULE, TIMER_PREFIX, is_name};
use crate::triggers::queue;
use crate::versioning::{APP_NAME_CHARS_MAX, app_name_trouble};
use crate::{access, grants};

/// Where in a request a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Location {
    Path,
    Query,
    Header,
}

/// The description of a parameter, whatever its type.
#[derive(Debug)]
pub(in crate::api) struct About {
    /// Names in queries and headers ignore case.
    pub name: &'static str,
    pub location: Location,
    pub description: &'static str,
    /// The default, as it would be written in a request.
    pub default: Option<&'static str>,
    pub example: &'static str,
    pub required: bool,
    /// Whether it may be given more than once: then the values are joined by commas.
    pub repeated: bool,
    pub schema: fn() -> Value,
}

/// A parameter whose value is a `T`.
#[derive(Debug)]
pub(in crate::api) struct Parameter<T> {
    pub about: About,
    value: PhantomData<fn() -> T>,
}

/// A type that a parameter can have.
pub(in crate::api) trait FromText: Sized {
    /// Reads a text that is not blank.
    fn from_text(text: &str) -> Result<Self, BadValue>;

    /// The JSON schema of the text.
    fn schema() -> Value;
}

/// The same, for a member of a body.
pub(in crate::api) fn schema_of<T: FromText>(_: &mut SchemaGenerator) -> Schema {
    T::schema().try_into().expect("the schema of a text is an object")
}

impl<T: FromText> Parameter<T> {
    const fn query(name: &'static str, example: &'static str, description: &'static str) -> Self {
        Self::new(Location::Query, name, example, description)
    }

    /// A placeholder in the pattern of a route.
    const fn path(name: &'static str, example: &'static str, description: &'static str) -> Self {
        Self::new(Location::Path, name, example, description).required()
    }

    const fn header(name: &'static str, example: &'static str, description: &'static str) -> Self {
        Self::new(Location::Header, name, example, description)
    }

    const fn new(location: Location, name: &'static str, example: &'static str, description: &'static str) -> Self {
        let schema = T::schema as fn() -> Value;
        let about = About { name, location, description, default: None, example, required: false, repeated: false, schema };
        Self { about, value: PhantomData }
    }

    const fn default(mut self, text: &'static str) -> Self {
        self.about.default = Some(text);
        self
    }

    const fn required(mut self) -> Self {
        self.about.required = true;
        self
    }

    const fn repeated(mut self) -> Self {
        self.about.repeated = true;
        self
    }

    /// Reads the text of a request, or the default. A blank text counts as missing, except in a path, where it names something.
    pub fn read(&self, text: Option<&str>) -> Result<Option<T>, ApiError> {
        let is_said = |text: &&str| self.about.location == Location::Path || !text.trim().is_empty();
        let text = text.filter(is_said).or(self.about.default);
        text.map(|text| T::from_text(text).map_err(|why| self.about.refusal(text, &why.to_string()))).transpose()
    }
}

impl About {
    pub fn refusal(&self, text: &str, why: &str) -> ApiError {
        ApiError::argument(format!("{} is '{}', but {why}", self.title(), one_line(&shortened(text))))
    }

    pub fn missing(&self) -> ApiError {
        ApiError::argument(format!("{} is missing", self.title()))
    }

    pub fn given_twice(&self) -> ApiError {
        ApiError::argument(format!("{} is given more than once", self.title()))
    }

    fn title(&self) -> String {
        match self.location {
            Location::Path | Location::Query => format!("the parameter '{}'", self.name),
            Location::Header => format!("the header '{}'", self.name),
        }
    }
}

impl FromText for IfEnded {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match text {
            "replace" => Ok(Self::Replace),
            "refuse" => Ok(Self::Refuse),
            _ => Err("should be replace or refuse".into()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["replace", "refuse"] })
    }
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

// The parameters.

/// The parameter of a query that carries a key, as in the links of Durable Functions.
pub(in crate::api) const CODE: &str = "code";

pub(in crate::api) static FUNCTION_NAME: Parameter<FunctionName> =
    Parameter::path("functionName", "hello_sequence", "The orchestrator function; case is ignored.");
pub(in crate::api) static INSTANCE_ID: Parameter<AnyId> = Parameter::path(
    "instanceId",
    "order-17",
    "The id of the instance. An id chosen for a start must not begin with '@', which marks entities: `@name@key`.",
);
pub(in crate::api) static EVENT_NAME: Parameter<Text<256>> =
    Parameter::path("eventName", "Approval", "The event; case is ignored.");
pub(in crate::api) static ENTITY_NAME: Parameter<FunctionName> =
    Parameter::path("entityName", "counter", "The entity function; case is ignored.");
pub(in crate::api) static ENTITY_KEY: Parameter<AnyId> =
    Parameter::path("entityKey", "clicks", "The key of the entity; `$` is the empty key.");
pub(in crate::api) static APP_NAME: Parameter<AppName> = Parameter::path("appName", "hello", "The app.");

pub(in crate::api) static QUEUE_NAME: Parameter<QueueName> =
    Parameter::path("queueName", "orders", "The queue; case is ignored.");
pub(in crate::api) static SCHEDULE_NAME: Parameter<AnyName> = Parameter::path("scheduleName", "report", "The schedule.");
pub(in crate::api) static TRIGGER_NAME: Parameter<FunctionName> =
    Parameter::path("triggerName", "ProcessOrder", "The trigger; case is ignored.");
pub(in crate::api) static TRIGGER_QUERY: Parameter<FunctionName> =
    Parameter::query("functionName", "OnEvent", "The Event Grid trigger; case is ignored.").required();

pub(in crate::api) static TASK_HUB: Parameter<Text<64>> = Parameter::query(
    "taskHub",
    "TestHubName",
    "The task hub; case is ignored. Without it: that of the host name under which the request came, or else that of the key, or else \
     the host's default one.",
);
pub(in crate::api) static CONNECTION: Parameter<Text<256>> =
    Parameter::query("connection", "Storage", "Has no meaning here; the links in the response repeat it.").default("Storage");
pub(in crate::api) static VERSION: Parameter<Text<256>> =
    Parameter::query("version", "2.0", "A label that the orchestration can read, and that a version of its app should have.");
pub(in crate::api) static START_AT: Parameter<Timestamp> = Parameter::query(
    "startAt",
    "2026-01-31T12:00:00Z",
    "When to begin; until then the instance is `Pending`. Not part of Durable Functions.",
);
pub(in crate::api) static TIMEOUT: Parameter<Duration> = Parameter::query(
    "timeout",
    "2",
    "Seconds to wait for the end of the orchestration. Without it, the response comes as soon as the orchestration is started.",
);
pub(in crate::api) static POLLING_INTERVAL: Parameter<Duration> =
    Parameter::query("pollingInterval", "0.5", "Seconds, at most the timeout. Otherwise ignored: the host does not poll.");
pub(in crate::api) static WAIT_TIMEOUT: Parameter<Duration> =
    Parameter::query("timeout", "2", "Seconds to wait for the end of the orchestration.").default("10");
pub(in crate::api) static RETRY_INTERVAL: Parameter<Duration> =
    Parameter::query("retryInterval", "0.5", "Seconds, at most the timeout. Otherwise ignored: the host does not poll.");
pub(in crate::api) static ERROR_ON_FAILURE: Parameter<bool> =
    Parameter::query("returnInternalServerErrorOnFailure", "true", "Whether a failed instance is answered with 500.")
        .default("false");
pub(in crate::api) static WAIT: Parameter<Duration> = Parameter::query(
    "wait",
    "30",
    "Respond when the instance has ended, or after this many seconds. Not part of Durable Functions.",
);
pub(in crate::api) static SHOW_HISTORY: Parameter<bool> =
    Parameter::query("showHistory", "true", "Whether the history is shown.").default("false");
pub(in crate::api) static SHOW_HISTORY_OUTPUT: Parameter<bool> =
    Parameter::query("showHistoryOutput", "true", "Whether the history shows results.").default("false");
pub(in crate::api) static SHOW_INPUT: Parameter<bool> =
    Parameter::query("showInput", "false", "Whether inputs are shown, also those in the history.").default("true");
pub(in crate::api) static INSTANCE_ID_PREFIX: Parameter<Text<256>> =
    Parameter::query("instanceIdPrefix", "order-", "The prefix of the ids. '@' selects all entities.");
pub(in crate::api) static CREATED_TIME_FROM: Parameter<Timestamp> =
    Parameter::query("createdTimeFrom", "2026-01-31T12:00:00Z", "Created at this time or later.");
pub(in crate::api) static CREATED_TIME_TO: Parameter<Timestamp> =
    Parameter::query("createdTimeTo", "2026-02-28T12:00:00Z", "Created at this time or earlier.");
pub(in crate::api) static RUNTIME_STATUS: Parameter<Statuses> = Parameter::query(
    "runtimeStatus",
    "Running,Pending",
    "Any of these statuses; case is ignored. Separated by commas, or repeated.",
)
.repeated();
pub(in crate::api) static TOP: Parameter<Count> =
    Parameter::query("top", "100", "How many, at most. A page never holds more than 1,000.").default("1000");
pub(in crate::api) static CONTINUATION: Parameter<Text<4_000>> = Parameter::header(
    "x-ms-continuation-token",
    "row.17",
    "Continues after a page: the value of this header in its response, unchanged, with the same other parameters.",
);
pub(in crate::api) static REASON: Parameter<Text<4_000>> =
    Parameter::query("reason", "out of stock", "The reason, for the history.");
pub(in crate::api) static RECURSIVE: Parameter<bool> = Parameter::query(
    "recursive",
    "true",
    "Whether the sub-orchestrations that it waits for are terminated too. Not part of Durable Functions.",
)
.default("false");
pub(in crate::api) static RESTART_WITH_NEW_ID: Parameter<bool> = Parameter::query(
    "restartWithNewInstanceId",
    "false",
    "Whether to start it under a new id. Otherwise the instance is replaced.",
)
.default("true");
pub(in crate::api) static NEW_INSTANCE_ID: Parameter<AnyId> =
    Parameter::query("newInstanceId", "order-17-again", "The id of the new instance.").required();
pub(in crate::api) static RESTART_VERSION: Parameter<Text<256>> =
    Parameter::query("version", "2.0", "The label of the new instance. Without it: that of the original.");
pub(in crate::api) static OPERATION: Parameter<Text<256>> =
    Parameter::query("op", "add", "The operation of the entity; may be empty.");
pub(in crate::api) static DELIVER_AT: Parameter<Timestamp> =
    Parameter::query("deliverAt", "2026-01-31T12:00:00Z", "The earliest time to run it. Not part of Durable Functions.");
pub(in crate::api) static OVERLAP: Parameter<Overlap> = Parameter::query(
    "overlap",
    "allowAll",
    "What happens while an instance that the schedule has started before still runs. Without it: as the schedule has it.",
);
pub(in crate::api) static BACKFILL_OVERLAP: Parameter<Overlap> =
    Parameter::query("overlap", "bufferOne", "What happens while an instance that the schedule has started before still runs.")
        .default("allowAll");
pub(in crate::api) static BACKFILL_FROM: Parameter<Timestamp> =
    Parameter::query("from", "2026-01-01T00:00:00Z", "The beginning of the range.").required();
pub(in crate::api) static BACKFILL_TO: Parameter<Timestamp> =
    Parameter::query("to", "2026-01-31T00:00:00Z", "The end of the range, which belongs to it.").required();
pub(in crate::api) static NOTE: Parameter<Text<256>> = Parameter::query("note", "until the audit is over", "Why.");
pub(in crate::api) static FETCH_STATE: Parameter<bool> =
    Parameter::query("fetchState", "true", "Whether the states are shown.").default("false");
pub(in crate::api) static LAST_OPERATION_FROM: Parameter<Timestamp> =
    Parameter::query("lastOperationTimeFrom", "2026-01-31T12:00:00Z", "The last operation was at this time or later.");
pub(in crate::api) static LAST_OPERATION_TO: Parameter<Timestamp> =
    Parameter::query("lastOperationTimeTo", "2026-02-28T12:00:00Z", "The last operation was at this time or earlier.");
pub(in crate::api) static LABEL: Parameter<Text<256>> = Parameter::query("label", "2.0.1", "The label of this deployment.");
pub(in crate::api) static PROGRESS: Parameter<bool> = Parameter::query(
    "progress",
    "true",
    "Whether the response begins at once, as lines of JSON that report progress; the last line holds the result.",
)
.default("false");
pub(in crate::api) static DRY_RUN: Parameter<bool> =
    Parameter::query("dryRun", "true", "Whether to only list what would be removed.").default("false");
pub(in crate::api) static WITH_INSTANCES: Parameter<bool> = Parameter::query(
    "withInstances",
    "true",
    "Whether the orchestrations that run on the app are terminated, and its entities purged. Without it, the request is refused \
     while there are any.",
)
.default("false");
pub(in crate::api) static OF_FUNCTION: Parameter<FunctionName> = Parameter::query(
    "functionName",
    "hello_sequence",
    "Only those of this function; case is ignored. Not part of Durable Functions.",
);
pub(in crate::api) static ON_VERSION: Parameter<Text<256>> = Parameter::query(
    "version",
    "2.0",
    "Only those that run on this version: a label, or at least the first six digits of a digest. Not part of Durable Functions.",
);
pub(in crate::api) static IF_ENDED: Parameter<IfEnded> = Parameter::query(
    "ifEnded",
    "refuse",
    "What to do if an instance of this id has ended: replace it, or refuse the start. Not part of Durable Functions.",
)
.default("replace");
pub(in crate::api) static HUB_NAME: Parameter<HubName> =
    Parameter::path("hubName", "TestHubName", "The task hub; case is ignored.");
pub(in crate::api) static KEY_NAME: Parameter<KeyName> = Parameter::path("keyName", "ci", "The key; case is ignored.");
pub(in crate::api) static SECRET_NAME: Parameter<SecretName> = Parameter::path("secretName", "api-token", "The secret.");
pub(in crate::api) static HOST_NAME: Parameter<HostName> = Parameter::path(
    "hostName",
    "shop.example.com",
    "The host name, without a port; case is ignored. `*` may stand for its first label.",
);
pub(in crate::api) static HUB: Parameter<HubName> = Parameter::query(
    "hub",
    "TestHubName",
    "The task hub; case is ignored. Without it: that of the key; with a key of the host, all hubs and the host itself.",
);
pub(in crate::api) static HUBS_AFTER: Parameter<HubToken> = Parameter::header(
    "x-ms-continuation-token",
    "hub.testhubname",
    "Continues after a page: the value of this header in its response, unchanged.",
);
pub(in crate::api) static AUDIT_BEFORE: Parameter<LineToken> = Parameter::header(
    "x-ms-continuation-token",
    "line.17",
    "Continues after a page: the value of this header in its response, unchanged, with the same other parameters.",
);

pub(in crate::api) static WEIGHT: Parameter<Percent> = Parameter::query(
    "weight",
    "10",
    "The percentage of new starts that the new version gets. The active version stays active, and the versions that got new starts \
     so far share the rest as before. Without it: all.",
);
pub(in crate::api) static OF_VERSION: Parameter<Text<256>> =
    Parameter::query("version", "2.0", "A label, or at least the first six digits of a digest.").required();
pub(in crate::api) static CHECKED_VERSION: Parameter<Text<256>> =
    Parameter::query("version", "2.0", "A deployed version, instead of a body: a label, or the first digits of a digest.");
pub(in crate::api) static DIFF_FROM: Parameter<Text<256>> = Parameter::query("from", "1.0", "The version before.").required();
pub(in crate::api) static DIFF_TO: Parameter<Text<256>> = Parameter::query("to", "2.0", "The version after.").required();
pub(in crate::api) static SAMPLE: Parameter<Count> =
    Parameter::query("sample", "100", "The most instances to replay, always the same ones. Without it: all.");
pub(in crate::api) static WITH_MODULES: Parameter<bool> =
    Parameter::query("withModules", "true", "Whether the deployed files are included.").default("false");
/// [`WITH_MODULES`] for a whole task hub, whose export is of little use without the files.
pub(in crate::api) static WITH_ALL_MODULES: Parameter<bool> =
    Parameter::query("withModules", "false", "Whether the deployed files are included.").default("true");
pub(in crate::api) static REPLACE: Parameter<bool> =
    Parameter::query("replace", "true", "Whether instances that have the ids of imported ones are removed.").default("false");
pub(in crate::api) static RESUME: Parameter<bool> =
    Parameter::query("resume", "true", "Whether the imported instances run at once. Otherwise they are suspended.")
        .default("false");
pub(in crate::api) static VERSION_NAME: Parameter<Text<256>> =
    Parameter::path("version", "2.0", "A label, or at least the first six digits of a digest.");

/// The parameters in the patterns of routes.
pub(in crate::api) static PATH_PARAMETERS: &[&About] = &[
    &FUNCTION_NAME.about,
    &INSTANCE_ID.about,
    &EVENT_NAME.about,
    &ENTITY_NAME.about,
    &ENTITY_KEY.about,
    &APP_NAME.about,
    &VERSION_NAME.about,
    &HUB_NAME.about,
    &KEY_NAME.about,
    &SECRET_NAME.about,
    &HOST_NAME.about,
    &QUEUE_NAME.about,
    &TRIGGER_NAME.about,
    &SCHEDULE_NAME.about,
];

// The types.

/// Any text of at most this many characters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::api) struct Text<const CHARS_MAX: usize>(pub String);

impl<const CHARS_MAX: usize> FromText for Text<CHARS_MAX> {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match text.chars().count() {
            length if length > CHARS_MAX => Err(format!("it has {length} characters, {CHARS_MAX} are allowed").into()),
            _ => Ok(Self(text.to_owned())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": CHARS_MAX })
    }
}

/// A text that is usually an id. The handler checks it: a request for an instance with an invalid id is answered like one with an
/// unknown id.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct AnyId(pub String);

impl FromText for AnyId {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": InstanceId::MAX_CHARS, "pattern": r"^[^/\\#?\x00-\x1f\x7f-\x9f]+$" })
    }
}

impl FromText for FunctionName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        FunctionName::new(text).map_err(|why| why.to_string().into())
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": FunctionName::MAX_CHARS, "pattern": r"^[^\s/\\#?@\x00-\x1f\x7f-\x9f]+$" })
    }
}

/// The name of a task hub, whether or not there is one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct HubName(pub String);

impl FromText for HubName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match check_hub_name(text) {
            Some(trouble) => Err(trouble.into()),
            None => Ok(Self(text.to_owned())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": HUB_NAME_CHARS_MAX, "pattern": "^[A-Za-z0-9_-]+$" })
    }
}

/// The name of a key, by which lists and the audit log identify it among the keys of its hub.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct KeyName(pub String);

impl FromText for KeyName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match access::is_key_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(access::KEY_NAME_RULE.into()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": access::KEY_NAME_CHARS_MAX, "pattern": "^[A-Za-z0-9_.-]+$" })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct SecretName(pub String);

impl FromText for SecretName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match grants::is_secret_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(grants::SECRET_NAME_RULE.into()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": grants::SECRET_NAME_CHARS_MAX, "pattern": "^[A-Za-z0-9_.-]+$" })
    }
}

/// A host name that a task hub may have, folded.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct HostName(pub String);

impl FromText for HostName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match check_host_name(text) {
            Some(trouble) => Err(trouble.into()),
            None => Ok(Self(text.to_ascii_lowercase())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": HOST_NAME_CHARS_MAX, "pattern": r"^(\*\.)?[A-Za-z0-9.-]+$" })
    }
}

/// Continues a list of hubs after this one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct HubToken(pub String);

/// Continues the audit log before this line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::api) struct LineToken(pub u64);

const NO_TOKEN: &str = "should be the token of the previous page of the same list";

impl FromText for HubToken {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let name = text.strip_prefix("hub.").filter(|name| check_hub_name(name).is_none());
        name.map(|name| Self(name.to_owned())).ok_or_else(|| NO_TOKEN.into())
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": HUB_NAME_CHARS_MAX + 4 })
    }
}

impl FromText for LineToken {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.strip_prefix("line.").and_then(|number| number.parse().ok()).map(Self).ok_or_else(|| NO_TOKEN.into())
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 25 })
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.trim().to_ascii_lowercase().parse().map_err(|_| "should be true or false".into())
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

/// The longest wait: longer than any client waits for a response.
const SECONDS_MAX: f64 = 3_600.0;

/// Seconds.
impl FromText for Duration {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let seconds = text.trim().parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        duration.ok_or_else(|| format!("should be a number of seconds from 0 to {SECONDS_MAX}").into())
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": SECONDS_MAX })
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let moment = parse_moment(text, &Utc).ok_or("should be a time such as 2026-01-31T12:00:00Z")?;
        Ok(Timestamp(moment.timestamp_micros()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// How many: 1 or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::api) struct Count(pub usize);

impl FromText for Count {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let count = text.trim().parse::<u32>().ok().filter(|&count| count > 0);
        count.map(|count| Self(count as usize)).ok_or_else(|| format!("should be a whole number from 1 to {}", u32::MAX).into())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// A share of 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::api) struct Percent(pub u32);

impl FromText for Percent {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let percent = text.trim().parse::<u32>().ok().filter(|&percent| percent <= 100);
        percent.map(Self).ok_or_else(|| "should be a whole number from 0 to 100".into())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": 100 })
    }
}

/// Some runtime statuses; none for any.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::api) struct Statuses(pub Vec<RuntimeStatus>);

impl FromText for Statuses {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let named = |name: &str| RuntimeStatus::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name));
        let known = || RuntimeStatus::ALL.map(RuntimeStatus::name).join(", ");
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let statuses = names.map(|name| named(name).ok_or_else(|| format!("should name some of {}", known())));
        Ok(Self(statuses.collect::<Result<_, _>>()?))
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": { "type": "string", "enum": RuntimeStatus::ALL.map(RuntimeStatus::name) } })
    }
}

/// The name of a queue, in lower case.
#[derive(Debug)]
pub(in crate::api) struct QueueName(pub String);

impl FromText for QueueName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        queue::name(text).map(Self).ok_or_else(|| queue::NAME_RULE.into())
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": queue::NAME_CHARS_MAX + queue::POISON.len(), "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$" })
    }
}

/// The name of a schedule that may exist.
#[derive(Debug)]
pub(in crate::api) struct AnyName(pub String);

impl FromText for AnyName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let name =
            text.get(..TIMER_PREFIX.len()).filter(|start| *start == TIMER_PREFIX).map_or(text, |start| &text[start.len()..]);
        match is_name(name) {
            true => Ok(Self(text.to_owned())),
            false => Err(NAME_RULE.into()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX + TIMER_PREFIX.len() })
    }
}

impl FromText for Overlap {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        Overlap::named(text).ok_or_else(|| "should be skip, bufferOne, allowAll or terminateOther".into())
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": Overlap::ALL.map(|(name, _)| name) })
    }
}

/// An app's name is shown in tables and typed in shells: plain characters only.
#[derive(Debug)]
pub(in crate::api) struct AppName(pub String);

impl FromText for AppName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        match app_name_trouble(text) {
            Some(why) => Err(why.into()),
            None => Ok(Self(text.to_owned())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": APP_NAME_CHARS_MAX, "pattern": r"^[\w.-]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: FromText + std::fmt::Debug>(parameter: &Parameter<T>, text: &str, why: &str) {
        let refusal = parameter.read(Some(text)).unwrap_err().to_string();
        assert!(refusal.contains(&format!("'{}'", parameter.about.name)) && refusal.contains(why), "{refusal}");
    }

    #[test]
    fn app_names_are_plain() {
        assert!(AppName::from_text("hello-sequence_2.0").is_ok());
        for bad in ["a b", "a/b", "ä\n", &"a".repeat(129)] {
            assert!(AppName::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_read() {
        assert_eq!(SHOW_INPUT.read(Some(" False ")).unwrap(), Some(false));
        assert_eq!(TIMEOUT.read(Some("1.5")).unwrap(), Some(Duration::from_millis(1_500)));
        assert_eq!(TOP.read(Some("7")).unwrap(), Some(Count(7)));
        assert_eq!(REASON.read(Some("a, b ")).unwrap(), Some(Text("a, b ".into())));
        let statuses = vec![RuntimeStatus::Running, RuntimeStatus::Pending];
        assert_eq!(RUNTIME_STATUS.read(Some("running, PENDING,")).unwrap(), Some(Statuses(statuses)));
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        assert_eq!(SHOW_INPUT.read(None).unwrap(), Some(true));
        assert_eq!(TOP.read(Some("")).unwrap(), Some(Count(1_000)));
        assert_eq!(TIMEOUT.read(Some(" ")).unwrap(), None);
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        refused(&SHOW_INPUT, "yes", "true or false");
        for text in ["-1", "soon", "NaN", "inf", "1e300", "3601"] {
            refused(&TIMEOUT, text, "seconds");
        }
        for text in ["0", "-1", "1.5", "many", "99999999999"] {
            refused(&TOP, text, "whole number");
        }
        refused(&START_AT, "yesterday", "2026-01-31");
        refused(&RUNTIME_STATUS, "Running,Asleep", "Suspended");
        refused(&REASON, &"x".repeat(4_001), "4001 characters");
        refused(&FUNCTION_NAME, "a b", "not allowed");
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let refusal = REASON.read(Some(&"x".repeat(9_000))).unwrap_err().to_string();
        assert!(refusal.len() < 200, "{refusal}");
    }
}
