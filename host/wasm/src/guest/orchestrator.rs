//! A guest that runs an orchestrator.
//!
//! It is a future that owns its store. Blocking in `wait` is a pending future: the fiber stays where it is until the
//! next turn polls again. No executor is involved: [`Guest::resume`] polls, once for each slice of its time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dacapo_core::execution::TaskOutcome;
use dacapo_core::{Failure, Guest, NotNow, Step};
use wasmtime::{AsContextMut as _, Store};

use crate::config::{Checkpoint, Policy};
use crate::engine::slices::{self, RunOutcome};
use crate::guest::bindings;
use crate::guest::deterministic::{Deterministic, Shared, begin_turn, note_fuel};
use crate::guest::guest_permit::GuestPermit;
use crate::guest::prepared::Entry;
use crate::guest::trap::{self, NoRoom};

/// Runs an orchestrator from its beginning to its end.
async fn run(mut store: Store<Deterministic>, entry: Entry<Deterministic>, name: String) -> Result<TaskOutcome, NoRoom> {
    let input = store.data().shared.execution("run-orchestrator").map(|e| e.context().input.clone());
    let begun = begin_turn(&mut store.as_context_mut());
    let input = match begun.and(input) {
        Ok(input) => input,
        Err(why) => return Ok(Err(store.data().failure(&why))),
    };
    let returned = entry.call::<(&str, &str), bindings::Returned>(&mut store, (&name, &input)).await;
    store.data().finish_lines();
    let noted = note_fuel(&mut store.as_context_mut());
    match noted.and(returned) {
        Ok((outcome,)) => Ok(bindings::outcome_of(outcome)),
        Err(error) => match NoRoom::of(&error) {
            Some(no_room) => Err(no_room),
            None => Ok(Err(store.data().failure(&error))),
        },
    }
}

type Running = Pin<Box<dyn Future<Output = Result<TaskOutcome, NoRoom>> + Send>>;

/// A suspended (or not yet begun) orchestrator.
pub(crate) struct OrchestratorGuest {
    /// None once it has ended. Dropped before the permit: the pool's slot is free before another may take it.
    future: Option<Running>,
    shared: Arc<Shared>,
    policy: Arc<Policy>,
    checkpoint: Checkpoint,
    permit: GuestPermit,
}

impl OrchestratorGuest {
    /// `name` is the orchestrator's, as the app spells it.
    pub fn new(
        store: Store<Deterministic>,
        entry: Entry<Deterministic>,
        name: String,
        checkpoint: Checkpoint,
        permit: GuestPermit,
    ) -> Self {
        let (shared, policy) = (store.data().shared.clone(), store.data().policy.clone());
        Self { future: Some(Box::pin(run(store, entry, name))), shared, policy, checkpoint, permit }
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
        self.permit.make_busy();
        self.shared.begin_resume();
        let fuel = self.shared.recorded_fuel().unwrap_or(self.policy.limits.fuel_per_turn);
        let most = fuel.saturating_mul(self.shared.fuel_factor());
        match slices::run(future.as_mut(), most, &self.checkpoint) {
            RunOutcome::Ended(Ok(outcome)) => self.end(outcome),
            RunOutcome::Ended(Err(NoRoom)) => {
                self.future = None;
                Step::NotStarted(NotNow::NoRoom(self.permit.version()))
            }
            RunOutcome::Overdue { most } => {
                self.shared.spend_all(fuel);
                self.end(Err(trap::overdue(most)))
            }
            RunOutcome::Stopped => self.end(Err(trap::stopped())),
            RunOutcome::Waits if self.shared.waits_durably() => {
                self.permit.make_idle();
                Step::Waiting
            }
            RunOutcome::Waits => {
                let message =
                    "it waits on something that is not durable: an orchestrator can wait on tasks and sleep, nothing else";
                self.end(Err(Failure::permanent(Failure::TRAP, message)))
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        self.shared.memory_bytes()
    }

    fn slots(&self) -> usize {
        self.permit.slots()
    }
}
