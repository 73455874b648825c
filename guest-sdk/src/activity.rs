//! The context of an activity.

use std::fmt::Display;

use serde::Serialize;

use crate::client::{Client, OrchestrationStart};
use crate::failure::Result;
use crate::function::Orchestrator;
use crate::level::{Level, log_shorthands};
use crate::management::ManagementLinks;

/// The context of one call of an activity. An activity that needs it takes it as its first parameter.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[activity]
/// fn send_mail(ctx: ActivityContext, address: String) -> Result<String> {
///     // A mail server that knows this key does not send the mail twice, should the call be repeated after a crash.
///     let key = format!("{}-{}", ctx.instance_id(), ctx.task_id());
///     ctx.log_info(format!("attempt {} to reach {address}", ctx.attempt()));
///     Ok(key)
/// }
///
/// // In a test:
/// let context = ActivityContext::for_test("send_mail", "order-17", 3, 1);
/// assert_eq!(send_mail(context, "ada@example.org".to_owned()).unwrap(), "order-17-3");
/// ```
#[derive(Clone, Debug)]
pub struct ActivityContext {
    name: String,
    instance_id: String,
    task_id: u32,
    attempt: u32,
    log: Log,
    client: Client,
}

/// The destination of the log lines of activities and triggers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Log {
    Host,
    StandardError,
}

impl Log {
    pub(crate) fn write(self, level: Level, message: impl Display) {
        match self {
            Log::Host => crate::bindings::log(level, &message.to_string()),
            Log::StandardError => eprintln!("{level}: {message}"),
        }
    }
}

impl ActivityContext {
    pub(crate) fn live(name: String, instance_id: String, task_id: u32, attempt: u32) -> Self {
        Self { name, instance_id, task_id, attempt, log: Log::Host, client: Client::live() }
    }

    /// Makes a context for unit tests, which run without a host: log lines go to the standard error stream, and calls of the
    /// client fail, unless it [gets one](ActivityContext::with_client).
    ///
    /// ```
    /// # use dacapo_sdk::ActivityContext;
    /// let context = ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(context.attempt(), 1);
    /// ```
    pub fn for_test(name: &str, instance_id: &str, task_id: u32, attempt: u32) -> Self {
        Self {
            name: name.to_owned(),
            instance_id: instance_id.to_owned(),
            task_id,
            attempt,
            log: Log::StandardError,
            client: Client::of_nobody(),
        }
    }

    /// Sets the durable client, for unit tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// use dacapo_sdk::testing::ScriptedClient;
    ///
    /// # #[orchestrator] async fn survey(ctx: Context, who: String) -> Result<()> { Ok(()) }
    /// #[activity]
    /// fn invite(ctx: ActivityContext, who: String) -> Result<String> {
    ///     ctx.start_orchestration::<survey>(who).start()
    /// }
    ///
    /// let hub = ScriptedClient::new();
    /// let context = ActivityContext::for_test("invite", "order-17", 3, 1).with_client(hub.client());
    /// assert_eq!(invite(context, "ada".to_owned()).unwrap(), "instance-1");
    /// assert_eq!(hub.calls().len(), 1);
    /// ```
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The name of the activity.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(ctx.name(), "send_mail");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the instance that called the activity.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(ctx.instance_id(), "order-17");
    /// ```
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// Identifies the call within the instance's current execution. Together with the instance id it is an idempotency
    /// key: it stays the same when the call is repeated after a crash. A retry by policy is a new call.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(ctx.task_id(), 3);
    /// ```
    pub fn task_id(&self) -> u32 {
        self.task_id
    }

    /// 1 for the first attempt under the caller's retry policy, then 2, and so on.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(ctx.attempt(), 1);
    /// ```
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The durable client, for all that the activity may ask of its task hub.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// #[activity]
    /// fn approve(ctx: ActivityContext, order: String) -> Result<()> {
    ///     ctx.client().raise_event(&order, "Approval", &true)
    /// }
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the links for managing an instance over HTTP: the calling instance, or any other. The client's
    /// [`management_links`](Client::management_links).
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// let status = ctx.management_links(ctx.instance_id())?.status_query_get_uri;
    /// # Ok(())
    /// # }
    /// ```
    pub fn management_links(&self, instance_id: &str) -> Result<ManagementLinks> {
        self.client.management_links(instance_id)
    }

    /// Starts an orchestration that runs on its own. The client's [`start_orchestration`](Client::start_orchestration).
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn handle(ctx: Context, order: String) -> Result<()> { Ok(()) }
    /// #[activity]
    /// fn take_orders_in(ctx: ActivityContext, orders: Vec<String>) -> Result<()> {
    ///     for order in orders {
    ///         ctx.start_orchestration::<handle>(order.clone()).instance_id(format!("order-{order}")).start()?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn start_orchestration<O: Orchestrator>(&self, input: O::Input) -> OrchestrationStart<'_>
    where
        O::Input: Serialize,
    {
        self.client.start_orchestration::<O>(input)
    }

    /// Starts an orchestration by name that runs on its own.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: ActivityContext) -> Result<()> {
    /// let instance_id = ctx.start_orchestration_named("SendSurvey", &"ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration_named(&self, name: &str, input: &impl Serialize) -> OrchestrationStart<'_> {
        self.client.start_orchestration_named(name, input)
    }

    /// Logs a line.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # let ctx = ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// ctx.log(Level::Info, format_args!("{} bytes sent", 17));
    /// ```
    pub fn log(&self, level: Level, message: impl Display) {
        self.log.write(level, message);
    }

    log_shorthands! {
        log_trace Trace r#""entering the loop""#
        log_debug Debug r#"format!("{} bytes left", 3)"#
        log_info Info r#""the mail is sent""#
        log_warn Warn r#""the server is slow""#
        log_error Error r#""the server refused""#
    }
}
