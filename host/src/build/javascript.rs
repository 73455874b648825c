//! JavaScript and TypeScript: the SDK's own builder, which runs under Node.js.

use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language};

const NODE: Tool = Tool {
    language: Language::JavaScript,
    name: "node",
    how: &["  Debian: apt-get install nodejs npm", "  macOS: brew install node", "  others: https://nodejs.org (20.19 or newer)"],
};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let mut builder = Command::new(NODE.find()?);
    builder.arg(job.sdk("javascript/build.mjs")).arg(job.folder).arg("--out").arg(job.out);
    if let Some(tools) = job.tools {
        builder.arg("--tools").arg(tools);
    }
    tool::run(builder.args(job.arguments))
}
