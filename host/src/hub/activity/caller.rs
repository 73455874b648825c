//! What activities can ask of their hub: to start orchestrations.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dacapo_core::guest::{ActivityClient, GuestMemory, Start, StartFuture};
use dacapo_core::{ExecutionId, Failure, InstanceId, Seq};

use crate::hub::activity::memory::RunMemory;
use crate::hub::error::HubError;
use crate::hub::hub_core::HubCore;
use crate::hub::operations::instance::StartRequest;

/// One run of an activity call. As far as the activity is deterministic, all runs of a call start the same in the same order,
/// so the ids of what they start are derived from the call.
pub(in crate::hub) struct Caller {
    hub: Arc<HubCore>,
    execution: ExecutionId,
    seq: Seq,
    starts: AtomicU32,
    memory: RunMemory,
}

impl Caller {
    pub fn new(hub: Arc<HubCore>, execution: ExecutionId, seq: Seq, memory: RunMemory) -> Self {
        Self { hub, execution, seq, starts: AtomicU32::new(0), memory }
    }
}

impl ActivityClient for Caller {
    fn start_orchestration(&self, start: Start) -> StartFuture {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        Box::pin(self.hub.clone().start_once(ExecutionId::of_start(self.execution, self.seq, number), start))
    }

    fn memory(&self) -> Box<dyn GuestMemory> {
        Box::new(self.memory.of_guest())
    }
}

impl HubCore {
    async fn start_once(self: Arc<Self>, execution: ExecutionId, start: Start) -> Result<InstanceId, Failure> {
        let Start { name, input, instance, version } = start;
        let id = instance.unwrap_or_else(|| InstanceId::from_uuid(execution.0));
        if self.has_begun(&id, execution).map_err(failure_of)? {
            return Ok(id);
        }
        match self.start(execution, StartRequest { name, id: Some(id), input, version, start_at: None }).await {
            // The activity is dropped with the hub, without an outcome, and runs again when the hub is opened again.
            Err(HubError::ShuttingDown) => pending().await,
            started => started.map_err(failure_of),
        }
    }

    fn has_begun(&self, id: &InstanceId, execution: ExecutionId) -> Result<bool, HubError> {
        Ok(self.store.instance(id)?.is_some_and(|record| record.first_execution == execution))
    }
}

fn failure_of(error: HubError) -> Failure {
    let message = error.to_string();
    match error {
        HubError::UnknownOrchestrator { .. } => Failure::permanent(Failure::ORCHESTRATOR_NOT_FOUND, message),
        HubError::AlreadyExists { .. } => Failure::permanent(Failure::INSTANCE_ALREADY_EXISTS, message),
        HubError::VersionMismatch(_) => Failure::permanent(Failure::VERSION_MISMATCH, message),
        HubError::TooLarge { .. } | HubError::InvalidPayload(_) => Failure::permanent(Failure::INVALID_ARGUMENT, message),
        HubError::Limit { .. } => Failure::retriable(Failure::LIMIT_EXCEEDED, message),
        _ => Failure::retriable(Failure::UNAVAILABLE, message),
    }
}
