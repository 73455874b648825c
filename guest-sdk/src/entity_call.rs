//! Calls, signals and locks of entities.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll, ready};

use futures_core::FusedFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(not(target_family = "wasm"))]
use crate::action::{Action, value};
use crate::bindings::{self, Handle};
use crate::context::Context;
use crate::entity_id::EntityId;
use crate::executor::Run;
use crate::failure::Result;
use crate::function::to_json;
use crate::host::{Perform, Schedule, Work};
use crate::task::Task;
use crate::timestamp::Timestamp;

/// An entity. Implemented by `#[entity]`.
///
/// ```
/// use dacapo_sdk::Entity;
/// use dacapo_sdk::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter(i64);
///
/// #[entity(name = "Tally")]
/// impl Counter {
///     fn add(&mut self, amount: i64) -> i64 {
///         self.0 += amount;
///         self.0
///     }
/// }
///
/// assert_eq!(Counter::NAME, "Tally");
/// ```
pub trait Entity {
    /// Its name in the task hub.
    const NAME: &'static str;
    /// The proxy with which orchestrators call its operations. See [`Context::entity`](crate::Context::entity).
    type Proxy: From<EntityProxy>;
}

impl EntityId {
    /// Makes the id of an entity of this crate.
    ///
    /// ```
    /// use dacapo_sdk::EntityId;
    /// use dacapo_sdk::prelude::*;
    ///
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Counter(i64);
    ///
    /// #[entity]
    /// impl Counter {
    ///     fn get(&self) -> i64 {
    ///         self.0
    ///     }
    /// }
    ///
    /// assert_eq!(EntityId::of::<Counter>("a").to_string(), "@counter@a");
    /// ```
    pub fn of<E: Entity>(key: impl Into<String>) -> Self {
        Self::new(E::NAME, key)
    }
}

/// Entities.
impl Context {
    /// Returns a proxy of an entity of this crate, with its operations as methods.
    ///
    /// ```no_run
    /// use dacapo_sdk::prelude::*;
    ///
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Counter(i64);
    ///
    /// #[entity]
    /// impl Counter {
    ///     fn add(&mut self, amount: i64) -> i64 {
    ///         self.0 += amount;
    ///         self.0
    ///     }
    /// }
    ///
    /// #[orchestrator]
    /// async fn count(ctx: Context) -> Result<i64> {
    ///     let clicks = ctx.entity::<Counter>("clicks");
    ///     clicks.add(1).signal()?; // one way
    ///     clicks.add(2).await // waits for the result
    /// }
    /// ```
    pub fn entity<E: Entity>(&self, key: impl Into<String>) -> E::Proxy {
        self.entity_named(EntityId::of::<E>(key)).into()
    }

    /// Returns a proxy of an entity by its id, for example one of another app in the task hub, written in any language.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let clicks = ctx.entity_named(EntityId::new("Counter", "clicks"));
    /// let count: i64 = clicks.call("add", &2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn entity_named(&self, id: EntityId) -> EntityProxy {
        EntityProxy { run: self.run.clone(), id }
    }

    /// Calls an operation of an entity and waits for its result. The entity is created if it does not exist. Lazy: see
    /// [`Task`].
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let count: i64 = ctx.call_entity(&EntityId::new("Counter", "clicks"), "add", &2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_entity<T: DeserializeOwned>(&self, entity: &EntityId, operation: &str, input: &impl Serialize) -> EntityCall<T> {
        EntityCall::new(self.run.clone(), entity, operation, input)
    }

    /// Sends a one-way operation to an entity, without a result. Fails only if the input cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.signal_entity(&EntityId::new("Counter", "clicks"), "add", &2)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal_entity(&self, entity: &EntityId, operation: &str, input: &impl Serialize) -> Result<()> {
        self.run.host.perform(&Signal::new(entity, operation, to_json(input)?, None));
        Ok(())
    }

    /// Sends a one-way operation that does not run before `at`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let tomorrow = ctx.current_utc_date_time() + Duration::from_secs(24 * 3600);
    /// ctx.signal_entity_at(&EntityId::new("Counter", "clicks"), "reset", &(), tomorrow)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal_entity_at(&self, entity: &EntityId, operation: &str, input: &impl Serialize, at: Timestamp) -> Result<()> {
        self.run.host.perform(&Signal::new(entity, operation, to_json(input)?, Some(at)));
        Ok(())
    }

    /// Locks entities: until the lock is released or dropped, only operations of this orchestration reach them. This is a
    /// critical section. Within it, an orchestration must not call sub-orchestrations, request another lock, call entities
    /// that are not locked, call a locked entity twice at the same time, or signal a locked entity.
    ///
    /// A request that is dropped while it waits, because it lost a race, is not withdrawn: when the lock is granted, it is
    /// released at once. Until then no other lock may be requested.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let (from, to) = (EntityId::new("Account", "ada"), EntityId::new("Account", "grace"));
    /// let lock = ctx.lock([&from, &to]).await?;
    /// ctx.call_entity::<()>(&from, "withdraw", &100).await?;
    /// ctx.call_entity::<()>(&to, "deposit", &100).await?;
    /// lock.unlock();
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock<'a>(&self, entities: impl IntoIterator<Item = &'a EntityId>) -> LockRequest {
        let entities = entities.into_iter().cloned().collect();
        LockRequest { run: self.run.clone(), task: self.task(Ok(Work::Other(Box::new(Lock { entities })))) }
    }
}

