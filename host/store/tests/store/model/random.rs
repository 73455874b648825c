//! Plausible random steps; some of them must be refused.

use dacapo_core::commit::Timer;
use dacapo_core::{
    Commit, EntityState, Event, ExecutionId, InstanceId, InstanceRecord, Message, Row, RuntimeStatus, Seq, Timestamp,
};
use dacapo_store::conformance::sample::{self, Instance};
use rand::Rng;
use rand::rngs::StdRng;

use super::{Model, Operation};

impl Model {
    /// `rows` provides the rows of new instances.
    pub fn random_step(&self, rng: &mut StdRng, rows: &mut dyn FnMut() -> Row) -> Operation {
        match rng.random_bool(0.02) {
            true => Operation::Forget(rng.random_range(0..self.next_announcement + 1)),
            false => self.random_change(rng, rows),
        }
    }

    /// A step whose result is passed to a callback, so that the caller need not wait.
    pub fn random_change(&self, rng: &mut StdRng, rows: &mut dyn FnMut() -> Row) -> Operation {
        match rng.random_range(0..100) {
            0..4 => Operation::Purge(self.random_rows(rng)),
            4..26 => Operation::Commit(Box::new(self.entity_commit(rng, rows))),
            _ => Operation::Commit(Box::new(self.random_commit(rng, rows))),
        }
    }

    fn random_rows(&self, rng: &mut StdRng) -> Vec<Row> {
        let share = rng.random_range(0.0..1.0);
        let stored = self.instances.values().map(|record| record.row);
        let mut rows: Vec<Row> = stored.filter(|_| rng.random_bool(share)).collect();
        // Some that do not exist, and one twice.
        rows.extend((0..3).map(|_| Row(rng.random_range(0..self.next_row + 5))));
        rows.extend(rows.first().copied());
        rows
    }

    fn random_commit(&self, rng: &mut StdRng, rows: &mut dyn FnMut() -> Row) -> Commit {
        let name = format!("i-{}", rng.random_range(0..25));
        let mut commit = match self.instances.get(&sample::id(&name)) {
            None => {
                let mut instance = Instance::new(&name, rows());
                self.random_turn(rng, &mut instance)
            }
            Some(ended) if ended.status.is_terminal() => self.after_the_end(rng, ended, rows),
            Some(_) if rng.random_bool(0.05) => {
                let mut rival = Instance::new(&name, rows());
                self.random_turn(rng, &mut rival)
            }
            Some(record) => {
                let mut instance = Instance { record: record.clone() };
                match rng.random_range(0..20) {
                    0..3 => self.ending(rng, &mut instance),
                    3 => self.continuing_as_new(rng, &mut instance),
                    4 => {
                        instance.record.turns.end += rng.random_range(0..2);
                        self.random_turn(rng, &mut instance)
                    }
                    _ => self.random_turn(rng, &mut instance),
                }
            }
        };
        commit.announced = rng.random_bool(0.2).then(|| sample::announcement(&commit.record, rng.random()));
        commit
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
        let activities = self.activities.keys().filter(|(of, _)| *of == row).map(|(_, seq)| *seq);
        Commit {
            consumed: self.some_of_inbox(rng, row, 0.4),
            kept: self.random_messages(rng, &instance.record, 1),
            sent: self.random_messages(rng, &instance.record, 3),
            timers_set: (0..rng.random_range(0..3))
                .map(|seq| Timer { fire_at: Timestamp(rng.random_range(0..99)), seq: Seq(seq) })
                .collect(),
            timers_cleared: self.timers_of(row).filter(|_| rng.random_bool(0.4)).collect(),
            activities_set: scheduled.into_iter().flat_map(|seq| instance.scheduled(seq..seq + 1)).collect(),
            activities_cleared: activities.filter(|_| rng.random_bool(0.5)).collect(),
            ..instance.turn(events)
        }
    }

    /// The last turn. All timers are removed; an activity that was not awaited may still run.
    fn ending(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let (sent, row) = (self.random_messages(rng, &instance.record, 2), instance.record.row);
        let statuses = [RuntimeStatus::Completed, RuntimeStatus::Failed, RuntimeStatus::Failed, RuntimeStatus::Terminated];
        let activities = self.activities.keys().filter(|(of, _)| *of == row).map(|(_, seq)| *seq);
        Commit {
            sent,
            timers_cleared: self.timers_of(row).collect(),
            activities_cleared: activities.filter(|_| rng.random_bool(0.5)).collect(),
            ..instance.end(statuses[rng.random_range(0..statuses.len())])
        }
    }

    fn continuing_as_new(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let old = instance.record.clone();
        instance.record.execution = ExecutionId(uuid::Uuid::from_u128(rng.random()));
        instance.record.status = RuntimeStatus::Running;
        instance.record.turns = old.turns.end..old.turns.end;
        let id = old.id.as_str();
        let sent = vec![sample::message(id, instance.started()), sample::message(id, sample::raised("unread", 1))];
        let timers_cleared = self.timers_of(old.row).collect();
        Commit { forgotten: old.turns.clone(), sent, timers_cleared, ..sample::change(&instance.record) }
    }

