//! Errors of commands: a message for people, and an exit code for scripts.

use std::io::ErrorKind;
use std::process::ExitCode;

use super::output::note;

#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    WrongState(String),
    #[error(
        "the host at {server} cannot be reached: {why}\n  is `dacapo serve` running there? --server or DACAPO_SERVER names another address"
    )]
    Unreachable { server: String, why: String },
    #[error("{0}")]
    NotCompleted(String),
    /// The reader of the output has closed it, which is not a failure.
    #[error("the output was closed")]
    OutputClosed,
}

impl CliError {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::OutputClosed => 0,
            CliError::Failed(_) => 1,
            CliError::Usage(_) => 2,
            CliError::NotFound(_) => 3,
            CliError::WrongState(_) => 4,
            CliError::Unreachable { .. } => 5,
            CliError::NotCompleted(_) => 6,
        })
    }

    /// Prints the error to standard error.
    pub fn report(&self) {
        if !matches!(self, CliError::OutputClosed) {
            note(format_args!("dacapo: {self}"));
        }
    }

    pub fn no_instance(id: &str) -> Self {
        CliError::NotFound(format!("there is no instance with the id '{id}'; `dacapo get-instances` lists them"))
    }

    pub fn file(what: &str, path: &std::path::Path, why: &std::io::Error) -> Self {
        CliError::Failed(format!("{what} the file {} failed: {why}", path.display()))
    }
}

/// Errors of writing to standard output.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => CliError::OutputClosed,
            _ => CliError::Failed(format!("writing the output failed: {error}")),
        }
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        CliError::Failed(format!("{error:#}"))
    }
}
