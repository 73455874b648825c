//! The SDKs' own tests, run with the tools of each language. They need no host.

use std::path::PathBuf;
use std::process::Command;

use dacapo_tests::languages::{Language, path_with_toolchains};
use dacapo_tests::packages::run;
use dacapo_tests::workspace;

/// Runs a program in the folder of an SDK, with the toolchain of its language.
#[track_caller]
fn check(language: Language, sdk: &str, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder(sdk)).env("PATH", path_with_toolchains(language).unwrap());
    // Caches of the SDKs' builders, Go and Zig are kept below `target`.
    command.env("XDG_CACHE_HOME", workspace().join("target/toolchains/cache")).env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut command).unwrap_or_else(|why| panic!("{why:#}"));
}

fn folder(sdk: &str) -> PathBuf {
    workspace().join("guest-sdk").join(sdk)
}

#[test]
fn javascript() {
    check(Language::JavaScript, "javascript", "npm", &["test", "--silent"]);
}

#[test]
fn fsharp() {
    check(Language::FSharp, "fsharp", "npm", &["test", "--silent"]);
}

#[test]
fn python() {
    check(
        Language::Python,
        "python",
        "python3",
        &["-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."],
    );
}

#[test]
fn go() {
    check(Language::Go, "go", "go", &["vet", "./..."]);
    check(Language::Go, "go", "go", &["test", "./..."]);
}

#[test]
fn c() {
    check(Language::C, "c", "sh", &["test/run.sh"]);
}
