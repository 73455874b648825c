//! Queues: their messages are instances of a built-in orchestration ([`message`]).

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::{ExecutionId, Failure, FunctionName, InstanceId, InstanceRecord, Once, Payload, RuntimeStatus, Timestamp};
use dacapo_store::InstanceQuery;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::engine::panics::restart_on_panic;
use crate::hub::builtin::is_built_in;
use crate::hub::builtin::message::{self, Message};
use crate::hub::builtin::trigger;
use crate::hub::client::RepeatableCall;
use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore, now};
use crate::hub::operations::instance::StartRequest;
use crate::triggers::Source;
use crate::triggers::queue::{self, MESSAGES_MAX};

/// The pause between looking for messages that were processed and are to be removed.
const SWEEP_AFTER: Duration = Duration::from_millis(200);
const SWEEP_BATCH: usize = 500;

/// A message to put into a queue.
#[derive(Debug, Clone)]
pub struct NewMessage {
    pub queue: String,
    pub text: String,
    /// It is not delivered before then. None: at once.
    pub deliver_at: Option<Timestamp>,
}

/// Whose outputs are sent.
pub(in crate::hub) struct Outputs<'a> {
    pub function: &'a FunctionName,
    pub invocation: Uuid,
    /// None: it is not repeated.
    pub call: Option<RepeatableCall>,
}

/// The state of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueState {
    pub name: String,
    /// Messages that are processed, or wait for that.
    pub messages: u64,
    /// The trigger that processes them.
    pub trigger: Option<FunctionName>,
}

