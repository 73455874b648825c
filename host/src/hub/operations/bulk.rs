//! Actions of clients on many instances.

use dacapo_core::{FunctionName, InstanceId, InstanceRecord, RuntimeStatus, VersionId};
use dacapo_store::InstanceQuery;
use futures::StreamExt as _;

use crate::hub::builtin::is_built_in;
use crate::hub::error::HubError;
use crate::hub::hub_core::Hub;

/// Instances that are acted on at once: their turns are saved together, and others have turns meanwhile.
const AT_ONCE: usize = 32;

/// Refusals that are listed; more are only counted.
const REFUSALS_TOLD: usize = 100;

/// Selects instances.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub query: InstanceQuery,
    /// Only those of this function.
    pub function: Option<FunctionName>,
    /// Only those that run on one of these versions.
    pub versions: Option<Vec<VersionId>>,
}

/// An action on each selected instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    Suspend,
    Resume,
    Terminate { recurse: bool },
    Rewind,
}

/// The outcome of an action on many instances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BulkOutcome {
    pub done: u64,
    pub refused: u64,
    /// The first of those that were refused, and why.
    pub refusals: Vec<(InstanceId, String)>,
}

impl Selection {
    /// Whether an instance that the query has found is selected.
    pub fn wants(&self, record: &InstanceRecord) -> bool {
        let is_on = |versions: &Vec<VersionId>| record.version.is_some_and(|version| versions.contains(&version));
        // Those of the host itself, such as messages of queues, are selected only by their name.
        let is_it = |name: &FunctionName| name.folded() == record.name.folded();
        self.function.as_ref().map_or_else(|| !is_built_in(&record.name), is_it) && self.versions.as_ref().is_none_or(is_on)
    }
}

impl BulkAction {
    /// The statuses in which an instance allows the action.
    fn statuses(self) -> &'static [RuntimeStatus] {
        match self {
            BulkAction::Suspend => &[RuntimeStatus::Pending, RuntimeStatus::Running, RuntimeStatus::ContinuedAsNew],
            BulkAction::Resume => &[RuntimeStatus::Suspended],
            BulkAction::Terminate { .. } => {
                &[RuntimeStatus::Pending, RuntimeStatus::Running, RuntimeStatus::ContinuedAsNew, RuntimeStatus::Suspended]
            }
            BulkAction::Rewind => &[RuntimeStatus::Failed],
        }
    }
}

impl Hub {
    /// Acts on all selected orchestrations whose status allows it. Those whose status has changed by the time of their turn are
    /// skipped. Dropping the future stops it after the actions that are in progress.
    pub async fn act_on_all(&self, act: BulkAction, reason: &str, selection: &Selection) -> Result<BulkOutcome, HubError> {
        let mut query = selection.query.clone();
        let asked = std::mem::take(&mut query.statuses);
        query.statuses = act.statuses().iter().copied().filter(|status| asked.is_empty() || asked.contains(status)).collect();
        let mut acted = BulkOutcome::default();
        if query.statuses.is_empty() {
            return Ok(acted);
        }
        let mut pages = self.0.pages(query);
        while let Some(mut meant) = pages.next().await? {
            meant.retain(|record| !record.id.is_entity() && selection.wants(record));
            let acting = meant.into_iter().map(|record| async move {
                let result = self.act_on(act, &record.id, reason).await;
                (record.id, result)
            });
            let mut acting = futures::stream::iter(acting).buffer_unordered(AT_ONCE);
            while let Some((id, result)) = acting.next().await {
                acted.note(id, result)?;
            }
        }
        Ok(acted)
    }

    async fn act_on(&self, act: BulkAction, id: &InstanceId, reason: &str) -> Result<(), HubError> {
        match act {
            BulkAction::Suspend => self.suspend(id, reason).await,
            BulkAction::Resume => self.resume(id, reason).await,
            BulkAction::Terminate { recurse } => self.terminate(id, reason, recurse).await,
            BulkAction::Rewind => self.rewind(id, reason).await,
        }
    }

    /// Returns the versions of any app that `text` names. A whole digest may also name a version that is no longer deployed.
    pub fn versions_named(&self, text: &str) -> Vec<VersionId> {
        let apps = self.0.catalog.all();
        let named: Vec<VersionId> = apps.iter().flat_map(|(_, versions)| versions.called(text)).collect();
        match named.is_empty() {
            true => text.to_ascii_lowercase().parse::<VersionId>().into_iter().collect(),
            false => named,
        }
    }

    /// Returns the label of a version; empty if it has none, or is not deployed.
    pub fn label_of(&self, version: VersionId) -> String {
        self.0.catalog.label_of(version)
    }
}

impl BulkOutcome {
    fn note(&mut self, id: InstanceId, result: Result<(), HubError>) -> Result<(), HubError> {
        match result {
            Ok(()) => self.done += 1,
            Err(HubError::ShuttingDown) => return Err(HubError::ShuttingDown),
            Err(HubError::Ended { .. } | HubError::NotFound(_) | HubError::AlreadySuspended(_) | HubError::NotSuspended(_)) => {}
            Err(error) => {
                self.refused += 1;
                if self.refusals.len() < REFUSALS_TOLD {
                    self.refusals.push((id, error.to_string()));
                }
            }
        }
        Ok(())
    }
}
