//! A tenant, as the log and the bill of its activities know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Policy;
use crate::deployment::compilations::TenantId;
use crate::engine::permits::{FairSemaphore, Permit};

/// Whose guests they are.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The task hub, as lines of the log name it.
    pub hub: String,
    /// Where it is counted what activities send and receive.
    pub outbound: Arc<OutboundBytes>,
}

/// Bytes that went over the connections of outgoing HTTP requests: heads and bodies, as they are encrypted, without
/// retransmissions.
#[derive(Debug, Default)]
pub struct OutboundBytes {
    sent: AtomicU64,
    received: AtomicU64,
}

impl OutboundBytes {
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes sent, and received, since they were last taken.
    pub fn read(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// The same, and it begins anew.
    pub fn take(&self) -> (u64, u64) {
        (self.sent.swap(0, Ordering::Relaxed), self.received.swap(0, Ordering::Relaxed))
    }
}

/// What an activity runs under: whose it is, and what it may use and reach.
#[derive(Clone)]
pub(crate) struct Terms {
    pub account: Arc<Account>,
    pub policy: Arc<Policy>,
    pub requests: Requests,
}

/// The outgoing HTTP requests of a tenant, of which all tenants together send so many at once: each holds a socket.
#[derive(Clone)]
pub(crate) struct Requests {
    semaphore: FairSemaphore,
    tenant: TenantId,
}

impl Requests {
    pub fn new(semaphore: FairSemaphore, tenant: TenantId) -> Self {
        Self { semaphore, tenant }
    }

    /// Waits until one more may be sent. It is under way until the permit is dropped.
    pub async fn begin(&self) -> Permit {
        self.semaphore.acquire(self.tenant, 1).await
    }
}
