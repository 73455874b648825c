//! What an activity may ask of its task hub: the links of instances, and starts of orchestrations.

use serde::{Deserialize, Serialize};

use crate::activity::ActivityContext;
use crate::bindings;
use crate::failure::{Failure, Result};
use crate::function::{Orchestrator, to_json};

/// The links for managing an instance over HTTP. An activity can pass them to an external system that should answer.
///
/// Some contain `{eventName}` or `{text}`, which the client replaces by the name of an event or by a reason.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// #[activity]
/// fn ask_for_approval(ctx: ActivityContext, approver: String) -> Result<String> {
///     let links = ctx.management_links(ctx.instance_id())?;
///     Ok(format!("To {approver}: please post to {}", links.send_event_post_uri.replace("{eventName}", "Approval")))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManagementLinks {
    /// The instance.
    pub id: String,
    /// Returns the status.
    pub status_query_get_uri: String,
    /// Raises an event.
    pub send_event_post_uri: String,
    /// Terminates the instance.
    pub terminate_post_uri: String,
    /// Rewinds the instance, if it has failed.
    pub rewind_post_uri: String,
    /// Purges the instance, if it has ended.
    pub purge_history_delete_uri: String,
    /// Restarts the instance with the same input.
    pub restart_post_uri: String,
    /// Suspends the instance.
    pub suspend_post_uri: String,
    /// Resumes the instance.
    pub resume_post_uri: String,
}

impl ActivityContext {
    /// Returns the links for managing an instance over HTTP: the calling instance, or any other. Fails with `InvalidArgument` if
    /// the text is not a valid instance id. On a host without an address, the host stops the activity.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// let status = ctx.management_links(ctx.instance_id())?.status_query_get_uri;
    /// # Ok(())
    /// # }
    /// ```
    pub fn management_links(&self, instance_id: &str) -> Result<ManagementLinks> {
        if self.is_test() {
            return Err(Failure::new("Unsupported", "management links are available only on a host"));
        }
        let links: Option<ManagementLinks> = serde_json::from_str(&bindings::management_links(instance_id))?;
        let refused = || Failure::new("InvalidArgument", format!("'{instance_id}' cannot be the id of an instance"));
        links.ok_or_else(|| refused().not_retriable())
    }

    /// Starts an orchestration that runs on its own.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn handle(ctx: Context, order: String) -> Result<()> { Ok(()) }
    /// #[activity]
    /// fn take_orders_in(ctx: ActivityContext, orders: Vec<String>) -> Result<()> {
    ///     for order in orders {
    ///         ctx.start_orchestration::<handle>(order.clone()).instance_id(format!("order-{order}")).start()?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn start_orchestration<O: Orchestrator>(&self, input: O::Input) -> ActivityStart<'_>
    where
        O::Input: Serialize,
    {
        self.start_orchestration_named(O::NAME, &input)
    }

    /// Starts an orchestration by name that runs on its own.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// let instance_id = ctx.start_orchestration_named("SendSurvey", &"ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration_named(&self, name: &str, input: &impl Serialize) -> ActivityStart<'_> {
        ActivityStart { activity: self, name: name.to_owned(), input: to_json(input), instance_id: None, version: None }
    }
}

/// The start of an orchestration by an activity. Made by [`ActivityContext::start_orchestration`].
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # fn example(ctx: ActivityContext) -> Result<()> {
/// ctx.start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").version("2.0").start()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `start`"]
pub struct ActivityStart<'a> {
    activity: &'a ActivityContext,
    name: String,
    input: Result<String>,
    instance_id: Option<String>,
    version: Option<String>,
}

impl ActivityStart<'_> {
    /// Sets the instance id. Without one the host derives it from this call of the activity.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// ctx.start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = Some(id.into());
        self
    }

    /// Sets the version that the orchestration asks for.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// ctx.start_orchestration_named("SendSurvey", &"ada").version("2.0").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(mut self, label: impl Into<String>) -> Self {
        self.version = Some(label.into());
        self
    }

    /// Starts the orchestration and returns its instance id once the start is durable. If the call of the activity is repeated
    /// after a crash, orchestrations that it has started are not started again.
    ///
    /// Fails with `OrchestratorNotFound`, `InstanceAlreadyExists` (a live instance with this id was not started by this call),
    /// `VersionMismatch`, `LimitExceeded`, `InvalidArgument` or `Unavailable`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// match ctx.start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start() {
    ///     Err(failure) if failure.error_type == "InstanceAlreadyExists" => ctx.log_info("it is under way"),
    ///     started => drop(started?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<String> {
        if self.activity.is_test() {
            return Err(Failure::new("Unsupported", "orchestrations can be started only on a host"));
        }
        bindings::start_from_activity(&self.name, &self.input?, self.instance_id.as_deref(), self.version.as_deref())
    }
}
