//! Checks the zones of a closed hub against its records.

use std::collections::BTreeMap;

use dacapo_core::Row;
use dacapo_store::codec::{self, Zone};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
pub const ZONES: TableDefinition<u64, &[u8]> = TableDefinition::new("zones");

/// The statuses must be exact; the time range must include all records, and may be wider after some were removed.
pub fn assert_exact(database: &Database) {
    let txn = database.begin_read().expect("readable");
    let mut expected: BTreeMap<u64, Zone> = BTreeMap::new();
    for entry in txn.open_table(RECORDS).expect("it is there").iter().expect("readable") {
        let (row, record) = entry.expect("readable");
        let listing_fields = codec::decode_listing_fields(record.value()).expect("readable");
        let row = Row(row.value());
        expected.entry(Zone::of(row)).or_insert(Zone::EMPTY).set(row, listing_fields);
    }
    let mut stored = BTreeMap::new();
    for entry in txn.open_table(ZONES).expect("it is there").iter().expect("readable") {
        let (number, zone) = entry.expect("readable");
        stored.insert(number.value(), codec::decode_zone(zone.value()).expect("readable"));
    }
    assert!(stored.keys().eq(expected.keys()), "no zone may be missing or empty: {stored:?} for {expected:?}");
    for (number, expected) in expected {
        let zone = &stored[&number];
        assert_eq!(zone.statuses, expected.statuses, "zone {number}");
        let holds = zone.created_from <= expected.created_from && zone.created_to >= expected.created_to;
        assert!(holds, "zone {number}: {zone:?} for {expected:?}");
    }
}
