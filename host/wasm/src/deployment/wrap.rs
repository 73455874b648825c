//! Wraps a deployed core module into a component.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider as adapter;
use wasmparser::{Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, WorldKey};

use crate::deployment::compile::ModuleError;
use crate::deployment::imports;
use crate::deployment::outline::Outline;

/// The first eight bytes of a wasm file: the magic number, and the version with the layer.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// The contract that a module which names no world is assumed to follow.
const CONTRACT: &str = include_str!("../../../../guest-sdk/wit/dacapo.wit");
const WORLD: &str = "app";
/// The exports that every app needs, and why. Others depend on the app's functions.
const NEEDED: [(&str, &str); 3] = [
    ("describe", "it tells the host the app's functions"),
    ("memory", "strings are passed through it"),
    ("cabi_realloc", "the host calls it to allocate memory for the strings that it passes"),
];

/// What kind of wasm a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Component,
    Module,
}

impl Layer {
    pub fn of(bytes: &[u8]) -> Result<Self, ModuleError> {
        match bytes.first_chunk() {
            Some(&COMPONENT) => Ok(Layer::Component),
            Some(&MODULE) => Ok(Layer::Module),
            _ => Err(ModuleError::NotWasm { hint: hint(bytes).to_owned() }),
        }
    }
}

/// A component stays as it is. A core module that follows the canonical ABI's names is wrapped into one, with the
/// adapter for WASI preview 1 if it imports that.
pub(crate) fn wrap(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    match Layer::of(bytes)? {
        Layer::Component => Ok(Cow::Borrowed(bytes)),
        Layer::Module => wrap_module(bytes).map(Cow::Owned),
    }
}

fn wrap_module(bytes: &[u8]) -> Result<Vec<u8>, ModuleError> {
    // The encoder takes a well-formed module for granted, and panics on one that is cut off.
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(bytes)
        .map_err(|why| ModuleError::invalid(format_args!("{why}")))?;
    let outline = Outline::of(bytes).map_err(|why| ModuleError::invalid(format_args!("{why}")))?;
    if let Some(why) = lacks(&outline).into_iter().next() {
        return Err(why);
    }
    let module = if outline.names_its_world { Cow::Borrowed(bytes) } else { Cow::Owned(with_world(bytes, &outline)) };
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .map_err(|why| ModuleError::invalid(format_args!("{why:#}")))?;
    // An unneeded adapter would do harm: its interfaces would have to agree with the module's.
    if outline.imports_of(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME) {
        // The adapter for a reactor, not for a command: the host calls the guest any number of times.
        encoder = encoder
            .adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .expect("the adapter is part of the host");
    }
    encoder.encode().map_err(|why| ModuleError::unwrappable(format_args!("{why:#}")))
}

/// Returns the module with the metadata of the contract's world, less the exports that it does not have.
fn with_world(bytes: &[u8], outline: &Outline<'_>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("dacapo.wit", CONTRACT).expect("the contract is WIT");
    let world = resolve.select_world(&[package], Some(WORLD)).expect("the contract has the world");
    resolve.worlds[world].exports.retain(|name, _| match name {
        WorldKey::Name(name) => outline.has_export(name),
        WorldKey::Interface(_) => true,
    });
    let mut module = bytes.to_vec();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a world of the contract can be written down");
    module
}

/// Returns everything that a core module which names no world lacks. (If it names one, the encoder checks that.)
pub(crate) fn lacks(outline: &Outline<'_>) -> Vec<ModuleError> {
    if outline.names_its_world {
        return Vec::new();
    }
    if outline.has_export("_start") && !outline.has_export("describe") {
        return vec![ModuleError::Program];
    }
    let missing = NEEDED.iter().filter(|(export, _)| !outline.has_export(export));
    let missing = missing.map(|(export, why)| ModuleError::MissingExport { export: (*export).into(), why: (*why).into() });
    let foreign = outline.imports.iter().filter(|import| !is_offered_to_modules(import.module));
    let foreign = foreign.map(|import| ModuleError::unlinked(&format!("{}::{}", import.module, import.name)));
    missing.chain(foreign).collect()
}

fn is_offered_to_modules(module: &str) -> bool {
    module == adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME || imports::is_of_the_contract(module)
}

fn hint(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    if bytes.is_empty() {
        "it is empty"
    } else if start.starts_with(b"(module") || start.starts_with(b"(component") {
        "it is wasm in text form: assemble it first"
    } else if bytes.starts_with(b"\x7fELF") {
        "it is a program for this machine: compile for the target wasm32-unknown-unknown"
    } else if bytes.starts_with(b"\0asm") {
        "it is cut off or of an unknown version of wasm"
    } else {
        "it does not begin with the bytes 00 61 73 6d"
    }
}
