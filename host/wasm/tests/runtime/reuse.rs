//! Reuse of activity instances, which an app asks for, and the operator may forbid or grant to all.

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::Executor as _;
use dacapo_core::scripted::NoHub;
use dacapo_wasm::{Account, Manifest, PoolSize, Reuse};

use crate::activities::{call, run_version};
use crate::guest::Guest;
use crate::world::{Host, Setup};

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
