//! Makes a component of what was deployed.

use std::borrow::Cow;
use std::collections::HashSet;

use wasi_preview1_component_adapter_provider as adapter;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, WorldKey};

use crate::compile::ModuleError;

/// The first eight bytes of a wasm file: the magic number, and the version with the layer.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// What a module is written for that does not say it.
const CONTRACT: &str = include_str!("../../../guest-sdk/wit/dacapo.wit");
const WORLD: &str = "app";
/// What every app has.
const DESCRIBE: &str = "describe";
/// Where tool chains write down what world a module is written for.
const WORLD_SECTION: &str = "component-type";

/// A component stays as it is. A core module that follows the canonical ABI's names is wrapped into one, with the
/// adapter for WASI preview 1 if it imports that.
pub(crate) fn wrap(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    match bytes.first_chunk() {
        Some(&COMPONENT) => Ok(Cow::Borrowed(bytes)),
        Some(&MODULE) => wrap_module(bytes).map(Cow::Owned),
        _ => Err(ModuleError::NotWasm { hint: hint(bytes).to_owned() }),
    }
}

fn wrap_module(bytes: &[u8]) -> Result<Vec<u8>, ModuleError> {
    // The encoder takes a well-formed module for granted, and panics at one that is cut off.
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(bytes)
        .map_err(|why| ModuleError::invalid(format_args!("{why}")))?;
    let outline = Outline::of(bytes).map_err(|why| ModuleError::invalid(format_args!("{why}")))?;
    let module = if outline.names_its_world { Cow::Borrowed(bytes) } else { outline.with_world(bytes).map(Cow::Owned)? };
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .map_err(|why| ModuleError::invalid(format_args!("{why:#}")))?;
    // An adapter that is not needed is not only idle: its interfaces would have to agree with the module's.
    if outline.imports_preview1 {
        // A library's adapter, not a command's: the host calls the guest as often as it likes.
        encoder = encoder
            .adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .expect("the adapter is part of the host");
    }
    encoder.encode().map_err(|why| ModuleError::unwrappable(format_args!("{why:#}")))
}

/// What decides how a core module is wrapped.
#[derive(Default)]
struct Outline<'a> {
    imports_preview1: bool,
    names_its_world: bool,
    exports: HashSet<&'a str>,
}

impl<'a> Outline<'a> {
    fn of(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        outline.imports_preview1 |= import?.module == adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        outline.exports.insert(export?.name);
                    }
                }
                Payload::CustomSection(section) => outline.names_its_world |= section.name().starts_with(WORLD_SECTION),
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The module, written for the contract's world without the exports that it does not have.
    fn with_world(&self, bytes: &[u8]) -> Result<Vec<u8>, ModuleError> {
        if !self.exports.contains(DESCRIBE) {
            let reason = format!("the core module exports no function `{DESCRIBE}`");
            return Err(ModuleError::WrongWorld { reason });
        }
        let mut resolve = Resolve::default();
        let package = resolve.push_str("dacapo.wit", CONTRACT).expect("the contract is WIT");
        let world = resolve.select_world(&[package], Some(WORLD)).expect("the contract has the world");
        resolve.worlds[world].exports.retain(|name, _| match name {
            WorldKey::Name(name) => self.exports.contains(name.as_str()),
            WorldKey::Interface(_) => true,
        });
        let mut module = bytes.to_vec();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("a world of the contract can be written down");
        Ok(module)
    }
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
