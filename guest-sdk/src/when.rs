//! Functions that wait for several futures of one type.

use std::future::Future;

use futures_util::future::{join_all, select_all};

/// Waits for all futures and returns their outputs in the order of the list, or the first failure in that order. It
/// completes when all futures have completed, even if some failed.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[activity] fn count_words(file: String) -> Result<u64> { Ok(0) }
/// #[orchestrator]
/// async fn total(ctx: Context, files: Vec<String>) -> Result<u64> {
///     let counts = when_all(files.into_iter().map(|file| ctx.call_activity::<count_words>(file))).await?;
///     Ok(counts.iter().sum())
/// }
/// ```
pub fn when_all<F, T, E>(futures: impl IntoIterator<Item = F>) -> impl Future<Output = Result<Vec<T>, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let all = join_all(futures);
    async move { all.await.into_iter().collect() }
}

/// Waits for the first future to complete and returns its index and its output. The others are dropped, which cancels
/// timers and waits for events; to keep them, pass `&mut` references, for example `tasks.iter_mut()`.
///
/// The list may mix tasks of any kind: see [`Task::json`](crate::Task::json). An empty list panics.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[activity] fn ask(server: String) -> Result<String> { Ok(server) }
/// #[orchestrator]
/// async fn fastest(ctx: Context, servers: Vec<String>) -> Result<String> {
///     let (_, answer) = when_any(servers.into_iter().map(|server| ctx.call_activity::<ask>(server))).await;
///     answer
/// }
/// ```
pub fn when_any<F>(futures: impl IntoIterator<Item = F>) -> impl Future<Output = (usize, F::Output)>
where
    F: Future + Unpin,
{
    let any = select_all(futures);
    async move {
        let (output, index, _others) = any.await;
        (index, output)
    }
}
