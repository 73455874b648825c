//! Builds the examples and the fixtures to wasm, with the toolchain that the machine has or can install.
//!
//! Tried in this order: what `dacapo build` finds; `rustup target add`; and, as root with `apt-get`, Debian's packages. The
//! guests are the same with each.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use dacapo::build::rust::TARGET;
pub use dacapo::build::rust::Toolchain;

use crate::packages::lock;
use crate::workspace;

const PROFILE: &str = "guest";

/// Builds every guest. Fast when nothing has changed. Concurrent processes take turns.
pub fn build() -> Result<()> {
    build_with(find_or_install()?)
}

/// Like [`build`], with the given toolchain.
pub fn build_with(toolchain: Toolchain) -> Result<()> {
    compile(&toolchain, &packages()?)
}

/// Like [`build`], for the given guests only.
pub fn build_packages(packages: &[String]) -> Result<()> {
    compile(&find_or_install()?, packages)
}

/// The folder with the core modules of what was built: `example_<name>.wasm` and `fixture_<name>.wasm`.
pub fn folder() -> PathBuf {
    target_dir().join(TARGET).join(PROFILE)
}

/// Returns the path of the built core module of a package.
pub fn module(package: &str) -> PathBuf {
    folder().join(format!("{}.wasm", package.replace('-', "_")))
}

fn target_dir() -> PathBuf {
    workspace().join("target").join("guests")
}

fn compile(toolchain: &Toolchain, packages: &[String]) -> Result<()> {
    let target_dir = target_dir();
    std::fs::create_dir_all(&target_dir).with_context(|| format!("creating {}", target_dir.display()))?;
    let _lock = lock(&target_dir.join(".dacapo-guests.lock"), "the guests")?;
    let what = if let [package] = packages { package.clone() } else { format!("{} guests", packages.len()) };
    eprintln!("building {what} with {}", toolchain.name());
    let mut command = quiet(toolchain.cargo_build());
    command.current_dir(workspace()).args(["--profile", PROFILE, "--target-dir"]).arg(&target_dir);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let status = command.status().context("starting cargo to build the guests")?;
    ensure!(status.success(), "building the guests failed ({status}); see cargo's output above");
    Ok(())
}

/// Returns the toolchain of the machine, or else installs one.
fn find_or_install() -> Result<Toolchain> {
    if let Some(toolchain) = Toolchain::find() {
        return Ok(toolchain);
    }
    if runs("rustup", &["--version"]) {
        eprintln!("adding the target {TARGET} with rustup");
        announce(quiet(Command::new("rustup")).args(["target", "add", TARGET]));
        if let Some(toolchain) = Toolchain::with_target() {
            return Ok(toolchain);
        }
    }
    if is_root() && runs("apt-get", &["--version"]) {
        eprintln!("installing Debian's wasm toolchain with apt-get");
        install_debian_packages();
        if let Some(toolchain) = Toolchain::debian() {
            return Ok(toolchain);
        }
    }
    bail!(
        "no toolchain here compiles guests to {TARGET}. With rustup:\n\n    rustup target add {TARGET}\n\n\
         On Debian, as root (take the newest lld-NN that `apt-cache search --names-only '^lld-[0-9]+$'` lists):\n\n    \
         apt-get update && apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src lld-NN"
    )
}

/// A folder with a `Cargo.toml` in one of these contains a guest; the prefix and the folder's name are the name of its package.
const FOLDERS: [(&str, &str); 5] = [
    ("examples", "example"),
    ("examples/polyglot", "example-polyglot"),
    ("tests/fixtures", "fixture"),
    ("tests/fixtures/conformance", "fixture-conformance"),
    ("tests/fixtures/triggers", "fixture-triggers"),
];

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

/// Removes the environment variables that an outer cargo sets for its own build.
pub fn quiet(mut command: Command) -> Command {
    const OURS: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let set: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for (name, _) in std::env::vars_os().filter(|(name, _)| !set.contains(name)) {
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
    output(quiet(Command::new(program)).args(arguments)).is_some()
}

/// Runs a step that may fail: the caller checks whether the toolchain exists afterwards.
fn announce(command: &mut Command) {
    if let Err(error) = command.status() {
        eprintln!("{}: {error}", command.get_program().display());
    }
}

fn is_root() -> bool {
    output(quiet(Command::new("id")).arg("-u")).is_some_and(|id| id.trim() == "0")
}

fn install_debian_packages() {
    announce(quiet(Command::new("apt-get")).arg("update"));
    let listed = output(quiet(Command::new("apt-cache")).args(["search", "--names-only", "^lld-[0-9]+$"])).unwrap_or_default();
    let newest = listed.split_whitespace().filter_map(|word| word.strip_prefix("lld-")?.parse::<u32>().ok()).max();
    let linker = newest.map_or_else(|| "lld".to_owned(), |version| format!("lld-{version}"));
    let packages = ["rustc-web", "cargo-web", "rust-web-src", &linker].map(OsStr::new);
    announce(quiet(Command::new("apt-get")).args(["install", "-y", "--no-install-recommends"]).args(packages));
}
