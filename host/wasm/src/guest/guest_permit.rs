//! Room in the host for one guest, and the version that it is for, which stays in memory meanwhile.

use std::sync::Arc;

use dacapo_core::VersionId;

use crate::engine::permits::Permit;
use crate::guest::prepared::Prepared;

/// Room for one guest of a version. Clones are the same room: it is there for others when the last one is dropped.
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

    /// Whether a guest of this version can be started in it: whoever asks has the only handle.
    pub fn is_free_for(&self, version: VersionId) -> bool {
        self.0.version == version && Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn version(&self) -> VersionId {
        self.0.version
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.0.prepared
    }

    /// How many guests the one in it counts as.
    pub(crate) fn slots(&self) -> usize {
        self.0.permit.permits() as usize
    }

    /// Its guest runs.
    pub(crate) fn make_busy(&self) {
        self.0.permit.make_busy();
    }

    /// Its guest is only kept in memory.
    pub(crate) fn make_idle(&self) {
        self.0.permit.make_idle();
    }
}
