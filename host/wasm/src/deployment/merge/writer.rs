//! Writes a component whose group is merged.

use std::collections::{BTreeMap, HashMap, HashSet};

use wasm_encoder::reencode::{ReencodeComponent, RoundtripReencoder};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ExportKind, InstanceSection, ModuleArg, RawSection,
};
use wasmparser::{Instance, InstantiationArg};

use super::group::{Dependence, Group};
use super::module::{Exported, KINDS, Kind, Member, OUTSIDE, Source, export_name, merged};
use super::parts::{CoreEntities, Item, Origin, Parts, references, section};
use super::{Unmergeable, refuse};

/// Writes a component with its group merged.
pub(super) struct Writer<'p, 'a> {
    parts: &'p Parts<'a>,
    group: &'p Group<'a>,
    out: Component,
    /// What the merged module exports, and the number of each.
    exports: Vec<Exported>,
    export_numbers: HashMap<Exported, usize>,
    /// What it imports, and the number of each.
    outside: Vec<Origin<'a>>,
    outside_numbers: HashMap<Origin<'a>, u32>,
    /// Instances made of single exports that others import.
    bundles: HashSet<u32>,
    new: NewNumbers<'a>,
    /// The number of the merged instance.
    merged: u32,
}

/// The numbers of what has been written.
#[derive(Default)]
struct NewNumbers<'a> {
    /// By what they were.
    core: HashMap<(Kind, u32), u32>,
    instances: HashMap<u32, u32>,
    /// By their items.
    modules: HashMap<usize, u32>,
    of_origins: HashMap<(Kind, Origin<'a>), u32>,
    next_core: [u32; KINDS],
    next_instance: u32,
    next_module: u32,
}

impl<'p, 'a> Writer<'p, 'a> {
    pub fn new(parts: &'p Parts<'a>, group: &'p Group<'a>) -> Result<Self, Unmergeable> {
        let mut writer = Self {
            parts,
            group,
            out: Component::new(),
            exports: Vec::new(),
            export_numbers: HashMap::new(),
            outside: Vec::new(),
            outside_numbers: HashMap::new(),
            bundles: HashSet::new(),
            new: NewNumbers::default(),
            merged: 0,
        };
        writer.mark()?;
        Ok(writer)
    }

    /// Finds what is used of what members export.
    fn mark(&mut self) -> Result<(), Unmergeable> {
        let (parts, group) = (self.parts, self.group);
        let mut used = Vec::new();
        for item in &parts.items {
            if let Item::Canonical { function, .. } = item {
                used.extend(references(function)?);
            }
        }
        for &argument in group.others.iter().flat_map(|instance| instance.args.values()) {
            if let Instance::FromExports(exports) = parts.instance(argument)? {
                used.extend(exports.iter().map(|export| (Kind::of(export.kind), export.index)));
                self.bundles.insert(argument);
            }
        }
        for (kind, index) in used {
            let origin = parts.origin(kind, index)?;
            self.export(&origin)?;
        }
        for instance in &group.others {
            for origin in &instance.origins {
                self.export(origin)?;
            }
        }
        Ok(())
    }

    /// Makes the merged module export an entity of a member.
    fn export(&mut self, origin: &Origin<'a>) -> Result<(), Unmergeable> {
        if let Some(member) = self.group.member(origin) {
            let (kind, index) = self.group.export(member, origin)?;
            let export = Exported { kind, member, index };
            self.export_numbers.entry(export).or_insert_with(|| {
                self.exports.push(export);
                self.exports.len() - 1
            });
        }
        Ok(())
    }

    pub fn write(mut self) -> Result<Vec<u8>, Unmergeable> {
        let (parts, group) = (self.parts, self.group);
        let place = group.members.last().map(|instance| instance.item);
        let module = match place {
            Some(_) => self.merged_module()?,
            None => Vec::new(),
        };
        let mut deferred = Vec::new();
        for (at, item) in parts.items.iter().enumerate() {
            let is_early = place.is_some_and(|place| at < place);
            match item {
                Item::CoreInstance { number, .. } if group.member_of.contains_key(number) => {
                    if place == Some(at) {
                        self.instantiate_merged(&module)?;
                        std::mem::take(&mut deferred).into_iter().try_for_each(|at| self.write_item(at))?;
                    }
                }
                _ if is_early && group.dependences[at] != Dependence::None => deferred.push(at),
                _ => self.write_item(at)?,
            }
        }
        Ok(self.out.finish())
    }

