//! Hand-written guests: core modules in WAT that use the canonical ABI's names, with the contract embedded.
//!
//! ```text
//!   8  the list that `describe` returns     64  a list of tasks for `wait`     100  an outcome
//!  16  the result of a run                  80  the list that `wait` returns   200  scratch
//!  1000 the functions   2000 their names    3000.. texts    5000 iovecs    16384.. heap
//! ```

use std::fmt::Write;

use wit_component::StringEncoding;
use wit_parser::Resolve;

/// Parts of a guest. Bodies are WAT expressions that return a pointer to a result.
pub struct Guest {
    pub functions: Vec<(&'static str, Kind)>,
    /// Further WAT imports.
    pub imports: &'static str,
    /// WIT packages of the imports, and lines of the world.
    pub packages: &'static [&'static str],
    pub world: &'static str,
    pub describe: &'static str,
    pub orchestrator: &'static str,
    pub activity: &'static str,
    /// Its parameters: 0 the name, 2 the key, 4 the operation, 6 the input, each followed by its length; 8 whether there is a
    /// state, 9 the state, 10 its length.
    pub entity: &'static str,
    /// The contract of the world, in WIT.
    pub contract: &'static str,
    /// Further items of the module.
    pub more: &'static str,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Orchestrator = 0,
    Activity = 1,
    Entity = 2,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            functions: vec![("main", Kind::Orchestrator), ("work", Kind::Activity)],
            imports: "",
            packages: &[],
            world: "",
            describe: "(i32.const 8)",
            orchestrator: "(call $done)",
            activity: "(call $done)",
            entity: "(call $kept (i32.const 3000) (i32.const 4) (local.get 6) (local.get 7))",
            contract: "include dacapo:guest/app@0.1.0;",
            more: "",
        }
    }
}

impl Guest {
    pub fn orchestrator(body: &'static str) -> Self {
        Self { orchestrator: body, ..Self::default() }
    }

    pub fn activity(body: &'static str) -> Self {
        Self { activity: body, ..Self::default() }
    }

    /// An app with an entity `Thing` that has this operation.
    pub fn entity(body: &'static str) -> Self {
        Self { entity: body, functions: vec![("main", Kind::Orchestrator), ("Thing", Kind::Entity)], ..Self::default() }
    }

