//! Files that no compiler would write.

use std::fmt::Write as _;

use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The first bytes of a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Components in components.
pub fn nested() -> Vec<u8> {
    (0..5_000).fold(COMPONENT.to_vec(), |inner, _| {
        const COMPONENT_SECTION: u8 = 4;
        [COMPONENT, &[COMPONENT_SECTION], &leb(inner.len()), &inner].concat()
    })
}

/// A component with a hundred thousand types.
pub fn wide() -> Vec<u8> {
    const TYPE_SECTION: u8 = 7;
    const COUNT: usize = 100_000;
    const STRING: u8 = 0x73;
    let types = [leb(COUNT), vec![STRING; COUNT]].concat();
    [COMPONENT, &[TYPE_SECTION], &leb(types.len()), &types].concat()
}

/// A function of many blocks, each of which may leave any other: compilers take more than linear time for it.
pub fn slow() -> Vec<u8> {
    const BLOCKS: usize = 1_000;
    let targets: String = (0..BLOCKS).map(|block| format!(" {block}")).collect();
    let mut body = String::new();
    for block in 0..BLOCKS {
        let _ = write!(body, "(br_table{targets} (local.get 0)) end (local.set 0 (i32.add (local.get 0) (i32.const {block}))) ");
    }
    app(&format!("(func (export \"slow\") (param i32) {} {body})", "block ".repeat(BLOCKS)), "(i32.const 8)", "(call $done)")
}

pub fn memory() -> Vec<u8> {
    app("(memory $more 65536)", "(i32.const 8)", "(call $done)")
}

pub fn table() -> Vec<u8> {
    app("(table 10000000 funcref)", "(i32.const 8)", "(call $done)")
}

pub fn start() -> Vec<u8> {
    app("(func $for_ever (loop $again (br $again))) (start $for_ever)", "(i32.const 8)", "(call $done)")
}

/// The list has four thousand million functions.
pub fn describe() -> Vec<u8> {
    app("", "(i32.store (i32.const 12) (i32.const -1)) (i32.const 8)", "(call $done)")
}

/// Waits for handles that nobody gave it.
pub fn forged() -> Vec<u8> {
    let wait =
        "(i32.store (i32.const 64) (i32.const 4711)) (call $wait (i32.const 64) (i32.const 1) (i32.const 80)) (call $done)";
    app("", "(i32.const 8)", wait)
}

pub fn junk() -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend((0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

/// An app with one orchestrator, `evil`, by the names of the canonical ABI.
pub fn app(more: &str, describe: &str, orchestrator: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
        (import "dacapo:guest/orchestration@0.1.0" "wait" (func $wait (param i32 i32 i32)))
        (memory (export "memory") 2)
        {more}
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func $done (result i32)
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 300))
            (i32.store (i32.const 24) (i32.const 4))
            (i32.const 16))
        (func (export "describe") (result i32) {describe})
        (func (export "run-orchestrator") (param i32 i32 i32 i32) (result i32) {orchestrator})
        (func (export "run-activity") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (call $done))
        (func (export "run-entity-operation") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        (data (i32.const 8) "\64\00\00\00\01\00\00\00")
        (data (i32.const 100) "\c8\00\00\00\04\00\00\00\00\00\00\00")
        (data (i32.const 200) "evil")
        (data (i32.const 300) "null"))"#
    );
    let mut module = wat::parse_str(wat).expect("it is WAT");
    let mut resolve = Resolve::default();
    resolve.push_path(crate::workspace().join("guest-sdk/wit")).expect("the contract is WIT");
    let world = "package test:app; world app { include dacapo:guest/app@0.1.0; }";
    let package = resolve.push_str("app.wit", world).expect("it is WIT");
    let world = resolve.select_world(&[package], Some("app")).expect("the world is there");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it can be embedded");
    module
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
