//! Bytes as an orchestration: what the guest does, which events reach it, and when. An instance that stays hot and one that is
//! replayed at every turn must do the same. And bytes as a history: replaying it may halt the instance, but not panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use dacapo_core::execution::{Limits, TaskId};
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::turn::{Live, Memory, Turn};
use dacapo_core::{
    Commit, Delivery, Event, ExecutionId, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey,
    Parent, Payload, Row, RuntimeStatus, Seq, Timestamp, VersionId,
};

use super::Decisions;

const VERSION: VersionId = VersionId([1; 32]);
const SECOND: i64 = 1_000_000;
/// The most steps of a guest that never waits.
const STEPS_MAX: usize = 200;

const NAMES: [&str; 5] = ["work", "Other", "", "no name", "@entity@key"];
const PAYLOADS: [&str; 5] = ["null", "{\"a\":[1,\"b\"]}", "not JSON", "", "12e400"];

pub fn target(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    if mode % 4 == 0 {
        return replay(rest);
    }
    let (program, messages) = rest.split_at(rest.len() / 2);
    let (mut hot, mut cold) = (World::new(program, true), World::new(program, false));
    let mut decisions = Decisions(messages);
    let mut first = true;
    while first || !decisions.is_empty() {
        let count = usize::from(!first) * usize::from(decisions.byte() % 4);
        let events: Vec<Event> = (0..count).map(|_| event(&mut decisions)).collect();
        hot.turn(&events);
        cold.turn(&events);
        assert_eq!(hot.seen(), cold.seen(), "heat is only speed");
        assert_eq!(hot.turns, cold.turns, "heat is only speed");
        assert!(cold.record.halted.is_none(), "a deterministic guest does not diverge: {:?}", cold.record.halted);
        first = false;
    }
}

/// Decodes the bytes as a history, and replays it.
fn replay(bytes: &[u8]) {
    let mut history = Vec::new();
    let (program, bytes) = bytes.split_at(bytes.len() / 4);
    if dacapo_store::codec::decode_history(bytes, &mut history).is_err() {
        return;
    }
    let mut world = World::new(program, false);
    world.record.status = RuntimeStatus::Running;
    world.record.turns = 0..1;
    world.turns.insert(0, history);
    world.inbox.clear();
    world.turn(&[Event::EventRaised { name: "work".into(), data: "1".into() }]);
    world.turn(&[Event::ExecutionTerminated { reason: String::new(), recurse: true, parent: None }]);
}

/// One instance, kept as a store would keep it.
struct World {
    executor: Scripted,
    hot: bool,
    now: i64,
    record: InstanceRecord,
    turns: BTreeMap<u32, Vec<HistoryEvent>>,
    live: Option<Live>,
    inbox: Vec<(MessageKey, Message)>,
    last_message: u64,
}

impl World {
    fn new(program: &[u8], hot: bool) -> Self {
        let program: Arc<[u8]> = program.into();
        let start = message(started());
        let executor = Scripted::new().orchestrator("main", move |handle| act(handle, program.clone()));
        let record = InstanceRecord::pending(Row(1), &start).expect("a start starts");
        let mut world =
            Self { executor, hot, now: 0, record, turns: BTreeMap::new(), live: None, inbox: Vec::new(), last_message: 0 };
        world.keep(start);
        world
    }

    /// Returns the record without the count of replayed events, which differs between hot and cold.
    fn seen(&self) -> InstanceRecord {
        let mut record = self.record.clone();
        record.usage.replayed_events = 0;
        record
    }

    fn keep(&mut self, message: Message) {
        self.last_message += 1;
        self.inbox.push((MessageKey { row: Row(1), number: self.last_message }, message));
    }

    fn turn(&mut self, events: &[Event]) {
        self.now += SECOND;
        let stored = self.inbox.iter().map(|(key, message)| Delivery { message: message.clone(), stored: Some(*key) });
        let fresh = events.iter().map(|event| Delivery { message: message(event.clone()), stored: None });
        let inbox = stored.chain(fresh).collect();
        let history: Vec<_> = self.record.turns.clone().filter_map(|turn| self.turns.get(&turn)).flatten().cloned().collect();
        let memory = match self.live.take() {
            Some(live) if self.hot => Memory::Hot(live),
            _ => Memory::cold(history),
        };
        let limits = Limits { tasks: 1_000, ..Limits::default() };
        let (executor, now) = (&self.executor, Timestamp(self.now));
        let turn = Turn { executor, limits: &limits, now, begins_on: Ok(VERSION), active_version: Some(VERSION) };
        let result = turn.run(self.record.clone(), memory, inbox);
        self.live = result.live;
        if let Some(commit) = result.commit {
            self.save(commit);
        }
    }

    /// Applies a commit, as a store does.
    fn save(&mut self, commit: Commit) {
        self.inbox.retain(|(key, _)| !commit.consumed.contains(key));
        commit.kept.into_iter().for_each(|message| self.keep(message));
        self.turns.retain(|turn, _| !commit.forgotten.contains(turn));
        if let Some(chunk) = commit.history {
            self.turns.insert(chunk.turn, chunk.events);
        }
        // Messages to itself are delivered. No other instance exists.
        let own = commit.sent.into_iter().filter(|sent| sent.to == commit.record.id);
        let own: Vec<Message> = own.collect();
        self.record = commit.record;
        own.into_iter().for_each(|message| self.keep(message));
    }
}

