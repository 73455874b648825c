use std::sync::{Arc, Mutex};

use dacapo_core::guest::{ClientCall, ClientFuture, HubClient, Start, StartFuture};
use dacapo_core::{Executor as _, Failure, FunctionName, InstanceId};
use dacapo_wasm::ManagementLinks;

use crate::activities::{call, run};
use crate::entities::Entity;
use crate::guest::{Guest, Kind};
use crate::world::Host;

/// Requests the links of the instance `work`, and returns them.
fn asking() -> Guest {
    const ASK: &str = "(call $links (i32.const 3400) (i32.const 4) (i32.const 100))
                       (call $ok (i32.load (i32.const 100)) (i32.load (i32.const 104)))";
    Guest {
        imports: r#"(import "dacapo:guest/management@0.1.0" "links" (func $links (param i32 i32 i32)))"#,
        orchestrator: ASK,
        activity: ASK,
        entity: ASK,
        functions: vec![("main", Kind::Orchestrator), ("work", Kind::Activity), ("Thing", Kind::Entity)],
        ..Guest::default()
    }
}

fn linked() -> Host {
    Host::with(|setup| {
        setup.policy.management_links = Some(ManagementLinks::new(|id| format!("{{\"id\":\"{id}\"}}")));
    })
}

#[tokio::test]
async fn an_activity_is_given_the_links_of_an_instance() {
    assert_eq!(run(&linked(), &asking()).await, Ok(r#"{"id":"work"}"#.into()));
}

#[tokio::test]
async fn a_host_without_an_address_has_no_links() {
    let failure = run(&Host::new(), &asking()).await.unwrap_err();
    assert_eq!(failure.message, "this host has no management links: it does not serve HTTP");
}

#[tokio::test]
async fn what_is_no_instance_id_has_no_links() {
    const ASK: &str = "(call $links (i32.const 3400) (i32.const 0) (i32.const 100))
                       (call $ok (i32.load (i32.const 100)) (i32.load (i32.const 104)))";
    assert_eq!(run(&linked(), &Guest { activity: ASK, ..asking() }).await, Ok("null".into()));
}

#[test]
fn only_activities_are_given_links() {
    let host = linked();
    let of_orchestrator = host.outcome(&asking()).unwrap_err();
    let of_entity = Entity::of(&host, &asking()).run("do", "1").unwrap_err();
    for failure in [of_orchestrator, of_entity] {
        assert_eq!(failure.error_type, "Trap");
        assert!(failure.message.starts_with("only activities may call links of the management interface"), "{failure:?}");
    }
}

/// Starts the orchestration `work` with its own input, and returns the result of that.
fn starting(id_and_version: &str) -> Guest {
    let start = format!(
        "(call $start (i32.const 3400) (i32.const 4) (i32.const 3100) (i32.const 4) {id_and_version} (i32.const 100)) (i32.const 100)"
    );
    let start: &'static str = start.leak();
    Guest {
        imports: r#"(import "dacapo:guest/management@0.1.0" "start-orchestration" (func $start
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        orchestrator: start,
        activity: start,
        ..Guest::default()
    }
}

const NEITHER: &str = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)";
const GO_AS_WORK: &str = "(i32.const 1) (i32.const 3400) (i32.const 4) (i32.const 1) (i32.const 3500) (i32.const 2)";

/// A hub that records the starts.
#[derive(Default)]
struct Hub(Mutex<Vec<Start>>);

impl HubClient for Hub {
    fn start_orchestration(&self, start: Start) -> StartFuture {
        self.0.lock().unwrap().push(start);
        Box::pin(async {
            tokio::task::yield_now().await;
            // The id becomes the output, which must be JSON.
            Ok(InstanceId::any("7").unwrap())
        })
    }

    fn call(&self, _call: ClientCall) -> ClientFuture {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test]
async fn an_activity_starts_orchestrations() {
    let host = Host::new();
    let hub = Arc::new(Hub::default());
    for guest in [starting(NEITHER), starting(GO_AS_WORK)] {
        let started = host.tenant.run_activity(host.deploy(&guest), call(), hub.clone()).await;
        assert_eq!(started.as_deref(), Ok("7"));
    }
    let plain = Start {
        name: FunctionName::new("work").unwrap(),
        input: "null".into(),
        instance: None,
        version: String::new(),
        start_at: None,
    };
    let full = Start { instance: Some(InstanceId::any("work").unwrap()), version: "Go".into(), ..plain.clone() };
    assert_eq!(*hub.0.lock().unwrap(), [plain, full]);
}

#[tokio::test]
async fn what_cannot_be_started_is_a_failure_that_the_activity_sees() {
    let refused = run(&Host::new(), &starting(NEITHER)).await.unwrap_err();
    assert_eq!(refused, Failure::retriable("Unavailable", "there is no task hub"));
    let nameless = starting("(i32.const 1) (i32.const 3400) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)");
    let refused = run(&Host::new(), &nameless).await.unwrap_err();
    assert_eq!(refused.error_type, "InvalidArgument");
    assert_eq!(refused.message, "'' is not an instance id: it is empty");
}

#[test]
fn an_orchestrator_is_told_what_to_call_instead() {
    let failure = Host::new().outcome(&starting(NEITHER)).unwrap_err();
    let expected = "only activities may call start-orchestration of the management interface: here it is start-orchestration of \
                    the orchestration interface";
    assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("Trap", expected));
}
