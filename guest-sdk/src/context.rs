//! The context of an orchestrator.

use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::executor::Run;
use crate::failure::{Failure, Result};
use crate::function::{Activity, Orchestrator, to_json};
use crate::host::{Parent, Work};
use crate::level::{Level, log_shorthands};
use crate::random::{Random, RandomRange};
use crate::task::{ActivityCall, EventWait, SubOrchestratorCall, Task, Timer};
use crate::timestamp::Timestamp;

/// The context of an orchestrator: its only access to the outside of its sandbox. A clone is the same context.
///
/// Everything here is deterministic: on replay each method returns what it returned the first time. The time does not
/// advance between two waits.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// #[activity]
/// fn say_hello(name: String) -> Result<String> {
///     Ok(format!("Hello, {name}!"))
/// }
///
/// #[orchestrator]
/// async fn greet_later(ctx: Context, name: String) -> Result<String> {
///     ctx.create_timer(Duration::from_secs(24 * 3600)).await?;
///     ctx.call_activity::<say_hello>(name).await
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    pub(crate) run: Rc<Run>,
}

/// Calls.
impl Context {
    pub(crate) fn new(run: Rc<Run>) -> Self {
        Self { run }
    }

    /// Calls an activity. Lazy: see [`Task`].
    ///
    /// ```no_run
    /// use dacapo_sdk::prelude::*;
    ///
    /// #[activity]
    /// fn say_hello(name: String) -> Result<String> {
    ///     Ok(format!("Hello, {name}!"))
    /// }
    ///
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let greeting: String = ctx.call_activity::<say_hello>("Tokyo".to_owned()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_activity<A: Activity>(&self, input: A::Input) -> ActivityCall<A::Output>
    where
        A::Input: Serialize,
        A::Output: DeserializeOwned,
    {
        self.call_activity_named(A::NAME, &input)
    }

    /// Calls an activity by name, for example one of another app in the task hub, written in any language.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let greeting = ctx.call_activity_named::<String>("SayHello", &"Tokyo").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_activity_named<T: DeserializeOwned>(&self, name: &str, input: &impl Serialize) -> ActivityCall<T> {
        let name = name.to_owned();
        let work = to_json(input).map(|input| Work::CallActivity { name, input, retry: None });
        ActivityCall::new(self.task(work))
    }

    /// Calls an orchestration as a child of this one. Lazy: see [`Task`].
    ///
    /// ```no_run
    /// use dacapo_sdk::prelude::*;
    ///
    /// #[orchestrator]
    /// async fn provision(ctx: Context, device: String) -> Result<String> {
    ///     Ok(format!("{device} is ready"))
    /// }
    ///
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let report: String = ctx.call_sub_orchestrator::<provision>("lamp".to_owned()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_sub_orchestrator<O: Orchestrator>(&self, input: O::Input) -> SubOrchestratorCall<O::Output>
    where
        O::Input: Serialize,
        O::Output: DeserializeOwned,
    {
        self.call_sub_orchestrator_named(O::NAME, &input)
    }

    /// Calls an orchestration by name as a child of this one.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let report = ctx.call_sub_orchestrator_named::<String>("Provision", &"lamp").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_sub_orchestrator_named<T: DeserializeOwned>(&self, name: &str, input: &impl Serialize) -> SubOrchestratorCall<T> {
        let name = name.to_owned();
        let work =
            to_json(input).map(|input| Work::CallSubOrchestrator { name, input, instance_id: None, version: None, retry: None });
        SubOrchestratorCall::new(self.task(work))
    }

    /// Starts an orchestration that runs on its own, without waiting for it.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn send_survey(ctx: Context, customer: String) -> Result<()> { Ok(()) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let instance_id = ctx.start_orchestration::<send_survey>("ada".to_owned()).start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration<O: Orchestrator>(&self, input: O::Input) -> DetachedStart
    where
        O::Input: Serialize,
    {
        self.start_orchestration_named(O::NAME, &input)
    }

