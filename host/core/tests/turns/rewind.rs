//! Rewinding: calls that succeeded are not run again, failed ones are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dacapo_core::execution::TaskId;
use dacapo_core::retry::RetryPolicy;
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Failure, RuntimeStatus, VersionId};

use crate::entities::{call, number, result};
use crate::net::Net;
use crate::world::{FIXED, VERSION, after};

/// The inputs for which the activity fails, for now.
#[derive(Clone, Default)]
pub struct Broken(Arc<Mutex<BTreeSet<String>>>);

impl Broken {
    pub fn new(inputs: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(inputs.iter().map(|input| input.to_string()).collect())))
    }

    pub fn repair(&self) {
        self.0.lock().unwrap().clear();
    }

    fn check(&self, input: &str) -> Result<(), Failure> {
        match self.0.lock().unwrap().contains(input) {
            true => Err(Failure::retriable("Broken", format!("{input} is broken"))),
            false => Ok(()),
        }
    }

    /// Adds an activity `work` that fails for broken inputs, and otherwise returns its input.
    pub fn script(&self) -> Scripted {
        let broken = self.clone();
        Scripted::new().activity("work", move |call| broken.check(&call.input).map(|()| call.input))
    }
}

pub async fn work(h: &Handle, input: u32) -> TaskId {
    h.act(|e| e.call_activity("work", input.to_string().into(), None)).await
}

/// Runs an orchestration that fails, repairs what is broken, and rewinds it. The histories must be the same hot and cold.
#[track_caller]
pub fn check(script: Scripted, broken: &[&str], make: impl Fn(Scripted, &Broken) -> Scripted, rewinds: usize) -> Net {
    let mut histories = Vec::new();
    let mut last = None;
    for (hot, crashes) in [(true, false), (false, false), (true, true)] {
        let broken = Broken::new(broken);
        let mut net = Net::seeded(make(merged(script.clone(), &broken), &broken), 4);
        net.hot = hot;
        net.start("o", "main", "null");
        net.finish();
        assert_eq!(net.status("o"), RuntimeStatus::Failed);
        broken.repair();
        for _ in 0..rewinds {
            net.rewind("o");
            if crashes {
                net.step();
                net.crash();
            }
            net.finish();
        }
        assert_eq!((net.status("o"), &net.refused[..]), (RuntimeStatus::Completed, &[][..]), "{:#?}", net.item("o").shown());
        net.assert_quiet();
        if !crashes {
            histories.push(net.item("o").events());
        }
        last = Some(net);
    }
    assert_eq!(histories[0], histories[1], "hot and cold");
    last.unwrap()
}

fn merged(script: Scripted, broken: &Broken) -> Scripted {
    let broken = broken.clone();
    script.activity("work", move |call| broken.check(&call.input).map(|()| call.input))
}

pub fn runs(net: &Net, input: u32) -> usize {
    net.activities_run.iter().filter(|run| **run == format!("work({input})")).count()
}

#[test]
fn what_succeeded_is_not_run_again_and_what_failed_is() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let mut sum = 0;
        for n in 1..=3 {
            let task = work(&h, n).await;
            sum += h.outcome(task).await?.parse::<u32>().unwrap();
        }
        Ok(sum.to_string().into())
    });
    let net = check(script, &["2"], |script, _| script, 1);
    assert_eq!(net.output("o"), "6");
    assert_eq!((runs(&net, 1), runs(&net, 2), runs(&net, 3)), (1, 2, 1));
    assert_eq!(
        net.item("o").shown(),
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 work 1 #1",
            "OrchestratorStarted",
            "TaskCompleted 0 1",
            "TaskScheduled 1 work 2 #1",
            "OrchestratorStarted",
            "ExecutionRewound try again",
            "OrchestratorStarted",
            "TaskCompleted 1 2",
            "TaskScheduled 4194304 work 3 #1",
            "OrchestratorStarted",
            "TaskCompleted 4194304 3",
            "ExecutionCompleted Completed(\"6\")",
        ]
    );
}

