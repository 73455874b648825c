//! Triggers: their context, and how they read what started them and write what they return.

use std::fmt::Display;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::activity::Log;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::fields::BAD_REQUEST;
use crate::function::{decode_from_host, not_from_host, to_json};
use crate::level::{Level, log_shorthands};
use crate::request::Request;
use crate::response::{IntoResponse, Response};
use crate::timestamp::Timestamp;

/// The context of one call of a trigger. A trigger that needs it takes it as its first parameter.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::testing::ScriptedClient;
///
/// # #[orchestrator] async fn clean_up(ctx: Context) -> Result<()> { Ok(()) }
/// #[timer_trigger("0 0 3 * * *")]
/// fn every_night(ctx: TriggerContext) -> Result<()> {
///     let id = ctx.client().start_orchestration::<clean_up>(()).start()?;
///     ctx.log_info(format!("{id} cleans up"));
///     Ok(())
/// }
///
/// // In a test:
/// let hub = ScriptedClient::new();
/// every_night(TriggerContext::for_test("every_night", hub.client())).unwrap();
/// assert_eq!(hub.calls().len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct TriggerContext {
    name: String,
    invocation_id: String,
    attempt: u32,
    log: Log,
    client: Client,
}

impl TriggerContext {
    pub(crate) fn live(name: String, invocation_id: String, attempt: u32) -> Self {
        Self { name, invocation_id, attempt, log: Log::Host, client: Client::live() }
    }

    /// Makes a context for unit tests, which run without a host: log lines go to the standard error stream.
    ///
    /// ```
    /// # use dacapo_sdk::TriggerContext;
    /// # use dacapo_sdk::testing::ScriptedClient;
    /// let context = TriggerContext::for_test("every_night", ScriptedClient::new().client());
    /// assert_eq!(context.attempt(), 1);
    /// ```
    pub fn for_test(name: &str, client: Client) -> Self {
        Self { name: name.to_owned(), invocation_id: "test".to_owned(), attempt: 1, log: Log::StandardError, client }
    }

    /// The name of the trigger.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::TriggerContext::for_test("start", dacapo_sdk::testing::ScriptedClient::new().client());
    /// assert_eq!(ctx.name(), "start");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Identifies the call: an idempotency key. It stays the same when the call is repeated: a message that is delivered again,
    /// an occurrence of a schedule after a crash.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::TriggerContext::for_test("start", dacapo_sdk::testing::ScriptedClient::new().client());
    /// assert_eq!(ctx.invocation_id(), "test");
    /// ```
    pub fn invocation_id(&self) -> &str {
        &self.invocation_id
    }

    /// 1 for the first time that the call is made, then 2, and so on.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::TriggerContext::for_test("start", dacapo_sdk::testing::ScriptedClient::new().client());
    /// assert_eq!(ctx.attempt(), 1);
    /// ```
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The durable client.
    ///
    /// ```
    /// # let ctx = dacapo_sdk::TriggerContext::for_test("start", dacapo_sdk::testing::ScriptedClient::new().client());
    /// assert_eq!(ctx.client().get_status("order-17"), Ok(None));
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Logs a line.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # let ctx = TriggerContext::for_test("start", dacapo_sdk::testing::ScriptedClient::new().client());
    /// ctx.log(Level::Info, format_args!("{} orders", 17));
    /// ```
    pub fn log(&self, level: Level, message: impl Display) {
        self.log.write(level, message);
    }

    log_shorthands! {
        log_trace Trace r#""entering the loop""#
        log_debug Debug r#"format!("{} orders left", 3)"#
        log_info Info r#""the order is placed""#
        log_warn Warn r#""the order is late""#
        log_error Error r#""the order is wrong""#
    }
}

/// The kinds of triggers, as parameters of [`TriggerInput`].
pub mod kind {
    /// `httpTrigger`
    pub enum Http {}
    /// `timerTrigger`
    pub enum Timer {}
    /// `queueTrigger`
    pub enum Queue {}
    /// `eventHubTrigger`
    pub enum EventHub {}
    /// `eventGridTrigger`
    pub enum EventGrid {}
    /// `manualTrigger`
    pub enum Manual {}
}

