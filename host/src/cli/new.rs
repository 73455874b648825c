use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use super::output::{print, shell_word};
use crate::build::{Template, write_new_app};

/// Create a new app, with tests that run it.
///
/// It has an orchestrator that retries and waits for an approval, and an activity.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo new my-app --language typescript
  cd my-app && dacapo dev

For C++, Zig, AssemblyScript, Kotlin and WAT, begin with the example of the language.")]
pub(super) struct New {
    /// The folder to create; its last part is the name of the app.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The language.
    #[arg(long, short)]
    language: Template,
}

impl New {
    pub fn run(self) -> Result<(), CliError> {
        let folder = std::path::absolute(&self.folder).map_err(|why| CliError::file("finding", &self.folder, &why))?;
        write_new_app(&folder, self.language)?;
        print(format_args!(
            "A new app in {language}. Go on with\n\n  cd {folder}\n  {test}\n  dacapo dev\n\nREADME.md there says more.",
            language = self.language,
            folder = shell_word(&Path::new(&self.folder).to_string_lossy()),
            test = self.language.test_command(),
        ))
    }
}
