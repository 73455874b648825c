//! Counter: an entity with three operations, an orchestration that calls and signals it, and one that signals it often.

use dacapo_sdk::prelude::*;

/// The state of one counter. Which counter it is, is said by the key of the entity.
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
    /// So many signals are sent by `count_often`.
    times: u32,
}

impl Default for Task {
    fn default() -> Self {
        Self { counter: "clicks".to_owned(), amount: 1, times: 100 }
    }
}

/// Signals the counter, which nobody waits for, and then calls it. Operations of one sender arrive in order, so the
/// call sees what the signal has done.
#[orchestrator]
async fn count(ctx: Context, task: Option<Task>) -> Result<i64> {
    let Task { counter, amount, .. } = task.unwrap_or_default();
    let counter = ctx.entity::<Counter>(counter);
    counter.reset().signal()?;
    counter.add(amount).signal()?;
    counter.add(amount).await
}

/// Many signals, and one call that waits until all of them have been dealt with. From many instances at once, too, no
/// signal is lost and none counts twice.
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
