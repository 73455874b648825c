//! The inspection of a file without a host.

use dacapo_wasm::{Access, FileKind, Inspection, Memory, inspect};

use crate::deployment::without;
use crate::guest::{Guest, Kind};
use crate::wasi;

fn inspected(bytes: &[u8]) -> Inspection {
    inspect(bytes).unwrap()
}

fn access<'a>(inspection: &'a Inspection, interface: &str) -> (Vec<&'a str>, Access, Access) {
    let found = inspection.imports.iter().find(|import| import.interface.starts_with(interface));
    let import = found.unwrap_or_else(|| panic!("{interface} is not imported: {inspection:?}"));
    (import.functions.iter().map(String::as_str).collect(), import.in_orchestrators, import.in_activities)
}

#[test]
fn an_app_is_shown_with_its_functions_and_imports() {
    let functions = vec![("Main", Kind::Orchestrator), ("work", Kind::Activity), ("Thing", Kind::Entity)];
    let more = r#"(@custom "dacapo:manifest" "{\22name\22:\22shop\22}") (func (export "extra"))"#;
    let guest = Guest { functions, more, ..Guest::default() };
    let cases =
        [(guest.bare(), FileKind::CoreModule), (guest.module(), FileKind::CoreModule), (guest.component(), FileKind::Component)];
    for (bytes, kind) in cases {
        let app = inspected(&bytes);
        assert_eq!((app.kind, app.bytes, app.troubles.as_slice()), (Some(kind), bytes.len() as u64, [].as_slice()));
        let described: Vec<_> = app.functions.iter().map(|function| (function.name.as_str(), function.kind)).collect();
        assert_eq!(described, [("Main", "orchestrator"), ("work", "activity"), ("Thing", "entity")]);
        let (functions, in_orchestrators, in_activities) = access(&app, "dacapo:guest/orchestration@");
        assert!(functions.contains(&"wait") && functions.contains(&"[method]task.outcome"), "{functions:?}");
        assert_eq!((in_orchestrators, in_activities), (Access::Durable, Access::Traps));
        assert_eq!(access(&app, "dacapo:guest/logging@"), (vec!["log"], Access::Host, Access::Host));
        assert_eq!(app.memories, [Memory { initial_bytes: 8 << 16, maximum_bytes: None }]);
        assert_eq!(app.manifest.unwrap().name.as_deref(), Some("shop"));
        // Only the component's own exports are visible.
        let others: &[&str] = if kind == FileKind::Component { &[] } else { &["extra"] };
        assert_eq!(app.other_exports, others);
    }
}

#[test]
fn wasi_is_shown_by_what_it_is_to_each_role() {
    let app = inspected(&wasi::on_wasi("(call $done)").module());
    assert_eq!((app.kind, app.fits()), (Some(FileKind::CoreModuleWithPreview1), true), "{:?}", app.troubles);
    for interface in ["wasi:clocks/wall-clock", "wasi:random/random", "wasi:cli/environment"] {
        let (_, in_orchestrators, in_activities) = access(&app, interface);
        assert_eq!((in_orchestrators, in_activities), (Access::Deterministic, Access::Real), "{interface}");
    }
    let guest = Guest { more: "(func $dial (drop (call $network)))", ..wasi::on_the_network() };
    let app = inspected(&guest.module());
    assert_eq!(access(&app, "wasi:sockets/instance-network"), (vec!["instance-network"], Access::Traps, Access::Real));
    assert!(app.report[0].called_by.contains(&"dial".to_owned()), "{:?}", app.report);
}

/// An inspection does not optimise, so frames are larger than on a host: JavaScript apps that are loaded when an instance starts were refused.
#[test]
fn a_stack_that_suffices_on_a_host_suffices_here() {
    // The same product many times: one value with optimisation, one slot of the frame each without.
    let (products, sum) = ("(i32.mul (local.get 0) (local.get 0))".repeat(400), "(i32.add)".repeat(400));
    let more = format!(
        "(func $deep (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
            {products} (call $deep (i32.sub (local.get 0) (i32.const 1))) {sum})
        (func $load (drop (call $deep (i32.const 1000))))
        (start $load)"
    );
    let app = inspected(&Guest { more: more.leak(), ..Guest::default() }.module());
    assert!(app.fits(), "{:?}", app.troubles);
}

/// All faults of a file are reported at once, in the sentences that a host would use.
#[test]
fn what_does_not_fit_is_told_in_sentences() {
    let cases: Vec<(Vec<u8>, Option<FileKind>, &[&str])> = vec![
        (b"hello".to_vec(), None, &["the file is not WebAssembly: it does not begin with"]),
        (b"(module)".to_vec(), None, &["it is wasm in text form"]),
        (
            wat::parse_str(r#"(module (import "env" "abort" (func)) (import "env" "now" (func)))"#).unwrap(),
            Some(FileKind::CoreModule),
            &[
                "does not export `describe`",
                "does not export `memory`",
                "does not export `cabi_realloc`",
                "`env::abort`",
                "`env::now`",
            ],
        ),
        (without("cabi_realloc"), Some(FileKind::CoreModule), &["does not export `cabi_realloc`"]),
        (
            wat::parse_str(
                r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#,
            )
            .unwrap(),
            Some(FileKind::CoreModuleWithPreview1),
            &["is a program (it exports `_start`)"],
        ),
        (
            wat::parse_str(r#"(component (import "greet" (func)) (import "wasi:nn/graph@0.2.0" (instance)))"#).unwrap(),
            Some(FileKind::Component),
            &["imports `greet`, which this host does not offer", "imports `wasi:nn/graph@0.2.0`, which this host does not offer"],
        ),
        (
            wat::parse_str(r#"(component (import "dacapo:guest/orchestration@0.9.0" (instance)))"#).unwrap(),
            Some(FileKind::Component),
            &["which this host does not offer: it offers dacapo:guest 0.1"],
        ),
        (wat::parse_str("(component)").unwrap(), Some(FileKind::Component), &["it does not export `describe`"]),
        (
            Guest { describe: "unreachable", ..Guest::default() }.component(),
            Some(FileKind::Component),
            &["`describe` failed: Trap"],
        ),
    ];
    for (bytes, kind, expected) in cases {
        let inspection = inspected(&bytes);
        assert_eq!((inspection.kind, inspection.fits()), (kind, false), "{inspection:?}");
        assert_eq!(inspection.troubles.len(), expected.len(), "{:?}", inspection.troubles);
        for (trouble, expected) in inspection.troubles.iter().zip(expected) {
            assert!(trouble.contains(expected), "expected {expected:?}, got {trouble:?}");
        }
    }
    let import = inspected(&wat::parse_str(r#"(module (import "env" "abort" (func)))"#).unwrap()).imports.remove(0);
    assert_eq!((import.interface.as_str(), import.in_activities), ("env", Access::Unknown));
}

/// A file that is cut off anywhere is reported as unfit, and causes nothing worse.
#[test]
fn a_file_that_is_cut_off_is_told_as_such() {
    for bytes in [Guest::default().bare(), Guest::default().component()] {
        for length in (0..bytes.len()).step_by(97) {
            assert!(!inspected(&bytes[..length]).fits(), "{length} bytes of it");
        }
    }
}
