//! Purging instances that have ended: one, many on request, or old ones by the retention rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dacapo_core::{Event, InstanceId, InstanceRecord, Row, RuntimeStatus, Timestamp};
use dacapo_store::{InstanceQuery, StoreError};
use tokio::sync::oneshot;

use crate::engine::panics::restart_on_panic;
use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore, now};
use crate::hub::operations::bulk::Selection;

/// Instances that are removed in one transaction, for which other commits may have to wait.
const BATCH: usize = 500;

/// The pause after a batch, as a fraction of the time that the batch took: a large purge must not take more than about half of
/// what the store can do.
const PAUSE: f64 = 0.4;

/// How often the hub looks for instances to be purged by the retention rules.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// How long instances are kept after they have ended. None: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    pub completed: Option<Duration>,
    pub failed: Option<Duration>,
    pub terminated: Option<Duration>,
}

impl Retention {
    fn rules(&self) -> impl Iterator<Item = (RuntimeStatus, Duration)> {
        let rules = [
            (RuntimeStatus::Completed, self.completed),
            (RuntimeStatus::Failed, self.failed),
            (RuntimeStatus::Terminated, self.terminated),
        ];
        rules.into_iter().filter_map(|(status, age)| Some((status, age?)))
    }
}

impl Hub {
    /// Removes every trace of an instance. Returns how many were removed: 1, or 0 for an entity that has no state.
    ///
    /// `NotFound` (not for entities), `NotTerminal`.
    pub async fn purge(&self, id: &InstanceId) -> Result<u64, HubError> {
        let asked = id.clone();
        if id.is_entity() {
            let exists = move |hub: &Hub| {
                let Some(record) = hub.instance(&asked)? else { return Ok::<_, HubError>(None) };
                let entity = hub.0.store.entity(record.row)?;
                Ok(Some(entity.is_some_and(|entity| entity.state.is_some())))
            };
            let Some(existed) = self.read(exists).await? else { return Ok(0) };
            self.0.post(id, Event::StatePurged).await?;
            return Ok(existed.into());
        }
        let mut record = self.read(move |hub| hub.instance(&asked)).await?;
        // Repeats only after another purge, a rewind, or a start that replaced the instance.
        loop {
            let ended = record.ok_or_else(|| HubError::NotFound(id.clone()))?;
            if !ended.status.is_terminal() {
                return Err(HubError::NotTerminal { id: id.clone(), status: ended.status });
            }
            let (removed, left) = self.0.try_purge(vec![ended]).await?;
            if removed > 0 {
                return Ok(removed);
            }
            record = left.into_iter().next();
        }
    }

    /// Removes every trace of the finished orchestrations that match, in batches. Returns how many were removed.
    ///
    /// Dropping the future stops it after the batch that is being removed.
    pub async fn purge_all(&self, selection: Selection) -> Result<u64, HubError> {
        self.0.purge_where(selection.query.clone(), |record| selection.wants(record)).await
    }
}

impl HubCore {
    async fn purge_where(
        self: &Arc<Self>,
        mut query: InstanceQuery,
        wanted: impl Fn(&InstanceRecord) -> bool,
    ) -> Result<u64, HubError> {
        if query.statuses.is_empty() {
            query.statuses.extend(RuntimeStatus::ALL);
        }
        query.statuses.retain(|status| status.is_terminal());
        if query.statuses.is_empty() {
            return Ok(0);
        }
        let mut removed = 0;
        let mut pages = self.pages_of(query.clone(), BATCH);
        while let Some(mut records) = pages.next().await? {
            let begin = Instant::now();
            records.retain(&wanted);
            while !records.is_empty() && !self.is_closing() {
                let rows: Vec<Row> = records.iter().map(|record| record.row).collect();
                let (count, left) = self.try_purge(records).await?;
                removed += count;
                let is_left = |record: &InstanceRecord| rows.contains(&record.row) && query.statuses.contains(&record.status);
                records = left.into_iter().filter(|record| is_left(record) && wanted(record)).collect();
            }
            if pages.is_last() || self.is_closing() {
                break;
            }
            tokio::time::sleep(begin.elapsed().mul_f64(PAUSE)).await;
        }
        Ok(removed)
    }

    /// Removes instances that have ended.
    pub(in crate::hub) async fn remove_ended(self: &Arc<Self>, records: Vec<InstanceRecord>) -> Result<(), HubError> {
        self.try_purge(records).await.map(drop)
    }

    /// Removes those that may be removed, and notifies followers. Returns how many that were, and the others as they are now: one
    /// that is about to be rewound may end again at once.
    async fn try_purge(self: &Arc<Self>, records: Vec<InstanceRecord>) -> Result<(u64, Vec<InstanceRecord>), HubError> {
        let (done, removed) = oneshot::channel();
        let rows = records.iter().map(|record| record.row).collect();
        self.store.purge(rows, Box::new(move |result| drop(done.send(result))));
        let removed = removed.await.unwrap_or(Err(StoreError::Closed))?;
        if removed == records.len() as u64 {
            records.iter().for_each(|record| self.changes.tell(record, true));
            return Ok((removed, Vec::new()));
        }
        let told = move |hub: &Arc<HubCore>| {
            let mut left = Vec::new();
            for record in records {
                match hub.store.instance(&record.id)? {
                    Some(now) => left.push(now),
                    None => hub.changes.tell(&record, true),
                }
            }
            Ok::<_, HubError>((removed, left))
        };
        self.read(told).await
    }
}

/// Spawns the loop that purges instances by the retention rules while the hub is open.
pub(in crate::hub) fn spawn_retention(hub: &Arc<HubCore>, retention: Retention) {
    if retention.rules().next().is_none() {
        return;
    }
    let inner = hub.clone();
    hub.tokio.spawn(async move { restart_on_panic("the loop of the retention", || inner.retain(retention)).await });
}

impl HubCore {
    async fn retain(self: &Arc<Self>, retention: Retention) {
        while !self.is_closing() {
            for (status, age) in retention.rules() {
                let until = Timestamp(now().0.saturating_sub(age.as_micros().try_into().unwrap_or(i64::MAX)));
                // Created no later than it ended: the index finds a superset.
                let query = InstanceQuery { created_to: Some(until), statuses: vec![status], ..InstanceQuery::default() };
                match self.purge_where(query, |record| record.updated <= until).await {
                    Ok(0) => {}
                    Ok(removed) => tracing::info!(removed, status = status.name(), "removed instances that ended long ago"),
                    Err(error) => tracing::error!(%error, "instances that ended long ago could not be removed"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETENTION_INTERVAL) => {}
                () = self.closed() => {}
            }
        }
    }
}
