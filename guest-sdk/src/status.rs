//! What a task hub tells about its instances and entities, and what it can be asked for: statuses, filters, pages.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::entity_id::EntityId;
use crate::failure::{Failure, Result};
use crate::timestamp::Timestamp;

/// The status of an instance.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # fn example(ctx: TriggerContext) -> Result<()> {
/// match ctx.client().get_status("order-17")? {
///     Some(order) if order.runtime_status.is_ended() => ctx.log_info(format!("it ended with {}", order.output)),
///     Some(order) => ctx.log_info(format!("it is {}", order.runtime_status)),
///     None => ctx.log_info("there is no such order"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OrchestrationStatus {
    /// The name of the orchestrator.
    pub name: String,
    /// The id of the instance.
    pub instance_id: String,
    /// Whether it waits, runs or has ended.
    pub runtime_status: RuntimeStatus,
    /// The input; `null` if there is none, or it was not asked for.
    #[serde(default)]
    pub input: Value,
    /// What the orchestrator has set; `null` if nothing.
    #[serde(default)]
    pub custom_status: Value,
    /// The output, the message of the failure, or the reason of the termination; `null` until then.
    #[serde(default)]
    pub output: Value,
    /// When it was created.
    pub created_time: Timestamp,
    /// When it last changed.
    pub last_updated_time: Timestamp,
    /// Why the host does not go on with it: its code does not agree with its history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// The digest of the version that it runs on, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The label of that version, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_label: Option<String>,
    /// The events of its history, if they were asked for.
    #[serde(default, rename = "historyEvents", skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Value>>,
}

impl OrchestrationStatus {
    /// Makes the status of an instance that runs and has no input, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::{OrchestrationStatus, RuntimeStatus};
    /// let mut status = OrchestrationStatus::new("order", "order-17");
    /// status.runtime_status = RuntimeStatus::Completed;
    /// status.output = "on its way".into();
    /// ```
    pub fn new(name: impl Into<String>, instance_id: impl Into<String>) -> Self {
        let start = Timestamp::from_millis(0);
        Self {
            name: name.into(),
            instance_id: instance_id.into(),
            runtime_status: RuntimeStatus::Running,
            input: Value::Null,
            custom_status: Value::Null,
            output: Value::Null,
            created_time: start,
            last_updated_time: start,
            halted: None,
            version: None,
            version_label: None,
            history: None,
        }
    }

    /// Converts the input.
    ///
    /// ```
    /// # use dacapo_sdk::OrchestrationStatus;
    /// # let mut status = OrchestrationStatus::new("order", "order-17");
    /// # status.input = "a lamp".into();
    /// let item: String = status.input_as()?;
    /// # Ok::<(), dacapo_sdk::Failure>(())
    /// ```
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T> {
        self.convert("input", &self.input)
    }

    /// Converts the output.
    ///
    /// ```
    /// # use dacapo_sdk::OrchestrationStatus;
    /// # let mut status = OrchestrationStatus::new("count", "count-17");
    /// # status.output = 7.into();
    /// let count: u64 = status.output_as()?;
    /// # Ok::<(), dacapo_sdk::Failure>(())
    /// ```
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T> {
        self.convert("output", &self.output)
    }

    /// Converts the custom status.
    ///
    /// ```
    /// # use dacapo_sdk::OrchestrationStatus;
    /// # let mut status = OrchestrationStatus::new("count", "count-17");
    /// # status.custom_status = 50.into();
    /// let percent: u8 = status.custom_status_as()?;
    /// # Ok::<(), dacapo_sdk::Failure>(())
    /// ```
    pub fn custom_status_as<T: DeserializeOwned>(&self) -> Result<T> {
        self.convert("custom status", &self.custom_status)
    }

    fn convert<T: DeserializeOwned>(&self, what: &str, value: &Value) -> Result<T> {
        T::deserialize(value).map_err(|error| {
            let message = format!("the {what} of '{}' is not a {}: {error}", self.instance_id, std::any::type_name::<T>());
            Failure::new("InvalidOutput", message).details(value.to_string()).not_retriable()
        })
    }
}

/// Whether an instance waits, runs or has ended.
///
/// ```
/// # use dacapo_sdk::RuntimeStatus;
/// assert!(RuntimeStatus::Failed.is_ended() && !RuntimeStatus::Suspended.is_ended());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RuntimeStatus {
    /// It has not begun.
    Pending,
    /// It has begun. It may be waiting for something.
    Running,
    /// It is between two executions of one instance.
    ContinuedAsNew,
    /// It goes on once it is resumed.
    Suspended,
    /// It has returned an output.
    Completed,
    /// It has failed.
    Failed,
    /// It was cancelled.
    Canceled,
    /// It was terminated.
    Terminated,
}

