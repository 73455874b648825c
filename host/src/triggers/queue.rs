//! Queues: their names, and what the trigger of one is given.

use std::time::Duration;

use dacapo_core::Timestamp;
use dacapo_wasm::Manifest;
use serde_json::{Value, json};

use super::bindings::Source;
use crate::hub::Message;
use crate::moment::{MICROS, in_utc};

/// How often a message is delivered before it goes to the poison queue: the default of Azure Functions (`maxDequeueCount`).
const ATTEMPTS_MAX: u32 = 5;

/// Messages of one call of an event-hub trigger: the default of Azure Functions (`maxEventBatchSize`).
const EVENTS_MAX: usize = 100;

/// How long a message is kept by the services that Azure Functions reads queues from; here it is kept until it is processed.
const EXPIRES_AFTER: Duration = Duration::from_secs(7 * 86_400);

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Messages that are put at once: by one request, one call of the client, or for one output of a trigger.
pub const MESSAGES_MAX: usize = 10_000;

pub const NAME_CHARS_MAX: usize = 63;

/// What the name of a queue ends with to which the messages go that another could not process.
pub const POISON: &str = "-poison";

pub const NAME_RULE: &str = "should be 1 to 63 letters, digits, '-' or '_', and begin with a letter or digit";

/// How an app has the messages of its queues processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRules {
    attempts_max: u32,
    /// How long after a failed attempt the next one is made. None: longer and longer.
    pause: Option<Duration>,
    /// Messages of one queue that are processed at once. None: any number.
    pub at_once: Option<usize>,
    /// Messages of one call of an event-hub trigger.
    pub events_max: usize,
}

impl QueueRules {
    pub fn of(manifest: Option<&Manifest>) -> Self {
        let queues = manifest.and_then(|manifest| manifest.queues.clone()).unwrap_or_default();
        let events = manifest.and_then(|manifest| manifest.event_hubs.as_ref()?.max_event_batch_size);
        Self {
            attempts_max: queues.max_dequeue_count.unwrap_or(ATTEMPTS_MAX),
            pause: queues.visibility_timeout.map(Duration::from_secs),
            at_once: queues.batch_size.map(|most| most as usize),
            events_max: events.map_or(EVENTS_MAX, |most| most as usize),
        }
    }

    /// How long after this attempt, which has failed, the next one is made. None: there is none.
    pub fn retry_after(&self, attempt: u32) -> Option<Duration> {
        (attempt < self.attempts_max).then(|| self.pause.unwrap_or_else(|| backoff(attempt)))
    }
}

fn backoff(attempt: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(BACKOFF_MAX)
}

/// Reads the name of a queue, or of its poison queue. Names compare ignoring case, and are kept in lower case.
pub fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let folded = text.to_ascii_lowercase();
    let own = folded.strip_suffix(POISON).unwrap_or(&folded);
    (begins && own.len() <= NAME_CHARS_MAX && text.chars().all(plain)).then_some(folded)
}

/// The text of a message that is given as JSON: a text as it is, anything else as it is written.
pub fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

/// The queue of the events for an Event Grid trigger.
pub fn of_event_grid(function: &str) -> String {
    format!("eventgrid-{}", function.to_lowercase())
}

/// The input of an event-hub trigger for messages.
pub fn input_of_events(messages: &[&Message]) -> String {
    let metadata = messages.iter().map(|message| {
        let inserted = in_utc(Timestamp::from_millis(message.inserted_at), MICROS);
        json!({ "sequenceNumber": 0, "enqueuedTime": inserted, "offset": message.id, "partitionKey": Value::Null })
    });
    let metadata: Vec<Value> = metadata.collect();
    let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    json!({ "messages": texts, "metadata": metadata }).to_string()
}

/// The input of any other trigger for a message.
pub fn input_of(source: &Source, message: &Message, attempt: u32) -> String {
    let inserted = Timestamp::from_millis(message.inserted_at);
    let (inserted, expires) = (in_utc(inserted, MICROS), in_utc(inserted.plus(EXPIRES_AFTER), MICROS));
    let input = match source {
        Source::EventGrid => json!({ "event": serde_json::from_str::<Value>(&message.text).unwrap_or(Value::Null) }),
        _ => json!({
            "message": message.text,
            "metadata": {
                "id": message.id,
                "dequeueCount": attempt,
                "insertionTime": inserted,
                "expirationTime": expires,
                "nextVisibleTime": inserted,
                "popReceipt": message.id,
            },
        }),
    };
    input.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_ignore_case() {
        assert_eq!(name("My-Queue_1").as_deref(), Some("my-queue_1"));
        let longest = "x".repeat(NAME_CHARS_MAX);
        assert!(name(&longest).is_some() && name(&format!("{longest}{POISON}")).is_some());
        assert_eq!(name(&format!("{longest}x{POISON}")), None);
        for wrong in ["", ".", "..", "a.b", "-a", "a b", "a:b", "a/b", "ä", &"x".repeat(64)] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn attempts_are_made_less_and_less_often() {
        let seconds: Vec<u64> = [1, 2, 3, 4, 20].map(|attempt| backoff(attempt).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 8, 300]);
    }

    #[test]
    fn an_app_may_set_how_often_and_when() {
        let rules = |manifest: &str| QueueRules::of(Some(&Manifest::parse(manifest.as_bytes()).unwrap()));
        let seconds = |rules: QueueRules| (1..).map_while(move |attempt| rules.retry_after(attempt)).map(|pause| pause.as_secs());
        assert_eq!(seconds(QueueRules::of(None)).collect::<Vec<_>>(), [1, 2, 4, 8]);
        let set = rules(r#"{"queues":{"maxDequeueCount":3,"visibilityTimeout":0,"batchSize":7}}"#);
        assert_eq!((set.at_once, set.events_max), (Some(7), 100));
        assert_eq!(seconds(set).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(rules(r#"{"eventHubs":{"maxEventBatchSize":9}}"#).events_max, 9);
    }

    #[test]
    fn a_trigger_is_given_the_text_and_what_is_known_of_the_message() {
        let message = Message { queue: "q".into(), id: "7".into(), text: "{\"a\":1}".into(), inserted_at: 0.0, reason: None };
        let source = Source::Queue { queue: "q".into() };
        let input: Value = serde_json::from_str(&input_of(&source, &message, 2)).unwrap();
        assert_eq!(input["message"], "{\"a\":1}");
        assert_eq!(input["metadata"]["dequeueCount"], 2);
        assert_eq!(input["metadata"]["insertionTime"], "1970-01-01T00:00:00.000000Z");
        let input: Value = serde_json::from_str(&input_of_events(&[&message, &message])).unwrap();
        assert_eq!(input["messages"], json!(["{\"a\":1}", "{\"a\":1}"]));
        assert_eq!(input["metadata"][1]["offset"], "7");
        let input: Value = serde_json::from_str(&input_of(&Source::EventGrid, &message, 1)).unwrap();
        assert_eq!(input["event"]["a"], 1);
    }
}
