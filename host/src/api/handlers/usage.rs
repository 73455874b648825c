//! Resource usage: of a hub, of all hubs, of one instance.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use dacapo_core::{InstanceRecord, Timestamp, Usage};

use crate::api::content::json::{json, micros};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::hubs::HubReport;
use crate::meters::FunctionUsage;
use crate::metrics;

/// The response of `GET admin/hubs/{hubName}/usage`, which the command line reads too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bill {
    pub hub: String,
    pub since: String,
    pub open: bool,
    /// None: not counted, because the hub is closed.
    pub instances: Option<u64>,
    pub storage_bytes: u64,
    pub requests: u64,
    pub throttled: u64,
    pub outbound_bytes_in: u64,
    pub outbound_bytes_out: u64,
    pub functions: Vec<FunctionUsage>,
}

/// The response of `GET instances/{instanceId}/receipt`, which the command line reads too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub name: String,
    pub instance_id: String,
    pub turns: u64,
    pub replayed_events: u64,
    pub fuel: u64,
    pub operations: u64,
    pub activities: u64,
    pub activity_micros: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// `GET admin/hubs/{hubName}/usage`
pub(in crate::api) async fn of_hub(call: Call) -> Result<Response, ApiError> {
    let name = call.hub_name()?;
    let report = call.api.hubs.report(&name).await?.ok_or_else(|| ApiError::unknown_task_hub(&name))?;
    Ok(json(StatusCode::OK, &Bill::from(report)))
}

/// `GET metrics`
pub(in crate::api) async fn metrics(call: Call) -> Result<Response, ApiError> {
    let reports = call.api.hubs.reports().await?;
    let text = metrics::text_of(reports, call.api.hubs.memory());
    Ok(([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

/// `GET instances/{instanceId}/receipt`
pub(in crate::api) async fn of_instance(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    hub.read(move |hub| {
        let record = hub.instance(&id)?.ok_or_else(ApiError::not_found)?;
        Ok(json(StatusCode::OK, &Receipt::from(&record)))
    })
    .await
}

impl From<HubReport> for Bill {
    fn from(report: HubReport) -> Self {
        let HubReport { name, created_at, usage, open, storage_bytes, memory_bytes: _, instances } = report;
        Self {
            hub: name,
            since: micros(Timestamp(created_at)),
            open,
            instances,
            storage_bytes,
            requests: usage.requests,
            throttled: usage.throttled,
            outbound_bytes_in: usage.outbound_bytes_in,
            outbound_bytes_out: usage.outbound_bytes_out,
            functions: usage.functions.iter().cloned().collect(),
        }
    }
}

impl From<&InstanceRecord> for Receipt {
    fn from(record: &InstanceRecord) -> Self {
        let Usage { turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out } = record.usage;
        let (name, instance_id) = (record.name.to_string(), record.id.to_string());
        Self { name, instance_id, turns, replayed_events, fuel, operations, activities, activity_micros, bytes_in, bytes_out }
    }
}
