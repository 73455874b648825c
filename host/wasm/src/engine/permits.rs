//! Permits for scarce resources that tenants share: slots of the engine's pool, outgoing requests.
//!
//! A permit is *busy* while its guest runs, and *idle* while the guest is only kept in memory. The holder of an idle permit drops
//! it as soon as a waiter is [owed](FairSemaphore::is_owed) a permit.
//!
//! A tenant may hold as many busy permits as it leaves to others: half of them if it is alone, a third beside one other tenant.
//! A tenant that holds none always finds some, so no tenant waits for the work of another, however long that takes.
//!
//! ```text
//!   tenant A ──▶ a1 a2 a3 ┐
//!   tenant B ──▶ b1       ├─ ring ─▶ the first whose share allows it: it gets its permits, or is owed them
//!   tenant C ──▶ c1 c2    ┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::deployment::compilations::TenantId;

#[derive(Clone)]
pub(crate) struct FairSemaphore(Arc<Inner>);

struct Inner {
    permits: u32,
    /// See [`FairSemaphore::is_owed`]. Read after each turn.
    owed: AtomicBool,
    // Nothing awaits while it is locked, and no permit is dropped.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Busy and idle permits.
    taken: u32,
    busy: u32,
    /// Tenants that have busy permits or wait.
    tenants: HashMap<TenantId, Share>,
    /// Tenants that wait, each once.
    ring: VecDeque<TenantId>,
}

#[derive(Default)]
struct Share {
    busy: u32,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    permits: u32,
    sender: oneshot::Sender<Permit>,
}

/// Permits that a tenant holds, until this is dropped.
pub(crate) struct Permit {
    semaphore: FairSemaphore,
    tenant: TenantId,
    permits: u32,
    /// Changed under the lock of the semaphore.
    busy: AtomicBool,
}

/// A future permit. Dropping it leaves the queue.
pub(crate) struct Waiting {
    receiver: oneshot::Receiver<Permit>,
    semaphore: FairSemaphore,
}

