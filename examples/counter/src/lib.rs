//! Counter: an entity with three operations, an orchestration that calls and signals it, and one that signals it often.

use dacapo_sdk::prelude::*;

/// The state of one counter, which the key of the entity identifies.
#[derive(Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    fn add(&mut self, amount: i64) -> Result<i64> {
        let sum = self.value.checked_add(amount);
        self.value = sum.ok_or_else(|| Failure::new("Overflow", "the counter counts no further").not_retriable())?;
        Ok(self.value)
    }

    fn get(&self) -> i64 {
        self.value
    }

    fn reset(&mut self) {
        self.value = 0;
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Task {
    counter: String,
    amount: i64,
    /// The number of signals that `count_often` sends.
    times: u32,
}

impl Default for Task {
    fn default() -> Self {
        Self { counter: "clicks".to_owned(), amount: 1, times: 100 }
    }
}

/// Signals the counter, without waiting, and then calls it. Operations of one sender arrive in order, so the call sees the
/// effect of the signal.
#[orchestrator]
async fn count(ctx: Context, task: Option<Task>) -> Result<i64> {
    let Task { counter, amount, .. } = task.unwrap_or_default();
    let counter = ctx.entity::<Counter>(counter);
    counter.reset().signal()?;
    counter.add(amount).signal()?;
    counter.add(amount).await
}

/// Sends many signals, then makes one call, which returns after all of them have been processed. Even if many instances do
/// this at once, no signal is lost or counted twice.
#[orchestrator]
async fn count_often(ctx: Context, task: Option<Task>) -> Result<i64> {
    let Task { counter, amount, times } = task.unwrap_or_default();
    let counter = ctx.entity::<Counter>(counter);
    for _ in 0..times {
        counter.add(amount).signal()?;
    }
    counter.get().await
}

dacapo_sdk::app!(Counter, count, count_often);
