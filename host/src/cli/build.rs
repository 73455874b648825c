use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::error::CliError;
use super::output::print;
use crate::build::{BuildError, Language, Source};

/// Build an app from its folder, in whatever language it is.
///
/// Uses the tool chain that is on the path, and says which one is missing. The SDK comes with this program: it is written
/// to .dacapo/sdk in the folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo build
  dacapo build examples/python/hello-sequence --out hello.wasm
  dacapo build --json | jq -r .file")]
pub(super) struct Build {
    #[command(flatten)]
    source: SourceArguments,
    /// The file to make [default: FOLDER/NAME.wasm, by the name of the folder].
    #[arg(long, short, value_name = "APP.wasm")]
    out: Option<PathBuf>,
    /// Say what was built in one line of JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Options of the commands that build an app.
#[derive(Debug, Args)]
pub(super) struct SourceArguments {
    /// The folder of the app.
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Its language, where the folder could hold an app in several.
    #[arg(long, short)]
    language: Option<Language>,
    /// Where tools that an SDK installs for itself are kept (JavaScript, Python) [default: below the user's cache folder].
    #[arg(long, value_name = "FOLDER")]
    pub tools: Option<PathBuf>,
}

impl SourceArguments {
    pub fn find(&self) -> Result<Source, CliError> {
        Ok(Source::find(&self.folder, self.language)?)
    }
}

impl Build {
    pub fn run(self) -> Result<(), CliError> {
        let source = self.source.find()?;
        let out = self.out.unwrap_or_else(|| source.usual_out());
        let began = Instant::now();
        source.build(&out, self.source.tools.as_deref())?;
        let elapsed = began.elapsed();
        print(format_args!("{} in {elapsed:.1?}", out.display()))
    }
}

impl From<BuildError> for CliError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::NoFolder(_)
            | BuildError::NoApp(_)
            | BuildError::SeveralLanguages { .. }
            | BuildError::NotEmpty(_)
            | BuildError::AppName(_) => CliError::Usage(error.to_string()),
            BuildError::ToolMissing { .. } | BuildError::ToolFailed { .. } | BuildError::Sources(_) | BuildError::File { .. } => {
                CliError::Failed(error.to_string())
            }
        }
    }
}
