//! The state of a hub, and the methods that all its parts need.

use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use dacapo_core::execution::check_payload;
use dacapo_core::scripted::Scripted;
use dacapo_core::{Delivery, Event, FunctionName, InstanceId, Message, Payload, Timestamp};
use dacapo_store::{Store, StoreStats};
use dacapo_wasm::Tenant;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::engine::Engine;
use crate::engine::capacity::CacheShare;
use crate::engine::memory;
use crate::hub::activity::queue::Activities;
use crate::hub::bounds::inbox::InboxBounds;
use crate::hub::builtin::batch::Batches;
use crate::hub::client::Queries;
use crate::hub::error::HubError;
use crate::hub::mailbox::run_queue::RunQueue;
use crate::hub::mailbox::{Envelope, Posting};
use crate::hub::operations::changes::{Changes, Waiters};
use crate::hub::operations::messages::Messages;
use crate::hub::operations::schedules::Schedules;
use crate::hub::rules::Rules;
use crate::hub::timers::cursor::Timers;
use crate::hub::trigger::running::Triggers;
use crate::hub::turn::turn_executor::Loading;
use crate::hub::versions::catalog::{Catalog, DeployedApp};
use crate::hub::versions::locks::DeploymentLocks;
use crate::hub::webhook::Outbox;
use crate::meters::Meters;

/// A running hub. Clones are handles of the same hub.
#[derive(Clone)]
pub struct Hub(pub(super) Arc<HubCore>, pub(super) Arc<Handles>);

/// Its reference count is the number of handles of a hub.
pub(super) struct Handles;

pub(super) struct HubCore {
    pub name: String,
    pub meters: Arc<Meters>,
    pub memory: memory::Account,
    pub store: Arc<dyn Store>,
    pub executor: Arc<Tenant>,
    pub rules: RwLock<Arc<Rules>>,
    pub catalog: Catalog,
    pub deployment: DeploymentLocks,
    pub loading: Loading,
    pub inbox_bounds: InboxBounds,
    /// Instances that begin and are not stored yet.
    pub births: AtomicU64,
    pub run_queue: Arc<RunQueue>,
    pub activities: Activities,
    pub triggers: Triggers,
    /// The orchestrators and entities of the host itself.
    pub built_ins: Scripted,
    pub batches: Arc<Batches>,
    pub messages: Messages,
    /// Notified when a message was processed.
    pub ended_messages: Notify,
    pub schedules: Schedules,
    pub queries: Queries,
    pub timers: Timers,
    pub waiters: Waiters,
    pub changes: Changes,
    pub outbox: Outbox,
    pub closing: watch::Sender<bool>,
    pub tokio: tokio::runtime::Handle,
    pub engine: Engine,
    /// Released when the file is closed.
    pub _cache: CacheShare,
    /// Dropped last.
    pub _gone: oneshot::Sender<Infallible>,
}

impl Hub {
    /// Makes a handle for code that runs in the hub.
    pub(super) fn of(core: &Arc<HubCore>) -> Self {
        Self(core.clone(), Arc::new(Handles))
    }

