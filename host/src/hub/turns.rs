//! Turn threads: load, execute, write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dacapo_core::turn::{Memory, Turn, TurnResult};
use dacapo_core::{Commit, Delivery, Event, InstanceId, InstanceRecord, MessageKey, RuntimeStatus};
use dacapo_store::PendingActivity;

use super::desk::{Envelope, Hot, Job};
use super::settle::Settled;
use super::{HubError, Inner, now};

/// Guests run on these threads, on stacks of their own; the thread's own stack serves the compiler and the host.
const STACK_BYTES: usize = 4 << 20;

pub(super) fn spawn(hub: &Arc<Inner>, threads: usize) -> std::io::Result<()> {
    for number in 0..threads {
        let inner = hub.clone();
        let builder = std::thread::Builder::new().name(format!("turn-{number}")).stack_size(STACK_BYTES);
        let handle = builder.spawn(move || work(&inner))?;
        hub.threads.lock().expect("no holder of this lock panics").push(handle);
    }
    Ok(())
}

fn work(hub: &Arc<Inner>) {
    while let Some(job) = hub.desk.next() {
        match job {
            // A panic is a bug of the host, in either job. It must not take the other instances down with it.
            Job::Settle(settled) => {
                if catch_unwind(AssertUnwindSafe(|| hub.settle(*settled))).is_err() {
                    tracing::error!(
                        "what follows from a commit panicked; what is left of it is taken up at the next start of the host"
                    );
                }
            }
            Job::Turn(id, envelopes, hot) => {
                let turn = catch_unwind(AssertUnwindSafe(|| hub.run_turn(&id, envelopes, hot.map(|hot| *hot))));
                if turn.is_err() {
                    tracing::error!(instance = %id, "the turn panicked; the instance is taken up at the next start of the host");
                    hub.desk.end_turn(&id, None);
                }
            }
        }
    }
}

/// A turn that is ready to be executed.
struct Loaded {
    record: InstanceRecord,
    memory: Memory,
    inbox: Vec<Delivery>,
    /// The finished instance whose place this one takes.
    replaces: Option<InstanceRecord>,
}

impl Inner {
    fn run_turn(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, hot: Option<Hot>) {
        let mut envelopes = envelopes;
        let loaded = match self.load(id, &mut envelopes, hot) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.desk.end_turn(id, None),
            Err(error) => return self.turn_failed(id, envelopes, error),
        };
        let active_version = self.catalog.orchestrator_version(&loaded.record.name);
        let turn = Turn { executor: self.executor.as_ref(), limits: &self.limits, now: now(), active_version };
        let before = loaded.record.clone();
        let TurnResult { commit, live, logs } = turn.run(loaded.record, loaded.memory, loaded.inbox);
        match commit {
            None => {
                envelopes.into_iter().for_each(|envelope| envelope.answer(Ok(())));
                self.desk.end_turn(id, live.map(|live| Hot { record: before, live }));
            }
            Some(mut commit) => {
                commit.replaces = loaded.replaces;
                let hot = live.map(|live| Hot { record: commit.record.clone(), live });
                self.save(commit, Settled::new(envelopes, hot, logs));
            }
        }
    }

    /// Hands a commit to the store; what follows from it happens when it is durable.
    fn save(self: &Arc<Self>, commit: Commit, mut settled: Settled) {
        settled.record = Some(commit.record.clone());
        settled.activities = activities_of(&commit);
        settled.activities_cleared.clone_from(&commit.activities_cleared);
        settled.timers.clone_from(&commit.timers_set);
        let hub = self.clone();
        self.store.commit(
            commit,
            Box::new(move |result| {
                settled.result = Some(result);
                hub.desk.settled(Box::new(settled));
            }),
        );
    }

    /// Gathers what the turn needs. Messages that cannot be taken in are answered and removed from `envelopes`.
    /// None: nothing is left to do.
    fn load(&self, id: &InstanceId, envelopes: &mut Vec<Envelope>, hot: Option<Hot>) -> Result<Option<Loaded>, HubError> {
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
                (Some(ended), false) if ended.status.is_terminal() && envelope.acknowledge.is_some() => {
                    let (id, status) = (id.clone(), ended.status);
                    envelope.answer(Err(HubError::Ended { id, status }));
                }
                (Some(_), false) => envelopes.push(envelope),
            }
        }
        let Some(record) = record.filter(|_| !envelopes.is_empty()) else { return Ok(None) };
        let inbox = self.inbox(&record, envelopes)?;
        let memory = match memory {
            Some(memory) => memory,
            None if record.status.is_terminal() => Memory::Cold(Vec::new()),
            None => Memory::Cold(self.store.history(record.row, record.turns.clone())?),
        };
        Ok(Some(Loaded { record, memory, inbox, replaces }))
    }

    /// The messages of the turn. Those that a suspended instance has kept in the store come first.
    fn inbox(&self, record: &InstanceRecord, envelopes: &[Envelope]) -> Result<Vec<Delivery>, HubError> {
        let came = envelopes.iter().map(|envelope| envelope.delivery.clone());
        if record.status != RuntimeStatus::Suspended {
            return Ok(came.collect());
        }
        let kept = self.store.inbox(record.row)?;
        let known: std::collections::HashSet<MessageKey> = kept.iter().map(|(key, _)| *key).collect();
        let kept = kept.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) });
        Ok(kept.chain(came.filter(|delivery| delivery.stored.is_none_or(|key| !known.contains(&key)))).collect())
    }

    /// The store could not be read: nothing has changed. Clients are told, the rest is tried again.
    fn turn_failed(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, error: HubError) {
        tracing::error!(instance = %id, %error, "the turn could not be loaded");
        self.try_again_later(id, envelopes, &error);
    }
}

/// The activities that a commit schedules.
fn activities_of(commit: &Commit) -> Vec<PendingActivity> {
    let record = &commit.record;
    let events = commit.history.iter().flat_map(|chunk| &chunk.events);
    events
        .filter_map(|e| match &e.event {
            Event::TaskScheduled { seq, name, input, attempt } if commit.activities_set.contains(seq) => Some(PendingActivity {
                row: record.row,
                seq: *seq,
                instance: record.id.clone(),
                execution: record.execution,
                version: record.version,
                name: name.clone(),
                input: input.clone(),
                attempt: *attempt,
            }),
            _ => None,
        })
        .collect()
}
