//! AssemblyScript: its compiler `asc`, configured by `asconfig.json`.

use std::path::PathBuf;
use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language};

const ASC: Tool = Tool {
    language: Language::AssemblyScript,
    name: "asc",
    how: &["  in the folder of the app: npm install --save-dev assemblyscript"],
};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let own = job.folder.join("node_modules/.bin/asc");
    let asc: PathBuf = if own.exists() { own } else { ASC.find()? };
    let mut command = Command::new(asc);
    command.args(["--config", "asconfig.json", "--outFile"]).arg(job.out).current_dir(job.folder);
    tool::run(command.args(job.arguments))
}
