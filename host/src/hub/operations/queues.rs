//! Queues: their messages are instances of a built-in orchestration ([`message`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dacapo_core::{
    Event, ExecutionId, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord, Once, Payload, Row, RuntimeStatus,
    Timestamp,
};
use dacapo_store::{Cursor, InstanceQuery};
use futures::{StreamExt as _, TryStreamExt as _};
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
use crate::hub::operations::messages::{Counted, Room, Waits};
use crate::hub::versions::PAGE;
use crate::triggers::Source;
use crate::triggers::queue::{self, MESSAGES_MAX};

/// The pause between looking for messages that were processed and are to be removed.
const SWEEP_AFTER: Duration = Duration::from_millis(200);
const SWEEP_BATCH: usize = 500;

/// Messages of one request that are put at once: their turns are saved together. Few, because a thread that serves HTTP has
/// nothing else to do meanwhile.
const PUT_AT_ONCE: usize = 32;

/// Messages that are woken, moved or removed at once.
const AT_ONCE: usize = 256;

/// The last turns of a message, which say how it fares: an attempt takes two.
const TURNS_SHOWN: u32 = 4;

/// A message is delivered in a year of four digits.
const DELIVERED_MIN: Timestamp = Timestamp(-62_135_596_800_000_000);
const DELIVERED_MAX: Timestamp = Timestamp(253_402_300_799_999_999);

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
    /// Those of them that are processed.
    pub processing: u64,
    /// Messages of its poison queue.
    pub poison: u64,
    /// When its oldest message was put.
    pub oldest: Option<Timestamp>,
    /// The trigger that processes them.
    pub trigger: Option<FunctionName>,
}

/// A message that waits or is processed.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageState {
    pub message: Message,
    /// Attempts that have ended, in this queue.
    pub attempts: u32,
    /// When it is delivered. None: it is due, or waits for a trigger.
    pub delivered_at: Option<Timestamp>,
    /// Why its last attempt has failed, or why its queue gave it up.
    pub reason: Option<String>,
}

