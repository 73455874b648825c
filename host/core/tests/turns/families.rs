//! Rewinding an orchestration whose sub-orchestrations have failed.

use dacapo_core::event::Outcome;
use dacapo_core::scripted::Scripted;
use dacapo_core::{Event, ExecutionId, Failure, FunctionName, Parent, RuntimeStatus, Seq};

use crate::entities::result;
use crate::net::{Net, id};
use crate::rewind::{Broken, check, runs};
use crate::world::{FIXED, after};

#[test]
fn failed_children_are_rewound_and_their_children_too() {
    let script = Scripted::new()
        .orchestrator("main", |h| async move {
            let children = [
                h.act(|e| e.call_sub_orchestrator("child", "1".into(), Some("c1"), None)).await,
                h.act(|e| e.call_sub_orchestrator("child", "2".into(), Some("c2"), None)).await,
            ];
            let outcomes = [h.outcome(children[0]).await, h.outcome(children[1]).await];
            outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok("1".into())
        })
        .orchestrator("child", |h| async move {
            let id = format!("{}-grandchild", h.with(|e| e.context().instance.clone()));
            let input = h.input();
            let task = h.act(|e| e.call_sub_orchestrator("grandchild", input, Some(&id), None)).await;
            h.outcome(task).await
        })
        .orchestrator("grandchild", |h| async move {
            h.activity("work", "9").await?;
            let input = h.input();
            h.activity("work", &input).await
        });
    for broken in [&["1", "2"][..], &["2"], &["9"]] {
        let net = check(script.clone(), broken, |script, _| script, 1);
        for instance in ["c1", "c2", "c1-grandchild", "c2-grandchild"] {
            assert_eq!(net.status(instance), RuntimeStatus::Completed, "{instance}");
        }
        assert_eq!(runs(&net, 2), if broken.contains(&"2") { 2 } else { 1 });
    }
}

/// How a child reacts to the rewind of its parent, in each state that it can be in.
#[test]
fn a_child_answers_a_parent_that_is_rewound() {
    let script = |broken: &Broken| {
        broken
            .script()
            .orchestrator("main", |h| async move {
                let child = h.act(|e| e.call_sub_orchestrator("child", "1".into(), Some("c"), None)).await;
                h.outcome(child).await
            })
            .orchestrator("child", |h| async move {
                h.activity("work", "2").await?;
                let timer = after(&h, 10).await;
                h.outcome(timer).await?;
                h.activity("work", "1").await
            })
            .orchestrator("waits", |h| async move {
                let never = h.with(|e| e.wait_for_external_event("never")).unwrap();
                h.outcome(never).await
            })
    };
    for how in ["terminated", "rewound before", "rewound and running", "gone", "replaced", "not to be rewound"] {
        for seed in [0, 1] {
            let broken = Broken::new(&["1"]);
            let mut net = Net::seeded(
                script(&broken).version(FIXED, {
                    let parent_only = script(&broken);
                    parent_only.orchestrator("child", |h| async move { h.activity("other", "1").await })
                }),
                seed,
            );
            net.start("o", "main", "null");
            net.settle();
            if how == "terminated" {
                net.terminate("c", false);
            }
            net.finish();
            assert_eq!(net.status("o"), RuntimeStatus::Failed);
            broken.repair();
            match how {
                "rewound before" => {
                    net.rewind("c");
                    net.settle();
                    assert_eq!(net.status("c"), RuntimeStatus::Completed);
                }
                "rewound and running" => {
                    net.rewind("c");
                    net.step();
                    assert_eq!(net.status("c"), RuntimeStatus::Running);
                }
                "gone" => {
                    let row = net.ids.remove(&id("c")).unwrap();
                    net.items.remove(&row);
                }
                "replaced" => {
                    net.start("c", "waits", "null");
                    net.settle();
                }
                "not to be rewound" => net.active = Some(FIXED),
                _ => {}
            }
            net.rewind("o");
            net.finish();
            let outcome = format!("{:?}", net.outcome("o"));
            match how {
                "gone" => assert!(outcome.contains("InstanceNotFound"), "{outcome}"),
                "replaced" => assert!(outcome.contains("InstanceAlreadyExists"), "{outcome}"),
                "not to be rewound" => assert!(outcome.contains("1 is broken"), "{outcome}"),
                _ => assert_eq!(outcome, "Completed(\"1\")", "{how}"),
            }
            assert_eq!(runs(&net, 2), 1, "{how}");
            net.assert_quiet();
        }
    }
}

