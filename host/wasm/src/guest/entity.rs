//! A guest that runs the operations of an entity, one after the other and mostly on one instance of the component, which may be
//! kept for further turns ([`crate::guest::idle`]).
//!
//! An operation never waits, so its future is ready once its slices of time are over.

use std::pin::pin;

use dacapo_core::entity::{Operation, OperationResult};
use dacapo_core::execution::check_payload;
use dacapo_core::{EntityGuest, Failure, FunctionName, NotNow, OperationError};
use wasmtime::component::TypedFunc;
use wasmtime::{AsContextMut as _, Store};

use crate::account::IdleMemory;
use crate::config::Checkpoint;
use crate::engine::slices::{self, RunOutcome};
use crate::guest::bindings::{self, types};
use crate::guest::deterministic::{Deterministic, MUST_NOT_WAIT, fill, note_fuel};
use crate::guest::idle::PermittedInstance;
use crate::guest::prepared::Entry;
use crate::guest::trap::{self, NoRoom};

type RunOperation = TypedFunc<(types::EntityOperation,), bindings::OperationReturned>;

pub(crate) struct WasmEntityGuest {
    /// None only while it is dropped.
    instance: Option<PermittedInstance<EntityInstance>>,
    /// The entity function, as the app spells it.
    name: FunctionName,
    checkpoint: Checkpoint,
    /// Keeps the instance for another turn, if it may be reused.
    keep: Option<Keep>,
}

/// Receives the instance of a guest that is dropped and whose last operation returned.
pub(crate) type Keep = Box<dyn FnOnce(PermittedInstance<EntityInstance>) + Send>;

/// An instance of the component, which any entity of its version can use.
pub(crate) struct EntityInstance {
    pub store: Store<Deterministic>,
    entry: Entry<Deterministic>,
    /// Made by the first operation.
    opened: Option<Opened>,
    /// Whether the last operation returned, be it a failure.
    returned: bool,
    /// The tenant's memory that it holds while it is idle.
    pub memory: Option<IdleMemory>,
}

#[derive(Clone, Copy)]
struct Opened {
    run: RunOperation,
    /// Bytes of memory when it was new.
    memory: usize,
}

impl EntityInstance {
    pub fn new(store: Store<Deterministic>, entry: Entry<Deterministic>) -> Self {
        Self { store, entry, opened: None, returned: false, memory: None }
    }

    async fn call(&mut self, operation: &Operation, name: &FunctionName) -> wasmtime::Result<bindings::OperationReturned> {
        self.begin_anew_if_large()?;
        // Each operation has the fuel of a whole turn, however many run in it.
        fill(&mut self.store.as_context_mut())?;
        let opened = match self.opened {
            Some(opened) => opened,
            None => {
                let run = self.entry.open(&mut self.store).await?;
                *self.opened.insert(Opened { run, memory: self.store.data().memory_used() })
            }
        };
        opened.run.call_async(&mut self.store, (bindings::wit_operation(operation, name),)).await
    }

    /// Replaces an instance whose memory has grown by half of what it may: an operation must not fail because of what earlier
    /// ones, which happened to run in the same turn, have left behind.
    fn begin_anew_if_large(&mut self) -> wasmtime::Result<()> {
        let Some(Opened { memory, .. }) = self.opened else { return Ok(()) };
        let data = self.store.data();
        let may_grow = data.policy.limits.orchestrator_memory_bytes.saturating_sub(memory);
        if data.memory_used() - memory > may_grow / 2 {
            self.store = Deterministic::store(self.store.engine(), data.policy.clone(), data.shared.clone())?;
            self.opened = None;
        }
        Ok(())
    }
}

impl WasmEntityGuest {
    pub fn new(
        instance: PermittedInstance<EntityInstance>,
        name: FunctionName,
        checkpoint: Checkpoint,
        keep: Option<Keep>,
    ) -> Self {
        Self { instance: Some(instance), name, checkpoint, keep }
    }
}

impl Drop for WasmEntityGuest {
    fn drop(&mut self) {
        if let (Some(instance), Some(keep)) = (self.instance.take().filter(|it| it.instance.returned), self.keep.take()) {
            keep(instance);
        }
    }
}

impl EntityGuest for WasmEntityGuest {
    fn run(&mut self, operation: &Operation) -> Result<OperationResult, OperationError> {
        let PermittedInstance { instance, permit } = self.instance.as_mut().expect("it is there until the drop");
        instance.returned = false;
        let policy = instance.store.data().policy.clone();
        let fuel = policy.limits.fuel_per_turn;
        let rest = slices::run(pin!(instance.call(operation, &self.name)), fuel, &self.checkpoint);
        let returned = match rest {
            RunOutcome::Ended(returned) => returned,
            RunOutcome::Waits => Err(wasmtime::Error::msg(MUST_NOT_WAIT)),
            RunOutcome::Stopped => return Err(trap::stopped().into()),
            RunOutcome::Overdue { most } => {
                instance.store.data().shared.spend_all(fuel);
                return Err(trap::overdue(most).into());
            }
        };
        instance.store.data().finish_lines();
        let noted = note_fuel(&mut instance.store.as_context_mut());
        let data = instance.store.data();
        let result = match noted.and(returned) {
            Ok((returned,)) => {
                instance.returned = true;
                bindings::operation_result_of(returned)?
            }
            Err(error) if NoRoom::of(&error).is_some() => {
                return Err(OperationError::NotStarted(NotNow::NoRoom(permit.version())));
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
