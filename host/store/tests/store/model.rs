//! A hub as simple maps: what every store must amount to. And random commits for it.

use std::collections::BTreeMap;

use dacapo_core::commit::Timer;
use dacapo_core::{
    Commit, Event, ExecutionId, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row, RuntimeStatus, Seq, Timestamp,
};
use dacapo_store::conformance::sample::{self, Instance};
use dacapo_store::{DueTimer, PendingActivity, TimerKey};
use rand::Rng;
use rand::rngs::StdRng;

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub instances: BTreeMap<InstanceId, InstanceRecord>,
    history: BTreeMap<(Row, u32), Vec<HistoryEvent>>,
    inbox: BTreeMap<MessageKey, Message>,
    timers: BTreeMap<TimerKey, (InstanceId, ExecutionId)>,
    activities: BTreeMap<(Row, Seq), u32>,
    pub next_row: u64,
    pub next_message: u64,
}

impl Model {
    pub fn new() -> Self {
        Self { next_row: 1, next_message: 1, ..Self::default() }
    }

    /// What the commit delivers. None: it does not follow what is stored.
    pub fn apply(&mut self, commit: &Commit) -> Option<Vec<(MessageKey, Message)>> {
        let record = &commit.record;
        let holder = self.instances.get(&record.id).cloned();
        let stored = holder.as_ref().filter(|stored| stored.row == record.row);
        let turns = stored.map_or(0, |stored| stored.turns.end);
        let follows = match &commit.history {
            Some(chunk) => chunk.turn == turns && record.turns.end == turns + 1,
            None => record.turns.end == turns,
        };
        let back_to_life = stored.is_some_and(|stored| stored.status.is_terminal()) && !record.status.is_terminal();
        let taken = match (&holder, stored) {
            (Some(holder), None) => {
                !holder.status.is_terminal() || commit.replaces.as_ref().is_none_or(|replaced| replaced.row != holder.row)
            }
            (_, _) => false,
        };
        if !follows || back_to_life || taken {
            return None;
        }
        if let (Some(holder), None) = (&holder, stored) {
            self.purge(holder.row);
        }
        self.write(commit);
        let sent: Vec<_> = commit.sent.iter().filter_map(|message| self.send(message, record)).collect();
        Some(sent)
    }

    fn write(&mut self, commit: &Commit) {
        let record = &commit.record;
        let row = record.row;
        self.next_row = self.next_row.max(row.0 + 1);
        self.instances.insert(record.id.clone(), record.clone());
        commit.forgotten.clone().for_each(|turn| drop(self.history.remove(&(row, turn))));
        if let Some(chunk) = &commit.history {
            self.history.insert((row, chunk.turn), chunk.events.clone());
            self.activities.extend(commit.activities_set.iter().map(|seq| ((row, *seq), chunk.turn)));
        }
        commit.consumed.iter().for_each(|key| drop(self.inbox.remove(key)));
        let key = |timer: &Timer| TimerKey { fire_at: timer.fire_at, row, seq: timer.seq };
        let whom = (record.id.clone(), record.execution);
        self.timers.extend(commit.timers_set.iter().map(|timer| (key(timer), whom.clone())));
        commit.timers_cleared.iter().for_each(|timer| drop(self.timers.remove(&key(timer))));
        commit.activities_cleared.iter().for_each(|seq| _ = self.activities.remove(&(row, *seq)));
        commit.kept.iter().for_each(|message| drop(self.store(row, message)));
    }

    fn send(&mut self, message: &Message, sender: &InstanceRecord) -> Option<(MessageKey, Message)> {
        let living = self.instances.get(&message.to).filter(|record| !record.status.is_terminal()).cloned();
        match (&message.event, living) {
            (Event::ExecutionStarted { execution, .. }, Some(living)) => {
                if living.id == sender.id && living.execution == *execution {
                    return Some(self.store(living.row, message));
                }
                let refusal = message.refused(message.sent_at)?;
                let told = self.instances.get(&refusal.to).filter(|record| !record.status.is_terminal())?;
                Some(self.store(told.row, &refusal))
            }
            (Event::ExecutionStarted { .. }, None) => {
                let row = Row(self.next_row);
                self.next_row += 1;
                if let Some(ended) = self.instances.get(&message.to) {
                    self.purge(ended.row);
                }
                let record = InstanceRecord::pending(row, message).expect("it is a start");
                self.instances.insert(message.to.clone(), record);
                Some(self.store(row, message))
            }
            (_, living) => Some(self.store(living?.row, message)),
        }
    }

