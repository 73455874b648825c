//! A guest that runs the operations of an entity, one after the other and mostly on one instance of the component.
//!
//! An operation never waits, so its future is ready once its slices of time are over.

use std::pin::pin;

use dacapo_core::entity::{Operation, OperationResult};
use dacapo_core::execution::check_payload;
use dacapo_core::{EntityGuest, Failure, FunctionName, NotNow, OperationError};
use wasmtime::component::TypedFunc;
use wasmtime::{AsContextMut as _, Store};

use crate::config::Checkpoint;
use crate::engine::slices::{self, RunOutcome};
use crate::guest::bindings::{self, types};
use crate::guest::deterministic::{Deterministic, MUST_NOT_WAIT, fill, note_fuel};
use crate::guest::guest_permit::GuestPermit;
use crate::guest::prepared::Entry;
use crate::guest::trap::{self, NoRoom};

type RunOperation = TypedFunc<(types::EntityOperation,), bindings::OperationReturned>;

pub(crate) struct WasmEntityGuest {
    /// Dropped before the permit: the pool's slot is free before another may take it.
    store: Store<Deterministic>,
    entry: Entry<Deterministic>,
    /// The instance, which the first operation makes.
    instance: Option<Instance>,
    /// The entity function, as the app spells it.
    name: FunctionName,
    checkpoint: Checkpoint,
    permit: GuestPermit,
}

#[derive(Clone, Copy)]
struct Instance {
    run: RunOperation,
    /// Bytes of memory when it was new.
    memory: usize,
}

impl WasmEntityGuest {
    pub fn new(
        store: Store<Deterministic>,
        entry: Entry<Deterministic>,
        name: FunctionName,
        checkpoint: Checkpoint,
        permit: GuestPermit,
    ) -> Self {
        Self { store, entry, instance: None, name, checkpoint, permit }
    }

    async fn call(&mut self, operation: &Operation) -> wasmtime::Result<bindings::OperationReturned> {
        self.begin_anew_if_large()?;
        // Each operation has the fuel of a whole turn, however many run in it.
        fill(&mut self.store.as_context_mut())?;
        let instance = match self.instance {
            Some(instance) => instance,
            None => {
                let run = self.entry.open(&mut self.store).await?;
                *self.instance.insert(Instance { run, memory: self.store.data().memory_used() })
            }
        };
        instance.run.call_async(&mut self.store, (bindings::wit_operation(operation, &self.name),)).await
    }

    /// Replaces an instance whose memory has grown by half of what it may: an operation must not fail because of what earlier
    /// ones, which happened to run in the same turn, have left behind.
    fn begin_anew_if_large(&mut self) -> wasmtime::Result<()> {
        let Some(Instance { memory, .. }) = self.instance else { return Ok(()) };
        let data = self.store.data();
        let may_grow = data.policy.limits.orchestrator_memory_bytes.saturating_sub(memory);
        if data.memory_used() - memory > may_grow / 2 {
            self.store = Deterministic::store(self.store.engine(), data.policy.clone(), data.shared.clone())?;
            self.instance = None;
        }
        Ok(())
    }
}

impl EntityGuest for WasmEntityGuest {
    fn run(&mut self, operation: &Operation) -> Result<OperationResult, OperationError> {
        let checkpoint = self.checkpoint.clone();
        let policy = self.store.data().policy.clone();
        let rest = slices::run(pin!(self.call(operation)), policy.limits.fuel_per_turn, &checkpoint);
        let returned = match rest {
            RunOutcome::Ended(returned) => returned,
            RunOutcome::Waits => Err(wasmtime::Error::msg(MUST_NOT_WAIT)),
            RunOutcome::Stopped => return Err(trap::stopped().into()),
            RunOutcome::Overdue { most } => {
                self.store.data().shared.spend_all(policy.limits.fuel_per_turn);
                return Err(trap::overdue(most).into());
            }
        };
        self.store.data().finish_lines();
        let noted = note_fuel(&mut self.store.as_context_mut());
        let data = self.store.data();
        let result = match noted.and(returned) {
            Ok((returned,)) => bindings::operation_result_of(returned)?,
            Err(error) if NoRoom::of(&error).is_some() => {
                return Err(OperationError::NotStarted(NotNow::NoRoom(self.permit.version())));
            }
            Err(error) => return Err(data.failure(&error).into()),
        };
        let limits = &data.policy.execution;
        check_payload("the output", &result.output, limits, Failure::INVALID_OUTPUT)?;
        if let Some(state) = &result.state {
            check_payload("the state", state, limits, Failure::INVALID_OUTPUT)?;
        }
        Ok(result)
    }
}
