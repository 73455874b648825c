//! Reuse of instances of activities and entities, which an app asks for, and the operator may forbid or grant to all.

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::scripted::NoHub;
use dacapo_core::{Executor as _, VersionId};
use dacapo_wasm::{Account, Manifest, PoolSize, Reuse};

use crate::activities::{call, run_version};
use crate::entities::Entity;
use crate::guest::Guest;
use crate::wasi;
use crate::world::{Host, Setup, account};

/// Counts the calls of its instance.
const COUNT: &str = "(global.set $calls (i64.add (global.get $calls) (i64.const 1)))";

fn counting(rest: &str) -> Guest {
    let body = format!("{COUNT} {rest} (call $number (global.get $calls))").leak();
    Guest { more: "(global $calls (mut i64) (i64.const 0))", ..Guest::activity(body) }
}

fn keeping(idle: usize) -> Host {
    Host::with(|setup| {
        setup.idle_activities = idle;
        setup.policy.reuse = Reuse::Always;
    })
}

#[tokio::test]
async fn an_instance_is_used_again_only_if_it_may_be_kept() {
    let asking = Manifest::attach(br#"{"reuseInstances":true}"#, &counting("").module()).unwrap();
    let silent = counting("").module();
    let (fresh, same) = (["1", "1", "1"], ["1", "2", "3"]);
    for (reuse, idle, file, expected) in [
        (Reuse::Asked, 1, &asking, same),
        (Reuse::Asked, 1, &silent, fresh),
        (Reuse::Asked, 0, &asking, fresh),
        (Reuse::Always, 1, &silent, same),
        (Reuse::Never, 1, &asking, fresh),
    ] {
        let host = Host::with(|setup| {
            setup.idle_activities = idle;
            setup.policy.reuse = reuse;
        });
        let version = host.runtime.prepare(file).unwrap().version;
        for expected in expected {
            assert_eq!(run_version(&host, version).await.unwrap(), expected, "{reuse:?}");
        }
    }
}

#[tokio::test]
async fn never_across_versions_tenants_or_policies() {
    let host = keeping(8);
    let (one, other) = (host.deploy(&counting("")), host.deploy(&counting("(nop)")));
    assert_eq!(run_version(&host, one).await.unwrap(), "1");
    assert_eq!(run_version(&host, other).await.unwrap(), "1");
    let tenant = host.runtime.tenant(Account::default(), host.policy());
    assert_eq!(&*tenant.run_activity(one, call(), Arc::new(NoHub)).await.unwrap(), "1");
    assert_eq!(run_version(&host, one).await.unwrap(), "2");
    host.tenant.set_policy(host.policy(), Default::default());
    assert_eq!(run_version(&host, one).await.unwrap(), "1");
    host.runtime.unload(one);
    assert_eq!(run_version(&host, one).await.unwrap(), "1");
}

#[tokio::test]
async fn never_after_a_trap_a_limit_or_a_deadline() {
    let once = |what: &str| format!("(if (i64.eq (global.get $calls) (i64.const 2)) (then {what}))");
    for what in ["unreachable", "(call $allocate_for_ever)", "(loop $for_ever (br $for_ever))"] {
        let host = Host::with(|setup| {
            setup.idle_activities = 8;
            setup.policy.reuse = Reuse::Always;
            setup.policy.limits.activity_time = Duration::from_millis(300);
        });
        let version = host.deploy(&counting(&once(what)));
        assert_eq!(run_version(&host, version).await.unwrap(), "1");
        run_version(&host, version).await.unwrap_err();
        assert_eq!(run_version(&host, version).await.unwrap(), "1", "{what}");
    }
}

#[tokio::test]
async fn an_instance_that_has_grown_large_is_given_up() {
    // By more than half of its limit.
    let host = keeping(8);
    let version = host.deploy(&counting("(drop (memory.grow (i32.const 70)))"));
    for _ in 0..3 {
        assert_eq!(run_version(&host, version).await.unwrap(), "1");
    }
}

/// Handles that calls leave open must not accumulate until a call fails for want of them.
#[tokio::test]
async fn an_instance_that_hoards_handles_is_given_up_in_time() {
    let hoard = "(local $n i32)
        (loop $more (drop (call $subscribe (i64.const 0)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $n) (i32.const 200))))";
    let host = keeping(8);
    let activity = format!("{hoard} {COUNT} (call $number (global.get $calls))").leak();
    let polling = crate::wasi::polling("(call $done)");
    let more = format!("{} (global $calls (mut i64) (i64.const 0))", polling.more).leak();
    let version = host.deploy(&Guest { activity, more, ..polling });
    for _ in 0..20 {
        run_version(&host, version).await.unwrap();
    }
}

/// An idle instance holds a slot, for which others must not wait.
#[tokio::test]
async fn an_idle_instance_gives_up_its_place() {
    let host = Host::with(|setup: &mut Setup| {
        setup.idle_activities = 8;
        setup.policy.reuse = Reuse::Always;
        setup.pool = PoolSize { activities: 2, ..PoolSize::small() };
    });
    let versions = ["", "(nop)", "(nop) (nop)"].map(|rest| host.deploy(&counting(rest)));
    // If it did not, the third of these would wait for ever.
    for version in versions.repeat(4) {
        run_version(&host, version).await.unwrap();
    }
}

