//! Deployed files: kept as long as a hub needs them, and loaded off the workers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dacapo::hub::{Hub, HubError, Traffic};
use dacapo_core::{RuntimeStatus, VersionId};
use dacapo_store::control::Wake;
use dacapo_wasm::{Compiler, Stage};
use tokio::sync::watch;

use super::{World, entry, output, run, start, until};

const LATE: Duration = Duration::from_secs(600);

/// A version of the probe: versions differ in a custom section without meaning.
fn probe(number: u8) -> Vec<u8> {
    [&dacapo_tests::guest("fixture-probe").unwrap()[..], &[0, 3, 2, b'v', number]].concat()
}

async fn deploy(hub: &Hub, number: u8) -> VersionId {
    hub.deploy("probe", "", probe(number), Traffic::All).await.unwrap().version
}

/// Returns the files of a version: the module, and its files in the cache.
fn files(data: &Path, version: VersionId) -> Vec<PathBuf> {
    let entries = ["modules", "cache"].map(|name| std::fs::read_dir(data.join(name)).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&version.to_string())).collect()
}

async fn prune(hub: &Hub) -> Vec<VersionId> {
    let hub = hub.clone();
    tokio::task::spawn_blocking(move || hub.prune("probe").unwrap().unreferenced).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_stays_while_a_hub_needs_it_also_one_that_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 1, LATE);
    let mut old = None;
    for name in ["one", "two"] {
        world.create(name, &[], &[]).await;
        let hub = world.hub(name).await;
        old = Some(deploy(&hub, 1).await);
        hub.start_new(start("wait_event", "\"go\"")).await.unwrap();
        deploy(&hub, 2).await;
    }
    let old = old.unwrap();
    let hub = world.hub("one").await;
    assert_eq!(prune(&hub).await, [], "an instance runs on it");
    let waiting = hub.only_instance().await;
    hub.terminate(&waiting, "", false).await.unwrap();
    assert_eq!(prune(&hub).await, [old]);
    drop(hub);
    assert_eq!(files(directory.path(), old).len(), 4, "the other hub, which is closed, needs it");
    // Only one hub can be open: this one is opened again, and loads the module again.
    let hub = world.hub("two").await;
    let waiting = hub.only_instance().await;
    hub.raise_event(&waiting, "go", "1".into()).await.unwrap();
    assert_eq!(hub.wait(&waiting).await.unwrap().status, RuntimeStatus::Completed);
    assert_eq!(prune(&hub).await, [old]);
    assert!(files(directory.path(), old).is_empty(), "it is no longer needed");
    assert_eq!(run(&hub, "chain", "1").await.status, RuntimeStatus::Completed);
    world.hubs.shutdown(Duration::ZERO).await;
}

trait Instances {
    /// Returns the id of the only instance that has not ended.
    async fn only_instance(&self) -> dacapo_core::InstanceId;
}

