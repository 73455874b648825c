//! Triggers: run by the workers in slices, like activities, while their callers wait.

pub(super) mod running;

use std::sync::Arc;
use std::time::Instant;

use async_task::WithInfo;
use dacapo_core::guest::SharedClient;
use dacapo_core::{ExecutionId, Failure, FunctionName, Seq, TriggerCall, VersionId};
use dacapo_wasm::TriggerSlots;
use tokio::sync::oneshot;

use crate::engine::memory::NoRoom;
use crate::engine::panics::caught_async;
use crate::hub::activity::memory::RunMemory;
use crate::hub::client::Caller;
use crate::hub::error::HubError;
use crate::hub::hub_core::Hub;
use crate::hub::rules::size;
use crate::meters::Attempt;

/// The outcome of a trigger: its output as JSON, or its failure.
pub type TriggerOutcome = Result<String, Failure>;

impl Hub {
    /// Runs a trigger of a version, once there is a permit and memory for it. Dropping the future stops the run. `left` is
    /// answered or closed when its caller has left: then it does not begin any more.
    ///
    /// `ShuttingDown`, `NoMemory`, `CallerLeft`.
    pub async fn run_trigger(
        &self,
        version: VersionId,
        call: TriggerCall,
        mut left: oneshot::Receiver<()>,
    ) -> Result<TriggerOutcome, HubError> {
        let hub = &self.0;
        let permit = tokio::select! {
            permit = hub.triggers.acquire() => permit?,
            () = hub.closed() => return Err(HubError::ShuttingDown),
            _ = &mut left => return Err(HubError::CallerLeft),
        };
        let most = size(hub.rules().limits.activity_memory_bytes);
        let expected = hub.activities.expected(&call.name).min(most).saturating_add(call.input.len());
        let memory = tokio::select! {
            reserved = hub.memory.reserve(expected) => reserved.map_err(HubError::NoMemory)?,
            () = hub.closed() => return Err(HubError::ShuttingDown),
            _ = &mut left => return Err(HubError::CallerLeft),
        };
        let memory = RunMemory::new(memory, hub.engine.runtime().clone());
        let client: SharedClient = Arc::new(Caller::new(hub.clone(), ExecutionId(call.invocation), Seq(0), memory.clone()));
        let (name, bytes_in, began) = (call.name.clone(), call.input.len() as u64, Instant::now());
        let executor = hub.executor.as_ref().clone();
        let run = move |_: &()| caught_async(executor.run_trigger(version, call, client, TriggerSlots::Own));
        let run_queue = hub.run_queue.clone();
        let schedule = WithInfo(move |runnable, info| run_queue.activity(runnable, info));
        let (runnable, task) = async_task::Builder::new().propagate_panic(true).spawn(run, schedule);
        runnable.schedule();
        let outcome = tokio::select! {
            outcome = task => outcome,
            () = permit.cut_off() => return Err(HubError::ShuttingDown),
        };
        let outcome = outcome.unwrap_or_else(|why| {
            let message = format!("the host panicked while it ran the trigger, which is a bug of the host: {why}");
            Err(Failure::permanent(Failure::HOST_FAILED, message))
        });
        if let Some(wanted) = memory.was_short() {
            hub.activities.was_short(&name, wanted);
            return Err(HubError::NoMemory(NoRoom { wanted, held: hub.memory.held(), most: hub.memory.budget().most() }));
        }
        hub.activities.ended(&name, memory.took());
        let bytes_out = outcome.as_ref().map_or(0, |output| output.len() as u64);
        hub.meters.trigger(&name, Attempt { took: began.elapsed(), failed: outcome.is_err(), bytes_in, bytes_out });
        Ok(outcome)
    }

    /// Whether the trigger of this name does not run.
    pub fn is_disabled(&self, trigger: &FunctionName) -> bool {
        self.0.is_disabled(trigger)
    }

    /// Reads the routes of the hub's HTTP triggers.
    pub fn with_routes<T>(&self, read: impl FnOnce(&crate::triggers::Routes) -> T) -> T {
        self.0.catalog.with_routes(read)
    }
}
