//! The compiler process, with modules that are made to attack it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dacapo_tests::host::{Host, binary};
use dacapo_wasm::{Account, CompileLimits, Compiler, Config, DeployError, Policy, PoolSize, Runtime, Tenant};
use serde_json::{Value, json};

fn runtime(directory: &std::path::Path) -> Runtime {
    let compiler = Compiler::Child { program: binary().unwrap().to_owned() };
    let config = Config { pool: PoolSize::small(), compiler, ..Config::new(directory.join("modules"), directory.join("cache")) };
    Runtime::new(config).unwrap()
}

fn tenant(directory: &std::path::Path, compile: CompileLimits) -> Tenant {
    runtime(directory).tenant(Account::default(), Policy { compile, ..Policy::default() })
}

/// A valid module that is slow to compile: functions with many long-lived values, none of which can be optimised away.
fn slow_module() -> Vec<u8> {
    let multiply = |n: usize| format!("(local.set {n} (i64.mul (local.get {}) (local.get 7)))", (n * 31) % 200);
    let store = |n: usize| format!("(i64.store (i32.const {}) (local.get {n}))", n * 8);
    let body: String = (0..200).map(multiply).chain((0..200).map(store)).collect();
    let function = format!("(func (param i64) (local {}) {body})", "i64 ".repeat(200));
    wat::parse_str(format!("(component (core module (memory 1) {}))", function.repeat(10_000))).unwrap()
}

#[test]
fn an_app_is_compiled_by_a_process_and_mapped() {
    let directory = tempfile::tempdir().unwrap();
    let module = dacapo_tests::guest("example-hello-sequence").unwrap();
    let tenant = tenant(directory.path(), CompileLimits::default());
    let app = tenant.prepare(&module).unwrap();
    assert!(app.functions.len() > 1, "{app:?}");
    let files = std::fs::read_dir(directory.path().join("cache")).unwrap().count();
    assert_eq!(files, 4, "the code, its digest, its description, and the folder of compiled functions");
    let why = tenant.prepare(b"\0asm\x02\0\0\0").unwrap_err();
    assert!(why.to_string().contains("cut off or of an unknown version"), "{why}");
    // The compiler process has no pool; the host has.
    let memories = wat::parse_str("(component (core module (memory 1) (memory 1)))").unwrap();
    let why = tenant.prepare(&memories).unwrap_err();
    assert!(matches!(why, DeployError::Module(_)), "{why}");
}

/// An app of many functions, one of which returns `answer`.
fn app_that_returns(answer: i64) -> Vec<u8> {
    let multiply = |n: usize| format!("(local.set 0 (i64.mul (local.get 0) (i64.const {n})))");
    let function = |n: usize| format!("(func (param i64) (result i64) {} (local.get 0))", multiply(n).repeat(100));
    let functions: String = (2..200).map(function).collect();
    let guest = dacapo_tests::trigger_guest::wat("Echo", &[]);
    let guest = guest.strip_suffix(')').unwrap();
    wat::parse_str(format!("{guest} {functions} (func (result i64) (i64.const {answer})))")).unwrap()
}

/// A deployment of an app of which one function has changed used to compile all of them: a Python app took half a minute.
#[test]
fn a_new_version_is_compiled_where_it_has_changed_and_its_code_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let functions = |hub: &str| directory.path().join("cache/functions").join(format!("{hub}.functions"));
    let runtime = runtime(directory.path());
    let tenant = |hub: &str| runtime.tenant(Account { hub: hub.into(), ..Account::default() }, Policy::default());
    let code = |module: &[u8]| {
        let version = dacapo_wasm::version_of(module).to_string();
        let files = std::fs::read_dir(directory.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        let mut files = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&version));
        std::fs::read(files.find(|path| path.extension().is_some_and(|extension| extension == "cwasm")).unwrap()).unwrap()
    };
    let (one, two) = (app_that_returns(1), app_that_returns(2));
    tenant("first").prepare(&one).unwrap();
    let before = std::fs::read(functions("first")).unwrap();
    let app = tenant("first").prepare(&two).unwrap();
    let after = std::fs::read(functions("first")).unwrap();
    // The compiler's key of a function also depends on what it did before, so some that are the same are compiled again.
    assert!(after.len() - before.len() < before.len() / 2, "{} bytes of functions, then {}", before.len(), after.len());

    // Another task hub finds nothing of it, and gets the same code.
    let incremental = code(&two);
    runtime.remove(app.version).unwrap();
    assert!(!functions("second").exists());
    tenant("second").prepare(&two).unwrap();
    assert!(functions("second").metadata().unwrap().len() < after.len() as u64);
    assert!(code(&two) == incremental, "what was found differs from what is compiled");

    runtime.forget_functions("First").unwrap();
    assert!(!functions("first").exists());
}

#[test]
fn a_module_that_is_slow_or_large_to_compile_meets_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let module = slow_module();
    let limited = |seconds, memory_bytes| match tenant(directory.path(), CompileLimits { seconds, memory_bytes }).prepare(&module)
    {
        Err(DeployError::Limit { limit, value, .. }) => (limit, value),
        other => panic!("{other:?}"),
    };
    assert_eq!(limited(1, 4 << 30), ("compile_seconds", 1));
    assert_eq!(limited(60, 256 << 20), ("compile_memory_bytes", 256 << 20));
}

#[test]
fn a_host_refuses_it_and_serves_on() {
    let (host, _directory) = Host::temporary(&["--set", "limits.compile_seconds=1"]).unwrap();
    let answer = host.request("POST", "/admin/apps/slow", Some(&slow_module())).unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("compile_seconds"), "{answer:?}");
    let module = dacapo_tests::guest("example-hello-sequence").unwrap();
    host.deploy("hello", &module).unwrap();

    // A client that waits is sent the progress and the result.
    let answer = host.request("POST", "/admin/apps/slow?progress=true", Some(&slow_module())).unwrap();
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().any(|line| line["kind"] == "waiting" || line["kind"] == "compiling"), "{answer:?}");
    assert_eq!((&last["kind"], &last["status"]), (&json!("refused"), &json!(403)), "{answer:?}");
    assert!(last["message"].as_str().unwrap().contains("compile_seconds"), "{answer:?}");
    let answer = host.request("POST", "/admin/apps/hello?progress=true", Some(&module)).unwrap();
    let last: Value = serde_json::from_str(answer.body.lines().last().unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["app"]["changed"]), (&json!("deployed"), &json!(false)), "{answer:?}");
}

/// The number of compiler processes of a host.
fn compilers(host: &Host) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    children.map(|children| children.split_whitespace().count()).sum()
}

/// A compiler process once ran for ten minutes after its client had gone.
#[test]
fn a_deployment_whose_client_has_gone_is_cancelled() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let module = slow_module();
    for query in ["", "?progress=true"] {
        let address = host.url().strip_prefix("http://").unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let head =
            format!("POST /admin/apps/slow{query} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", module.len());
        client.write_all(&[head.as_bytes(), &module].concat()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let wait_for = |count: usize| {
            while compilers(&host) != count {
                assert!(Instant::now() < deadline, "{count} compilers");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait_for(1);
        drop(client);
        wait_for(0);
    }
    assert_eq!(host.request("GET", "/admin/apps", None).unwrap().json(), json!([]));
}
