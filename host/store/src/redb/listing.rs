//! Listing instances: by id along the index of ids, or by row along the zones, which say which records to read.
//!
//! A page examines a bounded number of records, so that a query that matches almost nothing does not hold a thread for a scan
//! of the whole hub. Such a page is short, and has a next one.

use std::ops::Bound;

use ::redb::{AccessGuard, ReadTransaction};
use dacapo_core::{InstanceId, Row};

use super::read::{Result, corrupt};
use super::tables::{IDS, RECORDS, ZONES};
use crate::codec::{self, Zone};
use crate::{Cursor, InstanceQuery, Page, StoreError};

/// Records that one page examines. Each costs a lookup, a microsecond or two.
const RECORDS_MAX: usize = 1_000;
/// Zones that one page examines, most of which it skips: those of 4 million instances.
const ZONES_MAX: usize = 16_384;

pub(super) fn instances(txn: &ReadTransaction, query: &InstanceQuery, after: Option<&Cursor>, limit: usize) -> Result<Page> {
    match (query.id_prefix.is_empty(), after) {
        (true, Some(Cursor::Row(after))) => by_row(txn, query, after.0.saturating_add(1), limit),
        (true, Some(Cursor::Id(_)) | None) => by_row(txn, query, 0, limit),
        (false, Some(Cursor::Id(after))) if *after.as_str() >= *query.id_prefix => {
            by_id(txn, query, Bound::Excluded(after.as_str()), limit)
        }
        (false, _) => by_id(txn, query, Bound::Included(&query.id_prefix), limit),
    }
}

fn by_id(txn: &ReadTransaction, query: &InstanceQuery, from: Bound<&str>, limit: usize) -> Result<Page> {
    let records = txn.open_table(RECORDS)?;
    let mut page = Page::default();
    let mut last = None;
    for (looked_at, entry) in txn.open_table(IDS)?.range::<&str>((from, Bound::Unbounded))?.enumerate() {
        let (id, row) = entry?;
        if !id.value().starts_with(&query.id_prefix) {
            break;
        }
        let row = Row(row.value());
        let Some(bytes) = records.get(row.0)? else {
            return corrupt(format!("the instance '{}' in row {} is missing", id.value(), row.0));
        };
        let wanted = query.wants(codec::decode_listing_fields(bytes.value())?);
        if looked_at == RECORDS_MAX || (wanted && page.records.len() == limit) {
            page.next = last.map(after_id).transpose()?;
            break;
        }
        if wanted {
            page.records.push(codec::decode_record(row, bytes.value())?);
        }
        last = Some(id);
    }
    Ok(page)
}

fn after_id(id: AccessGuard<'_, &'static str>) -> Result<Cursor> {
    let id = InstanceId::stored(id.value()).map_err(|error| StoreError::Corrupt(format!("an id in the index: {error}")))?;
    Ok(Cursor::Id(id))
}

fn by_row(txn: &ReadTransaction, query: &InstanceQuery, first: u64, limit: usize) -> Result<Page> {
    let records = txn.open_table(RECORDS)?;
    let (mut page, mut looked_at) = (Page::default(), 0);
    for (passed, entry) in txn.open_table(ZONES)?.range(Zone::of(Row(first))..)?.enumerate() {
        let (number, zone) = entry?;
        let number = number.value();
        if passed == ZONES_MAX {
            page.next = Some(before(*Zone::rows(number).start()));
            return Ok(page);
        }
        let zone = codec::decode_zone(zone.value())?;
        for row in zone.candidates(number, query).filter(|row| row.0 >= first) {
            let Some(bytes) = records.get(row.0)? else {
                return corrupt(format!("the instance in row {} is missing", row.0));
            };
            let wanted = query.wants(codec::decode_listing_fields(bytes.value())?);
            if looked_at == RECORDS_MAX || (wanted && page.records.len() == limit) {
                page.next = Some(before(row.0));
                return Ok(page);
            }
            looked_at += 1;
            if wanted {
                page.records.push(codec::decode_record(row, bytes.value())?);
            }
        }
    }
    Ok(page)
}

fn before(row: u64) -> Cursor {
    Cursor::Row(Row(row.saturating_sub(1)))
}
