//! Critical sections: no deadlock, no lock left behind, no rule broken.

use dacapo_core::event::Outcome;
use dacapo_core::execution::Limits;
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Event, Failure, RuntimeStatus, Timestamp};

use crate::entities::{call, number, result};
use crate::net::Net;

fn accounts() -> Scripted {
    Scripted::new().activity("pause", |_| Ok("1".into())).entity("account", |operation, _| {
        let balance = number(&operation.state);
        match operation.name.as_str() {
            "add" => {
                let sum = balance + operation.input.parse::<i64>().unwrap();
                result(&sum.to_string(), Some(sum.to_string()))
            }
            _ => result(&balance.to_string(), operation.state.as_ref().map(|state| state.to_string())),
        }
    })
}

async fn lock(h: &Handle, keys: &[&str]) {
    let entities: Vec<(String, String)> = keys.iter().map(|key| ("Account".into(), key.to_string())).collect();
    let task = h.act(|e| e.lock_entities(&entities)).await;
    assert_eq!(h.outcome(task).await.as_deref(), Ok("null"));
    assert!(h.with(|e| e.in_critical_section()));
}

async fn add(h: &Handle, key: &str, amount: i64) -> Result<i64, Failure> {
    Ok(call(h, "account", key, "add", &amount.to_string()).await?.parse().unwrap())
}

/// Reads and writes in several steps: only the lock prevents other operations in between.
async fn transfer(h: &Handle, from: &str, to: &str) -> Result<(), Failure> {
    lock(h, &[from, to, from]).await;
    let before: i64 = call(h, "account", from, "get", "null").await?.parse().unwrap();
    h.activity("pause", "1").await?;
    let after = add(h, from, -1).await?;
    assert_eq!(after, before - 1, "no other operation has changed a locked account");
    add(h, to, 1).await?;
    Ok(())
}

#[test]
fn locks_taken_in_conflicting_orders_never_deadlock_and_keep_the_sum() {
    let script = accounts()
        .orchestrator("mover", |h| async move {
            let input = h.input();
            let keys: Vec<&str> = input.trim_matches('"').split(' ').collect();
            for _ in 0..2 {
                transfer(&h, keys[0], keys[1]).await?;
                assert!(h.with(|e| e.unlock_entities()).unwrap());
                assert!(!h.with(|e| e.unlock_entities()).unwrap());
            }
            lock(&h, &keys).await;
            Ok("1".into())
        })
        .orchestrator("reader", |h| async move {
            lock(&h, &["c", "a", "b"]).await;
            let mut sum = 0;
            for key in ["a", "b", "c"] {
                sum += call(&h, "account", key, "get", "null").await?.parse::<i64>().unwrap();
            }
            Ok(sum.to_string().into())
        });
    for seed in 0..150 {
        let mut net = Net::seeded(script.clone(), seed);
        net.crash_every = (seed % 3 == 0).then_some(seed % 11 + 3);
        net.limits.operations_per_turn = 1 + seed as usize % 3;
        for key in ["a", "b", "c"] {
            net.signal(&format!("@account@{key}"), "add", "100");
        }
        net.settle();
        for (n, keys) in ["a b", "b a", "b c", "c b", "c a", "a c"].iter().enumerate() {
            net.start(&format!("m{n}"), "mover", &format!("\"{keys}\""));
            net.start(&format!("r{n}"), "reader", "null");
        }
        net.finish();
        for n in 0..6 {
            assert_eq!((net.output(&format!("m{n}")), net.output(&format!("r{n}"))), ("1".into(), "300".into()), "seed {seed}");
        }
        net.assert_quiet();
    }
}

