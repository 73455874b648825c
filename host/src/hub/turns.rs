//! Turns: load, execute, write.

use std::sync::Arc;

use dacapo_core::event::Outcome;
use dacapo_core::turn::{Memory, NoVersion, Turn, TurnResult};
use dacapo_core::{
    Announcement, Commit, Delivery, Event, InstanceId, InstanceRecord, Message, RuntimeStatus, ScheduledActivity, Usage,
    VersionId,
};
use dacapo_store::PendingActivity;

use super::bounds::waits;
use super::catalog::Beginning;
use super::desk::Envelope;
use super::hot::Hot;
use super::settle::Settled;
use super::{HubError, Inner, now};
use crate::meters::Before;

/// A turn that is ready to be executed.
struct Loaded {
    record: InstanceRecord,
    memory: Memory,
    inbox: Vec<Delivery>,
    /// The finished instance whose place this one takes.
    replaces: Option<InstanceRecord>,
}

impl Inner {
    pub(super) fn run_turn(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, hot: Option<Hot>) {
        if id.is_entity() {
            return self.run_entity_turn(id, envelopes);
        }
        let mut envelopes = envelopes;
        let loaded = match self.load(id, &mut envelopes, hot) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.desk.end_turn(id, None, false),
            Err(error) => return self.turn_failed(id, envelopes, error),
        };
        let choice = self.catalog.choice();
        let active_version = self.catalog.orchestrator_version(&loaded.record.name);
        let rules = self.rules();
        let begins_on = match loaded.record.version {
            Some(version) => Ok(version),
            None => self.begins_on(&loaded.record),
        };
        let (executor, limits) = (self.in_memory(id), self.limits_of_turn(&rules));
        let turn = Turn { executor: &executor, limits: &limits, now: now(), begins_on, active_version };
        let before = loaded.record.clone();
        let TurnResult { commit, live, mut logs, refused } = turn.run(loaded.record, loaded.memory, loaded.inbox);
        let Some(mut envelopes) = self.wait_for_missing(id, executor, envelopes) else { return };
        if let Some(why) = refused.rewind {
            let refusal = HubError::NotRewindable { id: id.clone(), why };
            refuse(&mut envelopes, is_rewind, &refusal);
        }
        if let Some(why) = refused.migration {
            let refusal = HubError::NotMigratable { id: id.clone(), why };
            refuse(&mut envelopes, is_migration, &refusal);
        }
        match commit {
            None => {
                envelopes.into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.desk.end_turn(id, live.map(|live| Hot { record: before, live }), false);
            }
            Some(mut commit) => {
                if !waits(commit.record.status) {
                    self.crowds.note(&commit.record.id, false);
                }
                if let Err(error) = self.bound_sent(&rules, &mut commit, &mut logs) {
                    return self.turn_failed(id, envelopes, error);
                }
                commit.replaces = loaded.replaces;
                commit.record.usage = paid(&envelopes, commit.record.usage);
                commit.announced = self.announcement(before.status, &commit);
                let hot = live.map(|live| Hot { record: commit.record.clone(), live });
                let settled = Settled::new(Before::from(&before), envelopes, hot, logs);
                self.save(commit, Settled { _choice: Some(choice), ..settled });
            }
        }
    }

    /// The version that an execution begins on. A child that asks for none begins on that of its parent, if that is still
    /// there and holds it; what was asked for counts for the first execution only.
    fn begins_on(&self, record: &InstanceRecord) -> Result<VersionId, NoVersion> {
        let is_first = record.turns.start == 0;
        let parent = record.parent.as_ref().filter(|_| is_first).and_then(|parent| {
            let record = self.store.instance(&parent.instance).ok().flatten()?;
            record.version.filter(|_| record.execution == parent.execution)
        });
        let asked = if is_first { record.version_label.as_str() } else { "" };
        self.catalog.begins_on(&Beginning { name: &record.name, id: &record.id, asked, parent })
    }

    /// What the operator is told of a turn.
    fn announcement(&self, before: RuntimeStatus, commit: &Commit) -> Option<Announcement> {
        self.webhook.as_ref()?.announcement(before, &commit.record, reason_of(commit))
    }

    /// Hands a commit to the store; what follows from it happens when it is durable.
    pub(super) fn save(self: &Arc<Self>, commit: Commit, mut settled: Settled) {
        settled.record = Some(commit.record.clone());
        settled.vanishes = commit.vanishes;
        settled.announced = commit.announced.is_some();
        settled.activities = self.activities_of(&commit);
        settled.activities_cleared.clone_from(&commit.activities_cleared);
        settled.timers.clone_from(&commit.timers_set);
        // Not the hub: the store's writer must never be the last to hold it.
        let desk = self.desk.clone();
        self.store.commit(
            commit,
            Box::new(move |result| {
                settled.result = Some(result);
                desk.settled(Box::new(settled));
            }),
        );
    }

    /// The activities that a commit schedules. One of an earlier turn comes from a rewind: if it still runs, it is left to.
    fn activities_of(&self, commit: &Commit) -> Vec<PendingActivity> {
        let record = &commit.record;
        let this_turn = commit.history.as_ref().map(|chunk| chunk.turn);
        let runs = |activity: &ScheduledActivity| {
            Some(activity.turn) != this_turn && self.activities.has(record.row, record.execution, activity.seq)
        };
        let set = commit.activities_set.iter().filter(|activity| !runs(activity)).map(|activity| PendingActivity {
            row: record.row,
            seq: activity.seq,
            instance: record.id.clone(),
            execution: record.execution,
            version: record.version,
            name: activity.name.clone(),
            input: activity.input.clone(),
            attempt: activity.attempt,
        });
        set.collect()
    }

    /// Gathers what the turn needs. Messages that cannot be taken in are answered and removed from `envelopes`.
    /// None: nothing is left to do.
    fn load(&self, id: &InstanceId, envelopes: &mut Vec<Envelope>, hot: Option<Hot>) -> Result<Option<Loaded>, HubError> {
        // Another version begins anew.
        let hot = hot.filter(|_| !envelopes.iter().any(|envelope| is_migration(&envelope.delivery.message)));
        let (mut record, mut memory) = match hot {
            Some(Hot { record, live }) => (Some(record), Some(Memory::Hot(live))),
            None => (self.store.instance(id)?, None),
        };
        let mut replaces = None;
        for envelope in std::mem::take(envelopes) {
            let Delivery { message, stored } = &envelope.delivery;
            let starts = stored.is_none() && matches!(message.event, Event::ExecutionStarted { .. });
            match (&record, starts) {
                (Some(living), true) if !living.status.is_terminal() => {
                    let (id, status) = (id.clone(), living.status);
                    envelope.answer(Err(HubError::AlreadyExists { id, status }));
                }
                (_, true) => {
                    replaces = record.take();
                    record = InstanceRecord::pending(self.store.next_row(), message);
                    memory = Some(Memory::Cold(Vec::new()));
                    envelopes.push(envelope);
                }
                (None, false) => envelope.answer(Err(HubError::NotFound(id.clone()))),
                // Whether it can be rewound is for the turn to say.
                (Some(_), false) if is_rewind(message) => envelopes.push(envelope),
                (Some(ended), false) if ended.status.is_terminal() && envelope.acknowledge.is_some() => {
                    let (id, status) = (id.clone(), ended.status);
                    envelope.answer(Err(HubError::Ended { id, status }));
                }
                (Some(_), false) => envelopes.push(envelope),
            }
        }
        let Some(record) = record else { return Ok(None) };
        // Stored messages of an instance that was purged, or that is replaced now, go with its rows.
        envelopes.retain(|envelope| envelope.delivery.stored.is_none_or(|key| key.row == record.row));
        if envelopes.is_empty() {
            return Ok(None);
        }
        let mut inbox = self.inbox(&record, envelopes)?;
        self.bound_inbox(&record, &mut inbox, envelopes);
        if inbox.is_empty() {
            return Ok(None);
        }
        let rewinds = envelopes.iter().any(|envelope| is_rewind(&envelope.delivery.message));
        let memory = match memory {
            Some(memory) => memory,
            None if record.status.is_terminal() && !rewinds => Memory::Cold(Vec::new()),
            None => Memory::Cold(self.store.history(record.row, record.turns.clone())?),
        };
        Ok(Some(Loaded { record, memory, inbox, replaces }))
    }

    /// The messages of the turn. Those that wait in the store come first: an instance keeps some while it is suspended,
    /// until the time of its start has come, and when it has failed, in case it is rewound.
    ///
    /// A turn that reads the store may meet a message there that is still on its way to the mailbox, and deal with it. So
    /// where that would be noticed (a result that comes twice is not) the store says whether a stored message is still due.
    fn inbox(&self, record: &InstanceRecord, envelopes: &[Envelope]) -> Result<Vec<Delivery>, HubError> {
        let deliveries = || envelopes.iter().map(|envelope| &envelope.delivery);
        let some_wait = match record.status {
            RuntimeStatus::Suspended => true,
            RuntimeStatus::Pending => !deliveries().any(|d| matches!(d.message.event, Event::ExecutionStarted { .. })),
            status => status.is_terminal() && deliveries().any(|d| is_rewind(&d.message)),
        };
        let is_event = |d: &Delivery| d.stored.is_some() && matches!(d.message.event, Event::EventRaised { .. });
        if !some_wait && !deliveries().any(is_event) {
            return Ok(deliveries().cloned().collect());
        }
        let stored = self.store.inbox(record.row)?.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) });
        Ok(stored.chain(deliveries().filter(|d| d.stored.is_none()).cloned()).collect())
    }

    /// The store could not be read: nothing has changed. Clients are told, the rest is tried again.
    pub(super) fn turn_failed(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, error: HubError) {
        tracing::error!(instance = %id, %error, "the turn could not be loaded");
        self.try_again_later(id, envelopes, &error);
    }
}