impl RuntimeStatus {
    /// Whether the instance has ended.
    ///
    /// ```
    /// # use dacapo_sdk::RuntimeStatus;
    /// assert!(RuntimeStatus::Completed.is_ended());
    /// ```
    pub fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::ContinuedAsNew | Self::Suspended => false,
            Self::Completed | Self::Failed | Self::Canceled | Self::Terminated => true,
        }
    }
}

impl fmt::Display for RuntimeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a status shows. By default: the input, and no history.
///
/// ```
/// # use dacapo_sdk::StatusOptions;
/// let options = StatusOptions::new().show_history(true).show_history_output(true);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    show_input: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_history: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_history_output: Option<bool>,
}

impl StatusOptions {
    /// Makes the default options.
    ///
    /// ```
    /// # use dacapo_sdk::StatusOptions;
    /// let options = StatusOptions::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether inputs are shown, also those in the history.
    ///
    /// ```
    /// # use dacapo_sdk::StatusOptions;
    /// let options = StatusOptions::new().show_input(false);
    /// ```
    #[must_use]
    pub fn show_input(mut self, show: bool) -> Self {
        self.show_input = Some(show);
        self
    }

    /// Sets whether the history is shown.
    ///
    /// ```
    /// # use dacapo_sdk::StatusOptions;
    /// let options = StatusOptions::new().show_history(true);
    /// ```
    #[must_use]
    pub fn show_history(mut self, show: bool) -> Self {
        self.show_history = Some(show);
        self
    }

    /// Sets whether the history shows results.
    ///
    /// ```
    /// # use dacapo_sdk::StatusOptions;
    /// let options = StatusOptions::new().show_history(true).show_history_output(true);
    /// ```
    #[must_use]
    pub fn show_history_output(mut self, show: bool) -> Self {
        self.show_history_output = Some(show);
        self
    }
}

/// Which instances are listed or purged: those that match all that is set.
///
/// ```
/// # use dacapo_sdk::{InstanceFilter, RuntimeStatus};
/// let filter = InstanceFilter::new().function_name("order").runtime_status(RuntimeStatus::Failed).top(10);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time_to: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runtime_status: Vec<RuntimeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_input: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continuation_token: Option<String>,
}

impl InstanceFilter {
    /// Makes a filter that all instances match, entities among them.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let all = InstanceFilter::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the prefix of the ids. A list with a prefix is ordered by id.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().instance_id_prefix("order-");
    /// ```
    #[must_use]
    pub fn instance_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.instance_id_prefix = Some(prefix.into());
        self
    }

    /// Selects instances that were created at this time or later.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().created_time_from("2026-01-01T00:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn created_time_from(mut self, from: Timestamp) -> Self {
        self.created_time_from = Some(from);
        self
    }

    /// Selects instances that were created at this time or earlier.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().created_time_to("2026-01-01T00:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn created_time_to(mut self, to: Timestamp) -> Self {
        self.created_time_to = Some(to);
        self
    }

    /// Selects instances with this status. Called several times: with any of them.
    ///
    /// ```
    /// # use dacapo_sdk::{InstanceFilter, RuntimeStatus};
    /// let under_way = InstanceFilter::new().runtime_status(RuntimeStatus::Pending).runtime_status(RuntimeStatus::Running);
    /// ```
    #[must_use]
    pub fn runtime_status(mut self, status: RuntimeStatus) -> Self {
        self.runtime_status.push(status);
        self
    }

    /// Selects instances of this function; case is ignored.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().function_name("order");
    /// ```
    #[must_use]
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.function_name = Some(name.into());
        self
    }

    /// Selects instances that run on this version: a label, or six or more digits of a digest.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().version("2.0");
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets whether the inputs are shown. By default they are.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().show_input(false);
    /// ```
    #[must_use]
    pub fn show_input(mut self, show: bool) -> Self {
        self.show_input = Some(show);
        self
    }

    /// Sets the length of a page, at most.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// let filter = InstanceFilter::new().top(10);
    /// ```
    #[must_use]
    pub fn top(mut self, top: u32) -> Self {
        self.top = Some(top);
        self
    }

    /// Continues after a page, with the token of that page and otherwise the same filter.
    ///
    /// ```
    /// # use dacapo_sdk::InstanceFilter;
    /// # let page = dacapo_sdk::InstancePage::default();
    /// let filter = InstanceFilter::new();
    /// if let Some(token) = page.continuation_token {
    ///     let next = filter.continuation_token(token);
    /// }
    /// ```
    #[must_use]
    pub fn continuation_token(mut self, token: impl Into<String>) -> Self {
        self.continuation_token = Some(token.into());
        self
    }
}

