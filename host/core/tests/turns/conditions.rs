//! On replay, a guest is given the recorded parts of the host's configuration, whatever the present ones are.

use dacapo_core::execution::Conditions;
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::{Event, Failure, RuntimeStatus};

use crate::net::Net;
use crate::world::{World, check, done, message, raised};

/// The conditions as a guest could notice them, formatted as text.
fn noticed(h: &Handle) -> String {
    let conditions = h.with(|e| e.conditions().cloned()).expect("they are recorded");
    let Conditions { memory_bytes, table_elements, environment, .. } = &*conditions;
    let environment: Vec<&str> = environment.iter().map(|(_, value)| value.as_str()).collect();
    format!("\"{memory_bytes} {table_elements} {}\"", environment.join(" "))
}

/// Passes what it notices to an activity in two turns, and waits for an event.
fn script() -> Scripted {
    Scripted::new().orchestrator("main", |h| async move {
        for _ in 0..2 {
            h.activity("tell", &noticed(&h)).await?;
        }
        let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
        h.outcome(go).await?;
        Ok(noticed(&h).into())
    })
}

fn conditions(memory_bytes: u64, table_elements: u64, environment: &str) -> Conditions {
    let environment = vec![("MODE".to_owned(), environment.to_owned())];
    Conditions { memory_bytes, table_elements, environment, ..Conditions::default() }
}

fn under(conditions: Conditions) -> Scripted {
    let mut script = script();
    script.set_conditions(conditions);
    script
}

/// The memory limit in the conditions that each turn has recorded.
fn recorded(world: &World) -> Vec<Option<u64>> {
    let of = |event: &Event| match event {
        Event::OrchestratorStarted { conditions } => Some(conditions.as_ref().map(|conditions| conditions.memory_bytes)),
        _ => None,
    };
    world.history.iter().filter_map(|entry| of(&entry.event)).collect()
}

/// An instance may have needed more memory in the past, or branched on the number of table elements or on a variable that has
/// changed: it once diverged from its history, or silently took another branch.
#[test]
fn what_is_configured_otherwise_since_changes_no_past() {
    let world = check(
        under(conditions(100, 10, "old")),
        |world| {
            world.executor.set_conditions(conditions(50, 20, "new"));
            world.turn([done(0, "null")]);
            world.executor.set_conditions(conditions(200, 5, "newer"));
            world.turn([done(1, "null")]).turn([raised("go", "1")]);
        },
        &[
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled 0 tell \"100 10 old\" #1",
            "OrchestratorStarted",
            "TaskCompleted 0 null",
            "TaskScheduled 1 tell \"100 20 old\" #1",
            "OrchestratorStarted",
            "TaskCompleted 1 null",
            "OrchestratorStarted",
            "EventRaised go 1",
            "ExecutionCompleted Completed(\"\\\"200 20 old\\\"\")",
        ],
    );
    // Conditions are recorded only when they change.
    assert_eq!(recorded(&world), [Some(100), Some(100), Some(200), None]);
}

/// A history of an older release records no conditions. It is replayed under those at the time when this release first continues
/// it, which are then recorded.
#[test]
fn a_history_without_conditions_gets_them_with_its_next_turn() {
    let mut world = World::new(under(conditions(100, 10, "old")), false);
    for entry in &mut world.history {
        if let Event::OrchestratorStarted { conditions } = &mut entry.event {
            *conditions = None;
        }
    }
    world.turn([done(0, "null")]);
    assert_eq!(recorded(&world), [None, Some(100)]);
    world.executor.set_conditions(conditions(50, 5, "new"));
    world.turn([done(1, "null")]).turn([raised("go", "1")]);
    assert_eq!(world.record.halted, None);
    assert_eq!(world.record.status, RuntimeStatus::Completed);
}

#[test]
fn another_execution_begins_with_what_is_configured_then() {
    let script = Scripted::new().orchestrator("main", |h| async move {
        let go = h.with(|e| e.wait_for_external_event("go")).unwrap();
        h.outcome(go).await?;
        h.act(|e| e.continue_as_new("null".into())).await;
        Ok("null".into())
    });
    let mut world = World::new(script, false);
    world.executor.set_conditions(conditions(7, 7, "new"));
    world.turn([raised("go", "1")]);
    let started = world.sent.drain(..).map(|sent| message(sent.event)).collect();
    world.deliver(started);
    assert_eq!(recorded(&world), [Some(7)]);
}

/// An operator who raises the memory of an instance and rewinds it wants the failed turn to have that memory.
#[test]
fn a_turn_that_is_rewound_has_what_is_configured_now_and_those_before_it_have_not() {
    let script = Scripted::new().activity("tell", |_| Ok("null".into())).orchestrator("main", |h| async move {
        h.activity("tell", &noticed(&h)).await?;
        match h.with(|e| e.conditions().map_or(0, |conditions| conditions.memory_bytes)) {
            0..100 => Err(Failure::permanent("OutOfMemory", "it needs 100")),
            enough => Ok(enough.to_string().into()),
        }
    });
    for hot in [true, false] {
        let mut net = Net::new(script.clone());
        net.hot = hot;
        net.executor.set_conditions(conditions(50, 10, "old"));
        net.start("o", "main", "null");
        net.finish();
        assert_eq!(net.status("o"), RuntimeStatus::Failed);
        net.executor.set_conditions(conditions(100, 10, "new"));
        net.rewind("o");
        net.finish();
        assert_eq!((net.status("o"), net.output("o")), (RuntimeStatus::Completed, "100".into()));
        let told = net.item("o").shown().into_iter().find(|event| event.starts_with("TaskScheduled"));
        assert_eq!(told.as_deref(), Some("TaskScheduled 0 tell \"50 10 old\" #1"));
    }
}
