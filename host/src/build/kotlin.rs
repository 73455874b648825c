//! Kotlin: its compiler to wasm, in two steps: a library from the sources, and a module from that. `wasm-opt` makes it smaller,
//! if it is installed.

use std::path::{Path, PathBuf};
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

/// Only features that the host's engine has, because the optimiser uses every feature that it may. `--closed-world`: no object of
/// the engine's heap is visible outside of the module.
const OPTIMISE: [&str; 7] = [
    "--enable-gc",
    "--enable-reference-types",
    "--enable-exception-handling",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--closed-world",
    "-Oz",
];

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let made = job.intermediate("kotlin")?;
    let home = home()?;
    let step = || {
        let mut command = Command::new(home.join("bin").join(KOTLINC.name));
        command.arg("-Xwasm-target=wasm-wasi").arg("-libraries").arg(home.join("lib/kotlin-stdlib-wasm-wasi.klib"));
        command.arg("-ir-output-dir").arg(&made).args(["-ir-output-name", "app"]);
        command
    };
    tool::run(step().args(job.arguments).args(sources(job.folder, &["kt"])?))?;
    let library_of_app = format!("-Xinclude={}", made.join("app.klib").display());
    tool::run(step().arg(library_of_app).args(["-Xir-produce-js", "-Xir-dce"]))?;
    let module = made.join("app.wasm");
    match tool::find("wasm-opt") {
        Some(optimiser) => tool::run(Command::new(optimiser).args(OPTIMISE).arg(&module).arg("-o").arg(job.out)),
        None => std::fs::copy(&module, job.out).map(drop).map_err(BuildError::file("copying", &module)),
    }
}

/// The compiler's folder, with `bin` and `lib`. The program on the path is a link into it; npm links only `kotlinc-js`.
fn home() -> Result<PathBuf, BuildError> {
    let link = tool::find(KOTLINC.name).or_else(|| tool::find("kotlinc-js")).ok_or_else(|| KOTLINC.missing())?;
    let compiler = link.canonicalize().map_err(BuildError::file("finding", &link))?;
    compiler.ancestors().nth(2).map(Path::to_owned).ok_or_else(|| KOTLINC.missing())
}
