//! Instances of activities that have run one call and wait for another, if the operator wants that: a large runtime, such as
//! Python's, takes longer to start than most activities to run.
//!
//! An instance is for its tenant, its version and the policy under which it was made, and for nobody else. It keeps its place
//! in the pool, and gives it up as soon as somebody needs one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_core::VersionId;

use crate::config::Policy;
use crate::deployment::compilations::TenantId;
use crate::guest::activity::ActivityInstance;
use crate::guest::guest_permit::GuestPermit;

/// An instance and its place in the pool, which it leaves last.
pub(crate) struct IdleActivity {
    pub instance: ActivityInstance,
    pub permit: GuestPermit,
}

/// For whom an instance is.
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
    /// The one that was used longest ago first.
    idle: Mutex<VecDeque<(Owner, IdleActivity)>>,
}

impl IdleActivities {
    pub fn new(most: usize) -> Self {
        Self { most, idle: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Owner, IdleActivity)>> {
        self.idle.lock().expect("nothing panics while it holds this")
    }

    /// The one of this owner that was used last.
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

    /// Gives up the one that was used longest ago. Whether there was one.
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
