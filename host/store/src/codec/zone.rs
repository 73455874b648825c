//! Zones: summaries of the records of neighbouring rows, so that a listing reads only records that may match.

use std::ops::RangeInclusive;

use dacapo_core::{Row, RuntimeStatus, Timestamp};

use super::event::{read_time, write_time};
use super::wire::{Bad, Result};
use super::{ListingFields, decode, status_of, value};
use crate::InstanceQuery;

/// The records of [`Zone::ROWS`] neighbouring rows: the status of each, and when they were created. Rows are allocated in about
/// the order in which instances are created, so the times in a zone lie close together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// By the row's index in the zone. None: there is no record.
    pub statuses: [Option<RuntimeStatus>; Self::ROWS],
    /// No record was created before. May be earlier than necessary after records were removed.
    pub created_from: Timestamp,
    /// No record was created after. May be later than necessary after records were removed.
    pub created_to: Timestamp,
}

/// The code of no record. Two statuses share a byte.
const NO_RECORD: u8 = 15;

impl Zone {
    /// Few enough that a row of this table stays small, many enough that a million instances have few zones.
    pub const ROWS: usize = 256;

    pub const EMPTY: Self =
        Self { statuses: [None; Self::ROWS], created_from: Timestamp(i64::MAX), created_to: Timestamp(i64::MIN) };

    /// The number of the zone that a row belongs to.
    pub fn of(row: Row) -> u64 {
        row.0 / Self::ROWS as u64
    }

    /// The rows of the zone with this number.
    pub fn rows(number: u64) -> RangeInclusive<u64> {
        let first = number.saturating_mul(Self::ROWS as u64);
        first..=first.saturating_add(Self::ROWS as u64 - 1)
    }

    pub fn is_empty(&self) -> bool {
        self.statuses.iter().all(Option::is_none)
    }

    /// How many of its instances have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.statuses.iter().flatten().filter(|status| !status.is_terminal()).count()
    }

    /// Notes that a record was written, new or over another.
    pub fn set(&mut self, row: Row, record: ListingFields) {
        if self.is_empty() {
            *self = Self::EMPTY;
        }
        self.statuses[place(row)] = Some(record.status);
        self.created_from = self.created_from.min(record.created);
        self.created_to = self.created_to.max(record.created);
    }

    /// Notes that a record was removed.
    pub fn clear(&mut self, row: Row) {
        self.statuses[place(row)] = None;
    }

    /// The rows that may match the query. The zone is the one with this number.
    pub(crate) fn candidates(&self, number: u64, query: &InstanceQuery) -> impl Iterator<Item = Row> {
        let none = query.created_from.is_some_and(|from| self.created_to < from)
            || query.created_to.is_some_and(|to| self.created_from > to);
        let statuses = if none { &[] } else { self.statuses.as_slice() };
        let rows = Self::rows(number).zip(statuses);
        rows.filter(|(_, status)| status.is_some_and(|status| query.wants_status(status))).map(|(row, _)| Row(row))
    }
}

fn place(row: Row) -> usize {
    (row.0 % Zone::ROWS as u64) as usize
}

pub fn encode_zone(zone: &Zone) -> Vec<u8> {
    let number = |status: Option<RuntimeStatus>| status.map_or(NO_RECORD, |status| status as u8);
    let mut w = value(160);
    write_time(&mut w, zone.created_from);
    w.number(zone.created_to.0.wrapping_sub(zone.created_from.0) as u64);
    w.block(|w| zone.statuses.chunks(2).for_each(|pair| w.byte(number(pair[0]) | number(pair[1]) << 4)));
    w.finish()
}

pub fn decode_zone(bytes: &[u8]) -> crate::Result<Zone> {
    decode("a zone", bytes, |r| {
        let created_from = read_time(r)?;
        let created_to = Timestamp(created_from.0.wrapping_add(r.number()? as i64));
        let mut list = r.block()?;
        let mut statuses = [None; Zone::ROWS];
        for pair in statuses.chunks_mut(2) {
            let byte = list.byte()?;
            pair[0] = read_status(byte & 15)?;
            pair[1] = read_status(byte >> 4)?;
        }
        Ok(Zone { statuses, created_from, created_to })
    })
}

fn read_status(number: u8) -> Result<Option<RuntimeStatus>> {
    match number {
        NO_RECORD => Ok(None),
        number => status_of(number).map(Some).ok_or(Bad::Malformed("a status is unknown")),
    }
}