    /// Returns the number of handles of this hub.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.1)
    }

    /// Returns a number that stays the same while the hub is idle, or none if it is busy.
    pub fn idle_since(&self) -> Option<u64> {
        self.0.run_queue.idle_since().filter(|_| self.0.activities.is_idle() && self.0.triggers.running() == 0)
    }

    /// Returns the number of running activities.
    pub fn running_activities(&self) -> usize {
        self.0.activities.running()
    }

    /// Returns when the first timer is due.
    pub fn next_timer(&self) -> Result<Option<Timestamp>, HubError> {
        Ok(self.0.store.next_timer(None)?)
    }

    /// Whether messages or activities are pending in the store. May also be called after the hub has closed.
    pub fn is_unfinished(&self) -> Result<bool, HubError> {
        let store = &self.0.store;
        Ok(!store.undelivered(None, 1)?.is_empty() || !store.activities(None, 1)?.is_empty())
    }

    /// Whether notifications wait for the webhook.
    pub fn has_announcements(&self) -> Result<bool, HubError> {
        Ok(self.0.outbox.has_webhook() && !self.0.store.announcements(None, 1)?.is_empty())
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The account of the memory that the hub holds.
    pub fn memory(&self) -> &memory::Account {
        &self.0.memory
    }

    /// Counts a client's request. `throttled`: a limit has refused it.
    pub fn count_request(&self, throttled: bool) {
        self.0.meters.request(throttled);
    }

    /// The limit on clients' requests per second.
    pub fn requests_per_second(&self) -> u64 {
        self.0.rules().limits.requests_per_second
    }

    /// Runs one slice of reading on the reader threads, when the hub's turn has come.
    pub async fn read<T, E>(&self, read: impl FnOnce(&Hub) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<HubError> + Send + 'static,
    {
        let hub = self.clone();
        self.0.read(move |_| read(&hub)).await
    }

    /// The most bytes of one payload.
    pub fn payload_bytes(&self) -> usize {
        self.0.rules().execution.payload_bytes
    }

    /// The most bytes of an answer to a query of a guest: more than a payload has, because it may hold several.
    pub fn bytes_of_an_answer(&self) -> usize {
        self.payload_bytes().saturating_mul(2)
    }

    /// The active version of each app.
    pub fn apps(&self) -> Vec<DeployedApp> {
        self.0.catalog.active()
    }

    /// Checks that the store's writer responds, by saving a change of nothing. Blocks on the disk.
    pub fn probe_writer(&self) -> Result<(), HubError> {
        // No notification has this number.
        Ok(self.0.store.forget_announcements(0)?)
    }

    /// Returns how much is stored, and in how many transactions.
    pub fn stats(&self) -> Result<StoreStats, HubError> {
        Ok(self.0.store.stats()?)
    }
}

impl HubCore {
    pub async fn read<T, E>(self: &Arc<Self>, read: impl FnOnce(&Arc<Self>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<HubError> + Send + 'static,
    {
        let hub = self.clone();
        let done = self.engine.reads().run(&self.name, move || read(&hub)).await;
        done.map_err(|why| HubError::not_done(&self.name, why))?
    }

    /// Sends a report to a reader that may be slow. Blocks this thread, which must not be one of tokio's, while the channel is
    /// full. Returns false if the receiver was dropped or the hub closes.
    pub fn send_blocking<T>(&self, reader: &mpsc::Sender<T>, report: T) -> bool {
        self.tokio.block_on(async {
            tokio::select! {
                sent = reader.send(report) => sent.is_ok(),
                () = self.closed() => false,
            }
        })
    }

    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until the hub begins to close.
    pub async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // It cannot fail: the sender is here.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().expect("no holder of this lock panics").clone()
    }

    /// Whether the trigger of this name does not run, by itself or by the settings of its app.
    pub fn is_disabled(&self, trigger: &FunctionName) -> bool {
        let known = self.catalog.disabled(trigger);
        known.is_some_and(|(app, disabled)| disabled.holds(trigger, &self.rules().of_app(&app).environment))
    }

    /// Puts a client's message into the mailbox of its instance, and waits until the turn that takes it in is durable.
    pub async fn post(&self, to: &InstanceId, event: Event) -> Result<(), HubError> {
        self.post_as(to, event, Posting::default()).await
    }

    pub async fn post_as(&self, to: &InstanceId, event: Event, posting: Posting) -> Result<(), HubError> {
        if self.is_closing() {
            return Err(HubError::ShuttingDown);
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        let message = Message { to: to.clone(), execution: None, sent_at: now(), event };
        // Waits while the hub may hold no more. A message that it could never hold is not counted: payloads have a limit.
        let memory = self.memory.reserve(Envelope::size(&message)).await.ok();
        let delivery = Delivery { message, stored: None };
        let Posting { ended, once } = posting;
        let acknowledge = Some(acknowledge);
        self.run_queue.deliver(Envelope { acknowledge, memory, once, ended, ..Envelope::of(delivery) });
        acknowledged.await.unwrap_or(Err(HubError::ShuttingDown))
    }

    /// Puts a message that needs no acknowledgement into its mailbox.
    pub fn deliver(&self, delivery: Delivery) {
        self.run_queue.deliver(Envelope::of(delivery));
    }

    pub fn check_input(&self, payload: &Payload) -> Result<(), HubError> {
        let limits = &self.rules().execution;
        let limit = limits.payload_bytes;
        if payload.len() > limit {
            return Err(HubError::TooLarge { what: "payload", size: payload.len(), limit });
        }
        check_payload("the payload", payload, limits, "InvalidPayload").map_err(|why| HubError::InvalidPayload(why.message))
    }
}

/// The only place of the hub that reads the wall clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as i64)
}
