//! Scheduled starts, and termination by clients: of instances that have not begun, and of families.

use dacapo_core::event::Outcome;
use dacapo_core::scripted::Scripted;
use dacapo_core::{Event, ExecutionId, FunctionName, InstanceId, Parent, RuntimeStatus, Seq, Timestamp};

use crate::net::Net;

fn script() -> Scripted {
    Scripted::new()
        .activity("A", |_| Ok("1".into()))
        .orchestrator("main", |h| async move {
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await
        })
        .orchestrator("parent", |h| async move {
            let depth: u32 = h.input().parse().unwrap();
            if depth == 0 {
                let never = h.with(|e| e.wait_for_external_event("never")).unwrap();
                return h.outcome(never).await;
            }
            let input = (depth - 1).to_string();
            let id = format!("child{}", depth - 1);
            let children = [
                h.act(|e| e.call_sub_orchestrator("parent", input.clone().into(), Some(&id), None)).await,
                h.act(|e| e.call_sub_orchestrator("done", "1".into(), Some(&format!("done{depth}")), None)).await,
            ];
            h.act(|e| e.start_orchestration("main", "1".into(), Some(&format!("detached{depth}")))).await;
            h.outcome(children[0]).await
        })
        .orchestrator("done", |_| async move { Ok("1".into()) })
}

#[test]
fn a_scheduled_start_keeps_everything_until_its_time() {
    for seed in [0, 1] {
        let mut net = Net::seeded(script(), seed);
        net.start_at("o", "main", "1", Some(Timestamp(60_000_000)));
        net.settle();
        net.raise("o", "go", "1");
        net.settle();
        let item = net.item("o");
        assert_eq!((item.record.status, item.inbox.len(), item.record.turns.clone()), (RuntimeStatus::Pending, 2, 0..0));
        assert_eq!(item.timers.first(), Some(&(Timestamp(60_000_000), Seq(u32::MAX))));
        net.crash();
        let turns = net.turns;
        net.settle();
        assert!(net.turns > turns && net.item("o").inbox.len() == 2, "what the crash delivers again changes nothing");
        net.finish();
        assert_eq!(net.output("o"), "1");
        assert_eq!(net.now, 60_000_000);
        assert!(net.item("o").timers.is_empty());
        net.assert_quiet();
        assert_eq!(
            net.item("o").shown(),
            ["OrchestratorStarted", "ExecutionStarted", "EventRaised go 1", "ExecutionCompleted Completed(\"1\")"]
        );
    }
}

#[test]
fn a_start_whose_time_has_passed_begins_at_once() {
    let mut net = Net::new(script());
    net.start_at("o", "main", "1", Some(Timestamp(500_000)));
    net.settle();
    assert_eq!(net.status("o"), RuntimeStatus::Running);
    assert!(net.item("o").timers.is_empty());
}

/// The suspension was acknowledged, but the instance stayed `Pending`, and could not be resumed before its time.
#[test]
fn a_scheduled_start_is_suspended_before_its_time() {
    for resumed_in_time in [true, false] {
        let mut net = Net::new(script());
        let suspend = || Event::ExecutionSuspended { reason: "not now".into() };
        let resume = || Event::ExecutionResumed { reason: "now".into() };
        net.start_at("o", "main", "1", Some(Timestamp(60_000_000)));
        net.settle();
        net.post("o", suspend());
        net.settle();
        assert_eq!(net.status("o"), RuntimeStatus::Suspended);
        net.crash();
        net.settle();
        assert_eq!((net.status("o"), net.item("o").record.turns.clone()), (RuntimeStatus::Suspended, 0..0));
        if resumed_in_time {
            net.post("o", resume());
            net.settle();
            assert_eq!(net.status("o"), RuntimeStatus::Pending);
        }
        net.raise("o", "go", "1");
        net.finish();
        assert_eq!(net.now, 60_000_000, "it still waits for its time");
        if !resumed_in_time {
            assert_eq!(net.status("o"), RuntimeStatus::Suspended, "its time has come, and it does not begin");
            net.post("o", resume());
            net.finish();
        }
        assert_eq!(net.output("o"), "1");
        net.assert_quiet();
    }
}

#[test]
fn a_scheduled_start_can_be_terminated() {
    let mut net = Net::new(script());
    net.start_at("o", "main", "1", Some(Timestamp(60_000_000)));
    net.settle();
    net.raise("o", "go", "1");
    net.terminate("o", false);
    net.raise("o", "go", "2");
    net.settle();
    assert_eq!(net.status("o"), RuntimeStatus::Terminated);
    assert_eq!(
        net.item("o").shown(),
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "ExecutionTerminated",
            "ExecutionCompleted Terminated { reason: \"enough\" }"
        ]
    );
    assert!(net.item("o").timers.is_empty() && net.item("o").inbox.is_empty());
}

#[test]
fn termination_passes_suspension_and_wins_over_all_that_comes_with_it() {
    for seed in [0, 1] {
        let mut net = Net::seeded(script(), seed);
        net.start("o", "main", "1");
        net.settle();
        net.post("o", Event::ExecutionSuspended { reason: String::new() });
        net.settle();
        net.raise("o", "go", "1");
        net.settle();
        net.post("o", Event::ExecutionResumed { reason: String::new() });
        net.terminate("o", false);
        net.terminate("o", true);
        net.settle();
        assert!(matches!(net.outcome("o"), Outcome::Terminated { reason } if reason == "enough"));
        net.assert_quiet();
    }
}

#[test]
fn recursive_termination_ends_the_children_that_are_waited_for_and_theirs() {
    for seed in 0..10 {
        for recurse in [false, true] {
            let mut net = Net::seeded(script(), seed);
            net.start("o", "parent", "3");
            net.settle();
            net.terminate("o", recurse);
            net.settle();
            assert_eq!(net.status("o"), RuntimeStatus::Terminated);
            let expected = if recurse { RuntimeStatus::Terminated } else { RuntimeStatus::Running };
            for child in ["child0", "child1", "child2"] {
                assert_eq!(net.status(child), expected, "{child}, seed {seed}");
            }
            for n in 1..=3 {
                assert_eq!(net.status(&format!("detached{n}")), RuntimeStatus::Running);
                assert_eq!(net.status(&format!("done{n}")), RuntimeStatus::Completed);
            }
            net.assert_quiet();
        }
    }
}

/// A parent is terminated before it learns that its child could not be started, because the id was in use: it must not terminate
/// the instance that has the id.
#[test]
fn recursive_termination_does_not_reach_a_stranger_with_the_id_of_a_child() {
    let mut net = Net::seeded(script(), 0);
    net.start("child0", "main", "1");
    net.start("o", "main", "1");
    net.settle();
    let stranger = Parent {
        name: FunctionName::new("parent").unwrap(),
        instance: InstanceId::any("o").unwrap(),
        execution: ExecutionId(uuid::Uuid::from_u128(9)),
        seq: Seq(0),
    };
    net.post("child0", Event::ExecutionTerminated { reason: String::new(), recurse: true, parent: Some(stranger) });
    net.settle();
    assert_eq!(net.status("child0"), RuntimeStatus::Running);
    net.assert_quiet();
}
