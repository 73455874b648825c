//! The links for managing an instance over HTTP.

use serde::{Deserialize, Serialize};

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
