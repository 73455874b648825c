//! What a task hub has used, by function: enough to bill by.
//!
//! Turns are counted when their commit is durable, with what they have added to the receipts of their instances
//! ([`dacapo_core::Usage`]), so that the sum of all receipts is what the functions have used. Activities are counted when
//! an attempt ends. What was counted since the last save is lost in a crash; nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dacapo_core::{FunctionKind, FunctionName, RuntimeStatus, Usage};
use serde::{Deserialize, Serialize};

/// What one function has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FunctionUsage {
    /// `orchestrator`, `activity` or `entity`.
    pub kind: String,
    /// Orchestrations that have begun, operations of an entity, attempts of an activity.
    pub executions: u64,
    /// Of these, those that have failed (for an entity: not counted).
    pub failures: u64,
    pub turns: u64,
    pub replayed_events: u64,
    /// About one unit for each wasm instruction. Not counted for activities, which are counted by time.
    pub fuel: u64,
    pub activity_micros: u64,
    /// Bytes of payload taken in and given out.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// What a hub has used since it was created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HubUsage {
    /// By name, as the function was first called.
    pub functions: BTreeMap<String, FunctionUsage>,
    /// Requests of clients.
    pub requests: u64,
    /// Of these, those that were refused because of a limit (429).
    pub throttled: u64,
    /// Bytes of HTTP that activities received and sent.
    pub outbound_bytes_in: u64,
    pub outbound_bytes_out: u64,
}

impl HubUsage {
    /// With another's added.
    #[must_use]
    pub fn plus(mut self, more: &HubUsage) -> Self {
        for (name, usage) in &more.functions {
            let sum = self.functions.entry(name.clone()).or_default();
            let FunctionUsage { kind, executions, failures, turns, replayed_events, fuel, activity_micros, bytes_in, bytes_out } =
                usage;
            sum.kind.clone_from(kind);
            sum.executions += executions;
            sum.failures += failures;
            sum.turns += turns;
            sum.replayed_events += replayed_events;
            sum.fuel = sum.fuel.saturating_add(*fuel);
            sum.activity_micros += activity_micros;
            sum.bytes_in += bytes_in;
            sum.bytes_out += bytes_out;
        }
        self.requests += more.requests;
        self.throttled += more.throttled;
        self.outbound_bytes_in += more.outbound_bytes_in;
        self.outbound_bytes_out += more.outbound_bytes_out;
        self
    }
}

/// The meters of an open hub: what has been used since they were last emptied.
#[derive(Debug, Default)]
pub struct Meters {
    functions: Mutex<BTreeMap<String, FunctionUsage>>,
    requests: AtomicU64,
    throttled: AtomicU64,
}

/// How an attempt of an activity went.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub took: Duration,
    pub failed: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Meters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FunctionUsage>> {
        self.functions.lock().expect("no holder of this lock panics")
    }

    fn count(&self, name: &FunctionName, kind: FunctionKind, add: impl FnOnce(&mut FunctionUsage)) {
        let mut functions = self.lock();
        let usage = match functions.get_mut(name.as_str()) {
            Some(usage) => usage,
            None => functions.entry(name.as_str().to_owned()).or_default(),
        };
        if usage.kind.is_empty() {
            kind.name().clone_into(&mut usage.kind);
        }
        add(usage);
    }

    /// A turn is durable: of an orchestration or an entity, which began with it or ended in it, perhaps.
    pub fn turn(&self, name: &FunctionName, kind: FunctionKind, spent: Usage, began: bool, status: RuntimeStatus) {
        self.count(name, kind, |usage| {
            usage.executions += if kind == FunctionKind::Entity { spent.operations } else { began.into() };
            usage.failures += u64::from(status == RuntimeStatus::Failed);
            usage.turns += spent.turns;
            usage.replayed_events += spent.replayed_events;
            usage.fuel = usage.fuel.saturating_add(spent.fuel);
            usage.bytes_in += spent.bytes_in;
            usage.bytes_out += spent.bytes_out;
        });
    }

    /// An attempt of an activity has ended.
    pub fn activity(&self, name: &FunctionName, attempt: Attempt) {
        self.count(name, FunctionKind::Activity, |usage| {
            usage.executions += 1;
            usage.failures += u64::from(attempt.failed);
            usage.activity_micros += u64::try_from(attempt.took.as_micros()).unwrap_or(u64::MAX);
            usage.bytes_in += attempt.bytes_in;
            usage.bytes_out += attempt.bytes_out;
        });
    }

    /// A request of a client was answered.
    pub fn request(&self, throttled: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.throttled.fetch_add(throttled.into(), Ordering::Relaxed);
    }

    /// What has been used since the last time, and begins anew: for whoever adds it to what is stored.
    pub fn take(&self) -> HubUsage {
        HubUsage {
            functions: std::mem::take(&mut *self.lock()),
            requests: self.requests.swap(0, Ordering::Relaxed),
            throttled: self.throttled.swap(0, Ordering::Relaxed),
            ..HubUsage::default()
        }
    }

    /// The same, to be looked at only.
    pub fn read(&self) -> HubUsage {
        HubUsage {
            functions: self.lock().clone(),
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            ..HubUsage::default()
        }
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, usage: &HubUsage) {
        let mut functions = self.lock();
        let current = HubUsage { functions: std::mem::take(&mut *functions), ..HubUsage::default() };
        *functions = current.plus(usage).functions;
        self.requests.fetch_add(usage.requests, Ordering::Relaxed);
        self.throttled.fetch_add(usage.throttled, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).unwrap()
    }

    #[test]
    fn what_was_counted_is_taken_once() {
        let meters = Meters::default();
        let spent = Usage { turns: 1, fuel: 70, replayed_events: 3, bytes_in: 5, bytes_out: 6, ..Usage::default() };
        meters.turn(&name("order"), FunctionKind::Orchestrator, spent, true, RuntimeStatus::Running);
        meters.turn(&name("order"), FunctionKind::Orchestrator, spent, false, RuntimeStatus::Failed);
        meters.turn(
            &name("cart"),
            FunctionKind::Entity,
            Usage { operations: 4, ..Usage::default() },
            true,
            RuntimeStatus::Running,
        );
        let attempt = Attempt { took: Duration::from_millis(2), failed: true, bytes_in: 1, bytes_out: 2 };
        meters.activity(&name("pay"), attempt);
        meters.request(false);
        meters.request(true);

        assert_eq!(meters.read(), meters.read());
        let used = meters.take();
        let order = &used.functions["order"];
        assert_eq!((order.kind.as_str(), order.executions, order.failures, order.turns), ("orchestrator", 1, 1, 2));
        assert_eq!((order.fuel, order.replayed_events, order.bytes_in, order.bytes_out), (140, 6, 10, 12));
        assert_eq!((used.functions["cart"].executions, used.functions["cart"].kind.as_str()), (4, "entity"));
        let pay = &used.functions["pay"];
        assert_eq!((pay.executions, pay.failures, pay.activity_micros), (1, 1, 2_000));
        assert_eq!((used.requests, used.throttled), (2, 1));
        assert_eq!(meters.take(), HubUsage::default());

        meters.request(false);
        meters.put_back(&used);
        let sum = meters.take();
        assert_eq!(sum.requests, 3);
        assert_eq!(sum.functions, used.functions);
        assert_eq!(sum.plus(&used).functions["order"].fuel, 280);
    }
}
