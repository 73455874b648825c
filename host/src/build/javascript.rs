//! JavaScript and TypeScript: the SDK's own builder, which runs under Node.js.

use std::path::Path;
use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language, TypeCheck};

const fn node(language: Language) -> Tool {
    Tool {
        language,
        name: "node",
        how: &[
            "  Debian: apt-get install nodejs npm",
            "  macOS: brew install node",
            "  others: https://nodejs.org (20.19 or newer)",
        ],
    }
}

/// Checks types with the TypeScript compiler that `npm install` installed, or else with that on the path.
pub(super) fn check_types(folder: &Path) -> TypeCheck {
    if !folder.join(TYPES).is_file() {
        return TypeCheck::NoTypes;
    }
    let own = folder.join("node_modules/.bin/tsc");
    let compiler = Some(own).filter(|own| own.is_file()).or_else(|| tool::find("tsc"));
    let Some(compiler) = compiler else { return TypeCheck::NoCompiler };
    TypeCheck::Done(tool::run(Command::new(compiler).arg("--noEmit").arg("--project").arg(folder)))
}

/// The configuration of TypeScript; an app in JavaScript has none.
const TYPES: &str = "tsconfig.json";

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    run_builder(job, Language::JavaScript, "javascript/build.mjs")
}

/// Runs the builder of an SDK, which is a script for Node.js.
pub(super) fn run_builder(job: &Job<'_>, language: Language, script: &str) -> Result<(), BuildError> {
    let mut builder = Command::new(node(language).find()?);
    builder.arg(job.sdk(script)).arg(job.folder).arg("--out").arg(job.out).arg("--no-summary");
    if let Some(tools) = job.tools {
        builder.arg("--tools").arg(tools);
    }
    tool::run(builder.args(job.arguments))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn types_are_checked_by_the_compiler_that_the_app_has() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        assert!(matches!(check_types(folder), TypeCheck::NoTypes), "it is JavaScript");
        fs::write(folder.join(TYPES), "{}").unwrap();
        let compiler = folder.join("node_modules/.bin/tsc");
        fs::create_dir_all(compiler.parent().unwrap()).unwrap();
        let checked_by = |program: &str| {
            // Not a script: a file that was just written may still be open for writing in a child of another test.
            let _ = fs::remove_file(&compiler);
            std::os::unix::fs::symlink(program, &compiler).unwrap();
            check_types(folder)
        };
        assert!(matches!(checked_by("/bin/true"), TypeCheck::Done(Ok(()))));
        assert!(matches!(checked_by("/bin/false"), TypeCheck::Done(Err(BuildError::ToolFailed { .. }))));
    }
}
