//! Why a file cannot be deployed, and the check of the functions that it describes.

use std::collections::HashSet;
use std::fmt;

use dacapo_core::{Failure, FunctionKind, FunctionName};

use crate::deployment::compile::ModuleError;
use crate::guest::bindings::{self, types};

/// Functions of one app.
const FUNCTIONS_MAX: usize = 10_000;

/// Why a file cannot be deployed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The administrator can raise the limit.
    #[error("{what}, which is the limit {limit}; the administrator can raise it")]
    Limit { limit: &'static str, value: u64, what: String },
    #[error("the compiler crashed on it ({how}): it cannot be deployed as it is")]
    CompilerCrashed { how: String },
    #[error(
        "the host is compiling other modules and {waiting} more wait, the most for this task hub or for the host: deploy it later"
    )]
    Busy { waiting: usize },
    /// The machine is busy: compiling the module may succeed another time.
    #[error("it was queued or compiled for {seconds} seconds, which is the limit: the host is busy, deploy it later")]
    OutOfTime { seconds: u64 },
    #[error("the deployment was cancelled")]
    Cancelled,
    #[error("the compiler cannot be run: {0}")]
    Compiler(std::io::Error),
    #[error("the app's manifest (its custom section `dacapo:manifest`) is invalid: {0}")]
    Manifest(String),
    #[error("the component's `describe` failed: {0}")]
    DescribeFailed(Failure),
    #[error("the app holds no function: `describe` returned an empty list")]
    NoFunctions,
    #[error("'{name}' is not a function name: {reason}")]
    InvalidFunctionName { name: String, reason: dacapo_core::id::InvalidId },
    #[error("the app holds two functions named '{name}' (names are compared ignoring case)")]
    DuplicateFunction { name: FunctionName },
    #[error("the file cannot be stored: {0}")]
    Io(#[from] std::io::Error),
}

impl DeployError {
    pub(crate) fn invalid(reason: fmt::Arguments<'_>) -> Self {
        ModuleError::invalid(reason).into()
    }

    pub(crate) fn wrong_world(reason: impl Into<String>) -> Self {
        ModuleError::WrongWorld { reason: reason.into() }.into()
    }
}

/// Checks the functions that `describe` returned.
pub(crate) fn functions_of(described: Vec<types::Function>) -> Result<Vec<(FunctionName, FunctionKind)>, DeployError> {
    if described.len() > FUNCTIONS_MAX {
        let reason = format!("it describes {} functions, {FUNCTIONS_MAX} are allowed", described.len());
        return Err(ModuleError::TooComplex { reason }.into());
    }
    let mut seen = HashSet::new();
    let mut functions = Vec::new();
    for types::Function { name, kind } in described {
        let name = FunctionName::new(&name).map_err(|reason| DeployError::InvalidFunctionName { name, reason })?;
        if !seen.insert(name.folded()) {
            return Err(DeployError::DuplicateFunction { name });
        }
        functions.push((name, bindings::kind_of(kind)));
    }
    if functions.is_empty() {
        return Err(DeployError::NoFunctions);
    }
    Ok(functions)
}
