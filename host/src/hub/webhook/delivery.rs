//! The loop that posts the notifications in the outbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dacapo_core::{Announcement, Timestamp};

use crate::engine::panics::restart_on_panic;
use crate::hub::error::HubError;
use crate::hub::hub_core::{HubCore, now};
use crate::hub::webhook::{Webhook, body};

/// Notifications that are read at once.
const BATCH: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Spawns the loop that delivers the outbox while the hub is open.
pub(in crate::hub) fn spawn(hub: &Arc<HubCore>) {
    let Some(webhook) = hub.outbox.webhook.clone() else { return };
    let inner = hub.clone();
    hub.tokio.spawn(async move { restart_on_panic("the loop of the webhook", || inner.announce(&webhook)).await });
}

impl HubCore {
    async fn announce(self: &Arc<Self>, webhook: &Webhook) {
        let mut pause = FIRST_PAUSE;
        while !self.is_closing() {
            let sleep = match self.deliver_announcements(webhook).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    Duration::MAX
                }
                Err(error) => {
                    let sleep = pause;
                    tracing::warn!(url = webhook.url, %error, "a notification could not be posted; trying again in {sleep:?}");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    sleep
                }
            };
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.outbox.added.notified(), if sleep == Duration::MAX => {}
                () = self.closed() => {}
            }
        }
    }

    /// Delivers the outbox, in order. An error says why it stopped; what was delivered is not delivered again.
    async fn deliver_announcements(self: &Arc<Self>, webhook: &Webhook) -> anyhow::Result<()> {
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().new_agent();
        loop {
            let (hub, webhook, agent) = (self.clone(), webhook.clone(), agent.clone());
            let delivered = tokio::task::spawn_blocking(move || hub.deliver_batch(&webhook, &agent)).await;
            if !delivered.context("the delivery panicked")?? {
                return Ok(());
            }
        }
    }

    /// Delivers one batch. Returns false if there is nothing left.
    fn deliver_batch(&self, webhook: &Webhook, agent: &ureq::Agent) -> anyhow::Result<bool> {
        let batch = self.store.announcements(None, BATCH).map_err(HubError::from)?;
        let mut told = None;
        let mut failed = None;
        for (number, announcement) in &batch {
            if self.is_closing() {
                break;
            }
            match self.post_announcement(webhook, agent, *number, announcement) {
                Ok(()) => told = Some(*number),
                Err(why) if expired(announcement, webhook.give_up_after) => {
                    let (instance, status) = (&announcement.instance, announcement.status.name());
                    tracing::error!(%instance, status, %why, "a notification is dropped: it could not be delivered in time");
                    told = Some(*number);
                }
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        if let Some(number) = told {
            self.store.forget_announcements(number).map_err(HubError::from)?;
        }
        failed.map_or(Ok(told.is_some()), Err)
    }

    fn post_announcement(
        &self,
        webhook: &Webhook,
        agent: &ureq::Agent,
        number: u64,
        announcement: &Announcement,
    ) -> anyhow::Result<()> {
        // The same for every attempt, so that a receiver can detect duplicates; different for a later hub of the same name.
        let id = format!("{}-{}-{number}", self.name, announcement.execution);
        let timestamp = now().0.div_euclid(1_000_000);
        let body = body(&self.name, announcement);
        let mut request = agent.post(&webhook.url).header("content-type", "application/json");
        request = request.header("webhook-id", &id).header("webhook-timestamp", timestamp.to_string());
        if let Some(signature) = webhook.signature(&id, timestamp, &body) {
            request = request.header("webhook-signature", signature);
        }
        request.send(&body)?;
        Ok(())
    }
}

fn expired(announcement: &Announcement, give_up_after: Duration) -> bool {
    announcement.at < Timestamp(now().0.saturating_sub(give_up_after.as_micros().try_into().unwrap_or(i64::MAX)))
}
