//! A component, as the list of its definitions.

use std::collections::HashMap;

use wasm_encoder::CanonicalFunctionSection;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, FromReader, Instance, SectionLimited,
};

use super::module::{KINDS, Kind};
use super::{Unmergeable, refuse, rewritten};

/// The numbers by which a component's binary form tells its sections apart.
pub(super) mod section {
    pub const CUSTOM: u8 = 0;
    pub const CORE_MODULE: u8 = 1;
    pub const CORE_INSTANCE: u8 = 2;
    pub const COMPONENT: u8 = 4;
    pub const INSTANCE: u8 = 5;
    pub const ALIAS: u8 = 6;
    pub const TYPE: u8 = 7;
    pub const CANONICAL: u8 = 8;
    pub const IMPORT: u8 = 10;
    pub const EXPORT: u8 = 11;
}

/// The bytes before the sections of a module or a component.
const HEADER_BYTES: usize = 8;

/// A definition of a component, or a section of which no definition is moved or changed.
pub(super) enum Item<'a> {
    Section {
        id: u8,
        content: &'a [u8],
    },
    Module(&'a [u8]),
    Component {
        bytes: &'a [u8],
        rewritten: Option<Vec<u8>>,
    },
    CoreInstance {
        number: u32,
        instance: Instance<'a>,
    },
    /// Written where it is needed.
    CoreAlias {
        instance: u32,
        name: &'a str,
    },
    Alias(ComponentAlias<'a>),
    /// The number of the core function that it defines, if it does.
    Canonical {
        number: Option<u32>,
        function: CanonicalFunction,
    },
}

/// A component, as a list of definitions.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub items: Vec<Item<'a>>,
    /// The items that define the core entities of each kind, the core instances, and the core modules.
    pub core: [Vec<usize>; KINDS],
    pub instances: Vec<usize>,
    pub modules: Vec<usize>,
    /// What each core instance that is made of single exports exports.
    bundles: HashMap<(u32, &'a str), (Kind, u32)>,
    /// Whether a component in it has been rewritten.
    pub is_changed: bool,
}

/// Where a core entity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin<'a> {
    /// An export of an instance of a module.
    Export { instance: u32, name: &'a str },
    /// An item that defines a function.
    Canonical { item: usize },
}

impl<'a> Parts<'a> {
    pub fn read(component: &'a [u8]) -> Result<Self, Unmergeable> {
        let mut parts = Self::default();
        let mut reader = BinaryReader::new(component.get(HEADER_BYTES..).ok_or(Unmergeable)?, HEADER_BYTES);
        while !reader.eof() {
            let (id, size) = (reader.read_u8()?, reader.read_var_u32()?);
            let content = reader.read_bytes(size as usize)?;
            parts.read_section(id, content)?;
        }
        Ok(parts)
    }

    fn read_section(&mut self, id: u8, content: &'a [u8]) -> Result<(), Unmergeable> {
        match id {
            // Names of entities by their numbers, which change.
            section::CUSTOM => return Ok(()),
            section::CORE_MODULE => {
                self.modules.push(self.items.len());
                self.items.push(Item::Module(content));
                return Ok(());
            }
            section::COMPONENT => {
                let rewritten = rewritten(content)?;
                self.is_changed |= rewritten.is_some();
                self.items.push(Item::Component { bytes: content, rewritten });
                return Ok(());
            }
            section::CORE_INSTANCE => return self.read_instances(content),
            section::ALIAS => return self.read_aliases(content),
            section::CANONICAL => {
                for function in definitions::<CanonicalFunction>(content)? {
                    let function = function?;
                    let is_core = !matches!(function, CanonicalFunction::Lift { .. });
                    let number = is_core.then(|| self.number(Kind::Function));
                    self.items.push(Item::Canonical { number, function });
                }
                return Ok(());
            }
            section::TYPE => {
                for ty in definitions::<ComponentType<'_>>(content)? {
                    refuse(matches!(ty?, ComponentType::Resource { dtor: Some(_), .. }))?;
                }
            }
            section::IMPORT => {
                for import in definitions::<wasmparser::ComponentImport<'_>>(content)? {
                    refuse(matches!(import?.ty, ComponentTypeRef::Module(_)))?;
                }
            }
            section::EXPORT => {
                for export in definitions::<wasmparser::ComponentExport<'_>>(content)? {
                    refuse(export?.kind == ComponentExternalKind::Module)?;
                }
            }
            section::INSTANCE => {
                for instance in definitions::<ComponentInstance<'_>>(content)? {
                    let is_module = |kind: &ComponentExternalKind| *kind == ComponentExternalKind::Module;
                    refuse(match instance? {
                        ComponentInstance::Instantiate { args, .. } => args.iter().any(|argument| is_module(&argument.kind)),
                        ComponentInstance::FromExports(exports) => exports.iter().any(|export| is_module(&export.kind)),
                    })?;
                }
            }
            _ => {}
        }
        self.items.push(Item::Section { id, content });
        Ok(())
    }

    fn read_instances(&mut self, content: &'a [u8]) -> Result<(), Unmergeable> {
        for instance in definitions::<Instance<'a>>(content)? {
            let (instance, number) = (instance?, self.instances.len() as u32);
            if let Instance::FromExports(exports) = &instance {
                let exports = exports.iter().map(|export| ((number, export.name), (Kind::of(export.kind), export.index)));
                self.bundles.extend(exports);
            }
            self.instances.push(self.items.len());
            self.items.push(Item::CoreInstance { number, instance });
        }
        Ok(())
    }

    fn read_aliases(&mut self, content: &'a [u8]) -> Result<(), Unmergeable> {
        for alias in definitions::<ComponentAlias<'a>>(content)? {
            let item = match alias? {
                ComponentAlias::CoreInstanceExport { kind, instance_index: instance, name } => {
                    self.number(Kind::of(kind));
                    Item::CoreAlias { instance, name }
                }
                ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
                | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => return Err(Unmergeable),
                alias => Item::Alias(alias),
            };
            self.items.push(item);
        }
        Ok(())
    }

    /// The number of the core entity that the next item defines.
    fn number(&mut self, kind: Kind) -> u32 {
        let of_kind = &mut self.core[kind as usize];
        of_kind.push(self.items.len());
        of_kind.len() as u32 - 1
    }

    pub fn instance(&self, number: u32) -> Result<&Instance<'a>, Unmergeable> {
        match self.instances.get(number as usize).map(|&item| &self.items[item]) {
            Some(Item::CoreInstance { instance, .. }) => Ok(instance),
            _ => Err(Unmergeable),
        }
    }

    /// Follows aliases, and instances that are made of single exports.
    pub fn origin(&self, mut kind: Kind, mut index: u32) -> Result<Origin<'a>, Unmergeable> {
        loop {
            let item = *self.core[kind as usize].get(index as usize).ok_or(Unmergeable)?;
            let Item::CoreAlias { instance, name, .. } = self.items[item] else { return Ok(Origin::Canonical { item }) };
            match self.instance(instance)? {
                Instance::Instantiate { .. } => return Ok(Origin::Export { instance, name }),
                // What it is made of was defined before it, so this ends.
                Instance::FromExports(_) => (kind, index) = *self.bundles.get(&(instance, name)).ok_or(Unmergeable)?,
            }
        }
    }

    pub fn origin_of_export(&self, instance: u32, name: &'a str) -> Result<Origin<'a>, Unmergeable> {
        match self.instance(instance)? {
            Instance::Instantiate { .. } => Ok(Origin::Export { instance, name }),
            Instance::FromExports(_) => {
                let (kind, index) = *self.bundles.get(&(instance, name)).ok_or(Unmergeable)?;
                self.origin(kind, index)
            }
        }
    }
}

