//! Entities: the context of an operation, and how an operation is run.

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::DetachedStart;
use crate::entity_call::Signal;
use crate::entity_id::EntityId;
use crate::executor::Run;
use crate::failure::{Failure, Result};
use crate::function::{Orchestrator, to_json};
use crate::host::Host;
use crate::level::{Level, log_shorthands};
use crate::random::{Random, RandomRange};
use crate::timestamp::Timestamp;

/// The dispatch of an entity's operations, which `#[entity]` implements.
pub trait DispatchOperation {
    /// The name of the entity.
    const NAME: &'static str;
    /// The type of the entity's state.
    type State: Serialize + DeserializeOwned + Default;
    /// Finds the operation and runs it. Returns its output.
    fn dispatch(state: &mut Self::State, context: &EntityContext) -> Result<String>;
}

/// One operation, as the host passes it.
pub struct OperationCall {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) operation: String,
    pub(crate) input: String,
    pub(crate) state: Option<String>,
}

/// The result of an operation that succeeded.
#[derive(Debug, PartialEq)]
pub struct OperationOutcome {
    pub(crate) output: String,
    pub(crate) state: Option<String>,
}

pub(crate) fn run<E: DispatchOperation>(host: Box<dyn Host>, call: OperationCall) -> Result<OperationOutcome> {
    let OperationCall { name, key, operation, input, state } = call;
    let unreadable = |what: &str, error: serde_json::Error| {
        Failure::new("InvalidState", format!("`{}` cannot {what} its state: {error}", E::NAME)).not_retriable()
    };
    let mut value = match &state {
        Some(json) => serde_json::from_str(json).map_err(|error| unreadable("read", error))?,
        None => E::State::default(),
    };
    let context = EntityContext {
        run: Rc::new(Run::new(host)),
        id: EntityId::new(&name, key),
        operation,
        input,
        deleted: Cell::new(false),
    };
    let output = E::dispatch(&mut value, &context)?;
    let state = match context.deleted.get() {
        true => None,
        false => Some(serde_json::to_string(&value).map_err(|error| unreadable("write", error))?),
    };
    Ok(OperationOutcome { output, state })
}

/// The context of an operation of an entity. An operation that needs it takes a reference to it as its first parameter
/// after `self`.
///
/// An operation never waits. The messages that it sends (signals, starts, events) are sent after it has succeeded; one that
/// fails changes nothing and sends nothing.
///
/// ```
/// use dacapo_sdk::EntityId;
/// use dacapo_sdk::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Stock {
///     pieces: u32,
/// }
///
/// #[entity]
/// impl Stock {
///     fn take(&mut self, ctx: &EntityContext, pieces: u32) -> Result<u32> {
///         let Some(left) = self.pieces.checked_sub(pieces) else {
///             return Err(Failure::new("OutOfStock", format!("{} of {} are left", self.pieces, ctx.key())));
///         };
///         if left < 10 {
///             ctx.signal_entity(&EntityId::new("Purchasing", ""), "order", &ctx.key())?;
///         }
///         self.pieces = left;
///         Ok(left)
///     }
/// }
/// ```
pub struct EntityContext {
    run: Rc<Run>,
    id: EntityId,
    operation: String,
    input: String,
    deleted: Cell<bool>,
}

/// The entity and its operation.
impl EntityContext {
    /// The id of the entity.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// ctx.log_info(format!("this is {}", ctx.entity_id()));
    /// # }
    /// ```
    pub fn entity_id(&self) -> &EntityId {
        &self.id
    }

    /// The key of the entity.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let customer = ctx.key();
    /// # }
    /// ```
    pub fn key(&self) -> &str {
        self.id.key()
    }

    /// The name of the operation, as the caller spelled it. Mostly for an entity that is a function.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let operation = ctx.operation_name();
    /// # }
    /// ```
    pub fn operation_name(&self) -> &str {
        &self.operation
    }

    /// The input of the operation, for an entity that is a function. Fails with `InvalidInput` if it is of another type.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) -> dacapo_sdk::Result<()> {
    /// let amount: i64 = ctx.input()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn input<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.input).map_err(|error| {
            let message = format!("the operation `{}` of {} cannot read its input: {error}", self.operation, self.id);
            Failure::new("InvalidInput", message).not_retriable()
        })
    }

    /// The input as JSON.
    #[doc(hidden)]
    pub fn input_json(&self) -> &str {
        &self.input
    }

    /// Makes the failure `OperationNotFound`, for an operation that the entity does not have.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) -> dacapo_sdk::Result<i64> {
    /// match ctx.operation_name() {
    ///     "get" => Ok(7),
    ///     _ => Err(ctx.operation_not_found()),
    /// }
    /// # }
    /// ```
    pub fn operation_not_found(&self) -> Failure {
        let message = format!("the entity `{}` has no operation `{}`", self.id.name(), self.operation);
        Failure::new("OperationNotFound", message).not_retriable()
    }

    /// Deletes the state after the operation has succeeded, as if the entity had never existed. If an entity that is an
    /// `impl` block has no method `delete`, it has an operation of that name, which calls this.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// ctx.delete_on_exit();
    /// # }
    /// ```
    pub fn delete_on_exit(&self) {
        self.deleted.set(true);
    }
}

