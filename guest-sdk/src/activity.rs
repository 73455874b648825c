//! The context of an activity.

use std::fmt::Display;

use crate::level::{Level, log_shorthands};

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
}

/// The destination of log lines.
#[derive(Clone, Copy, Debug)]
enum Log {
    Host,
    StandardError,
}

impl ActivityContext {
    pub(crate) fn live(name: String, instance_id: String, task_id: u32, attempt: u32) -> Self {
        Self { name, instance_id, task_id, attempt, log: Log::Host }
    }

    /// Makes a context for unit tests, which run without a host: log lines go to the standard error stream.
    ///
    /// ```
    /// # use dacapo_sdk::ActivityContext;
    /// let context = ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// assert_eq!(context.attempt(), 1);
    /// ```
    pub fn for_test(name: &str, instance_id: &str, task_id: u32, attempt: u32) -> Self {
        Self { name: name.to_owned(), instance_id: instance_id.to_owned(), task_id, attempt, log: Log::StandardError }
    }

    /// Whether this context is from [`ActivityContext::for_test`], without a host.
    pub(crate) fn is_test(&self) -> bool {
        matches!(self.log, Log::StandardError)
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

    /// Logs a line.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # let ctx = ActivityContext::for_test("send_mail", "order-17", 3, 1);
    /// ctx.log(Level::Info, format_args!("{} bytes sent", 17));
    /// ```
    pub fn log(&self, level: Level, message: impl Display) {
        match self.log {
            Log::Host => crate::bindings::log(level, &message.to_string()),
            Log::StandardError => eprintln!("{level}: {message}"),
        }
    }

    log_shorthands! {
        log_trace Trace r#""entering the loop""#
        log_debug Debug r#"format!("{} bytes left", 3)"#
        log_info Info r#""the mail is sent""#
        log_warn Warn r#""the server is slow""#
        log_error Error r#""the server refused""#
    }
}
