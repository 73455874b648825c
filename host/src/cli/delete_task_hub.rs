use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use clap::Args;

use super::confirm::Confirmation;
use super::error::CliError;
use super::output::print;
use super::serve::HubArguments;

/// Delete a task hub with all its instances. Needs no host, and none may be running on it.
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
        let (directory, name) = (settings.data.join("hubs"), settings.task_hub);
        let path = directory.join(format!("{name}.redb"));
        let file = match File::options().read(true).write(true).open(&path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Err(missing(&name, &directory)),
            opened => opened.map_err(|why| CliError::file("opening", &path, &why))?,
        };
        lock(&file, &name, &path)?;
        // A host that runs may have the hub closed at the moment, and opens it again when it likes.
        let control = settings.data.join("control.redb");
        let held = File::options().read(true).write(true).open(&control).ok();
        held.as_ref().map_or(Ok(()), |held| lock(held, &name, &control))?;
        self.confirmation.ask(&format!("Delete the task hub '{name}' ({}) with all its instances?", path.display()))?;
        // The lock is held to the end: a host that starts just now does not open what is about to be gone.
        std::fs::remove_file(&path).map_err(|why| CliError::file("deleting", &path, &why))?;
        drop(file);
        print(format_args!("Task hub '{name}' successfully deleted."))
    }
}

/// Takes the lock that a host holds as long as it has the file open.
fn lock(file: &File, name: &str, path: &Path) -> Result<(), CliError> {
    file.try_lock().map_err(|why| match why {
        TryLockError::WouldBlock => CliError::WrongState(format!(
            "the task hub '{name}' is in use: a host has {} open; stop that `dacapo serve` first",
            path.display()
        )),
        TryLockError::Error(why) => CliError::file("locking", path, &why),
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
