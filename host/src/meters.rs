//! What a task hub has used, by function, precise enough for billing.
//!
//! ```text
//!   turn (durable) ─┐
//!   attempt (ended) ├─▶ Meters, in memory ── each minute, and at the end ──▶ control file ─▶ usage, metrics
//!   request, bytes ─┘
//! ```
//!
//! A turn is counted when its commit is durable, with what it has added to the receipt of its instance
//! ([`dacapo_core::Usage`]): so the sum of all receipts is what the functions have used, whatever is replayed or retried.
//! An attempt of an activity is counted when it ends, whatever its outcome, because it has occupied its place. A crash loses
//! what was counted since the last save; nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dacapo_core::id::fold;
use dacapo_core::{FunctionKind, FunctionName, InstanceRecord, RuntimeStatus, Usage};
use dacapo_wasm::OutboundBytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Functions of a hub that are counted separately. Clients and guests can call names that no app has, and each would stay in the
/// records for ever.
const FUNCTIONS_MAX: usize = 1_000;

/// Queues of a hub that are counted separately. Clients can make up names of queues, too.
const QUEUES_MAX: usize = 100;

/// The name under which all further functions, or queues, are counted. None can have it.
pub const OTHERS: &str = "@others";

/// What one function has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct FunctionUsage {
    /// As it was spelled when it was first called. `@others` stands for all names after the first 1,000.
    pub name: String,
    /// Empty for `@others`.
    #[schemars(schema_with = "any_kind")]
    pub kind: String,
    /// Executions of an orchestrator that have begun, operations of an entity, attempts of an activity, calls of a trigger.
    pub executions: u64,
    /// Executions that have failed (not counted for entities) or were cut off.
    pub failures: u64,
    /// Turns of an orchestrator or an entity.
    pub turns: u64,
    /// Events that were replayed to bring an orchestrator back into memory.
    pub replayed_events: u64,
    /// About one unit for each wasm instruction, replays included. Not counted for activities.
    pub fuel: u64,
    /// The total time of attempts of an activity, or of calls of a trigger, in microseconds, whether they computed or waited.
    pub activity_micros: u64,
    /// Bytes of payloads received.
    pub bytes_in: u64,
    /// Bytes of payloads produced.
    pub bytes_out: u64,
}

fn any_kind(_: &mut SchemaGenerator) -> Schema {
    let [orchestrator, activity, entity, trigger] = FunctionKind::ALL.map(FunctionKind::name);
    json_schema!({ "type": "string", "enum": [orchestrator, activity, entity, trigger, ""] })
}

impl FunctionUsage {
    fn add(&mut self, more: &FunctionUsage) {
        let FunctionUsage { name: _, kind: _, executions, failures, turns, replayed_events, .. } = more;
        let FunctionUsage { fuel, activity_micros, bytes_in, bytes_out, .. } = more;
        self.executions += executions;
        self.failures += failures;
        self.turns += turns;
        self.replayed_events += replayed_events;
        self.fuel = self.fuel.saturating_add(*fuel);
        self.activity_micros = self.activity_micros.saturating_add(*activity_micros);
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
    }
}

/// What functions have used, by folded name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Functions(BTreeMap<String, FunctionUsage>);

impl Functions {
    pub fn iter(&self) -> impl Iterator<Item = &FunctionUsage> {
        self.0.values()
    }

    pub fn get(&self, name: &str) -> Option<&FunctionUsage> {
        self.0.get(&fold(name))
    }

    fn of(&mut self, name: &str, kind: &str) -> &mut FunctionUsage {
        let (key, apart) = (fold(name), self.0.len() - usize::from(self.0.contains_key(OTHERS)));
        let (key, name, kind) = match apart < FUNCTIONS_MAX || self.0.contains_key(&key) {
            true => (key, name, kind),
            false => (OTHERS.to_owned(), OTHERS, ""),
        };
        let new = || FunctionUsage { name: name.to_owned(), kind: kind.to_owned(), ..FunctionUsage::default() };
        self.0.entry(key).or_insert_with(new)
    }
}