fn definitions<'a, T: FromReader<'a>>(content: &'a [u8]) -> Result<SectionLimited<'a, T>, Unmergeable> {
    Ok(SectionLimited::new(BinaryReader::new(content, 0))?)
}

/// The core entities to which a canonical function refers.
pub(super) fn references(function: &CanonicalFunction) -> Result<Vec<(Kind, u32)>, Unmergeable> {
    let mut references = Vec::new();
    let note = |kind, index| {
        references.push((kind, index));
        Ok(index)
    };
    CoreEntities(note).parse_component_canonical(&mut CanonicalFunctionSection::new(), function.clone())?;
    Ok(references)
}

/// Calls a function with each core entity to which a canonical function refers. It returns the new number.
pub(super) struct CoreEntities<F>(pub F);

impl<F: FnMut(Kind, u32) -> Result<u32, Unmergeable>> Reencode for CoreEntities<F> {
    type Error = Unmergeable;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        (self.0)(Kind::Function, index).map_err(Error::UserError)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        (self.0)(Kind::Memory, index).map_err(Error::UserError)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        (self.0)(Kind::Table, index).map_err(Error::UserError)
    }
}

impl<F: FnMut(Kind, u32) -> Result<u32, Unmergeable>> ReencodeComponent for CoreEntities<F> {}
