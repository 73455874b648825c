//! Zig: `zig build-exe`, without an operating system.

use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language, sources};

/// The file that is compiled, if there are several.
const MAIN_FILES: [&str; 2] = ["app.zig", "main.zig"];

const ZIG: Tool = Tool { language: Language::Zig, name: "zig", how: INSTALL_ZIG };

pub(super) const INSTALL_ZIG: &[&str] =
    &["  macOS: brew install zig", "  with pip: pip install ziglang", "  others: https://ziglang.org"];

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let files = sources(job.folder, &["zig"])?;
    let main = MAIN_FILES.map(|name| job.folder.join(name)).into_iter().find(|file| files.contains(file));
    let main = main.or_else(|| <[_; 1]>::try_from(files).ok().map(|[file]| file));
    let main = main.ok_or_else(|| {
        BuildError::Sources(format!("{}: the app must be in {}", job.folder.display(), MAIN_FILES.join(" or ")))
    })?;
    let mut zig = Command::new(ZIG.find()?);
    zig.arg("build-exe").arg(main).args(["-target", "wasm32-freestanding", "-fno-entry", "-rdynamic", "-O", "ReleaseSmall"]);
    zig.arg(format!("-femit-bin={}", job.out.display())).current_dir(job.intermediate("zig")?);
    tool::run(zig.args(job.arguments))
}
