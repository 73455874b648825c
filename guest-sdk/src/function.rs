//! The functions of an app: what `#[orchestrator]` and `#[activity]` make of one, and its input and output as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

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

/// What a function hands over, to JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let name = std::any::type_name_of_val(value);
        Failure::new("InvalidInput", format!("a {name} cannot be written as JSON: {error}")).not_retriable()
    })
}
