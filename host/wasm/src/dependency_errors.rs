//! The only place where an error of another crate is known by its text, because it has no type of its own. Each test makes such
//! an error with that crate, so it fails when a new release words the error differently.

/// wasmparser: the file ends before what it announces.
pub(crate) fn is_truncated(reason: &str) -> bool {
    ["unexpected end", "unexpected EOF", "out of bounds"].iter().any(|text| reason.contains(text))
}

/// wit-component: the import, `MODULE::NAME`, that is neither of the module's world nor of the adapter.
pub(crate) fn unresolved_import(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("failed to resolve import `")?;
    rest.split_once('`').map(|(import, _)| import)
}

/// wasmtime: compiled code needs more than a slot of the pool holds.
pub(crate) fn exceeds_pool(reason: &str) -> bool {
    reason.contains("pooling allocator")
}

/// wasmtime: the guest handed the host more at once than `Store::set_hostcall_fuel` allows.
pub(crate) fn exceeds_hostcall_fuel(cause: &str) -> bool {
    cause.contains("fuel allocated for hostcalls")
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};
    use wasmtime::{Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store};

    use super::*;

    #[test]
    fn a_file_that_is_cut_off() {
        let whole = wat::parse_str("(module (func) (memory 1) (data (i32.const 0) \"abcdefgh\"))").unwrap();
        // Cut within a section. A file that ends between two sections looks complete.
        for length in [9, 11, whole.len() - 1, whole.len() - 5] {
            let why = wasmparser::validate(&whole[..length]).err().unwrap();
            assert!(is_truncated(why.message()), "{length}: {why}");
        }
        let wrong = wasmparser::validate(&wat::parse_str("(module (func (result i32)))").unwrap()).err().unwrap();
        assert!(!is_truncated(wrong.message()), "{wrong}");
    }

    #[test]
    fn a_module_that_is_larger_than_a_slot() {
        let mut pool = PoolingAllocationConfig::default();
        pool.max_memory_size(1 << 16).table_elements(10);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        for wat in ["(module (memory 2))", "(module (table 11 funcref))"] {
            let why = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap_err();
            assert!(exceeds_pool(&format!("{why:#}")), "{why:#}");
        }
        let why = Module::new(&engine, wat::parse_str("(module (func (result i32)))").unwrap()).unwrap_err();
        assert!(!exceeds_pool(&format!("{why:#}")), "{why:#}");
    }

    #[test]
    fn a_guest_that_hands_over_too_much() {
        let engine = Engine::default();
        let component = wat::parse_str(
            r#"(component
                (import "take" (func $take (param "texts" (list string))))
                (core module $memory (memory (export "memory") 1))
                (core instance $memory (instantiate $memory))
                (core func $take (canon lower (func $take) (memory $memory "memory")))
                (core module $main
                    (import "" "take" (func $take (param i32 i32)))
                    (func (export "run") (call $take (i32.const 0) (i32.const 1000))))
                (core instance $main (instantiate $main (with "" (instance (export "take" (func $take))))))
                (func (export "run") (canon lift (core func $main "run"))))"#,
        );
        let component = Component::new(&engine, component.unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        linker.root().func_wrap("take", |_, (_texts,): (Vec<String>,)| Ok(())).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_hostcall_fuel(100);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        let why = run.call(&mut store, ()).unwrap_err();
        assert!(exceeds_hostcall_fuel(&why.root_cause().to_string()), "{why:#}");
    }
}
