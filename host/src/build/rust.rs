//! Rust: `cargo`, for `wasm32-unknown-unknown`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::tool::{self, Tool, answer};
use super::{BuildError, Job, Language};

pub const TARGET: &str = "wasm32-unknown-unknown";

const TOOL: Tool = Tool {
    language: Language::Rust,
    name: "a Rust tool chain with the target wasm32-unknown-unknown",
    how: &[
        "  rustup target add wasm32-unknown-unknown",
        "  Debian: apt-get install rustc-web cargo-web rust-web-src and the newest lld-NN there is",
    ],
};

/// A tool chain that compiles guests.
pub enum Toolchain {
    /// The `cargo` of the path, whose compiler has the target.
    WithTarget,
    /// Debian's compiler, which has the source of the standard library but not the target, and builds the library with the guest.
    Debian { linker: PathBuf },
}

impl Toolchain {
    pub fn find() -> Option<Self> {
        Self::with_target().or_else(Self::debian)
    }

    /// The `cargo` of the path, if its compiler has the target.
    pub fn with_target() -> Option<Self> {
        let sysroot = answer(Command::new("rustc").args(["--print", "sysroot"]))?;
        let library = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
        (library.is_dir() && tool::find("cargo").is_some() && is_recent_enough("rustc")).then_some(Self::WithTarget)
    }

    /// Debian's compiler, if it, the library's source and a linker are there.
    pub fn debian() -> Option<Self> {
        let sysroot = answer(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
        let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std");
        let found = source.is_dir() && Path::new(DEBIAN_CARGO).is_file() && is_recent_enough(DEBIAN_RUSTC);
        found.then(|| tool::find_versions("wasm-ld")).into_iter().flatten().next().map(|linker| Self::Debian { linker })
    }

    pub fn name(&self) -> String {
        match self {
            Self::WithTarget => "cargo".to_owned(),
            Self::Debian { linker } => format!("{DEBIAN_CARGO} and {}", linker.display()),
        }
    }

    /// Returns `cargo build` for the target. It inherits the environment, by which users set profiles and folders.
    pub fn cargo_build(&self) -> Command {
        let mut command;
        match self {
            Self::WithTarget => {
                command = Command::new("cargo");
                command.arg("build");
            }
            Self::Debian { linker } => {
                command = Command::new(DEBIAN_CARGO);
                command
                    .args(["build", "-Zbuild-std=std,panic_abort"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1") // -Zbuild-std on a stable compiler
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        command.args(["--target", TARGET, "--config"]);
        command.arg(format!("target.{TARGET}.rustflags=['-Clink-arg=--initial-heap={INITIAL_HEAP_BYTES}']"));
        command
    }
}

/// Memory after the data of a module, in which its allocator begins: enough for most instances, so that they need not grow it.
/// Pages that are not written to take no memory of the host.
const INITIAL_HEAP_BYTES: u32 = 256 << 10;

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Whether a compiler is at least the one that the SDK needs: Debian's plain `rustc` is far older.
fn is_recent_enough(rustc: &str) -> bool {
    let version = answer(Command::new(rustc).arg("--version")).unwrap_or_default();
    match (minor(version.trim_start_matches("rustc ")), minor(env!("CARGO_PKG_RUST_VERSION"))) {
        (Some(found), Some(needed)) => found >= needed,
        _ => false,
    }
}

/// The 95 of `1.95.0 (59807616e 2026-04-14)`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let toolchain = Toolchain::find().ok_or_else(|| TOOL.missing())?;
    let mut cargo = toolchain.cargo_build();
    cargo.args(["--release", "--message-format", "json-render-diagnostics"]).args(job.arguments).current_dir(job.folder);
    let said = tool::run_for_output(&mut cargo)?;
    let built = modules(&said, &job.folder.join("Cargo.toml"));
    match built.as_slice() {
        [module] => {
            std::fs::copy(module, job.out).map_err(BuildError::file("copying", module))?;
            Ok(())
        }
        [] => Err(BuildError::Sources(format!(
            "{} builds no wasm module. An app is a library; in its Cargo.toml:\n\n    [lib]\n    crate-type = [\"cdylib\"]",
            job.folder.display()
        ))),
        several => {
            Err(BuildError::Sources(format!("{} builds {} wasm modules; an app is one", job.folder.display(), several.len())))
        }
    }
}

/// A line of cargo's output for programs.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The wasm modules built from the package of a manifest.
fn modules(said: &[u8], manifest: &Path) -> Vec<PathBuf> {
    let lines = said.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let of_app = messages.filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest);
    of_app.flat_map(|message| message.filenames).filter(|file| file.extension().is_some_and(|end| end == "wasm")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_the_app_is_found_among_what_cargo_says() {
        let said = r#"{"reason":"compiler-artifact","manifest_path":"/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"]}
{"reason":"compiler-artifact","manifest_path":"/app/Cargo.toml","filenames":["/t/app.wasm","/t/libapp.rlib"]}
not JSON
{"reason":"compiler-artifact","manifest_path":"/other/Cargo.toml","filenames":["/t/other.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(modules(said.as_bytes(), Path::new("/app/Cargo.toml")), [PathBuf::from("/t/app.wasm")]);
    }

    #[test]
    fn versions_of_compilers_are_compared() {
        assert_eq!(minor("1.95.0 (59807616e 2026-04-14)"), Some(95));
        assert_eq!(minor("2.0.0"), None);
    }
}
