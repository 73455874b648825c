use dacapo_core::FunctionKind;
use dacapo_wasm::{DeployError, LoadError};

use crate::guest::{Guest, Kind};
use crate::world::{Host, Instance};

fn refused(host: &Host, bytes: &[u8]) -> String {
    host.runtime.prepare(bytes).unwrap_err().to_string()
}

/// A core module that lacks an export, and does not name its world.
pub fn without(export: &str) -> Vec<u8> {
    let exported = format!("(export \"{export}\")");
    let wat = Guest::default().wat();
    assert!(wat.contains(&exported));
    wat::parse_str(wat.replacen(&exported, "", 1)).unwrap()
}

#[tokio::test]
async fn a_module_need_not_say_what_world_it_is_written_for() {
    let host = Host::new();
    let functions = vec![("Main", Kind::Orchestrator), ("work", Kind::Activity), ("Thing", Kind::Entity)];
    let app = host.runtime.prepare(&Guest { functions, ..Guest::default() }.bare()).unwrap();
    assert_eq!(app.functions.len(), 3);
    assert_eq!(crate::activities::run_version(&host, app.version).await, Ok("\"ok\"".into()));

    // It need not export what its functions do not need.
    let orchestrator = Guest { functions: vec![("main", Kind::Orchestrator)], ..Guest::default() }.wat();
    let orchestrator = orchestrator.replace("(export \"run-activity\")", "").replace("(export \"run-entity-operation\")", "");
    let app = host.runtime.prepare(&wat::parse_str(&orchestrator).unwrap()).unwrap();
    let mut instance = Instance::new(&host, app.version, true);
    assert_eq!(instance.start().output(), "\"ok\"");
    let message = refused(&host, &wat::parse_str(orchestrator.replace("(export \"run-orchestrator\")", "")).unwrap());
    assert!(message.contains("it describes the orchestrator 'main' but does not export `run-orchestrator`"), "{message}");
    let message = refused(&host, &wat::parse_str(orchestrator.replace("(param $name i32)", "")).unwrap_or_default());
    assert!(message.contains("not"), "{message}");
}

#[test]
fn modules_and_components_are_accepted_and_described() {
    let host = Host::new();
    let functions = vec![("Main", Kind::Orchestrator), ("work", Kind::Activity), ("Thing", Kind::Entity)];
    let guest = Guest { functions, ..Guest::default() };
    for bytes in [guest.module(), guest.component()] {
        let app = host.runtime.prepare(&bytes).unwrap();
        let functions: Vec<_> = app.functions.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let kinds = [FunctionKind::Orchestrator, FunctionKind::Activity, FunctionKind::Entity];
        assert_eq!(functions, [("Main", kinds[0]), ("work", kinds[1]), ("Thing", kinds[2])]);
        assert!(host.config.modules.join(format!("{}.wasm", app.version)).exists());
        assert_eq!(host.runtime.prepare(&bytes).unwrap(), app, "deploying again changes nothing");
    }
}

