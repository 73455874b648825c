//! A message of a queue: an orchestration that runs the trigger of its queue until that succeeds, and ends.
//!
//! The id of its instance is `queue:QUEUE:ID`. A message whose queue has no trigger waits, and is woken when one is deployed. One
//! whose trigger fails too often goes to the queue `QUEUE-poison`.

use std::time::Duration;

use dacapo_core::execution::TaskOutcome;
use dacapo_core::scripted::Handle;
use dacapo_core::{Failure, InstanceId};
use serde::{Deserialize, Serialize};

use super::trigger;
use crate::triggers::queue::POISON;

pub const FUNCTION: &str = "BuiltIn::Message";

/// The event that wakes a message which waits for a trigger.
pub const CONSUMER_EVENT: &str = "consumer";

/// How long a message waits for a trigger before it looks by itself: the event may have been missed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// How long a message waits after the host could not run its trigger.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The input of the orchestration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub queue: String,
    pub id: String,
    pub text: String,
    /// Milliseconds since 1970.
    pub inserted_at: f64,
    /// Why an earlier queue gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Message {
    pub fn instance(&self) -> String {
        instance(&self.queue, &self.id)
    }
}

/// What the ids of all messages of a queue begin with.
pub fn prefix(queue: &str) -> String {
    format!("queue:{queue}:")
}

/// What the ids of all messages begin with.
pub const ALL_PREFIX: &str = "queue:";

/// The orchestration that runs one trigger by its name, and what the ids of its instances begin with.
pub const CALL_FUNCTION: &str = "BuiltIn::Call";
pub const ALL_CALLS_PREFIX: &str = "queue:$call:";

pub fn instance(queue: &str, id: &str) -> String {
    format!("{}{id}", prefix(queue))
}

/// The queue and the id of a message, from the id of its instance.
pub fn parse(id: &InstanceId) -> Option<(&str, &str)> {
    id.as_str().strip_prefix(ALL_PREFIX)?.split_once(':')
}

pub async fn run(handle: Handle) -> TaskOutcome {
    let message: Message = serde_json::from_str(&handle.input())
        .map_err(|why| Failure::permanent(Failure::INVALID_ARGUMENT, format!("the input is no message of a queue: {why}")))?;
    let mut attempt = 1;
    loop {
        let call = trigger::Input::Message { message: message.clone(), attempt };
        let input = serde_json::to_string(&call).expect("a message can be written as JSON");
        let pause = match handle.activity(trigger::ACTIVITY, &input).await.map(|answer| trigger::Answer::read(&answer)) {
            Ok(trigger::Answer::Done) => return Ok("null".into()),
            Ok(trigger::Answer::Failed { reason, retry_after_ms: None }) => {
                return give_up(&handle, message, reason).await;
            }
            Ok(trigger::Answer::Failed { retry_after_ms: Some(millis), .. }) => {
                attempt += 1;
                Duration::from_millis(millis)
            }
            Ok(trigger::Answer::NoTrigger) => {
                let event = handle.act(|e| e.wait_for_external_event(CONSUMER_EVENT)).await;
                let at = handle.with(|e| e.current_time()).plus(LOOK_AGAIN_AFTER);
                let timer = handle.act(|e| e.create_timer(at)).await;
                handle.wait(&[event, timer]).await;
                handle.with(|e| {
                    e.cancel(event);
                    e.cancel(timer);
                });
                continue;
            }
            // The host could not run it: that is no attempt.
            Err(_) => TRY_AGAIN_AFTER,
        };
        let at = handle.with(|e| e.current_time()).plus(pause);
        let timer = handle.act(|e| e.create_timer(at)).await;
        handle.wait(&[timer]).await;
    }
}

/// Runs one trigger by its name. Its input is that of the activity.
pub async fn call(handle: Handle) -> TaskOutcome {
    let input = handle.input();
    loop {
        if let Ok(answer) = handle.activity(trigger::ACTIVITY, &input).await {
            return match trigger::Answer::read(&answer) {
                trigger::Answer::Done => Ok("null".into()),
                trigger::Answer::Failed { reason, .. } => Err(Failure::permanent("TriggerFailed", reason)),
                trigger::Answer::NoTrigger => {
                    Err(Failure::permanent(Failure::TRIGGER_NOT_FOUND, "no active app has the trigger"))
                }
            };
        }
        // The host could not run it.
        let at = handle.with(|e| e.current_time()).plus(TRY_AGAIN_AFTER);
        let timer = handle.act(|e| e.create_timer(at)).await;
        handle.wait(&[timer]).await;
    }
}

/// Moves the message to the poison queue.
async fn give_up(handle: &Handle, message: Message, reason: String) -> TaskOutcome {
    let poison = Message { queue: format!("{}{POISON}", message.queue), reason: Some(reason), ..message };
    let input = serde_json::to_string(&poison).expect("a message can be written as JSON");
    handle.act(|e| e.start_orchestration(FUNCTION, input.into(), Some(&poison.instance()))).await;
    Ok("null".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_instance_names_queue_and_message() {
        let id = InstanceId::orchestration(&instance("orders", "a:b")).unwrap();
        assert_eq!(parse(&id), Some(("orders", "a:b")));
        assert_eq!(parse(&InstanceId::orchestration("orders").unwrap()), None);
    }
}