    /// The ended instance is replaced or rewound, or a late message arrives.
    fn after_the_end(&self, rng: &mut StdRng, ended: &InstanceRecord, rows: &mut dyn FnMut() -> Row) -> Commit {
        let mut instance = Instance { record: ended.clone() };
        match rng.random_range(0..10) {
            0..3 => {
                let mut next = Instance::new(ended.id.as_str(), rows());
                next.record.execution = ExecutionId(uuid::Uuid::from_u128(rng.random()));
                let replaces = rng.random_bool(0.9).then(|| ended.clone());
                Commit { replaces, ..self.random_turn(rng, &mut next) }
            }
            3 => Commit {
                consumed: self.some_of_inbox(rng, ended.row, 0.3),
                kept: self.random_messages(rng, ended, 2),
                sent: self.random_messages(rng, ended, 1),
                ..sample::change(ended)
            },
            4 => self.continuing_as_new(rng, &mut instance),
            _ => self.rewinding(rng, &mut instance),
        }
    }

    fn rewinding(&self, rng: &mut StdRng, instance: &mut Instance) -> Commit {
        let (row, turns) = (instance.record.row, instance.record.turns.clone());
        let from = rng.random_range(turns.start..=turns.end).min(turns.end.saturating_sub(1)).max(turns.start);
        instance.record.turns.end = from;
        let open = self.activities.iter().filter(|((of, _), turn)| *of == row && **turn < from);
        let again: Vec<_> = open.map(|((_, seq), turn)| (seq.0, *turn)).filter(|_| rng.random_bool(0.5)).collect();
        let mut commit = self.random_turn(rng, instance);
        for (seq, turn) in again {
            let recorded = Instance { record: sample::with_turns(&instance.record, turns.start..turn) };
            commit.activities_set.extend(recorded.scheduled(seq..seq + 1));
        }
        commit.forgotten = match rng.random_range(0..10) {
            0 => from..turns.end.saturating_sub(1),
            1 => from + 1..turns.end,
            _ => from..turns.end,
        };
        commit
    }

    fn entity_commit(&self, rng: &mut StdRng, rows: &mut dyn FnMut() -> Row) -> Commit {
        let id = random_entity(rng);
        let record = self.instances.get(&id).cloned().unwrap_or_else(|| {
            let message = Message { to: id, ..sample::message("@any@", sample::operation(1, None)) };
            InstanceRecord::pending(rows(), &message).expect("it makes an entity")
        });
        let state = rng.random_bool(0.7).then(|| format!("{:?}", "x".repeat(rng.random_range(0..500))).into());
        let lock = rng.random_bool(0.2).then(|| sample::waiting(&record));
        let entity = EntityState { state, lock, operations: rng.random(), waiting: false };
        let vanishes = entity.state.is_none() && entity.lock.is_none();
        let share = if vanishes { 0.95 } else { 0.5 };
        Commit {
            consumed: self.some_of_inbox(rng, record.row, share),
            sent: self.random_messages(rng, &record, 2),
            timers_set: (!vanishes)
                .then(|| Timer { fire_at: Timestamp(rng.random_range(0..9)), seq: Seq(0) })
                .into_iter()
                .collect(),
            timers_cleared: self.timers_of(record.row).filter(|_| vanishes || rng.random_bool(0.5)).collect(),
            announced: rng.random_bool(0.1).then(|| sample::announcement(&record, rng.random())),
            entity: Some(entity),
            vanishes,
            ..sample::change(&record)
        }
    }

    fn random_messages(&self, rng: &mut StdRng, sender: &InstanceRecord, at_most: usize) -> Vec<Message> {
        let count = rng.random_range(0..=at_most);
        (0..count).map(|_| random_message(rng, sender)).collect()
    }

    fn some_of_inbox(&self, rng: &mut StdRng, row: Row, share: f64) -> Vec<dacapo_core::MessageKey> {
        self.inbox.keys().copied().filter(|key| key.row == row && rng.random_bool(share)).collect()
    }

    fn timers_of(&self, row: Row) -> impl Iterator<Item = Timer> {
        self.timers.keys().filter(move |key| key.row == row).map(|key| Timer { fire_at: key.fire_at, seq: key.seq })
    }
}

fn random_entity(rng: &mut StdRng) -> InstanceId {
    sample::id(&format!("@counter@{}", rng.random_range(0..6)))
}

fn random_message(rng: &mut StdRng, sender: &InstanceRecord) -> Message {
    let to = format!("i-{}", rng.random_range(0..30));
    let parent = rng.random_bool(0.5).then_some(sender);
    let owner = sample::waiting(sender);
    match rng.random_range(0..12) {
        0..3 => sample::message(&to, sample::start_event(&rng.random::<u64>().to_string(), parent)),
        3 => sample::message(&to, sample::rewound(sender)),
        4..6 => Message { to: random_entity(rng), ..sample::message(&to, sample::operation(rng.random(), parent)) },
        6 => {
            let entities = vec![random_entity(rng)];
            let to_entity = entities[0].clone();
            let event = match rng.random_range(0..3) {
                0 => Event::LockRequested { entities, position: 0, owner },
                1 => Event::LockReleased { entities, position: 0, owner },
                _ => Event::StatePurged,
            };
            Message { to: to_entity, ..sample::message(&to, event) }
        }
        _ => sample::message(&to, sample::raised("x", rng.random())),
    }
}
