//! Refuses, before anything is compiled, files that no tool chain makes and that compilers take long over.
//!
//! One pass over the file, without recursion, that decodes no instruction. A file that passes may still take too long: the
//! compiler's process has limits of its own.

use wasmparser::{Parser, Payload};

use crate::deployment::compile::ModuleError;

/// Components within components. Compositions of compositions have three or four.
const NESTING_MAX: usize = 16;

/// Modules and components in one file.
const PARTS_MAX: usize = 256;

/// Functions of all core modules. Large Python apps have 100,000.
const FUNCTIONS_MAX: u64 = 500_000;

/// Types of all modules and components.
const TYPES_MAX: u64 = 200_000;

/// Bytes of one function. Interpreters' loops have 200,000; compilers take more than linear time.
const FUNCTION_BYTES_MAX: usize = 2 << 20;

pub(crate) fn check(wasm: &[u8]) -> Result<(), ModuleError> {
    let (mut depth, mut parts, mut functions, mut types) = (0_usize, 0_usize, 0_u64, 0_u64);
    let count = |what: &str, number: u64, allowed: u64| match number > allowed {
        true => Err(ModuleError::TooComplex { reason: format!("it has {number} {what}, {allowed} are allowed") }),
        false => Ok(()),
    };
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|why| ModuleError::invalid(format_args!("{why}")))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                (depth, parts) = (depth + 1, parts + 1);
                count("levels of components within components", depth as u64, NESTING_MAX as u64)?;
                count("modules and components", parts as u64, PARTS_MAX as u64)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::FunctionSection(section) => functions += u64::from(section.count()),
            Payload::TypeSection(section) => types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => types += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => {
                count("bytes in one function", body.range().len() as u64, FUNCTION_BYTES_MAX as u64)?;
            }
            _ => {}
        }
        count("functions", functions, FUNCTIONS_MAX)?;
        count("types", types, TYPES_MAX)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(wat: &str) -> Result<(), String> {
        check(&wat::parse_str(wat).unwrap()).map_err(|why| why.to_string())
    }

    #[test]
    fn nesting_is_bounded_in_depth_and_in_width() {
        let nested = |levels: usize| format!("{}{}", "(component ".repeat(levels + 1), ")".repeat(levels + 1));
        assert_eq!(checked(&nested(NESTING_MAX)), Ok(()));
        let why = checked(&nested(NESTING_MAX + 1)).unwrap_err();
        assert!(why.ends_with("it has 17 levels of components within components, 16 are allowed"), "{why}");
        assert_eq!(checked(&format!("(component {})", "(core module)".repeat(PARTS_MAX))), Ok(()));
        let why = checked(&format!("(component {})", "(core module)".repeat(PARTS_MAX + 1))).unwrap_err();
        assert!(why.contains("257 modules and components"), "{why}");
    }

    #[test]
    fn functions_and_types_are_counted() {
        let why = checked(&format!("(module (func {}))", "nop ".repeat(FUNCTION_BYTES_MAX + 1))).unwrap_err();
        assert!(why.contains("bytes in one function, 2097152 are allowed"), "{why}");
        // Recursive groups make types that are not merged with others.
        let why = checked(&format!("(module {})", "(type (func))".repeat(TYPES_MAX as usize + 1))).unwrap_err();
        assert!(why.contains("200001 types"), "{why}");
    }
}