/// What became of the messages of one queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueUsage {
    /// `@others` stands for all names after the first 100.
    pub name: String,
    /// Messages that were put into it.
    pub enqueued: u64,
    /// Messages that its trigger has processed.
    pub processed: u64,
    /// Attempts that have failed, counted for each message.
    pub failed_attempts: u64,
    /// Messages that were given up, and went to its poison queue.
    pub poisoned: u64,
}

/// What became of messages, by queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queues(BTreeMap<String, QueueUsage>);

impl Queues {
    pub fn iter(&self) -> impl Iterator<Item = &QueueUsage> {
        self.0.values()
    }

    /// The name under which a queue is counted.
    pub fn counted_as<'a>(&self, queue: &'a str) -> &'a str {
        if self.0.contains_key(queue) { queue } else { OTHERS }
    }

    fn of(&mut self, queue: &str) -> &mut QueueUsage {
        let apart = self.0.len() - usize::from(self.0.contains_key(OTHERS));
        let name = if apart < QUEUES_MAX || self.0.contains_key(queue) { queue } else { OTHERS };
        self.0.entry(name.to_owned()).or_insert_with(|| QueueUsage { name: name.to_owned(), ..QueueUsage::default() })
    }
}

/// The outcome of an attempt to process a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAttempt {
    Processed,
    /// It is tried again.
    Failed,
    /// It has failed, and was the last one.
    GivenUp,
}

/// What a hub has used since it was created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HubUsage {
    pub functions: Functions,
    pub queues: Queues,
    /// Requests of clients to the hub with a key for it.
    pub requests: u64,
    /// Requests that were refused because of a limit where waiting helps (429).
    pub throttled: u64,
    /// Bytes on the connections of activities' HTTP requests.
    pub outbound_bytes_in: u64,
    pub outbound_bytes_out: u64,
}

impl HubUsage {
    pub fn add(&mut self, more: &HubUsage) {
        for usage in more.functions.iter() {
            self.functions.of(&usage.name, &usage.kind).add(usage);
        }
        for QueueUsage { name, enqueued, processed, failed_attempts, poisoned } in more.queues.iter() {
            let sum = self.queues.of(name);
            sum.enqueued += enqueued;
            sum.processed += processed;
            sum.failed_attempts += failed_attempts;
            sum.poisoned += poisoned;
        }
        self.requests += more.requests;
        self.throttled += more.throttled;
        self.outbound_bytes_in += more.outbound_bytes_in;
        self.outbound_bytes_out += more.outbound_bytes_out;
    }

    pub fn is_nothing(&self) -> bool {
        *self == HubUsage::default()
    }
}

/// The meters of a hub: what was used since they were last emptied. They are kept while the hub is closed.
#[derive(Debug, Default)]
pub struct Meters {
    // Never held across an await. Locked once per turn and per attempt.
    functions: Mutex<Functions>,
    // Locked once per message and per attempt.
    queues: Mutex<Queues>,
    requests: AtomicU64,
    throttled: AtomicU64,
    pub outbound: Arc<OutboundBytes>,
}

/// The usage of an instance before a turn.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    usage: Usage,
    begun: bool,
}

impl From<&InstanceRecord> for Before {
    fn from(record: &InstanceRecord) -> Self {
        Self { usage: record.usage, begun: !record.turns.is_empty() }
    }
}