impl FairSemaphore {
    pub fn new(permits: u32) -> Self {
        Self(Arc::new(Inner { permits, owed: AtomicBool::new(false), state: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `permits` permits together, if they are available now.
    pub fn try_acquire(&self, tenant: TenantId, permits: u32) -> Option<Permit> {
        let permits = permits.min(self.0.permits);
        let mut state = self.lock();
        let waits = state.tenants.get(&tenant).is_some_and(|share| !share.waiting.is_empty());
        if waits || self.is_owed() || !state.may_have(tenant, permits, self.0.permits) || state.free(self.0.permits) < permits {
            return None;
        }
        state.take(tenant, permits);
        Some(self.permit(tenant, permits))
    }

    /// Queues for `permits` permits, which are given together when the tenant's turn has come.
    pub fn acquire(&self, tenant: TenantId, permits: u32) -> Waiting {
        let permits = permits.min(self.0.permits);
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            let share = state.tenants.entry(tenant).or_default();
            share.waiting.push_back(Waiter { permits, sender });
            if share.waiting.len() == 1 {
                state.ring.push_back(tenant);
            }
        }
        self.give();
        Waiting { receiver, semaphore: self.clone() }
    }

    /// Whether a waiter gets its permits as soon as enough idle ones are dropped.
    pub fn is_owed(&self) -> bool {
        self.0.owed.load(Ordering::Relaxed)
    }

    fn permit(&self, tenant: TenantId, permits: u32) -> Permit {
        Permit { semaphore: self.clone(), tenant, permits, busy: AtomicBool::new(true) }
    }

    /// Gives free permits to the waiters whose turn it is.
    fn give(&self) {
        loop {
            let (sender, permit) = {
                let mut state = self.lock();
                match state.next(self.0.permits) {
                    Next::Given { tenant, waiter } => {
                        // If the waiter has just left, the permit is released when it is dropped, below.
                        (waiter.sender, self.permit(tenant, waiter.permits))
                    }
                    next @ (Next::Owed | Next::Nobody) => {
                        return self.0.owed.store(matches!(next, Next::Owed), Ordering::Relaxed);
                    }
                }
            };
            drop(sender.send(permit));
        }
    }
}

/// Which waiter gets permits next.
enum Next {
    /// This one: the permits are taken for it.
    Given {
        tenant: TenantId,
        waiter: Waiter,
    },
    /// One that must wait until idle permits are dropped.
    Owed,
    Nobody,
}

impl State {
    fn free(&self, all: u32) -> u32 {
        all - self.taken
    }

    /// Whether a tenant may have `permits` more: enough are free or idle, and it has none yet or leaves as many as it then has.
    fn may_have(&self, tenant: TenantId, permits: u32, all: u32) -> bool {
        let own = self.tenants.get(&tenant).map_or(0, |share| share.busy);
        match (all - self.busy).checked_sub(permits) {
            Some(left) => own == 0 || own + permits <= left,
            None => false,
        }
    }

    fn take(&mut self, tenant: TenantId, permits: u32) {
        self.taken += permits;
        self.make_busy(tenant, permits);
    }

    fn make_busy(&mut self, tenant: TenantId, permits: u32) {
        self.busy += permits;
        self.tenants.entry(tenant).or_default().busy += permits;
    }

    fn make_idle(&mut self, tenant: TenantId, permits: u32) {
        self.busy -= permits;
        if let Some(share) = self.tenants.get_mut(&tenant) {
            share.busy -= permits;
            if share.busy == 0 && share.waiting.is_empty() {
                self.tenants.remove(&tenant);
            }
        }
    }

    fn next(&mut self, all: u32) -> Next {
        self.remove_closed_waiters();
        for place in 0..self.ring.len() {
            let tenant = self.ring[place];
            let Some(permits) = self.tenants.get(&tenant).and_then(|share| share.waiting.front()).map(|first| first.permits)
            else {
                continue;
            };
            if !self.may_have(tenant, permits, all) {
                continue;
            }
            // Enough are idle, so later waiters must not overtake it.
            if self.free(all) < permits {
                return Next::Owed;
            }
            self.ring.remove(place);
            self.take(tenant, permits);
            let share = self.tenants.get_mut(&tenant).expect("it was found above");
            let waiter = share.waiting.pop_front().expect("it was found above");
            if !share.waiting.is_empty() {
                self.ring.push_back(tenant);
            }
            return Next::Given { tenant, waiter };
        }
        Next::Nobody
    }

    fn remove_closed_waiters(&mut self) {
        let Self { tenants, ring, .. } = self;
        ring.retain(|tenant| {
            let Some(share) = tenants.get_mut(tenant) else { return false };
            while share.waiting.front().is_some_and(|first| first.sender.is_closed()) {
                share.waiting.pop_front();
            }
            if share.waiting.is_empty() && share.busy == 0 {
                tenants.remove(tenant);
                return false;
            }
            !share.waiting.is_empty()
        });
    }
}

impl Permit {
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Marks it busy: its guest runs (again).
    pub fn make_busy(&self) {
        self.change(|state| {
            if !self.busy.swap(true, Ordering::Relaxed) {
                state.make_busy(self.tenant, self.permits);
            }
        });
    }

    /// Marks it idle: its guest is only kept in memory and can be evicted.
    pub fn make_idle(&self) {
        self.change(|state| {
            if self.busy.swap(false, Ordering::Relaxed) {
                state.make_idle(self.tenant, self.permits);
            }
        });
    }

    /// Changes the state, then gives permits to waiters if there are any.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let someone_waits = {
            let mut state = self.semaphore.lock();
            change(&mut state);
            !state.ring.is_empty()
        };
        if someone_waits {
            self.semaphore.give();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.change(|state| {
            state.taken -= self.permits;
            if self.busy.load(Ordering::Relaxed) {
                state.make_idle(self.tenant, self.permits);
            }
        });
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        // What was owed to it may go to others.
        if self.semaphore.is_owed() {
            self.semaphore.give();
        }
    }
}

impl Future for Waiting {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        Pin::new(&mut self.receiver).poll(cx).map(|permit| permit.expect("a waiter keeps its sender until it is served"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);
    const C: TenantId = TenantId(3);

    /// The permit, if it has been given.
    fn now(waiting: &mut Waiting) -> Option<Permit> {
        waiting.receiver.try_recv().ok()
    }

    /// As many permits as a tenant can have one by one.
    fn fill(semaphore: &FairSemaphore, tenant: TenantId, permits: u32) -> Vec<Permit> {
        std::iter::from_fn(|| semaphore.try_acquire(tenant, permits)).collect()
    }

    #[test]
    fn a_tenant_may_have_as_many_as_it_leaves() {
        let semaphore = FairSemaphore::new(120);
        let a = fill(&semaphore, A, 1);
        assert_eq!(a.len(), 60);
        let b = fill(&semaphore, B, 1);
        assert_eq!(b.len(), 30);
        let c = fill(&semaphore, C, 15);
        assert_eq!(c.len(), 1, "as many as are left for others");
        // Each of ten more tenants finds a permit.
        let others: Vec<Permit> = (10..20).map(|tenant| semaphore.try_acquire(TenantId(tenant), 1).unwrap()).collect();
        drop((a, others));
        assert_eq!(fill(&semaphore, B, 1).len(), 22, "52 of 120, beside 15 of another one: 53 are left");
    }

    #[test]
    fn who_has_none_may_have_all_that_is_there() {
        let semaphore = FairSemaphore::new(16);
        let all = semaphore.try_acquire(A, 16).unwrap();
        assert!(semaphore.try_acquire(B, 1).is_none());
        let mut waiting = semaphore.acquire(B, 1);
        assert!(!semaphore.is_owed(), "nothing is idle");
        drop(all);
        assert_eq!(now(&mut waiting).unwrap().permits, 1);
        // A request for more than exist takes all of them.
        assert_eq!(semaphore.try_acquire(A, 100).unwrap().permits, 16);
    }

    #[test]
    fn what_is_idle_is_owed_to_who_waits_and_nobody_overtakes() {
        let semaphore = FairSemaphore::new(16);
        let mut idle: Vec<Permit> = Vec::new();
        for _ in 0..16 {
            let permit = semaphore.try_acquire(A, 1).unwrap();
            permit.make_idle();
            idle.push(permit);
        }
        assert!(semaphore.try_acquire(A, 1).is_none() && semaphore.try_acquire(B, 1).is_none());
        let mut large = semaphore.acquire(B, 4);
        for given_up in 0..4 {
            assert!(semaphore.is_owed());
            assert!(semaphore.try_acquire(A, 1).is_none(), "{given_up} are free, and meant for another");
            assert!(now(&mut large).is_none());
            idle.pop();
        }
        assert!(!semaphore.is_owed());
        assert_eq!(now(&mut large).unwrap().permits, 4);
    }

    #[test]
    fn what_becomes_idle_can_be_owed() {
        let semaphore = FairSemaphore::new(4);
        let (one, two) = (semaphore.try_acquire(A, 2).unwrap(), semaphore.try_acquire(B, 2).unwrap());
        let mut waiting = semaphore.acquire(C, 2);
        assert!(!semaphore.is_owed());
        one.make_idle();
        assert!(semaphore.is_owed());
        one.make_busy();
        assert!(!semaphore.is_owed());
        drop(two);
        assert!(now(&mut waiting).is_some());
        drop(one);
        let state = semaphore.lock();
        assert_eq!((state.taken, state.busy, state.tenants.len()), (0, 0, 0));
    }

    #[test]
    fn tenants_take_turns() {
        let semaphore = FairSemaphore::new(2);
        let mut held = vec![semaphore.try_acquire(C, 1).unwrap(), semaphore.try_acquire(TenantId(9), 1).unwrap()];
        let mut waiting: Vec<(u64, Waiting)> =
            [1, 1, 1, 2, 1, 2].into_iter().map(|tenant| (tenant, semaphore.acquire(TenantId(tenant), 2))).collect();
        held.clear();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let place = waiting.iter().position(|(_, waiting)| !waiting.receiver.is_empty()).expect("somebody has it");
            let (tenant, permit) = waiting.remove(place);
            order.push(tenant);
            drop(permit);
        }
        assert_eq!(order, [1, 2, 1, 2, 1, 1]);
    }

    #[test]
    fn a_large_request_that_may_not_be_had_keeps_nobody_waiting() {
        let semaphore = FairSemaphore::new(16);
        let running = semaphore.try_acquire(A, 4).unwrap();
        let mut large = semaphore.acquire(A, 8);
        assert!(semaphore.try_acquire(B, 1).is_some());
        // A tenant does not overtake itself.
        assert!(semaphore.try_acquire(A, 1).is_none());
        drop(running);
        assert!(now(&mut large).is_some());
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let semaphore = FairSemaphore::new(1);
        let held = semaphore.try_acquire(A, 1).unwrap();
        let (leaves, mut stays) = (semaphore.acquire(B, 1), semaphore.acquire(C, 1));
        drop(leaves);
        drop(held);
        assert!(now(&mut stays).is_some());
        // A permit that was given but never received goes to the next waiter.
        let held = semaphore.try_acquire(A, 1).unwrap();
        let (given, mut next) = (semaphore.acquire(B, 1), semaphore.acquire(C, 1));
        drop(held);
        drop(given);
        assert!(now(&mut next).is_some());
    }

    #[test]
    fn nothing_is_owed_to_who_left() {
        let semaphore = FairSemaphore::new(2);
        let idle = semaphore.try_acquire(A, 1).unwrap();
        idle.make_idle();
        let leaves = semaphore.acquire(B, 2);
        assert!(semaphore.is_owed());
        drop(leaves);
        assert!(!semaphore.is_owed());
        assert!(semaphore.try_acquire(C, 1).is_some());
    }
}
