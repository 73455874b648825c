//! A hub in memory: instances that send each other messages, in an order that a seed determines, with crashes.
//!
//! It does the work of a store and an engine, and checks their invariants: a message is consumed once, turns follow each other,
//! and an ended instance stays ended unless it is rewound.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dacapo_core::commit::Timer;
use dacapo_core::entity::TurnTime;
use dacapo_core::event::Outcome;
use dacapo_core::execution::Limits;
use dacapo_core::guest::HTTP_ACTIVITY;
use dacapo_core::scripted::{NoHub, Scripted};
use dacapo_core::turn::{Live, Memory, NoVersion, Turn};
use dacapo_core::{
    ActivityCall, Commit, Delivery, EntityMemory, EntityState, EntityTurn, Event, ExecutionId, Executor, FunctionName,
    HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row, RuntimeStatus, Seq, Timestamp, VersionId,
};

use crate::world::{VERSION, show};

const CRASHES_MAX: usize = 50;

pub struct Item {
    pub record: InstanceRecord,
    pub history: BTreeMap<u32, Vec<HistoryEvent>>,
    pub inbox: BTreeMap<u64, Message>,
    pub entity: EntityState,
    pub timers: BTreeSet<(Timestamp, Seq)>,
    pub activities: BTreeMap<Seq, u32>,
    live: Option<Live>,
    memory: Option<EntityMemory>,
}

impl Item {
    pub fn events(&self) -> Vec<HistoryEvent> {
        self.record.turns.clone().flat_map(|turn| self.history[&turn].clone()).collect()
    }

    pub fn shown(&self) -> Vec<String> {
        self.events().iter().map(|entry| show(&entry.event)).collect()
    }
}

pub struct Net {
    pub executor: Scripted,
    pub limits: Limits,
    pub active: Option<VersionId>,
    pub now: i64,
    /// A crash follows every n-th turn, and loses all memory. None: there are no crashes.
    pub crash_every: Option<u64>,
    pub hot: bool,
    pub time: Time,
    seed: u64,
    next: u64,
    pub ids: BTreeMap<InstanceId, Row>,
    pub items: BTreeMap<Row, Item>,
    mailboxes: BTreeMap<InstanceId, Vec<Delivery>>,
    in_flight: BTreeSet<(Row, Seq)>,
    pub activities_run: Vec<String>,
    pub refused: Vec<String>,
    pub logs: Vec<String>,
    pub turns: usize,
    crashes: usize,
    /// Whether the entity vanished with the last commit.
    pub last_vanished: bool,
}

/// The time limit of entities' turns.
#[derive(Default)]
pub struct Time {
    /// The time is up at every n-th query. None: it never is.
    pub up_every: Option<u32>,
    /// Every n-th operation is cut off. None: none is.
    pub cut_off_every: Option<u32>,
    asked: Cell<u32>,
    operations: Cell<u32>,
}

impl TurnTime for Time {
    fn is_up(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.up_every.is_some_and(|every| self.asked.get().is_multiple_of(every))
    }

    fn was_cut_off(&self) -> bool {
        self.operations.set(self.operations.get() + 1);
        self.cut_off_every.is_some_and(|every| self.operations.get().is_multiple_of(every))
    }
}

pub fn id(text: &str) -> InstanceId {
    InstanceId::any(text).unwrap()
}

impl Net {
    pub fn new(executor: Scripted) -> Self {
        Self::seeded(executor, 1)
    }