/// Every way in which an execution can end, in a critical section and while waiting for one.
#[test]
fn the_end_of_an_execution_releases_what_it_has_locked_or_wanted_to() {
    let script = accounts()
        .orchestrator("holder", |h| async move {
            lock(&h, &["b"]).await;
            let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
            h.outcome(go).await
        })
        .orchestrator("ends", |h| async move {
            if &*h.input() == "\"again\"" {
                return Ok("\"ended\"".into());
            }
            let keys: Vec<(String, String)> = ["a", "b", "c"].iter().map(|key| ("account".into(), key.to_string())).collect();
            let go = h.with(|e| e.wait_for_external_event("end")).unwrap();
            let wanted = h.act(|e| e.lock_entities(&keys)).await;
            if h.wait(&[wanted, go]).await[0] == 0 {
                h.outcome(go).await?;
            }
            match &*h.input() {
                "\"return\"" => Ok("1".into()),
                "\"fail\"" => Err(Failure::permanent("Bad", "luck")),
                "\"limit\"" => {
                    while h.with(|e| e.send_event("x", "y", "1".into())).is_ok() {}
                    std::future::pending().await
                }
                "\"unlock\"" => {
                    h.with(|e| e.unlock_entities()).unwrap();
                    while h.with(|e| e.send_event("x", "y", "1".into())).is_ok() {}
                    std::future::pending().await
                }
                "\"new\"" => {
                    h.with(|e| e.continue_as_new("\"again\"".into())).unwrap();
                    Ok("1".into())
                }
                other => panic!("{other}"),
            }
        })
        .orchestrator("next", |h| async move {
            lock(&h, &["c", "b", "a"]).await;
            Ok("1".into())
        });
    for seed in 0..12 {
        for (how, outcome) in [
            ("return", "Completed(\"1\")"),
            ("fail", "Bad"),
            ("limit", "more than 50 actions"),
            ("unlock", "more than 50 actions"),
            ("new", "ended"),
            ("terminate", "Terminated"),
        ] {
            for waits in [false, true] {
                let mut net = Net::seeded(script.clone(), seed);
                net.limits = Limits { actions_per_turn: 50, ..Limits::default() };
                net.crash_every = (seed % 3 == 0).then_some(2);
                if waits {
                    net.start("h", "holder", "null");
                    net.settle();
                }
                net.start("o", "ends", &format!("\"{how}\""));
                net.settle();
                assert_eq!(net.item("@account@a").entity.lock.as_ref().unwrap().instance.as_str(), "o");
                assert_eq!(net.find("@account@c").is_none(), waits);
                net.start("n", "next", "null");
                net.settle();
                match how {
                    "terminate" => net.terminate("o", false),
                    _ => net.raise("o", "end", "1"),
                }
                net.settle();
                assert!(format!("{:?}", net.outcome("o")).contains(outcome), "{how}: {:?}", net.outcome("o"));
                if waits {
                    assert_eq!(net.status("n"), RuntimeStatus::Running);
                    net.raise("h", "go", "1");
                    net.settle();
                }
                assert_eq!(net.output("n"), "1", "{how}, {waits}, seed {seed}");
                net.assert_quiet();
                assert!(net.ids.keys().all(|id| !id.is_entity()), "entities that were only locked are gone");
            }
        }
    }
}

#[test]
fn a_lock_that_was_asked_for_in_the_turn_that_broke_a_limit_was_never_asked_for() {
    let mut net = Net::new(accounts().orchestrator("o", |h| async move {
        h.with(|e| e.lock_entities(&[("account".into(), "a".into())])).unwrap();
        while h.with(|e| e.send_event("x", "y", "1".into())).is_ok() {}
        std::future::pending().await
    }));
    net.limits.actions_per_turn = 5;
    net.start("o", "o", "null");
    net.settle();
    assert_eq!((net.status("o"), net.ids.len()), (RuntimeStatus::Failed, 1));
    assert_eq!(net.turns, 1, "no entity has received a message");
}

#[test]
fn while_an_entity_is_locked_others_wait_in_order_and_its_holder_passes() {
    let script = accounts().orchestrator("holder", |h| async move {
        lock(&h, &["a"]).await;
        let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
        h.outcome(go).await?;
        Ok(add(&h, "a", 1).await?.to_string().into())
    });
    for seed in [0, 1] {
        let mut net = Net::seeded(script.clone(), seed);
        net.start("h", "holder", "null");
        net.settle();
        net.signal("@account@a", "add", "10");
        net.signal_at("@account@a", "add", "100", Some(Timestamp(net.now + 1_000_000)));
        net.settle();
        net.advance(5);
        assert_eq!(net.state("@account@a"), None);
        net.crash();
        net.raise("h", "go", "1");
        net.settle();
        assert_eq!(net.output("h"), "1", "the holder's operation was run first");
        assert_eq!(net.state("@account@a"), Some("111".into()));
        net.assert_quiet();
    }
}

