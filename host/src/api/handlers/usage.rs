//! Resource usage: of a hub, of all hubs, of one instance.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use dacapo_core::{InstanceRecord, Timestamp, Usage};

use crate::api::content::json::{Moment, json, micros};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::hubs::HubReport;
use crate::meters::{FunctionUsage, QueueUsage};
use crate::metrics;

/// What a task hub has used since it was created.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HubUsage")]
pub(crate) struct Bill {
    pub hub: String,
    /// When it was created.
    pub since: Moment,
    /// Whether it is open at present.
    pub open: bool,
    /// The number of its instances, in any status; `null` if it is not open.
    pub instances: Option<u64>,
    /// Bytes that it has on disk.
    pub storage_bytes: u64,
    /// Requests with a key of the hub.
    pub requests: u64,
    /// Of these, those that were refused because of a limit, with the status 429.
    pub throttled: u64,
    /// Bytes that outgoing HTTP requests of its functions have received, as counted on their connections.
    pub outbound_bytes_in: u64,
    /// Bytes that outgoing HTTP requests of its functions have sent, as counted on their connections.
    pub outbound_bytes_out: u64,
    /// By name.
    pub functions: Vec<FunctionUsage>,
    /// What became of the messages of its queues, by name.
    pub queues: Vec<QueueUsage>,
}

/// What an instance has cost so far.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub name: String,
    pub instance_id: String,
    /// Its turns.
    pub turns: u64,
    /// Events that were replayed to bring it back into memory.
    pub replayed_events: u64,
    /// About one unit for each wasm instruction, replays included.
    pub fuel: u64,
    /// Operations of an entity.
    pub operations: u64,
    /// Attempts of its activities whose results it has taken in.
    pub activities: u64,
    /// Microseconds that these have taken, to compute or to wait.
    pub activity_micros: u64,
    /// Bytes of payload taken in.
    pub bytes_in: u64,
    /// Bytes of payload given out.
    pub bytes_out: u64,
}

/// `GET admin/hubs/{hubName}/usage`
pub(in crate::api) async fn of_hub(call: Call) -> Result<Response, ApiError> {
    let name = call.hub_name()?;
    let report = call.api.options.hubs.report(&name).await?.ok_or_else(|| ApiError::unknown_task_hub(&name))?;
    Ok(json(StatusCode::OK, &Bill::from(report)))
}

/// `GET metrics`
pub(in crate::api) async fn metrics(call: Call) -> Result<Response, ApiError> {
    let reports = call.api.options.hubs.reports().await?;
    let text = metrics::text_of(reports, call.api.options.hubs.memory());
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
        let HubReport { name, created_at, usage, open, storage_bytes, memory_bytes: _, instances, queues: _ } = report;
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
            queues: usage.queues.iter().cloned().collect(),
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
