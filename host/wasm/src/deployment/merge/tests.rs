use wasmparser::{Instance, Parser, Payload};
use wasmtime::Store;
use wasmtime::component::Linker;

use super::merge;

/// What `run` returns; how often core modules are instantiated, in the binary form.
fn run(component: &[u8]) -> (u32, usize) {
    let engine = wasmtime::Engine::default();
    let compiled = wasmtime::component::Component::new(&engine, component).unwrap_or_else(|why| panic!("{why:?}"));
    let mut linker = Linker::new(&engine);
    linker.root().func_wrap("add", |_, (a, b): (u32, u32)| Ok((a + b,))).unwrap();
    linker.root().func_wrap("length", |_, (text,): (String,)| Ok((text.len() as u32,))).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &compiled).unwrap();
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run").unwrap();
    (run.call(&mut store, ()).unwrap().0, instantiations(component))
}

fn instantiations(component: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(component).filter_map(|payload| match payload.unwrap() {
        Payload::InstanceSection(instances) => Some(instances),
        _ => None,
    });
    sections.flatten().filter(|instance| matches!(instance, Ok(Instance::Instantiate { .. }))).count()
}

/// Checks what a component returns, and how many core modules it instantiates, as it is and merged.
#[track_caller]
fn check(body: &str, returns: u32, before: usize, after: usize) {
    let component = wat::parse_str(format!("(component {body})")).unwrap();
    assert_eq!(run(&component), (returns, before));
    let merged = merge(&component);
    assert_eq!(merged.is_some(), before != after);
    assert_eq!(run(&merged.unwrap_or(component)), (returns, after));
}

/// As `wasm-tools component link` links libraries: `main` places them, and has their table and memory; `fixup` fills the table of
/// `shim` with lowered functions, which need the memory.
const LINKED: &str = r#"
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "length" (func $length (param "text" string) (result u32)))
    (core module $shim
        (table (export "lowered") 1 funcref)
        (func (export "0") (param i32 i32) (result i32)
            (call_indirect (param i32 i32) (result i32) (local.get 0) (local.get 1) (i32.const 0))))
    (core module $main
        (import "env" "length" (func $length (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table (export "table") 8 funcref)
        (global (export "base") i32 (i32.const 3))
        (global (export "got") (mut i32) (i32.const 4))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "five") (result i32) (call $length (i32.const 100) (i32.const 5)))
        (data (i32.const 100) "hello"))
    (core module $library
        (import "env" "memory" (memory 1))
        (import "env" "table" (table 8 funcref))
        (import "env" "base" (global $base i32))
        (import "env" "got" (global $got (mut i32)))
        (import "env" "five" (func $five (result i32)))
        (import "env" "add" (func $add (param i32 i32) (result i32)))
        (type $number (func (result i32)))
        (elem (global.get $base) $twenty $five)
        (func $twenty (result i32) (i32.const 20))
        (func (export "run") (result i32)
            (call $add
                (call_indirect (type $number) (global.get $base))
                (call_indirect (type $number) (global.get $got))))
        ;; As what has placed libraries before the memory was saved: nothing calls it.
        (func $placed (global.set $got (i32.const 7))))
    (core module $fixup
        (import "" "lowered" (table 1 funcref))
        (import "" "length" (func $length (param i32 i32) (result i32)))
        (elem (i32.const 0) $length))
    (core instance $shim (instantiate $shim))
    (alias core export $shim "0" (core func $shimmed))
    (core instance $of_main (export "length" (func $shimmed)))
    (core instance $main (instantiate $main (with "env" (instance $of_main))))
    (alias core export $main "memory" (core memory $memory))
    (alias core export $main "table" (core table $table))
    (alias core export $main "base" (core global $base))
    (alias core export $main "got" (core global $got))
    (alias core export $main "five" (core func $five))
    (alias core export $main "realloc" (core func $realloc))
    (core func $add (canon lower (func $add)))
    (core instance $of_library
        (export "memory" (memory $memory)) (export "table" (table $table)) (export "base" (global $base))
        (export "got" (global $got)) (export "five" (func $five)) (export "add" (func $add)))
    (core instance $library (instantiate $library (with "env" (instance $of_library))))
    (core func $length (canon lower (func $length) (memory $memory) (realloc $realloc)))
    (alias core export $shim "lowered" (core table $lowered))
    (core instance $of_fixup (export "lowered" (table $lowered)) (export "length" (func $length)))
    (core instance (instantiate $fixup (with "" (instance $of_fixup))))
    (func (export "run") (result u32) (canon lift (core func $library "run")))"#;

#[test]
fn linked_libraries_become_one_module() {
    check(LINKED, 25, 4, 2);
}