/// A part of a list of instances.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # use dacapo_sdk::InstanceFilter;
/// # fn example(ctx: TriggerContext) -> Result<()> {
/// let page = ctx.client().list_instances(&InstanceFilter::new().top(10))?;
/// let ids: Vec<&str> = page.instances.iter().map(|instance| &*instance.instance_id).collect();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InstancePage {
    /// The instances.
    pub instances: Vec<OrchestrationStatus>,
    /// What [`InstanceFilter::continuation_token`] takes for the next page; none at the end of the list.
    #[serde(default)]
    pub continuation_token: Option<String>,
}

/// Which entities are listed: those that match all that is set.
///
/// ```
/// # use dacapo_sdk::EntityFilter;
/// let filter = EntityFilter::new().entity_name("counter").fetch_state(true);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_operation_time_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_operation_time_to: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch_state: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continuation_token: Option<String>,
}

impl EntityFilter {
    /// Makes a filter that all entities match.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let all = EntityFilter::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects entities with this name; case is ignored.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let filter = EntityFilter::new().entity_name("counter");
    /// ```
    #[must_use]
    pub fn entity_name(mut self, name: impl Into<String>) -> Self {
        self.entity_name = Some(name.into());
        self
    }

    /// Selects entities whose last operation was at this time or later.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let filter = EntityFilter::new().last_operation_time_from("2026-01-01T00:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn last_operation_time_from(mut self, from: Timestamp) -> Self {
        self.last_operation_time_from = Some(from);
        self
    }

    /// Selects entities whose last operation was at this time or earlier.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let filter = EntityFilter::new().last_operation_time_to("2026-01-01T00:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn last_operation_time_to(mut self, to: Timestamp) -> Self {
        self.last_operation_time_to = Some(to);
        self
    }

    /// Sets whether the states are shown. By default they are not.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let filter = EntityFilter::new().fetch_state(true);
    /// ```
    #[must_use]
    pub fn fetch_state(mut self, fetch: bool) -> Self {
        self.fetch_state = Some(fetch);
        self
    }

    /// Sets the length of a page, at most.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// let filter = EntityFilter::new().top(10);
    /// ```
    #[must_use]
    pub fn top(mut self, top: u32) -> Self {
        self.top = Some(top);
        self
    }

    /// Continues after a page, with the token of that page and otherwise the same filter.
    ///
    /// ```
    /// # use dacapo_sdk::EntityFilter;
    /// # let page = dacapo_sdk::EntityPage::default();
    /// let filter = EntityFilter::new();
    /// if let Some(token) = page.continuation_token {
    ///     let next = filter.continuation_token(token);
    /// }
    /// ```
    #[must_use]
    pub fn continuation_token(mut self, token: impl Into<String>) -> Self {
        self.continuation_token = Some(token.into());
        self
    }
}

/// A part of a list of entities.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # use dacapo_sdk::EntityFilter;
/// # fn example(ctx: TriggerContext) -> Result<()> {
/// let page = ctx.client().list_entities(&EntityFilter::new().entity_name("counter"))?;
/// let keys: Vec<&str> = page.entities.iter().map(|entity| entity.entity_id.key()).collect();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EntityPage {
    /// The entities.
    pub entities: Vec<EntityStatus>,
    /// What [`EntityFilter::continuation_token`] takes for the next page; none at the end of the list.
    #[serde(default)]
    pub continuation_token: Option<String>,
}

/// An entity of a list.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # use dacapo_sdk::EntityFilter;
/// # fn example(ctx: TriggerContext) -> Result<()> {
/// for counter in ctx.client().entities(EntityFilter::new().entity_name("counter").fetch_state(true)) {
///     let counter = counter?;
///     ctx.log_info(format!("{}: {}", counter.entity_id, counter.state));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EntityStatus {
    /// The id of the entity.
    #[serde(with = "name_and_key")]
    pub entity_id: EntityId,
    /// When its last operation was.
    pub last_operation_time: Timestamp,
    /// The state; `null` if there is none, or it was not asked for.
    #[serde(default)]
    pub state: Value,
}

