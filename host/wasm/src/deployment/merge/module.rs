//! Several core modules that one component instantiates, written as one.
//!
//! What one module imports of another becomes a plain reference. A global that never changes, such as the address at which a
//! linker has placed a library, becomes a number wherever it is read. So the places of tables' elements are known before the
//! module runs, and the engine fills a table as it is used.

use std::collections::{BTreeMap, HashSet};

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportSection, FunctionSection,
    GlobalSection, ImportSection, Instruction, MemorySection, Module, NameMap, NameSection, StartSection, TableSection,
    TagSection, TypeSection,
};
use wasmparser::{
    Data, Element, ElementItems, ElementKind, Export, ExternalKind, FunctionBody, Global, Import, KnownCustom, MemoryType, Name,
    Operator, Parser, Payload, RecGroup, Table, TagType, TypeRef,
};

use super::Unmergeable;

/// The index spaces of a core module that imports and exports refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

pub(super) const KINDS: usize = 5;

impl Kind {
    pub fn of(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }

    pub fn of_import(import: &Import<'_>) -> Self {
        match import.ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Function,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }

    pub fn encoded(self) -> wasm_encoder::ExportKind {
        match self {
            Self::Function => wasm_encoder::ExportKind::Func,
            Self::Table => wasm_encoder::ExportKind::Table,
            Self::Memory => wasm_encoder::ExportKind::Memory,
            Self::Global => wasm_encoder::ExportKind::Global,
            Self::Tag => wasm_encoder::ExportKind::Tag,
        }
    }
}

/// A core module whose sections have been read.
#[derive(Default)]
pub(super) struct CoreModule<'a> {
    types: Vec<RecGroup>,
    pub imports: Vec<Import<'a>>,
    /// The types of its own functions.
    functions: Vec<u32>,
    tables: Vec<Table<'a>>,
    memories: Vec<MemoryType>,
    tags: Vec<TagType>,
    globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    pub start: Option<u32>,
    elements: Vec<Element<'a>>,
    counts_data: bool,
    bodies: Vec<FunctionBody<'a>>,
    data: Vec<Data<'a>>,
    /// Its own name, and those of functions.
    name: Option<&'a str>,
    names: Vec<(u32, &'a str)>,
}

impl<'a> CoreModule<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unmergeable> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => module.types = section.into_iter().collect::<Result<_, _>>()?,
                Payload::ImportSection(section) => module.imports = section.into_imports().collect::<Result<_, _>>()?,
                Payload::FunctionSection(section) => module.functions = section.into_iter().collect::<Result<_, _>>()?,
                Payload::TableSection(section) => module.tables = section.into_iter().collect::<Result<_, _>>()?,
                Payload::MemorySection(section) => module.memories = section.into_iter().collect::<Result<_, _>>()?,
                Payload::TagSection(section) => module.tags = section.into_iter().collect::<Result<_, _>>()?,
                Payload::GlobalSection(section) => module.globals = section.into_iter().collect::<Result<_, _>>()?,
                Payload::ExportSection(section) => module.exports = section.into_iter().collect::<Result<_, _>>()?,
                Payload::StartSection { func, .. } => module.start = Some(func),
                Payload::ElementSection(section) => module.elements = section.into_iter().collect::<Result<_, _>>()?,
                Payload::DataCountSection { .. } => module.counts_data = true,
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                Payload::DataSection(section) => module.data = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        // Names that cannot be read are only missing in backtraces.
                        for name in names.into_iter().flatten() {
                            match name {
                                Name::Module { name, .. } => module.name = Some(name),
                                Name::Function(names) => {
                                    module.names = names.into_iter().flatten().map(|n| (n.index, n.name)).collect()
                                }
                                _ => {}
                            }
                        }
                    }
                }
                Payload::Version { .. } | Payload::CodeSectionStart { .. } | Payload::End(_) => {}
                _ => return Err(Unmergeable),
            }
        }
        Ok(module)
    }

    /// The number of its own entities of a kind.
    pub fn defined(&self, kind: Kind) -> usize {
        match kind {
            Kind::Function => self.functions.len(),
            Kind::Table => self.tables.len(),
            Kind::Memory => self.memories.len(),
            Kind::Global => self.globals.len(),
            Kind::Tag => self.tags.len(),
        }
    }

    pub fn imports_of(&self, kind: Kind) -> impl Iterator<Item = &Import<'a>> {
        self.imports.iter().filter(move |import| Kind::of_import(import) == kind)
    }

    /// The tables that it fills when it is instantiated, by its own numbers.
    pub fn filled_tables(&self) -> impl Iterator<Item = u32> {
        self.elements.iter().filter_map(|element| match element.kind {
            ElementKind::Active { table_index, .. } => Some(table_index.unwrap_or(0)),
            ElementKind::Passive | ElementKind::Declared => None,
        })
    }

    pub fn has_data(&self) -> bool {
        !self.data.is_empty()
    }

    /// Roughly what an instance of it takes in the engine, in entries.
    pub fn weight(&self) -> usize {
        self.imports.len() + self.exports.len() + self.globals.len() + self.functions.len()
    }

    fn types(&self) -> u32 {
        self.types.iter().map(|group| group.types().len() as u32).sum()
    }
}

