use dacapo_wasm::ManagementLinks;

use crate::activities::run;
use crate::entities::Entity;
use crate::guest::{Guest, Kind};
use crate::world::Host;

/// Asks for the links of the instance `work`, and returns them.
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
    assert_eq!(failure.message, "this host has no management links: nobody reaches it over HTTP");
}

#[tokio::test]
async fn what_is_no_instance_id_has_no_links() {
    let guest = Guest { activity: "(call $links (i32.const 3400) (i32.const 0) (i32.const 100)) (call $done)", ..asking() };
    let failure = run(&linked(), &guest).await.unwrap_err();
    assert_eq!(failure.message, "'' is not an instance id: it is empty");
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
