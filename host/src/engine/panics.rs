//! Panics: bugs of the host. Each is caught where it is known what was being done, so that this comes to a definite end and
//! everything else goes on. That it happened, and where, stands in the log: the panic hook writes it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt as _;

use crate::log;

/// How long a loop that has panicked rests.
const GO_ON_AFTER: Duration = Duration::from_secs(1);

/// What a panic has said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(String);

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

impl Panicked {
    pub fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic without a text");
        // Of what lies behind such a lock nobody knows what it is, and whoever comes next meets it too.
        if text.contains("PoisonError") {
            log::cannot_go_on("an earlier panic has left something half changed");
        }
        Self(text.to_owned())
    }
}