/// An entity that counts the operations of its instance.
fn counting_entity(rest: &str) -> Guest {
    let body = format!(
        "{COUNT} {rest} (drop (call $number (global.get $calls)))
         (call $kept (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 3100) (i32.const 4))"
    );
    Guest { more: "(global $calls (mut i64) (i64.const 0))", ..Guest::entity(body.leak()) }
}

/// The number of operations that the instance has run which is given to the next turn of an entity.
fn operations(host: &Host, version: VersionId) -> String {
    Entity::start(host, version, "thing").unwrap().run("do", "1").unwrap()
}

/// Apps of the original count the calls of an entity in a global variable; each turn of an entity used to begin without it.
#[test]
fn an_entitys_instance_runs_further_turns_if_it_may_be_kept() {
    let asking = Manifest::attach(br#"{"reuseInstances":true}"#, &counting_entity("").module()).unwrap();
    let silent = counting_entity("").module();
    let (fresh, same) = (["1", "1", "1"], ["1", "2", "3"]);
    for (reuse, idle, file, expected) in [
        (Reuse::Asked, 1, &asking, same),
        (Reuse::Asked, 1, &silent, fresh),
        (Reuse::Asked, 0, &asking, fresh),
        (Reuse::Never, 1, &asking, fresh),
    ] {
        let host = Host::with(|setup| {
            setup.idle_activities = idle;
            setup.policy.reuse = reuse;
        });
        let version = host.runtime.prepare(file).unwrap().version;
        assert_eq!([0; 3].map(|_| operations(&host, version)), expected, "{reuse:?}, {idle}");
    }
}

#[test]
fn an_entitys_instance_is_kept_for_its_tenant_version_and_policy() {
    let host = keeping(8);
    let (one, other) = (host.deploy(&counting_entity("")), host.deploy(&counting_entity("(nop)")));
    assert_eq!(operations(&host, one), "1");
    assert_eq!(operations(&host, other), "1");
    let two_at_once = [0; 2].map(|_| Entity::start(&host, one, "thing").unwrap());
    assert_eq!(two_at_once.map(|mut entity| entity.run("do", "1").unwrap()), ["2", "1"]);
    host.tenant.set_policy(host.policy(), Default::default());
    assert_eq!(operations(&host, one), "1");
    host.runtime.unload(one);
    host.runtime.load(one).unwrap();
    assert_eq!(operations(&host, one), "1");
}

/// What it holds while it is idle is counted as its tenant's.
#[test]
fn an_entitys_instance_is_given_up_without_memory_for_it() {
    let mut host = keeping(8);
    let version = host.deploy(&counting_entity(""));
    host.tenant = host.runtime.tenant(Account::default(), host.policy());
    assert_eq!([0; 2].map(|_| operations(&host, version)), ["1", "1"]);
    host.tenant = host.runtime.tenant(account(), host.policy());
    assert_eq!([0; 2].map(|_| operations(&host, version)), ["1", "2"]);
    assert!(host.runtime.give_up_idle_instance());
    assert!(!host.runtime.give_up_idle_instance());
    assert_eq!(operations(&host, version), "1");
}

#[test]
fn an_entitys_instance_is_given_up_after_a_trap_or_a_limit() {
    for what in ["unreachable", "(call $allocate_for_ever)", "(call $loop_for_ever)"] {
        let host = keeping(8);
        let once = format!("(if (i64.eq (global.get $calls) (i64.const 2)) (then {what}))");
        let version = host.deploy(&counting_entity(&once));
        assert_eq!(operations(&host, version), "1");
        Entity::start(&host, version, "thing").unwrap().run("do", "1").unwrap_err();
        assert_eq!(operations(&host, version), "1", "{what}");
    }
}

#[test]
fn what_a_reused_instance_does_is_its_new_operations() {
    let host = keeping(8);
    let printing = wasi::entity_on_wasi("(call $print (i32.const 1) (i32.const 3600) (i32.const 7)) (call $forgotten)");
    let version = host.deploy(&printing);
    for _ in 0..2 {
        let mut entity = Entity::start(&host, version, "thing").unwrap();
        entity.run("do", "1").unwrap();
        assert_eq!(entity.logs(), ["one", "two"]);
    }
}

#[tokio::test]
async fn an_entitys_idle_instance_gives_up_its_place() {
    let host = Host::with(|setup: &mut Setup| {
        setup.idle_activities = 8;
        setup.policy.reuse = Reuse::Always;
        setup.pool = PoolSize { orchestrators: 2, ..PoolSize::small() };
    });
    let versions = ["", "(nop)", "(nop) (nop)"].map(|rest| host.deploy(&counting_entity(rest)));
    for version in versions.repeat(4) {
        // If it did not, the third of these would wait for ever.
        drop(host.tenant.wait_for_permit(version).unwrap().await);
        assert_eq!(operations(&host, version), "1");
    }
}
