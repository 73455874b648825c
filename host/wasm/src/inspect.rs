//! What a deployed component says of itself, and whether it can be run.

use std::collections::HashSet;
use std::fmt;

use dacapo_core::{Failure, FunctionKind, FunctionName};

use crate::bindings::{self, types};

/// Why a file cannot be deployed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the file is not WebAssembly: {hint}")]
    NotWasm { hint: &'static str },
    #[error("the file is not valid WebAssembly: {reason}")]
    Invalid { reason: String },
    #[error(
        "the component is not a Dacapo app: {reason}. Build it with a Dacapo SDK, or against the world `app` of guest-sdk/wit"
    )]
    WrongWorld { reason: String },
    #[error("the component imports `{import}`, which this host does not offer: {reason}")]
    UnknownImport { import: String, reason: String },
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
        let reason = reason.to_string();
        let cut_off = reason.contains("unexpected end") || reason.contains("unexpected EOF") || reason.contains("out of bounds");
        Self::Invalid { reason: if cut_off { format!("{reason} (is it complete?)") } else { reason } }
    }

    /// A core module that cannot be made a component.
    pub(crate) fn unwrappable(reason: fmt::Arguments<'_>) -> Self {
        let reason = reason.to_string();
        match reason.split("failed to resolve import `").nth(1).and_then(|rest| rest.split_once('`')) {
            Some((import, _)) => Self::UnknownImport {
                import: import.to_owned(),
                reason: "the module does not say that it is part of the contract or of WASI".into(),
            },
            None => Self::WrongWorld { reason },
        }
    }
}

/// Holds what `describe` returned against the rules.
pub(crate) fn functions_of(described: Vec<types::Function>) -> Result<Vec<(FunctionName, FunctionKind)>, DeployError> {
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
