//! The state that all routes share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::admission::body::{self, BodyKind};
use super::admission::body_memory::Bodies;
use super::admission::concurrency::ConcurrencyLimit;
use super::admission::guard::Guard;
use super::admission::rate::Rates;
use super::error::ApiError;
use super::health::Health;
use crate::access::Access;
use crate::engine::fair_threads::FairThreads;
use crate::hub::{Hub, Queries};
use crate::hubs::Hubs;
use crate::limits::HubLimits;
use crate::secrets::{SECRET_BYTES_MAX, Secrets};

/// The most bytes of an administrator's JSON body: a hub's limits, and lists of grants.
const ADMINISTRATION_BYTES_MAX: usize = 1 << 20;

/// What the API serves, and its limits.
pub struct ApiOptions {
    pub hubs: Hubs,
    /// Set to this API, for the queries of guests.
    pub queries: Queries,
    pub access: Arc<Access>,
    pub secrets: Arc<Secrets>,
    /// The host's data directory, which no hub may be granted.
    pub data: PathBuf,
    /// The limits of a hub that has none of its own.
    pub limits: HubLimits,
    /// The hub of a request that names none.
    pub default_hub: String,
    /// The address that the host listens on: decides how strict the check of the `Host` header is.
    pub address: SocketAddr,
    /// Further names that a host on a loopback address accepts in the `Host` header.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may send requests to HTTP triggers; `*` stands for all.
    pub cors_origins: Vec<String>,
    /// The scheme by which clients reach the host: http or https.
    pub scheme: &'static str,
    /// The origin of links for callers of the address without keys, which is not for others.
    pub public_url: String,
    /// Whether links use the `X-Forwarded-*` headers of a proxy.
    pub use_forwarded_host: bool,
    /// Turns true when the host shuts down, which ends event streams.
    pub stopping: watch::Receiver<bool>,
    /// The most bytes of one input or event.
    pub payload_bytes: usize,
    /// The most bytes of one deployed file.
    pub module_bytes: usize,
    /// The most bytes of all request bodies at once.
    pub bodies_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
}

pub(super) struct Api {
    pub options: ApiOptions,
    pub guard: Guard,
    pub rpc_guard: Guard,
    pub rates: Rates,
    /// The task hubs that clients without a key of them make the host open, by address.
    pub openings: Rates,
    pub bodies: Bodies,
    /// The threads that read and write the control file.
    pub control: FairThreads,
    pub concurrency: ConcurrencyLimit,
    /// That of requests to triggers. Anybody may send some: they must not keep operators out.
    pub trigger_concurrency: ConcurrencyLimit,
    pub health: Health,
}

impl Api {
    pub fn body_limit(&self, takes: BodyKind) -> usize {
        match takes {
            BodyKind::Nothing => 0,
            BodyKind::Payload | BodyKind::PayloadOrText => self.options.payload_bytes,
            BodyKind::Module => self.options.module_bytes,
            BodyKind::Export => body::EXPORT_BYTES_MAX,
            BodyKind::Json(_) => ADMINISTRATION_BYTES_MAX,
            BodyKind::Secret => SECRET_BYTES_MAX,
        }
    }

    /// Returns the hub that a request names, or the default hub.
    pub async fn hub(&self, name: Option<&str>) -> Result<Hub, ApiError> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&self.options.default_hub);
        self.options.hubs.hub(name).await?.ok_or_else(|| ApiError::unknown_task_hub(name))
    }

    /// Takes one request from the rate limit of the hub, or refuses it.
    pub fn check_rate(&self, hub: &Hub) -> Result<(), ApiError> {
        let per_second = hub.requests_per_second();
        let taken = self.rates.take(hub.name(), per_second, Instant::now());
        taken.map_err(|wait| ApiError::too_many_requests(hub.name(), per_second, wait))
    }
}