#[test]
fn a_fan_out_with_several_failures_is_rewound_at_once() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let mut tasks = Vec::new();
        for n in 1..=5 {
            tasks.push(work(&h, n).await);
        }
        // All are awaited, then the first failure counts.
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(h.outcome(task).await);
        }
        outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok("1".into())
    });
    for broken in [&["1", "3", "5"][..], &["1"], &["5"], &["2", "3"]] {
        let net = check(script.clone(), broken, |script, _| script, 1);
        for n in 1..=5 {
            assert_eq!(runs(&net, n), 1 + usize::from(broken.contains(&&*n.to_string())), "{broken:?}: {n}");
        }
    }
}

#[test]
fn late_results_are_kept_and_timers_are_set_again() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let tasks = [work(&h, 1).await, work(&h, 2).await, work(&h, 3).await];
        let timer = after(&h, 60).await;
        for task in tasks {
            h.outcome(task).await?;
        }
        h.outcome(timer).await
    });
    for seed in 0..20 {
        let broken = Broken::new(&["1", "3"]);
        let mut net = Net::seeded(merged(script.clone(), &broken), seed);
        net.start("o", "main", "null");
        net.settle();
        assert_eq!(net.status("o"), RuntimeStatus::Failed);
        assert!(net.item("o").timers.is_empty() && net.item("o").activities.is_empty());
        broken.repair();
        if seed % 3 == 0 {
            net.crash();
        }
        net.rewind("o");
        net.settle();
        assert_eq!((net.status("o"), net.item("o").timers.len()), (RuntimeStatus::Running, 1));
        net.finish();
        assert_eq!((net.status("o"), net.now), (RuntimeStatus::Completed, 61_000_000));
        assert_eq!([1, 2, 3].map(|n| runs(&net, n)), [2, 1, 2], "seed {seed}");
        net.assert_quiet();
    }
}

#[test]
fn retries_go_on_with_the_last_attempt() {
    let policy = RetryPolicy {
        max_attempts: 2,
        first_interval: Duration::from_secs(5),
        backoff_coefficient: 1.0,
        max_interval: None,
        timeout: None,
        non_retriable_error_types: vec![],
    };
    let script = Scripted::new().orchestrator("main", move |h| {
        let policy = policy.clone();
        async move {
            let task = h.act(|e| e.call_activity("work", "1".into(), Some(policy))).await;
            h.outcome(task).await
        }
    });
    let net = check(script, &["1"], |script, _| script, 1);
    assert_eq!(runs(&net, 1), 3);
}

#[test]
fn an_operation_that_failed_is_called_again_and_one_under_way_is_not() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let good = h.act(|e| e.call_entity("counter", "good", "add", "1".into())).await;
        let bad = h.act(|e| e.call_entity("counter", "bad", "add", "2".into())).await;
        h.outcome(bad).await?;
        h.outcome(good).await
    });
    let with_entity = |script: Scripted, broken: &Broken| {
        let broken = broken.clone();
        script.entity("counter", move |operation, _| {
            broken.check(&operation.input)?;
            let sum = (number(&operation.state) + number(&Some(operation.input.clone()))).to_string();
            result(&sum, Some(sum.clone()))
        })
    };
    let net = check(script, &["2"], with_entity, 1);
    assert_eq!((net.state("@counter@good"), net.state("@counter@bad")), (Some("1".into()), Some("2".into())));
    assert_eq!(net.output("o"), "1");
}

#[test]
fn an_execution_that_continued_as_new_is_rewound_to_its_own_turns() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let round: u32 = h.input().parse().unwrap_or(0);
        h.activity("work", &(10 + round).to_string()).await?;
        if round < 2 {
            h.with(|e| e.continue_as_new((round + 1).to_string().into())).unwrap();
            return Ok("null".into());
        }
        h.activity("work", "1").await
    });
    let net = check(script, &["1"], |script, _| script, 1);
    assert_eq!([10, 11, 12].map(|n| runs(&net, n)), [1, 1, 1]);
    assert_eq!(net.item("o").record.turns, 2..6, "the turns of the executions before have other numbers");
}