    /// A core module that does not name its world.
    pub fn bare(&self) -> Vec<u8> {
        wat::parse_str(self.wat()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// A core module.
    pub fn module(&self) -> Vec<u8> {
        let mut module = self.bare();
        let mut resolve = Resolve::default();
        resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/wit")).unwrap();
        for package in self.packages {
            resolve.push_str("package.wit", package).unwrap();
        }
        let world = format!("package test:app; world app {{ {} {} }}", self.contract, self.world);
        let package = resolve.push_str("app.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("app")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    pub fn component(&self) -> Vec<u8> {
        wit_component::ComponentEncoder::default().module(&self.module()).unwrap().encode().unwrap()
    }

    pub fn wat(&self) -> String {
        let Self { imports, describe, orchestrator, activity, entity, more, .. } = self;
        let described = self.described();
        format!(
            r#"(module
            (import "dacapo:guest/orchestration@0.1.0" "current-time" (func $now (result f64)))
            (import "dacapo:guest/orchestration@0.1.0" "create-timer" (func $timer (param f64) (result i32)))
            (import "dacapo:guest/orchestration@0.1.0" "wait-for-external-event" (func $event (param i32 i32) (result i32)))
            (import "dacapo:guest/orchestration@0.1.0" "call-activity" (func $call_activity
                (param i32 i32 i32 i32 i32 i32 f64 f64 i32 f64 i32 f64 i32 i32) (result i32)))
            (import "dacapo:guest/orchestration@0.1.0" "wait" (func $wait (param i32 i32 i32)))
            (import "dacapo:guest/orchestration@0.1.0" "random-bytes" (func $random (param i32 i32)))
            (import "dacapo:guest/orchestration@0.1.0" "[method]task.outcome" (func $outcome (param i32 i32)))
            (import "dacapo:guest/orchestration@0.1.0" "[resource-drop]task" (func $drop_task (param i32)))
            (import "dacapo:guest/logging@0.1.0" "log" (func $log (param i32 i32 i32)))
            {imports}
            (memory (export "memory") 8)
            (table $table 1 funcref)
            (global $heap (mut i32) (i32.const 16384))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func $ok (param $text i32) (param $length i32) (result i32)
                (i32.store8 (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (local.get $text))
                (i32.store (i32.const 24) (local.get $length))
                (i32.const 16))
            (func $kept (param $output i32) (param $output_length i32) (param $state i32) (param $state_length i32) (result i32)
                (i32.store (i32.const 28) (i32.const 1))
                (i32.store (i32.const 32) (local.get $state))
                (i32.store (i32.const 36) (local.get $state_length))
                (call $ok (local.get $output) (local.get $output_length)))
            (func $forgotten (result i32)
                (i32.store (i32.const 28) (i32.const 0))
                (call $done))
            (func $done (result i32) (call $ok (i32.const 3000) (i32.const 4)))
            (func $number (param $n i64) (result i32) (local $at i32)
                (local.set $at (i32.const 4000))
                (loop $digit
                    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                    (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
                    (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
                    (br_if $digit (i64.ne (local.get $n) (i64.const 0))))
                (call $ok (local.get $at) (i32.sub (i32.const 4000) (local.get $at))))
            (func $wait_for (param $task i32)
                (i32.store (i32.const 64) (local.get $task))
                (call $wait (i32.const 64) (i32.const 1) (i32.const 80)))
            (func $await_event (call $wait_for (call $event (i32.const 3500) (i32.const 2))))
            (func $call_work (result i32)
                (call $call_activity (i32.const 3400) (i32.const 4) (i32.const 3100) (i32.const 4) (i32.const 0) (i32.const 0)
                    (f64.const 0) (f64.const 0) (i32.const 0) (f64.const 0) (i32.const 0) (f64.const 0) (i32.const 0) (i32.const 0)))
            (func $spin (param $rounds i32)
                (loop $again
                    (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
                    (br_if $again (local.get $rounds))))
            (func $loop_for_ever (loop $again (br $again)))
            (func $recurse (param i32) (result i32) (i32.add (call $recurse (local.get 0)) (i32.const 1)))
            (func $allocate_for_ever
                (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                unreachable)
            (func $panic
                (call $log (i32.const 4) (i32.const 3300) (i32.const 37))
                unreachable)
            {more}
            (func (export "describe") (result i32) {describe})
            (func (export "run-orchestrator") (param $name i32) (param $name_length i32) (param $input i32) (param $input_length i32)
                (result i32) {orchestrator})
            (func (export "run-activity") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {activity})
            (func (export "run-entity-operation") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {entity})
            ;; An empty list, in memory that nothing writes to.
            (func (export "describe-triggers") (result i32) (i32.const 65520))
            (func (export "run-trigger") (param i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
            {described}
            (data (i32.const 3000) "\22ok\22")
            (data (i32.const 3100) "null")
            (data (i32.const 3200) "not json")
            (data (i32.const 3300) "panicked at src/app.rs:7:9: no stock!")
            (data (i32.const 3400) "work")
            (data (i32.const 3500) "Go"))"#
        )
    }

    /// The list of functions: pointer and length of the name, then the kind.
    fn described(&self) -> String {
        let mut data = String::new();
        let mut name_at = 2000;
        let bytes =
            |numbers: &[u32]| -> String { numbers.iter().flat_map(|n| n.to_le_bytes()).map(|b| format!("\\{b:02x}")).collect() };
        write!(data, r#"(data (i32.const 8) "{}")"#, bytes(&[1000, self.functions.len() as u32])).unwrap();
        for (index, (name, kind)) in self.functions.iter().enumerate() {
            let record = bytes(&[name_at, name.len() as u32, *kind as u32]);
            write!(data, r#"(data (i32.const {}) "{record}") (data (i32.const {name_at}) "{name}")"#, 1000 + 12 * index).unwrap();
            name_at += name.len() as u32;
        }
        data
    }
}
