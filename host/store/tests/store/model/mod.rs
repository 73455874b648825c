//! A hub as simple maps: the reference of every store. [`random`] generates its steps.

use std::collections::BTreeMap;

use dacapo_core::commit::Timer;
use dacapo_core::{
    Announcement, Commit, EntityState, Event, ExecutionId, HistoryEvent, InstanceId, InstanceRecord, Message, MessageKey, Row,
    RuntimeStatus, Seq,
};
use dacapo_store::{DueTimer, PendingActivity, TimerKey};

mod random;

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub instances: BTreeMap<InstanceId, InstanceRecord>,
    entities: BTreeMap<Row, EntityState>,
    history: BTreeMap<(Row, u32), Vec<HistoryEvent>>,
    inbox: BTreeMap<MessageKey, Message>,
    timers: BTreeMap<TimerKey, (InstanceId, ExecutionId)>,
    activities: BTreeMap<(Row, Seq), u32>,
    outbox: BTreeMap<u64, Announcement>,
    pub next_row: u64,
    next_message: u64,
    next_announcement: u64,
}

/// An operation on a store.
#[derive(Debug, Clone)]
pub enum Operation {
    Commit(Box<Commit>),
    Purge(Vec<Row>),
    Forget(u64),
}

/// The result of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Delivered(Vec<(MessageKey, Message)>),
    Stale,
    Purged(u64),
    Forgotten,
}

impl Model {
    pub fn new() -> Self {
        Self { next_row: 1, next_message: 1, next_announcement: 1, ..Self::default() }
    }

    pub fn apply(&mut self, step: &Operation) -> Answer {
        match step {
            Operation::Commit(commit) => self.commit(commit).map_or(Answer::Stale, Answer::Delivered),
            Operation::Purge(rows) => Answer::Purged(self.purge(rows)),
            Operation::Forget(up_to) => {
                self.outbox.retain(|number, _| number > up_to);
                Answer::Forgotten
            }
        }
    }

    /// Returns the messages that the commit delivers. None: it does not follow the stored state.
    fn commit(&mut self, commit: &Commit) -> Option<Vec<(MessageKey, Message)>> {
        let record = &commit.record;
        let holder = self.instances.get(&record.id).cloned();
        let stored = holder.as_ref().filter(|stored| stored.row == record.row);
        let taken = match (&holder, stored) {
            (Some(holder), None) => {
                !holder.status.is_terminal() || commit.replaces.as_ref().is_none_or(|replaced| replaced.row != holder.row)
            }
            (_, _) => false,
        };
        if taken || !(is_next(commit, stored) || stored.is_some_and(|stored| is_rewind(commit, stored))) {
            return None;
        }
        let mut sent = Vec::new();
        if let (Some(holder), None) = (&holder, stored) {
            sent = self.replace(holder.row);
        }
        self.write(commit);
        sent.extend(commit.sent.iter().flat_map(|message| self.send(message, record)));
        if commit.vanishes && !self.inbox.keys().any(|key| key.row == record.row) {
            self.remove(record.row);
        }
        Some(sent)
    }

    fn write(&mut self, commit: &Commit) {
        let record = &commit.record;
        let row = record.row;
        self.next_row = self.next_row.max(row.0 + 1);
        self.instances.insert(record.id.clone(), record.clone());
        self.entities.extend(commit.entity.clone().map(|entity| (row, entity)));
        commit.forgotten.clone().for_each(|turn| drop(self.history.remove(&(row, turn))));
        self.activities.retain(|(of, _), turn| *of != row || !commit.forgotten.contains(turn));
        if let Some(chunk) = &commit.history {
            self.history.insert((row, chunk.turn), chunk.events.clone());
        }
        self.activities.extend(commit.activities_set.iter().map(|activity| ((row, activity.seq), activity.turn)));
        commit.consumed.iter().for_each(|key| drop(self.inbox.remove(key)));
        let key = |timer: &Timer| TimerKey { fire_at: timer.fire_at, row, seq: timer.seq };
        let whom = (record.id.clone(), record.execution);
        self.timers.extend(commit.timers_set.iter().map(|timer| (key(timer), whom.clone())));
        commit.timers_cleared.iter().for_each(|timer| drop(self.timers.remove(&key(timer))));
        commit.activities_cleared.iter().for_each(|seq| _ = self.activities.remove(&(row, *seq)));
        commit.kept.iter().for_each(|message| drop(self.store(row, message)));
        if let Some(announced) = &commit.announced {
            self.outbox.insert(self.next_announcement, announced.clone());
            self.next_announcement += 1;
        }
    }

    fn send(&mut self, message: &Message, sender: &InstanceRecord) -> Vec<(MessageKey, Message)> {
        let holder = self.instances.get(&message.to).cloned();
        match (&message.event, holder) {
            (Event::ExecutionStarted { execution, .. }, Some(living)) if !living.status.is_terminal() => {
                match living.id == sender.id && living.execution == *execution {
                    true => vec![self.store(living.row, message)],
                    false => self.refuse(message).into_iter().collect(),
                }
            }
            (Event::ExecutionStarted { .. }, ended) => {
                let mut delivered = ended.map_or_else(Vec::new, |ended| self.replace(ended.row));
                delivered.push(self.start(message));
                delivered
            }
            (event, Some(holder)) => takes(&holder, event).then(|| self.store(holder.row, message)).into_iter().collect(),
            (Event::OperationRequested { .. } | Event::LockRequested { .. } | Event::LockReleased { .. }, None)
                if message.to.is_entity() =>
            {
                vec![self.start(message)]
            }
            (_, None) => self.refuse(message).into_iter().collect(),
        }
    }

