//! The permit for one guest's slots of the pool. It keeps the guest's version in memory.

use std::sync::Arc;

use dacapo_core::VersionId;

use crate::engine::permits::Permit;
use crate::guest::prepared::Prepared;

/// The slots for one guest of a version. Clones share them; they are released when the last clone is dropped.
#[derive(Clone)]
pub struct GuestPermit(Arc<Inner>);

struct Inner {
    version: VersionId,
    prepared: Arc<Prepared>,
    permit: Permit,
}

impl GuestPermit {
    pub(crate) fn new(version: VersionId, prepared: Arc<Prepared>, permit: Permit) -> Self {
        Self(Arc::new(Inner { version, prepared, permit }))
    }

    /// Whether a guest of this version can be started with it: the version is the same, and there is no other clone.
    pub fn is_free_for(&self, version: VersionId) -> bool {
        self.0.version == version && Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn version(&self) -> VersionId {
        self.0.version
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.0.prepared
    }

    /// The number of slots, which is how many guests its guest counts as.
    pub(crate) fn slots(&self) -> usize {
        self.0.permit.permits() as usize
    }

    /// Marks its guest as running.
    pub(crate) fn make_busy(&self) {
        self.0.permit.make_busy();
    }

    /// Marks its guest as only kept in memory.
    pub(crate) fn make_idle(&self) {
        self.0.permit.make_idle();
    }
}
