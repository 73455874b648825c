//! Removes instances: purged ones, vanished ones, and the rows of replaced ones.

use ::redb::ReadableTable;
use dacapo_core::{InstanceId, Row};

use super::{Rejected, Tables};
use crate::redb::fault::Fault;
use crate::redb::prepare::Prepared;

/// An instance that is to be purged.
struct Ended {
    row: u64,
    id: InstanceId,
}

impl Tables<'_> {
    /// Removes those of these instances that have ended. Returns how many.
    ///
    /// Timers, which are not found by row, need no removal: an instance that ends clears them.
    pub fn purge(&mut self, rows: &[Row]) -> Result<u64, Rejected> {
        Ok(self.purge_ended(rows)?)
    }

    fn purge_ended(&mut self, rows: &[Row]) -> Result<u64, Fault> {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let mut ended = Vec::with_capacity(rows.len());
        for row in rows {
            ended.extend(self.ended(row)?);
        }
        for instance in &ended {
            self.zones.clear(Row(instance.row))?;
        }
        // Instances that were made one after the other have neighbouring rows, which are removed in one range.
        for span in ended.chunk_by(|one, next| one.row + 1 == next.row) {
            let (first, last) = (span.first().map_or(0, |one| one.row), span.last().map_or(0, |one| one.row));
            self.remove_span(first, last)?;
        }
        ended.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        for instance in &ended {
            self.ids.remove(instance.id.as_str())?;
        }
        Ok(ended.len() as u64)
    }

    /// The instance in this row, if it is an orchestration that has ended and was not replaced. Not one that is about to be
    /// rewound: its parent waits for it.
    fn ended(&self, row: Row) -> Result<Option<Ended>, Fault> {
        let Some(guard) = self.guard(row)? else { return Ok(None) };
        if !guard.status.is_terminal() || guard.id.is_entity() {
            return Ok(None);
        }
        let holder = self.ids.get(guard.id.as_str())?.map(|row| row.value());
        Ok((holder == Some(row.0) && self.rewinds(row)?.is_empty()).then_some(Ended { row: row.0, id: guard.id }))
    }

    /// Removes the entity, unless its inbox holds a message that the turn did not know of.
    pub(super) fn vanish(&mut self, commit: &Prepared) -> Result<(), Fault> {
        let row = commit.row.0;
        if self.inbox.range((row, 0)..=(row, u64::MAX))?.next().transpose()?.is_some() {
            return Ok(());
        }
        self.ids.remove(commit.id.as_str())?;
        self.states.remove(row)?;
        self.remove_rows(commit.row)
    }

    /// Removes an instance's rows, except its id and an entity's state.
    pub(super) fn remove_rows(&mut self, row: Row) -> Result<(), Fault> {
        self.zones.clear(row)?;
        self.remove_span(row.0, row.0)
    }

    fn remove_span(&mut self, first: u64, last: u64) -> Result<(), Fault> {
        self.records.retain_in(first..=last, |_, _| false)?;
        self.history.retain_in((first, 0)..=(last, u32::MAX), |_, _| false)?;
        self.inbox.retain_in((first, 0)..=(last, u64::MAX), |_, _| false)?;
        self.activities.retain_in((first, 0)..=(last, u32::MAX), |_, _| false)?;
        self.forget_once(first, last)
    }
}