    /// Starts an orchestration by name that runs on its own.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration_named(&self, name: &str, input: &impl Serialize) -> DetachedStart {
        DetachedStart::new(self.run.clone(), name, input)
    }

    pub(crate) fn task<T>(&self, work: Result<Work>) -> Task<T> {
        Task::new(self.run.clone(), work)
    }
}

/// Time.
impl Context {
    /// The current time in UTC. It does not advance between two waits, and is the same on replay.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: Context) {
    /// let deadline: Timestamp = ctx.current_utc_date_time() + Duration::from_secs(3600);
    /// # }
    /// ```
    pub fn current_utc_date_time(&self) -> Timestamp {
        self.run.host.current_time()
    }

    /// Creates a timer that fires after a duration, a second or ten years. It costs nothing while it runs.
    ///
    /// The duration counts from this call, although the timer is lazy like every [`Task`]. Dropping the timer cancels it.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.create_timer(Duration::from_secs(72 * 3600)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_timer(&self, duration: Duration) -> Timer {
        self.create_timer_at(self.current_utc_date_time() + duration)
    }

    /// Creates a timer that fires at a point in time, or at once if that has passed.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.create_timer_at("2030-01-01T00:00:00Z".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_timer_at(&self, fire_at: Timestamp) -> Timer {
        self.task(Ok(Work::CreateTimer { fire_at }))
    }
}

/// Events and status.
impl Context {
    /// Waits for the next unread external event of that name (compared ignoring case). Events that arrived before the wait
    /// are kept, in order. Several waits for one name are served in the order in which they were scheduled.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let approved = ctx.wait_for_external_event::<bool>("Approval").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_external_event<T: DeserializeOwned>(&self, name: &str) -> EventWait<T> {
        EventWait::new(self.task(Ok(Work::WaitForExternalEvent { name: name.to_owned() })))
    }

    /// Raises an external event for another instance. If that does not exist, the event is dropped. Fails only if the data
    /// cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.send_event("order-17", "Shipped", &"by train")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_event(&self, instance_id: &str, name: &str, data: &impl Serialize) -> Result<()> {
        self.run.host.send_event(instance_id, name, &to_json(data)?);
        Ok(())
    }

    /// Replaces the custom status, which status queries return: any JSON of at most 16 KiB. Fails only if the status cannot
    /// be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.set_custom_status("half way")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_custom_status(&self, status: impl Serialize) -> Result<()> {
        self.run.host.set_custom_status(&to_json(&status)?);
        Ok(())
    }

    /// Restarts the orchestration with a new input and an empty history, once the function returns. Unread events are
    /// kept. The function should return the result of this call.
    ///
    /// The result is a failure, so that `return ctx.continue_as_new(input)` fits every output type, and `?` returns too.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// #[orchestrator]
    /// async fn every_hour(ctx: Context, rounds: u64) -> Result<()> {
    ///     ctx.create_timer(Duration::from_secs(3600)).await?;
    ///     ctx.continue_as_new(rounds + 1)
    /// }
    /// ```
    pub fn continue_as_new<T>(&self, input: impl Serialize) -> Result<T> {
        self.run.host.continue_as_new(&to_json(&input)?);
        self.run.continues_as_new.set(true);
        Err(continued_as_new())
    }
}

/// The instance.
impl Context {
    /// The id of this instance.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// ctx.log_info(format!("this is {}", ctx.instance_id()));
    /// # }
    /// ```
    pub fn instance_id(&self) -> String {
        self.run.host.instance_id()
    }

    /// The id of this execution of the instance; continue-as-new begins a new one.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// ctx.log_info(format!("this is {}", ctx.execution_id()));
    /// # }
    /// ```
    pub fn execution_id(&self) -> String {
        self.run.host.execution_id()
    }

