//! Turns: load, execute, write.

mod entity;
pub(super) mod load;
pub(super) mod loading;
pub(super) mod settle;
pub(super) mod turn_executor;

use std::mem::take;
use std::sync::Arc;

use dacapo_core::event::Outcome;
use dacapo_core::turn::{NoVersion, Turn, TurnResult, halt};
use dacapo_core::{Commit, Delivery, Event, InstanceId, InstanceRecord, Message, ScheduledActivity, Usage, VersionId};
use dacapo_store::PendingActivity;

use crate::engine::panics::Panicked;
use crate::engine::scheduler::was_cut_off;
use crate::hub::bounds::waits;
use crate::hub::builtin;
use crate::hub::error::HubError;
use crate::hub::hub_core::{HubCore, now};
use crate::hub::mailbox::Envelope;
use crate::hub::mailbox::hot::Hot;
use crate::hub::mailbox::run_queue::JobRunner;
use crate::hub::mailbox::settled::Settled;
use crate::hub::turn::load::{Inbox, NotLoaded, is_migration, is_rewind};
use crate::hub::versions::catalog::Beginning;
use crate::meters::Before;

impl JobRunner for HubCore {
    fn run_turn(self: Arc<Self>, id: &InstanceId, envelopes: &mut Vec<Envelope>, stored: bool, hot: Option<Hot>) {
        if id.is_entity() {
            return self.run_entity_turn(id, envelopes, stored);
        }
        if let Err(error) = self.leave_out_repeated(id, envelopes) {
            return self.turn_failed(id, take(envelopes), error);
        }
        let executor = self.in_memory(id);
        let mut loaded = match self.load(id, envelopes, stored, hot) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.run_queue.end_turn(id, None, false),
            Err(why) => return self.turn_not_loaded(id, take(envelopes), why),
        };
        let Inbox { mut deliveries, more, later, .. } = loaded.inbox;
        if !later.is_empty() {
            self.run_queue.put_back(id, later);
        }
        let choice = self.catalog.choice();
        let active_version = self.catalog.orchestrator_version(&loaded.record.name);
        let rules = self.rules();
        let begins_on = match loaded.record.version {
            Some(version) => Ok(version),
            None => self.begins_on(&loaded.record),
        };
        if let Ok(version) = begins_on {
            self.give_default_version(version, &mut loaded.record, &mut deliveries);
        }
        let limits = self.limits_of_turn(&rules);
        let turn = Turn { executor: &executor, limits: &limits, now: now(), begins_on, active_version };
        let before = loaded.record.clone();
        let TurnResult { commit, live, mut logs, refused, put_back } = turn.run(loaded.record, loaded.memory, deliveries);
        if let Some(why) = put_back {
            if let Some(error) = loaded.unread.get() {
                return self.turn_failed(id, take(envelopes), error.clone());
            }
            return self.put_back(id, executor, take(envelopes), why);
        }
        drop(executor);
        if was_cut_off() {
            return self.give_up_turn(id, take(envelopes));
        }
        if let Some(why) = refused.rewind {
            let refusal = HubError::NotRewindable { id: id.clone(), why };
            refuse(envelopes, is_rewind, &refusal);
        }
        if let Some(why) = refused.migration {
            let refusal = HubError::NotMigratable { id: id.clone(), why };
            refuse(envelopes, is_migration, &refusal);
        }
        match commit {
            None => {
                take(envelopes).into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.run_queue.end_turn(id, live.map(|live| Hot { record: before, live }), false);
            }
            Some(mut commit) => {
                if !waits(commit.record.status) {
                    self.inbox_bounds.forget(&commit.record.id);
                }
                // A turn that has consumed nothing would consume nothing again.
                let again = more && !commit.consumed.is_empty();
                if let Err(error) = self.limit_sent(&rules, &mut commit, &mut logs) {
                    return self.turn_failed(id, take(envelopes), error);
                }
                commit.replaces = loaded.replaces;
                commit.record.usage = paid(envelopes, commit.record.usage);
                if commit.record.version != Some(builtin::VERSION) {
                    commit.announced = self.outbox.announcement(before.status, &commit.record, reason_of(&commit));
                }
                let hot = live.map(|live| Hot { record: commit.record.clone(), live });
                let settled = Settled::new(Before::from(&before), take(envelopes), hot, logs);
                self.save(commit, Settled { _choice: Some(choice), again, ..settled });
            }
        }
    }

    /// Halts the instance, so that it does not panic again and again. Its messages
    /// are kept in its inbox, but clients get an error for theirs.
    fn turn_panicked(self: Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, why: &Panicked) {
        let error = HubError::from(why.clone());
        let (clients, own): (Vec<_>, Vec<_>) = envelopes.into_iter().partition(|envelope| envelope.acknowledge.is_some());
        clients.into_iter().for_each(|envelope| envelope.answer(Err(error.clone())));
        let record = match self.store.instance(id) {
            Ok(Some(record)) if !record.status.is_terminal() => record,
            Ok(_) => return self.run_queue.end_turn(id, None, false),
            Err(error) => return self.turn_failed(id, own, error.into()),
        };
        let inbox: Vec<Delivery> = own.iter().map(|envelope| envelope.delivery.clone()).collect();
        let before = Before::from(&record);
        let entity = id.is_entity().then(|| self.store.entity(record.row)).transpose();
        let commit = match entity {
            Ok(entity) => halt(record, entity.map(Option::unwrap_or_default), now(), inbox, &format!("the host panicked: {why}")),
            Err(error) => return self.turn_failed(id, own, error.into()),
        };
        self.save(commit, Settled::new(before, own, None, Vec::new()));
    }

    fn settle(self: Arc<Self>, settled: Settled) {
        self.settle_commit(settled);
    }
}

