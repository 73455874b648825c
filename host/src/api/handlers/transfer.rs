//! Instances that are moved from one hub to another as a file.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use dacapo_core::{InstanceId, VersionId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::content::json;
use crate::api::content::parts;
use crate::api::error::ApiError;
use crate::api::handlers::apps::LINES;
use crate::api::request::Call;
use crate::api::request::parameter::{REPLACE, RESUME, WITH_ALL_MODULES, WITH_MODULES};
use crate::hub::{Export, Exported, Hub, HubError, ImportOptions, Waiting};

#[derive(Serialize, JsonSchema)]
pub(in crate::api) struct Imported {
    instances: Vec<String>,
    /// Versions that were not deployed before.
    versions: Vec<String>,
    /// Instances that wait for sub-orchestrations or entities that are not in the task hub, or have ended there, and so do not report
    /// to them.
    waiting: Vec<WaitingBody>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Waiting")]
struct WaitingBody {
    instance_id: String,
    on: Vec<String>,
}

/// `GET admin/instances/{instanceId}/export`
pub(in crate::api) async fn export_instance(call: Call) -> Result<Response, ApiError> {
    let with_modules = call.get(&WITH_MODULES)?;
    let (hub, id) = (call.hub()?, call.instance_id()?);
    export(hub, Exported::Instance(id), with_modules).await
}

/// `GET admin/export`
pub(in crate::api) async fn export_hub(call: Call) -> Result<Response, ApiError> {
    let (hub, with_modules) = (call.hub()?, call.get(&WITH_ALL_MODULES)?);
    export(hub, Exported::Hub, with_modules).await
}

/// `POST admin/import`, the body a file that was exported.
pub(in crate::api) async fn import(call: Call) -> Result<Response, ApiError> {
    let (hub, replace, resume) = (call.hub()?, call.get(&REPLACE)?, call.get(&RESUME)?);
    let imported = hub.import(call.body, ImportOptions { replace, resume }).await?;
    let ids = |ids: &[InstanceId]| ids.iter().map(InstanceId::to_string).collect();
    let waits = |Waiting { instance, on }: &Waiting| WaitingBody { instance_id: instance.to_string(), on: ids(on) };
    let body = Imported {
        instances: ids(&imported.instances),
        versions: imported.versions.iter().map(VersionId::to_string).collect(),
        waiting: imported.waiting.iter().map(waits).collect(),
    };
    Ok(json::json(StatusCode::OK, &body))
}

/// Reads the next lines of an export, once the memory for that is reserved. A read that needs more than the hub may ever have is
/// done one at a time, beyond the budget.
async fn read_on(hub: &Hub, export: Export) -> Result<(Option<String>, Export), HubError> {
    let (needs, mut export) = hub.read(move |_| -> Result<_, HubError> { Ok((export.needs()?, export)) }).await?;
    let room = match hub.memory().reserve(needs).await {
        Ok(room) => room,
        Err(_more_than_ever) => {
            let mut room = hub.memory().reserve_over_budget().await;
            // Beyond the budget nothing is refused.
            let _ = room.try_grow(needs);
            room
        }
    };
    hub.read(move |_| -> Result<_, HubError> {
        let _room = room;
        Ok((export.read()?, export))
    })
    .await
}

/// Streams an export as fast as the client takes it. Lines that end without `done` were broken off by an error, which is logged.
async fn export(hub: Hub, what: Exported, with_modules: bool) -> Result<Response, ApiError> {
    let export = hub.read(move |hub| hub.export(what, with_modules)).await?;
    let lines = futures::stream::unfold((hub, export), |(hub, export)| async {
        match read_on(&hub, export).await {
            Ok((lines, export)) => match parts::count(&hub, lines?).await {
                Ok(lines) => Some((Ok::<_, Infallible>(lines), (hub, export))),
                Err(error) => {
                    tracing::error!(hub = hub.name(), %error, "an export was broken off");
                    None
                }
            },
            Err(error) => {
                tracing::error!(hub = hub.name(), %error, "an export was broken off");
                None
            }
        }
    });
    Ok(([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response())
}
