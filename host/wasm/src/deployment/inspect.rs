//! Inspects a file without a host, and keeps nothing of it: what it is, and whether it can be deployed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dacapo_core::FunctionKind;
use serde::Serialize;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Validator, WasmFeatures};

use crate::config::GuestLimits;
use crate::deployment::cache;
use crate::deployment::compile::{ModuleError, compile};
use crate::deployment::imports::{self, ImportedInterface};
use crate::deployment::outline::{Memory, Outline};
use crate::deployment::report::{self, Finding};
use crate::deployment::wrap::{self, Layer, wrap};
use crate::engine;
use crate::guest::activity;
use crate::guest::deterministic;
use crate::guest::prepared::{Alone, Prepared};
use crate::{DeployError, Manifest, SetupError};

/// Exports that the host calls or the canonical ABI needs.
const USED_EXPORTS: [&str; 9] = [
    "describe",
    "describe-triggers",
    "run-orchestrator",
    "run-activity",
    "run-entity-operation",
    "run-trigger",
    "memory",
    "cabi_realloc",
    "_initialize",
];

/// What a file is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// None: it is not WebAssembly.
    pub kind: Option<FileKind>,
    pub bytes: u64,
    /// The digest that identifies it on a host.
    pub version: String,
    /// In the order in which the app describes them.
    pub functions: Vec<InspectedFunction>,
    pub imports: Vec<ImportedInterface>,
    /// Exports that the host does not use.
    pub other_exports: Vec<String>,
    /// The memories of all its modules.
    pub memories: Vec<Memory>,
    pub manifest: Option<Manifest>,
    /// Imports that trap in its orchestrators and entities, and their callers. Empty if it has no such functions.
    pub report: Vec<Finding>,
    /// Why it cannot be deployed, a sentence each. Empty: it can.
    pub troubles: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    Component,
    /// A core module that follows the canonical ABI's names.
    CoreModule,
    /// The same, on WASI preview 1, for which the host has an adapter.
    CoreModuleWithPreview1,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedFunction {
    pub name: String,
    pub kind: &'static str,
    /// Of a trigger: what starts it, and what it returns to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bindings: Option<String>,
}

/// Inspects a file. Compiles it if nothing was found wrong before, which takes seconds for a large one.
///
/// Fails only if this machine cannot run guests.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, SetupError> {
    let mut inspection = Inspection {
        kind: None,
        bytes: wasm.len() as u64,
        version: cache::version_of(wasm).to_string(),
        functions: Vec::new(),
        imports: Vec::new(),
        other_exports: Vec::new(),
        memories: Vec::new(),
        manifest: None,
        report: Vec::new(),
        troubles: Vec::new(),
    };
    // Libraries parse untrusted bytes here, and some panic on them.
    match catch_unwind(AssertUnwindSafe(|| inspection.look_at(wasm))) {
        Ok(looked) => looked?,
        Err(_) => inspection.refuse([DeployError::invalid(format_args!("the compiler panicked on it"))]),
    }
    Ok(inspection)
}

impl Inspection {
    /// Whether it can be deployed.
    pub fn fits(&self) -> bool {
        self.troubles.is_empty()
    }

    fn refuse(&mut self, why: impl IntoIterator<Item = DeployError>) {
        self.troubles.extend(why.into_iter().map(|why| why.to_string()));
    }

    fn look_at(&mut self, wasm: &[u8]) -> Result<(), SetupError> {
        if let Err(why) = self.read(wasm) {
            self.refuse(why);
        }
        match self.fits() {
            true => self.run(wasm),
            false => Ok(()),
        }
    }