#[test]
fn what_is_not_an_app_is_refused_with_a_sentence() {
    let host = Host::new();
    let component = Guest::default().component();
    let module = Guest::default().module();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "the file is not WebAssembly: it is empty"),
        (b"hello".to_vec(), "the file is not WebAssembly: it does not begin with the bytes 00 61 73 6d"),
        (b"(module)".to_vec(), "it is wasm in text form"),
        (b"\x7fELF\x02\x01".to_vec(), "it is a program for this machine"),
        (b"\0asm\x02\0\0\0".to_vec(), "it is cut off or of an unknown version"),
        (component[..component.len() / 2].to_vec(), "the file is not valid WebAssembly"),
        (component[..component.len() - 10].to_vec(), "the file is not valid WebAssembly"),
        (module[..module.len() / 2].to_vec(), "the file is not valid WebAssembly"),
        (wat::parse_str("(module)").unwrap(), "the core module does not export `describe`: it tells the host"),
        (
            wat::parse_str("(component)").unwrap(),
            "the component is not a Dacapo app: it does not export `describe`. Build it with",
        ),
        (
            wat::parse_str(r#"(component (import "greet" (func)))"#).unwrap(),
            "the component imports `greet`, which this host does not offer",
        ),
        (
            wat::parse_str(r#"(module (func (export "_start")))"#).unwrap(),
            "the core module is a program (it exports `_start`) and not a library: build it as a reactor",
        ),
        (without("memory"), "the core module does not export `memory`: strings are passed through it. Build it"),
        (without("cabi_realloc"), "the core module does not export `cabi_realloc`: the host calls it to allocate"),
        (without("describe"), "the core module does not export `describe`: it tells the host the app's functions"),
        (
            Guest { imports: r#"(import "env" "abort" (func))"#, ..Guest::default() }.bare(),
            "the component imports `env::abort`, which this host does not offer: the linker left it undefined",
        ),
        (
            wat::parse_str(r#"(component (import "wasi:nn/graph@0.2.0" (instance (export "load" (func)))))"#).unwrap(),
            "the component imports `wasi:nn/graph@0.2.0`, which this host does not offer",
        ),
        (
            wat::parse_str(r#"(component (import "dacapo:guest/orchestration@0.1.0" (instance (export "fly" (func)))))"#)
                .unwrap(),
            "the component imports `dacapo:guest/orchestration@0.1.0`, which this host does not offer",
        ),
    ];
    for (bytes, expected) in cases {
        let message = refused(&host, &bytes);
        assert!(message.contains(expected), "expected {expected:?}, got {message:?}");
    }
    assert_eq!(std::fs::read_dir(&host.config.modules).unwrap().count(), 0, "nothing was kept");
}

#[test]
fn an_export_of_another_type_is_refused() {
    let core = r#"(core module $m (func (export "describe") (result i32) (i32.const 1)))
                  (core instance $i (instantiate $m))
                  (func $f (result u32) (canon lift (core func $i "describe")))
                  (export "describe" (func $f))"#;
    let message = refused(&Host::new(), &wat::parse_str(format!("(component {core})")).unwrap());
    assert!(message.contains("its export `describe` has another type than in the contract"), "{message}");
}

/// The contract before there were entities.
const WITHOUT_ENTITIES: &str = "use dacapo:guest/types@0.1.0.{activity-call, entity-operation, failure, function};
    import dacapo:guest/orchestration@0.1.0;
    import dacapo:guest/logging@0.1.0;
    export describe: func() -> list<function>;
    export run-orchestrator: func(name: string, input: string) -> result<string, failure>;
    export run-activity: func(call: activity-call) -> result<string, failure>;";

#[tokio::test]
async fn an_app_without_entities_need_not_export_what_runs_them() {
    let host = Host::new();
    let guest = Guest { contract: WITHOUT_ENTITIES, ..Guest::default() };
    assert_eq!(host.outcome(&guest), Ok("\"ok\"".into()));
    assert_eq!(crate::activities::run(&host, &guest).await, Ok("\"ok\"".into()));
    let functions = vec![("Thing", Kind::Entity)];
    let message = refused(&host, &Guest { contract: WITHOUT_ENTITIES, functions, ..Guest::default() }.module());
    assert!(message.contains("it describes the entity 'Thing' but does not export `run-entity-operation`"), "{message}");
}

#[test]
fn an_entity_export_of_another_type_is_refused() {
    let host = Host::new();
    let world = "export run-entity-operation: func(operation: entity-operation) -> result<string, failure>;";
    let message = refused(&host, &Guest { contract: WITHOUT_ENTITIES, world, ..Guest::default() }.module());
    assert!(message.contains("its export `run-entity-operation` has another type than in the contract"), "{message}");
}

#[test]
fn bad_functions_are_refused() {
    let host = Host::new();
    let with = |functions: Vec<(&'static str, Kind)>| {
        host.runtime.prepare(&Guest { functions, ..Guest::default() }.module()).unwrap_err()
    };
    assert!(matches!(with(vec![]), DeployError::NoFunctions));
    assert!(matches!(with(vec![("", Kind::Activity)]), DeployError::InvalidFunctionName { .. }));
    assert!(matches!(with(vec![("two words", Kind::Activity)]), DeployError::InvalidFunctionName { .. }));
    let duplicate = with(vec![("Pay", Kind::Activity), ("pay", Kind::Orchestrator)]);
    assert_eq!(duplicate.to_string(), "the app holds two functions named 'pay' (names are compared ignoring case)");
}

#[test]
fn a_describe_that_misbehaves_is_refused() {
    let host = Host::new();
    let with = |describe: &'static str| refused(&host, &Guest { describe, ..Guest::default() }.module());
    assert!(with("unreachable").starts_with("the component's `describe` failed: Trap: "));
    assert!(with("(call $loop_for_ever) (i32.const 8)").starts_with("the component's `describe` failed: FuelExhausted: "));
    assert!(with("(call $allocate_for_ever) (i32.const 8)").starts_with("the component's `describe` failed: OutOfMemory: "));
    assert!(with("(call $await_event) (i32.const 8)").contains("it waits, but must depend on nothing"));
}

#[test]
fn compiled_code_is_cached_and_damage_is_survived() {
    let mut host = Host::new();
    let version = host.deploy(&Guest::default());
    let module = host.config.modules.join(format!("{version}.wasm"));
    let compiled = |host: &Host| {
        let mut files = std::fs::read_dir(&host.config.cache).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
    };
    let run = |host: &Host| {
        let mut instance = Instance::new(host, version, true);
        instance.start().output()
    };

    // The cached code is enough.
    let bytes = std::fs::read(&module).unwrap();
    std::fs::remove_file(&module).unwrap();
    host.restart();
    host.runtime.load(version).unwrap();
    assert_eq!(run(&host), "\"ok\"");

    // Without either, it cannot be run, and the error says why.
    // (Never overwritten: the old runtime has it mapped.)
    let code = compiled(&host).unwrap();
    std::fs::remove_file(&code).unwrap();
    std::fs::write(&code, b"torn").unwrap();
    host.restart();
    assert!(matches!(host.runtime.load(version), Err(LoadError::Unreadable { .. })));
    std::fs::write(&module, b"other").unwrap();
    assert!(matches!(host.runtime.load(version), Err(LoadError::Damaged { .. })));

    // Deploying the right file again repairs a damaged one of the same length.
    std::fs::write(&module, vec![0; bytes.len()]).unwrap();
    assert_eq!(host.deploy(&Guest::default()), version);
    assert_eq!(std::fs::read(&module).unwrap(), bytes);
    std::fs::remove_file(compiled(&host).unwrap()).unwrap();

    // The module is enough, and the cached code is created again.
    std::fs::write(&module, bytes).unwrap();
    host.restart();
    assert_eq!(run(&host), "\"ok\"");
    assert!(std::fs::metadata(compiled(&host).unwrap()).unwrap().len() > 1_000);
    std::fs::remove_dir_all(&host.config.cache).unwrap();
    host.restart();
    assert_eq!(run(&host), "\"ok\"");

    // It may also be deleted while the host runs: instances used to be halted for want of the directory.
    std::fs::remove_dir_all(&host.config.cache).unwrap();
    host.runtime.unload(version);
    assert_eq!(run(&host), "\"ok\"");
}

#[test]
fn the_cache_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    assert_eq!(std::fs::metadata(&host.config.cache).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_traps_in_an_orchestrator_is_reported_with_who_calls_it() {
    let host = Host::new();
    let guest = Guest { more: "(func $dial (drop (call $network)))", ..crate::wasi::on_the_network() };
    for bytes in [guest.module(), guest.component()] {
        let report = host.runtime.prepare(&bytes).unwrap().report;
        let [finding] = report.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            (finding.interface.as_str(), finding.function.as_str()),
            ("wasi:sockets/instance-network@0.2.3", "instance-network")
        );
        assert_eq!(finding.what, "allowed in activities; in an orchestrator or entity it traps");
        assert!(finding.called_by.contains(&"dial".to_owned()), "{report:?}");
    }
    let only_activities = Guest { functions: vec![("work", Kind::Activity)], ..crate::wasi::on_the_network() };
    assert_eq!(host.runtime.prepare(&only_activities.module()).unwrap().report, []);
    assert_eq!(host.runtime.prepare(&Guest::default().module()).unwrap().report, []);
}

#[test]
fn a_manifest_is_found_in_modules_and_components() {
    let host = Host::new();
    let guest =
        Guest { more: r#"(@custom "dacapo:manifest" "{\22name\22:\22shop\22,\22version\22:\222.1\22}")"#, ..Guest::default() };
    for bytes in [guest.module(), guest.component()] {
        let app = host.runtime.prepare(&bytes).unwrap();
        let manifest = app.manifest.unwrap();
        assert_eq!(*host.runtime.manifest(app.version).unwrap(), Some(manifest.clone()));
        assert_eq!((manifest.name.as_deref(), manifest.version.as_deref()), (Some("shop"), Some("2.1")));
    }
    let wrong = Guest { more: r#"(@custom "dacapo:manifest" "{\22nam\22:\22shop\22}")"#, ..Guest::default() };
    let message = refused(&host, &wrong.module());
    assert!(message.contains("dacapo:manifest") && message.contains("unknown field `nam`"), "{message}");
}

#[test]
fn what_nobody_needs_is_removed() {
    let mut host = Host::new();
    let kept = host.deploy(&Guest::default());
    let gone = host.deploy(&Guest { functions: vec![("Other", Kind::Orchestrator)], ..Guest::default() });
    let files = |host: &Host| {
        let directories = [&host.config.modules, &host.config.cache];
        let files = directories.map(|directory| std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()));
        let mut names: Vec<String> = files.into_iter().flatten().map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let of = |names: &[String], version: dacapo_core::VersionId| {
        names.iter().filter(|name| name.starts_with(&version.to_string())).count()
    };
    assert_eq!(
        (of(&files(&host), kept), of(&files(&host), gone)),
        (4, 4),
        "the file, its code, the digest of that, and what it says of itself"
    );
    host.runtime.remove(gone).unwrap();
    host.runtime.remove(gone).unwrap();
    assert_eq!((of(&files(&host), kept), of(&files(&host), gone)), (4, 0));
    assert!(matches!(host.runtime.load(gone), Err(LoadError::Unreadable { .. })));

    let gone = host.deploy(&Guest { functions: vec![("Other", Kind::Orchestrator)], ..Guest::default() });
    std::fs::write(host.config.cache.join(format!("{kept}-0123456789abcdef.cwasm")), "of another engine").unwrap();
    std::fs::write(host.config.modules.join(format!("{kept}.tmp-1-2")), "torn").unwrap();
    std::fs::write(host.config.modules.join("README"), "somebody else's").unwrap();
    host.restart();
    assert_eq!(host.runtime.keep_only(&[kept].into()).unwrap(), 6);
    let left = files(&host);
    assert_eq!((of(&left, kept), of(&left, gone), left.len()), (4, 0, 6), "beside a file and a folder: {left:?}");
    host.runtime.load(kept).unwrap();
}