impl HubCore {
    /// Returns the version that an execution begins on. A child that asks for none begins on that of its parent, if the parent is
    /// still in that execution and its version holds the function; what was asked for counts for the first execution only.
    fn begins_on(&self, record: &InstanceRecord) -> Result<VersionId, NoVersion> {
        let is_first = record.turns.start == 0;
        let parent = record.parent.as_ref().filter(|_| is_first).and_then(|parent| {
            let record = self.store.instance(&parent.instance).ok().flatten()?;
            record.version.filter(|_| record.execution == parent.execution)
        });
        let asked = if is_first { record.version_label.as_str() } else { "" };
        self.catalog.begins_on(&Beginning { name: &record.name, id: &record.id, asked, parent })
    }

    /// Gives an instance that begins, and was started without a version, the default one of its app: as a part of the message that
    /// starts it, which the history keeps.
    fn give_default_version(&self, begins_on: VersionId, record: &mut InstanceRecord, deliveries: &mut [Delivery]) {
        if record.version.is_some() || record.turns.start > 0 || !record.version_label.is_empty() {
            return;
        }
        let default = self.catalog.default_version(begins_on);
        for delivery in deliveries.iter_mut().filter(|_| !default.is_empty()) {
            if let Event::ExecutionStarted { execution, version, .. } = &mut delivery.message.event
                && *execution == record.execution
            {
                version.clone_from(&default);
                record.version_label.clone_from(&default);
            }
        }
    }

    /// Hands a commit to the store; its effects are applied when it is durable.
    pub(in crate::hub) fn save(self: &Arc<Self>, mut commit: Commit, mut settled: Settled) {
        commit.once = settled.envelopes.iter().filter_map(|envelope| envelope.once).collect();
        settled.record = Some(commit.record.clone());
        settled.vanishes = commit.vanishes;
        settled.announced = commit.announced.is_some();
        settled.activities = self.activities_of(&commit);
        settled.activities_cleared.clone_from(&commit.activities_cleared);
        settled.timers.clone_from(&commit.timers_set);
        settled.bytes = payload_bytes(&commit);
        self.run_queue.saving(settled.bytes);
        // Captures no handle of the hub: the store's writer must never be the last to hold one.
        let run_queue = self.run_queue.clone();
        self.store.commit(
            commit,
            Box::new(move |result| {
                settled.result = Some(result);
                run_queue.settled(Box::new(settled));
            }),
        );
    }

    /// Returns the activities that a commit schedules, but for those of a rewind (they are of an earlier turn) that still run.
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

    /// Handles a turn that could not begin, and so has changed nothing. If memory was short it waits for a reservation; if the
    /// store could not be read, clients get an error and the rest is tried again.
    pub(in crate::hub) fn turn_not_loaded(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, why: NotLoaded) {
        let bytes = match why {
            NotLoaded::Failed(error) => return self.turn_failed(id, envelopes, error),
            NotLoaded::NoRoom(bytes) => bytes,
        };
        self.run_queue.put_back(id, envelopes);
        let (hub, id) = (self.clone(), id.clone());
        self.tokio.spawn(async move {
            let room = tokio::select! {
                biased;
                () = hub.closed() => None,
                Ok(room) = hub.memory.reserve(bytes) => Some(room),
                room = hub.memory.reserve_over_budget() => Some(room),
            };
            if let Some(room) = room {
                hub.loading.reserve(id.clone(), room);
            }
            // Also without messages here: they may be in the store.
            hub.run_queue.end_turn(&id, None, true);
        });
    }

    /// Drops a turn that was stopped because the hub closes, and so has changed nothing. Clients get an error; stored messages,
    /// and those of activities and timers, come again when the hub is opened.
    fn give_up_turn(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>) {
        envelopes.into_iter().for_each(|envelope| envelope.answer(Err(HubError::ShuttingDown)));
        self.run_queue.end_turn(id, None, false);
    }

    /// Handles a turn for which the store could not be read: nothing has changed. Clients get an error, the rest is tried again.
    pub(in crate::hub) fn turn_failed(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, error: HubError) {
        tracing::error!(instance = %id, %error, "the turn could not be loaded");
        self.try_again_later(id, envelopes, &error);
    }
}

/// Adds to a receipt the cost of the messages that the turn has taken in.
fn paid(envelopes: &[Envelope], receipt: Usage) -> Usage {
    envelopes.iter().fold(receipt, |receipt, envelope| receipt.plus(envelope.cost()))
}

/// Returns about how many bytes a commit has to write.
fn payload_bytes(commit: &Commit) -> usize {
    let events = commit.history.iter().flat_map(|chunk| &chunk.events).map(|entry| &entry.event);
    let messages = commit.sent.iter().chain(&commit.kept).map(|message| &message.event);
    events.chain(messages).map(Event::payload_bytes).sum()
}

/// Refuses the messages for which `wanted` holds, and removes them.
fn refuse(envelopes: &mut Vec<Envelope>, wanted: fn(&Message) -> bool, why: &HubError) {
    let (refused, others): (Vec<_>, Vec<_>) =
        take(envelopes).into_iter().partition(|envelope| wanted(&envelope.delivery.message));
    *envelopes = others;
    refused.into_iter().for_each(|envelope| envelope.answer(Err(why.clone())));
}

/// Returns the reason for the status in which a turn leaves its instance, if one was given.
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
