//! The runtime part of `app!` and of the attribute macros: finds the functions of an app by name, and runs them.

use std::future::Future;
use std::panic::PanicHookInfo;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context as PollContext, Poll, Waker};

use crate::activity::ActivityContext;
use crate::bindings;
use crate::context::{Context, continued_as_new};
use crate::entity::{self, DispatchOperation, OperationCall, OperationOutcome};
use crate::executor::{self, Run};
use crate::failure::{Failure, Result};
use crate::host::Host;
use crate::level::Level;
use crate::trigger::TriggerContext;

/// One function of an app.
pub struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Orchestrator(fn(Context, String) -> Outcome),
    Activity(fn(ActivityContext, String) -> Outcome),
    /// All code for entities is reached through this pointer, so that an app without entities does not link it.
    Entity(RunOperation),
    /// The same holds for triggers.
    Trigger {
        bindings: fn() -> String,
        run: fn(TriggerContext, String) -> Outcome,
    },
}

/// Runs one operation of an entity.
pub(crate) type RunOperation = fn(Box<dyn Host>, OperationCall) -> Result<OperationOutcome>;

/// The future of a running function. Its output is JSON.
pub type Outcome = Pin<Box<dyn Future<Output = Result<String>>>>;

impl Entry {
    /// The entry of an `#[orchestrator]`.
    pub const fn orchestrator(name: &'static str, run: fn(Context, String) -> Outcome) -> Self {
        Self { name, kind: Kind::Orchestrator(run) }
    }

    /// The entry of an `#[entity]`.
    pub const fn entity<E: DispatchOperation>() -> Self {
        Self { name: E::NAME, kind: Kind::Entity(entity::run::<E>) }
    }

    /// The entry of an `#[activity]`.
    pub const fn activity(name: &'static str, run: fn(ActivityContext, String) -> Outcome) -> Self {
        Self { name, kind: Kind::Activity(run) }
    }

    /// The entry of a trigger. Its bindings are JSON.
    pub const fn trigger(name: &'static str, bindings: fn() -> String, run: fn(TriggerContext, String) -> Outcome) -> Self {
        Self { name, kind: Kind::Trigger { bindings, run } }
    }
}

/// A type that an attribute macro has generated, for `app!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of an app",
    note = "`app!` takes functions with the attribute `#[orchestrator]`, `#[activity]` or that of a trigger, such as \
            `#[http_trigger]`, and entities with `#[entity]`"
)]
pub trait Registered {
    /// The name of the function, and how to run it.
    fn entry() -> Entry;
}

pub(crate) fn run_orchestrator(entries: &[Entry], host: Box<dyn Host>, name: &str, input: String) -> Result<String> {
    report_panics();
    let orchestrator = entries.iter().find_map(|entry| match entry.kind {
        Kind::Orchestrator(run) if entry.name == name => Some(run),
        Kind::Orchestrator(_) | Kind::Activity(_) | Kind::Entity(_) | Kind::Trigger { .. } => None,
    });
    let orchestrator = orchestrator.ok_or_else(|| not_found("OrchestratorNotFound", "orchestrator", name))?;
    let run = Rc::new(Run::new(host));
    match run.block_on(orchestrator(Context::new(run.clone()), input)) {
        // `Context::continue_as_new` returns this failure, so that it fits every output type; for the host it is no failure.
        // The flag is checked too, because an activity may fail with the same type.
        Err(failure) if run.continues_as_new.get() && failure == continued_as_new() => Ok("null".to_owned()),
        outcome => outcome,
    }
}

pub(crate) fn run_activity(entries: &[Entry], context: ActivityContext, input: String) -> Result<String> {
    report_panics();
    let activity = entries.iter().find_map(|entry| match entry.kind {
        Kind::Activity(run) if entry.name == context.name() => Some(run),
        Kind::Activity(_) | Kind::Orchestrator(_) | Kind::Entity(_) | Kind::Trigger { .. } => None,
    });
    let activity = activity.ok_or_else(|| not_found("ActivityNotFound", "activity", context.name()))?;
    poll_to_end(activity(context, input))
}

pub(crate) fn run_entity_operation(entries: &[Entry], host: Box<dyn Host>, call: OperationCall) -> Result<OperationOutcome> {
    report_panics();
    let entity = entries.iter().find_map(|entry| match entry.kind {
        Kind::Entity(run) if entry.name == call.name => Some(run),
        Kind::Entity(_) | Kind::Orchestrator(_) | Kind::Activity(_) | Kind::Trigger { .. } => None,
    });
    match entity {
        Some(run) => run(host, call),
        None => Err(not_found("EntityNotFound", "entity", &call.name)),
    }
}

/// Runs one call of a trigger. Like an activity, it gets what it needs of the host from its context.
pub(crate) fn run_trigger(entries: &[Entry], context: TriggerContext, input: String) -> Result<String> {
    report_panics();
    let trigger = entries.iter().find_map(|entry| match entry.kind {
        Kind::Trigger { run, .. } if entry.name == context.name() => Some(run),
        Kind::Trigger { .. } | Kind::Orchestrator(_) | Kind::Activity(_) | Kind::Entity(_) => None,
    });
    let trigger = trigger.ok_or_else(|| not_found("TriggerNotFound", "trigger", context.name()))?;
    poll_to_end(trigger(context, input))
}

/// Polls an activity or trigger once. It may be `async`, for `async` libraries, but nothing could wake it.
fn poll_to_end(function: Outcome) -> Result<String> {
    match pin!(function).poll(&mut PollContext::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(executor::nothing_to_wait_for("an activity or a trigger can await only what is ready at once")),
    }
}

fn not_found(error_type: &str, kind: &str, name: &str) -> Failure {
    Failure::new(error_type, format!("this app has no {kind} `{name}`")).not_retriable()
}

/// Logs panics. On wasm a panic ends in a trap, which has no message. The host makes the failure from the line that is logged
/// here: the last error before the trap, which begins with `panicked at `.
fn report_panics() {
    static ONCE: Once = Once::new();
    if cfg!(target_family = "wasm") {
        ONCE.call_once(|| std::panic::set_hook(Box::new(report_panic)));
    }
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a value that is not a text");
    let line = match panic.location() {
        Some(location) => format!("panicked at {location}: {message}"),
        None => format!("panicked at an unknown place: {message}"),
    };
    bindings::log(Level::Error, &line);
}
