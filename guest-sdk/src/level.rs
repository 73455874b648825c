//! The severity of log lines.

use std::fmt;

/// The severity of a log line.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # async fn example(ctx: Context) {
/// ctx.log(Level::Warn, "half of the disk is full");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// Information for debugging.
    Debug,
    /// Normal operation.
    Info,
    /// Something that needs attention.
    Warn,
    /// Something that failed.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        })
    }
}

/// Makes the shorthands of `log`, one per level, for a kind of context.
macro_rules! log_shorthands {
    ($($method:ident $level:ident $example:literal)*) => {
        $(
            #[doc = concat!("Logs a line at the level `", stringify!($level), "`.")]
            ///
            /// ```no_run
            #[doc = concat!("# fn example(ctx: dacapo_sdk::Context) {")]
            #[doc = concat!("ctx.", stringify!($method), "(", $example, ");")]
            /// # }
            /// ```
            pub fn $method(&self, message: impl std::fmt::Display) {
                self.log($crate::Level::$level, message);
            }
        )*
    };
}
pub(crate) use log_shorthands;