impl Hub {
    /// Puts messages into a queue. Returns their ids once all are durable. If one is refused, those before it may have been put.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Vec<String>, HubError> {
        let named = messages.into_iter().map(|message| (Uuid::new_v4(), message)).collect();
        self.0.enqueue_all(named, None).await
    }

    /// Checks that a queue may take in a message, before it is read.
    pub fn check_room_for_message(&self) -> Result<(), HubError> {
        self.0.room_for_messages(1).map(drop)
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

    /// The first messages of a queue, the oldest first.
    pub async fn peek(&self, queue: &str, most: usize) -> Result<Vec<MessageState>, HubError> {
        let (mut states, mut after) = (Vec::new(), None);
        while states.len() < most {
            let rows = self.0.messages.after(queue, after, most - states.len());
            let Some(&last) = rows.last() else { break };
            after = Some(last);
            for row in rows {
                states.extend(self.read(move |hub| hub.message_state(row)).await?);
            }
        }
        // Those of one request have their rows in any order.
        states.sort_by(|one: &MessageState, other| one.message.inserted_at.total_cmp(&other.message.inserted_at));
        Ok(states)
    }

    fn message_state(&self, row: Row) -> Result<Option<MessageState>, HubError> {
        let Some(record) = self.0.record_in(row)? else { return Ok(None) };
        let Some(message) = self.message_of(&record)? else { return Ok(None) };
        if record.status == RuntimeStatus::Pending {
            let start = |event| match event {
                Event::ExecutionStarted { start_at, .. } => Some(start_at),
                _ => None,
            };
            let delivered_at = self.0.find_in_inbox(row, start)?.flatten();
            let reason = message.reason.clone();
            return Ok(Some(MessageState { message, attempts: 0, delivered_at, reason }));
        }
        let events = self.0.last_turns(&record)?;
        Ok(Some(state_of(message, &events)))
    }

    /// The queues that have messages or a trigger, by name. Reads the oldest message of each.
    pub fn queues(&self) -> Result<Vec<QueueState>, HubError> {
        let new = |name: &str| QueueState { name: name.to_owned(), ..QueueState::default() };
        let mut queues: BTreeMap<String, QueueState> = BTreeMap::new();
        for (name, trigger) in self.0.catalog.queues() {
            queues.insert(name.clone(), QueueState { trigger: Some(trigger), ..new(&name) });
        }
        for Counted { name, messages, oldest } in self.0.messages.counted() {
            let oldest = oldest.and_then(|row| self.0.record_in(row).transpose()).transpose()?.map(|record| record.created);
            let of = name.strip_suffix(queue::POISON).and_then(|own| queues.get_mut(own));
            of.into_iter().for_each(|own| own.poison = messages);
            let state = queues.entry(name.clone()).or_insert_with(|| new(&name));
            (state.messages, state.oldest) = (messages, oldest);
        }
        for (name, processing) in self.0.activities.processing() {
            queues.entry(name.clone()).or_insert_with(|| new(&name)).processing = processing;
        }
        Ok(queues.into_values().collect())
    }

    /// Removes all messages of a queue that are not processed at the moment of their turn. Returns how many.
    pub async fn clear_queue(&self, queue: &str) -> Result<u64, HubError> {
        self.each_message(queue, |hub, record| async move { hub.terminate(&record.id, "the queue was cleared", false).await })
            .await
    }

    /// Moves the messages of a poison queue back to the queue that they came from; either name will do. Returns how many.
    pub async fn redrive(&self, queue: &str) -> Result<u64, HubError> {
        let to = queue.strip_suffix(queue::POISON).unwrap_or(queue).to_owned();
        let poison = format!("{to}{}", queue::POISON);
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

    /// Acts on the messages that are in a queue now, the oldest first. Returns on how many.
    async fn each_message<F>(&self, queue: &str, act: impl Fn(Hub, InstanceRecord) -> F) -> Result<u64, HubError>
    where
        F: Future<Output = Result<(), HubError>>,
    {
        let rows = self.0.messages.after(queue, None, usize::MAX);
        let acting = rows.into_iter().map(|row| {
            let act = &act;
            async move {
                let Some(record) = self.read(move |hub| hub.0.record_in(row)).await? else { return Ok(0) };
                match act(self.clone(), record).await {
                    Ok(()) => Ok(1),
                    Err(HubError::Ended { .. } | HubError::NotFound(_)) => Ok(0),
                    Err(error) => Err(error),
                }
            }
        });
        futures::stream::iter(acting).buffer_unordered(AT_ONCE).try_fold(0, async |sum, one: u64| Ok(sum + one)).await
    }

    /// The message that an instance is. None: it is gone, or is none.
    fn message_of(&self, record: &InstanceRecord) -> Result<Option<Message>, HubError> {
        let input = self.input_of(record)?;
        Ok(input.and_then(|input| serde_json::from_str(&input).ok()))
    }
}

/// How a message fares, from the events of its last turns.
fn state_of(message: Message, events: &[HistoryEvent]) -> MessageState {
    let mut state = MessageState { attempts: 0, delivered_at: None, reason: message.reason.clone(), message };
    let mut attempt: u32 = 0;
    for event in events.iter().map(|entry| &entry.event) {
        match event {
            Event::TaskScheduled { input, .. } => {
                if let Ok(trigger::Input::Message { attempt: number, .. }) = serde_json::from_str(input) {
                    attempt = number;
                }
                state.attempts = attempt.saturating_sub(1);
            }
            Event::TaskCompleted { result, .. } => {
                if let trigger::Answer::Failed { reason, .. } = trigger::Answer::read(result) {
                    (state.attempts, state.reason) = (attempt, Some(reason));
                }
            }
            Event::TimerCreated { fire_at, .. } => state.delivered_at = Some(*fire_at),
            Event::TimerFired { .. } | Event::EventRaised { .. } => state.delivered_at = None,
            _ => {}
        }
    }
    if waits_for_trigger(events) {
        state.delivered_at = None;
    }
    state
}

/// Whether a message waits for a trigger, from the events of its last turns.
fn waits_for_trigger(events: &[HistoryEvent]) -> bool {
    let last = events.iter().rev().find_map(|entry| match &entry.event {
        Event::TaskCompleted { result, .. } => Some(trigger::Answer::read(result) == trigger::Answer::NoTrigger),
        Event::TaskScheduled { .. } | Event::TaskFailed { .. } => Some(false),
        _ => None,
    });
    last == Some(true)
}

impl HubCore {
    /// The instance in a row. None: it is gone.
    fn record_in(&self, row: Row) -> Result<Option<InstanceRecord>, HubError> {
        let before = row.0.checked_sub(1).map(|before| Cursor::Row(Row(before)));
        let page = self.store.instances(&InstanceQuery::default(), before.as_ref(), 1)?;
        Ok(page.records.into_iter().find(|record| record.row == row))
    }

    fn last_turns(&self, record: &InstanceRecord) -> Result<Vec<HistoryEvent>, HubError> {
        let begin = record.turns.end.saturating_sub(TURNS_SHOWN).max(record.turns.start);
        Ok(self.store.history(record.row, begin..record.turns.end)?)
    }

    /// Makes room for messages. `Limit`
    fn room_for_messages(&self, count: u64) -> Result<Room<'_>, HubError> {
        let limits = &self.rules().limits;
        let (bytes, most) = (self.store.bytes(), limits.storage_bytes);
        if bytes >= most / 4 * 3 {
            let what = format!(
                "the file of the task hub has {bytes} bytes, and queues take in nothing above three quarters of the limit"
            );
            return Err(HubError::Limit { limit: "storage_bytes", value: most, what });
        }
        let most = limits.queue_messages;
        self.messages.room(count, most).map_err(|taken| {
            let what = match count {
                1 => format!("{taken} messages are in the queues of the task hub"),
                more => format!("{taken} messages are in the queues of the task hub, and these are {more} more"),
            };
            HubError::Limit { limit: "queue_messages", value: most, what }
        })
    }

    /// Notes where a message is after a turn of it. Does nothing for other instances.
    pub(in crate::hub) fn note_message(&self, record: &InstanceRecord) {
        if record.status.is_terminal() {
            return self.message_left(record);
        }
        if let Some(queue) = queue_of(record)
            && self.messages.put(queue, record.row)
        {
            self.meters.enqueued(queue);
        }
    }

    /// Notes that a message is gone from its queue. Does nothing for other instances.
    pub(in crate::hub) fn message_left(&self, record: &InstanceRecord) {
        if let Some(queue) = queue_of(record) {
            self.messages.left(queue, record.row);
        }
    }

    /// Finds the messages of the queues in the store. `busy`: the instances whose activities are pending. Called before the hub
    /// has any work.
    pub(in crate::hub) fn find_messages(&self, busy: &HashSet<Row>) -> Result<(), HubError> {
        let query = InstanceQuery { id_prefix: message::ALL_PREFIX.into(), statuses: LIVE.into(), ..InstanceQuery::default() };
        let mut after = None;
        loop {
            let page = self.store.instances(&query, after.as_ref(), PAGE)?;
            for record in &page.records {
                let Some(queue) = queue_of(record) else { continue };
                self.messages.put(queue, record.row);
                if record.status != RuntimeStatus::Pending && !busy.contains(&record.row) {
                    self.messages.waits(queue, record.row, Waits::Perhaps);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Puts messages into queues. The id names a message: if one with this id is in the queue already, or the call has put it
    /// before, nothing happens. Returns the ids.
    async fn enqueue_all(
        &self,
        messages: Vec<(Uuid, NewMessage)>,
        call: Option<RepeatableCall>,
    ) -> Result<Vec<String>, HubError> {
        let _room = self.room_for_messages(messages.len() as u64)?;
        let refused = AtomicBool::new(false);
        let refused = &refused;
        let putting = messages.into_iter().take_while(|_| !refused.load(Ordering::Relaxed));
        let putting = putting.map(|(id, message)| async move {
            let put = self.enqueue_one(id, message, call).await;
            refused.fetch_or(put.is_err(), Ordering::Relaxed);
            put
        });
        // Those that have begun are waited for also after one was refused: until they are stored, they have their room.
        let put: Vec<Result<String, HubError>> = futures::stream::iter(putting).buffered(PUT_AT_ONCE).collect().await;
        put.into_iter().collect()
    }

    async fn enqueue_one(&self, id: Uuid, new: NewMessage, call: Option<RepeatableCall>) -> Result<String, HubError> {
        let NewMessage { queue, text, deliver_at } = new;
        if deliver_at.is_some_and(|at| !(DELIVERED_MIN..=DELIVERED_MAX).contains(&at)) {
            return Err(HubError::InvalidPayload("a message cannot be delivered then: the year should have four digits".into()));
        }
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
        let messages = messages.into_iter().map(|(id, text)| (id, new(text))).collect();
        self.enqueue_all(messages, call).await.map(drop)
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
            let messages = values.into_iter().enumerate().map(|(number, value)| {
                let id = Uuid::new_v5(&invocation, format!("output:{binding}:{number}").as_bytes());
                (id, NewMessage { queue: queue.clone(), text: queue::text_of(value), deliver_at: None })
            });
            let put = self.enqueue_all(messages.collect(), call).await;
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
                let waking = hub.0.messages.take_waiting(&queue).into_iter().map(|(row, waits)| hub.wake_message(row, waits));
                let mut waking = futures::stream::iter(waking).buffer_unordered(AT_ONCE);
                while let Some(woken) = waking.next().await {
                    match woken {
                        Ok(()) | Err(HubError::Ended { .. } | HubError::NotFound(_)) => {}
                        // They are woken when it is opened again.
                        Err(HubError::ShuttingDown) => return,
                        Err(error) => {
                            let hub = hub.name();
                            tracing::warn!(hub, queue, %error, "a waiting message could not be woken; it looks again by itself");
                        }
                    }
                }
            }
        });
    }
}

impl Hub {
    async fn wake_message(&self, row: Row, waits: Waits) -> Result<(), HubError> {
        let waiting = self.read(move |hub| -> Result<_, HubError> {
            let Some(record) = hub.0.record_in(row)? else { return Ok(None) };
            let waits = waits == Waits::Surely || waits_for_trigger(&hub.0.last_turns(&record)?);
            Ok(waits.then_some(record))
        });
        let Some(record) = waiting.await? else { return Ok(()) };
        self.raise_event(&record.id, message::CONSUMER_EVENT, "null".into()).await
    }
}

const LIVE: [RuntimeStatus; 4] =
    [RuntimeStatus::Pending, RuntimeStatus::Running, RuntimeStatus::ContinuedAsNew, RuntimeStatus::Suspended];

/// The queue of which an instance is a message, if it is one.
fn queue_of(record: &InstanceRecord) -> Option<&str> {
    // Not by its version: one that has not begun has none.
    let is_message = is_built_in(&record.name) && record.name.as_str().eq_ignore_ascii_case(message::FUNCTION);
    message::parse(&record.id).filter(|_| is_message).map(|(queue, _)| queue)
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
