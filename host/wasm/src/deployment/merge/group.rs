//! Which core instances of a component are merged.

use std::collections::{HashMap, HashSet};

use wasmparser::{CanonicalFunction, Instance, InstantiationArg};

use super::Unmergeable;
use super::module::{CoreModule, Kind};
use super::parts::{Item, Origin, Parts, references};

/// The most memories and tables that are merged into one module: a slot of the engine's pool has as many.
const MEMORIES_MAX: usize = 1;
const TABLES_MAX: usize = 4;

/// The most entries (imports, exports, functions, globals) of merged modules: each takes 32 bytes at most of what the engine keeps
/// for an instance of a module, of which it allows 1 MiB. Python's modules have 21,000.
const WEIGHT_MAX: usize = 30_000;

/// How an entity depends on the members of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dependence {
    /// It does not.
    None,
    /// It is an export of a member.
    Export,
    /// Through something that is not merged, such as a lowered function that uses a member's memory.
    Beyond,
}

/// An instance of a core module.
pub(super) struct CoreInstance<'a> {
    pub number: u32,
    pub item: usize,
    pub module_item: usize,
    pub module: CoreModule<'a>,
    /// The instances of which it imports, by the names that the module has for them.
    pub args: HashMap<&'a str, u32>,
    /// Where its imports come from.
    pub origins: Vec<Origin<'a>>,
    pub exports: HashMap<&'a str, (Kind, u32)>,
}

impl<'a> CoreInstance<'a> {
    fn of(parts: &Parts<'a>, item: usize, number: u32, module: u32, args: &[InstantiationArg<'a>]) -> Result<Self, Unmergeable> {
        let module_item = *parts.modules.get(module as usize).ok_or(Unmergeable)?;
        let Item::Module(bytes) = parts.items[module_item] else { return Err(Unmergeable) };
        let module = CoreModule::parse(bytes)?;
        let args: HashMap<_, _> = args.iter().map(|argument| (argument.name, argument.index)).collect();
        let mut origins = Vec::new();
        for import in &module.imports {
            let instance = *args.get(import.module).ok_or(Unmergeable)?;
            origins.push(parts.origin_of_export(instance, import.name)?);
        }
        let exports = module.exports.iter().map(|export| (export.name, (Kind::of(export.kind), export.index))).collect();
        Ok(Self { number, item, module_item, module, args, origins, exports })
    }
}

/// The instances whose modules are merged.
pub(super) struct Group<'a> {
    /// Those that are merged, in order.
    pub members: Vec<CoreInstance<'a>>,
    /// Those that are not.
    pub others: Vec<CoreInstance<'a>>,
    /// By the number of the instance: its index among the members.
    pub member_of: HashMap<u32, usize>,
    /// Of each item.
    pub dependences: Vec<Dependence>,
}

/// What later members must respect, so that nothing notices that they are instantiated before those that are not merged.
#[derive(Default)]
struct Barriers<'a> {
    is_closed: bool,
    /// Tables that instances fill which are not merged.
    filled: HashSet<Origin<'a>>,
    any_beyond: bool,
}

impl<'a> Group<'a> {
    pub fn of(parts: &Parts<'a>) -> Result<Self, Unmergeable> {
        let mut group = Self { members: Vec::new(), others: Vec::new(), member_of: HashMap::new(), dependences: Vec::new() };
        let mut instances: HashMap<u32, usize> = HashMap::new();
        for item in &parts.items {
            if let Item::CoreInstance { instance: Instance::Instantiate { module_index, .. }, .. } = item {
                *instances.entry(*module_index).or_default() += 1;
            }
        }
        let mut barriers = Barriers::default();
        for (at, item) in parts.items.iter().enumerate() {
            let dependence = match item {
                Item::CoreAlias { instance, name, .. } => group.dependence(&parts.origin_of_export(*instance, name)?, parts),
                Item::Canonical { function, .. } => group.canonical(function, parts, &mut barriers)?,
                Item::CoreInstance { instance: Instance::FromExports(exports), .. } => {
                    let exports = exports.iter().map(|export| (Kind::of(export.kind), export.index));
                    group.any_depends(exports, parts)?
                }
                Item::CoreInstance { number, instance: Instance::Instantiate { module_index, args } } => {
                    let instance = CoreInstance::of(parts, at, *number, *module_index, args)?;
                    let is_only = instances.get(module_index) == Some(&1);
                    group.instantiate(parts, instance, is_only, &mut barriers)
                }
                Item::Section { .. } | Item::Module(_) | Item::Component { .. } | Item::Alias(_) => Dependence::None,
            };
            group.dependences.push(dependence);
        }
        Ok(group)
    }

    /// A group of one is none.
    pub fn unless_alone(mut self) -> Self {
        if self.members.len() == 1 {
            self.others.append(&mut self.members);
            self.member_of.clear();
            self.dependences.fill(Dependence::None);
        }
        self
    }

    fn dependence(&self, origin: &Origin<'a>, parts: &Parts<'a>) -> Dependence {
        match origin {
            Origin::Export { instance, .. } if self.member_of.contains_key(instance) => Dependence::Export,
            Origin::Export { instance, .. } => self.dependences[parts.instances[*instance as usize]],
            Origin::Canonical { item } => self.dependences[*item],
        }
    }

