//! Restores an instance from another hub.

use ::redb::ReadableTable;
use dacapo_core::{MessageKey, Row};

use super::{Rejected, Tables};
use crate::redb::fault::Fault;
use crate::redb::prepare::Restored;
use crate::redb::read::{events_of, messages_of, timers_of};
use crate::{Receipt, StoreError};

impl Tables<'_> {
    /// Writes the whole instance, or returns why not.
    pub fn restore(&mut self, restored: &Restored) -> Result<Receipt, Rejected> {
        let holder = self.ids.get(restored.id.as_str()).map_err(Fault::from)?.map(|row| Row(row.value()));
        if holder.is_some() && !restored.replaces {
            let reason = "an instance with this id exists".into();
            return Err(Rejected::Refused(StoreError::Stale { instance: restored.id.clone(), reason }));
        }
        Ok(self.write_restored(restored, holder)?)
    }

    fn write_restored(&mut self, restored: &Restored, holder: Option<Row>) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::default();
        if let Some(holder) = holder {
            receipt.delivered = self.remove_living(holder)?;
        }
        let row = restored.row.0;
        self.ids.insert(restored.id.as_str(), row)?;
        self.counters.next_row = self.counters.next_row.max(row + 1);
        self.records.insert(row, restored.record.as_slice())?;
        self.zones.set(restored.row, restored.listing_fields)?;
        if let Some(entity) = &restored.entity {
            self.states.insert(row, entity.as_slice())?;
        }
        for (turn, events) in &restored.history {
            self.history.insert((row, *turn), events.as_slice())?;
        }
        for timer in &restored.timers {
            self.timers.insert((timer.fire_at.0, row, timer.seq.0), restored.timer.as_slice())?;
        }
        for (seq, turn) in &restored.activities {
            self.activities.insert((row, seq.0), turn)?;
        }
        for sent in &restored.inbox {
            let number = self.store_message(restored.row, &sent.bytes)?;
            receipt.delivered.push((MessageKey { row: restored.row, number }, sent.message.clone()));
        }
        Ok(receipt)
    }

    /// Removes an instance that may be alive, with its timers: an instance that has ended has cleared its own.
    fn remove_living(&mut self, row: Row) -> Result<Vec<(MessageKey, dacapo_core::Message)>, Fault> {
        let (events, inbox) = (events_of(&self.history, row)?, messages_of(&self.inbox, row)?);
        for timer in timers_of(&self.timers, row, &events, &inbox)? {
            self.timers.remove((timer.fire_at.0, row.0, timer.seq.0))?;
        }
        self.states.remove(row.0)?;
        self.replace(row)
    }
}