    pub fn seeded(executor: Scripted, seed: u64) -> Self {
        Net {
            executor,
            limits: Limits::default(),
            active: Some(VERSION),
            now: 1_000_000,
            crash_every: None,
            hot: seed % 2 == 1,
            time: Time::default(),
            seed,
            next: 1,
            ids: BTreeMap::new(),
            items: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            activities_run: Vec::new(),
            refused: Vec::new(),
            logs: Vec::new(),
            turns: 0,
            crashes: 0,
            last_vanished: false,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }

    // Actions of clients.

    pub fn post(&mut self, to: &str, event: Event) {
        let message = Message { to: id(to), execution: None, sent_at: Timestamp(self.now), event };
        self.mail(Delivery { message, stored: None });
    }

    pub fn start(&mut self, instance: &str, name: &str, input: &str) {
        self.start_at(instance, name, input, None);
    }

    pub fn start_at(&mut self, instance: &str, name: &str, input: &str, start_at: Option<Timestamp>) {
        let execution = ExecutionId(uuid::Uuid::from_u128(self.fresh().into()));
        let (name, input) = (FunctionName::new(name).unwrap(), input.into());
        self.post(instance, Event::ExecutionStarted { execution, name, input, version: String::new(), parent: None, start_at });
    }

    pub fn signal(&mut self, entity: &str, operation: &str, input: &str) {
        self.signal_at(entity, operation, input, None);
    }

    pub fn signal_at(&mut self, entity: &str, operation: &str, input: &str, deliver_at: Option<Timestamp>) {
        let (operation, input) = (operation.into(), input.into());
        self.post(entity, Event::OperationRequested { operation, input, caller: None, deliver_at });
    }

    pub fn terminate(&mut self, instance: &str, recurse: bool) {
        self.post(instance, Event::ExecutionTerminated { reason: "enough".into(), recurse, parent: None });
    }

    pub fn rewind(&mut self, instance: &str) {
        self.post(instance, Event::ExecutionRewound { reason: "try again".into(), parent: None });
    }

    pub fn raise(&mut self, instance: &str, name: &str, data: &str) {
        self.post(instance, Event::EventRaised { name: name.into(), data: data.into() });
    }

    // Queries of clients.

    pub fn item(&self, instance: &str) -> &Item {
        self.find(instance).unwrap_or_else(|| panic!("'{instance}' does not exist"))
    }

    pub fn find(&self, instance: &str) -> Option<&Item> {
        self.ids.get(&id(instance)).map(|row| &self.items[row])
    }

    pub fn status(&self, instance: &str) -> RuntimeStatus {
        self.item(instance).record.status
    }

    pub fn outcome(&self, instance: &str) -> Outcome {
        match self.item(instance).events().last().map(|entry| entry.event.clone()) {
            Some(Event::ExecutionCompleted { outcome }) => outcome,
            other => panic!("'{instance}' has not ended: {other:?}"),
        }
    }

    pub fn output(&self, instance: &str) -> String {
        match self.outcome(instance) {
            Outcome::Completed(output) => output.to_string(),
            other => panic!("'{instance}': {other:?}"),
        }
    }

    pub fn state(&self, entity: &str) -> Option<String> {
        self.find(entity)?.entity.state.as_ref().map(|state| state.to_string())
    }

    /// Checks that no entity is locked, and that no messages wait.
    #[track_caller]
    pub fn assert_quiet(&self) {
        for item in self.items.values() {
            assert_eq!(item.entity.lock, None, "{} is locked", item.record.id);
            assert!(item.inbox.is_empty(), "{} has {:?}", item.record.id, item.inbox);
            assert!(!item.entity.waiting);
        }
    }

    // The engine.

    fn mail(&mut self, delivery: Delivery) {
        self.mailboxes.entry(delivery.message.to.clone()).or_default().push(delivery);
    }

    /// Runs until only timers are left.
    pub fn settle(&mut self) -> &mut Self {
        while self.step() {}
        self
    }

    /// Runs until nothing is left, and advances the clock whenever only timers are left.
    pub fn finish(&mut self) -> &mut Self {
        loop {
            self.settle();
            let Some(next) = self.items.values().filter_map(|item| item.timers.first()).min().copied() else { return self };
            self.now = self.now.max(next.0.0);
            self.fire_due();
        }
    }

    pub fn advance(&mut self, seconds: i64) -> &mut Self {
        self.now += seconds * 1_000_000;
        self.fire_due();
        self.settle()
    }

    fn fire_due(&mut self) {
        let now = Timestamp(self.now);
        let due: Vec<Message> = self
            .items
            .values()
            .flat_map(|item| {
                let record = &item.record;
                item.timers.iter().take_while(move |(at, _)| *at <= now).map(move |&(fire_at, seq)| Message {
                    to: record.id.clone(),
                    execution: Some(record.execution),
                    sent_at: now,
                    event: Event::TimerFired { seq, fire_at },
                })
            })
            .collect();
        due.into_iter().for_each(|message| self.mail(Delivery { message, stored: None }));
    }

    /// Runs one activity or one turn, as the seed decides. Returns false if there is none.
    pub fn step(&mut self) -> bool {
        let activities: Vec<(Row, Seq)> = self
            .items
            .iter()
            .flat_map(|(row, item)| item.activities.keys().map(|seq| (*row, *seq)))
            .filter(|key| !self.in_flight.contains(key))
            .collect();
        let instances: Vec<InstanceId> = self.mailboxes.keys().cloned().collect();
        if activities.len() + instances.len() == 0 {
            return false;
        }
        let pick = self.random(activities.len() + instances.len());
        match activities.get(pick) {
            Some(&(row, seq)) => self.run_activity(row, seq),
            None => {
                let instance = instances[pick - activities.len()].clone();
                let mail = self.mailboxes.remove(&instance).unwrap();
                self.turn(&instance, mail);
                self.turns += 1;
                // After a crash, waiting messages are delivered again, which costs turns: so the number of crashes is limited.
                if self.crash_every.is_some_and(|every| (self.turns as u64).is_multiple_of(every)) && self.crashes < CRASHES_MAX {
                    self.crashes += 1;
                    self.crash();
                }
            }
        }
        true
    }

    /// Loses everything that is not stored, except messages that clients send again because they got no response.
    pub fn crash(&mut self) {
        let lost = std::mem::take(&mut self.mailboxes);
        self.in_flight.clear();
        for item in self.items.values_mut() {
            (item.live, item.memory) = (None, None);
        }
        let unanswered = lost.into_values().flatten().filter(|delivery| delivery.stored.is_none());
        for delivery in unanswered.filter(|delivery| delivery.message.execution.is_none()).collect::<Vec<_>>() {
            self.mail(delivery);
        }
        let stored: Vec<Delivery> = self.items.iter().flat_map(|(row, item)| stored(*row, item)).collect();
        stored.into_iter().for_each(|delivery| self.mail(delivery));
        self.fire_due();
    }

    fn run_activity(&mut self, row: Row, seq: Seq) {
        let item = &self.items[&row];
        let turn = item.activities[&seq];
        let found = item.history[&turn].iter().find_map(|entry| match &entry.event {
            Event::TaskScheduled { seq: s, name, input, attempt } if *s == seq => Some((name.clone(), input.clone(), *attempt)),
            _ => None,
        });
        let (name, input, attempt) = found.expect("the turn that an activity names holds it");
        self.activities_run.push(format!("{name}({input})"));
        let call = ActivityCall { name: name.clone(), input, instance: item.record.id.clone(), seq, attempt };
        let mut future = match name.as_str() {
            HTTP_ACTIVITY => self.executor.run_http(Some(VERSION), call),
            _ => self.executor.run_activity(VERSION, call, Arc::new(NoHub)),
        };
        let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
        let event = match result {
            Ok(result) => Event::TaskCompleted { seq, result },
            Err(failure) => Event::TaskFailed { seq, failure },
        };
        let (to, execution) = (item.record.id.clone(), Some(item.record.execution));
        self.in_flight.insert((row, seq));
        self.mail(Delivery { message: Message { to, execution, sent_at: Timestamp(self.now), event }, stored: None });
    }

    fn turn(&mut self, instance: &InstanceId, mut inbox: Vec<Delivery>) {
        let start = inbox.iter().position(|d| d.stored.is_none() && InstanceRecord::pending(Row(0), &d.message).is_some());
        let holder = self.ids.get(instance).copied();
        let living = holder.filter(|row| !self.items[row].record.status.is_terminal());
        let starts = start.filter(|_| living.is_none());
        let record = match (starts, holder) {
            (Some(start), _) => {
                let row = Row(self.fresh());
                InstanceRecord::pending(row, &inbox[start].message).unwrap()
            }
            (None, Some(row)) => self.items[&row].record.clone(),
            (None, None) => return,
        };
        if living.is_some() {
            inbox.retain(|d| d.stored.is_some() || !matches!(d.message.event, Event::ExecutionStarted { .. }));
        }
        match instance.is_entity() {
            true => self.entity_turn(record, inbox),
            false => self.orchestration_turn(record, inbox),
        }
    }

    fn entity_turn(&mut self, record: InstanceRecord, inbox: Vec<Delivery>) {
        let item = self.items.get_mut(&record.row);
        let memory = match item {
            None => EntityMemory::default(),
            Some(item) => match item.memory.take().filter(|_| self.hot) {
                Some(memory) => memory,
                None => EntityMemory {
                    state: item.entity.clone(),
                    waiting: if item.entity.waiting { stored(record.row, item) } else { Vec::new() },
                },
            },
        };
        let now = Timestamp(self.now);
        let turn =
            EntityTurn { executor: &self.executor, limits: &self.limits, now, active_version: self.active, time: &self.time };
        let (row, id) = (record.row, record.id.clone());
        let result = turn.run(record, memory, inbox);
        self.logs.extend(result.logs.into_iter().map(|line| line.message));
        if let Some(commit) = result.commit {
            self.save(commit);
        }
        if let Some(item) = self.items.get_mut(&row) {
            item.memory = result.memory;
        }
        if result.again {
            self.mailboxes.entry(id).or_default();
        }
    }

    fn orchestration_turn(&mut self, record: InstanceRecord, arrived: Vec<Delivery>) {
        let rewound = arrived.iter().any(|d| matches!(d.message.event, Event::ExecutionRewound { .. }));
        let started = arrived.iter().any(|d| matches!(d.message.event, Event::ExecutionStarted { .. }));
        let all = match record.status {
            RuntimeStatus::Suspended => true,
            RuntimeStatus::Pending => !started,
            RuntimeStatus::Failed => rewound,
            _ => false,
        };
        let (mut inbox, mut memory) = (Vec::new(), Memory::cold(Vec::new()));
        if let Some(item) = self.items.get_mut(&record.row) {
            if all {
                inbox = stored(record.row, item);
            }
            memory = match item.live.take().filter(|_| self.hot) {
                Some(live) => Memory::Hot(live),
                None if record.status.is_terminal() && !rewound => Memory::cold(Vec::new()),
                None => Memory::cold(item.events()),
            };
        }
        let known: BTreeSet<MessageKey> = inbox.iter().filter_map(|delivery| delivery.stored).collect();
        inbox.extend(arrived.into_iter().filter(|delivery| delivery.stored.is_none_or(|key| !known.contains(&key))));
        let now = Timestamp(self.now);
        let begins_on = self.active.ok_or_else(|| NoVersion::unknown(&record.name));
        let turn = Turn { executor: &self.executor, limits: &self.limits, now, begins_on, active_version: self.active };
        let row = record.row;
        let result = turn.run(record, memory, inbox);
        self.refused.extend(result.refused.rewind);
        self.logs.extend(result.logs.into_iter().map(|line| line.message));
        if let Some(commit) = result.commit {
            self.save(commit);
        }
        if let Some(item) = self.items.get_mut(&row) {
            item.live = result.live;
        }
    }

    // The store.

    fn save(&mut self, commit: Commit) {
        let row = commit.record.row;
        self.last_vanished = commit.vanishes;
        if !self.items.contains_key(&row) {
            if let Some(old) = self.ids.insert(commit.record.id.clone(), row) {
                self.items.remove(&old);
            }
            self.items.insert(row, item(commit.record.clone()));
        }
        let item = self.items.get_mut(&row).unwrap();
        for key in &commit.consumed {
            assert_eq!(key.row, row);
            assert!(item.inbox.remove(&key.number).is_some(), "a message is consumed once");
        }
        for turn in commit.forgotten.clone() {
            assert!(item.history.remove(&turn).is_some(), "turn {turn} is there to be forgotten");
        }
        if let Some(chunk) = commit.history {
            assert_eq!(chunk.turn + 1, commit.record.turns.end);
            assert!(item.history.insert(chunk.turn, chunk.events).is_none(), "no turn is written twice");
        }
        assert!(item.history.keys().copied().eq(commit.record.turns.clone()), "the record knows its turns");
        item.record = commit.record.clone();
        item.entity = commit.entity.clone().unwrap_or_default();
        item.timers.extend(commit.timers_set.iter().map(|timer| (timer.fire_at, timer.seq)));
        for Timer { fire_at, seq } in &commit.timers_cleared {
            item.timers.remove(&(*fire_at, *seq));
        }
        item.activities.extend(commit.activities_set.iter().map(|activity| (activity.seq, activity.turn)));
        for seq in &commit.activities_cleared {
            item.activities.remove(seq);
        }
        let open: BTreeSet<Seq> = item.activities.keys().copied().collect();
        self.in_flight.retain(|(of, seq)| *of != row || open.contains(seq));
        for message in commit.kept {
            self.put(row, message);
        }
        let sent: Vec<Delivery> = commit.sent.into_iter().filter_map(|message| self.send(message)).collect();
        if commit.vanishes && self.items[&row].inbox.is_empty() {
            self.items.remove(&row);
            self.ids.remove(&commit.record.id);
        }
        sent.into_iter().for_each(|delivery| self.mail(delivery));
    }

    fn put(&mut self, row: Row, message: Message) -> Delivery {
        let number = self.fresh();
        self.items.get_mut(&row).unwrap().inbox.insert(number, message.clone());
        Delivery { message, stored: Some(MessageKey { row, number }) }
    }

    fn send(&mut self, message: Message) -> Option<Delivery> {
        let holder = self.ids.get(&message.to).copied();
        let status = holder.map(|row| self.items[&row].record.status);
        let living = status.is_some_and(|status| !status.is_terminal());
        let own_start = matches!((&message.event, holder), (Event::ExecutionStarted { execution, .. }, Some(row))
            if self.items[&row].record.execution == *execution);
        match (&message.event, holder) {
            (Event::ExecutionStarted { .. }, Some(_)) if living && !own_start => {
                message.refused(message.sent_at).and_then(|refusal| self.send(refusal))
            }
            (Event::ExecutionRewound { .. }, None) => message.refused(message.sent_at).and_then(|refusal| self.send(refusal)),
            (Event::ExecutionRewound { .. }, Some(row)) => Some(self.put(row, message)),
            (_, Some(row)) if living || status == Some(RuntimeStatus::Failed) && !own_start => match message.event {
                Event::ExecutionStarted { .. } if !own_start => self.make(message),
                _ => Some(self.put(row, message)),
            },
            _ => self.make(message),
        }
    }

    fn make(&mut self, message: Message) -> Option<Delivery> {
        let row = Row(self.fresh());
        let record = InstanceRecord::pending(row, &message)?;
        if let Some(old) = self.ids.insert(message.to.clone(), row) {
            self.items.remove(&old);
        }
        self.items.insert(row, item(record));
        Some(self.put(row, message))
    }
}

fn item(record: InstanceRecord) -> Item {
    Item {
        record,
        history: BTreeMap::new(),
        inbox: BTreeMap::new(),
        entity: EntityState::default(),
        timers: BTreeSet::new(),
        activities: BTreeMap::new(),
        live: None,
        memory: None,
    }
}

fn stored(row: Row, item: &Item) -> Vec<Delivery> {
    let keyed = |(number, message): (&u64, &Message)| Delivery {
        message: message.clone(),
        stored: Some(MessageKey { row, number: *number }),
    };
    item.inbox.iter().map(keyed).collect()
}
