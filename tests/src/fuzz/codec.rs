//! Bytes as stored values: decoding them gives a value or an error; and a value survives encoding and decoding.

use std::fmt::Debug;

use dacapo_core::{Row, VersionId};
use dacapo_store::{StoreError, codec};

pub fn target(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 10 {
        0 => check(bytes, history, |events| codec::encode_history(events)),
        1 => check(bytes, |bytes| codec::decode_record(Row(1), bytes), codec::encode_record),
        2 => check(bytes, codec::decode_message, codec::encode_message),
        3 => check(bytes, codec::decode_timer, |(instance, execution)| codec::encode_timer(instance, *execution)),
        4 => check(bytes, |bytes| codec::decode_app("shop", VersionId([0; 32]), bytes), codec::encode_app),
        5 => check(bytes, codec::decode_counters, |counters| codec::encode_counters(*counters)),
        6 => check(bytes, codec::decode_entity, codec::encode_entity),
        7 => check(bytes, codec::decode_announcement, codec::encode_announcement),
        8 => check(bytes, codec::decode_zone, codec::encode_zone),
        _ => {
            let (guard, listing_fields) = (codec::decode_commit_guard(bytes), codec::decode_listing_fields(bytes));
            if let Ok(record) = codec::decode_record(Row(1), bytes) {
                assert_eq!(guard.expect("a record begins with it").id, record.id);
                assert_eq!(listing_fields.expect("a record has one").created, record.created);
            }
        }
    }
}

fn history(bytes: &[u8]) -> Result<Vec<dacapo_core::HistoryEvent>, StoreError> {
    let mut events = Vec::new();
    codec::decode_history(bytes, &mut events)?;
    Ok(events)
}

fn check<T: Debug>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, StoreError>, encode: impl Fn(&T) -> Vec<u8>) {
    let Ok(value) = decode(bytes) else { return };
    let again = decode(&encode(&value)).expect("what was written can be read");
    assert_eq!(format!("{value:?}"), format!("{again:?}"));
}