/// The code was wrong, not what it called. Only the last turn failed; it is run again by the corrected code. What the wrong turn
/// began is forgotten, and its results are not mistaken for those of the right one.
#[test]
fn a_failure_of_the_code_itself_runs_the_last_turn_again_with_the_active_version() {
    let with = |right: bool| {
        Broken::default().script().orchestrator("main", move |h| async move {
            h.activity("work", "1").await?;
            let task = work(&h, if right { 3 } else { 2 }).await;
            if !right {
                return Err(Failure::permanent("Panic", "wrong"));
            }
            h.outcome(task).await
        })
    };
    for seed in 0..10 {
        let mut net = Net::seeded(with(false).version(FIXED, with(true)), seed);
        net.start("o", "main", "null");
        while net.find("o").is_none_or(|item| item.record.status != RuntimeStatus::Failed) {
            net.step();
        }
        assert_eq!(net.item("o").activities.len(), 1, "an activity that was not awaited still runs");
        net.rewind("o");
        net.settle();
        assert_eq!(net.status("o"), RuntimeStatus::Failed, "the same code fails again");
        net.active = Some(FIXED);
        net.rewind("o");
        net.settle();
        assert_eq!(net.output("o"), "3", "seed {seed}");
        assert_eq!(net.item("o").record.version, Some(FIXED));
        assert_eq!(runs(&net, 1), 1);
        let rewound = net.item("o").shown().iter().filter(|event| event.contains("Rewound")).count();
        assert_eq!(rewound, 2, "each reason stays in the history");
        net.assert_quiet();
    }
}

#[test]
fn a_failure_in_the_first_turn_begins_again() {
    let mut net = Net::new(
        Scripted::new()
            .orchestrator("main", |_| async move { Err(Failure::permanent("Bad", "luck")) })
            .version(FIXED, Scripted::new().orchestrator("main", |h| async move { Ok(h.input()) })),
    );
    net.start("o", "main", "7");
    net.settle();
    net.active = Some(FIXED);
    net.rewind("o");
    net.settle();
    assert_eq!(
        net.item("o").shown(),
        ["OrchestratorStarted", "ExecutionStarted", "ExecutionRewound try again", "ExecutionCompleted Completed(\"7\")"]
    );
}

#[test]
fn a_rewound_turn_may_continue_as_new() {
    let with = |right: bool| {
        Broken::default().script().orchestrator("main", move |h| async move {
            if &*h.input() == "2" {
                return Ok("3".into());
            }
            h.activity("work", "1").await?;
            h.with(|e| e.continue_as_new("2".into())).unwrap();
            if right { Ok("1".into()) } else { Err(Failure::permanent("Bad", "luck")) }
        })
    };
    let mut net = Net::new(with(false).version(FIXED, with(true)));
    net.start("o", "main", "null");
    net.settle();
    net.active = Some(FIXED);
    net.rewind("o");
    net.settle();
    assert_eq!((net.output("o"), net.item("o").record.turns.clone()), ("3".into(), 2..3));
}

