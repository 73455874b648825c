//! A fair queue for the compiler: a few modules at once, tenants in turn.
//!
//! ```text
//!   tenant A ──▶ a1 a2 a3 ┐
//!   tenant B ──▶ b1       ├─ ring of tenants that wait and compile nothing ─▶ permits
//!   tenant C ──▶ c1 c2    ┘
//! ```
//!
//! A tenant compiles one module at a time, and then goes to the end of the ring. So a tenant with many modules delays another by
//! one compilation, not by all.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Names a tenant of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TenantId(pub u64);

/// How many compilations may wait. Each holds a thread, or a request's body in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub in_all: usize,
    pub of_a_tenant: usize,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    pub waiting: usize,
}

#[derive(Clone)]
pub(crate) struct Compilations(Arc<Inner>);

struct Inner {
    waiting: Waiting,
    // Nothing awaits while it is locked, and no permit is dropped.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: usize,
    /// Tenants that have a permit.
    compiling: HashSet<TenantId>,
    queues: HashMap<TenantId, VecDeque<oneshot::Sender<CompilePermit>>>,
    /// Tenants that have a queue and no permit, each once.
    ring: VecDeque<TenantId>,
}

/// The right to compile one module, until it is dropped.
pub(crate) struct CompilePermit {
    compilations: Compilations,
    tenant: TenantId,
}

/// A future permit.
pub(crate) struct PendingPermit(oneshot::Receiver<CompilePermit>);

impl Compilations {
    pub fn new(permits: usize, waiting: Waiting) -> Self {
        Self(Arc::new(Inner { waiting, state: Mutex::new(State { free: permits, ..State::default() }) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue of a tenant. Dropping the future leaves it.
    pub fn begin(&self, tenant: TenantId) -> Result<PendingPermit, Full> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            state.remove_closed_waiters();
            let in_all = state.queues.values().map(VecDeque::len).sum::<usize>();
            let own = state.queues.get(&tenant).map_or(0, VecDeque::len);
            let Waiting { in_all: most, of_a_tenant } = self.0.waiting;
            // Half of the queue is kept for tenants that have nothing in it yet.
            let room = if own == 0 { most } else { most / 2 };
            let is_free = state.free > 0 && !state.compiling.contains(&tenant);
            if !is_free && (own >= of_a_tenant || in_all >= room) {
                return Err(Full { waiting: in_all });
            }
            state.queues.entry(tenant).or_default().push_back(sender);
            if own == 0 && !state.compiling.contains(&tenant) {
                state.ring.push_back(tenant);
            }
        }
        self.give_permits();
        Ok(PendingPermit(receiver))
    }

    /// Gives free permits to the tenants whose turn it is.
    fn give_permits(&self) {
        loop {
            let Some((tenant, sender)) = self.lock().next() else { return };
            // If the waiter has left, the permit is released when it is dropped.
            let _ = sender.send(CompilePermit { compilations: self.clone(), tenant });
        }
    }
}

impl State {
    fn next(&mut self) -> Option<(TenantId, oneshot::Sender<CompilePermit>)> {
        if self.free == 0 {
            return None;
        }
        let tenant = self.ring.pop_front()?;
        let queue = self.queues.get_mut(&tenant).expect("a tenant in the ring has a queue");
        let sender = queue.pop_front().expect("an empty queue is removed");
        if queue.is_empty() {
            self.queues.remove(&tenant);
        }
        self.free -= 1;
        self.compiling.insert(tenant);
        Some((tenant, sender))
    }

    fn leave(&mut self, tenant: TenantId) {
        self.free += 1;
        self.compiling.remove(&tenant);
        if self.queues.contains_key(&tenant) {
            self.ring.push_back(tenant);
        }
    }

    fn remove_closed_waiters(&mut self) {
        self.queues.retain(|_, queue| {
            queue.retain(|sender| !sender.is_closed());
            !queue.is_empty()
        });
        self.ring.retain(|tenant| self.queues.contains_key(tenant));
    }
}

impl Drop for CompilePermit {
    fn drop(&mut self) {
        self.compilations.lock().leave(self.tenant);
        self.compilations.give_permits();
    }
}

impl Future for PendingPermit {
    type Output = CompilePermit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CompilePermit> {
        Pin::new(&mut self.0).poll(cx).map(|permit| permit.expect("a queued sender is kept until it is served"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Waiting = Waiting { in_all: 8, of_a_tenant: 3 };

    /// Queues tenants in this order, and returns the order in which they are served with one permit.
    fn order(arrivals: &[u64]) -> Vec<u64> {
        let compilations = Compilations::new(1, Waiting { in_all: 100, of_a_tenant: 10 });
        let turns = arrivals.iter().map(|&tenant| (tenant, compilations.begin(TenantId(tenant)).unwrap_or_else(|_| panic!())));
        let mut turns: Vec<(u64, PendingPermit)> = turns.collect();
        let mut order = Vec::new();
        while !turns.is_empty() {
            let served = turns.iter_mut().position(|(_, turn)| !turn.0.is_empty()).expect("somebody has the permit");
            let (tenant, turn) = turns.remove(served);
            order.push(tenant);
            drop(futures::executor::block_on(turn));
        }
        order
    }

    #[test]
    fn tenants_take_turns() {
        assert_eq!(order(&[1, 1, 1, 1, 2, 3, 2]), [1, 2, 3, 1, 2, 1, 1]);
    }

    #[test]
    fn a_tenant_has_one_permit() {
        let compilations = Compilations::new(2, WAITING);
        let first = futures::executor::block_on(compilations.begin(TenantId(1)).unwrap_or_else(|_| panic!()));
        let mut second = compilations.begin(TenantId(1)).unwrap_or_else(|_| panic!());
        assert!(second.0.is_empty());
        let other = compilations.begin(TenantId(2)).unwrap_or_else(|_| panic!());
        drop(futures::executor::block_on(other));
        drop(first);
        assert!(second.0.try_recv().is_ok());
    }

    #[test]
    fn so_many_wait_and_no_tenant_keeps_others_out() {
        let compilations = Compilations::new(1, WAITING);
        let mut kept = Vec::new();
        let mut stand = |tenant| compilations.begin(TenantId(tenant)).map(|turn| kept.push(turn)).map_err(|full| full.waiting);
        for _ in 0..4 {
            stand(1).unwrap();
        }
        assert_eq!(stand(1), Err(3));
        stand(2).unwrap();
        assert_eq!(stand(2), Err(4), "it waits already, and half of all places are taken");
        for tenant in 3..7 {
            stand(tenant).unwrap();
        }
        assert_eq!(stand(7), Err(8));
    }

    #[test]
    fn who_leaves_the_queue_holds_nobody_up() {
        let compilations = Compilations::new(1, WAITING);
        let first = futures::executor::block_on(compilations.begin(TenantId(1)).unwrap_or_else(|_| panic!()));
        let left = compilations.begin(TenantId(2)).unwrap_or_else(|_| panic!());
        let mut stays = compilations.begin(TenantId(3)).unwrap_or_else(|_| panic!());
        drop(left);
        drop(first);
        assert!(stays.0.try_recv().is_ok());
        // A permit that was given and never taken goes to the next.
        let given = compilations.begin(TenantId(4)).unwrap_or_else(|_| panic!());
        drop(given);
        drop(futures::executor::block_on(compilations.begin(TenantId(5)).unwrap_or_else(|_| panic!())));
    }
}
