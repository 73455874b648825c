//! Guests with triggers, as WAT. Those of [`wat()`] start an orchestration whose input and output is the trigger's input, and answer
//! with the id of the instance; one whose name begins with `fail` fails afterwards. Those of [`returning`] return what they are
//! made with, whatever that is.

use std::fmt::Write as _;

/// Where texts begin in the memory of the guest.
const TEXTS: usize = 8_192;

/// Returns a guest with an orchestrator of this name and these triggers: names and bindings.
pub fn wat(orchestrator: &str, triggers: &[(&str, &str)]) -> String {
    let (mut texts, mut at) = (String::new(), TEXTS);
    let mut text = |text: &str| {
        let begin = at;
        writeln!(texts, "  (data (i32.const {begin}) \"{}\")", escaped(text.as_bytes())).expect("a string takes it");
        at += text.len();
        (begin as u32, text.len() as u32)
    };
    let (echo, opens, closes) = (text(orchestrator), text(r#"{"response":{"status":202,"body":""#), text(r#""}}"#));
    let (kind, why) = (text("OnPurpose"), text("it fails on purpose"));
    let entries: Vec<u8> = triggers
        .iter()
        .flat_map(|(name, bindings)| [text(name), text(bindings)])
        .flat_map(|(at, length)| [at.to_le_bytes(), length.to_le_bytes()].concat())
        .collect();
    let (entries, count) = (escaped(&entries), triggers.len());
    let heap = (at + 1_024) & !7;
    let list = escaped(&[&256_u32.to_le_bytes()[..], &(count as u32).to_le_bytes()].concat());
    let functions = escaped(&[&24_u32.to_le_bytes()[..], &1_u32.to_le_bytes()].concat());
    let function = escaped(&[&echo.0.to_le_bytes()[..], &echo.1.to_le_bytes(), &[0; 4]].concat());
    let added = opens.1 + closes.1;
    let ((echo_at, echo_length), (opens_at, opens_length), (closes_at, closes_length)) = (echo, opens, closes);
    let ((kind_at, kind_length), (why_at, why_length)) = (kind, why);
    format!(
        r#"(module
  (import "dacapo:guest/client@0.1.0" "start-orchestration" (func $start
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 f64 i32)))
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const {heap}))
  (func $allocate (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "describe") (result i32) (i32.const 16))
  (func (export "describe-triggers") (result i32) (i32.const 48))
  (func (export "run-orchestrator") (param i32 i32 i32 i32) (result i32)
    (call $succeed (local.get 2) (local.get 3)))
  (func (export "run-trigger") (param $name i32) (param $name_length i32) (param $input i32) (param $input_length i32)
    (param i32 i32 i32) (result i32)
    (local $output i32) (local $id_length i32)
    (call $start (i32.const {echo_at}) (i32.const {echo_length}) (local.get $input) (local.get $input_length)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (f64.const 0) (i32.const 96))
    (if (i32.load8_u (i32.const 96)) (then (return (i32.const 96))))
    ;; "fail" as one number
    (if (i32.eq (i32.load (local.get $name)) (i32.const 0x6c696166))
      (then
        (memory.fill (i32.const 160) (i32.const 0) (i32.const 40))
        (i32.store8 (i32.const 160) (i32.const 1))
        (i32.store (i32.const 164) (i32.const {kind_at})) (i32.store (i32.const 168) (i32.const {kind_length}))
        (i32.store (i32.const 172) (i32.const {why_at})) (i32.store (i32.const 176) (i32.const {why_length}))
        (return (i32.const 160))))
    (local.set $id_length (i32.load (i32.const 104)))
    (local.set $output (call $allocate (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $id_length) (i32.const {added}))))
    (memory.copy (local.get $output) (i32.const {opens_at}) (i32.const {opens_length}))
    (memory.copy (i32.add (local.get $output) (i32.const {opens_length})) (i32.load (i32.const 100)) (local.get $id_length))
    (memory.copy (i32.add (local.get $output) (i32.add (local.get $id_length) (i32.const {opens_length})))
      (i32.const {closes_at}) (i32.const {closes_length}))
    (call $succeed (local.get $output) (i32.add (local.get $id_length) (i32.const {added}))))
  (func $succeed (param i32 i32) (result i32)
    (i32.store8 (i32.const 160) (i32.const 0))
    (i32.store (i32.const 164) (local.get 0))
    (i32.store (i32.const 168) (local.get 1))
    (i32.const 160))
  (data (i32.const 16) "{functions}")
  (data (i32.const 24) "{function}")
  (data (i32.const 48) "{list}")
  (data (i32.const 256) "{entries}")
{texts})"#
    )
}

/// The guest as a module.
pub fn module(orchestrator: &str, triggers: &[(&str, &str)]) -> Vec<u8> {
    wat::parse_str(wat(orchestrator, triggers)).expect("the guest is WAT")
}

/// A guest with a trigger for each of these: bindings, and what it returns. They are named `return-00`, `return-01` and so on.
pub fn returning(triggers: &[(&str, &str)]) -> Vec<u8> {
    let (mut texts, mut at) = (String::new(), TEXTS);
    let mut text = |text: &str| {
        let begin = at;
        writeln!(texts, "  (data (i32.const {begin}) \"{}\")", escaped(text.as_bytes())).expect("a string takes it");
        at += text.len();
        [begin as u32, text.len() as u32]
    };
    let (mut entries, mut outputs) = (Vec::new(), Vec::new());
    for (number, (bindings, output)) in triggers.iter().enumerate() {
        entries.extend([text(&format!("return-{number:02}")), text(bindings)].concat());
        outputs.extend(text(output));
    }
    let words = |words: &[u32]| escaped(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
    let (list, entries, outputs) = (words(&[256, triggers.len() as u32]), words(&entries), words(&outputs));
    let heap = (at + 1_024) & !7;
    let pages = heap / 65_536 + 32;
    let wat = format!(
        r#"(module
  (memory (export "memory") {pages})
  (global $heap (mut i32) (i32.const {heap}))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "describe") (result i32) (i32.const 16))
  (func (export "describe-triggers") (result i32) (i32.const 48))
  (func $digit (param $at i32) (result i32) (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
  (func (export "run-trigger") (param $name i32) (param $length i32) (param i32 i32 i32 i32 i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $name) (local.get $length)))
    (local.set $end (i32.add
      (i32.mul (call $digit (i32.sub (local.get $end) (i32.const 2))) (i32.const 10))
      (call $digit (i32.sub (local.get $end) (i32.const 1)))))
    (i32.store8 (i32.const 160) (i32.const 0))
    (i64.store (i32.const 164) (i64.load offset=4096 (i32.mul (local.get $end) (i32.const 8))))
    (i32.const 160))
  (data (i32.const 48) "{list}")
  (data (i32.const 256) "{entries}")
  (data (i32.const 4096) "{outputs}")
{texts})"#
    );
    wat::parse_str(wat).expect("the guest is WAT")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").expect("a string takes it");
        text
    })
}
