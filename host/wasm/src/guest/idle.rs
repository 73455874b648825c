//! Instances that have run one call of an activity, or the operations of one turn of an entity, and wait for more, if the app and the
//! operator want that: apps written for a process that all calls share rely on what earlier calls left behind, and a large
//! runtime, such as Python's, takes longer to start than most activities to run.
//!
//! An instance is reused only for the tenant, the version and the policy that it was made for. It keeps its slots of the pool
//! until a waiter needs them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::VersionId;

use crate::config::Policy;
use crate::deployment::compilations::TenantId;
use crate::guest::guest_permit::GuestPermit;

/// An instance and the permit for its slots, which is dropped last.
pub(crate) struct PermittedInstance<I> {
    pub instance: I,
    pub permit: GuestPermit,
}

/// What an instance may be reused for.
pub(crate) struct Owner {
    pub tenant: TenantId,
    pub version: VersionId,
    pub policy: Arc<Policy>,
}

impl Owner {
    fn is(&self, other: &Owner) -> bool {
        self.tenant == other.tenant && self.version == other.version && Arc::ptr_eq(&self.policy, &other.policy)
    }
}

/// Instances are not dropped under the lock: they give memory back to the kernel.
pub(crate) struct IdleInstances<I> {
    most: usize,
    /// Least recently used first.
    idle: Mutex<VecDeque<(Owner, PermittedInstance<I>)>>,
}

impl<I> IdleInstances<I> {
    pub fn new(most: usize) -> Self {
        Self { most, idle: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Owner, PermittedInstance<I>)>> {
        self.idle.lock().expect("nothing panics while it holds this")
    }

    /// Takes the most recently used instance of this owner.
    pub fn take(&self, owner: &Owner) -> Option<PermittedInstance<I>> {
        let mut idle = self.lock();
        let index = idle.iter().rposition(|(others, _)| others.is(owner))?;
        let (_, taken) = idle.remove(index)?;
        taken.permit.make_busy();
        Some(taken)
    }

    pub fn keep(&self, owner: Owner, idle: PermittedInstance<I>) {
        if self.most == 0 {
            return;
        }
        idle.permit.make_idle();
        let oldest = {
            let mut all = self.lock();
            all.push_back((owner, idle));
            if all.len() > self.most { all.pop_front() } else { None }
        };
        drop(oldest);
    }

    /// Drops the least recently used instance. Returns false if there is none.
    pub fn give_up_one(&self) -> bool {
        let oldest = self.lock().pop_front();
        oldest.is_some()
    }

    pub fn forget(&self, is_meant: impl Fn(&Owner) -> bool) {
        let forgotten: VecDeque<_> = {
            let mut idle = self.lock();
            let (forgotten, kept) = idle.drain(..).partition(|(owner, _)| is_meant(owner));
            *idle = kept;
            forgotten
        };
        drop(forgotten);
    }
}
