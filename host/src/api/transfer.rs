//! Instances that are moved from one hub to another as a file.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use dacapo_core::VersionId;
use serde_json::json;
use tokio::sync::mpsc;

use super::apps::LINES;
use super::error::ApiError;
use super::json;
use super::parameter::{REPLACE, RESUME, WITH_ALL_MODULES, WITH_MODULES};
use super::request::{Call, blocking};
use crate::export::Line;
use crate::hub::{Exported, ImportOptions};

/// `GET admin/instances/{instanceId}/export`
pub(super) async fn export_instance(call: Call) -> Result<Response, ApiError> {
    let with_modules = call.get(&WITH_MODULES)?;
    let (hub, id) = (call.hub()?, call.instance_id()?);
    blocking(move || Ok(lines(hub.export(Exported::Instance(id), with_modules)?))).await
}

/// `GET admin/export`
pub(super) async fn export_hub(call: Call) -> Result<Response, ApiError> {
    let (hub, with_modules) = (call.hub()?, call.get(&WITH_ALL_MODULES)?);
    blocking(move || Ok(lines(hub.export(Exported::Hub, with_modules)?))).await
}

/// `POST admin/import`, the body a file that was exported.
pub(super) async fn import(call: Call) -> Result<Response, ApiError> {
    let (hub, replace, resume) = (call.hub()?, call.get(&REPLACE)?, call.get(&RESUME)?);
    let imported = hub.import(call.body, ImportOptions { replace, resume }).await?;
    let instances: Vec<&str> = imported.instances.iter().map(|id| id.as_str()).collect();
    let versions: Vec<String> = imported.versions.iter().map(VersionId::to_string).collect();
    Ok(json::json(StatusCode::OK, &json!({ "instances": instances, "versions": versions })))
}

fn lines(receiver: mpsc::Receiver<Line>) -> Response {
    let lines = futures::stream::unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok::<_, Infallible>(line.text()), receiver))
    });
    ([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}
