//! Tests of functions on the scripted host.

mod entities;
mod orchestrators;
mod triggers;

use crate::action::Action;
use crate::app::{self, Entry, Registered};
use crate::prelude::*;
use crate::scripted_host::{Step, World};
use crate::testing::Script;

#[activity]
fn double(number: u64) -> u64 {
    2 * number
}

/// One second after the start of 1970, so that timestamps are short.
fn script() -> Script {
    Script::new().start_at(Timestamp::from_millis(1_000)).instance_id("me")
}

fn doubles() -> Script {
    script().activity::<double>(|number| Ok(double(number)))
}

/// An orchestrator without input, a script, the expected actions and the expected outcome (its JSON, or the type of its failure).
fn check<O: Registered>(script: Script, did: &[&str], ends: Result<&str, &str>) {
    let (actually_did, outcome) = run(O::entry(), "null", script);
    assert_eq!(actually_did, did);
    assert_eq!(outcome.as_deref().map_err(|failure| failure.error_type.as_str()), ends);
}

/// Runs an orchestrator. Returns its actions, one per line, and its outcome.
fn run(entry: Entry, input: &str, script: Script) -> (Vec<String>, Result<String>) {
    let name = entry.name;
    let (world, outcome) = script.world.play(|host| app::run_orchestrator(&[entry], host, name, input.to_owned()));
    (lines(&world), outcome)
}

fn lines(world: &World) -> Vec<String> {
    let lines = world.steps.iter().map(|step| match step {
        Step::Scheduled(task, action) => format!("{task}: {}", line(action)),
        Step::Did(action) => line(action),
        Step::WaitedFor(pending) => format!("wait for {pending:?}"),
        Step::Canceled(task) => format!("cancel {task}"),
        Step::Logged(level, message) => format!("{level}: {message}"),
    });
    lines.collect()
}

fn line(action: &Action) -> String {
    match action {
        Action::CallActivity { name, input, retry } => {
            let retry = retry.as_ref().map(|retry| format!(" up to {} times", retry.max_attempts));
            format!("call {name}({input}){}", retry.unwrap_or_default())
        }
        Action::CallSubOrchestrator { name, input, instance_id, version, .. } => {
            let id = instance_id.as_ref().map(|id| format!(" as {id}"));
            let version = version.as_ref().map(|version| format!(" on {version}"));
            format!("orchestrate {name}({input}){}{}", id.unwrap_or_default(), version.unwrap_or_default())
        }
        Action::CallEntity { entity, operation, input } => format!("call {entity} {operation}({input})"),
        Action::CallHttp { request } => format!("http {request}"),
        Action::CreateTimer { fire_at } => format!("timer at {} ms", fire_at.as_millis()),
        Action::WaitForExternalEvent { name } => format!("event {name}"),
        Action::LockEntities { entities } => {
            format!("lock {}", entities.iter().map(EntityId::to_string).collect::<Vec<_>>().join(" "))
        }
        Action::UnlockEntities => "unlock".to_owned(),
        Action::SignalEntity { entity, operation, input, deliver_at } => {
            let at = deliver_at.map(|at| format!(" at {} ms", at.as_millis()));
            format!("signal {entity} {operation}({input}){}", at.unwrap_or_default())
        }
        Action::StartOrchestration { name, input, instance_id } => format!("start {name}({input}) as {instance_id}"),
        Action::SendEvent { instance_id, name, data } => format!("send {name}({data}) to {instance_id}"),
        Action::SetCustomStatus { status } => format!("status {status}"),
        Action::ContinueAsNew { input } => format!("continue as new({input})"),
    }
}
