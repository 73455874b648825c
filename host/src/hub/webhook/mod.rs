//! Lifecycle notifications: the outbox of the store, posted to the operator's webhook.
//!
//! A change of an orchestration's status is put into the outbox in the same transaction as the change itself, and removed when
//! the webhook has answered with a 2xx: it is delivered at least once, in order. Requests follow the Standard Webhooks
//! specification: `webhook-id` is the same for every attempt, `webhook-timestamp` is the time of the attempt, and
//! `webhook-signature` is `v1,` and the Base64 of the HMAC-SHA256 of `id.timestamp.body`.

pub(super) mod delivery;

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat};
use dacapo_core::{Announcement, InstanceRecord, RuntimeStatus, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::Notify;

const SECRET_PREFIX: &str = "whsec_";

/// Where notifications go.
#[derive(Clone)]
pub struct Webhook {
    url: String,
    /// None: they are not signed.
    key: Option<Vec<u8>>,
    /// Only changes to these are posted; empty for all.
    statuses: Vec<RuntimeStatus>,
    /// A notification that could not be delivered for so long is dropped.
    give_up_after: Duration,
}

impl Webhook {
    /// `secret` is the Base64 of the signing key, with or without `whsec_` before it; empty for none.
    pub fn new(url: String, secret: &str, statuses: Vec<RuntimeStatus>, give_up_after: Duration) -> anyhow::Result<Self> {
        let uri: ureq::http::Uri = url.parse().with_context(|| format!("'{url}' is not a URL"))?;
        ensure!(matches!(uri.scheme_str(), Some("http" | "https")), "'{url}' does not begin with http:// or https://");
        let key = match secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret) {
            "" => None,
            secret => Some(BASE64_STANDARD.decode(secret).map_err(|why| anyhow!("the secret is not Base64: {why}"))?),
        };
        Ok(Self { url, key, statuses, give_up_after })
    }

    /// Returns the notification of a turn, if there is one.
    fn announcement(&self, before: RuntimeStatus, after: &InstanceRecord, reason: Option<String>) -> Option<Announcement> {
        let wanted = self.statuses.is_empty() || self.statuses.contains(&after.status);
        (wanted && before != after.status && !after.id.is_entity()).then(|| Announcement {
            instance: after.id.clone(),
            name: after.name.clone(),
            execution: after.execution,
            status: after.status,
            reason,
            at: after.updated,
        })
    }

    fn signature(&self, id: &str, timestamp: i64, body: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_ref()?).expect("a key of any length is fine");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// The body of a notification.
#[derive(Serialize)]
struct Body<'a> {
    /// Such as `dacapo.orchestration.completed`.
    r#type: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    task_hub: &'a str,
    instance_id: &'a str,
    execution_id: String,
    name: &'a str,
    runtime_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

fn body(hub: &str, announcement: &Announcement) -> String {
    let status = announcement.status.name();
    let body = Body {
        r#type: format!("dacapo.orchestration.{}", status.to_lowercase()),
        timestamp: rfc3339(announcement.at),
        data: Data {
            task_hub: hub,
            instance_id: announcement.instance.as_str(),
            execution_id: announcement.execution.to_string(),
            name: announcement.name.as_str(),
            runtime_status: status,
            reason: announcement.reason.as_deref(),
        },
    };
    serde_json::to_string(&body).expect("texts are always JSON")
}

fn rfc3339(at: Timestamp) -> String {
    DateTime::from_timestamp_micros(at.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The webhook, and a signal that there is something to deliver.
pub(in crate::hub) struct Outbox {
    webhook: Option<Webhook>,
    /// Notified when something was put into the store's outbox.
    added: Notify,
}

impl Outbox {
    pub fn new(webhook: Option<Webhook>) -> Self {
        Self { webhook, added: Notify::new() }
    }

    pub fn has_webhook(&self) -> bool {
        self.webhook.is_some()
    }

    /// Returns the notification of a turn that leaves an instance as `after`, if there is a webhook and the status has changed.
    pub fn announcement(&self, before: RuntimeStatus, after: &InstanceRecord, reason: Option<String>) -> Option<Announcement> {
        self.webhook.as_ref()?.announcement(before, after, reason)
    }

    pub fn wake(&self) {
        self.added.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(secret: &str) -> anyhow::Result<Webhook> {
        Webhook::new("https://example.org/hook".into(), secret, Vec::new(), Duration::from_secs(60))
    }

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_follow_the_specification() {
        let signed = webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = signed.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(webhook("").unwrap().signature("id", 0, ""), None);
    }

    #[test]
    fn wrong_settings_are_refused() {
        assert!(webhook("whsec_not base64!").is_err());
        assert!(Webhook::new("ftp://example.org".into(), "", Vec::new(), Duration::ZERO).is_err());
        assert!(Webhook::new("/relative".into(), "", Vec::new(), Duration::ZERO).is_err());
    }
}