    /// The orchestration that called this one; none if it was started by other means.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let is_child = ctx.parent().is_some();
    /// # }
    /// ```
    pub fn parent(&self) -> Option<Parent> {
        self.run.host.parent()
    }

    /// The version label that the instance was started with, or an empty text.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// if ctx.version() == "2" { /* ... */ }
    /// # }
    /// ```
    pub fn version(&self) -> String {
        self.run.host.version()
    }

    /// Whether the code is being replayed. For diagnostics only: a decision that depends on it diverges.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let replaying = ctx.is_replaying();
    /// # }
    /// ```
    pub fn is_replaying(&self) -> bool {
        self.run.host.is_replaying()
    }
}

/// Randomness.
impl Context {
    /// Makes a new unique id (a UUID of version 5), the same on replay.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let order_id: String = ctx.new_guid();
    /// # }
    /// ```
    pub fn new_guid(&self) -> String {
        self.run.host.new_guid()
    }

    /// Draws a random number, the same on replay. Integers over their whole range, `f32` and `f64` from 0 to 1, exclusive.
    /// Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let heads: bool = ctx.random();
    /// let seed = ctx.random::<u64>();
    /// # }
    /// ```
    pub fn random<T: Random>(&self) -> T {
        T::random(&mut |buffer| self.run.fill(buffer))
    }

    /// Draws a random number from a range, the same on replay. An empty range panics. Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let dice = ctx.random_range(1..=6);
    /// let jitter_ms = ctx.random_range(0..250_u64);
    /// # }
    /// ```
    pub fn random_range<T>(&self, range: impl RandomRange<T>) -> T {
        range.random(&mut |buffer| self.run.fill(buffer))
    }

    /// Draws random bytes, the same on replay. Not for secrets.
    ///
    /// ```no_run
    /// # fn example(ctx: dacapo_sdk::Context) {
    /// let salt: Vec<u8> = ctx.random_bytes(16);
    /// # }
    /// ```
    pub fn random_bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.run.fill(&mut bytes);
        bytes
    }
}

/// Log lines. A replay does not write them again.
impl Context {
    /// Logs a line.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: Context) {
    /// ctx.log(Level::Info, format_args!("{} files so far", 17));
    /// # }
    /// ```
    pub fn log(&self, level: Level, message: impl Display) {
        self.run.host.log(level, &message.to_string());
    }

    log_shorthands! {
        log_trace Trace r#""entering the loop""#
        log_debug Debug r#"format!("{} attempts left", 3)"#
        log_info Info r#""the order is complete""#
        log_warn Warn r#""nobody answered""#
        log_error Error r#""the bank refused""#
    }
}

/// The start of an orchestration that runs on its own. Made by [`Context::start_orchestration`].
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # #[orchestrator] async fn send_survey(ctx: Context, customer: String) -> Result<()> { Ok(()) }
/// # async fn example(ctx: Context) -> Result<()> {
/// ctx.start_orchestration::<send_survey>("ada".to_owned()).instance_id("survey-ada").start()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `start`"]
pub struct DetachedStart {
    run: Rc<Run>,
    name: String,
    input: Result<String>,
    instance_id: Option<String>,
}

impl DetachedStart {
    pub(crate) fn new(run: Rc<Run>, name: &str, input: &impl Serialize) -> Self {
        Self { run, name: name.to_owned(), input: to_json(input), instance_id: None }
    }

    /// Sets the instance id. Without one the host derives it.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// ctx.start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = Some(id.into());
        self
    }

    /// Starts the orchestration and returns its instance id. Fails only if the input cannot be written as JSON.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let instance_id: String = ctx.start_orchestration_named("SendSurvey", &"ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<String> {
        Ok(self.run.host.start_orchestration(&self.name, &self.input?, self.instance_id.as_deref()))
    }
}

/// The result of [`Context::continue_as_new`].
pub(crate) fn continued_as_new() -> Failure {
    Failure::new("ContinuedAsNew", "the orchestration continues as new").not_retriable()
}
