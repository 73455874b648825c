//! What a hub may use, and what its guests may reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use dacapo_core::execution::Limits;
use dacapo_wasm::Policy;

use crate::hub::mailbox::run_queue::RunQueueLimits;
use crate::limits::HubLimits;

/// What a hub may use, and what its guests may reach. Can be changed while it is open.
#[derive(Debug, Clone, Default)]
pub struct HubRules {
    pub limits: HubLimits,
    pub policy: Policy,
    /// The policies of apps that have one of their own, by name.
    pub of_apps: BTreeMap<String, Policy>,
}

/// The rules in the form that the hub uses.
pub(super) struct Rules {
    pub limits: HubLimits,
    pub execution: Limits,
    pub policy: Policy,
    pub of_apps: BTreeMap<String, Policy>,
}

impl Rules {
    pub fn new(rules: HubRules) -> Arc<Self> {
        let HubRules { limits, policy, of_apps } = rules;
        Arc::new(Self { execution: limits.execution(), limits, policy, of_apps })
    }

    /// The policy of an app.
    pub fn of_app(&self, app: &str) -> &Policy {
        self.of_apps.get(app).unwrap_or(&self.policy)
    }

    pub fn run_queue(&self) -> RunQueueLimits {
        RunQueueLimits { turns: size(self.limits.turns_at_once), hot: size(self.limits.hot_instances) }
    }
}

pub(super) fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
