//! The effects of a commit, once it is durable.

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::execution::{LogLevel, LogLine};
use dacapo_core::{Delivery, InstanceId, InstanceRecord};
use dacapo_store::StoreError;

use crate::engine::panics::caught;
use crate::hub::builtin;
use crate::hub::error::HubError;
use crate::hub::hub_core::HubCore;
use crate::hub::mailbox::Envelope;
use crate::hub::mailbox::settled::Settled;
use crate::log;

/// How long a turn whose commit failed waits before it is tried again: long enough not to spin on a full disk.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The same for a turn whose commit was stale: short, but long enough that one which is always stale does not spin.
const STALE_RETRY_DELAY: Duration = Duration::from_millis(2);

impl HubCore {
    pub(super) fn settle_commit(self: &Arc<Self>, settled: Settled) {
        let Settled { before, envelopes, hot, logs, record, activities, activities_cleared, timers, .. } = settled;
        let Settled { again, vanishes, announced, result, .. } = settled;
        let (Some(record), Some(result)) = (record, result) else { return };
        let receipt = match result {
            Ok(receipt) => receipt,
            Err(error) => {
                match error {
                    StoreError::Closed if !self.is_closing() => log::abort("the thread that writes a task hub is gone"),
                    StoreError::Stale { .. } => tracing::warn!(instance = %record.id, %error, "the turn is run again"),
                    _ => tracing::error!(instance = %record.id, %error, "the turn could not be saved"),
                }
                drop(hot);
                return self.try_again_later(&record.id, envelopes, &error.into());
            }
        };
        // Before the turn is reported to anyone.
        watched("counting the turn", || self.meters.turn(before, &record));
        self.note_message(&record);
        watched("logging", || logs.iter().for_each(|line| write_log(&self.name, &record, line)));
        if let Some(reason) = &record.halted {
            tracing::error!(instance = %record.id, reason, "the instance is halted; deploy corrected code and resume it");
        }
        let ended = record.status.is_terminal();
        let continued_as_new = record.turns.is_empty();
        if ended || continued_as_new {
            self.activities.cancel(record.row, &activities_cleared);
        }
        // Before the turn ends: what the next one sends must not overtake what this one sent.
        let deliveries = receipt.delivered.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) });
        self.run_queue.deliver_all(deliveries.map(Envelope::of));
        watched("notifying the followers of the instance", || self.changes.tell(&record, vanishes));
        if announced {
            self.outbox.wake();
        }
        self.run_queue.end_turn(&record.id, hot, again);
        envelopes.into_iter().for_each(|envelope| envelope.answer(Ok(())));
        self.schedule_activities(activities);
        self.set_timers(&record, &timers);
        // Not by its version: one that was terminated before it began has none.
        if ended && builtin::is_built_in(&record.name) {
            self.ended_messages.notify_one();
        }
        if ended {
            self.schedule_goes_on(&record.id);
            self.timer_has_ended(&record);
            watched("notifying the waiters of the instance", || self.waiters.ended(&record));
        }
    }

    /// Retries a turn of which nothing was saved. Clients get an error and may repeat their request; the engine's own messages
    /// go back into the mailbox. If the commit was stale (another instance's message created the entity, a purge removed the
    /// instance), the turn is loaded again, and clients do not notice.
    pub(in crate::hub) fn try_again_later(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, error: &HubError) {
        let overtaken = matches!(error, HubError::Store(StoreError::Stale { .. }));
        let wait = if overtaken { STALE_RETRY_DELAY } else { TRY_AGAIN_AFTER };
        let (clients, own): (Vec<_>, Vec<_>) =
            envelopes.into_iter().partition(|envelope| envelope.acknowledge.is_some() && !overtaken);
        clients.into_iter().for_each(|envelope| envelope.answer(Err(error.clone())));
        self.inbox_bounds.forget(id);
        self.run_queue.put_back(id, own);
        let (hub, id) = (self.clone(), id.clone());
        self.tokio.spawn(async move {
            if !hub.is_closing() {
                tokio::time::sleep(wait).await;
            }
            // Also without messages here: an entity may have been taking in its stored inbox.
            hub.run_queue.end_turn(&id, None, true);
        });
    }
}

/// Runs a step that only informs observers: if it panics, the other effects of the commit are applied all the same.
fn watched(what: &str, tell: impl FnOnce()) {
    if let Err(why) = caught(tell) {
        tracing::error!(%why, "{what} has failed");
    }
}

fn write_log(hub: &str, record: &InstanceRecord, line: &LogLine) {
    let (instance, function, message) = (record.id.as_str(), record.name.as_str(), &line.message);
    match line.level {
        LogLevel::Trace => tracing::trace!(target: "guest", hub, instance, function, "{message}"),
        LogLevel::Debug => tracing::debug!(target: "guest", hub, instance, function, "{message}"),
        LogLevel::Info => tracing::info!(target: "guest", hub, instance, function, "{message}"),
        LogLevel::Warn => tracing::warn!(target: "guest", hub, instance, function, "{message}"),
        LogLevel::Error => tracing::error!(target: "guest", hub, instance, function, "{message}"),
    }
}
