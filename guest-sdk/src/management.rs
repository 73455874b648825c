//! The links by which an instance is managed over HTTP.

use serde::{Deserialize, Serialize};

use crate::{ActivityContext, Failure, Result, bindings};

/// The links by which an instance is managed over HTTP. To be handed to an external system that is to answer.
///
/// Those to which something is posted contain `{eventName}` or `{text}` where the caller puts a name or a reason.
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
    /// Gives the status.
    pub status_query_get_uri: String,
    /// Raises an event.
    pub send_event_post_uri: String,
    /// Terminates the instance.
    pub terminate_post_uri: String,
    /// Rewinds the instance, if it has failed.
    pub rewind_post_uri: String,
    /// Purges the instance, if it has ended.
    pub purge_history_delete_uri: String,
    /// Starts it anew with the same input.
    pub restart_post_uri: String,
    /// Suspends the instance.
    pub suspend_post_uri: String,
    /// Resumes the instance.
    pub resume_post_uri: String,
}

impl ActivityContext {
    /// The links by which an instance is managed over HTTP: the caller's, or any other. The host stops an activity that
    /// gives what is no instance id, and one that asks on a host without an address.
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
            return Err(Failure::new("Unsupported", "management links exist on a host only"));
        }
        Ok(serde_json::from_str(&bindings::management_links(instance_id))?)
    }
}
