//! Instances of activities that have run one call and wait for another, if the operator wants that: a large runtime, such as
//! Python's, takes longer to start than most activities to run.
//!
//! An instance is reused only for the tenant, the version and the policy that it was made for. It keeps its slots of the pool
//! until a waiter needs them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::VersionId;

use crate::config::Policy;
use crate::deployment::compilations::TenantId;
use crate::guest::activity::ActivityInstance;
use crate::guest::guest_permit::GuestPermit;

/// An instance and the permit for its slots, which is dropped last.
pub(crate) struct IdleActivity {
    pub instance: ActivityInstance,
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
pub(crate) struct IdleActivities {
    most: usize,
    /// Least recently used first.
    idle: Mutex<VecDeque<(Owner, IdleActivity)>>,
}

impl IdleActivities {
    pub fn new(most: usize) -> Self {
        Self { most, idle: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Owner, IdleActivity)>> {
        self.idle.lock().expect("nothing panics while it holds this")
    }

    /// Takes the most recently used instance of this owner.
    pub fn take(&self, owner: &Owner) -> Option<IdleActivity> {
        let mut idle = self.lock();
        let index = idle.iter().rposition(|(others, _)| others.is(owner))?;
        let (_, activity) = idle.remove(index)?;
        activity.permit.make_busy();
        Some(activity)
    }

    pub fn keep(&self, owner: Owner, activity: IdleActivity) {
        if self.most == 0 {
            return;
        }
        activity.permit.make_idle();
        let oldest = {
            let mut idle = self.lock();
            idle.push_back((owner, activity));
            if idle.len() > self.most { idle.pop_front() } else { None }
        };
        drop(oldest);
    }

    /// Drops the least recently used instance. Returns false if there is none.
    pub fn give_up_one(&self) -> bool {
        let oldest = self.lock().pop_front();
        oldest.is_some()
    }

    pub fn forget_tenant(&self, tenant: TenantId) {
        self.forget(|owner| owner.tenant == tenant);
    }

    pub fn forget_version(&self, version: VersionId) {
        self.forget(|owner| owner.version == version);
    }

    fn forget(&self, is_meant: impl Fn(&Owner) -> bool) {
        let forgotten: VecDeque<_> = {
            let mut idle = self.lock();
            let (forgotten, kept) = idle.drain(..).partition(|(owner, _)| is_meant(owner));
            *idle = kept;
            forgotten
        };
        drop(forgotten);
    }
}