/// A proxy of an entity, for orchestrators. Made by [`Context::entity_named`]; the proxies of [`Context::entity`] have its
/// methods, too.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # async fn example(ctx: Context) -> Result<()> {
/// let clicks = ctx.entity_named(EntityId::new("Counter", "clicks"));
/// clicks.call::<i64>("add", &2).signal()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EntityProxy {
    run: Rc<Run>,
    id: EntityId,
}

impl EntityProxy {
    /// The id of the entity.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let clicks = ctx.entity_named(EntityId::new("Counter", "clicks"));
    /// let lock = ctx.lock([clicks.id()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// Prepares an operation, to be awaited or signaled.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let clicks = ctx.entity_named(EntityId::new("Counter", "clicks"));
    /// let count: i64 = clicks.call("add", &2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<T: DeserializeOwned>(&self, operation: &str, input: &impl Serialize) -> EntityCall<T> {
        EntityCall::new(self.run.clone(), &self.id, operation, input)
    }
}

/// An operation of an entity: a [`Task`] when it is awaited, a one-way message when it is signaled.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # async fn example(ctx: Context) -> Result<()> {
/// let clicks = ctx.entity_named(EntityId::new("Counter", "clicks"));
/// clicks.call::<i64>("add", &1).signal()?;
/// let count = clicks.call::<i64>("add", &2).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before it is awaited, started or signaled"]
pub struct EntityCall<T> {
    state: CallState<T>,
}

enum CallState<T> {
    /// An error here is an input that could not be written as JSON.
    New {
        run: Rc<Run>,
        call: Result<Call>,
    },
    Task(Task<T>),
}

impl<T> EntityCall<T> {
    fn new(run: Rc<Run>, entity: &EntityId, operation: &str, input: &impl Serialize) -> Self {
        let call = to_json(input).map(|input| Call { entity: entity.clone(), operation: operation.to_owned(), input });
        Self { state: CallState::New { run, call } }
    }

    fn into_task(self) -> Task<T> {
        match self.state {
            CallState::New { run, call } => Task::new(run, call.map(|call| Work::Other(Box::new(call)))),
            CallState::Task(task) => task,
        }
    }

    /// Schedules it now, rather than when it is first polled. See [`Task::start`].
    pub fn start(self) -> Task<T> {
        self.into_task().start()
    }

    /// Leaves the output as JSON. See [`Task::json`].
    pub fn json(self) -> Task<serde_json::Value> {
        self.into_task().json()
    }

    /// Sends the operation one way, without a result. Fails only if the input cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.entity_named(EntityId::new("Counter", "clicks")).call::<i64>("add", &1).signal()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal(self) -> Result<()> {
        self.send(None)
    }

    /// Sends the operation one way. It does not run before `at`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let tomorrow = ctx.current_utc_date_time() + Duration::from_secs(24 * 3600);
    /// ctx.entity_named(EntityId::new("Counter", "clicks")).call::<()>("reset", &()).signal_at(tomorrow)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal_at(self, at: Timestamp) -> Result<()> {
        self.send(Some(at))
    }

    fn send(self, deliver_at: Option<Timestamp>) -> Result<()> {
        match self.state {
            CallState::New { run, call } => {
                run.host.perform(&Signal { call: call?, deliver_at });
                Ok(())
            }
            CallState::Task(_) => panic!("an operation was signaled after it had been polled"),
        }
    }
}

