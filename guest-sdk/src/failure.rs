//! Why a function did not succeed.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The result type of this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a function did not succeed: a value that crosses languages and that a caller can match on.
///
/// `?` converts every [`std::error::Error`] to a failure, as it does with `anyhow::Error`. That is why `Failure` itself
/// is not a `std::error::Error`; where one is needed, use `Box::<dyn Error>::from(failure)`. An error type of your own
/// that should set the failure's fields implements `From<YourError> for Failure` *instead of* `std::error::Error`.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[activity]
/// fn charge(cents: i64) -> Result<i64> {
///     if cents > 10_000 {
///         return Err(Failure::new("InsufficientFunds", format!("cannot charge {cents} cents")).not_retriable());
///     }
///     Ok(cents)
/// }
///
/// let failure = charge(20_000).unwrap_err();
/// assert!(failure.is("InsufficientFunds"));
/// assert_eq!(failure.to_string(), "InsufficientFunds: cannot charge 20000 cents");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A short name that callers match on, such as `InsufficientFunds`.
    pub error_type: String,
    /// One sentence for humans.
    pub message: String,
    /// Longer information: a stack trace, a JSON document.
    pub details: Option<String>,
    /// Whether trying again may help. A retry policy never retries a failure that says `false`.
    pub retriable: bool,
}

impl Failure {
    /// Makes a failure that may be retried.
    ///
    /// ```
    /// # use dacapo_sdk::Failure;
    /// let failure = Failure::new("OutOfStock", "no blue chairs left");
    /// assert!(failure.retriable);
    /// ```
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), details: None, retriable: true }
    }

    /// Sets the details: longer information that helps to understand the failure.
    ///
    /// ```
    /// # use dacapo_sdk::Failure;
    /// let failure = Failure::new("BadReply", "the server sent no JSON").details("<html>...");
    /// assert_eq!(failure.details.as_deref(), Some("<html>..."));
    /// ```
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// Marks the failure as final: no retry policy retries it.
    ///
    /// ```
    /// # use dacapo_sdk::Failure;
    /// assert!(!Failure::new("NoSuchUser", "there is no user `x`").not_retriable().retriable);
    /// ```
    #[must_use]
    pub fn not_retriable(mut self) -> Self {
        self.retriable = false;
        self
    }

    /// Whether the failure is of this type (compared exactly).
    ///
    /// ```
    /// # use dacapo_sdk::Failure;
    /// assert!(Failure::new("Timeout", "too late").is("Timeout"));
    /// ```
    pub fn is(&self, error_type: &str) -> bool {
        self.error_type == error_type
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}

/// The error type is the name of the Rust type, such as `ParseIntError`. A type that is called just `Error` gets the name
/// of its crate or module in front: `IoError` for `std::io::Error`. The details are the chain of sources.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = Failure::new(error_type(std::any::type_name::<E>()), error.to_string());
        match sources(&error) {
            Some(sources) => failure.details(sources),
            None => failure,
        }
    }
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        Box::new(AsError(failure))
    }
}

impl From<Failure> for Box<dyn Error> {
    fn from(failure: Failure) -> Self {
        Box::new(AsError(failure))
    }
}

#[derive(Debug)]
struct AsError(Failure);

impl fmt::Display for AsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AsError {}

/// Returns `IoError` for `std::io::error::Error`, `ParseIntError` for `core::num::error::ParseIntError`.
fn error_type(type_name: &str) -> String {
    let path = type_name.trim_start_matches(['&', '*']).split('<').next().unwrap_or_default();
    let mut segments = path.rsplit("::");
    let last = segments.next().unwrap_or_default();
    if last != "Error" {
        return last.to_owned();
    }
    let home = segments.find(|segment| !matches!(*segment, "error" | "errors")).unwrap_or_default();
    let words = home.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.chain(["Error".to_owned()]).collect()
}

fn sources(error: &dyn Error) -> Option<String> {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("caused by: ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_are_named_for_people() {
        let check = |type_name, expected| assert_eq!(error_type(type_name), expected);
        check("core::num::error::ParseIntError", "ParseIntError");
        check("std::io::error::Error", "IoError");
        check("serde_json::error::Error", "SerdeJsonError");
        check("app::Wrapper<app::Inner>", "Wrapper");
        check("Error", "Error");
    }

    #[test]
    fn any_error_becomes_a_failure() {
        fn parse(text: &str) -> Result<i32> {
            Ok(text.parse::<i32>()?)
        }
        let failure = parse("x").unwrap_err();
        assert_eq!(failure.error_type, "ParseIntError");
        assert_eq!(failure.message, "invalid digit found in string");
        assert!(failure.retriable);
    }
}