/// The rewound instance fails at once, before the failed calls are made again. The next rewind must still repeat them.
#[test]
fn a_rewind_that_fails_at_once_loses_nothing() {
    let wrong = |wrong: bool| {
        move |h: Handle| async move {
            let tasks = [work(&h, 1).await, work(&h, 2).await];
            let child = h.act(|e| e.call_sub_orchestrator("child", "4".into(), Some("c"), None)).await;
            let operation = h.act(|e| e.call_entity("x", "y", "z", "5".into())).await;
            let mut all = vec![h.outcome(child).await, h.outcome(operation).await];
            for task in tasks {
                all.push(h.outcome(task).await);
            }
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await?;
            if wrong && all.iter().any(Result::is_err) {
                return Err(Failure::permanent("Wrong", "code"));
            }
            all.into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok("1".into())
        }
    };
    for seed in 0..10 {
        let broken = Broken::new(&["1", "4", "5"]);
        let base = || {
            let (child, entity) = (broken.clone(), broken.clone());
            broken
                .script()
                .orchestrator("child", move |h| {
                    let checked = child.check(&h.input());
                    async move { checked.map(|()| "1".into()) }
                })
                .entity("x", move |operation, _| entity.check(&operation.input).and_then(|()| result("1", None)))
        };
        // In FIXED, the rewound turn fails before it waits: it makes a call that is not allowed.
        let fails = base().orchestrator("main", |h| async move {
            let _tasks = [work(&h, 1).await, work(&h, 2).await];
            h.act(|e| e.call_sub_orchestrator("child", "4".into(), Some("c"), None)).await;
            h.act(|e| e.call_entity("x", "y", "z", "5".into())).await;
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await?;
            Err(Failure::permanent("Wrong", "again"))
        });
        let mut net = Net::seeded(base().orchestrator("main", wrong(true)).version(FIXED, fails), seed);
        net.start("o", "main", "null");
        net.settle();
        net.raise("o", "go", "1");
        net.settle();
        assert_eq!(net.status("o"), RuntimeStatus::Failed);
        broken.repair();
        net.active = Some(FIXED);
        net.rewind("o");
        net.settle();
        assert_eq!((net.status("o"), runs(&net, 1)), (RuntimeStatus::Failed, 1));
        net.active = Some(VERSION);
        net.rewind("o");
        net.settle();
        assert_eq!(net.output("o"), "1", "seed {seed}");
        assert_eq!((runs(&net, 1), runs(&net, 2)), (2, 1));
        net.assert_quiet();
    }
}

#[test]
fn what_cannot_be_rewound_is_refused_and_stays_as_it_was() {
    let script = || {
        Broken::new(&["1"])
            .script()
            .orchestrator("fails", |h| async move { h.activity("work", "1").await })
            .orchestrator("ends", |_| async move { Ok("1".into()) })
            .orchestrator("waits", |h| async move {
                let never = h.with(|e| e.wait_for_external_event("never")).unwrap();
                h.outcome(never).await
            })
            .orchestrator("locks", |h| async move {
                let lock = h.act(|e| e.lock_entities(&[("x".into(), "y".into())])).await;
                h.outcome(lock).await?;
                h.activity("work", "1").await
            })
            .entity("x", |_, _| result("1", None))
    };
    let other = Scripted::new().orchestrator("fails", |h| async move { h.activity("work", "2").await });
    let (changed, empty) = (VersionId([8; 32]), VersionId([9; 32]));
    for (name, active, why) in [
        ("ends", VERSION, "only a failed instance can be rewound, and 'o' has the status Completed"),
        ("waits", VERSION, "has the status Running"),
        ("locks", VERSION, "locks of entities"),
        ("fails", changed, "the code diverges from the history at event 2"),
        ("fails", empty, "no orchestrator 'fails' in 0909"),
    ] {
        let mut net = Net::new(script().version(changed, other.clone()).version(empty, Scripted::new()));
        net.start("o", name, "null");
        net.settle();
        let before = (net.item("o").record.clone(), net.item("o").events());
        net.active = Some(active);
        net.rewind("o");
        net.settle();
        assert!(net.refused.len() == 1 && net.refused[0].contains(why), "{:?}", net.refused);
        assert_eq!((net.item("o").record.clone(), net.item("o").events()), before);
    }
}

/// Operations in a critical section that ended before the failure are ordinary history.
#[test]
fn a_failure_after_a_critical_section_can_be_rewound() {
    let script = Scripted::new().entity("x", |_, _| result("1", Some("1".into()))).orchestrator("main", |h| async move {
        let lock = h.act(|e| e.lock_entities(&[("x".into(), "y".into())])).await;
        h.outcome(lock).await?;
        call(&h, "x", "y", "z", "1").await?;
        assert!(h.with(|e| e.unlock_entities()).unwrap());
        h.activity("work", "1").await
    });
    let net = check(script, &["1"], |script, _| script, 1);
    assert_eq!(net.item("@x@y").entity.operations, 1);
}