    /// Reads what can be seen without running it. Returns everything that is wrong as the error.
    fn read(&mut self, wasm: &[u8]) -> Result<(), Vec<DeployError>> {
        let layer = Layer::of(wasm).map_err(|why| vec![why.into()])?;
        self.kind = Some(if layer == Layer::Component { FileKind::Component } else { FileKind::CoreModule });
        let outline = Outline::of(wasm).map_err(|why| vec![DeployError::invalid(format_args!("{why}"))])?;
        self.outline(layer, &outline);
        self.manifest = Manifest::read(wasm).map_err(|why| vec![why])?;
        let component = wrap(wasm).map_err(|why| {
            self.imports = imports_of_module(&outline);
            let all = if layer == Layer::Module { wrap::lacks(&outline) } else { Vec::new() };
            let all = if all.is_empty() { vec![why] } else { all };
            all.into_iter().map(DeployError::from).collect::<Vec<_>>()
        })?;
        self.imports = imports_of_component(&component).map_err(|why| vec![why.into()])?;
        let unknown = self.imports.iter().filter_map(|import| imports::unknown(&import.interface));
        let unknown: Vec<DeployError> = unknown.map(DeployError::from).collect();
        if unknown.is_empty() { Ok(()) } else { Err(unknown) }
    }

    fn outline(&mut self, layer: Layer, outline: &Outline<'_>) {
        if layer == Layer::Module && outline.imports_of(PREVIEW1) {
            self.kind = Some(FileKind::CoreModuleWithPreview1);
        }
        self.memories.clone_from(&outline.memories);
        let is_other = |name: &&&str| !USED_EXPORTS.contains(name) && !name.starts_with("cabi_post_");
        self.other_exports = outline.exports.iter().filter(is_other).map(|name| (*name).to_owned()).collect();
    }

    /// Compiles it, and asks it for its functions.
    fn run(&mut self, wasm: &[u8]) -> Result<(), SetupError> {
        let failed = |why: wasmtime::Error| SetupError::Engine(format!("{why:#}"));
        let most = GuestLimits::default();
        let engine = engine::inspector(&most).map_err(failed)?;
        let deterministic = deterministic::linker(&engine).map_err(failed)?;
        let activities = activity::linker(&engine).map_err(failed)?;
        let prepared = compile(&engine, wasm).map_err(DeployError::from).and_then(|component| {
            let alone = Alone { component: component.clone(), linker: deterministic.clone() };
            Prepared::new(component, || alone.describe(&most), &deterministic, &activities)
        });
        match prepared {
            Ok(prepared) => self.describe(&prepared, wasm),
            Err(why) => self.refuse([why]),
        }
        Ok(())
    }

    fn describe(&mut self, prepared: &Prepared, wasm: &[u8]) {
        let function = |(name, kind): &(dacapo_core::FunctionName, FunctionKind)| InspectedFunction {
            name: name.to_string(),
            kind: kind.name(),
            bindings: prepared.bindings_of(name).map(str::to_owned),
        };
        self.functions = prepared.functions.iter().map(function).collect();
        self.report = report::findings(prepared.denied_in_orchestrators(), wasm);
    }
}

/// The imports of a core module, by the module that they are imported from.
fn imports_of_module(outline: &Outline<'_>) -> Vec<ImportedInterface> {
    let mut imports: Vec<ImportedInterface> = Vec::new();
    for import in &outline.imports {
        match imports.iter_mut().find(|known| known.interface == import.module) {
            Some(known) => known.functions.push(import.name.to_owned()),
            None => imports.push(ImportedInterface::new(import.module, vec![import.name.to_owned()])),
        }
    }
    imports
}

/// The interfaces that a component imports, with their functions. (Imported types are left out: they need nothing of the host.)
fn imports_of_component(component: &[u8]) -> Result<Vec<ImportedInterface>, ModuleError> {
    let invalid = |why: wasmparser::BinaryReaderError| ModuleError::invalid(format_args!("{why}"));
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(component).map_err(invalid)?;
    let outline = Outline::of(component).map_err(invalid)?;
    let import = |name: &str| match types.component_item_for_import(name)?.ty {
        ComponentEntityType::Type { .. } => None,
        ComponentEntityType::Instance(instance) => {
            let exports = types[instance].exports.iter();
            let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
            Some(ImportedInterface::new(name, functions.map(|(name, _)| name.clone()).collect()))
        }
        _ => Some(ImportedInterface::new(name, Vec::new())),
    };
    Ok(outline.imports.iter().filter_map(|imported| import(imported.name)).collect())
}
