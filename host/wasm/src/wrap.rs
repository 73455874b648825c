//! Makes a component of what was deployed.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider as adapter;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use crate::compile::ModuleError;

/// The first eight bytes of a wasm file: the magic number, and the version with the layer.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

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
    let mut encoder =
        ComponentEncoder::default().validate(true).module(bytes).map_err(|why| ModuleError::invalid(format_args!("{why:#}")))?;
    if imports_preview1(bytes).map_err(|why| ModuleError::invalid(format_args!("{why}")))? {
        // A library's adapter, not a command's: the host calls the guest as often as it likes.
        encoder = encoder
            .adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .expect("the adapter is part of the host");
    }
    encoder.encode().map_err(|why| ModuleError::unwrappable(format_args!("{why:#}")))
}

/// An adapter that is not needed is not only idle: its interfaces would have to agree with the module's.
fn imports_preview1(bytes: &[u8]) -> wasmparser::Result<bool> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                if import?.module == adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
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