/// Where a module of a merge gets an import.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// An entity of an earlier module of the merge, by that module's number for it.
    Member { member: usize, index: u32 },
    /// A function that the merged module imports.
    Outside(u32),
}

pub(super) struct Member<'m, 'a> {
    pub module: &'m CoreModule<'a>,
    /// One for each import.
    pub sources: Vec<Source>,
}

/// An entity that the merged module exports under the name [`export_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Exported {
    pub kind: Kind,
    pub member: usize,
    pub index: u32,
}

pub(super) fn export_name(number: usize) -> String {
    format!("e{number}")
}

/// The module of which the merged module imports the functions of [`Source::Outside`], with their numbers as names.
pub(super) const OUTSIDE: &str = "";

/// A value that a global has for ever.
#[derive(Debug, Clone, Copy)]
enum Value {
    I32(i32),
    I64(i64),
}

/// The numbers that a module's entities have in the merged module.
#[derive(Default)]
struct Numbers {
    of_kind: [Vec<u32>; KINDS],
    first_type: u32,
    types: u32,
    first_element: u32,
    elements: u32,
    first_data: u32,
    data: u32,
}

impl Numbers {
    fn get(&self, kind: Kind, index: u32) -> Result<u32, Unmergeable> {
        self.of_kind[kind as usize].get(index as usize).copied().ok_or(Unmergeable)
    }
}

