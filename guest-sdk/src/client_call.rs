//! The calls of the durable client, as tests see them.

use std::time::Duration;

use serde_json::Value;

use crate::entity_id::EntityId;
use crate::status::{EntityFilter, InstanceFilter, StatusOptions};
use crate::timestamp::Timestamp;

/// A call of the durable client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are the parameters of the client's methods
pub enum ClientCall {
    StartOrchestration {
        name: String,
        input: Value,
        instance_id: Option<String>,
        version: Option<String>,
        start_at: Option<Timestamp>,
    },
    GetStatus {
        instance_id: String,
        options: StatusOptions,
    },
    ListInstances {
        filter: InstanceFilter,
    },
    RaiseEvent {
        instance_id: String,
        name: String,
        data: Value,
    },
    Terminate {
        instance_id: String,
        reason: String,
    },
    Suspend {
        instance_id: String,
        reason: String,
    },
    Resume {
        instance_id: String,
        reason: String,
    },
    Rewind {
        instance_id: String,
        reason: String,
    },
    Restart {
        instance_id: String,
        new_instance_id: Option<String>,
    },
    Purge {
        instance_id: String,
    },
    PurgeInstances {
        filter: InstanceFilter,
    },
    WaitForCompletion {
        instance_id: String,
        timeout: Duration,
    },
    SignalEntity {
        entity: EntityId,
        operation: String,
        input: Value,
        deliver_at: Option<Timestamp>,
    },
    Enqueue {
        queue: String,
        messages: Vec<String>,
        deliver_at: Option<Timestamp>,
    },
    ReadEntity {
        entity: EntityId,
    },
    ListEntities {
        filter: EntityFilter,
    },
    ManagementLinks {
        instance_id: String,
    },
}
