//! Functions of the host itself, which run in every task hub beside those of its apps: the messages of queues, and
//! schedules.
//!
//! They are orchestrators and entities like any other, with Rust in place of wasm, so what they do is as durable as what apps
//! do. Their names begin with `BuiltIn::`, which no app's may, and they run on a version of their own, which is never deployed.
//!
//! The code of an orchestrator here is replayed on histories of earlier releases: it may only change where none has been yet.

pub(super) mod batch;
pub(super) mod message;
pub(super) mod schedule;
pub(super) mod trigger;

use std::sync::Weak;

use dacapo_core::scripted::Scripted;
use dacapo_core::{FunctionKind, FunctionName, VersionId};

use crate::hub::hub_core::HubCore;

/// What the names of built-in functions begin with, and no others.
pub const PREFIX: &str = dacapo_core::guest::BUILT_IN_PREFIX;

/// The version that built-in functions run on.
pub const VERSION: VersionId = VersionId([0xff; 32]);

/// The orchestrators and entities.
const FUNCTIONS: [(&str, FunctionKind); 3] = [
    (message::FUNCTION, FunctionKind::Orchestrator),
    (message::CALL_FUNCTION, FunctionKind::Orchestrator),
    (schedule::FUNCTION, FunctionKind::Entity),
];

/// Runs built-in orchestrators and entities.
pub(in crate::hub) fn functions(hub: Weak<HubCore>) -> Scripted {
    Scripted::new()
        .orchestrator(message::FUNCTION, message::run)
        .orchestrator(message::CALL_FUNCTION, message::call)
        .entity(schedule::FUNCTION, move |operation, scope| schedule::run(&hub, operation, scope))
}

/// The version of a function, if it is a built-in one of this kind.
pub(in crate::hub) fn version_of(name: &FunctionName, kind: FunctionKind) -> Option<VersionId> {
    if !is_built_in(name) {
        return None;
    }
    let is_it = |known: &&(&str, FunctionKind)| known.1 == kind && name.folded() == known.0.to_lowercase();
    FUNCTIONS.iter().find(is_it).map(|_| VERSION)
}

/// Whether a name is one of the host's own.
pub fn is_built_in(name: &FunctionName) -> bool {
    name.as_str().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