#[test]
fn breaking_a_rule_of_critical_sections_fails_the_orchestration() {
    type Act = fn(&Handle) -> bool;
    let of = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    let inside: [(&str, Act); 6] = [
        ("entities are locked in a critical section", |h| h.with(|e| e.lock_entities(&[("account".into(), "z".into())])).is_ok()),
        ("a sub-orchestration is called", |h| h.with(|e| e.call_sub_orchestrator("x", "1".into(), None, None)).is_ok()),
        ("'@account@z' is called in a critical section that has not", |h| {
            h.with(|e| e.call_entity("account", "z", "get", "1".into())).is_ok()
        }),
        ("'@account@a' is called in a critical section while a call", |h| {
            (0..2).all(|_| h.with(|e| e.call_entity("Account", "a", "get", "1".into())).is_ok())
        }),
        ("'@account@a' is signaled", |h| h.with(|e| e.signal_entity("account", "a", "get", "1".into(), None)).is_ok()),
        ("the list is empty", |h| h.with(|e| e.lock_entities(&[])).is_ok()),
    ];
    for (message, act) in inside {
        let mut net = Net::new(accounts().orchestrator("o", move |h| async move {
            lock(&h, &["a", "b"]).await;
            assert!(!act(&h));
            std::future::pending().await
        }));
        net.start("o", "o", "null");
        net.settle();
        let Outcome::Failed(failure) = net.outcome("o") else { panic!() };
        assert_eq!(failure.error_type, Failure::LOCKING_RULES_VIOLATION);
        assert!(failure.message.contains(message), "{failure}");
        net.assert_quiet();
    }
    let mut net = Net::new(accounts().orchestrator("o", move |h| async move {
        h.with(|e| e.lock_entities(&[of("account", "a")])).unwrap();
        assert!(!h.with(|e| e.in_critical_section()) && !h.with(|e| e.unlock_entities()).unwrap());
        h.with(|e| e.lock_entities(&[of("account", "b")])).unwrap_err();
        std::future::pending().await
    }));
    net.start("o", "o", "null");
    net.settle();
    assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.message.contains("while a lock is requested")));

    let mut net = Net::new(accounts().orchestrator("o", |h| async move {
        lock(&h, &["a"]).await;
        h.with(|e| e.start_orchestration("other", "1".into(), None)).unwrap();
        h.with(|e| e.signal_entity("account", "z", "add", "1".into(), None)).unwrap();
        let many = vec![("account".to_owned(), "x".to_owned()); 101];
        h.with(|e| e.lock_entities(&many)).unwrap_err();
        std::future::pending().await
    }));
    net.start("o", "o", "null");
    net.settle();
    assert!(matches!(net.outcome("o"), Outcome::Failed(failure) if failure.message.contains("100 are allowed")));
}

/// A halted orchestration has no guest in memory that knows what it has locked.
#[test]
fn terminating_a_halted_instance_releases_its_locks() {
    let good = || {
        accounts().orchestrator("o", |h| async move {
            lock(&h, &["a"]).await;
            h.activity("pause", "1").await?;
            let never = h.with(|e| e.wait_for_external_event("never")).unwrap();
            h.outcome(never).await
        })
    };
    let mut net = Net::seeded(good(), 0);
    net.start("o", "o", "null");
    net.settle();
    net.executor = net
        .executor
        .clone()
        .version(crate::world::VERSION, Scripted::new().orchestrator("o", |h| async move { h.activity("other", "1").await }));
    net.raise("o", "x", "1");
    net.settle();
    assert!(net.item("o").record.halted.is_some());
    net.terminate("o", false);
    net.settle();
    let item = net.item("o");
    assert_eq!((item.record.status, &item.record.halted), (RuntimeStatus::Terminated, &None));
    assert_eq!(
        item.shown()[item.shown().len() - 3..],
        ["ExecutionTerminated", "EntityUnlockSent 2 @account@a", "ExecutionCompleted Terminated { reason: \"enough\" }"]
    );
    net.assert_quiet();
    assert!(matches!(item.events().last().unwrap().event, Event::ExecutionCompleted { .. }));
}