impl Hub {
    /// Puts messages into a queue. Returns their ids once all are durable. If one is refused, those before it were put.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Vec<String>, HubError> {
        let mut putting = Vec::new();
        for message in messages {
            putting.push(self.0.enqueue_one(Uuid::new_v4(), message, None));
        }
        futures::future::try_join_all(putting).await
    }

    /// Sends what a trigger has returned for its outputs.
    pub async fn send_outputs(
        &self,
        function: &FunctionName,
        invocation: Uuid,
        outputs: Map<String, Value>,
    ) -> Result<(), Failure> {
        self.0.send_outputs(&Outputs { function, invocation, call: None }, outputs).await
    }

    /// What starts the active trigger of this name, if there is one.
    pub fn source_of(&self, name: &FunctionName) -> Option<Source> {
        self.0.catalog.source_of(name)
    }

    /// Runs a trigger with this input, at least once. Returns when that is durable.
    pub async fn run_trigger_by_name(&self, name: &FunctionName, input: String) -> Result<(), HubError> {
        let id = Uuid::new_v4();
        let call = trigger::Input::Named { function: name.to_string(), input, attempt: 1 };
        let input: Payload = serde_json::to_string(&call).expect("a call can be written as JSON").into();
        let instance = InstanceId::orchestration(&format!("{}{}", message::ALL_CALLS_PREFIX, id.simple()));
        let name = FunctionName::new(message::CALL_FUNCTION).expect("it is a name");
        let request =
            StartRequest { name, id: Some(instance.expect("it is an id")), input, version: String::new(), start_at: None };
        self.0.start_built_in(ExecutionId(id), request, None).await
    }

    /// The first messages of a queue, in the order of their ids.
    pub async fn peek(&self, queue: &str, most: usize) -> Result<Vec<Message>, HubError> {
        let query = InstanceQuery { id_prefix: message::prefix(queue), statuses: LIVE.into(), ..InstanceQuery::default() };
        self.read(move |hub| {
            let page = hub.0.store.instances(&query, None, most)?;
            let mut messages = Vec::new();
            for record in page.records {
                messages.extend(hub.message_of(&record)?);
            }
            Ok(messages)
        })
        .await
    }

    /// The queues that have messages or a trigger, by name.
    pub async fn queues(&self) -> Result<Vec<QueueState>, HubError> {
        let mut queues: std::collections::BTreeMap<String, QueueState> = self
            .0
            .catalog
            .queues()
            .into_iter()
            .map(|(name, trigger)| (name.clone(), QueueState { name, messages: 0, trigger: Some(trigger) }))
            .collect();
        let query = InstanceQuery { id_prefix: message::ALL_PREFIX.into(), statuses: LIVE.into(), ..InstanceQuery::default() };
        let mut pages = self.0.pages(query);
        while let Some(page) = pages.next().await? {
            for record in &page {
                let Some((queue, _)) = message::parse(&record.id).filter(|(queue, _)| !queue.starts_with('$')) else { continue };
                let new = || QueueState { name: queue.to_owned(), ..QueueState::default() };
                queues.entry(queue.to_owned()).or_insert_with(new).messages += 1;
            }
        }
        Ok(queues.into_values().collect())
    }

    /// Removes all messages of a queue that are not processed at the moment of their turn. Returns how many.
    pub async fn clear_queue(&self, queue: &str) -> Result<u64, HubError> {
        self.each_message(queue, |hub, record| async move { hub.terminate(&record.id, "the queue was cleared", false).await })
            .await
    }

    /// Moves the messages of a poison queue back to the queue that they came from. Returns how many.
    pub async fn redrive(&self, queue: &str) -> Result<u64, HubError> {
        let poison = format!("{queue}{}", queue::POISON);
        let to = queue.to_owned();
        self.each_message(&poison, move |hub, record| {
            let to = to.clone();
            async move {
                let of = record.clone();
                let Some(message) = hub.read(move |hub| hub.message_of(&of)).await? else { return Ok(()) };
                let again = Message { queue: to, reason: None, ..message };
                // If a crash comes before it is taken out of the poison queue, it is moved once more: its trigger may run again, but
                // starts nothing twice, because that is named after the execution.
                let execution = ExecutionId(Uuid::new_v5(&record.first_execution.0, b"redrive"));
                match hub.0.put(execution, &again, None, None).await {
                    // It is there still.
                    Ok(()) | Err(HubError::AlreadyExists { .. }) => {}
                    Err(error) => return Err(error),
                }
                hub.terminate(&record.id, "it was moved back to its queue", false).await
            }
        })
        .await
    }

    async fn each_message<F>(&self, queue: &str, act: impl Fn(Hub, InstanceRecord) -> F) -> Result<u64, HubError>
    where
        F: Future<Output = Result<(), HubError>>,
    {
        let query = InstanceQuery { id_prefix: message::prefix(queue), statuses: LIVE.into(), ..InstanceQuery::default() };
        let (mut pages, mut count) = (self.0.pages(query), 0);
        while let Some(page) = pages.next().await? {
            for record in page {
                match act(self.clone(), record).await {
                    Ok(()) => count += 1,
                    Err(HubError::Ended { .. } | HubError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(count)
    }

    /// The message that an instance is. None: it is gone, or is none.
    fn message_of(&self, record: &InstanceRecord) -> Result<Option<Message>, HubError> {
        let input = self.input_of(record)?;
        Ok(input.and_then(|input| serde_json::from_str(&input).ok()))
    }
}

const LIVE: [RuntimeStatus; 4] =
    [RuntimeStatus::Pending, RuntimeStatus::Running, RuntimeStatus::ContinuedAsNew, RuntimeStatus::Suspended];

impl HubCore {
    /// `id` names the message: if one with this id is in the queue already, or a call has put it before, nothing happens.
    async fn enqueue_one(&self, id: Uuid, new: NewMessage, call: Option<RepeatableCall>) -> Result<String, HubError> {
        let NewMessage { queue, text, deliver_at } = new;
        let message = Message { queue, id: id.simple().to_string(), text, inserted_at: now().as_millis(), reason: None };
        match self.put(ExecutionId(id), &message, deliver_at, call.map(|call| call.once(id))).await {
            Ok(()) | Err(HubError::AlreadyExists { .. }) => Ok(message.id),
            Err(error) => Err(error),
        }
    }

    /// Puts messages of a call into a queue. Each has an id that is the same if the call is repeated. `InvalidPayload`
    pub(in crate::hub) async fn enqueue_named(
        &self,
        queue: &str,
        messages: Vec<(Uuid, String)>,
        deliver_at: Option<Timestamp>,
        call: Option<RepeatableCall>,
    ) -> Result<(), HubError> {
        let invalid = |why: String| Err(HubError::InvalidPayload(why));
        let Some(name) = queue::name(queue) else {
            return invalid(format!("'{queue:.80}' is not the name of a queue, which {}", queue::NAME_RULE));
        };
        if messages.len() > MESSAGES_MAX {
            return invalid(format!("there are {} messages, {MESSAGES_MAX} are allowed at once", messages.len()));
        }
        let new = |text| NewMessage { queue: name.clone(), text, deliver_at };
        let putting: Vec<_> = messages.into_iter().map(|(id, text)| self.enqueue_one(id, new(text), call)).collect();
        futures::future::try_join_all(putting).await.map(drop)
    }

    async fn put(
        &self,
        execution: ExecutionId,
        message: &Message,
        start_at: Option<Timestamp>,
        once: Option<Once>,
    ) -> Result<(), HubError> {
        let input: Payload = serde_json::to_string(message).expect("a message can be written as JSON").into();
        let id = InstanceId::orchestration(&message.instance()).expect("names of queues, and UUIDs, fit into an id");
        let name = FunctionName::new(message::FUNCTION).expect("it is a name");
        let request = StartRequest { name, id: Some(id), input, version: String::new(), start_at };
        self.start_built_in(execution, request, once).await
    }

    /// Sends the outputs of a trigger. A message is named after the call and its number, so that a call that is repeated puts none
    /// twice.
    pub(in crate::hub) async fn send_outputs(&self, of: &Outputs<'_>, outputs: Map<String, Value>) -> Result<(), Failure> {
        let Outputs { function, invocation, call } = *of;
        if outputs.is_empty() {
            return Ok(());
        }
        let known = self.catalog.outputs_of(function);
        for (binding, value) in outputs {
            if value.is_null() {
                continue;
            }
            let queue = known.iter().find(|(name, _)| *name == binding).map(|(_, queue)| queue.clone());
            let queue = queue.ok_or_else(|| {
                let why = format!("it returned a value for the output '{binding}', which it does not have");
                Failure::permanent(Failure::INVALID_OUTPUT, why)
            })?;
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            if values.len() > MESSAGES_MAX {
                let why = format!("its output '{binding}' has {} messages, {MESSAGES_MAX} are allowed", values.len());
                return Err(Failure::permanent(Failure::LIMIT_EXCEEDED, why));
            }
            let putting = values.into_iter().enumerate().map(|(number, value)| {
                let id = Uuid::new_v5(&invocation, format!("output:{binding}:{number}").as_bytes());
                self.enqueue_one(id, NewMessage { queue: queue.clone(), text: queue::text_of(value), deliver_at: None }, call)
            });
            let putting: Vec<_> = putting.collect();
            let put = futures::future::try_join_all(putting).await;
            put.map_err(|error| {
                Failure::retriable(Failure::UNAVAILABLE, format!("its output '{binding}' could not be sent: {error}"))
            })?;
        }
        Ok(())
    }

    /// Wakes the messages that wait for a trigger of one of these queues.
    pub(in crate::hub) fn wake_messages(self: &Arc<Self>, queues: Vec<String>) {
        let hub = Hub::of(self);
        self.tokio.spawn(async move {
            for queue in queues {
                let woken = hub
                    .each_message(&queue, |hub, record| async move {
                        hub.raise_event(&record.id, message::CONSUMER_EVENT, "null".into()).await
                    })
                    .await;
                match woken {
                    Ok(_) => {}
                    // They are woken when it is opened again.
                    Err(HubError::ShuttingDown) => return,
                    Err(error) => {
                        let hub = hub.name();
                        tracing::warn!(hub, queue, %error, "waiting messages could not be woken; they look again by themselves");
                    }
                }
            }
        });
    }
}

/// Removes messages that were processed, as long as the hub is open.
pub(in crate::hub) fn spawn_sweep(hub: &Arc<HubCore>) {
    let inner = hub.clone();
    hub.tokio.spawn(async move { restart_on_panic("the loop that removes processed messages", || inner.sweep()).await });
}

impl HubCore {
    async fn sweep(self: &Arc<Self>) {
        // Those that a previous process has left.
        let mut look = true;
        while !self.is_closing() {
            if look {
                match self.remove_processed().await {
                    Ok(removed) => look = removed,
                    Err(HubError::ShuttingDown) => return,
                    Err(error) => tracing::warn!(hub = self.name, %error, "processed messages could not be removed"),
                }
            } else {
                tokio::select! {
                    () = self.ended_messages.notified() => look = true,
                    () = self.closed() => return,
                }
            }
            tokio::time::sleep(SWEEP_AFTER).await;
        }
    }

    /// Removes the messages that were processed. Returns whether there was any. A client may have given an instance an id like
    /// that of a message: those stay.
    async fn remove_processed(self: &Arc<Self>) -> Result<bool, HubError> {
        let query = InstanceQuery {
            id_prefix: message::ALL_PREFIX.into(),
            statuses: [RuntimeStatus::Completed, RuntimeStatus::Failed, RuntimeStatus::Terminated].into(),
            ..InstanceQuery::default()
        };
        let (mut pages, mut removed) = (self.pages_of(query, SWEEP_BATCH), false);
        while let Some(mut records) = pages.next().await? {
            records.retain(|record| is_built_in(&record.name));
            if !records.is_empty() {
                removed = true;
                self.remove_ended(records).await?;
            }
            if self.is_closing() {
                break;
            }
        }
        Ok(removed)
    }
}
