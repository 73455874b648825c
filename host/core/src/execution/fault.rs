//! Why the host stopped an execution.

use std::fmt;

use crate::event::{Outcome, any_entity_message, any_result};
use crate::{Event, Failure};

/// Why the host stopped an execution.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The code does not repeat what the history recorded. The instance is halted; nothing is lost.
    Diverged(Box<Divergence>),
    /// The guest broke a rule or a limit. The instance fails.
    Failed(Failure),
}

/// The point at which a replay diverged from the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The position of the first difference in the history, counted from 0 as the API shows it.
    pub position: usize,
    pub recorded: Option<Event>,
    pub attempted: Option<Event>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the code diverges from the history at event {}: recorded ", self.position)?;
        describe(self.recorded.as_ref(), f)?;
        f.write_str(", attempted ")?;
        describe(self.attempted.as_ref(), f)
    }
}

/// An event as a diagnostic shows it, on one line.
pub struct Shown<'a>(pub Option<&'a Event>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self.0, f)
    }
}

/// Shows an action in a diagnostic: kind, name, and enough of the payload to recognise it.
fn describe(event: Option<&Event>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(event) = event else { return f.write_str("nothing (it waits)") };
    f.write_str(event.kind())?;
    match event {
        Event::TaskScheduled { seq, name, input, .. } => write!(f, " {name}({}) as action {seq}", excerpt(input)),
        Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, .. } => {
            write!(f, " {name}({}) with id '{instance}'", excerpt(input))?;
            if !version.is_empty() {
                write!(f, " and version '{version}'")?;
            }
            write!(f, " as action {seq}")
        }
        Event::TimerCreated { seq, fire_at } => write!(f, " at {} ms as action {seq}", fire_at.as_millis()),
        Event::EventSent { seq, instance, name, data } => write!(f, " {name}({}) to '{instance}' as action {seq}", excerpt(data)),
        Event::ExecutionCompleted { outcome } => match outcome {
            Outcome::Completed(output) => write!(f, " with output {}", excerpt(output)),
            Outcome::Failed(failure) => write!(f, " with failure {failure}"),
            Outcome::Terminated { reason } => write!(f, " by termination: {reason}"),
            Outcome::ContinuedAsNew { input } => write!(f, " by continue-as-new with input {}", excerpt(input)),
        },
        Event::EntityOperationCalled { seq, entity, operation, input } => {
            write!(f, " {operation}({}) of '{entity}' as action {seq}", excerpt(input))
        }
        Event::EntityOperationSignaled { seq, entity, operation, input, deliver_at } => {
            write!(f, " {operation}({}) to '{entity}'", excerpt(input))?;
            deliver_at.map_or(Ok(()), |at| write!(f, " at {} ms", at.as_millis()))?;
            write!(f, " as action {seq}")
        }
        Event::EntityLockRequested { seq, entities } | Event::EntityUnlockSent { seq, entities } => {
            let ids: Vec<&str> = entities.iter().map(|id| id.as_str()).collect();
            write!(f, " of {} as action {seq}", excerpt(&ids.join(", ")))
        }
        Event::OrchestratorStarted { .. }
        | Event::ExecutionStarted { .. }
        | Event::TimerFired { .. }
        | Event::EventRaised { .. }
        | Event::ExecutionSuspended { .. }
        | Event::ExecutionResumed { .. }
        | Event::ExecutionTerminated { .. }
        | Event::ExecutionRewound { .. }
        | any_result!()
        | any_entity_message!() => Ok(()),
        Event::ExecutionMigrated { version } => write!(f, " to version {version}"),
    }
}

pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
