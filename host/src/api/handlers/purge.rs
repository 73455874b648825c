//! Purging instances.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::api::content::json;
use crate::api::content::page::{filters, filters_to_act_on};
use crate::api::error::ApiError;
use crate::api::request::Call;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PurgeResult {
    instances_deleted: u64,
}

/// `DELETE instances/{instanceId}`
pub(in crate::api) async fn purge(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    let details = json!({ "instance": id.as_str() });
    let purging = async move { hub.purge(&id).await };
    Ok(purged(call.audited("instance.purge")?.finish(details, purging).await?))
}

/// `DELETE instances`
pub(in crate::api) async fn purge_all(call: Call) -> Result<Response, ApiError> {
    // An invalid filter is reported before a missing beginning.
    if filters(&call)?.query.created_from.is_none() {
        return Err(ApiError::purge_without_beginning());
    }
    let (hub, (selection, asked)) = (call.hub()?, filters_to_act_on(&call)?);
    // Recorded first: it may be broken off, and the instances purged by then stay purged.
    call.audited("instances.purge")?.begun(asked.into()).await?;
    match hub.purge_all(selection).await? {
        0 => Err(ApiError::not_found()),
        count => Ok(purged(count)),
    }
}

fn purged(instances_deleted: u64) -> Response {
    json::json(StatusCode::OK, &PurgeResult { instances_deleted })
}
