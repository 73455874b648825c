//! Misbehaving compiler processes. (The real compiler is tested end to end.)

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use dacapo_wasm::{CompileLimits, Compiler, Config, DeployError, Preparation, Stage};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::guest::Guest;
use crate::world::Host;

/// A host whose compiler is a shell script.
fn host(script: &str) -> (Host, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("compiler");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = Host::with(|setup| {
        setup.compiler = Compiler::Child { program };
        setup.policy.compile = CompileLimits { seconds: 7, memory_bytes: 1 << 30 };
    });
    (host, directory)
}

fn refused(script: &str) -> DeployError {
    let (host, _directory) = host(script);
    let why = host.tenant.prepare(&Guest::default().module()).unwrap_err();
    assert_nothing_is_kept(&host);
    why
}

fn assert_nothing_is_kept(host: &Host) {
    let Config { modules, cache, .. } = &host.config;
    for directory in [modules, cache, &cache.join("functions")] {
        let files = std::fs::read_dir(directory).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(files.count(), 0, "{}", directory.display());
    }
}

#[test]
fn a_compiler_that_crashes_is_the_modules_fault() {
    for script in ["kill -SEGV $$", "kill -ABRT $$", "exit 101", "echo nonsense", "true"] {
        let why = refused(script);
        assert!(matches!(why, DeployError::CompilerCrashed { .. }), "{script}: {why}");
    }
}

#[test]
fn what_it_refuses_is_handed_on() {
    let why = refused(r#"echo '{"Refused":{"TooComplex":{"reason":"it is too much"}}}'"#);
    assert_eq!(why.to_string(), "the file is more complex than this host compiles: it is too much");
}

#[test]
fn the_limits_are_named_with_their_values() {
    let limit = |script: &str| match refused(script) {
        DeployError::Limit { limit, value, .. } => (limit, value),
        other => panic!("{script}: {other}"),
    };
    assert_eq!(limit("kill -XCPU $$"), ("compile_seconds", 7));
    assert_eq!(limit("echo 'memory allocation of 64 bytes failed' >&2; kill -ABRT $$"), ("compile_memory_bytes", 1 << 30));
}

#[test]
fn one_that_never_ends_is_killed() {
    let (host, _directory) = host("exec sleep 1000");
    let compile = CompileLimits { seconds: 0, memory_bytes: 1 };
    host.tenant.set_policy(dacapo_wasm::Policy { compile, ..Default::default() }, Default::default());
    let why = host.tenant.prepare(&Guest::default().module()).unwrap_err();
    assert!(matches!(why, DeployError::OutOfTime { seconds: 0 }), "{why}");
}

/// The compiler once ran on without limit, and its hub could not be opened meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_waits_for_is_killed_and_gives_its_place_to_the_next() {
    // The script records its process id, and is replaced by `sleep`.
    let (host, directory) = host(r#"echo $$ > "$(dirname "$0")/$$.pid"; exec sleep 1000"#);
    let module = |n: i32| Arc::new(wat::parse_str(format!("(module (func (export \"{n}\")))")).unwrap());
    let prepare = |n, held| {
        let (stage, tenant) = (watch::Sender::new(Stage::Waiting), host.tenant.clone());
        let watching = stage.subscribe();
        let preparation = Preparation { module: module(n), stage, held };
        (tokio::spawn(async move { tenant.prepare_async(preparation).await.map(drop) }), watching)
    };
    // A tenant compiles one module at a time: the second waits.
    let (token, held) = (Arc::new(()), Arc::new(()));
    let (first, mut watching) = prepare(1, held.clone());
    watching.wait_for(|stage| *stage == Stage::Compiling).await.unwrap();
    let (second, mut watching) = prepare(2, token.clone());
    assert_eq!(*watching.borrow(), Stage::Waiting);
    first.abort();
    watching.wait_for(|stage| *stage == Stage::Compiling).await.unwrap();
    second.abort();
    let leaves = |held: &Arc<()>| Arc::strong_count(held) == 1;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !(leaves(&held) && leaves(&token)) {
        assert!(std::time::Instant::now() < deadline, "the held values are not dropped");
        tokio::task::yield_now().await;
    }
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pid") {
            let pid = std::fs::read_to_string(&path).unwrap();
            assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "the compiler {pid} still runs");
        }
    }
    assert_nothing_is_kept(&host);
}

#[test]
fn what_it_says_without_end_is_not_kept() {
    let why = refused("head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2; exit 1");
    assert!(matches!(why, DeployError::CompilerCrashed { .. }), "{why}");
}

#[test]
fn code_that_is_none_is_trouble_of_the_host_and_not_used() {
    // The third argument is the output file.
    for script in [r#"echo hello > "$3"; echo '"Compiled"'"#, r#"echo '"Compiled"'"#] {
        let why = refused(script);
        assert!(matches!(why, DeployError::Compiler(_)), "{script}: {why}");
    }
}

#[test]
fn a_compiler_that_cannot_be_run_is_trouble_of_the_host() {
    let host = Host::with(|setup| setup.compiler = Compiler::Child { program: "/does/not/exist".into() });
    let why = host.tenant.prepare(&Guest::default().module()).unwrap_err();
    assert!(matches!(why, DeployError::Compiler(_)), "{why}");
}

#[test]
fn more_deployments_of_a_tenant_than_may_wait_are_refused() {
    let (host, directory) = host(r#"while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done; exit 1"#);
    let module = |n: i32| wat::parse_str(format!("(module (func (export \"{n}\")))")).unwrap();
    std::thread::scope(|threads| {
        let (tell, heard) = std::sync::mpsc::channel();
        // One is being compiled, and eight may wait.
        for n in 0..10 {
            let (host, tell) = (&host, tell.clone());
            threads.spawn(move || tell.send(host.tenant.prepare(&module(n)).unwrap_err()));
        }
        drop(tell);
        // None of the others can have ended.
        let first = heard.recv().unwrap();
        assert!(matches!(first, DeployError::Busy { waiting: 8 }), "{first}");
        let other = host.runtime.tenant(Default::default(), Default::default());
        let others = threads.spawn(move || other.prepare(&module(10)).unwrap_err());
        std::fs::write(directory.path().join("go"), "").unwrap();
        let why = others.join().unwrap();
        assert!(matches!(why, DeployError::CompilerCrashed { .. }), "another tenant is not refused: {why}");
        let rest: Vec<_> = heard.iter().collect();
        assert_eq!(rest.len(), 9);
        assert!(rest.iter().all(|why| matches!(why, DeployError::CompilerCrashed { .. })), "{rest:?}");
    });
}