    fn canonical(
        &self,
        function: &CanonicalFunction,
        parts: &Parts<'a>,
        barriers: &mut Barriers<'a>,
    ) -> Result<Dependence, Unmergeable> {
        let dependence = self.any_depends(references(function)?, parts)?;
        // What is lifted may come back in as a lowered function of another component.
        barriers.is_closed |= dependence != Dependence::None && matches!(function, CanonicalFunction::Lift { .. });
        Ok(dependence)
    }

    /// How what uses these entities depends on members.
    fn any_depends(&self, entities: impl IntoIterator<Item = (Kind, u32)>, parts: &Parts<'a>) -> Result<Dependence, Unmergeable> {
        let mut depends = false;
        for (kind, index) in entities {
            depends |= self.dependence(&parts.origin(kind, index)?, parts) != Dependence::None;
        }
        Ok(if depends { Dependence::Beyond } else { Dependence::None })
    }

    fn instantiate(
        &mut self,
        parts: &Parts<'a>,
        instance: CoreInstance<'a>,
        is_only: bool,
        barriers: &mut Barriers<'a>,
    ) -> Dependence {
        let module = &instance.module;
        let dependences: Vec<_> = instance.origins.iter().map(|origin| self.dependence(origin, parts)).collect();
        if is_only && !barriers.is_closed && self.admits(&instance, &dependences, barriers) {
            barriers.is_closed |= module.start.is_some();
            self.member_of.insert(instance.number, self.members.len());
            self.members.push(instance);
            return Dependence::Export;
        }
        let depends = dependences.iter().any(|dependence| *dependence != Dependence::None);
        barriers.is_closed |= module.start.is_some() || (depends && module.has_data());
        barriers.any_beyond |= depends;
        barriers.filled.extend(self.filled(&instance));
        self.others.push(instance);
        if depends { Dependence::Beyond } else { Dependence::None }
    }

    /// Whether an instance may become a member.
    fn admits(&self, instance: &CoreInstance<'a>, dependences: &[Dependence], barriers: &Barriers<'a>) -> bool {
        let module = &instance.module;
        let total = |of: &dyn Fn(&CoreModule<'a>) -> usize| {
            of(module) + self.members.iter().map(|member| of(&member.module)).sum::<usize>()
        };
        let fits = total(&|module| module.defined(Kind::Memory)) <= MEMORIES_MAX
            && total(&|module| module.defined(Kind::Table)) <= TABLES_MAX
            && total(&CoreModule::weight) <= WEIGHT_MAX;
        let imports = module.imports.iter().zip(dependences);
        let are_near = imports.into_iter().all(|(import, dependence)| match dependence {
            Dependence::None => Kind::of_import(import) == Kind::Function,
            Dependence::Export => true,
            Dependence::Beyond => false,
        });
        let overtakes_nobody = !barriers.any_beyond
            || (module.start.is_none() && self.filled(instance).iter().all(|table| !barriers.filled.contains(table)));
        fits && are_near && overtakes_nobody
    }

    /// The tables of others that an instance fills.
    fn filled(&self, instance: &CoreInstance<'a>) -> Vec<Origin<'a>> {
        let module = &instance.module;
        let tables = module.imports.iter().zip(&instance.origins).filter(|(import, _)| Kind::of_import(import) == Kind::Table);
        let tables: Vec<_> = tables.map(|(_, origin)| self.definition(Kind::Table, *origin)).collect();
        module.filled_tables().filter_map(|table| tables.get(table as usize).copied()).collect()
    }

    /// Follows what members export of what they import, and takes one of several names.
    fn definition(&self, kind: Kind, mut origin: Origin<'a>) -> Origin<'a> {
        while let Origin::Export { instance, name } = origin {
            let Some(&member) = self.member_of.get(&instance) else { return origin };
            let instance = &self.members[member];
            let Some(export @ (_, index)) = instance.exports.get(name) else { return origin };
            let imported =
                instance.module.imports.iter().zip(&instance.origins).filter(|(import, _)| Kind::of_import(import) == kind);
            match imported.map(|(_, origin)| *origin).nth(*index as usize) {
                Some(further) => origin = further,
                None => {
                    let names = instance.exports.iter().filter(|(_, other)| *other == export).map(|(name, _)| *name);
                    return Origin::Export { instance: instance.number, name: names.min().unwrap_or(name) };
                }
            }
        }
        origin
    }

    /// The member of whose exports an entity is.
    pub fn member(&self, origin: &Origin<'a>) -> Option<usize> {
        match origin {
            Origin::Export { instance, .. } => self.member_of.get(instance).copied(),
            Origin::Canonical { .. } => None,
        }
    }

    /// The entity that a member exports.
    pub fn export(&self, member: usize, origin: &Origin<'a>) -> Result<(Kind, u32), Unmergeable> {
        let Origin::Export { name, .. } = origin else { return Err(Unmergeable) };
        self.members[member].exports.get(name).copied().ok_or(Unmergeable)
    }
}