/// A receipt, with what the messages that the turn has taken in have cost.
fn paid(envelopes: &[Envelope], receipt: Usage) -> Usage {
    envelopes.iter().fold(receipt, |receipt, envelope| receipt.plus(envelope.cost()))
}

fn is_rewind(message: &Message) -> bool {
    matches!(message.event, Event::ExecutionRewound { .. })
}

fn is_migration(message: &Message) -> bool {
    matches!(message.event, Event::ExecutionMigrated { .. })
}

/// Answers the clients that wanted what cannot be.
fn refuse(envelopes: &mut Vec<Envelope>, wanted: fn(&Message) -> bool, why: &HubError) {
    let (refused, others): (Vec<_>, Vec<_>) =
        std::mem::take(envelopes).into_iter().partition(|envelope| wanted(&envelope.delivery.message));
    *envelopes = others;
    refused.into_iter().for_each(|envelope| envelope.answer(Err(why.clone())));
}

/// Why a turn left its instance in the status in which it is, if somebody said why.
fn reason_of(commit: &Commit) -> Option<String> {
    if let Some(halted) = &commit.record.halted {
        return Some(halted.clone());
    }
    let events = commit.history.iter().flat_map(|chunk| &chunk.events).rev();
    events.into_iter().find_map(|e| match &e.event {
        Event::ExecutionCompleted { outcome: Outcome::Failed(failure) } => Some(failure.message.clone()),
        Event::ExecutionTerminated { reason, .. }
        | Event::ExecutionSuspended { reason }
        | Event::ExecutionResumed { reason }
        | Event::ExecutionRewound { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}
