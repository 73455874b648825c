//! The name of a tenant in the log, the counters of what its activities send and receive, and its memory for idle instances.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Policy;
use crate::deployment::compilations::TenantId;
use crate::engine::permits::{FairSemaphore, Permit};

/// The tenant that guests belong to.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The name of the task hub in log lines.
    pub hub: String,
    /// Counts what activities send and receive.
    pub outbound: Arc<OutboundBytes>,
    /// Reserves memory of the tenant for instances of entities that are kept between turns.
    pub idle_memory: IdleMemoryBudget,
}

/// Memory that is reserved until it is dropped.
pub type IdleMemory = Box<dyn Send>;

/// Reserves these bytes, if the tenant may have them. By default, nothing is kept.
#[derive(Clone)]
pub struct IdleMemoryBudget(pub Arc<dyn Fn(usize) -> Option<IdleMemory> + Send + Sync>);

impl Default for IdleMemoryBudget {
    fn default() -> Self {
        Self(Arc::new(|_| None))
    }
}

impl fmt::Debug for IdleMemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdleMemoryBudget")
    }
}

/// Bytes on the connections of outgoing HTTP requests: heads, bodies and the overhead of TLS, without
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

    /// Returns the bytes sent and received since the last [`Self::take`].
    pub fn read(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Returns the same counts and resets them.
    pub fn take(&self) -> (u64, u64) {
        (self.sent.swap(0, Ordering::Relaxed), self.received.swap(0, Ordering::Relaxed))
    }
}

/// What an activity runs under: its tenant, its policy, and its share of the outgoing requests.
#[derive(Clone)]
pub(crate) struct ActivityContext {
    pub account: Arc<Account>,
    pub policy: Arc<Policy>,
    pub requests: Requests,
}

/// Permits for a tenant's outgoing HTTP requests. All tenants share one limit, because each request holds a socket.
#[derive(Clone)]
pub(crate) struct Requests {
    semaphore: FairSemaphore,
    tenant: TenantId,
}

impl Requests {
    pub fn new(semaphore: FairSemaphore, tenant: TenantId) -> Self {
        Self { semaphore, tenant }
    }

    /// Waits until one more request may be sent. Keep the permit until the request has ended.
    pub async fn begin(&self) -> Permit {
        self.semaphore.acquire(self.tenant, 1).await
    }
}