/// Writes modules as one, in the order in which they are instantiated. Only the last may have a start function.
pub(super) fn merged(members: &[Member<'_, '_>], outside: u32, exports: &[Exported]) -> Result<Vec<u8>, Unmergeable> {
    let numbers = number(members, outside)?;
    let variable = variable_globals(members, &numbers, exports)?;
    let mut merge = Merge { numbers: &numbers, at: 0, variable: &variable, values: Vec::new(), references: HashSet::new() };

    let (mut types, mut functions, mut tables, mut memories) =
        (TypeSection::new(), FunctionSection::new(), TableSection::new(), MemorySection::new());
    let (mut tags, mut globals, mut elements) = (TagSection::new(), GlobalSection::new(), ElementSection::new());
    let (mut code, mut data, mut names) = (CodeSection::new(), DataSection::new(), BTreeMap::new());
    let mut imported: Vec<Option<u32>> = vec![None; outside as usize];
    for (at, Member { module, sources }) in members.iter().enumerate() {
        merge.at = at;
        for group in &module.types {
            merge.parse_recursive_type_group(types.ty(), group.clone())?;
        }
        for (import, source) in module.imports.iter().zip(sources) {
            if let (Source::Outside(number), TypeRef::Func(ty)) = (source, import.ty) {
                let ty = merge.type_index(ty)?;
                imported.get_mut(*number as usize).ok_or(Unmergeable)?.get_or_insert(ty);
            }
        }
        for ty in &module.functions {
            functions.function(merge.type_index(*ty)?);
        }
        for memory in &module.memories {
            memories.memory(merge.memory_type(*memory)?);
        }
        for tag in &module.tags {
            tags.tag(merge.tag_type(*tag)?);
        }
        for global in &module.globals {
            merge.global(&mut globals, global)?;
        }
    }
    // After all globals, whose values they may use.
    for (at, Member { module, .. }) in members.iter().enumerate() {
        merge.at = at;
        for table in &module.tables {
            merge.parse_table(&mut tables, table.clone())?;
        }
        for element in &module.elements {
            merge.parse_element(&mut elements, element.clone())?;
        }
        for body in &module.bodies {
            merge.parse_function_body(&mut code, body.clone())?;
        }
        for datum in &module.data {
            merge.parse_data(&mut data, datum.clone())?;
        }
        for (function, name) in &module.names {
            if let Ok(number) = numbers[at].get(Kind::Function, *function) {
                names.entry(number).or_insert(*name);
            }
        }
    }
    if !merge.references.is_empty() {
        // Functions must be declared before code may refer to them. Exports, which do that as well, have not all been kept.
        let mut references: Vec<u32> = merge.references.iter().copied().collect();
        references.sort_unstable();
        elements.declared(Elements::Functions(references.into()));
    }

    let mut imports = ImportSection::new();
    for (number, ty) in imported.into_iter().enumerate() {
        imports.import(OUTSIDE, &number.to_string(), wasm_encoder::EntityType::Function(ty.ok_or(Unmergeable)?));
    }
    let mut exported = ExportSection::new();
    for (number, export) in exports.iter().enumerate() {
        let index = numbers[export.member].get(export.kind, export.index)?;
        exported.export(&export_name(number), export.kind.encoded(), index);
    }

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
    if !tags.is_empty() {
        module.section(&tags);
    }
    module.section(&globals).section(&exported);
    for (at, Member { module: member, .. }) in members.iter().enumerate() {
        if let Some(function) = member.start {
            module.section(&StartSection { function_index: numbers[at].get(Kind::Function, function)? });
        }
    }
    module.section(&elements);
    if members.iter().any(|member| member.module.counts_data) {
        module.section(&DataCountSection { count: data.len() });
    }
    module.section(&code).section(&data).section(&name_section(members, &names));
    Ok(module.finish())
}

/// The names of the functions, and that of the largest module for them all.
fn name_section(members: &[Member<'_, '_>], names: &BTreeMap<u32, &str>) -> NameSection {
    let mut section = NameSection::new();
    let largest = members.iter().map(|member| member.module).max_by_key(|module| module.functions.len());
    if let Some(name) = largest.and_then(|module| module.name) {
        section.module(name);
    }
    let mut functions = NameMap::new();
    for (function, name) in names {
        functions.append(*function, name);
    }
    section.functions(&functions);
    section
}