/// What a trigger of a kind may take as its input.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a trigger of the kind `{K}`",
    note = "`Http`: `Request`; `Timer`: `TimerInfo`; `EventHub`: `EventHubEvent<T>` or `Vec<EventHubEvent<T>>`; `Queue`: \
            `QueueMessage<T>`, or what a message is read as; `EventGrid` and `Manual`: what the event or the input is read as"
)]
pub trait TriggerInput<K>: Sized {
    /// Whether the host passes `one` or `many` at a time, where that can be chosen.
    const CARDINALITY: &'static str = "one";
    /// Reads the input of the contract.
    fn read(trigger: &str, json: &str) -> Result<Self>;
}

impl TriggerInput<kind::Http> for Request {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        Request::from_input(trigger, json)
    }
}

/// What runs a timer trigger: see [`#[timer_trigger]`](macro@crate::timer_trigger).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[timer_trigger("0 */5 * * * *")]
/// fn tick(ctx: TriggerContext, timer: TimerInfo) {
///     if timer.is_past_due {
///         ctx.log_warn("this tick is late");
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimerInfo {
    /// Whether this occurrence should have run earlier, because the host was not running.
    #[serde(default)]
    pub is_past_due: bool,
    /// The other occurrences; none if an operator runs the trigger.
    #[serde(default)]
    pub schedule_status: Option<ScheduleStatus>,
}

/// The occurrences of a schedule before and after the one that runs.
///
/// ```
/// # use dacapo_sdk::{ScheduleStatus, Timestamp};
/// fn next(status: &ScheduleStatus) -> Option<Timestamp> {
///     status.next
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ScheduleStatus {
    /// The last occurrence; none if this is the first.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// The next occurrence; none if the schedule ends.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// When this was recorded.
    #[serde(default)]
    pub last_updated: Option<Timestamp>,
}

impl TriggerInput<kind::Timer> for TimerInfo {
    /// When an operator runs the trigger, the input has none of the members.
    fn read(trigger: &str, json: &str) -> Result<Self> {
        decode_from_host(trigger, json)
    }
}

/// A message that runs a queue trigger, with what the queue knows about it: see
/// [`#[queue_trigger]`](macro@crate::queue_trigger).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[queue_trigger("orders")]
/// fn take_order(ctx: TriggerContext, message: QueueMessage<Vec<String>>) {
///     ctx.log_info(format!("{} items, for the {}. time", message.body.len(), message.dequeue_count));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMessage<T> {
    /// The message. A `String` is the text as it is, any other type is read from JSON.
    pub body: T,
    /// The id of the message.
    pub id: String,
    /// 1 for the first delivery, then 2, and so on.
    pub dequeue_count: u32,
    /// When it was put into the queue.
    pub insertion_time: Option<Timestamp>,
    /// When the queue drops it; none if never.
    pub expiration_time: Option<Timestamp>,
    /// When it is delivered again, if this call does not end before.
    pub next_visible_time: Option<Timestamp>,
    /// Identifies this delivery.
    pub pop_receipt: String,
}

impl<T> QueueMessage<T> {
    /// Makes a message that is delivered for the first time, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::QueueMessage;
    /// assert_eq!(QueueMessage::new("a lamp").dequeue_count, 1);
    /// ```
    pub fn new(body: T) -> Self {
        Self {
            body,
            id: String::new(),
            dequeue_count: 1,
            insertion_time: None,
            expiration_time: None,
            next_visible_time: None,
            pop_receipt: String::new(),
        }
    }
}

