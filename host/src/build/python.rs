//! Python: the SDK's own builder, which runs under the Python of the machine.

use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language};

const PYTHON: Tool = Tool {
    language: Language::Python,
    name: "python3",
    how: &[
        "  Debian: apt-get install python3 python3-pip",
        "  macOS: brew install python",
        "  others: https://python.org (3.11 or newer)",
    ],
};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let mut builder = Command::new(PYTHON.find()?);
    builder.arg(job.sdk("python/build.py")).arg(job.folder).arg("--out").arg(job.out).arg("--no-summary");
    // The SDK is in the folder of the app, where byte code files would be clutter.
    builder.env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(tools) = job.tools {
        builder.arg("--tools").arg(tools);
    }
    tool::run(builder.args(job.arguments))
}
