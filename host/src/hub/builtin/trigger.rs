//! The activity that runs a trigger of an app.

use std::sync::Arc;
use std::time::Instant;

use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::SharedClient;
use dacapo_core::{ActivityCall, ExecutionId, Failure, FunctionName, Payload, Seq, TriggerCall, VersionId};
use dacapo_wasm::TriggerSlots;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{BatchKey, Joined, Member};
use super::message::Message;
use crate::hub::activity::memory::RunMemory;
use crate::hub::client::{Caller, RepeatableCall};
use crate::hub::hub_core::HubCore;
use crate::hub::operations::messages::Waits;
use crate::hub::operations::queues::Outputs;
use crate::meters::{Attempt, MessageAttempt};
use crate::triggers::bindings::Cardinality;
use crate::triggers::queue::{self, QueueRules};
use crate::triggers::{Source, http};

pub const ACTIVITY: &str = "BuiltIn::Trigger";

/// The input of the activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Input {
    /// Runs the trigger of the message's queue.
    Message { message: Message, attempt: u32 },
    /// Runs this trigger.
    Named { function: String, input: String, attempt: u32 },
}

/// The output of the activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    Done,
    /// The trigger failed. None: it is not tried again.
    #[serde(rename_all = "camelCase")]
    Failed {
        reason: String,
        retry_after_ms: Option<u64>,
    },
    /// No active app has it.
    NoTrigger,
}

impl Answer {
    /// Reads an answer. What a later release has answered is not known here.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Answer::Failed { reason: "it ended in an unknown way".into(), retry_after_ms: None })
    }
}

/// A trigger that is to be run.
pub struct Target {
    pub function: FunctionName,
    pub version: VersionId,
}

/// A call of a trigger.
struct Call {
    target: Target,
    input: String,
    /// What it is for, for the log.
    of: String,
    /// The queue whose messages it processes, and how many.
    queue: Option<(String, u64)>,
    invocation: Uuid,
    attempt: u32,
}

impl HubCore {
    /// Runs the activity. `execution` identifies the call: it is the same for all attempts, and so is `repeatable`.
    pub(in crate::hub) async fn run_built_in_trigger(
        self: &Arc<Self>,
        call: &ActivityCall,
        execution: ExecutionId,
        repeatable: RepeatableCall,
        memory: RunMemory,
    ) -> TaskOutcome {
        let input: Input = serde_json::from_str(&call.input)
            .map_err(|why| Failure::permanent(Failure::INVALID_ARGUMENT, format!("the input of {ACTIVITY}: {why}")))?;
        let invocation = execution.invocation();
        let call = match input {
            Input::Message { message, attempt } => {
                let Some((target, source)) = self.trigger_of_message(&message.queue, repeatable) else {
                    return answer(&Answer::NoTrigger);
                };
                if let Source::EventHub { cardinality: Cardinality::Many, .. } = source {
                    let member = Member { message, execution, repeatable };
                    return self.run_in_batch(target, member, attempt, memory).await;
                }
                let input = match source {
                    Source::EventHub { .. } => queue::input_of_events(&[&message]),
                    source => queue::input_of(&source, &message, attempt),
                };
                let of = format!("message {} of the queue '{}'", message.id, message.queue);
                Call { target, input, of, queue: Some((message.queue, 1)), invocation, attempt }
            }
            Input::Named { function, input, attempt } => {
                let target = FunctionName::new(&function).ok().and_then(|function| self.catalog.trigger(&function));
                let Some(target) = target else { return answer(&Answer::NoTrigger) };
                Call { target, input, of: "a call by its name".to_owned(), queue: None, invocation, attempt }
            }
        };
        answer(&self.call_trigger(call, repeatable, memory).await)
    }

    /// Runs an event-hub trigger for this message and others that arrive with it: once, by the member that has opened the batch.
    async fn run_in_batch(self: &Arc<Self>, target: Target, member: Member, attempt: u32, memory: RunMemory) -> TaskOutcome {
        let queue = member.message.queue.clone();
        let key = BatchKey { queue: queue.clone(), version: target.version, attempt };
        let most = self.queue_rules(target.version).events_max;
        let members = match self.batches.join(key, member, most) {
            Joined::Opened(batch) => batch.members().await,
            Joined::Member(answered) => {
                let unanswered = || Failure::retriable(Failure::UNAVAILABLE, "the call for its batch was stopped");
                return answer(&answered.await.map_err(|_| unanswered())?);
            }
        };
        let messages: Vec<&Message> = members.iter().map(|(member, _)| &member.message).collect();
        let (input, of) = (queue::input_of_events(&messages), format!("{} messages of an event hub", messages.len()));
        // The same if a batch of the same messages is repeated.
        let first = members.iter().map(|(member, _)| member).min_by_key(|member| member.repeatable.caller);
        let repeatable = first.expect("it has the member that has opened it").repeatable;
        let invocation = invocation_of(members.iter().map(|(member, _)| member.execution));
        let call = Call { target, input, of, queue: Some((queue, messages.len() as u64)), invocation, attempt };
        let answered = self.call_trigger(call, repeatable, memory.clone()).await;
        if memory.was_short().is_none() {
            for (_, waiting) in members {
                // A member that was cancelled needs no answer.
                let _ = waiting.map(|waiting| waiting.send(answered.clone()));
            }
        }
        answer(&answered)
    }

