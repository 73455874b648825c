use std::time::{Duration, Instant};

use dacapo_core::{ActivityCall, Failure, FunctionName, InstanceId, Seq, VersionId};
use dacapo_wasm::PoolSize;

use crate::entities::Entity;
use crate::guest::Guest;
use crate::world::Host;

pub fn call() -> ActivityCall {
    ActivityCall {
        name: FunctionName::new("work").unwrap(),
        input: "null".into(),
        instance: InstanceId::any("i").unwrap(),
        seq: Seq(3),
        attempt: 2,
    }
}

pub async fn run(host: &Host, guest: &Guest) -> Result<String, Failure> {
    run_version(host, host.deploy(guest)).await
}

pub async fn run_version(host: &Host, version: VersionId) -> Result<String, Failure> {
    host.run_activity(version, call()).await.map(|output| output.to_string())
}

#[tokio::test]
async fn an_activity_returns_its_output() {
    let host = Host::new();
    assert_eq!(run(&host, &Guest::default()).await, Ok("\"ok\"".into()));
    // The output is the task id times ten, plus the attempt.
    let guest =
        Guest::activity("(call $number (i64.extend_i32_u (i32.add (i32.mul (local.get 6) (i32.const 10)) (local.get 7))))");
    assert_eq!(run(&host, &guest).await, Ok("32".into()));
}

/// Its caller must not wait for one that will not run.
#[tokio::test]
async fn a_setting_of_the_app_disables_an_activity_or_an_entity() {
    for (name, value, is_disabled) in [
        ("AzureWebJobs.work.Disabled", "true", true),
        ("azurewebjobs__WORK__disabled", "1", true),
        ("AzureWebJobs.work.Disabled", "false", false),
        ("AzureWebJobs.works.Disabled", "true", false),
    ] {
        let host = Host::with(|setup| setup.policy.environment = vec![(name.into(), value.into())]);
        let outcome = run(&host, &Guest::default()).await.map_err(|failure| (failure.error_type, failure.retriable));
        let expected = if is_disabled { Err(("ActivityNotFound".to_owned(), false)) } else { Ok("\"ok\"".to_owned()) };
        assert_eq!(outcome, expected, "{name}={value}");
    }
    let setting = ("AzureWebJobs.Thing.Disabled".into(), "True".into());
    let host = Host::with(|setup| setup.policy.environment = vec![setting]);
    let failure = Entity::of(&host, &Guest::entity("(call $forgotten)")).run("do", "1").unwrap_err();
    assert_eq!((failure.error_type.as_str(), failure.retriable), ("EntityNotFound", false));
    assert!(failure.message.contains("disabled by a setting of its app"), "{failure:?}");
}

#[tokio::test]
async fn what_breaks_an_activity_is_named() {
    let host = Host::with(|setup| setup.policy.limits.activity_time = Duration::from_millis(300));
    let cases = [
        ("(call $loop_for_ever) (call $done)", "Timeout", "it did not finish within 300ms", true),
        (
            "(call $allocate_for_ever) (call $done)",
            "OutOfMemory",
            "bytes of memory, 8388608 are allowed (activity_memory_bytes)",
            true,
        ),
        ("(drop (call $recurse (i32.const 0))) (call $done)", "StackOverflow", "a stack of 262144 bytes", true),
        ("unreachable", "Trap", "`unreachable`", true),
        ("(call $panic) (call $done)", "Panic", "no stock!", true),
        ("(call $ok (i32.const 3200) (i32.const 8))", "InvalidOutput", "the output is not JSON", false),
        ("(drop (call $timer (f64.const 0))) (call $done)", "Trap", "only orchestrators may call create-timer", true),
        ("(call $await_event) (call $done)", "Trap", "only orchestrators may call wait-for-external-event", true),
    ];
    for (body, error_type, message, retriable) in cases {
        let failure = run(&host, &Guest::activity(body)).await.unwrap_err();
        assert_eq!(failure.error_type, error_type, "{body}: {failure:?}");
        assert!(failure.message.contains(message), "{body}: {failure:?}");
        assert_eq!(failure.retriable, retriable, "{body}");
    }
}

#[tokio::test]
async fn a_busy_activity_lets_others_run() {
    let host = Host::with(|setup| setup.policy.limits.activity_time = Duration::from_millis(500));
    let (busy, quick) = (host.deploy(&Guest::activity("(call $loop_for_ever) (call $done)")), host.deploy(&Guest::default()));
    let begun = Instant::now();
    let quick = async {
        host.run_activity(quick, call()).await.unwrap();
        begun.elapsed()
    };
    let (busy, quick) = tokio::join!(host.run_activity(busy, call()), quick);
    assert_eq!(busy.unwrap_err().error_type, "Timeout");
    assert!(quick < Duration::from_millis(400), "{quick:?}");
}

#[tokio::test]
async fn more_activities_than_places_wait() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 1, activities: 2, triggers: 1 });
    let version = host.deploy(&Guest::activity("(call $spin (i32.const 5000000)) (call $done)"));
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(host.run_activity(version, call()))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok("\"ok\"".into()));
    }
}

#[tokio::test]
async fn an_activity_that_is_dropped_stops() {
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 1, activities: 1, triggers: 1 });
    let (busy, quick) = (host.deploy(&Guest::activity("(call $loop_for_ever) (call $done)")), host.deploy(&Guest::default()));
    for _ in 0..3 {
        let busy = host.run_activity(busy, call());
        assert!(tokio::time::timeout(Duration::from_millis(20), busy).await.is_err());
        assert_eq!(host.run_activity(quick, call()).await, Ok("\"ok\"".into()), "its place is free");
    }
}

#[tokio::test]
async fn a_name_is_known_in_any_spelling_and_what_is_unknown_is_not_found() {
    let host = Host::new();
    let version = host.deploy(&Guest::activity("(call $ok (i32.const 3000) (i32.mul (local.get 1) (i32.const 1)))"));
    let named = |name: &str| host.run_activity(version, ActivityCall { name: FunctionName::new(name).unwrap(), ..call() });
    assert_eq!(named("WORK").await, Ok("\"ok\"".into()));
    for unknown in ["rest", "main"] {
        let failure = named(unknown).await.unwrap_err();
        assert_eq!((failure.error_type.as_str(), failure.retriable), ("ActivityNotFound", false));
    }
}

#[tokio::test]
async fn a_version_that_is_nowhere_is_a_retriable_failure() {
    let failure = Host::new().run_activity(VersionId([7; 32]), call()).await.unwrap_err();
    assert!(failure.retriable && failure.message.contains("cannot be read"), "{failure:?}");
}
