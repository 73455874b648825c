//! The imports, exports and memories of a file, read in one pass without compiling or running anything.

use wasmparser::{MemoryType, Parser, Payload, TypeRef};

/// The custom section in which tool chains record the world that a module is written for.
const WORLD_SECTION: &str = "component-type";

/// What the outermost component or module of a file imports and exports, and the memories of all its modules.
#[derive(Debug, Default)]
pub(crate) struct Outline<'a> {
    /// Of a core module: modules and names. Of a component: the interfaces as names, with an empty module.
    pub imports: Vec<Import<'a>>,
    pub exports: Vec<&'a str>,
    pub memories: Vec<Memory>,
    /// Whether a core module records the world that it is written for.
    pub names_its_world: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Import<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

/// Bytes of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub initial_bytes: u64,
    /// None: it may grow to the hub's limit.
    pub maximum_bytes: Option<u64>,
}

impl Memory {
    fn of(ty: &MemoryType) -> Self {
        let bytes = |pages: u64| pages.saturating_mul(1 << ty.page_size_log2());
        Self { initial_bytes: bytes(ty.initial), maximum_bytes: ty.maximum.map(bytes) }
    }
}

impl<'a> Outline<'a> {
    pub fn of(wasm: &'a [u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        outline.memories.push(Memory::of(&memory?));
                    }
                }
                Payload::ImportSection(imports) if depth == 0 => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if let TypeRef::Memory(memory) = &import.ty {
                            outline.memories.push(Memory::of(memory));
                        }
                        outline.imports.push(Import { module: import.module, name: import.name });
                    }
                }
                Payload::ExportSection(exports) if depth == 0 => {
                    for export in exports {
                        outline.exports.push(export?.name);
                    }
                }
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        outline.imports.push(Import { module: "", name: import?.name.name });
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        outline.exports.push(export?.name.name);
                    }
                }
                Payload::CustomSection(section) if depth == 0 => {
                    outline.names_its_world |= section.name().starts_with(WORLD_SECTION);
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    pub fn has_export(&self, name: &str) -> bool {
        self.exports.contains(&name)
    }

    pub fn imports_of(&self, module: &str) -> bool {
        self.imports.iter().any(|import| import.module == module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_imports_and_exports_count_and_all_memories() {
        let core = r#"(import "env" "abort" (func)) (memory (export "memory") 2 4) (func (export "describe"))"#;
        let module = wat::parse_str(format!("(module {core})")).unwrap();
        let outline = Outline::of(&module).unwrap();
        assert_eq!(outline.imports, [Import { module: "env", name: "abort" }]);
        assert_eq!(outline.exports, ["memory", "describe"]);
        let memory = Memory { initial_bytes: 2 << 16, maximum_bytes: Some(4 << 16) };
        assert_eq!(outline.memories, [memory]);

        let component = format!(r#"(component (import "greet" (func)) (core module {core}) (core module (memory 1)))"#);
        let component = wat::parse_str(component).unwrap();
        let outline = Outline::of(&component).unwrap();
        assert_eq!(outline.imports, [Import { module: "", name: "greet" }]);
        assert!(outline.exports.is_empty());
        assert_eq!(outline.memories, [memory, Memory { initial_bytes: 1 << 16, maximum_bytes: None }]);
    }
}