    async fn call_trigger(self: &Arc<Self>, call: Call, repeatable: RepeatableCall, memory: RunMemory) -> Answer {
        let Call { target, input, of, queue, invocation, attempt } = call;
        let caller = Caller::new(self.clone(), ExecutionId(invocation), Seq(0), memory.clone()).of(repeatable);
        let caller: SharedClient = Arc::new(caller);
        let call = TriggerCall { name: target.function.clone(), input, invocation, attempt };
        let executor = self.executor.as_ref().clone();
        let (began, bytes_in) = (Instant::now(), call.input.len() as u64);
        let outcome = executor.run_trigger(target.version, call, caller, TriggerSlots::Activities).await;
        let bytes_out = outcome.as_ref().map_or(0, |output| output.len() as u64);
        // If it was short of memory, it runs again.
        if memory.was_short().is_none() {
            let attempt = Attempt { took: began.elapsed(), failed: outcome.is_err(), bytes_in, bytes_out };
            self.meters.trigger(&target.function, attempt);
        }
        let outcome = match outcome {
            Ok(output) => match http::outputs_of(&output) {
                Ok(outputs) => {
                    let of = Outputs { function: &target.function, invocation, call: Some(repeatable) };
                    self.send_outputs(&of, outputs).await
                }
                Err(why) => Err(Failure::retriable(Failure::INVALID_OUTPUT, why)),
            },
            Err(failure) => Err(failure),
        };
        let answer = match outcome {
            Ok(()) => Answer::Done,
            Err(failure) => {
                let (hub, function, error) = (&self.name, &target.function, &failure.error_type);
                tracing::warn!(hub, %function, %invocation, attempt, error, "a trigger failed for {of}: {:.2000}", failure.message);
                let retry_after = self.queue_rules(target.version).retry_after(attempt);
                let retry_after_ms = retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                Answer::Failed { reason: format!("{error}: {}", failure.message), retry_after_ms }
            }
        };
        if let Some((queue, messages)) = queue.filter(|_| memory.was_short().is_none()) {
            let attempt = match answer {
                Answer::Done => MessageAttempt::Processed,
                Answer::Failed { retry_after_ms: Some(_), .. } => MessageAttempt::Failed,
                Answer::Failed { retry_after_ms: None, .. } | Answer::NoTrigger => MessageAttempt::GivenUp,
            };
            self.meters.messages(&queue, messages, attempt);
        }
        answer
    }

    /// The trigger for a message. None: it waits for one, and is woken when one is deployed or enabled.
    fn trigger_of_message(&self, queue: &str, call: RepeatableCall) -> Option<(Target, Source)> {
        let enabled = || self.catalog.trigger_of_queue(queue).filter(|(target, _)| !self.is_disabled(&target.function));
        if let Some(found) = enabled() {
            self.messages.waits_no_more(queue, call.caller);
            return Some(found);
        }
        self.messages.waits(queue, call.caller, Waits::Surely);
        // Or it is deployed or enabled right now, and that did not see that this message waits.
        let found = enabled()?;
        self.messages.waits_no_more(queue, call.caller);
        Some(found)
    }

    /// How a version has its messages processed.
    pub(in crate::hub) fn queue_rules(&self, version: VersionId) -> QueueRules {
        match self.engine.runtime().manifest(version) {
            Ok(manifest) => QueueRules::of(manifest.as_ref().as_ref()),
            // Then it cannot be run either.
            Err(_) => QueueRules::of(None),
        }
    }
}

/// The invocation of a trigger for the messages of these executions: the same for the same ones.
fn invocation_of(executions: impl Iterator<Item = ExecutionId>) -> Uuid {
    let mut executions: Vec<ExecutionId> = executions.collect();
    executions.sort_unstable();
    let (first, others) = executions.split_first().expect("a batch has a message");
    others.iter().fold(first.invocation(), |id, other| Uuid::new_v5(&id, other.0.as_bytes()))
}

fn answer(answer: &Answer) -> TaskOutcome {
    Ok(Payload::from(serde_json::to_string(answer).expect("an answer can be written as JSON")))
}
