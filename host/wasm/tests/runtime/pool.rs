//! How much of the shared pool guests take.

use dacapo_core::{NotNow, StartError, Step, VersionId};
use dacapo_wasm::{Account, PoolSize};

use crate::activities::{self, call};
use crate::guest::Guest;
use crate::orchestrators::start;
use crate::world::Host;

/// A component with `instances` further core instances of a module.
fn with_instances(guest: &Guest, module: &str, instances: usize) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCE: u8 = 2;
    const INSTANTIATE: u8 = 0;
    let mut component = guest.component();
    let modules = wasmparser::Parser::new(0)
        .parse_all(&component)
        .filter(|payload| matches!(payload, Ok(wasmparser::Payload::ModuleSection { .. })))
        .count();
    let module = wat::parse_str(module).unwrap();
    let made: Vec<u8> = (0..instances).flat_map(|_| [vec![INSTANTIATE], leb(modules), vec![0]].concat()).collect();
    let made = [leb(instances), made].concat();
    component.extend([vec![CORE_MODULE], leb(module.len()), module].concat());
    component.extend([vec![CORE_INSTANCE], leb(made.len()), made].concat());
    component
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

const WAITING: &str = "(call $await_event) (call $done)";

fn deploy(host: &Host, module: &str, instances: usize) -> Result<VersionId, String> {
    let component = with_instances(&Guest::orchestrator(WAITING), module, instances);
    host.runtime.prepare(&component).map(|app| app.version).map_err(|why| why.to_string())
}

fn waiting(host: &Host, version: VersionId) -> Option<Box<dyn dacapo_core::Guest>> {
    match start(host, version) {
        Ok(mut guest) => {
            assert_eq!(guest.resume(), Step::Waiting);
            Some(guest)
        }
        Err(why) => {
            assert_eq!(why, StartError::NotNow(NotNow::NoRoom(version)));
            None
        }
    }
}

/// A component of 120 core instances, or with 8 tables, once took up to 22 slots and counted as one guest: the pool was full for
/// all tenants, and their guests failed.
#[test]
fn a_guest_counts_as_what_it_takes_and_all_that_are_started_run() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 16, activities: 16, triggers: 1 });
    let plain = host.deploy(&Guest::orchestrator(WAITING));
    for (module, instances, fit) in [
        ("(module)", 1, 16),
        ("(module)", 100, 4),
        ("(module (memory 1))", 6, 4),
        ("(module (table 1 funcref) (table 1 funcref))", 10, 2),
        ("(module (memory 1) (table 1 funcref))", 6, 4),
    ] {
        let version = deploy(&host, module, instances).unwrap();
        let guests: Vec<_> = std::iter::from_fn(|| waiting(&host, version)).collect();
        assert_eq!(guests.len(), fit, "{instances} times {module}");
        drop(guests);
        let all: Vec<_> = std::iter::from_fn(|| waiting(&host, plain)).collect();
        assert_eq!(all.len(), 16, "all slots are free again");
    }
}

#[test]
fn what_could_never_fit_is_refused_by_the_name_of_the_limit() {
    let host = Host::new();
    for (module, instances, limit) in [
        ("(module)", 128, "core_instances_per_guest"),
        ("(module (memory 1))", 8, "memories_per_guest"),
        ("(module (table 1 funcref))", 64, "tables_per_guest"),
    ] {
        let why = deploy(&host, module, instances).unwrap_err();
        assert!(why.contains(limit), "{why}");
    }
}

#[test]
fn objects_take_a_memory_of_their_own() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 16, activities: 16, triggers: 1 });
    let more = "(type $node (struct (field i64))) (func $make (drop (struct.new $node (i64.const 1))))";
    let guest = Guest { more, ..Guest::orchestrator("(call $make) (call $await_event) (call $done)") };
    let component = with_instances(&guest, "(module (memory 1))", 1);
    let version = host.runtime.prepare(&component).unwrap().version;
    let guests: Vec<_> = std::iter::from_fn(|| waiting(&host, version)).collect();
    assert_eq!(guests.len(), 8, "three memories each");
}

#[tokio::test]
async fn who_waits_for_room_is_owed_that_of_guests_that_are_only_kept() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 4, activities: 4, triggers: 1 });
    let version = host.deploy(&Guest::orchestrator(WAITING));
    let mut guests: Vec<_> = std::iter::from_fn(|| waiting(&host, version)).collect();
    assert_eq!(guests.len(), 4);
    let other = host.runtime.tenant(Account::default(), host.policy());
    assert_eq!(other.permit(version).err(), Some(NotNow::NoRoom(version)));
    let permit = other.wait_for_permit(version).unwrap();
    assert!(host.runtime.is_slot_owed());
    guests.pop();
    assert!(!host.runtime.is_slot_owed());
    assert!(start(&host, version).is_err(), "the free slots are reserved for the other tenant");
    drop(permit.await);
    assert!(start(&host, version).is_ok());
}

#[tokio::test]
async fn an_activity_of_many_parts_runs_beside_others() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 1, activities: 16, triggers: 1 });
    let component = with_instances(&Guest::activity("(call $spin (i32.const 100000)) (call $done)"), "(module)", 100);
    let version = host.runtime.prepare(&component).unwrap().version;
    let plain = host.deploy(&Guest::default());
    let calls: Vec<_> = (0..40).map(|_| tokio::spawn(host.run_activity(version, call()))).collect();
    for _ in 0..10 {
        assert_eq!(activities::run_version(&host, plain).await, Ok("\"ok\"".into()));
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok("\"ok\"".into()));
    }
}

/// Each version that was ever loaded once kept a file open.
#[tokio::test]
async fn versions_that_nobody_runs_on_leave_memory() {
    let host = Host::with(|setup| setup.versions = 2);
    let bodies = [WAITING, "(nop) (call $done)", "(nop) (nop) (call $done)", "(nop) (nop) (nop) (call $done)"];
    let mut versions = bodies.map(|body| host.deploy(&Guest::orchestrator(body))).to_vec();
    let ready = |versions: &[VersionId]| versions.iter().map(|version| host.tenant.is_ready(*version)).collect::<Vec<bool>>();
    assert_eq!(ready(&versions), [false, false, true, true]);
    // A version with a running guest stays loaded, whatever else is loaded.
    let mut guest = start(&host, versions[0]).unwrap();
    assert_eq!(guest.resume(), Step::Waiting);
    for version in &versions[1..] {
        host.tenant.load(*version).await.unwrap();
    }
    assert_eq!(ready(&versions), [true, false, false, true]);
    drop(guest);
    for version in versions.split_off(1) {
        assert_eq!(start(&host, version).unwrap().resume(), Step::Ended(Ok("\"ok\"".into())));
    }
    assert_eq!(ready(&versions), [false]);
}
