//! Queues, and triggers that are run by name.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dacapo_core::{FunctionName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::content::json::{Moment, json, micros};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{DELIVER_AT, QUEUE_NAME, TOP, TRIGGER_NAME, TRIGGER_QUERY};
use crate::hub::{Hub, MessageState, NewMessage};
use crate::triggers::Source;
use crate::triggers::queue::{self, MESSAGES_MAX, text_of};

/// Bytes of JSON below which it is parsed on a thread that serves HTTP. Hubs take turns on those that parse more.
const PARSED_HERE: usize = 1_000;

/// Messages that one request shows, at most.
const PEEK_MAX: usize = 100;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enqueued")]
pub(in crate::api) struct EnqueuedBody {
    /// The ids of the messages, in their order.
    messages: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MessageCount")]
pub(in crate::api) struct CountBody {
    messages: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Queue")]
pub(in crate::api) struct QueueBody {
    name: String,
    /// Messages that are processed at present, or wait for that.
    messages: u64,
    /// Those that are processed at present.
    processing: u64,
    /// Messages of the queue's poison queue.
    poison: u64,
    /// When the oldest of its messages was put; `null` if it has none.
    oldest_time: Option<Moment>,
    /// The trigger that processes them; `null` if there is none.
    trigger: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
pub(in crate::api) struct MessageBody {
    id: String,
    text: String,
    inserted_time: Moment,
    /// When it is delivered; `null` if it is due, or waits for a trigger.
    next_delivery_time: Option<Moment>,
    /// Attempts to process it in this queue that have ended.
    attempts: u32,
    /// Why the last attempt has failed or, in a poison queue, why the message was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `GET queues`
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let queues = call.hub()?.read(|hub| hub.queues()).await?.into_iter();
    let queues = queues.map(|state| QueueBody {
        name: state.name,
        messages: state.messages,
        processing: state.processing,
        poison: state.poison,
        oldest_time: state.oldest.map(micros),
        trigger: state.trigger.map(|name| name.to_string()),
    });
    Ok(json(StatusCode::OK, &queues.collect::<Vec<_>>()))
}

/// `GET queues/{queueName}`
pub(in crate::api) async fn peek(call: Call) -> Result<Response, ApiError> {
    let most = call.get(&TOP)?.0.min(PEEK_MAX);
    let messages = call.hub()?.peek(&call.get(&QUEUE_NAME)?.0, most).await?.into_iter();
    let messages = messages.map(|MessageState { message, attempts, delivered_at, reason }| MessageBody {
        id: message.id,
        text: message.text,
        inserted_time: micros(Timestamp::from_millis(message.inserted_at)),
        next_delivery_time: delivered_at.map(micros),
        attempts,
        reason,
    });
    Ok(json(StatusCode::OK, &messages.collect::<Vec<_>>()))
}

/// `POST queues/{queueName}`
pub(in crate::api) async fn enqueue(call: Call) -> Result<Response, ApiError> {
    let (hub, queue, deliver_at) = (call.hub()?, call.get(&QUEUE_NAME)?.0, call.find(&DELIVER_AT)?);
    // Before it is parsed: a client that fills its queues must not keep others waiting.
    hub.check_room_for_message()?;
    let text = call.text()?.to_owned();
    let texts = match call.claims_json() {
        Some(true) if text.len() < PARSED_HERE => messages_in(text)?,
        Some(true) => hub.read(move |_| messages_in(text)).await?,
        Some(false) | None => vec![text],
    };
    put(&hub, &queue, texts, deliver_at).await
}

/// The messages in a body that is declared as JSON.
fn messages_in(body: String) -> Result<Vec<String>, ApiError> {
    match serde_json::from_str(&body).map_err(|why| ApiError::invalid_json(why.to_string()))? {
        Value::Array(items) => Ok(items.into_iter().map(text_of).collect()),
        _ => Ok(vec![body]),
    }
}

async fn put(hub: &Hub, queue: &str, texts: Vec<String>, deliver_at: Option<Timestamp>) -> Result<Response, ApiError> {
    if texts.len() > MESSAGES_MAX {
        return Err(ApiError::argument(format!("there are {} messages, {MESSAGES_MAX} are allowed at once", texts.len())));
    }
    let messages = texts.into_iter().map(|text| NewMessage { queue: queue.to_owned(), text, deliver_at });
    let ids = hub.enqueue(messages.collect()).await?;
    Ok(json(StatusCode::ACCEPTED, &EnqueuedBody { messages: ids }))
}

/// `DELETE queues/{queueName}`
pub(in crate::api) async fn clear(call: Call) -> Result<Response, ApiError> {
    let (hub, queue) = (call.hub()?, call.get(&QUEUE_NAME)?.0);
    call.audited("queue.clear")?.begun(json!({ "queue": queue })).await?;
    Ok(json(StatusCode::OK, &CountBody { messages: hub.clear_queue(&queue).await? }))
}

/// `POST queues/{queueName}/redrive`
pub(in crate::api) async fn redrive(call: Call) -> Result<Response, ApiError> {
    let (hub, queue) = (call.hub()?, call.get(&QUEUE_NAME)?.0);
    call.audited("queue.redrive")?.begun(json!({ "queue": queue })).await?;
    Ok(json(StatusCode::OK, &CountBody { messages: hub.redrive(&queue).await? }))
}

/// What an operator sends to run a trigger.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RunBody {
    input: Option<Value>,
}

/// `POST admin/functions/{triggerName}`
pub(in crate::api) async fn run(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.get(&TRIGGER_NAME)?);
    let body: RunBody = if call.text()?.trim().is_empty() { RunBody::default() } else { call.object()? };
    match hub.source_of(&name) {
        None => return Err(no_trigger(&name)),
        Some(Source::Http(_)) => {
            return Err(ApiError::argument(format!("'{name}' is an HTTP trigger: send a request to its route")));
        }
        Some(_) => {}
    }
    let input = json!({ "input": body.input.map(text_of).unwrap_or_default() });
    hub.run_trigger_by_name(&name, input.to_string()).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST EventGrid`
pub(in crate::api) async fn events(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.get(&TRIGGER_QUERY)?);
    let sent: Value = serde_json::from_str(call.text()?).map_err(|why| ApiError::invalid_json(why.to_string()))?;
    let events = match (attributes(&call.head.headers), sent) {
        (Some(mut event), data) => {
            event.insert("data".into(), data);
            vec![event.into()]
        }
        (None, Value::Array(events)) => events,
        (None, event) => vec![event],
    };
    if !events.iter().all(Value::is_object) {
        return Err(ApiError::argument("an event is a JSON object, and one of these is none"));
    }
    if let Some(version) = events.iter().find_map(|event| event.get("specversion").filter(|version| *version != "1.0")) {
        return Err(ApiError::argument(format!("CloudEvents have the specversion 1.0 here, and one of these {version}")));
    }
    if let Some(code) = events.iter().find_map(|event| {
        let is_validation = event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent";
        event["data"]["validationCode"].as_str().filter(|_| is_validation)
    }) {
        return Ok(json(StatusCode::OK, &json!({ "validationResponse": code })));
    }
    if !matches!(hub.source_of(&name), Some(Source::EventGrid)) {
        return Err(no_trigger(&name));
    }
    let texts = events.into_iter().map(|event| event.to_string()).collect();
    put(&hub, &queue::of_event_grid(name.as_str()), texts, None).await
}

/// The attributes of a CloudEvent in binary mode, whose body is its data: the headers whose names begin with `ce-`.
fn attributes(headers: &HeaderMap) -> Option<Map<String, Value>> {
    headers.get("ce-specversion")?;
    let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix("ce-")?, value.to_str().ok()?)));
    let mut event: Map<String, Value> = texts.map(|(name, text)| (name.to_owned(), text.into())).collect();
    if let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) {
        event.insert("datacontenttype".into(), kind.into());
    }
    Some(event)
}

/// `OPTIONS EventGrid`
pub(in crate::api) async fn validate(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.get(&TRIGGER_QUERY)?);
    if !matches!(hub.source_of(&name), Some(Source::EventGrid)) {
        return Err(no_trigger(&name));
    }
    let mut response = StatusCode::OK.into_response();
    if let Some(origin) = call.head.headers.get("webhook-request-origin") {
        response.headers_mut().insert("webhook-allowed-origin", origin.clone());
        response.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    }
    Ok(response)
}

fn no_trigger(name: &FunctionName) -> ApiError {
    ApiError::no_such(format!("no active app has a trigger '{name}' of the kind that is needed"))
}
