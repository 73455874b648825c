//! Kotlin: its compiler to wasm, in two steps: a library of the sources, and a module of that. `wasm-opt` makes it smaller,
//! where it is there.

use std::path::Path;
use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language, sources};

const KOTLINC: Tool = Tool {
    language: Language::Kotlin,
    name: "kotlinc-wasm",
    how: &[
        "  with npm: npm install --global kotlin-compiler",
        "  others: https://kotlinlang.org/docs/command-line.html",
        "  and a Java runtime, 17 or newer",
    ],
};

/// Objects of the engine's heap are seen by nobody outside of the module.
const OPTIMISE: [&str; 6] = ["-all", "--closed-world", "--type-ssa", "-O3", "--gufa", "-Oz"];

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let made = job.intermediate("kotlin")?;
    let compiler = KOTLINC.find()?;
    // The path may lead to a link to it, beside which there is no library.
    let home = compiler.canonicalize().map_err(BuildError::file("finding", &compiler))?;
    let library = home.parent().and_then(Path::parent).unwrap_or(&home).join("lib/kotlin-stdlib-wasm-wasi.klib");
    let step = || {
        let mut command = Command::new(&compiler);
        command.arg("-Xwasm-target=wasm-wasi").arg("-libraries").arg(&library);
        command.arg("-ir-output-dir").arg(&made).args(["-ir-output-name", "app"]);
        command
    };
    tool::run(step().arg("-Xir-produce-klib-file").args(sources(job.folder, &["kt"])?))?;
    let library_of_app = format!("-Xinclude={}", made.join("app.klib").display());
    tool::run(step().arg(library_of_app).args(["-Xir-produce-js", "-Xir-dce"]))?;
    let module = made.join("app.wasm");
    match tool::find("wasm-opt") {
        Some(optimiser) => tool::run(Command::new(optimiser).args(OPTIMISE).arg(&module).arg("-o").arg(job.out)),
        None => std::fs::copy(&module, job.out).map(drop).map_err(BuildError::file("copying", &module)),
    }
}