    fn merged_module(&mut self) -> Result<Vec<u8>, Unmergeable> {
        let group = self.group;
        let mut members = Vec::new();
        for instance in &group.members {
            let mut sources = Vec::new();
            for (import, origin) in instance.module.imports.iter().zip(&instance.origins) {
                sources.push(match group.member(origin) {
                    Some(member) => {
                        let (kind, index) = group.export(member, origin)?;
                        refuse(kind != Kind::of_import(import))?;
                        Source::Member { member, index }
                    }
                    None => Source::Outside(self.outside(*origin)),
                });
            }
            members.push(Member { module: &instance.module, sources });
        }
        merged(&members, self.outside.len() as u32, &self.exports)
    }

    /// The number of a function that the merged module imports.
    fn outside(&mut self, origin: Origin<'a>) -> u32 {
        let next = self.outside.len() as u32;
        *self.outside_numbers.entry(origin).or_insert_with(|| {
            self.outside.push(origin);
            next
        })
    }

    fn instantiate_merged(&mut self, module: &[u8]) -> Result<(), Unmergeable> {
        self.out.section(&RawSection { id: section::CORE_MODULE, data: module });
        let module = self.new.next_module;
        self.new.next_module += 1;
        let mut imports = Vec::new();
        for (number, origin) in std::mem::take(&mut self.outside).into_iter().enumerate() {
            imports.push((number.to_string(), Kind::Function.encoded(), self.core(Kind::Function, &origin)?));
        }
        let imports = self.bundle(imports);
        let mut instances = InstanceSection::new();
        instances.instantiate(module, [(OUTSIDE, ModuleArg::Instance(imports))]);
        self.out.section(&instances);
        self.merged = self.new.instance();
        Ok(())
    }

    fn bundle(&mut self, exports: Vec<(String, ExportKind, u32)>) -> u32 {
        let mut instances = InstanceSection::new();
        instances.export_items(exports);
        self.out.section(&instances);
        self.new.instance()
    }

    /// The number of an entity, for which an alias is written if it has none.
    fn core(&mut self, kind: Kind, origin: &Origin<'a>) -> Result<u32, Unmergeable> {
        if let Some(number) = self.new.of_origins.get(&(kind, *origin)) {
            return Ok(*number);
        }
        let Origin::Export { instance, name } = origin else { return Err(Unmergeable) };
        let mut aliases = ComponentAliasSection::new();
        let alias = |instance, name| Alias::CoreInstanceExport { instance, kind: kind.encoded(), name };
        match self.group.member(origin) {
            Some(member) => {
                let (kind, index) = self.group.export(member, origin)?;
                let number = self.export_numbers.get(&Exported { kind, member, index }).ok_or(Unmergeable)?;
                aliases.alias(alias(self.merged, &export_name(*number)));
            }
            None => {
                let instance = *self.new.instances.get(instance).ok_or(Unmergeable)?;
                aliases.alias(alias(instance, name));
            }
        }
        self.out.section(&aliases);
        Ok(self.new.core(kind, *origin))
    }

