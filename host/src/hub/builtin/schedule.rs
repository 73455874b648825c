//! The entity that is a schedule: its key is the schedule's name, its state a [`State`].
//!
//! It wakes itself with a signal that is delivered at a time. What an operation starts, and the next such signal, are in the commit
//! that saves its state, so each occurrence is decided once. Every operation first does what is due.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use dacapo_core::entity::{Operation, OperationResult, OperationScope, SharedOperation};
use dacapo_core::execution::LogLevel;
use dacapo_core::guest::Start;
use dacapo_core::{Failure, FunctionName, InstanceId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{message, trigger};
use crate::hub::hub_core::HubCore;
use crate::schedules::state::STARTS_AT_ONCE;
use crate::schedules::{Overlap, Specification, State, Target, World};

pub const FUNCTION: &str = "BuiltIn::Schedule";

/// The operation that does what is due.
pub const WAKE: &str = "wake";
pub const CREATE: &str = "create";
pub const PAUSE: &str = "pause";
pub const RESUME: &str = "resume";
pub const TRIGGER: &str = "trigger";
pub const BACKFILL: &str = "backfill";
pub const DELETE: &str = "delete";

/// The input of [`CREATE`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    pub specification: Specification,
    pub target: Target,
    pub app: Option<String>,
    pub made_by: Uuid,
    /// Whether one that exists is replaced. Otherwise nothing happens.
    pub replace: bool,
    /// None: as it was.
    pub paused: Option<bool>,
    pub note: Option<String>,
}

/// The input of [`PAUSE`] and [`RESUME`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    pub note: String,
}

/// The input of [`TRIGGER`].
#[derive(Debug, Serialize, Deserialize)]
pub struct TriggerNow {
    /// The nominal time, in microseconds.
    pub at: i64,
    /// None: as the schedule has it.
    pub overlap: Option<Overlap>,
}

/// The input of [`BACKFILL`], in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Range {
    pub from: i64,
    pub to: i64,
    pub overlap: Overlap,
}

/// The instance of a schedule.
pub fn instance(name: &str) -> Option<InstanceId> {
    InstanceId::entity(&FunctionName::new(FUNCTION).expect("it is a name"), name).ok()
}

/// What the ids of the instances of all schedules begin with.
pub fn prefix() -> String {
    format!("@{}@", FUNCTION.to_lowercase())
}

/// The name of a schedule, from the id of its instance.
pub fn name_of(id: &InstanceId) -> Option<&str> {
    let (function, name) = id.as_entity()?;
    function.eq_ignore_ascii_case(FUNCTION).then_some(name)
}

pub fn run(hub: &Weak<HubCore>, operation: &Operation, scope: &SharedOperation) -> Result<OperationResult, Failure> {
    let hub = hub.upgrade().ok_or_else(|| Failure::retriable(Failure::UNAVAILABLE, "the task hub is closed"))?;
    let mut scope = scope.lock().expect("no holder of this lock panics");
    let scope = &mut *scope;
    let now = scope.now;
    let stored: Option<State> = operation.state.as_deref().map(read_state).transpose()?;
    let unchanged = || Ok(OperationResult { output: "null".into(), state: operation.state.clone() });
    let (mut state, mut by_hand) = (stored, None);
    if operation.name == WAKE && state.is_some() && scope.limits.no_room.is_some() {
        // Nothing can be saved. An operation that fails would not be woken again.
        scope.wake(WAKE, Some(State::put_off(now)));
        return unchanged();
    }
    match (operation.name.as_str(), &mut state) {
        (WAKE, Some(_)) => {}
        (CREATE, state) => {
            let create: Create = read(operation)?;
            // What was due before is decided by what it was then.
            let Some(made) = created(&hub, operation, scope, state.take(), create)? else { return unchanged() };
            *state = Some(made);
        }
        (PAUSE, Some(state)) => {
            // First, so that what was due before is run.
            advance(&hub, operation, scope, state, None)?;
            state.pause(read::<Note>(operation)?.note, now);
        }
        (RESUME, Some(state)) => state.resume(read::<Note>(operation)?.note, now),
        (TRIGGER, Some(_)) => {
            let TriggerNow { at, overlap } = read(operation)?;
            by_hand = Some((Timestamp(at), overlap));
        }
        (BACKFILL, Some(state)) => {
            let Range { from, to, overlap } = read(operation)?;
            let added = state.backfill(Timestamp(from), Timestamp(to), overlap, now);
            added.map_err(|why| Failure::permanent(Failure::INVALID_ARGUMENT, why.to_string()))?;
        }
        (DELETE, _) => {
            state = None;
            scope.forget_wakes(WAKE);
        }
        (_, None) => {}
        (other, Some(_)) => {
            let why = format!("a schedule has no operation '{other:.40}'");
            return Err(Failure::permanent(Failure::INVALID_ARGUMENT, why));
        }
    }
    let Some(mut state) = state else { return Ok(OperationResult { output: "null".into(), state: None }) };
    match advance(&hub, operation, scope, &mut state, by_hand)? {
        true => {
            let text = serde_json::to_string(&state).expect("a state can be written as JSON");
            Ok(OperationResult { output: "null".into(), state: Some(text.into()) })
        }
        false => unchanged(),
    }
}

