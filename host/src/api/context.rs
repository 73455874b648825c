//! The state that all routes share.

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
use crate::hub::Hub;
use crate::hubs::Hubs;
use crate::limits::HubLimits;
use crate::secrets::{SECRET_BYTES_MAX, Secrets};

/// The most bytes of an administrator's JSON body: a hub's limits, and lists of grants.
const ADMINISTRATION_BYTES_MAX: usize = 1 << 20;

pub(super) struct Api {
    pub hubs: Hubs,
    pub access: Arc<Access>,
    pub secrets: Arc<Secrets>,
    pub data: PathBuf,
    pub limits: HubLimits,
    pub default_hub: String,
    pub guard: Guard,
    pub rpc_guard: Guard,
    pub rates: Rates,
    pub bodies: Bodies,
    /// The threads that read and write the control file.
    pub control: FairThreads,
    pub concurrency: ConcurrencyLimit,
    pub health: Health,
    /// The authority of links where a request has no `Host` header.
    pub authority: String,
    pub scheme: &'static str,
    pub public_url: String,
    pub use_forwarded_host: bool,
    pub stopping: watch::Receiver<bool>,
    pub payload_bytes: usize,
    pub module_bytes: usize,
}

impl Api {
    pub fn body_limit(&self, takes: BodyKind) -> usize {
        match takes {
            BodyKind::Nothing => 0,
            BodyKind::Payload | BodyKind::PayloadOrText => self.payload_bytes,
            BodyKind::Module => self.module_bytes,
            BodyKind::Export => body::EXPORT_BYTES_MAX,
            BodyKind::Json(_) => ADMINISTRATION_BYTES_MAX,
            BodyKind::Secret => SECRET_BYTES_MAX,
        }
    }

    /// Returns the hub that a request names, or the default hub.
    pub async fn hub(&self, name: Option<&str>) -> Result<Hub, ApiError> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&self.default_hub);
        self.hubs.hub(name).await?.ok_or_else(|| ApiError::unknown_task_hub(name))
    }

    /// Takes one request from the rate limit of the hub, or refuses it.
    pub fn check_rate(&self, hub: &Hub) -> Result<(), ApiError> {
        let per_second = hub.requests_per_second();
        let taken = self.rates.take(hub.name(), per_second, Instant::now());
        taken.map_err(|wait| ApiError::too_many_requests(hub.name(), per_second, wait))
    }
}