    fn write_item(&mut self, at: usize) -> Result<(), Unmergeable> {
        let parts = self.parts;
        match &parts.items[at] {
            Item::Section { id, content } => drop(self.out.section(&RawSection { id: *id, data: content })),
            Item::Component { bytes, rewritten } => {
                let data = rewritten.as_deref().unwrap_or(bytes);
                self.out.section(&RawSection { id: section::COMPONENT, data });
            }
            Item::Module(bytes) => self.write_module(at, bytes),
            Item::Alias(alias) => {
                let mut aliases = ComponentAliasSection::new();
                aliases.alias(RoundtripReencoder.component_alias(alias.clone()).map_err(|_| Unmergeable)?);
                self.out.section(&aliases);
            }
            Item::CoreAlias { .. } => {}
            Item::CoreInstance { number, instance } => self.write_instance(*number, instance)?,
            Item::Canonical { number, function } => {
                for (kind, index) in references(function)? {
                    let new = self.core(kind, &parts.origin(kind, index)?)?;
                    self.new.core.insert((kind, index), new);
                }
                let mut functions = CanonicalFunctionSection::new();
                let new = |kind, index| self.new.core.get(&(kind, index)).copied().ok_or(Unmergeable);
                CoreEntities(new).parse_component_canonical(&mut functions, function.clone())?;
                self.out.section(&functions);
                if number.is_some() {
                    self.new.core(Kind::Function, Origin::Canonical { item: at });
                }
            }
        }
        Ok(())
    }

    fn write_module(&mut self, at: usize, bytes: &[u8]) {
        if !self.is_merged_module(at) {
            self.out.section(&RawSection { id: section::CORE_MODULE, data: bytes });
            self.new.modules.insert(at, self.new.next_module);
            self.new.next_module += 1;
        }
    }

    fn is_merged_module(&self, item: usize) -> bool {
        self.group.members.iter().any(|instance| instance.module_item == item)
    }

    fn write_instance(&mut self, number: u32, instance: &Instance<'a>) -> Result<(), Unmergeable> {
        let parts = self.parts;
        match instance {
            Instance::FromExports(exports) if self.bundles.contains(&number) => {
                let mut new = Vec::new();
                for export in exports {
                    let kind = Kind::of(export.kind);
                    new.push((export.name.to_owned(), kind.encoded(), self.core(kind, &parts.origin(kind, export.index)?)?));
                }
                let bundle = self.bundle(new);
                self.new.instances.insert(number, bundle);
            }
            Instance::FromExports(_) => {}
            Instance::Instantiate { module_index, args } => {
                let mut new_args = Vec::new();
                for argument in args {
                    let instance = match self.group.member_of.contains_key(&argument.index) {
                        true => self.bundle_of_member(number, argument)?,
                        false => *self.new.instances.get(&argument.index).ok_or(Unmergeable)?,
                    };
                    new_args.push((argument.name, ModuleArg::Instance(instance)));
                }
                let module = parts.modules.get(*module_index as usize).ok_or(Unmergeable)?;
                let module = *self.new.modules.get(module).ok_or(Unmergeable)?;
                let mut instances = InstanceSection::new();
                instances.instantiate(module, new_args);
                self.out.section(&instances);
                let new = self.new.instance();
                self.new.instances.insert(number, new);
            }
        }
        Ok(())
    }

    /// What another instance imports of a member, as an instance.
    fn bundle_of_member(&mut self, importer: u32, argument: &InstantiationArg<'a>) -> Result<u32, Unmergeable> {
        let group = self.group;
        let importer = group.others.iter().find(|other| other.number == importer).ok_or(Unmergeable)?;
        let mut exports = BTreeMap::new();
        for (import, origin) in importer.module.imports.iter().zip(&importer.origins) {
            if import.module == argument.name && !exports.contains_key(import.name) {
                let kind = Kind::of_import(import);
                exports.insert(import.name, (kind, self.core(kind, origin)?));
            }
        }
        Ok(self.bundle(exports.into_iter().map(|(name, (kind, number))| (name.to_owned(), kind.encoded(), number)).collect()))
    }
}

impl<'a> NewNumbers<'a> {
    /// Numbers the core entity that was written last.
    fn core(&mut self, kind: Kind, origin: Origin<'a>) -> u32 {
        let next = &mut self.next_core[kind as usize];
        let number = *next;
        *next += 1;
        self.of_origins.insert((kind, origin), number);
        number
    }

    /// Numbers the core instance that was written last.
    fn instance(&mut self) -> u32 {
        self.next_instance += 1;
        self.next_instance - 1
    }
}