    /// Another instance replaces this one: the senders of rewinds that wait for it are told.
    fn replace(&mut self, row: Row) -> Vec<(MessageKey, Message)> {
        let waiting: Vec<Message> = self.inbox_of(row).filter(|message| is_rewound(message)).cloned().collect();
        self.remove(row);
        waiting.iter().filter_map(|message| self.refuse(message)).collect()
    }

    fn inbox_of(&self, row: Row) -> impl Iterator<Item = &Message> {
        self.inbox.iter().filter(move |(key, _)| key.row == row).map(|(_, message)| message)
    }

    fn refuse(&mut self, message: &Message) -> Option<(MessageKey, Message)> {
        let refusal = message.refused(message.sent_at)?;
        let told = self.instances.get(&refusal.to).filter(|told| takes(told, &refusal.event))?;
        Some(self.store(told.row, &refusal))
    }

    fn start(&mut self, message: &Message) -> (MessageKey, Message) {
        let row = Row(self.next_row);
        self.next_row += 1;
        let record = InstanceRecord::pending(row, message).expect("it starts an instance");
        if record.id.is_entity() {
            self.entities.insert(row, EntityState::default());
        }
        self.instances.insert(message.to.clone(), record);
        self.store(row, message)
    }

    fn store(&mut self, row: Row, message: &Message) -> (MessageKey, Message) {
        let key = MessageKey { row, number: self.next_message };
        self.next_message += 1;
        self.inbox.insert(key, message.clone());
        (key, message.clone())
    }

    fn purge(&mut self, rows: &[Row]) -> u64 {
        let ended = |record: &&InstanceRecord| {
            rows.contains(&record.row) && record.status.is_terminal() && !self.inbox_of(record.row).any(is_rewound)
        };
        let ended: Vec<Row> = self.instances.values().filter(ended).map(|record| record.row).collect();
        ended.iter().for_each(|row| self.remove(*row));
        ended.len() as u64
    }

    fn remove(&mut self, row: Row) {
        self.instances.retain(|_, record| record.row != row);
        self.entities.remove(&row);
        self.history.retain(|(of, _), _| *of != row);
        self.inbox.retain(|key, _| key.row != row);
        self.activities.retain(|(of, _), _| *of != row);
    }

    /// Returns the lines that `conformance::everything` returns for a store.
    pub fn everything(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut records: Vec<_> = self.instances.values().collect();
        records.sort_by_key(|record| record.row);
        for record in records {
            let history: Vec<_> = self.history.range((record.row, 0)..=(record.row, u32::MAX)).flat_map(|(_, e)| e).collect();
            let inbox: Vec<_> = self.inbox.iter().filter(|(key, _)| key.row == record.row).collect();
            lines.extend([format!("{record:?}"), format!("{history:?}"), format!("{inbox:?}")]);
            lines.push(format!("{:?}", self.entities.get(&record.row)));
        }
        let timers: Vec<DueTimer> = self
            .timers
            .iter()
            .map(|(key, (instance, execution))| DueTimer { key: *key, instance: instance.clone(), execution: *execution })
            .collect();
        lines.push(format!("{:?}", self.inbox.iter().collect::<Vec<_>>()));
        lines.push(format!("{timers:?}"));
        lines.push(format!("{:?}", self.activities.iter().map(|(key, turn)| self.pending(*key, *turn)).collect::<Vec<_>>()));
        lines.push(format!("{:?}", self.outbox.iter().collect::<Vec<_>>()));
        lines.push("[]".into());
        lines
    }

    fn pending(&self, (row, seq): (Row, Seq), turn: u32) -> PendingActivity {
        let record = self.instances.values().find(|record| record.row == row).expect("activities belong to an instance");
        let scheduled = self.history[&(row, turn)].iter().find_map(|event| match &event.event {
            Event::TaskScheduled { seq: of, name, input, attempt } if *of == seq => Some((name, input, attempt)),
            _ => None,
        });
        let (name, input, attempt) = scheduled.expect("its turn contains its event");
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
}

/// Whether it is an instance's first commit, or follows the previous one.
fn is_next(commit: &Commit, stored: Option<&InstanceRecord>) -> bool {
    let turns = stored.map_or(0..0, |stored| stored.turns.clone());
    let follows = match &commit.history {
        Some(chunk) => chunk.turn == turns.end && commit.record.turns.end == turns.end + 1,
        None => commit.record.turns.end == turns.end,
    };
    let back_to_life = stored.is_some_and(|stored| stored.status.is_terminal()) && !commit.record.status.is_terminal();
    let all_go = commit.forgotten == turns && commit.record.turns.is_empty();
    follows && !back_to_life && (commit.forgotten.is_empty() || all_go)
}

fn is_rewind(commit: &Commit, stored: &InstanceRecord) -> bool {
    let (record, gone) = (&commit.record, &commit.forgotten);
    let last_go = !gone.is_empty() && gone.end == stored.turns.end && gone.start >= stored.turns.start;
    let goes_on = match &commit.history {
        Some(chunk) => chunk.turn == gone.start && record.turns == (stored.turns.start..gone.start + 1),
        None => *gone == stored.turns && record.turns.is_empty() && record.turns.start >= gone.start,
    };
    matches!(stored.status, RuntimeStatus::Failed | RuntimeStatus::Terminated) && last_go && goes_on
}

/// Whether a message that is not a start is stored in the inbox.
fn takes(instance: &InstanceRecord, event: &Event) -> bool {
    let may_come_back = instance.status == RuntimeStatus::Failed || matches!(event, Event::ExecutionRewound { .. });
    !instance.status.is_terminal() || may_come_back
}

fn is_rewound(message: &Message) -> bool {
    matches!(message.event, Event::ExecutionRewound { .. })
}
