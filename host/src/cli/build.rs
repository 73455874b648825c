use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dacapo_wasm::Inspection;
use serde::Serialize;

use super::error::CliError;
use super::inspect;
use super::output::{bytes, print, print_table};
use crate::build::{BuildError, Language, Options, Source};
use crate::triggers::StartedBy;

/// Build an app, in any of the languages, from its folder.
///
/// Uses the tool chain on the path, and says how to install it if it is missing. The SDK comes with this program, which
/// writes it to .dacapo/sdk in the folder. Types of TypeScript are not checked here, but by `dacapo dev` and `npx tsc --noEmit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo build
  dacapo build examples/python/hello-sequence --out hello.wasm
  dacapo build --json | jq -r .file
  dacapo build my-javascript -- --engine starlingmonkey
  dacapo build my-rust -- --features tracing

At the end it checks the file like `dacapo inspect`: exit code 1, too, if the file cannot be deployed.")]
pub(super) struct Build {
    #[command(flatten)]
    source: SourceArguments,
    /// The file to write [default: FOLDER/NAME.wasm, by the name of the folder].
    #[arg(long, short, value_name = "APP.wasm")]
    out: Option<PathBuf>,
    /// Describe what was built in one line of JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Options of the commands that build an app.
#[derive(Debug, Args)]
pub(super) struct SourceArguments {
    /// The folder of the app.
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Its language, if the files in the folder leave it open.
    #[arg(long, short)]
    language: Option<Language>,
    /// The folder for tools that an SDK installs for itself (JavaScript, F#, Python) [default: below the user's cache folder].
    #[arg(long, value_name = "FOLDER")]
    tools: Option<PathBuf>,
    /// More arguments for the language's compiler, or for the SDK's builder (JavaScript, F#, Python).
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

impl SourceArguments {
    pub fn find(self) -> Result<(Source, Options), CliError> {
        let source = Source::find(&self.folder, self.language)?;
        Ok((source, Options { tools: self.tools, arguments: self.arguments }))
    }
}

impl Build {
    pub fn run(self) -> Result<(), CliError> {
        let (source, options) = self.source.find()?;
        let out = self.out.unwrap_or_else(|| source.usual_out());
        let began = Instant::now();
        source.build(&out, &options)?;
        let elapsed = began.elapsed();
        let wasm = std::fs::read(&out).map_err(|why| CliError::file("reading", &out, &why))?;
        let inspection = inspect::inspect(&wasm)?;
        if self.json {
            let (language, seconds) = (source.language.to_string(), elapsed.as_secs_f64());
            let started_by = inspect::started_by(&inspection);
            let built = Built { file: &out, language, seconds, started_by, inspection: &inspection };
            print(serde_json::to_string(&built).expect("its keys are texts"))?;
        } else {
            print(format_args!("{}: {}, built in {elapsed:.1?}", out.display(), bytes(inspection.bytes)))?;
            print_table(inspect::functions(&inspection))?;
        }
        inspect::refuse(&inspection)
    }
}

/// What was built, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Built<'a> {
    file: &'a Path,
    language: String,
    seconds: f64,
    /// What starts its triggers, by name.
    started_by: BTreeMap<String, StartedBy>,
    #[serde(flatten)]
    inspection: &'a Inspection,
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