fn number(members: &[Member<'_, '_>], outside: u32) -> Result<Vec<Numbers>, Unmergeable> {
    const ALL: [Kind; KINDS] = [Kind::Function, Kind::Table, Kind::Memory, Kind::Global, Kind::Tag];
    let mut all: Vec<Numbers> = Vec::new();
    let mut next = [0; KINDS];
    next[Kind::Function as usize] = outside;
    let (mut next_type, mut next_element, mut next_data) = (0, 0, 0);
    for Member { module, sources } in members {
        let (types, elements, data) = (module.types(), module.elements.len() as u32, module.data.len() as u32);
        let mut numbers = Numbers {
            first_type: next_type,
            types,
            first_element: next_element,
            elements,
            first_data: next_data,
            data,
            ..Numbers::default()
        };
        (next_type, next_element, next_data) = (next_type + types, next_element + elements, next_data + data);
        for (import, source) in module.imports.iter().zip(sources) {
            let kind = Kind::of_import(import);
            let number = match *source {
                Source::Outside(number) if kind == Kind::Function => number,
                Source::Outside(_) => return Err(Unmergeable),
                Source::Member { member, index } => all.get(member).ok_or(Unmergeable)?.get(kind, index)?,
            };
            numbers.of_kind[kind as usize].push(number);
        }
        for kind in ALL {
            let next = &mut next[kind as usize];
            let end = *next + module.defined(kind) as u32;
            numbers.of_kind[kind as usize].extend(*next..end);
            *next = end;
        }
        all.push(numbers);
    }
    Ok(all)
}

/// The globals that code may change: of the merged module, in functions that something refers to, or of others, to which it exports
/// them. (The code that has placed libraries in memory is left in modules whose memory was saved when it had run.)
fn variable_globals(members: &[Member<'_, '_>], numbers: &[Numbers], exports: &[Exported]) -> Result<HashSet<u32>, Unmergeable> {
    let mut referred = HashSet::new();
    let mut variable = HashSet::new();
    let mut sets: Vec<(u32, u32)> = Vec::new();
    for export in exports {
        let number = numbers[export.member].get(export.kind, export.index)?;
        match export.kind {
            Kind::Function => {
                referred.insert(number);
            }
            Kind::Global => {
                variable.insert(number);
            }
            Kind::Table | Kind::Memory | Kind::Tag => {}
        }
    }
    for (Member { module, .. }, numbers) in members.iter().zip(numbers) {
        let mut refer = |function| {
            numbers.get(Kind::Function, function).map(|number| {
                referred.insert(number);
            })
        };
        if let Some(start) = module.start {
            refer(start)?;
        }
        let mut constants: Vec<_> = module.globals.iter().map(|global| global.init_expr.clone()).collect();
        for table in &module.tables {
            if let wasmparser::TableInit::Expr(expression) = &table.init {
                constants.push(expression.clone());
            }
        }
        for element in &module.elements {
            match element.items.clone() {
                ElementItems::Functions(functions) => functions.into_iter().try_for_each(|function| refer(function?))?,
                ElementItems::Expressions(_, expressions) => {
                    constants.extend(expressions.into_iter().collect::<Result<Vec<_>, _>>()?)
                }
            }
        }
        for expression in constants {
            for operator in expression.get_operators_reader() {
                if let Operator::RefFunc { function_index } = operator? {
                    refer(function_index)?;
                }
            }
        }
        let first = module.imports_of(Kind::Function).count() as u32;
        for (function, body) in (first..).zip(&module.bodies) {
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index }
                    | Operator::ReturnCall { function_index }
                    | Operator::RefFunc { function_index } => {
                        refer(function_index)?;
                    }
                    Operator::GlobalSet { global_index } => {
                        sets.push((numbers.get(Kind::Function, function)?, numbers.get(Kind::Global, global_index)?));
                    }
                    _ => {}
                }
            }
        }
    }
    variable.extend(sets.into_iter().filter(|(function, _)| referred.contains(function)).map(|(_, global)| global));
    Ok(variable)
}

/// Translates the parts of one module after the other.
struct Merge<'m> {
    numbers: &'m [Numbers],
    /// The module whose parts are translated.
    at: usize,
    variable: &'m HashSet<u32>,
    /// Of the merged module's globals so far.
    values: Vec<Option<Value>>,
    /// Functions to which code refers without a call.
    references: HashSet<u32>,
}

