//! The traits of functions, which `#[orchestrator]` and `#[activity]` implement, and the JSON of inputs and outputs.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

/// An orchestrator. Implemented by the type that `#[orchestrator]` generates.
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
    /// The input; `()` if there is none. To call the function with this type, the input must be `Serialize`.
    type Input;
    /// The output of a success. To call the function with this type, the output must be `DeserializeOwned`.
    type Output;
    /// Its name in the task hub.
    const NAME: &'static str;
}

/// An activity. Implemented by the type that `#[activity]` generates.
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
    /// The input; `()` if there is none. To call the function with this type, the input must be `Serialize`.
    type Input;
    /// The output of a success. To call the function with this type, the output must be `DeserializeOwned`.
    type Output;
    /// Its name in the task hub.
    const NAME: &'static str;
}

/// The return types of functions that can fail.
pub trait Fallible {
    /// The output of a success.
    type Output;
    /// Converts the error to the failure that callers see.
    fn into_result(self) -> Result<Self::Output>;
}

impl<T, E: Into<Failure>> Fallible for std::result::Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T> {
        self.map_err(Into::into)
    }
}

/// Reads the input of a function from JSON.
pub fn decode_input<T: DeserializeOwned>(function: &str, json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|error| Failure::new("InvalidInput", format!("`{function}` cannot read its input: {error}")).not_retriable())
}

/// Reads what the host passes to a trigger, around the input that somebody else has written.
pub(crate) fn decode_from_host<T: DeserializeOwned>(trigger: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| not_from_host(trigger, error))
}

/// The host does not keep to the contract.
pub(crate) fn not_from_host(trigger: &str, why: impl Display) -> Failure {
    Failure::new("InvalidInput", format!("`{trigger}` cannot read its input from the host: {why}")).not_retriable()
}

/// Writes the output of a function as JSON.
pub fn encode_output<T: Serialize>(function: &str, output: &T) -> Result<String> {
    serde_json::to_string(output)
        .map_err(|error| Failure::new("InvalidOutput", format!("`{function}` cannot write its output: {error}")).not_retriable())
}

/// Writes a value that a function passes to the host as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let name = std::any::type_name_of_val(value);
        Failure::new("InvalidInput", format!("a {name} cannot be written as JSON: {error}")).not_retriable()
    })
}