/// The outcome of an attempt of an activity.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub took: Duration,
    pub failed: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Meters {
    fn lock(&self) -> MutexGuard<'_, Functions> {
        self.functions.lock().expect("no holder of this lock panics")
    }

    /// Counts a durable turn, which has left its instance as `record`.
    pub fn turn(&self, before: Before, record: &InstanceRecord) {
        let spent = record.usage.since(before.usage);
        let kind = if record.id.is_entity() { FunctionKind::Entity } else { FunctionKind::Orchestrator };
        let has_run = spent.turns > 0;
        self.lock().of(record.name.as_str(), kind.name()).add(&FunctionUsage {
            executions: match kind {
                FunctionKind::Entity => spent.operations,
                FunctionKind::Orchestrator | FunctionKind::Activity | FunctionKind::Trigger => (has_run && !before.begun).into(),
            },
            failures: (has_run && record.status == RuntimeStatus::Failed).into(),
            turns: spent.turns,
            replayed_events: spent.replayed_events,
            fuel: spent.fuel,
            bytes_in: spent.bytes_in,
            bytes_out: spent.bytes_out,
            ..FunctionUsage::default()
        });
    }

    /// Counts an attempt of an activity that has ended.
    pub fn activity(&self, name: &FunctionName, attempt: Attempt) {
        self.attempt(FunctionKind::Activity, name, attempt);
    }

    /// Counts a call of a trigger that has ended.
    pub fn trigger(&self, name: &FunctionName, attempt: Attempt) {
        self.attempt(FunctionKind::Trigger, name, attempt);
    }

    fn attempt(&self, kind: FunctionKind, name: &FunctionName, attempt: Attempt) {
        let Attempt { took, failed, bytes_in, bytes_out } = attempt;
        self.lock().of(name.as_str(), kind.name()).add(&FunctionUsage {
            executions: 1,
            failures: failed.into(),
            activity_micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            bytes_in,
            bytes_out,
            ..FunctionUsage::default()
        });
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().expect("no holder of this lock panics")
    }

    /// Counts a message that was put into a queue.
    pub fn enqueued(&self, queue: &str) {
        self.queues().of(queue).enqueued += 1;
    }

    /// Counts an attempt to process messages of a queue.
    pub fn messages(&self, queue: &str, messages: u64, attempt: MessageAttempt) {
        let mut queues = self.queues();
        let usage = queues.of(queue);
        match attempt {
            MessageAttempt::Processed => usage.processed += messages,
            MessageAttempt::Failed => usage.failed_attempts += messages,
            MessageAttempt::GivenUp => {
                usage.failed_attempts += messages;
                usage.poisoned += messages;
            }
        }
    }

    /// Counts a request of a client that was answered.
    pub fn request(&self, throttled: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.throttled.fetch_add(throttled.into(), Ordering::Relaxed);
    }

    /// Returns what was used since the last call, and resets the meters. The caller adds it to the stored sum.
    pub fn take(&self) -> HubUsage {
        let functions = std::mem::take(&mut *self.lock());
        let queues = std::mem::take(&mut *self.queues());
        let (outbound_bytes_out, outbound_bytes_in) = self.outbound.take();
        HubUsage {
            functions,
            queues,
            requests: self.requests.swap(0, Ordering::Relaxed),
            throttled: self.throttled.swap(0, Ordering::Relaxed),
            outbound_bytes_in,
            outbound_bytes_out,
        }
    }

    /// Returns the same without resetting the meters.
    pub fn read(&self) -> HubUsage {
        let (functions, queues) = (self.lock().clone(), self.queues().clone());
        let (outbound_bytes_out, outbound_bytes_in) = self.outbound.read();
        HubUsage {
            functions,
            queues,
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            outbound_bytes_in,
            outbound_bytes_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use dacapo_core::{Event, ExecutionId, InstanceId, Message, Row, Timestamp};

    use super::*;

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).unwrap()
    }

    fn record(id: &str, function: &str) -> InstanceRecord {
        let event = Event::ExecutionStarted {
            execution: ExecutionId(uuid::Uuid::nil()),
            name: name(function),
            input: "null".into(),
            version: String::new(),
            parent: None,
            start_at: None,
        };
        let to = InstanceId::any(id).unwrap();
        InstanceRecord::pending(Row(1), &Message { to, execution: None, sent_at: Timestamp(0), event }).unwrap()
    }

    /// What a turn of an orchestration costs here.
    fn turn_of(meters: &Meters, record: &mut InstanceRecord, status: RuntimeStatus) {
        let before = Before::from(&*record);
        record.usage =
            record.usage.plus(Usage { turns: 1, fuel: 70, replayed_events: 3, bytes_in: 5, bytes_out: 6, ..Usage::default() });
        record.turns.end += 1;
        record.status = status;
        meters.turn(before, record);
    }

    #[test]
    fn what_was_counted_is_taken_once() {
        let meters = Meters::default();
        let mut order = record("i", "Order");
        turn_of(&meters, &mut order, RuntimeStatus::Running);
        turn_of(&meters, &mut order, RuntimeStatus::Failed);
        // It is kept for a rewind, and is no turn.
        meters.turn(Before::from(&order), &order);
        let attempt = Attempt { took: Duration::from_millis(2), failed: true, bytes_in: 1, bytes_out: 2 };
        meters.activity(&name("pay"), attempt);
        meters.request(false);
        meters.request(true);
        meters.outbound.sent(8);
        meters.outbound.received(9);

        assert_eq!(meters.read(), meters.read());
        let used = meters.take();
        let order = used.functions.get("order").unwrap();
        assert_eq!((order.name.as_str(), order.kind.as_str()), ("Order", "orchestrator"));
        assert_eq!((order.executions, order.failures, order.turns), (1, 1, 2));
        assert_eq!((order.fuel, order.replayed_events, order.bytes_in, order.bytes_out), (140, 6, 10, 12));
        let pay = used.functions.get("pay").unwrap();
        assert_eq!((pay.executions, pay.failures, pay.activity_micros), (1, 1, 2_000));
        assert_eq!((used.requests, used.throttled, used.outbound_bytes_out, used.outbound_bytes_in), (2, 1, 8, 9));
        assert!(meters.take().is_nothing());

        let mut sum = used.clone();
        sum.add(&used);
        assert_eq!((sum.requests, sum.functions.get("ORDER").unwrap().fuel), (4, 280));
    }

    #[test]
    fn operations_of_an_entity_are_its_executions() {
        let meters = Meters::default();
        let mut cart = InstanceRecord { id: InstanceId::any("@cart@a").unwrap(), ..record("i", "cart") };
        let before = Before::from(&cart);
        cart.usage = Usage { turns: 1, operations: 4, ..Usage::default() };
        meters.turn(before, &cart);
        let used = meters.take();
        let cart = used.functions.get("cart").unwrap();
        assert_eq!((cart.kind.as_str(), cart.executions, cart.turns), ("entity", 4, 1));
    }

    #[test]
    fn names_that_are_made_up_take_no_room_without_end() {
        let meters = Meters::default();
        for number in 0..2 * FUNCTIONS_MAX {
            let attempt = Attempt { took: Duration::ZERO, failed: true, bytes_in: 0, bytes_out: 0 };
            meters.activity(&name(&format!("f{number}")), attempt);
        }
        let mut sum = meters.read();
        sum.add(&meters.take());
        assert_eq!(sum.functions.iter().count(), FUNCTIONS_MAX + 1);
        assert_eq!(sum.functions.get(OTHERS).unwrap().executions, 2 * FUNCTIONS_MAX as u64);
        assert_eq!(sum.functions.iter().map(|function| function.executions).sum::<u64>(), 4 * FUNCTIONS_MAX as u64);
    }

    #[test]
    fn messages_are_counted_by_queue_and_made_up_names_together() {
        let meters = Meters::default();
        meters.enqueued("orders");
        meters.messages("orders", 3, MessageAttempt::Processed);
        meters.messages("orders", 2, MessageAttempt::Failed);
        meters.messages("orders", 1, MessageAttempt::GivenUp);
        (0..QUEUES_MAX).for_each(|number| meters.enqueued(&format!("made-up-{number}")));
        let mut sum = meters.read();
        sum.add(&meters.take());
        let orders = sum.queues.iter().find(|queue| queue.name == "orders").unwrap();
        let expected = QueueUsage { name: "orders".into(), enqueued: 2, processed: 6, failed_attempts: 6, poisoned: 2 };
        assert_eq!(*orders, expected);
        assert_eq!(sum.queues.iter().count(), QUEUES_MAX + 1);
        assert_eq!((sum.queues.counted_as("made-up-99"), sum.queues.counted_as("orders")), (OTHERS, "orders"));
        assert!(meters.take().is_nothing());
    }
}
