use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use super::output::{print, shell_word};
use crate::build::{Template, write_new_app};

/// Make a new app, with a test that runs it.
///
/// It holds an orchestrator that retries and waits for an approval, and an activity.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo new my-app --language typescript
  cd my-app && dacapo dev

Apps in other languages begin with an example: C++, Zig, AssemblyScript, Kotlin and WAT have one each.")]
pub(super) struct New {
    /// The folder to make; its last part is the name of the app.
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
