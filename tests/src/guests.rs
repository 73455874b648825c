//! Builds the examples and the fixtures to wasm, with whatever toolchain the machine has or can get.
//!
//! In this order: a `cargo` whose compiler has the target `wasm32-unknown-unknown`; Debian's `rustc-web`, which builds
//! the standard library from source; `rustup target add`; and, as root with `apt-get`, Debian's packages installed. A
//! guest is the same whoever builds it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::packages::lock;
use crate::workspace;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";

/// Builds every guest and returns the folder with their core modules: `example_<name>.wasm` and `fixture_<name>.wasm`.
///
/// Cheap when nothing has changed. Builds of several processes wait for each other.
pub fn build() -> Result<PathBuf> {
    build_with(Toolchain::find_or_install()?)
}

/// What [`build`] does, with a toolchain of one's choice.
pub fn build_with(toolchain: Toolchain) -> Result<PathBuf> {
    let target_dir = workspace().join("target").join("guests");
    std::fs::create_dir_all(&target_dir).with_context(|| format!("creating {}", target_dir.display()))?;
    let _lock = lock(&target_dir.join(".dacapo-guests.lock"), "the guests")?;
    let packages = packages()?;
    eprintln!("building {} guests with {}", packages.len(), toolchain.name());
    let mut command = toolchain.cargo_build();
    command.args(["--target", TARGET, "--profile", PROFILE, "--target-dir"]).arg(&target_dir);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let status = command.status().context("starting cargo to build the guests")?;
    ensure!(status.success(), "building the guests failed ({status}); cargo's own words are above");
    Ok(target_dir.join(TARGET).join(PROFILE))
}

/// What compiles guests.
pub enum Toolchain {
    /// The `cargo` of the path, whose compiler has the target.
    WithTarget,
    /// Debian's compiler beside it, which has the library's source and no target.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// What the machine has, or else what can be installed on it.
    pub fn find_or_install() -> Result<Self> {
        if let Some(toolchain) = Self::with_target().or_else(Self::debian) {
            return Ok(toolchain);
        }
        if runs("rustup", &["--version"]) {
            eprintln!("adding the target {TARGET} with rustup");
            announce(quiet("rustup").args(["target", "add", TARGET]));
            if let Some(toolchain) = Self::with_target() {
                return Ok(toolchain);
            }
        }
        if is_root() && runs("apt-get", &["--version"]) {
            eprintln!("installing Debian's wasm toolchain with apt-get");
            install_debian_packages();
            if let Some(toolchain) = Self::debian() {
                return Ok(toolchain);
            }
        }
        bail!(
            "no toolchain here compiles guests to {TARGET}. With rustup:\n\n    rustup target add {TARGET}\n\n\
             On Debian, as root (take the newest lld-NN that `apt-cache search --names-only '^lld-[0-9]+$'` lists):\n\n    \
             apt-get update && apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src lld-NN"
        )
    }

    /// The `cargo` of the path, if its compiler has the target.
    pub fn with_target() -> Option<Self> {
        let sysroot = output(quiet("rustc").args(["--print", "sysroot"]).current_dir(workspace()))?;
        let library = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
        let found = library.is_dir() && runs("cargo", &["--version"]) && is_recent_enough("rustc");
        found.then_some(Self::WithTarget)
    }

    /// Debian's compiler, if it, the library's source and a linker are there.
    pub fn debian() -> Option<Self> {
        let sysroot = output(quiet(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std");
        let found = source.is_dir() && runs(DEBIAN_CARGO, &["--version"]) && is_recent_enough(DEBIAN_RUSTC);
        found.then(newest_linker).flatten().map(|linker| Self::Debian { linker })
    }

    fn name(&self) -> String {
        match self {
            Self::WithTarget => "cargo".to_owned(),
            Self::Debian { linker } => format!("{DEBIAN_CARGO} and {}", linker.display()),
        }
    }

    fn cargo_build(&self) -> Command {
        let mut command;
        match self {
            Self::WithTarget => {
                command = quiet("cargo");
                command.arg("build");
            }
            Self::Debian { linker } => {
                command = quiet(DEBIAN_CARGO);
                command
                    .args(["build", "-Zbuild-std=std,panic_abort"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1") // -Zbuild-std on a stable compiler
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        command.current_dir(workspace());
        command
    }
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A folder with a `Cargo.toml` in one of these is a guest, and its package is named after it.
const FOLDERS: [(&str, &str); 3] =
    [("examples", "example"), ("tests/fixtures", "fixture"), ("tests/fixtures/conformance", "fixture-conformance")];

fn packages() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for (folder, prefix) in FOLDERS {
        let folder = workspace().join(folder);
        let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                packages.push(format!("{prefix}-{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    packages.sort();
    Ok(packages)
}

/// A command without what an outer cargo, which may run this, says about its own build.
fn quiet(program: &str) -> Command {
    const OURS: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_build = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"];
        let is_of_build = of_build.iter().any(|prefix| name.starts_with(prefix));
        if is_of_build && !OURS.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    output(quiet(program).args(arguments)).is_some()
}

/// Runs a step that may fail: what counts is whether the toolchain is there afterwards.
fn announce(command: &mut Command) {
    if let Err(error) = command.status() {
        eprintln!("{}: {error}", command.get_program().display());
    }
}

/// Whether a compiler is at least the `rust-version` of the workspace: Debian's plain `rustc` is far older.
fn is_recent_enough(rustc: &str) -> bool {
    let version = output(quiet(rustc).arg("--version")).unwrap_or_default();
    match (minor(version.trim_start_matches("rustc ")), minor(env!("CARGO_PKG_RUST_VERSION"))) {
        (Some(found), Some(needed)) => found >= needed,
        _ => false,
    }
}

/// The 95 of `1.95.0 (59807616e 2026-04-14)`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// `/usr/bin/wasm-ld-22` before `/usr/bin/wasm-ld-19` before `/usr/bin/wasm-ld`.
fn newest_linker() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/usr/bin").ok()?.flatten();
    let linkers = entries.filter_map(|entry| {
        let name = entry.file_name();
        let version = name.to_str()?.strip_prefix("wasm-ld")?;
        match version.strip_prefix('-') {
            Some(version) => Some((version.parse::<u32>().ok()?, entry.path())),
            None => version.is_empty().then(|| (0, entry.path())),
        }
    });
    linkers.max().map(|(_, path)| path)
}

fn is_root() -> bool {
    output(quiet("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

fn install_debian_packages() {
    announce(quiet("apt-get").arg("update"));
    let listed = output(quiet("apt-cache").args(["search", "--names-only", "^lld-[0-9]+$"])).unwrap_or_default();
    let newest = listed.split_whitespace().filter_map(|word| word.strip_prefix("lld-")?.parse::<u32>().ok()).max();
    let linker = newest.map_or_else(|| "lld".to_owned(), |version| format!("lld-{version}"));
    let packages = ["rustc-web", "cargo-web", "rust-web-src", &linker].map(OsStr::new);
    announce(quiet("apt-get").args(["install", "-y", "--no-install-recommends"]).args(packages));
}
