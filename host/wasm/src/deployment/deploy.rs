//! Why a file cannot be deployed, and the check of the functions that it describes.

use std::collections::HashSet;
use std::fmt;

use dacapo_core::guest::BUILT_IN_PREFIX;
use dacapo_core::{Failure, FunctionKind, FunctionName};

use crate::deployment::compile::ModuleError;
use crate::guest::bindings::{self, types};

/// Functions of one app.
const FUNCTIONS_MAX: usize = 10_000;

/// Bytes of the bindings of all triggers of one app.
const BINDINGS_BYTES_MAX: usize = 4 << 20;

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
    #[error("the app holds no function: `describe` returned an empty list, and it has no triggers")]
    NoFunctions,
    #[error("the trigger '{name}' is invalid: {reason}")]
    InvalidTrigger { name: FunctionName, reason: String },
    #[error("'{name}' is not a function name: {reason}")]
    InvalidFunctionName { name: String, reason: dacapo_core::id::InvalidId },
    #[error("the app holds a function named '{name}': names that begin with '{BUILT_IN_PREFIX}' are the host's own")]
    ReservedFunctionName { name: FunctionName },
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

/// Checks the functions and triggers that an app describes. Returns all of them with their kinds, and the bindings of the triggers.
#[expect(clippy::type_complexity, reason = "two lists of pairs")]
pub(crate) fn functions_of(
    described: Vec<types::Function>,
    triggers: Vec<types::Trigger>,
) -> Result<(Vec<(FunctionName, FunctionKind)>, Vec<(FunctionName, String)>), DeployError> {
    let count = described.len() + triggers.len();
    if count > FUNCTIONS_MAX {
        let reason = format!("it describes {count} functions, {FUNCTIONS_MAX} are allowed");
        return Err(ModuleError::TooComplex { reason }.into());
    }
    let (mut seen, mut functions, mut bindings_of) = (HashSet::new(), Vec::new(), Vec::new());
    let mut add = |name: String, kind: FunctionKind| {
        let name = FunctionName::new(&name).map_err(|reason| DeployError::InvalidFunctionName { name, reason })?;
        if name.as_str().get(..BUILT_IN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(BUILT_IN_PREFIX)) {
            return Err(DeployError::ReservedFunctionName { name });
        }
        if !seen.insert(name.folded()) {
            return Err(DeployError::DuplicateFunction { name });
        }
        functions.push((name.clone(), kind));
        Ok(name)
    };
    for types::Function { name, kind } in described {
        add(name, bindings::kind_of(kind))?;
    }
    let mut left = BINDINGS_BYTES_MAX;
    for types::Trigger { name, bindings } in triggers {
        let name = add(name, FunctionKind::Trigger)?;
        left = left.checked_sub(bindings.len()).ok_or_else(|| {
            let reason = format!("the bindings of its triggers have more than {BINDINGS_BYTES_MAX} bytes");
            ModuleError::TooComplex { reason }
        })?;
        bindings_of.push((name, bindings));
    }
    if functions.is_empty() {
        return Err(DeployError::NoFunctions);
    }
    Ok((functions, bindings_of))
}
