//! The activity that runs a trigger of an app.

use std::sync::Arc;

use dacapo_core::execution::TaskOutcome;
use dacapo_core::guest::SharedClient;
use dacapo_core::{ActivityCall, ExecutionId, Failure, FunctionName, Payload, Seq, TriggerCall, VersionId};
use dacapo_wasm::TriggerSlots;
use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::hub::activity::memory::RunMemory;
use crate::hub::client::Caller;
use crate::hub::hub_core::HubCore;
use crate::triggers::{http, queue};

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

impl HubCore {
    /// Runs the activity. `execution` identifies the call: it is the same for all attempts.
    pub(in crate::hub) async fn run_built_in_trigger(
        self: &Arc<Self>,
        call: &ActivityCall,
        execution: ExecutionId,
        memory: RunMemory,
    ) -> TaskOutcome {
        let input: Input = serde_json::from_str(&call.input)
            .map_err(|why| Failure::permanent(Failure::INVALID_ARGUMENT, format!("the input of {ACTIVITY}: {why}")))?;
        let (target, input, attempt, of) = match input {
            Input::Message { message, attempt } => {
                let target = self.catalog.trigger_of_queue(&message.queue);
                let of = format!("message {} of the queue '{}'", message.id, message.queue);
                let (target, source) = target.unzip();
                (target, source.map(|source| queue::input_of(&source, &message, attempt)).unwrap_or_default(), attempt, of)
            }
            Input::Named { function, input, attempt } => {
                let target = FunctionName::new(&function).ok().and_then(|function| self.catalog.trigger(&function));
                (target, input, attempt, "a call by its name".to_owned())
            }
        };
        let Some(target) = target else { return answer(&Answer::NoTrigger) };
        let invocation = execution.invocation();
        let caller: SharedClient = Arc::new(Caller::new(self.clone(), ExecutionId(invocation), Seq(0), memory));
        let call = TriggerCall { name: target.function.clone(), input, invocation, attempt };
        let executor = self.executor.as_ref().clone();
        let outcome = executor.run_trigger(target.version, call, caller, TriggerSlots::Activities).await;
        let outcome = match outcome {
            Ok(output) => match http::outputs_of(&output) {
                Ok(outputs) => self.send_outputs(&target.function, invocation, outputs).await,
                Err(why) => Err(Failure::retriable(Failure::INVALID_OUTPUT, why)),
            },
            Err(failure) => Err(failure),
        };
        let Err(failure) = outcome else { return answer(&Answer::Done) };
        let (hub, function, error) = (&self.name, &target.function, &failure.error_type);
        tracing::warn!(hub, %function, %invocation, attempt, error, "a trigger failed for {of}: {}", failure.message);
        let reason = format!("{error}: {}", failure.message);
        let retry_after_ms = (attempt < queue::ATTEMPTS_MAX).then(|| queue::backoff(attempt).as_millis() as u64);
        answer(&Answer::Failed { reason, retry_after_ms })
    }
}

fn answer(answer: &Answer) -> TaskOutcome {
    Ok(Payload::from(serde_json::to_string(answer).expect("an answer can be written as JSON")))
}