/// Messages.
impl EntityContext {
    /// Sends a one-way operation to an entity, this one included. Fails only if the input cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{EntityContext, EntityId, Result};
    /// # fn example(ctx: &EntityContext) -> Result<()> {
    /// ctx.signal_entity(&EntityId::new("Counter", "clicks"), "add", &1)
    /// # }
    /// ```
    pub fn signal_entity(&self, entity: &EntityId, operation: &str, input: &impl Serialize) -> Result<()> {
        self.signal(entity, operation, input, None)
    }

    /// Sends a one-way operation that does not run before `at`: a reminder, if it is sent to the entity itself.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use dacapo_sdk::{EntityContext, Result};
    /// # fn example(ctx: &EntityContext) -> Result<()> {
    /// let tomorrow = ctx.current_utc_date_time() + Duration::from_secs(24 * 3600);
    /// ctx.signal_entity_at(ctx.entity_id(), "report", &(), tomorrow)
    /// # }
    /// ```
    pub fn signal_entity_at(&self, entity: &EntityId, operation: &str, input: &impl Serialize, at: Timestamp) -> Result<()> {
        self.signal(entity, operation, input, Some(at))
    }

    fn signal(&self, entity: &EntityId, operation: &str, input: &impl Serialize, at: Option<Timestamp>) -> Result<()> {
        self.run.host.perform(&Signal::new(entity, operation, to_json(input)?, at));
        Ok(())
    }

    /// Starts an orchestration.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn restock(ctx: Context, article: String) -> Result<()> { Ok(()) }
    /// # fn example(ctx: &EntityContext) -> Result<()> {
    /// let instance_id = ctx.start_orchestration::<restock>("lamp".to_owned()).start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration<O: Orchestrator>(&self, input: O::Input) -> DetachedStart
    where
        O::Input: Serialize,
    {
        self.start_orchestration_named(O::NAME, &input)
    }

    /// Starts an orchestration by name.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{EntityContext, Result};
    /// # fn example(ctx: &EntityContext) -> Result<()> {
    /// ctx.start_orchestration_named("Restock", &"lamp").instance_id("restock-lamp").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration_named(&self, name: &str, input: &impl Serialize) -> DetachedStart {
        DetachedStart::new(self.run.clone(), name, input)
    }

    /// Raises an external event for an orchestration. If that does not exist, the event is dropped. Fails only if the data
    /// cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{EntityContext, Result};
    /// # fn example(ctx: &EntityContext) -> Result<()> {
    /// ctx.send_event("order-17", "InStock", &12)
    /// # }
    /// ```
    pub fn send_event(&self, instance_id: &str, name: &str, data: &impl Serialize) -> Result<()> {
        self.run.host.send_event(instance_id, name, &to_json(data)?);
        Ok(())
    }
}

/// Time and randomness.
impl EntityContext {
    /// The current time in UTC. It does not advance while the operation runs.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{EntityContext, Timestamp};
    /// # fn example(ctx: &EntityContext) {
    /// let now: Timestamp = ctx.current_utc_date_time();
    /// # }
    /// ```
    pub fn current_utc_date_time(&self) -> Timestamp {
        self.run.host.current_time()
    }

    /// Makes a new unique id (a UUID of version 5).
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let booking_id: String = ctx.new_guid();
    /// # }
    /// ```
    pub fn new_guid(&self) -> String {
        self.run.host.new_guid()
    }

    /// Draws a random number: integers over their whole range, `f32` and `f64` from 0 to 1, exclusive. Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let heads: bool = ctx.random();
    /// # }
    /// ```
    pub fn random<T: Random>(&self) -> T {
        T::random(&mut |buffer| self.run.fill(buffer))
    }

    /// Draws a random number from a range. An empty range panics. Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let dice = ctx.random_range(1..=6);
    /// # }
    /// ```
    pub fn random_range<T>(&self, range: impl RandomRange<T>) -> T {
        range.random(&mut |buffer| self.run.fill(buffer))
    }

    /// Draws random bytes. Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: &dacapo_sdk::EntityContext) {
    /// let salt: Vec<u8> = ctx.random_bytes(16);
    /// # }
    /// ```
    pub fn random_bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.run.fill(&mut bytes);
        bytes
    }
}

/// Log lines.
impl EntityContext {
    /// Logs a line.
    ///
    /// ```no_run
    /// # use dacapo_sdk::{EntityContext, Level};
    /// # fn example(ctx: &EntityContext) {
    /// ctx.log(Level::Info, format_args!("{} pieces left", 17));
    /// # }
    /// ```
    pub fn log(&self, level: Level, message: impl Display) {
        self.run.host.log(level, &message.to_string());
    }

    log_shorthands! {
        log_trace Trace r#""looking it up""#
        log_debug Debug r#"format!("{} pieces left", 3)"#
        log_info Info r#""the order is booked""#
        log_warn Warn r#""the stock is low""#
        log_error Error r#""the stock is negative""#
    }
}
