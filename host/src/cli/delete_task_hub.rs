use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use dacapo_store::StoreError;
use dacapo_store::control::ControlFile;

use super::confirm::Confirmation;
use super::error::CliError;
use super::output::print;
use super::serve::HubArguments;
use crate::access::{Scope, entry_offline};
use crate::directory::control_path;

/// Delete a task hub with all its instances, keys and secrets. Works without a host, and none may run on the data directory: use
/// `dacapo hub delete` if one does.
///
/// Deployed modules and compiled code stay, because other task hubs of the data directory may use the same.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo delete-task-hub --task-hub-name Trial
  dacapo delete-task-hub --data /var/lib/dacapo --task-hub-name Trial --yes")]
pub(super) struct DeleteTaskHub {
    #[command(flatten)]
    hub: HubArguments,
    #[command(flatten)]
    confirmation: Confirmation,
}

impl DeleteTaskHub {
    pub fn run(self) -> Result<(), CliError> {
        let settings = self.hub.load()?;
        let (data, name) = (settings.data, settings.task_hub);
        let path = data.join("hubs").join(format!("{name}.redb"));
        let control = open(&data, &name)?;
        let record = control.hub(&name).map_err(anyhow::Error::from)?;
        if record.is_none() && !path.exists() {
            return Err(missing(&name, &data.join("hubs")));
        }
        self.confirmation.ask(&format!("Delete the task hub '{name}' ({}) with all its instances?", path.display()))?;
        // The control file stays locked to the end, so that no host starts in between.
        match std::fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(CliError::file("deleting", &path, &why)),
            _ => {}
        }
        if let Some(record) = record {
            let entry = entry_offline(Scope::Hub(record.name), "hub.delete", json!({}));
            control.delete_hub(&name, &entry).map_err(anyhow::Error::from)?;
        }
        print(format_args!("Task hub '{name}' successfully deleted."))
    }
}

/// Opens the control file, which a host keeps locked while it runs.
fn open(data: &Path, name: &str) -> Result<ControlFile, CliError> {
    let path = control_path(data);
    if !data.is_dir() {
        return Err(missing(name, &data.join("hubs")));
    }
    ControlFile::open(&path).map_err(|why| match why {
        StoreError::Locked { .. } => CliError::WrongState(format!(
            "the task hub '{name}' is in use: a host has {} open; stop that `dacapo serve` first, or use `dacapo hub delete`",
            path.display()
        )),
        why => CliError::Failed(why.to_string()),
    })
}

fn missing(name: &str, directory: &Path) -> CliError {
    let others = hubs(directory);
    let others = match others.is_empty() {
        true => "there is none at all; --data names another data directory".to_owned(),
        false => format!("there are: {}", others.join(", ")),
    };
    CliError::NotFound(format!("there is no task hub '{name}' in {}; {others}", directory.display()))
}

fn hubs(directory: &Path) -> Vec<String> {
    let paths = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let hubs = paths.filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "redb"));
    let mut names: Vec<String> =
        hubs.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}
