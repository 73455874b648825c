//! Shared by the end-to-end tests, the demo, the crash test and the benchmark.
//!
//! - [`fuzz`] makes harmful input from bytes.
//! - [`guests`] builds the examples and fixtures in Rust to wasm, [`languages`] those in other languages; [`packages`] installs
//!   their dependencies.
//! - [`host`] runs a real `dacapo serve`.
//! - [`clients`] drives the real client packages of Durable Functions against it.
//! - [`crash`] kills it repeatedly and checks what is left.
//! - [`attack`] attacks it with a hostile app and hostile clients, beside honest ones.
//! - [`connection`] is a persistent HTTP connection; [`wire`] sends bytes that no HTTP client would send.
//! - [`trigger_guest`] makes guests with triggers.
//! - [`model`] sends it random operations and compares the results with a model.

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
/// The expected results of the random programs of the fixture `interpreter`.
#[path = "../fixtures/interpreter/src/program.rs"]
pub mod program;
pub mod trigger_guest;
pub mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is in the workspace")
}

/// The wasm module of a guest package, such as `example-hello-sequence`.
pub fn guest(package: &str) -> Result<Vec<u8>> {
    let path = guest_path(package)?;
    std::fs::read(&path).with_context(|| format!("reading the guest {}", path.display()))
}

/// Returns the path of the wasm module of a guest package. All guests are built first, once per process.
pub fn guest_path(package: &str) -> Result<PathBuf> {
    static BUILT: std::sync::OnceLock<std::result::Result<(), String>> = std::sync::OnceLock::new();
    let built = BUILT.get_or_init(|| guests::build().map_err(|error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(guests::module(package))
}
