//! What was used: by a hub, by all hubs, by one instance.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use dacapo_core::{InstanceRecord, Timestamp, Usage};

use super::error::ApiError;
use super::json::{json, micros};
use super::request::{Call, blocking};
use crate::hubs::HubReport;
use crate::meters::FunctionUsage;
use crate::metrics;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HubUsageBody<'a> {
    hub: &'a str,
    since: String,
    open: bool,
    instances: Option<u64>,
    storage_bytes: u64,
    requests: u64,
    throttled: u64,
    outbound_bytes_in: u64,
    outbound_bytes_out: u64,
    functions: Vec<&'a FunctionUsage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptBody<'a> {
    name: &'a str,
    instance_id: &'a str,
    turns: u64,
    replayed_events: u64,
    fuel: u64,
    operations: u64,
    activities: u64,
    activity_micros: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// `GET admin/hubs/{hubName}/usage`
pub(super) async fn of_hub(call: Call) -> Result<Response, ApiError> {
    let name = call.hub_name()?;
    let report = call.api.hubs.report(&name).await?.ok_or_else(|| ApiError::unknown_task_hub(&name))?;
    Ok(json(StatusCode::OK, &HubUsageBody::from(&report)))
}

/// `GET metrics`
pub(super) async fn metrics(call: Call) -> Result<Response, ApiError> {
    let reports = call.api.hubs.reports().await?;
    let text = blocking(move || Ok(metrics::text_of(reports))).await?;
    Ok(([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

/// `GET instances/{instanceId}/receipt`
pub(super) async fn of_instance(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    blocking(move || {
        let record = hub.instance(&id)?.ok_or_else(ApiError::not_found)?;
        Ok(json(StatusCode::OK, &ReceiptBody::from(&record)))
    })
    .await
}

impl<'a> From<&'a HubReport> for HubUsageBody<'a> {
    fn from(report: &'a HubReport) -> Self {
        let HubReport { name, created_at, usage, open, storage_bytes, instances } = report;
        Self {
            hub: name,
            since: micros(Timestamp(*created_at)),
            open: *open,
            instances: *instances,
            storage_bytes: *storage_bytes,
            requests: usage.requests,
            throttled: usage.throttled,
            outbound_bytes_in: usage.outbound_bytes_in,
            outbound_bytes_out: usage.outbound_bytes_out,
            functions: usage.functions.iter().collect(),
        }
    }
}

impl<'a> From<&'a InstanceRecord> for ReceiptBody<'a> {
    fn from(record: &'a InstanceRecord) -> Self {
        let Usage { turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out } = record.usage;
        let (name, instance_id) = (record.name.as_str(), record.id.as_str());
        Self { name, instance_id, turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out }
    }
}
