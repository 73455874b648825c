//! The zones that a transaction has touched: changed in memory, and written once at its end.

use std::collections::BTreeMap;

use ::redb::{ReadableTable, Table, WriteTransaction};
use dacapo_core::Row;

use crate::codec::{self, ListingFields, Zone};
use crate::redb::fault::Fault;
use crate::redb::tables::{RECORDS, ZONES};

pub(super) struct Zones<'txn> {
    table: Table<'txn, u64, &'static [u8]>,
    touched: BTreeMap<u64, Touched>,
}

struct Touched {
    stored: Zone,
    now: Zone,
}

impl<'txn> Zones<'txn> {
    pub fn new(table: Table<'txn, u64, &'static [u8]>) -> Self {
        Self { table, touched: BTreeMap::new() }
    }

    /// Notes that a record was written, new or over another.
    pub fn set(&mut self, row: Row, record: ListingFields) -> Result<(), Fault> {
        self.touch(row)?.set(row, record);
        Ok(())
    }

    /// Notes that a record was removed.
    pub fn clear(&mut self, row: Row) -> Result<(), Fault> {
        self.touch(row)?.clear(row);
        Ok(())
    }

    /// Writes the touched zones. Returns the change of the number of living instances.
    pub fn write(&mut self) -> Result<i64, Fault> {
        let mut born = 0;
        for (number, Touched { stored, now }) in std::mem::take(&mut self.touched) {
            born += now.alive() as i64 - stored.alive() as i64;
            if now.is_empty() {
                self.table.remove(number)?;
            } else if now != stored {
                insert(&mut self.table, number, &now)?;
            }
        }
        Ok(born)
    }

    fn touch(&mut self, row: Row) -> Result<&mut Zone, Fault> {
        let number = Zone::of(row);
        if !self.touched.contains_key(&number) {
            let stored = self.table.get(number)?.map(|zone| codec::decode_zone(zone.value())).transpose()?;
            let stored = stored.unwrap_or(Zone::EMPTY);
            self.touched.insert(number, Touched { now: stored.clone(), stored });
        }
        Ok(&mut self.touched.get_mut(&number).expect("it was put there").now)
    }
}

/// Rebuilds all zones from the records.
pub(in crate::redb) fn build_zones(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.delete_table(ZONES)?;
    let (records, mut zones) = (txn.open_table(RECORDS)?, txn.open_table(ZONES)?);
    let (mut number, mut zone) = (0, Zone::EMPTY);
    for entry in records.iter()? {
        let (row, record) = entry?;
        let next = Zone::of(Row(row.value()));
        if next != number {
            insert(&mut zones, number, &zone)?;
            (number, zone) = (next, Zone::EMPTY);
        }
        zone.set(Row(row.value()), codec::decode_listing_fields(record.value())?);
    }
    insert(&mut zones, number, &zone)
}

fn insert(zones: &mut Table<'_, u64, &'static [u8]>, number: u64, zone: &Zone) -> Result<(), Fault> {
    if !zone.is_empty() {
        zones.insert(number, codec::encode_zone(zone).as_slice())?;
    }
    Ok(())
}