    fn store(&mut self, row: Row, message: &Message) -> (MessageKey, Message) {
        let key = MessageKey { row, number: self.next_message };
        self.next_message += 1;
        self.inbox.insert(key, message.clone());
        (key, message.clone())
    }

    fn purge(&mut self, row: Row) {
        self.instances.retain(|_, record| record.row != row);
        self.history.retain(|(of, _), _| *of != row);
        self.inbox.retain(|key, _| key.row != row);
        self.activities.retain(|(of, _), _| *of != row);
    }

    /// The same lines as `conformance::everything` makes of a store.
    pub fn everything(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for record in self.instances.values() {
            let history: Vec<_> = self.history.range((record.row, 0)..=(record.row, u32::MAX)).flat_map(|(_, e)| e).collect();
            let inbox: Vec<_> = self.inbox.iter().filter(|(key, _)| key.row == record.row).collect();
            lines.extend([format!("{record:?}"), format!("{history:?}"), format!("{inbox:?}")]);
        }
        let timers: Vec<DueTimer> = self
            .timers
            .iter()
            .map(|(key, (instance, execution))| DueTimer { key: *key, instance: instance.clone(), execution: *execution })
            .collect();
        lines.push(format!("{:?}", self.inbox.iter().collect::<Vec<_>>()));
        lines.push(format!("{timers:?}"));
        lines.push(format!("{:?}", self.activities.iter().map(|(key, turn)| self.pending(*key, *turn)).collect::<Vec<_>>()));
        lines.push("[]".into());
        lines
    }

    fn pending(&self, (row, seq): (Row, Seq), turn: u32) -> PendingActivity {
        let record = self.instances.values().find(|record| record.row == row).expect("activities belong to an instance");
        let scheduled = self.history[&(row, turn)].iter().find_map(|event| match &event.event {
            Event::TaskScheduled { seq: of, name, input, attempt } if *of == seq => Some((name, input, attempt)),
            _ => None,
        });
        let (name, input, attempt) = scheduled.expect("its turn says so");
        PendingActivity {
            row,
            seq,
            instance: record.id.clone(),
            execution: record.execution,
            version: record.version,
            name: name.clone(),
            input: input.clone(),
            attempt: *attempt,
        }
    }

    /// A commit that may well come next; now and then one that does not follow. `rows` gives rows to new instances.
    pub fn random_commit(&self, rng: &mut StdRng, rows: &mut dyn FnMut() -> Row) -> Commit {
        let name = format!("i-{}", rng.random_range(0..25));
        match self.instances.get(&sample::id(&name)) {
            None => {
                let mut instance = Instance::new(&name, rows());
                self.random_turn(rng, &mut instance)
            }
            Some(ended) if ended.status.is_terminal() => {
                let mut instance = Instance::new(&name, rows());
                instance.record.execution = ExecutionId(uuid::Uuid::from_u128(rng.random()));
                let replaces = rng.random_bool(0.9).then(|| ended.clone());
                Commit { replaces, ..self.random_turn(rng, &mut instance) }
            }
            Some(_) if rng.random_bool(0.05) => {
                let mut rival = Instance::new(&name, rows());
                self.random_turn(rng, &mut rival)
            }
            Some(record) => {
                let mut instance = Instance { record: record.clone() };
                match rng.random_range(0..20) {
                    0 => self.ending(rng, &mut instance),
                    1 => self.continuing_as_new(rng, &mut instance),
                    2 => {
                        instance.record.turns.end += rng.random_range(0..2);
                        self.random_turn(rng, &mut instance)
                    }
                    _ => self.random_turn(rng, &mut instance),
                }
            }
        }
    }