/// A terminated instance discards everything that arrives after its end. Its operation on an entity cannot be called again,
/// because it may have been run.
#[test]
fn a_terminated_child_that_waited_for_an_entity_is_not_rewound() {
    let script = Scripted::new()
        .orchestrator("main", |h| async move {
            let child = h.act(|e| e.call_sub_orchestrator("child", "1".into(), Some("c"), None)).await;
            h.outcome(child).await
        })
        .orchestrator("child", |h| async move {
            let task = h.act(|e| e.call_entity("x", "y", "z", "1".into())).await;
            h.outcome(task).await
        })
        .entity("x", |_, _| result("1", Some("1".into())));
    let mut net = Net::new(script);
    net.signal("@x@y", "z", "1");
    net.post("@x@y", Event::ExecutionSuspended { reason: String::new() });
    net.settle();
    net.start("o", "main", "null");
    net.settle();
    net.terminate("c", false);
    net.settle();
    assert_eq!(net.status("o"), RuntimeStatus::Failed);
    net.rewind("o");
    net.settle();
    assert_eq!((net.status("o"), net.status("c")), (RuntimeStatus::Failed, RuntimeStatus::Terminated));
    net.post("@x@y", Event::ExecutionResumed { reason: String::new() });
    net.settle();
    assert_eq!(net.item("@x@y").entity.operations, 2);
    net.assert_quiet();
}

/// A completed child reports its result again to a parent that does not have it.
#[test]
fn a_completed_child_reports_again() {
    let mut net = Net::new(
        Scripted::new()
            .orchestrator("main", |h| async move {
                let child = h.act(|e| e.call_sub_orchestrator("child", "1".into(), Some("c"), None)).await;
                h.outcome(child).await
            })
            .orchestrator("child", |_| async move { Ok("7".into()) }),
    );
    net.start("o", "main", "null");
    while net.find("c").is_none_or(|item| item.record.status != RuntimeStatus::Completed) {
        net.step();
    }
    let parent = net.item("c").record.parent.clone();
    net.post("c", Event::ExecutionRewound { reason: String::new(), parent });
    net.settle();
    assert_eq!(net.output("o"), "7", "a duplicate result is taken in once");
    let stranger = Parent {
        name: FunctionName::new("x").unwrap(),
        instance: id("x"),
        execution: ExecutionId(uuid::Uuid::nil()),
        seq: Seq(0),
    };
    net.post("c", Event::ExecutionRewound { reason: String::new(), parent: Some(stranger) });
    net.settle();
    assert!(matches!(net.outcome("c"), Outcome::Completed(_)) && net.refused.is_empty());
}

/// With the texts of Durable Functions, hot and after a crash, whose replay uses the recorded text.
#[test]
fn who_failed_stands_first_in_what_its_parent_sees() {
    let script = Scripted::new()
        .orchestrator("main", |h| async move {
            let child = h.act(|e| e.call_sub_orchestrator("child", "1".into(), Some("c"), None)).await;
            let failure = h.outcome(child).await.unwrap_err();
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await?;
            Err(failure)
        })
        .orchestrator("child", |_| async move { Err(Failure::permanent("Bad", "luck")) });
    let mut net = Net::new(script);
    net.start("o", "main", "null");
    net.settle();
    assert!(matches!(net.outcome("c"), Outcome::Failed(failure) if failure.message == "luck"), "its own failure has no prefix");
    net.crash();
    net.raise("o", "go", "1");
    net.settle();
    let failed = net.outcome("o");
    assert_eq!(failed, Outcome::Failed(Failure::permanent("Bad", "Orchestrator function 'child' failed: luck")));
}
