//! Kotlin: its compiler to wasm, in two steps: a library of the sources, and the module of that.

use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language, sources};

const KOTLINC: Tool = Tool {
    language: Language::Kotlin,
    name: "kotlinc-js",
    how: &["  macOS: brew install kotlin", "  with npm: npm install --global kotlin-compiler (and a Java runtime, 17 or newer)"],
};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let mut compiler = Command::new(KOTLINC.find()?);
    compiler.args(sources(job.folder, &["kt"])?).current_dir(job.intermediate("kotlin")?);
    tool::run(&mut compiler)
}