/// In a list the id of an entity is an object.
mod name_and_key {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct NameAndKey {
        name: String,
        key: String,
    }

    pub fn serialize<S: Serializer>(id: &EntityId, serializer: S) -> Result<S::Ok, S::Error> {
        NameAndKey { name: id.name().to_owned(), key: id.key().to_owned() }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EntityId, D::Error> {
        NameAndKey::deserialize(deserializer).map(|id| EntityId::new(&id.name, id.key))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read_as_the_host_writes_it_and_written_as_it_was() {
        let body = json!({
            "name": "Hello", "instanceId": "i", "runtimeStatus": "Failed", "input": { "a": [1] }, "customStatus": null,
            "output": "it broke", "createdTime": "1970-01-01T00:00:01.000Z", "lastUpdatedTime": "1970-01-01T00:00:02.500Z",
            "version": "abab", "versionLabel": "2.0", "historyEvents": [{ "EventType": "ExecutionStarted" }],
        });
        let status: OrchestrationStatus = serde_json::from_value(body.clone()).unwrap();
        assert_eq!((status.runtime_status, status.created_time.as_millis()), (RuntimeStatus::Failed, 1_000));
        assert_eq!(status.output_as::<String>().unwrap(), "it broke");
        assert_eq!(serde_json::to_value(&status).unwrap(), body);
        let failure = status.output_as::<u64>().unwrap_err();
        assert!(failure.message.starts_with("the output of 'i' is not a u64: invalid type: string"), "{failure}");
        assert_eq!(failure.details.as_deref(), Some("\"it broke\""));
    }

    /// With a history the host sends the list under both names that clients know.
    #[test]
    fn members_that_are_not_known_do_not_matter() {
        let body = json!({
            "name": "Hello", "instanceId": "i", "runtimeStatus": "Running", "createdTime": "2026-01-01T00:00:00Z",
            "lastUpdatedTime": "2026-01-01T00:00:00Z", "historyEvents": [1], "history": [2], "new": true,
        });
        let status: OrchestrationStatus = serde_json::from_value(body).unwrap();
        assert_eq!((status.input, status.history), (Value::Null, Some(vec![json!(1)])));
    }

    #[test]
    fn filters_are_the_parameters_of_the_management_api() {
        let at = Timestamp::from_millis;
        let filter = InstanceFilter::new()
            .instance_id_prefix("order-")
            .created_time_from(at(0))
            .created_time_to(at(1))
            .runtime_status(RuntimeStatus::Running)
            .runtime_status(RuntimeStatus::ContinuedAsNew)
            .function_name("order")
            .version("2")
            .show_input(false)
            .top(10)
            .continuation_token("row.17");
        let expected = json!({
            "instanceIdPrefix": "order-", "createdTimeFrom": "1970-01-01T00:00:00.000Z",
            "createdTimeTo": "1970-01-01T00:00:00.001Z", "runtimeStatus": ["Running", "ContinuedAsNew"], "functionName": "order",
            "version": "2", "showInput": false, "top": 10, "continuationToken": "row.17",
        });
        assert_eq!(serde_json::to_value(filter).unwrap(), expected);

        let filter = EntityFilter::new().entity_name("counter").last_operation_time_from(at(0)).fetch_state(true).top(5);
        let expected = json!({
            "entityName": "counter", "lastOperationTimeFrom": "1970-01-01T00:00:00.000Z", "fetchState": true, "top": 5,
        });
        assert_eq!(serde_json::to_value(filter).unwrap(), expected);
        let options = StatusOptions::new().show_input(false).show_history(true).show_history_output(true);
        let expected = json!({ "showInput": false, "showHistory": true, "showHistoryOutput": true });
        assert_eq!(serde_json::to_value(options).unwrap(), expected);
    }

    #[test]
    fn an_entity_is_read_as_the_host_lists_it() {
        let body = json!({
            "entities": [{ "entityId": { "name": "counter", "key": "a@b" },
                "lastOperationTime": "1970-01-01T00:00:01.500000Z", "state": [1] }],
            "continuationToken": null,
        });
        let page: EntityPage = serde_json::from_value(body).unwrap();
        assert_eq!(page.continuation_token, None);
        assert_eq!(page.entities[0].entity_id, EntityId::new("Counter", "a@b"));
        assert_eq!((page.entities[0].last_operation_time.as_millis(), &page.entities[0].state), (1_500, &json!([1])));
    }
}