/// The input of a queue trigger in the contract.
#[derive(Deserialize)]
struct QueueInput {
    /// `input` when an operator runs the trigger.
    #[serde(alias = "input")]
    message: String,
    metadata: Option<QueueMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueueMetadata {
    id: String,
    dequeue_count: u32,
    insertion_time: Option<Timestamp>,
    expiration_time: Option<Timestamp>,
    next_visible_time: Option<Timestamp>,
    #[serde(default)]
    pop_receipt: String,
}

impl<T: DeserializeOwned> TriggerInput<kind::Queue> for QueueMessage<T> {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        let QueueInput { message, metadata } = decode_from_host(trigger, json)?;
        let message = QueueMessage::new(from_text(trigger, &message)?);
        Ok(match metadata {
            None => message,
            Some(metadata) => QueueMessage {
                body: message.body,
                id: metadata.id,
                dequeue_count: metadata.dequeue_count,
                insertion_time: metadata.insertion_time,
                expiration_time: metadata.expiration_time,
                next_visible_time: metadata.next_visible_time,
                pop_receipt: metadata.pop_receipt,
            },
        })
    }
}

impl<T: DeserializeOwned> TriggerInput<kind::Queue> for T {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        let QueueInput { message, .. } = decode_from_host(trigger, json)?;
        from_text(trigger, &message)
    }
}

/// An event that runs an event hub trigger: see [`#[event_hub_trigger]`](macro@crate::event_hub_trigger).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[event_hub_trigger("readings")]
/// fn take_readings(ctx: TriggerContext, events: Vec<EventHubEvent<f64>>) -> Result<()> {
///     for event in events {
///         let meter = EntityId::new("Meter", event.partition_key.unwrap_or_default());
///         ctx.client().signal_entity(&meter, "add", &event.body)?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventHubEvent<T> {
    /// The event. A `String` is the text as it is, any other type is read from JSON.
    pub body: T,
    /// The number of the event in its partition.
    pub sequence_number: u64,
    /// When it was put into the hub.
    pub enqueued_time: Option<Timestamp>,
    /// Its place in the partition.
    pub offset: String,
    /// What the sender has chosen; events with one key stay in order.
    pub partition_key: Option<String>,
}

impl<T> EventHubEvent<T> {
    /// Makes an event, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::EventHubEvent;
    /// assert_eq!(EventHubEvent::new(21.5).body, 21.5);
    /// ```
    pub fn new(body: T) -> Self {
        Self { body, sequence_number: 0, enqueued_time: None, offset: String::new(), partition_key: None }
    }
}

/// The input of an event hub trigger in the contract.
#[derive(Deserialize)]
struct EventHubInput {
    messages: Option<Vec<String>>,
    #[serde(default)]
    metadata: Vec<EventHubMetadata>,
    /// When an operator runs the trigger.
    input: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventHubMetadata {
    #[serde(default)]
    sequence_number: u64,
    enqueued_time: Option<Timestamp>,
    /// A text or a number.
    #[serde(default)]
    offset: Value,
    partition_key: Option<String>,
}

impl<T: DeserializeOwned> TriggerInput<kind::EventHub> for Vec<EventHubEvent<T>> {
    const CARDINALITY: &'static str = "many";

    fn read(trigger: &str, json: &str) -> Result<Self> {
        let EventHubInput { messages, metadata, input } = decode_from_host(trigger, json)?;
        let messages = messages.or(input.map(|input| vec![input]));
        let messages = messages.ok_or_else(|| not_from_host(trigger, "it has no `messages`"))?;
        let metadata = metadata.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let event = |(message, metadata): (String, Option<EventHubMetadata>)| {
            let body = from_text(trigger, &message)?;
            let EventHubMetadata { sequence_number, enqueued_time, offset, partition_key } = metadata.unwrap_or_default();
            let offset = match offset {
                Value::Null => String::new(),
                Value::String(text) => text,
                number => number.to_string(),
            };
            Ok(EventHubEvent { body, sequence_number, enqueued_time, offset, partition_key })
        };
        messages.into_iter().zip(metadata).map(event).collect()
    }
}

impl<T: DeserializeOwned> TriggerInput<kind::EventHub> for EventHubEvent<T> {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        let events: Vec<Self> = TriggerInput::read(trigger, json)?;
        let count = events.len();
        let mut events = events.into_iter();
        match (events.next(), events.next()) {
            (Some(event), None) => Ok(event),
            _ => Err(not_from_host(trigger, format_args!("it has {count} events where one is expected"))),
        }
    }
}

