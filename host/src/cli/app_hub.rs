//! Which task hub a command is about that works on an app: the one place that decides it.
//!
//! The option --task-hub-name comes first, or its variable of the environment; then what the configuration of the connection or of
//! the host says; then what the app says, in its `host.json`, if the host has that one; then it is that of the key, or the host's
//! default one.

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::note;
use crate::build::BuildError;
use crate::printable::one_line;

/// The task hub that an app names, if a command is about that one.
#[derive(Debug, Default)]
pub(super) struct AppHub(Option<String>);

impl AppHub {
    /// Decides it for a connection. `named`: what the app says; not asked if something else says one.
    pub fn decide(
        connection: &mut Connection,
        named: impl FnOnce() -> Result<Option<String>, BuildError>,
    ) -> Result<Self, CliError> {
        if connection.task_hub_name.as_ref().is_some_and(|hub| !hub.is_empty()) {
            return Ok(Self::default());
        }
        let hub = named().map_err(|why| CliError::Usage(why.to_string()))?;
        connection.task_hub_name.clone_from(&hub);
        Ok(Self(hub))
    }

    /// Goes on with the task hub of the key or the host's default one, and says so, if the host has none of the name that the app
    /// says: in Azure Functions it would be created on first use, and most samples name one.
    pub fn or_default(self, connection: &mut Connection) -> Result<Self, CliError> {
        let Some(hub) = &self.0 else { return Ok(self) };
        if connection.client().get(&Target::host(["admin", "apps"]))?.status != 404 {
            return Ok(self);
        }
        let hub = one_line(hub);
        note(format_args!(
            "This host has no task hub '{hub}', which host.json names: the default one is used. `dacapo hub create {hub}` creates it; \
             --task-hub-name names another."
        ));
        connection.task_hub_name = None;
        Ok(Self::default())
    }

    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Adds to an error where the task hub is named, if that may be why.
    pub fn explain(&self, error: CliError) -> CliError {
        let Some(hub) = &self.0 else { return error };
        let hub = one_line(hub);
        let hint = format!("\n  the task hub '{hub}' is that of host.json; --task-hub-name names another");
        match error {
            CliError::NotFound(why) => CliError::NotFound(why + &hint),
            CliError::Failed(why) if why.contains("task hub") => CliError::Failed(why + &hint),
            error => error,
        }
    }
}
