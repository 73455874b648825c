//! What the end-to-end tests, the demo, the crash test and the benchmark share.
//!
//! - [`fuzz`] makes of bytes whatever does harm.
//! - [`guests`] builds the examples and fixtures in Rust to wasm, [`languages`] those in other languages; [`packages`] installs
//!   what that needs.
//! - [`host`] runs a real `dacapo serve`.
//! - [`clients`] drives the real client packages of Durable Functions against it.
//! - [`crash`] kills it again and again and checks what is left.
//! - [`attack`] lets a hostile app and hostile clients at it, beside honest ones.
//! - [`connection`] keeps a connection open; [`wire`] sends what no HTTP client would.
//! - [`model`] asks it for random things and checks what it shows.

pub mod attack;
pub mod clients;
pub mod connection;
pub mod crash;
pub mod fuzz;
pub mod guests;
pub mod host;
pub mod languages;
pub mod model;
pub mod packages;
/// What the random programs of the fixture `interpreter` must return.
#[path = "../fixtures/interpreter/src/program.rs"]
pub mod program;
pub mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace")
}

/// The wasm module of a guest package, such as `example-hello-sequence`.
pub fn guest(package: &str) -> Result<Vec<u8>> {
    let path = guest_path(package)?;
    std::fs::read(&path).with_context(|| format!("reading the guest {}", path.display()))
}

/// Where the wasm module of a guest package lies. All guests are built first, once in this process.
pub fn guest_path(package: &str) -> Result<PathBuf> {
    static BUILT: std::sync::OnceLock<std::result::Result<(), String>> = std::sync::OnceLock::new();
    let built = BUILT.get_or_init(|| guests::build().map_err(|error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(guests::module(package))
}
