//! The actions of an orchestrator, as tests see them.

use serde_json::Value;

use crate::entity_id::EntityId;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

/// A step of an orchestrator that is visible outside.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are the parameters of the context's methods
pub enum Action {
    CallActivity {
        name: String,
        input: Value,
        retry: Option<RetryPolicy>,
    },
    CallSubOrchestrator {
        name: String,
        input: Value,
        instance_id: Option<String>,
        version: Option<String>,
        retry: Option<RetryPolicy>,
    },
    CallEntity {
        entity: EntityId,
        operation: String,
        input: Value,
    },
    CallHttp {
        request: Value,
    },
    CreateTimer {
        fire_at: Timestamp,
    },
    WaitForExternalEvent {
        name: String,
    },
    LockEntities {
        entities: Vec<EntityId>,
    },
    UnlockEntities,
    SignalEntity {
        entity: EntityId,
        operation: String,
        input: Value,
        deliver_at: Option<Timestamp>,
    },
    StartOrchestration {
        name: String,
        input: Value,
        instance_id: String,
    },
    SendEvent {
        instance_id: String,
        name: String,
        data: Value,
    },
    SetCustomStatus {
        status: Value,
    },
    ContinueAsNew {
        input: Value,
    },
}

/// Parses JSON that this crate has written.
pub(crate) fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("it was written as JSON")
}