/// An event that runs an event grid trigger, in Event Grid's own schema or in that of CloudEvents 1.0: see
/// [`#[event_grid_trigger]`](macro@crate::event_grid_trigger).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[event_grid_trigger]
/// fn on_event(ctx: TriggerContext, event: EventGridEvent<Value>) {
///     ctx.log_info(format!("{} {}: {}", event.event_type, event.subject.unwrap_or_default(), event.data));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventGridEvent<T> {
    /// The id of the event.
    pub id: String,
    /// What happened: the `eventType`, or the `type` of CloudEvents.
    #[serde(alias = "type")]
    pub event_type: String,
    /// Where it happened: the `topic`, or the `source` of CloudEvents.
    #[serde(default, alias = "source")]
    pub topic: Option<String>,
    /// What it happened to.
    #[serde(default)]
    pub subject: Option<String>,
    /// When it happened: the `eventTime`, or the `time` of CloudEvents.
    #[serde(default, alias = "time")]
    pub event_time: Option<Timestamp>,
    /// The version of the form of the data.
    #[serde(default)]
    pub data_version: Option<String>,
    /// The data. Of an event that may have none it is an `Option`.
    pub data: T,
}

impl<T> EventGridEvent<T> {
    /// Makes an event, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::EventGridEvent;
    /// let event = EventGridEvent::new("Shop.OrderPlaced", 17);
    /// assert_eq!(event.data, 17);
    /// ```
    pub fn new(event_type: impl Into<String>, data: T) -> Self {
        Self {
            id: String::new(),
            event_type: event_type.into(),
            topic: None,
            subject: None,
            event_time: None,
            data_version: None,
            data,
        }
    }
}

impl<T: DeserializeOwned> TriggerInput<kind::EventGrid> for T {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Input {
            event: Option<Value>,
            /// When an operator runs the trigger.
            input: Option<String>,
        }
        match decode_from_host(trigger, json)? {
            Input { event: Some(event), .. } => T::deserialize(event).map_err(|error| unreadable(trigger, error)),
            Input { input: Some(input), .. } => from_text(trigger, &input),
            Input { event: None, input: None } => Err(not_from_host(trigger, "it has no `event`")),
        }
    }
}

impl<T: DeserializeOwned> TriggerInput<kind::Manual> for T {
    fn read(trigger: &str, json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Input {
            input: String,
        }
        from_text(trigger, &decode_from_host::<Input>(trigger, json)?.input)
    }
}

/// The messages that a trigger sends to a queue or an event hub, once it has returned; if it fails, none is sent.
///
/// A parameter of a trigger of the type `&mut Output<T>`, with the attribute `#[queue_output("...")]` or
/// `#[event_hub_output("...")]`. A `String` is sent as it is, any other type as JSON.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[http_trigger(methods = ["POST"])]
/// fn place_order(request: Request, #[queue_output("orders")] orders: &mut Output<Vec<String>>) -> Result<Response> {
///     orders.send(request.json()?);
///     Ok(Response::new(202))
/// }
///
/// // In a test:
/// let mut orders = Output::new();
/// let request = Request::new("POST", "http://localhost:7071/api/place_order").with_json(&["a lamp"]).unwrap();
/// assert_eq!(place_order(request, &mut orders).unwrap().status, 202);
/// assert_eq!(orders.messages(), [["a lamp"]]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<T> {
    messages: Vec<T>,
}

impl<T> Default for Output<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Output<T> {
    /// Makes an output without messages, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::Output;
    /// assert!(Output::<String>::new().messages().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self { messages: Vec::new() }
    }

    /// Adds a message.
    ///
    /// ```
    /// # use dacapo_sdk::Output;
    /// let mut orders = Output::new();
    /// orders.send("a lamp");
    /// assert_eq!(orders.messages(), ["a lamp"]);
    /// ```
    pub fn send(&mut self, message: T) {
        self.messages.push(message);
    }

    /// Returns the messages, in order.
    ///
    /// ```
    /// # use dacapo_sdk::Output;
    /// # let mut orders = Output::new();
    /// orders.send(1);
    /// orders.send(2);
    /// assert_eq!(orders.messages(), [1, 2]);
    /// ```
    pub fn messages(&self) -> &[T] {
        &self.messages
    }
}

