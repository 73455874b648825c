//! Panics: bugs of the host. Each is caught around the piece of work that it interrupts, so that this work fails definitely and
//! everything else continues. The panic hook logs the panic and its location.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt as _;

use crate::log;

/// The pause before a loop that has panicked is restarted.
const GO_ON_AFTER: Duration = Duration::from_secs(1);

/// The message of a panic.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(String);

/// Runs `work` and catches a panic in it.
///
/// State that was left half changed is dropped with the work. If it is behind a lock, the lock is poisoned, and the process ends
/// when the lock is taken next.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked::of(panic.as_ref()))
}

/// Like [`caught`], for a future.
pub(crate) async fn caught_async<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| Panicked::of(panic.as_ref()))
}

/// Runs a loop until it returns, and restarts it if it panics.
pub(crate) async fn restart_on_panic<F: Future<Output = ()>>(what: &str, mut work: impl FnMut() -> F) {
    while let Err(why) = caught_async(work()).await {
        tracing::error!(%why, "{what} panicked and is restarted");
        tokio::time::sleep(GO_ON_AFTER).await;
    }
}

impl Panicked {
    pub fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic without a text");
        // The state behind a poisoned lock is unknown, and every later use of it would fail as well.
        if text.contains("PoisonError") {
            log::abort("an earlier panic has left a lock poisoned");
        }
        Self(text.to_owned())
    }
}