    fn random_turn(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let seqs = rng.random_range(0..1_000_000)..;
        let scheduled: Vec<u32> = seqs.take(rng.random_range(0..4)).collect();
        let mut events: Vec<Event> = scheduled.iter().map(|seq| sample::scheduled(*seq)).collect();
        let padding = "x".repeat(rng.random_range(0..2_000));
        events.push(Event::EventRaised { name: "padding".into(), data: format!("{padding:?}").into() });
        instance.record.status = if rng.random_bool(0.1) { RuntimeStatus::Suspended } else { RuntimeStatus::Running };
        instance.record.custom_status = rng.random_bool(0.2).then(|| padding[..padding.len() / 4].into());
        let row = instance.record.row;
        let some = |rng: &mut StdRng, of: Vec<_>| -> Vec<_> { of.into_iter().filter(|_| rng.random_bool(0.4)).collect() };
        let timers = self.timers.keys().filter(|key| key.row == row).map(|key| Timer { fire_at: key.fire_at, seq: key.seq });
        let (timers_cleared, consumed) = (timers.filter(|_| rng.random_bool(0.4)).collect(), self.inbox.keys().copied());
        let consumed = some(rng, consumed.filter(|key| key.row == row).collect());
        let activities = self.activities.keys().filter(|(of, _)| *of == row).map(|(_, seq)| *seq);
        Commit {
            consumed,
            kept: self.random_messages(rng, instance, 1),
            sent: self.random_messages(rng, instance, 3),
            timers_set: (0..rng.random_range(0..3))
                .map(|seq| Timer { fire_at: Timestamp(rng.random_range(0..99)), seq: Seq(seq) })
                .collect(),
            timers_cleared,
            activities_set: scheduled.into_iter().map(Seq).collect(),
            activities_cleared: activities.filter(|_| rng.random_bool(0.5)).collect(),
            ..instance.turn(events)
        }
    }

    fn random_messages(&self, rng: &mut StdRng, sender: &Instance, at_most: usize) -> Vec<Message> {
        let count = rng.random_range(0..=at_most);
        let one = |rng: &mut StdRng| {
            let to = format!("i-{}", rng.random_range(0..30));
            let parent = rng.random_bool(0.5).then_some(&sender.record);
            match rng.random_bool(0.3) {
                true => sample::message(&to, sample::start_event(&rng.random::<u64>().to_string(), parent)),
                false => sample::message(&to, sample::raised("x", rng.random())),
            }
        };
        (0..count).map(|_| one(rng)).collect()
    }

    /// The last turn: everything that is open is cleared.
    fn ending(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let sent = self.random_messages(rng, instance, 2);
        let statuses = [RuntimeStatus::Completed, RuntimeStatus::Failed, RuntimeStatus::Terminated];
        Commit { sent, ..self.clearing(&instance.record.clone(), instance.end(statuses[rng.random_range(0..3)])) }
    }

    fn continuing_as_new(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let old = instance.record.clone();
        instance.record.execution = ExecutionId(uuid::Uuid::from_u128(rng.random()));
        instance.record.turns = old.turns.end..old.turns.end;
        let id = old.id.as_str();
        let sent = vec![sample::message(id, instance.started()), sample::message(id, sample::raised("unread", 1))];
        self.clearing(&old, Commit { forgotten: old.turns.clone(), sent, ..sample::change(&instance.record) })
    }

    fn clearing(&self, record: &InstanceRecord, commit: Commit) -> Commit {
        let timers = self.timers.keys().filter(|key| key.row == record.row);
        Commit {
            timers_cleared: timers.map(|key| Timer { fire_at: key.fire_at, seq: key.seq }).collect(),
            activities_cleared: self.activities.keys().filter(|(row, _)| *row == record.row).map(|(_, seq)| *seq).collect(),
            ..commit
        }
    }
}