impl<T: DeserializeOwned> Future for EntityCall<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                CallState::Task(task) => return Pin::new(task).poll(context),
                CallState::New { run, call } => {
                    let work = call.clone().map(|call| Work::Other(Box::new(call)));
                    this.state = CallState::Task(Task::new(run.clone(), work));
                }
            }
        }
    }
}

impl<T: DeserializeOwned> FusedFuture for EntityCall<T> {
    fn is_terminated(&self) -> bool {
        match &self.state {
            CallState::New { .. } => false,
            CallState::Task(task) => task.is_terminated(),
        }
    }
}

/// A request for a lock. Made by [`Context::lock`]; completes with an [`EntityLock`].
#[must_use = "a lock is lazy: await it"]
pub struct LockRequest {
    run: Rc<Run>,
    task: Task<()>,
}

impl Future for LockRequest {
    type Output = Result<EntityLock>;

    fn poll(mut self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Self::Output> {
        ready!(Pin::new(&mut self.task).poll(context))?;
        Poll::Ready(Ok(EntityLock { run: self.run.clone() }))
    }
}

impl Drop for LockRequest {
    fn drop(&mut self) {
        self.task.abandon(Unlock);
    }
}

impl FusedFuture for LockRequest {
    fn is_terminated(&self) -> bool {
        self.task.is_terminated()
    }
}

/// A critical section. It ends when this is dropped, and at the latest with the orchestration.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # async fn example(ctx: Context) -> Result<()> {
/// let counter = EntityId::new("Counter", "clicks");
/// {
///     let _lock = ctx.lock([&counter]).await?;
///     let count: i64 = ctx.call_entity(&counter, "get", &()).await?;
///     ctx.call_entity::<()>(&counter, "set", &(2 * count)).await?;
/// } // unlocked
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the lock ends the critical section: keep it in a variable with a name"]
pub struct EntityLock {
    run: Rc<Run>,
}

impl EntityLock {
    /// Ends the critical section, as dropping the lock does.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let lock = ctx.lock([&EntityId::new("Counter", "clicks")]).await?;
    /// lock.unlock();
    /// # Ok(())
    /// # }
    /// ```
    pub fn unlock(self) {}
}

impl Drop for EntityLock {
    fn drop(&mut self) {
        self.run.host.perform(&Unlock);
    }
}

#[derive(Clone)]
struct Call {
    entity: EntityId,
    operation: String,
    input: String,
}

impl Schedule for Call {
    fn schedule(&self) -> Handle {
        bindings::call_entity(&self.entity, &self.operation, &self.input)
    }

    fn output(&self) -> String {
        format!("the output of `{}` of {}", self.operation, self.entity)
    }

    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action {
        let Self { entity, operation, input } = self.clone();
        Action::CallEntity { entity, operation, input: value(&input) }
    }
}

pub(crate) struct Signal {
    call: Call,
    deliver_at: Option<Timestamp>,
}

impl Signal {
    pub(crate) fn new(entity: &EntityId, operation: &str, input: String, deliver_at: Option<Timestamp>) -> Self {
        Self { call: Call { entity: entity.clone(), operation: operation.to_owned(), input }, deliver_at }
    }
}

impl Perform for Signal {
    fn perform(&self) {
        bindings::signal_entity(&self.call.entity, &self.call.operation, &self.call.input, self.deliver_at);
    }

    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action {
        let Call { entity, operation, input } = self.call.clone();
        Action::SignalEntity { entity, operation, input: value(&input), deliver_at: self.deliver_at }
    }
}

struct Lock {
    entities: Vec<EntityId>,
}

impl Schedule for Lock {
    fn schedule(&self) -> Handle {
        bindings::lock_entities(&self.entities)
    }

    fn output(&self) -> String {
        "the output of a lock".to_owned()
    }

    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action {
        Action::LockEntities { entities: self.entities.clone() }
    }
}

struct Unlock;

impl Perform for Unlock {
    fn perform(&self) {
        bindings::unlock_entities();
    }

    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action {
        Action::UnlockEntities
    }
}