impl Merge<'_> {
    fn numbers(&self) -> &Numbers {
        &self.numbers[self.at]
    }

    fn get(&self, kind: Kind, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.numbers().get(kind, index).map_err(Error::UserError)
    }

    fn global(&mut self, globals: &mut GlobalSection, global: &Global<'_>) -> Result<(), Unmergeable> {
        let number = self.values.len() as u32;
        let value = match global.ty.mutable && self.variable.contains(&number) {
            true => None,
            false => self.value_of(&global.init_expr)?,
        };
        globals.global(self.global_type(global.ty)?, &self.const_expr(global.init_expr.clone())?);
        self.values.push(value);
        Ok(())
    }

    /// The value of a global of the module, if it is known.
    fn value(&self, global: u32) -> Result<Option<Value>, Error<Unmergeable>> {
        let number = self.get(Kind::Global, global)?;
        Ok(self.values.get(number as usize).copied().flatten())
    }

    /// The value of an expression, if it is known.
    fn value_of(&self, expression: &wasmparser::ConstExpr<'_>) -> Result<Option<Value>, Error<Unmergeable>> {
        use Value::{I32, I64};
        let mut stack = Vec::new();
        for operator in expression.get_operators_reader() {
            let value = match operator? {
                Operator::I32Const { value } => I32(value),
                Operator::I64Const { value } => I64(value),
                Operator::GlobalGet { global_index } => match self.value(global_index)? {
                    Some(value) => value,
                    None => return Ok(None),
                },
                Operator::End => break,
                operator => match (operator, stack.pop(), stack.pop()) {
                    (Operator::I32Add, Some(I32(b)), Some(I32(a))) => I32(a.wrapping_add(b)),
                    (Operator::I32Sub, Some(I32(b)), Some(I32(a))) => I32(a.wrapping_sub(b)),
                    (Operator::I32Mul, Some(I32(b)), Some(I32(a))) => I32(a.wrapping_mul(b)),
                    _ => return Ok(None),
                },
            };
            stack.push(value);
        }
        Ok(stack.pop().filter(|_| stack.is_empty()))
    }
}

impl Reencode for Merge<'_> {
    type Error = Unmergeable;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.get(Kind::Function, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.get(Kind::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.get(Kind::Memory, index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.get(Kind::Global, index)
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        self.get(Kind::Tag, index)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        let Numbers { first_type, types, .. } = self.numbers();
        if index < *types { Ok(first_type + index) } else { Err(Error::UserError(Unmergeable)) }
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        let Numbers { first_element, elements, .. } = self.numbers();
        if index < *elements { Ok(first_element + index) } else { Err(Error::UserError(Unmergeable)) }
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<Unmergeable>> {
        let Numbers { first_data, data, .. } = self.numbers();
        if index < *data { Ok(first_data + index) } else { Err(Error::UserError(Unmergeable)) }
    }

    fn const_expr(&mut self, expression: wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Error<Unmergeable>> {
        match self.value_of(&expression)? {
            Some(Value::I32(value)) => Ok(ConstExpr::i32_const(value)),
            Some(Value::I64(value)) => Ok(ConstExpr::i64_const(value)),
            None => utils::const_expr(self, expression),
        }
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error<Unmergeable>> {
        match operator {
            // As many instructions as before: fuel counts them.
            Operator::GlobalGet { global_index } => match self.value(global_index)? {
                Some(Value::I32(value)) => return Ok(Instruction::I32Const(value)),
                Some(Value::I64(value)) => return Ok(Instruction::I64Const(value)),
                None => {}
            },
            Operator::RefFunc { function_index } => {
                let number = self.get(Kind::Function, function_index)?;
                self.references.insert(number);
            }
            _ => {}
        }
        utils::instruction(self, operator)
    }
}

impl From<wasmparser::BinaryReaderError> for Unmergeable {
    fn from(_: wasmparser::BinaryReaderError) -> Self {
        Self
    }
}

impl From<Error<Unmergeable>> for Unmergeable {
    fn from(_: Error<Unmergeable>) -> Self {
        Self
    }
}
