//! What `app!` and the attribute macros are made of: the functions of an app, found by name and run.

use std::future::Future;
use std::panic::PanicHookInfo;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context as PollContext, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entity::{DispatchOperation, OperationCall, OperationOutcome};
use crate::executor::{self, Run};
use crate::host::Host;
use crate::{ActivityContext, Context, Failure, Level, Result, entity};

/// An orchestrator, as the type that `#[orchestrator]` makes.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::Orchestrator;
///
/// #[orchestrator(name = "Nap")]
/// async fn nap(ctx: Context, seconds: u64) -> Result<()> {
///     ctx.create_timer(Duration::from_secs(seconds)).await
/// }
///
/// assert_eq!(nap::NAME, "Nap");
/// ```
pub trait Orchestrator {
    /// What it takes; `()` if it takes nothing. Whoever calls it by this type needs it to be `Serialize` as well.
    type Input;
    /// What it gives when it succeeds. Whoever calls it by this type needs it to be `DeserializeOwned` as well.
    type Output;
    /// Its name in the task hub.
    const NAME: &'static str;
}

/// An activity, as the type that `#[activity]` makes.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::Activity;
///
/// #[activity]
/// fn double(number: u64) -> u64 {
///     2 * number
/// }
///
/// assert_eq!(double::NAME, "double"); // the type
/// assert_eq!(double(4), 8); // the function
/// ```
pub trait Activity {
    /// What it takes; `()` if it takes nothing. Whoever calls it by this type needs it to be `Serialize` as well.
    type Input;
    /// What it gives when it succeeds. Whoever calls it by this type needs it to be `DeserializeOwned` as well.
    type Output;
    /// Its name in the task hub.
    const NAME: &'static str;
}

/// One function of an app.
pub struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Orchestrator(fn(Context, String) -> Outcome),
    Activity(fn(ActivityContext, String) -> Outcome),
    /// All that an entity needs lies behind the pointer, so that an app without entities carries nothing of it.
    Entity(RunOperation),
}

/// Runs one operation of an entity.
pub(crate) type RunOperation = fn(Box<dyn Host>, OperationCall) -> Result<OperationOutcome>;

/// A function at work; it ends with JSON.
pub type Outcome = Pin<Box<dyn Future<Output = Result<String>>>>;

impl Entry {
    /// What `#[orchestrator]` makes.
    pub const fn orchestrator(name: &'static str, run: fn(Context, String) -> Outcome) -> Self {
        Self { name, kind: Kind::Orchestrator(run) }
    }

    /// What `#[entity]` makes.
    pub const fn entity<E: DispatchOperation>() -> Self {
        Self { name: E::NAME, kind: Kind::Entity(entity::run::<E>) }
    }

    /// What `#[activity]` makes.
    pub const fn activity(name: &'static str, run: fn(ActivityContext, String) -> Outcome) -> Self {
        Self { name, kind: Kind::Activity(run) }
    }
}

/// A type that an attribute macro made, and that `app!` takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a durable function",
    note = "`app!` takes functions with the attribute `#[orchestrator]` or `#[activity]`, and entities with `#[entity]`"
)]
pub trait Registered {
    /// Its name and how it is run.
    fn entry() -> Entry;
}

/// What a function that ends in `Result` may return.
pub trait Fallible {
    /// What it gives when it succeeds.
    type Output;
    /// The same with the failure that callers see.
    fn into_result(self) -> Result<Self::Output>;
}

impl<T, E: Into<Failure>> Fallible for std::result::Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T> {
        self.map_err(Into::into)
    }
}

/// The input of a function, from JSON.
pub fn decode_input<T: DeserializeOwned>(function: &str, json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|error| Failure::new("InvalidInput", format!("`{function}` cannot read its input: {error}")).not_retriable())
}

/// The output of a function, to JSON.
pub fn encode_output<T: Serialize>(function: &str, output: &T) -> Result<String> {
    serde_json::to_string(output)
        .map_err(|error| Failure::new("InvalidOutput", format!("`{function}` cannot write its output: {error}")).not_retriable())
}

pub(crate) fn run_orchestrator(entries: &[Entry], host: Box<dyn Host>, name: &str, input: String) -> Result<String> {
    report_panics();
    let orchestrator = entries.iter().find_map(|entry| match entry.kind {
        Kind::Orchestrator(run) if entry.name == name => Some(run),
        Kind::Orchestrator(_) | Kind::Activity(_) | Kind::Entity(_) => None,
    });
    let orchestrator = orchestrator.ok_or_else(|| not_found("OrchestratorNotFound", "orchestrator", name))?;
    let run = Rc::new(Run::new(host));
    match run.block_on(orchestrator(Context::new(run.clone()), input)) {
        // What `Context::continue_as_new` gives so that it fits every output: no failure, the host knows better. An activity
        // may fail with the same type.
        Err(failure) if run.continues_as_new.get() && failure == continued_as_new() => Ok("null".to_owned()),
        outcome => outcome,
    }
}

/// What [`crate::Context::continue_as_new`] gives.
pub(crate) fn continued_as_new() -> Failure {
    Failure::new("ContinuedAsNew", "the orchestration continues as new").not_retriable()
}

pub(crate) fn run_activity(entries: &[Entry], context: ActivityContext, input: String) -> Result<String> {
    report_panics();
    let activity = entries.iter().find_map(|entry| match entry.kind {
        Kind::Activity(run) if entry.name == context.name() => Some(run),
        Kind::Activity(_) | Kind::Orchestrator(_) | Kind::Entity(_) => None,
    });
    let activity = activity.ok_or_else(|| not_found("ActivityNotFound", "activity", context.name()))?;
    poll_to_end(activity(context, input))
}

pub(crate) fn run_entity_operation(entries: &[Entry], host: Box<dyn Host>, call: OperationCall) -> Result<OperationOutcome> {
    report_panics();
    let entity = entries.iter().find_map(|entry| match entry.kind {
        Kind::Entity(run) if entry.name == call.name => Some(run),
        Kind::Entity(_) | Kind::Orchestrator(_) | Kind::Activity(_) => None,
    });
    match entity {
        Some(run) => run(host, call),
        None => Err(not_found("EntityNotFound", "entity", &call.name)),
    }
}

/// An activity may be `async`, for the sake of libraries that are; it has nothing to wait for.
fn poll_to_end(activity: Outcome) -> Result<String> {
    match pin!(activity).poll(&mut PollContext::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(executor::nothing_to_wait_for("an activity can await only what is ready at once")),
    }
}

fn not_found(error_type: &str, kind: &str, name: &str) -> Failure {
    Failure::new(error_type, format!("this app has no {kind} `{name}`")).not_retriable()
}

/// On wasm a panic ends in a trap, which carries no text. The host makes the failure from the line that is logged here:
/// an error that begins with `panicked at `, directly before a trap.
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
    crate::bindings::log(Level::Error, &line);
}