impl Instances for Hub {
    async fn only_instance(&self) -> dacapo_core::InstanceId {
        let query = dacapo_store::InstanceQuery { statuses: vec![RuntimeStatus::Running], ..Default::default() };
        self.instances(&query, None, 1).unwrap().records[0].id.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_hub_and_a_refused_deployment_leave_no_module() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("gone", &[("versions", 1)], &[]).await;
    let hub = world.hub("gone").await;
    let first = deploy(&hub, 1).await;
    let refused = hub.deploy("probe", "", probe(2), Traffic::All).await;
    assert!(matches!(refused, Err(HubError::Limit { limit: "versions", .. })), "{refused:?}");
    let count = |name: &str| {
        let entries = std::fs::read_dir(directory.path().join(name)).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
    };
    assert_eq!((count("modules"), count("cache")), (1, 3));
    let taken = hub.deploy("other", "", probe(3), Traffic::All).await;
    assert!(matches!(taken, Err(HubError::FunctionTaken { .. })), "{taken:?}");
    assert_eq!((count("modules"), count("cache")), (1, 3));
    assert_eq!(run(&hub, "chain", "1").await.status, RuntimeStatus::Completed);
    drop(hub);
    world.hubs.delete("gone", &entry("gone")).await.unwrap();
    until("its module goes with it", || files(directory.path(), first).is_empty()).await;
    world.hubs.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_starts_removes_what_nobody_needs_and_notes_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("hub", &[], &[]).await;
    let kept = deploy(&world.hub("hub").await, 1).await;
    // Simulates a crash between storing a file and recording it.
    let lost = VersionId([0xab; 32]);
    std::fs::write(directory.path().join(format!("modules/{lost}.wasm")), "lost").unwrap();
    world.close().await;
    let world = World::open(directory.path(), 2, LATE);
    assert_eq!((files(directory.path(), lost).len(), files(directory.path(), kept).len()), (0, 4));
    world.control.release_modules("hub", &[kept]).unwrap();
    world.hub("hub").await;
    assert_eq!(world.control.modules_of("hub").unwrap(), [kept], "opening a hub records the modules that it needs");
    world.close().await;

    // A control file that is newer than the modules does not know which are needed.
    std::fs::remove_file(directory.path().join("control.redb")).unwrap();
    let world = World::open(directory.path(), 2, LATE);
    assert_eq!(files(directory.path(), kept).len(), 4);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deploying_and_pruning_at_once_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    for name in ["one", "two"] {
        world.create(name, &[], &[]).await;
    }
    let (one, two) = (world.hub("one").await, world.hub("two").await);
    let work = |hub: Hub| async move {
        deploy(&hub, 0).await;
        for round in 0..10 {
            let (deployed, _) = tokio::join!(deploy(&hub, round % 2), prune(&hub));
            assert_eq!(run(&hub, "chain", "1").await.status, RuntimeStatus::Completed);
            assert!(hub.apps().iter().any(|app| app.version == deployed), "it is the active one");
        }
    };
    tokio::join!(work(one.clone()), work(two.clone()));
    prune(&one).await;
    prune(&two).await;
    let active = one.apps()[0].version;
    let modules = std::fs::read_dir(directory.path().join("modules")).unwrap().count();
    assert_eq!((modules, files(directory.path(), active).len()), (1, 4));
    world.hubs.shutdown(Duration::ZERO).await;
}

/// A compiler that waits for a file named `go` beside it, and then fails.
fn blocked_compiler(directory: &Path) -> Compiler {
    let program = directory.join("compiler");
    let script = "#!/bin/sh\nwhile [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.05; done\nexit 1\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Compiler::Child { program }
}

/// The hub could once not be opened again while the compiler ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_opens_again_whose_deployment_was_abandoned() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::with(directory.path(), 2, Duration::from_millis(100), |config| {
        config.compiler = blocked_compiler(directory.path());
    });
    world.create("hub", &[], &[]).await;
    #[expect(clippy::async_yields_async, reason = "the deployment continues while the test checks")]
    let compiling = async || {
        let hub = world.hub("hub").await;
        let (stage, mut watched) = watch::channel(Stage::Waiting);
        let preparing = tokio::spawn(async move { hub.prepare(probe(1), stage).await.map(drop) });
        watched.wait_for(|stage| *stage == Stage::Compiling).await.unwrap();
        preparing
    };
    let is_closed = || matches!(world.control.wake("hub"), Ok(Some(Wake::Idle { .. })));
    compiling().await.abort();
    until("it is closed", is_closed).await;
    // While a client waits for a deployment, the hub is in use; suspending the hub ends that.
    let deploying = compiling().await;
    let suspend = async |why: Option<&str>| {
        let why = why.map(str::to_owned);
        world.hubs.change("hub", &entry("hub"), move |record| record.suspended = why.clone()).await
    };
    suspend(Some("unpaid")).await.unwrap();
    assert!(matches!(deploying.await.unwrap(), Err(HubError::ShuttingDown)));
    suspend(None).await.unwrap();
    world.hub("hub").await;
    let left = || std::fs::read_dir(directory.path().join("modules")).unwrap().count();
    until("nothing is left of the file", || left() == 0).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_must_be_compiled_again_holds_up_nobody_else() {
    const INSTANCES: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path(), 2, LATE);
    world.create("cold", &[], &["fixture-probe"]).await;
    world.create("warm", &[], &["example-hello-sequence"]).await;
    let cold = world.hub("cold").await.apps()[0].version;
    world.close().await;
    for path in files(directory.path(), cold).iter().filter(|path| path.starts_with(directory.path().join("cache"))) {
        std::fs::remove_file(path).unwrap();
    }
    let world = World::with(directory.path(), 2, LATE, |config| config.compiler = blocked_compiler(directory.path()));
    let hub = world.hub("cold").await;
    let start_one = |hub: Hub| tokio::spawn(async move { hub.start_new(start("chain", "1")).await.unwrap() });
    let starting: Vec<_> = (0..INSTANCES).map(|_| start_one(hub.clone())).collect();
    let warm = world.hub("warm").await;
    let ended = run(&warm, "hello_sequence", r#"["Tokyo"]"#).await;
    assert_eq!(ended.status, RuntimeStatus::Completed);
    assert!(starting.iter().all(|starting| !starting.is_finished()), "they wait for the compiler");
    std::fs::write(directory.path().join("go"), "").unwrap();
    for started in starting {
        let record = hub.instance(&started.await.unwrap()).unwrap().unwrap();
        let why = record.halted.expect("its code cannot be loaded");
        assert!(why.contains("compiler crashed"), "{why}");
    }
    drop((hub, warm));
    world.close().await;

    // With a working compiler they continue.
    let world = World::open(directory.path(), 2, LATE);
    let hub = world.hub("cold").await;
    let query = dacapo_store::InstanceQuery { statuses: vec![RuntimeStatus::Suspended], ..Default::default() };
    let halted = hub.instances(&query, None, 100).unwrap().records;
    assert!(halted.len() <= INSTANCES);
    for record in halted {
        // Those that had not begun are tried again when the hub is opened.
        let resumed = hub.resume(&record.id, "").await;
        assert!(matches!(resumed, Ok(()) | Err(HubError::Ended { .. } | HubError::NotSuspended(_))), "{resumed:?}");
        assert_eq!(hub.wait(&record.id).await.unwrap().status, RuntimeStatus::Completed, "{}", output(&hub, &record.id));
    }
    world.hubs.shutdown(Duration::ZERO).await;
}