#[test]
fn elements_of_libraries_have_constant_places() {
    let merged = merge(&wat::parse_str(format!("(component {LINKED})")).unwrap()).unwrap();
    let offsets = Parser::new(0).parse_all(&merged).filter_map(|payload| match payload.unwrap() {
        Payload::ElementSection(elements) => Some(elements.into_iter().map(|element| match element.unwrap().kind {
            wasmparser::ElementKind::Active { offset_expr, .. } => offset_expr.get_operators_reader().read().unwrap(),
            _ => panic!("no table is filled by it"),
        })),
        _ => None,
    });
    let offsets: Vec<_> = offsets.flatten().map(|operator| format!("{operator:?}")).collect();
    assert_eq!(offsets, ["I32Const { value: 0 }", "I32Const { value: 3 }"]);
}

#[test]
fn a_component_in_a_component_is_merged() {
    let outer = format!(
        r#"(import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
        (import "length" (func $length (param "text" string) (result u32)))
        (component $inner {LINKED})
        (instance $inner (instantiate $inner (with "add" (func $add)) (with "length" (func $length))))
        (export "run" (func $inner "run"))"#
    );
    check(&outer, 25, 4, 2);
}

/// Two modules, of which the second imports what the first exports.
fn two(first: &str, second: &str) -> String {
    format!(
        r#"(core module $first {first})
        (core module $second {second})
        (core instance $first (instantiate $first))
        (core instance $second (instantiate $second (with "first" (instance $first))))
        (func (export "run") (result u32) (canon lift (core func $second "run")))"#
    )
}

#[test]
fn a_global_that_code_changes_is_read_each_time() {
    let counter = r#"(global $n (export "n") (mut i32) (i32.const 1))
        (func (export "next") (global.set $n (i32.add (global.get $n) (i32.const 1))))"#;
    let reader = r#"(import "first" "n" (global $n (mut i32))) (import "first" "next" (func $next))
        (func (export "run") (result i32) (call $next) (call $next) (global.get $n))"#;
    check(&two(counter, reader), 3, 2, 1);
}

#[test]
fn a_reference_to_a_function_stays_valid() {
    let first = r#"(func $f (export "f") (result i32) (i32.const 9))"#;
    let second = r#"(import "first" "f" (func $f (result i32))) (export "f" (func $f))
        (table 1 funcref)
        (func (export "run") (result i32)
            (table.set (i32.const 0) (ref.func $f)) (call_indirect (result i32) (i32.const 0)))"#;
    check(&two(first, second), 9, 2, 1);
}

/// The start function of the first module must not see what the second one writes.
#[test]
fn what_starts_in_between_stays_in_between() {
    let first = r#"(memory (export "memory") 1) (global $seen (export "seen") (mut i32) (i32.const 7))
        (func $start (global.set $seen (i32.load (i32.const 0)))) (start $start)"#;
    let second = r#"(import "first" "memory" (memory 1)) (import "first" "seen" (global $seen (mut i32)))
        (data (i32.const 0) "\01") (func (export "run") (result i32) (global.get $seen))"#;
    check(&two(first, second), 0, 2, 2);
}

/// A module that is filled in later by another, which is not merged, must not overtake it.
#[test]
fn elements_are_written_in_their_order() {
    let of_two = |second: &str| {
        LINKED
            .replace("(table (export \"table\") 8 funcref)", "(table (export \"table\") 8 funcref) (func $ten (export \"ten\") (result i32) (i32.const 10))")
            .replace(
                "(func (export \"run\") (result u32)",
                &format!(
                    r#"(core module $late (import "main" "table" (table 8 funcref)) (import "shim" "lowered" (table $lowered 1 funcref))
                        (import "main" "ten" (func $ten (result i32))) (elem {second}))
                    (core instance (instantiate $late (with "main" (instance $main)) (with "shim" (instance $shim))))
                    (func (export "run") (result u32)"#
                ),
            )
    };
    check(&of_two("(table 0) (i32.const 3) func $ten"), 15, 5, 2);
    let overtaken = of_two("(table $lowered) (i32.const 0) func $ten");
    let component = wat::parse_str(format!("(component {overtaken})")).unwrap();
    assert_eq!(instantiations(&merge(&component).unwrap()), 3);
}

#[test]
fn a_module_that_is_instantiated_twice_stays() {
    let twice = r#"
        (core module $counter (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        (core module $sum (import "a" "next" (func $a (result i32))) (import "b" "next" (func $b (result i32)))
            (func (export "run") (result i32) (i32.add (call $a) (call $b))))
        (core instance $a (instantiate $counter))
        (core instance $b (instantiate $counter))
        (core instance $sum (instantiate $sum (with "a" (instance $a)) (with "b" (instance $b))))
        (func (export "run") (result u32) (canon lift (core func $sum "run")))"#;
    check(twice, 2, 3, 3);
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\x02\xff", b"\0asm\x01\0\0\0"] {
        assert_eq!(merge(bytes), None);
    }
    let shared = "(core module $m (func (export \"f\"))) (export \"m\" (core module $m)) (core instance (instantiate $m))";
    assert_eq!(merge(&wat::parse_str(format!("(component {shared})")).unwrap()), None);
}