/// Makes or replaces a schedule. None: there is one, which is not to be replaced.
fn created(
    hub: &Arc<HubCore>,
    operation: &Operation,
    scope: &mut OperationScope,
    state: Option<State>,
    create: Create,
) -> Result<Option<State>, Failure> {
    let now = scope.now;
    let Create { specification, target, app, made_by, replace, paused, note } = create;
    let made = match state {
        Some(_) if !replace => return Ok(None),
        Some(mut state) => {
            advance(hub, operation, scope, &mut state, None)?;
            state.replace(specification, target, app, made_by, now);
            state
        }
        None => State::new(specification, target, app, made_by, now),
    };
    let mut made = made;
    match paused {
        Some(true) => made.pause(note.unwrap_or_default(), now),
        Some(false) => made.resume(note.unwrap_or_default(), now),
        None => {}
    }
    Ok(Some(made))
}

/// Does what is due, and has the schedule woken for what follows. Returns false if it must be put off: then nothing has changed.
fn advance(
    hub: &Arc<HubCore>,
    operation: &Operation,
    scope: &mut OperationScope,
    state: &mut State,
    by_hand: Option<(Timestamp, Option<Overlap>)>,
) -> Result<bool, Failure> {
    let before = state.clone();
    let world = InHub { hub, schedule: &scope.entity.clone(), failed: Cell::new(false) };
    let most = room(hub, scope, state);
    let report = match state.advance(&operation.key, scope.now, by_hand, most, &world) {
        Ok(report) => report,
        Err(why) => {
            // It was checked, by a release that knew more.
            scope.log(LogLevel::Error, &format!("the schedule is paused, because this release cannot read it: {why}"));
            state.pause(format!("this release cannot read it: {why}"), scope.now);
            return Ok(true);
        }
    };
    if world.failed.get() {
        *state = before;
        scope.wake(WAKE, Some(State::put_off(scope.now)));
        return Ok(false);
    }
    for id in report.terminate {
        scope.terminate(id, &format!("the schedule '{}' has started its next instance", operation.key));
    }
    let plan = state.specification.plan().map_err(|why| Failure::permanent(Failure::HOST_FAILED, why.to_string()))?;
    for start in report.starts {
        let (name, input) = match &state.target {
            Target::Orchestrator => (plan.orchestrator.clone(), start.input),
            Target::Timer { function, .. } => {
                let call = trigger::Input::Named { function: function.clone(), input: start.input.to_string(), attempt: 1 };
                let call = serde_json::to_string(&call).expect("a call can be written as JSON");
                (FunctionName::new(message::CALL_FUNCTION).expect("it is a name"), call.into())
            }
        };
        let start = Start { name, input, instance: Some(start.id), version: plan.version.clone(), start_at: None };
        // A stopped operation has failed, whatever it returns.
        let _ = scope.start(start);
    }
    if let Some(wake) = report.wake {
        scope.wake(WAKE, Some(wake).filter(|wake| *wake > scope.now));
    }
    Ok(true)
}

/// How many instances the limits of the task hub allow to start now.
fn room(hub: &HubCore, scope: &OperationScope, state: &State) -> usize {
    /// What a start has beside its input; more than the input of a timer trigger.
    const BYTES_OF_A_START: usize = 1_000;
    if hub.check_storage().is_err() || hub.check_birth().is_err() {
        return 0;
    }
    let limits = &scope.limits;
    let input = state.specification.input.as_ref().map_or(0, |input| input.0.get().len()).max(BYTES_OF_A_START);
    if input > limits.payload_bytes {
        return 0;
    }
    STARTS_AT_ONCE.min(limits.actions_per_turn).min(limits.action_bytes_per_turn / input)
}

struct InHub<'a> {
    hub: &'a HubCore,
    schedule: &'a InstanceId,
    /// Whether something could not be read.
    failed: Cell<bool>,
}

impl World for InHub<'_> {
    fn is_running(&self, id: &InstanceId) -> bool {
        match self.hub.store.instance(id) {
            Ok(record) => record.is_some_and(|record| !record.status.is_terminal()),
            Err(_) => {
                self.failed.set(true);
                true
            }
        }
    }

    fn exists(&self, id: &InstanceId) -> bool {
        match self.hub.store.instance(id) {
            Ok(record) => record.is_some(),
            Err(_) => {
                self.failed.set(true);
                true
            }
        }
    }

    fn watch(&self, id: &InstanceId) {
        self.hub.schedules.watch(id.clone(), self.schedule.clone());
    }
}

fn read<T: DeserializeOwned>(operation: &Operation) -> Result<T, Failure> {
    serde_json::from_str(&operation.input)
        .map_err(|why| Failure::permanent(Failure::INVALID_ARGUMENT, format!("the input of '{}': {why}", operation.name)))
}

fn read_state(text: &str) -> Result<State, Failure> {
    serde_json::from_str(text)
        .map_err(|why| Failure::permanent(Failure::HOST_FAILED, format!("the state of the schedule cannot be read: {why}")))
}
