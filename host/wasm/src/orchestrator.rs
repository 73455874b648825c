//! A guest that runs an orchestrator.
//!
//! It is a future that owns its store. Blocking in `wait` is a pending future: the fiber stays where it is until the
//! next turn polls again. No executor is involved: [`Guest::resume`] polls, once for each slice of its time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dacapo_core::execution::TaskOutcome;
use dacapo_core::{Failure, Guest, Step};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{AsContextMut as _, Store};

use crate::bindings;
use crate::config::{BetweenSlices, Policy};
use crate::deterministic::{Deterministic, Shared, note_fuel};
use crate::prepared::Entry;
use crate::slices::{self, Rest};
use crate::trouble;

/// Runs an orchestrator from its beginning to its end.
async fn run(mut store: Store<Deterministic>, entry: Entry<Deterministic>, name: String) -> TaskOutcome {
    let begun = store.data().shared.execution("run-orchestrator").map(|e| (e.context().input.clone(), e.turn()));
    let (input, turn) = begun.map_err(|why| store.data().failure(&why))?;
    store.data_mut().begins_in(turn);
    let returned = entry.call::<(&str, &str), bindings::Returned>(&mut store, (&name, &input)).await;
    store.data().finish_lines();
    note_fuel(&mut store.as_context_mut()).map_err(|why| store.data().failure(&why))?;
    match returned {
        Ok((outcome,)) => bindings::outcome_of(outcome),
        Err(error) => Err(store.data().failure(&error)),
    }
}

/// A suspended (or not yet begun) orchestrator.
pub(crate) struct OrchestratorGuest {
    /// None once it has ended. Dropped before the seat: the pool's slot is free before another may take it.
    future: Option<Pin<Box<dyn Future<Output = TaskOutcome> + Send>>>,
    shared: Arc<Shared>,
    policy: Arc<Policy>,
    between: BetweenSlices,
    _seat: OwnedSemaphorePermit,
}

impl OrchestratorGuest {
    /// `name` is the orchestrator's, as the app spells it.
    pub fn new(
        store: Store<Deterministic>,
        entry: Entry<Deterministic>,
        name: String,
        between: BetweenSlices,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        let (shared, policy) = (store.data().shared.clone(), store.data().policy.clone());
        Self { future: Some(Box::pin(run(store, entry, name))), shared, policy, between, _seat: seat }
    }

    fn end(&mut self, outcome: TaskOutcome) -> Step {
        self.future = None;
        Step::Ended(outcome)
    }
}

impl Guest for OrchestratorGuest {
    fn resume(&mut self) -> Step {
        let Some(future) = &mut self.future else {
            return Step::Ended(Err(Failure::permanent(Failure::TRAP, "it was resumed after it had ended")));
        };
        self.shared.begin_resume();
        match slices::run(future.as_mut(), &self.policy.limits, &self.between) {
            Rest::Ended(outcome) => self.end(outcome),
            Rest::Overdue { most } => {
                self.shared.spend_all(&self.policy.limits);
                self.end(Err(trouble::overdue(most)))
            }
            Rest::Waits if self.shared.waits_durably() => Step::Waiting,
            Rest::Waits => {
                let message =
                    "it waits on something that is not durable: an orchestrator can wait on tasks and sleep, nothing else";
                self.end(Err(Failure::permanent(Failure::TRAP, message)))
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        self.shared.memory_bytes()
    }
}
