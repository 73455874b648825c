//! The determinism report: the imports of a deployed app that trap in an orchestrator or entity, and their callers.
//!
//! A finding is not an error, because the app's activities may use the import. Callers are found by the direct calls in the core
//! modules, in one pass; calls through tables are not followed.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload, TypeRef};

/// Findings of one app, and callers of one finding. Further ones are left out.
const FINDINGS_MAX: usize = 256;
const CALLERS_MAX: usize = 8;

/// Characters of a function's name.
const NAME_CHARS_MAX: usize = 256;

/// An import that traps in an orchestrator or entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Such as `wasi:http/outgoing-handler@0.2.3`.
    pub interface: String,
    /// Such as `handle` or `[method]tcp-socket.start-connect`.
    pub function: String,
    /// What happens when it is called.
    pub what: String,
    /// The app's functions that call it, by their names in the name section, as far as they are known.
    pub called_by: Vec<String>,
}

/// `denied` are the interfaces and functions of the component's imports that trap.
pub(crate) fn findings(denied: Vec<(String, String)>, wasm: &[u8]) -> Vec<Finding> {
    let mut callers: BTreeMap<(String, String), Vec<String>> =
        denied.into_iter().take(FINDINGS_MAX).map(|import| (import, Vec::new())).collect();
    if callers.is_empty() {
        return Vec::new();
    }
    // Files that cannot be parsed were refused before. If one came here, only its callers would be missing.
    let _ = find_callers(wasm, &mut callers);
    let what = "allowed in activities; in an orchestrator or entity it traps";
    let finding = |((interface, function), called_by)| Finding { interface, function, what: what.into(), called_by };
    callers.into_iter().map(finding).collect()
}

/// The functions of one core module.
#[derive(Default)]
struct Module {
    /// How many functions are imported: the defined ones are numbered from there.
    imported: u32,
    /// How many functions have been defined so far.
    defined: u32,
    /// Imported functions whose callers are wanted.
    wanted: HashMap<u32, (String, String)>,
    /// The indices of such a function and of its caller.
    calls: Vec<(u32, u32)>,
    names: HashMap<u32, String>,
}

fn find_callers(wasm: &[u8], callers: &mut BTreeMap<(String, String), Vec<String>>) -> wasmparser::Result<()> {
    // Modules do not nest; sections between them belong to the component.
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { .. } => module = Module::default(),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                        let name = (import.module.to_owned(), import.name.to_owned());
                        if callers.contains_key(&name) {
                            module.wanted.insert(module.imported, name);
                        }
                        module.imported += 1;
                    }
                }
            }
            Payload::CodeSectionEntry(body) if !module.wanted.is_empty() => {
                let caller = module.imported + module.defined;
                module.defined += 1;
                for operator in body.get_operators_reader()? {
                    if let Operator::Call { function_index } | Operator::ReturnCall { function_index } = operator?
                        && module.wanted.contains_key(&function_index)
                        && module.calls.last() != Some(&(function_index, caller))
                        && module.calls.len() < FINDINGS_MAX * CALLERS_MAX
                    {
                        module.calls.push((function_index, caller));
                    }
                }
            }
            Payload::CustomSection(section) if !module.calls.is_empty() => {
                if let KnownCustom::Name(names) = section.as_known() {
                    module.read_names(names)?;
                    module.tell(callers);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Module {
    fn read_names(&mut self, names: wasmparser::NameSectionReader<'_>) -> wasmparser::Result<()> {
        let callers: std::collections::HashSet<u32> = self.calls.iter().map(|(_, caller)| *caller).collect();
        for subsection in names {
            let Name::Function(functions) = subsection? else { continue };
            for naming in functions {
                let naming = naming?;
                if callers.contains(&naming.index) {
                    self.names.insert(naming.index, naming.name.chars().take(NAME_CHARS_MAX).collect());
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, callers: &mut BTreeMap<(String, String), Vec<String>>) {
        for (import, caller) in std::mem::take(&mut self.calls) {
            let (Some(import), Some(name)) = (self.wanted.get(&import), self.names.get(&caller)) else { continue };
            if let Some(known) = callers.get_mut(import)
                && known.len() < CALLERS_MAX
                && !known.contains(name)
            {
                known.push(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_in(wat: &str, denied: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let denied = denied.iter().map(|(interface, function)| (interface.to_string(), function.to_string())).collect();
        let findings = findings(denied, &wat::parse_str(wat).unwrap());
        findings.into_iter().map(|finding| (finding.function, finding.called_by)).collect()
    }

    const MODULE: &str = r#"
        (import "wasi:http/types" "fields" (func $fields))
        (import "other" "fields" (func $other))
        (import "wasi:http/types" "send" (func $send))
        (func $innocent call $other)
        (func $sends call $send call $fields call $send)
        (func $also return_call $send)
        (func call $send)"#;

    #[test]
    fn direct_callers_are_named_in_modules_and_in_components() {
        let denied = [("wasi:http/types", "send"), ("wasi:http/types", "fields"), ("wasi:http/types", "unused")];
        let expected = vec![
            ("fields".to_owned(), vec!["sends".to_owned()]),
            ("send".to_owned(), vec!["sends".to_owned(), "also".to_owned()]),
            ("unused".to_owned(), vec![]),
        ];
        assert_eq!(findings_in(&format!("(module {MODULE})"), &denied), expected);
        let component = format!("(component (core module (func $innocent)) (core module {MODULE}) (core module (func)))");
        assert_eq!(findings_in(&component, &denied), expected);
        assert_eq!(findings_in(&component, &[]), []);
    }

    #[test]
    fn callers_are_bounded() {
        let many: String = (0..100).map(|n| format!("(func $f{n} call $send call $send)")).collect();
        let wat = format!(r#"(module (import "wasi:http/types" "send" (func $send)) {many})"#);
        assert_eq!(findings_in(&wat, &[("wasi:http/types", "send")])[0].1.len(), CALLERS_MAX);
    }
}