/// The messages of all outputs of a trigger, by the names of their bindings.
#[derive(Default)]
pub struct Outputs(Map<String, Value>);

impl Outputs {
    /// Adds the messages of one output.
    pub fn add<T: Serialize>(&mut self, trigger: &str, name: &str, output: &Output<T>) -> Result<()> {
        if !output.messages.is_empty() {
            let messages = serde_json::to_value(&output.messages).map_err(|error| {
                let message = format!("`{trigger}` cannot write a message for its output `{name}`: {error}");
                Failure::new("InvalidOutput", message).not_retriable()
            })?;
            self.0.insert(name.to_owned(), messages);
        }
        Ok(())
    }
}

/// What a trigger may return that is not an HTTP trigger.
#[diagnostic::on_unimplemented(
    message = "a trigger that is no HTTP trigger cannot return `{Self}`",
    note = "it returns nothing or a `Result<()>`; what it makes is sent to an output, or passed to an orchestration"
)]
pub trait Nothing {
    /// Converts an error to a failure.
    fn into_result(self) -> Result<()>;
}

impl Nothing for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Failure>> Nothing for Result<(), E> {
    fn into_result(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// Makes the output of an HTTP trigger. `BadRequest` is the client's mistake: it is answered, and no message is sent.
pub fn respond(returned: impl IntoResponse, outputs: impl FnOnce() -> Result<Outputs>) -> Result<String> {
    match returned.into_response() {
        Ok(response) => write(Some(response), outputs()?),
        Err(failure) if failure.is(BAD_REQUEST) => write(Some(Response::new(400).text(failure.message)), Outputs::default()),
        Err(failure) => Err(failure),
    }
}

/// Makes the output of any other trigger.
pub fn conclude(returned: impl Nothing, outputs: impl FnOnce() -> Result<Outputs>) -> Result<String> {
    returned.into_result()?;
    write(None, outputs()?)
}

fn write(response: Option<Response>, outputs: Outputs) -> Result<String> {
    #[derive(Serialize)]
    struct Written {
        #[serde(skip_serializing_if = "Option::is_none")]
        response: Option<Response>,
        #[serde(skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
    }
    to_json(&Written { response, outputs: outputs.0 })
}

fn unreadable(trigger: &str, why: impl Display) -> Failure {
    Failure::new("InvalidInput", format!("`{trigger}` cannot read its input: {why}")).not_retriable()
}

/// Reads a message: a type that is a text gets it as it is, any other type is read from JSON.
fn from_text<T: DeserializeOwned>(trigger: &str, text: &str) -> Result<T> {
    T::deserialize(Text(text)).map_err(|error| unreadable(trigger, error).details(text))
}

struct Text<'a>(&'a str);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let mut json = serde_json::Deserializer::from_str(self.0);
        let value = json.deserialize_any(visitor)?;
        json.end().map(|()| value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let mut json = serde_json::Deserializer::from_str(self.0);
        let value = json.deserialize_enum(name, variants, visitor)?;
        json.end().map(|()| value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0.trim() {
            "" | "null" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// An operator may run a trigger without an input.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.trim().is_empty() { visitor.visit_unit() } else { self.deserialize_any(visitor) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<K, T: TriggerInput<K>>(json: Value) -> Result<T> {
        T::read("work", &json.to_string())
    }

    #[test]
    fn a_timer_says_whether_it_is_late() {
        let json = json!({
            "isPastDue": true, "schedule": { "adjustForDST": true },
            "scheduleStatus": { "last": "1970-01-01T00:00:01Z", "next": "1970-01-01T00:00:02+00:00", "lastUpdated": null },
        });
        let timer: TimerInfo = read::<kind::Timer, _>(json).unwrap();
        let at = |seconds: i64| Some(Timestamp::from_millis(1_000 * seconds));
        assert!(timer.is_past_due);
        assert_eq!(timer.schedule_status, Some(ScheduleStatus { last: at(1), next: at(2), last_updated: None }));
        assert_eq!(read::<kind::Timer, _>(json!({ "input": "" })), Ok(TimerInfo::default()));
    }

    #[test]
    fn a_message_is_a_text_or_json() {
        fn check<T: DeserializeOwned + PartialEq + std::fmt::Debug>(message: &str, expected: T) {
            assert_eq!(read::<kind::Queue, T>(json!({ "message": message, "metadata": null })), Ok(expected), "{message}");
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Id(String);
        #[derive(Debug, PartialEq, Deserialize)]
        enum Change {
            Added(u64),
        }
        check("a lamp", "a lamp".to_owned());
        check("\"a\"", "\"a\"".to_owned());
        check("a", Id("a".to_owned()));
        check("[1, 2]", vec![1, 2]);
        check(" {\"a\": 1} ", json!({ "a": 1 }));
        check("{\"Added\": 2}", Change::Added(2));
        check("1970-01-01T00:00:00Z", Timestamp::from_millis(0));
        check("7", Some(7));
        check("null", None::<u64>);
        let wrong = read::<kind::Queue, Vec<u64>>(json!({ "message": "[1] x" })).unwrap_err();
        assert_eq!(wrong.message, "`work` cannot read its input: trailing characters at line 1 column 5");
        assert_eq!(wrong.details.as_deref(), Some("[1] x"));
    }

    #[test]
    fn a_message_comes_with_what_the_queue_knows() {
        let json = json!({ "message": "7", "metadata": {
            "id": "m-1", "dequeueCount": 2, "insertionTime": "1970-01-01T00:00:01Z", "expirationTime": null,
            "nextVisibleTime": "1970-01-01T00:00:02Z", "popReceipt": "r",
        }});
        let message: QueueMessage<u64> = read(json).unwrap();
        assert_eq!((message.body, &*message.id, message.dequeue_count, &*message.pop_receipt), (7, "m-1", 2, "r"));
        assert_eq!((message.insertion_time, message.expiration_time), (Some(Timestamp::from_millis(1_000)), None));
        assert_eq!(read(json!({ "input": "a" })), Ok(QueueMessage::new("a".to_owned())));
    }

    #[test]
    fn events_come_in_batches_or_one_by_one() {
        let metadata =
            json!({ "sequenceNumber": 5, "enqueuedTime": "1970-01-01T00:00:01Z", "offset": "40", "partitionKey": "k" });
        let both = json!({ "messages": ["1.5", "2"], "metadata": [metadata] });
        let events: Vec<EventHubEvent<f64>> = read(both.clone()).unwrap();
        assert_eq!((events[0].body, events[0].sequence_number, &*events[0].offset), (1.5, 5, "40"));
        assert_eq!(events[0].partition_key.as_deref(), Some("k"));
        assert_eq!(events[1], EventHubEvent::new(2.0));
        assert_eq!(read(json!({ "messages": ["a"] })), Ok(EventHubEvent::new("a".to_owned())));
        assert_eq!(read(json!({ "input": "a" })), Ok(EventHubEvent::new("a".to_owned())));
        let told = |failure: Failure| failure.message;
        assert_eq!(
            read::<_, EventHubEvent<f64>>(both).map_err(told),
            Err("`work` cannot read its input from the host: it has 2 events where one is expected".to_owned())
        );
        assert_eq!(
            read::<_, Vec<EventHubEvent<f64>>>(json!({})).map_err(told),
            Err("`work` cannot read its input from the host: it has no `messages`".to_owned())
        );
    }

    #[test]
    fn an_event_of_the_grid_has_one_of_two_forms() {
        let own = json!({ "event": {
            "id": "1", "topic": "/shop", "subject": "17", "eventType": "Placed", "eventTime": "1970-01-01T00:00:01Z", "data": [1],
            "dataVersion": "2", "metadataVersion": "1",
        }});
        let cloud = json!({ "event": {
            "id": "1", "source": "/shop", "subject": "17", "type": "Placed", "time": "1970-01-01T00:00:01Z", "data": [1],
            "specversion": "1.0",
        }});
        let own: EventGridEvent<Vec<u64>> = read::<kind::EventGrid, _>(own).unwrap();
        assert_eq!((&*own.event_type, own.topic.as_deref(), &own.data), ("Placed", Some("/shop"), &vec![1]));
        assert_eq!(read::<kind::EventGrid, _>(cloud), Ok(EventGridEvent { data_version: None, ..own }));
        let bare = json!({ "event": { "id": "1", "type": "Ping" } });
        let bare: EventGridEvent<Option<u64>> = read::<kind::EventGrid, _>(bare).unwrap();
        assert_eq!(bare.data, None);
        assert_eq!(read::<kind::EventGrid, u64>(json!({ "input": "7" })), Ok(7));
    }

    #[test]
    fn an_operator_may_give_an_input_or_none() {
        assert_eq!(read::<kind::Manual, String>(json!({ "input": "a b" })), Ok("a b".to_owned()));
        assert_eq!(read::<kind::Manual, Vec<u64>>(json!({ "input": "[7]" })), Ok(vec![7]));
        assert_eq!(read::<kind::Manual, ()>(json!({ "input": "" })), Ok(()));
        assert_eq!(read::<kind::Manual, Option<u64>>(json!({ "input": "" })), Ok(None));
        let failure = read::<kind::Manual, String>(json!({ "inputs": "" })).unwrap_err();
        assert_eq!(failure.message, "`work` cannot read its input from the host: missing field `input` at line 1 column 13");
    }

    #[test]
    fn what_is_returned_is_written_for_the_host() {
        let written = |outcome: Result<String>| serde_json::from_str::<Value>(&outcome.unwrap()).unwrap();
        let none = || Ok(Outputs::default());
        let outputs = || {
            let mut outputs = Outputs::default();
            let texts = Output { messages: vec!["a", "[1]"] };
            let lists = Output { messages: vec![vec![1, 2]] };
            outputs.add("work", "texts", &texts).unwrap();
            outputs.add("work", "lists", &lists).unwrap();
            outputs.add("work", "none", &Output::<u64>::new()).unwrap();
            Ok(outputs)
        };
        assert_eq!(written(conclude((), none)), json!({}));
        assert_eq!(written(conclude((), outputs)), json!({ "outputs": { "texts": ["a", "[1]"], "lists": [[1, 2]] } }));
        let response = json!({ "status": 202 });
        assert_eq!(
            written(respond(Ok::<_, Failure>(Response::new(202)), outputs)),
            json!({ "response": response, "outputs": { "texts": ["a", "[1]"], "lists": [[1, 2]] } })
        );
        let failed = Failure::new("Broken", "it broke");
        assert_eq!(respond(Err::<(), _>(failed.clone()), outputs), Err(failed.clone()));
        assert_eq!(conclude(Err(failed.clone()), outputs), Err(failed));
    }

    #[test]
    fn a_mistake_of_the_client_is_answered() {
        let outputs = || panic!("no message is sent");
        let answer = respond(Err::<(), _>(Failure::new("BadRequest", "no body")), outputs).unwrap();
        let response = json!({ "status": 400, "headers": [["content-type", "text/plain; charset=utf-8"]], "body": "no body" });
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({ "response": response }));
    }

    #[test]
    fn a_message_that_cannot_be_written_is_told() {
        let no_text_keys = Output { messages: vec![std::collections::BTreeMap::from([((1, 2), 3)])] };
        let failure = Outputs::default().add("work", "out", &no_text_keys).unwrap_err();
        assert_eq!(failure.message, "`work` cannot write a message for its output `out`: key must be a string");
    }
}