fn message(event: Event) -> Message {
    Message { to: InstanceId::any("i").expect("it is an id"), execution: None, sent_at: Timestamp(0), event }
}

fn started() -> Event {
    Event::ExecutionStarted {
        execution: ExecutionId(uuid::Uuid::from_u128(7)),
        name: FunctionName::new("main").expect("it is a name"),
        input: "\"in\"".into(),
        version: String::new(),
        parent: None,
        start_at: None,
    }
}

/// An event that may reach an instance, expected or not.
fn event(decisions: &mut Decisions) -> Event {
    let kind = decisions.byte();
    let seq = Seq(u32::from(decisions.byte() % 16));
    let result = Payload::from(decisions.of(&PAYLOADS));
    let failure = Failure::retriable("Any", "it fails");
    let name = decisions.of(&NAMES).to_owned();
    let reason = String::new();
    let stranger = || Parent {
        name: FunctionName::new("main").expect("it is a name"),
        instance: InstanceId::any("stranger").expect("it is an id"),
        execution: ExecutionId(uuid::Uuid::from_u128(8)),
        seq,
    };
    match kind % 17 {
        0..3 => Event::TaskCompleted { seq, result },
        3 => Event::TaskFailed { seq, failure },
        4 => Event::SubOrchestrationInstanceCompleted { seq, result },
        5 => Event::SubOrchestrationInstanceFailed { seq, failure },
        6 => Event::TimerFired { seq, fire_at: Timestamp(i64::from(decisions.byte()) * SECOND) },
        7 | 8 => Event::EventRaised { name, data: result },
        9 => Event::ExecutionSuspended { reason },
        10 => Event::ExecutionResumed { reason },
        11 => Event::ExecutionTerminated { reason, recurse: kind > 128, parent: (kind > 64).then(stranger) },
        12 => Event::ExecutionRewound { reason, parent: (kind > 128).then(stranger) },
        13 => Event::EntityOperationCompleted { seq, result },
        14 => Event::EntityOperationFailed { seq, failure },
        15 => Event::EntityLockGranted { seq },
        _ => Event::OperationRequested { operation: name, input: result, caller: Some(stranger()), deliver_at: None },
    }
}

/// A guest that does what the program says, and begins again after it continues as new.
async fn act(handle: Handle, program: Arc<[u8]>) -> Result<Payload, Failure> {
    let mut decisions = Decisions(&program);
    let mut tasks: Vec<TaskId> = Vec::new();
    for _ in 0..STEPS_MAX {
        if decisions.is_empty() {
            break;
        }
        let (kind, name, other) = (decisions.byte(), decisions.of(&NAMES), decisions.of(&NAMES));
        let payload = Payload::from(decisions.of(&PAYLOADS));
        let at = Timestamp(i64::from(decisions.byte()) * SECOND);
        match kind % 24 {
            0 | 1 => tasks.push(handle.act(|e| e.call_activity(name, payload, None)).await),
            2 => tasks.push(handle.act(|e| e.call_sub_orchestrator(name, payload, Some(other), None)).await),
            3 => tasks.push(handle.act(|e| e.create_timer(at)).await),
            4 => tasks.push(handle.act(|e| e.wait_for_external_event(name)).await),
            5 => drop(handle.act(|e| e.start_orchestration(name, payload, None)).await),
            6 => handle.act(|e| e.send_event("i", name, payload)).await,
            7 => handle.act(|e| e.set_custom_status(payload)).await,
            8 => tasks.push(handle.act(|e| e.call_entity("thing", other, name, payload)).await),
            9 => handle.act(|e| e.signal_entity("thing", other, name, payload, Some(at))).await,
            10 => {
                let entities = [("thing".to_owned(), other.to_owned()), ("thing".to_owned(), name.to_owned())];
                tasks.push(handle.act(|e| e.lock_entities(&entities)).await);
            }
            11 => drop(handle.act(|e| e.unlock_entities()).await),
            12 => tasks.push(handle.act(|e| e.call_http(payload)).await),
            13 => drop(handle.with(|e| e.new_guid())),
            14 if !tasks.is_empty() => {
                let task = tasks[usize::from(kind) % tasks.len()];
                handle.with(|e| e.cancel(task));
            }
            15 => handle.act(|e| e.continue_as_new(payload)).await,
            16 => return Err(Failure::permanent("Mine", "it is over")),
            17 => return Ok(payload),
            18 | 19 if !tasks.is_empty() => {
                let task = tasks[usize::from(kind) % tasks.len()];
                handle.with(|e| if kind % 24 == 18 { e.watch(task, u32::from(kind)) } else { e.unwatch(task) });
            }
            20 => drop(handle.wait_watched().await),
            21 if !tasks.is_empty() => {
                let task = tasks[usize::from(kind) % tasks.len()];
                handle.with(|e| drop(e.outcome(task).cloned()));
            }
            _ if !tasks.is_empty() => drop(handle.wait(&tasks).await),
            _ => {}
        }
    }
    Ok("null".into())
}
