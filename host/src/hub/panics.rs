//! Panics: bugs of the host. Each is caught where it is known what was being done, so that this comes to a definite end and
//! everything else goes on. That it happened, and where, stands in the log: the panic hook writes it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dacapo_core::turn::halt;
use dacapo_core::{Delivery, InstanceId};
use futures::FutureExt as _;
use tokio::task::JoinError;

use super::run_queue::Envelope;
use super::settle::Settled;
use super::{HubCore, HubError, now};
use crate::log;
use crate::meters::Before;

/// How long a loop that has panicked rests.
const GO_ON_AFTER: Duration = Duration::from_secs(1);

/// What a panic has said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panicked(String);

/// Does something.
///
/// What was changed halfway is dropped with the work. If it lies behind a lock, that is poisoned, and the process ends with the
/// next one who takes it.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked::of(panic.as_ref()))
}

/// The same of a future.
pub(crate) async fn caught_async<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| Panicked::of(panic.as_ref()))
}

/// Runs a loop for as long as it has something to do. If it panics it is begun anew.
pub(crate) async fn kept_going<F: Future<Output = ()>>(what: &str, mut work: impl FnMut() -> F) {
    while let Err(why) = caught_async(work()).await {
        tracing::error!(%why, "{what} panicked, and goes on");
        tokio::time::sleep(GO_ON_AFTER).await;
    }
}

/// What has become of work on a thread or task of its own.
pub(crate) fn joined<T>(result: Result<T, JoinError>) -> Result<T, HubError> {
    result.map_err(|why| match why.try_into_panic() {
        Ok(panic) => Panicked::of(panic.as_ref()).into(),
        // The runtime is going.
        Err(_) => HubError::ShuttingDown,
    })
}

impl Panicked {
    fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic without a text");
        // Of what lies behind such a lock nobody knows what it is, and whoever comes next meets it too.
        if text.contains("PoisonError") {
            log::cannot_go_on("an earlier panic has left something half changed");
        }
        Self(text.to_owned())
    }
}

impl From<Panicked> for HubError {
    fn from(why: Panicked) -> Self {
        HubError::Internal(why.to_string())
    }
}

impl HubCore {
    /// A turn has panicked, and has changed nothing. Its instance is halted, so that it does not panic again and again; what
    /// came to it waits in its inbox. Clients are told that what they asked for has not happened.
    pub(super) fn turn_panicked(self: &Arc<Self>, id: &InstanceId, envelopes: Vec<Envelope>, why: &Panicked) {
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
}
