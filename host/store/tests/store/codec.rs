//! Stored bytes: this release reads what every release wrote, and damaged bytes cause nothing but errors.

use std::path::PathBuf;

use dacapo_core::{EventDelivery, InstanceRecord, Row, VersionId};
use dacapo_store::conformance::sample::{execution, id};
use dacapo_store::{StoreError, codec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::from_env;
use crate::samples::Samples;

/// Encoded values, each with its kind.
fn encoded(samples: &Samples) -> Vec<(&'static str, Vec<u8>)> {
    let mut values: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let events = &samples.events;
    values.push(("history", codec::encode_history(events)));
    values.push(("history", codec::encode_history(&[])));
    values.extend(events.iter().map(|event| ("history", codec::encode_history(std::slice::from_ref(event)))));
    values.extend(samples.records.iter().map(|record| ("record", codec::encode_record(record))));
    values.extend(samples.messages.iter().map(|message| ("message", codec::encode_message(message))));
    values.push(("timer", codec::encode_timer(&id("a"), execution("a"))));
    values.extend(samples.apps.iter().map(|app| ("app", codec::encode_app(app))));
    values.push(("counters", codec::encode_counters(samples.counters)));
    values.push(("format", codec::encode_hub_format()));
    values.extend(samples.entities.iter().map(|entity| ("entity", codec::encode_entity(entity))));
    values.extend(samples.announcements.iter().map(|of| ("announcement", codec::encode_announcement(of))));
    values.extend(samples.zones.iter().map(|zone| ("zone", codec::encode_zone(zone))));
    values
}

/// The activity that has started an instance recognises it by the execution that it was started as.
#[test]
fn an_instance_that_has_continued_as_new_keeps_the_execution_that_it_was_started_as() {
    let records = Samples::of_the_first_release().records;
    for record in records {
        let continued = InstanceRecord { execution: execution("the next one"), row: Row(1), ..record };
        assert_ne!(continued.first_execution, continued.execution);
        assert_eq!(codec::decode_record(Row(1), &codec::encode_record(&continued)).unwrap(), continued);
    }
}

/// The values of `encoded`, as text.
fn meant(samples: Samples) -> Vec<String> {
    let mut meant = Vec::new();
    meant.push(format!("{:?}", samples.events));
    meant.push("[]".into());
    meant.extend(samples.events.into_iter().map(|event| format!("{:?}", [event])));
    meant.extend(samples.records.into_iter().map(|record| format!("{:?}", InstanceRecord { row: Row(1), ..record })));
    meant.extend(samples.messages.into_iter().map(|message| format!("{message:?}")));
    meant.push(format!("{:?}", (id("a"), execution("a"))));
    meant.extend(samples.apps.into_iter().map(|app| format!("{app:?}")));
    meant.push(format!("{:?}", samples.counters));
    meant.push("()".into());
    meant.extend(samples.entities.into_iter().map(|entity| format!("{entity:?}")));
    meant.extend(samples.announcements.into_iter().map(|announcement| format!("{announcement:?}")));
    meant.extend(samples.zones.into_iter().map(|zone| format!("{zone:?}")));
    meant
}

fn decode(kind: &str, bytes: &[u8]) -> Result<String, StoreError> {
    Ok(match kind {
        "history" => {
            let mut events = Vec::new();
            codec::decode_history(bytes, &mut events)?;
            format!("{events:?}")
        }
        "record" => {
            let record = codec::decode_record(Row(1), bytes)?;
            let guard = codec::decode_commit_guard(bytes)?;
            assert_eq!(
                (guard.status, &guard.turns, guard.execution, &guard.id),
                (record.status, &record.turns, record.execution, &record.id)
            );
            let listing_fields = codec::decode_listing_fields(bytes)?;
            assert_eq!((listing_fields.status, listing_fields.created), (record.status, record.created));
            format!("{record:?}")
        }
        "message" => format!("{:?}", codec::decode_message(bytes)?),
        "timer" => format!("{:?}", codec::decode_timer(bytes)?),
        "app" => format!("{:?}", codec::decode_app("shop", VersionId([0xab; 32]), bytes)?),
        "counters" => format!("{:?}", codec::decode_counters(bytes)?),
        "format" => format!("{:?}", codec::check_hub_format(bytes)?),
        "entity" => format!("{:?}", codec::decode_entity(bytes)?),
        "announcement" => format!("{:?}", codec::decode_announcement(bytes)?),
        "zone" => format!("{:?}", codec::decode_zone(bytes)?),
        other => panic!("unknown kind of value: {other}"),
    })
}

#[test]
fn values_read_what_was_written() {
    for samples in [Samples::of_the_first_release, Samples::of_the_second_release, Samples::of_this_release] {
        for ((kind, bytes), meant) in encoded(&samples()).into_iter().zip(meant(samples())) {
            assert_eq!(decode(kind, &bytes).expect("it was written just now"), meant);
        }
    }
}

fn golden(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = std::fs::read_to_string(&path).expect("the golden file");
    let line = |line: &str| {
        let (kind, bytes) = line.split_once(' ').expect("kind and bytes");
        (kind.to_owned(), unhex(bytes))
    };
    text.lines().map(line).collect()
}

fn expect_golden(file: &str, meant: &[String]) {
    let values = golden(file);
    assert_eq!(values.len(), meant.len(), "the golden file holds one of everything");
    for ((kind, bytes), meant) in values.iter().zip(meant) {
        assert_eq!(decode(kind, bytes).expect("a released format"), *meant);
    }
}

/// `tests/golden/v1.txt` was written by the first release and is never written again. The values of later releases are in further
/// files beside it.
#[test]
fn what_the_first_release_wrote_is_still_read() {
    expect_golden("v1.txt", &meant(Samples::of_the_first_release()));
}

#[test]
fn what_the_second_release_wrote_is_still_read() {
    expect_golden("v2.txt", &meant(Samples::of_the_second_release()));
}

#[test]
fn what_the_third_release_wrote_is_still_read() {
    expect_golden("v3.txt", &meant(Samples::of_the_third_release()));
}

#[test]
fn what_the_fourth_release_wrote_is_still_read() {
    expect_golden("v4.txt", &meant(Samples::of_the_fourth_release()));
}

#[test]
fn what_the_fifth_release_wrote_is_still_read() {
    expect_golden("v5.txt", &meant(Samples::of_the_fifth_release()));
}

/// `tests/golden/v6.txt` has the values that this release writes. It is written again only with DACAPO_WRITE_GOLDEN=1, and only
/// before the release.
#[test]
fn what_this_release_writes_is_read() {
    if std::env::var_os("DACAPO_WRITE_GOLDEN").is_some() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v6.txt");
        let line = |(kind, bytes): (&str, Vec<u8>)| format!("{kind} {}\n", hex(&bytes));
        let lines = encoded(&Samples::of_this_release()).into_iter().map(line);
        std::fs::write(&path, lines.collect::<String>()).expect("a writable repository");
    }
    expect_golden("v6.txt", &meant(Samples::of_this_release()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len() / 2).map(|pair| digits(pair * 2)).collect()
}

/// Executions that were recorded before the rule of event delivery changed are replayed with the rule of that time.
#[test]
fn a_record_keeps_to_whom_its_execution_gives_events() {
    for event_delivery in [EventDelivery::FirstMade, EventDelivery::FirstAsked] {
        let record = InstanceRecord { event_delivery, ..Samples::of_this_release().records.remove(0) };
        let read = codec::decode_record(record.row, &codec::encode_record(&record)).expect("it was written just now");
        assert_eq!(read, record);
    }
}

#[test]
fn fields_that_a_later_release_adds_are_skipped() {
    let samples = Samples::of_this_release;
    for ((kind, mut bytes), meant) in encoded(&samples()).into_iter().zip(meant(samples())) {
        bytes.extend([1, 2, 3, 200]);
        assert_eq!(decode(kind, &bytes).expect("known fields and then some"), meant);
    }
}

#[test]
fn a_later_format_is_named_as_such() {
    for (kind, mut bytes) in encoded(&Samples::of_this_release()) {
        bytes[0] = 2;
        let error = decode(kind, &bytes).expect_err("format 2 is not known");
        assert!(matches!(error, StoreError::NewerFormat { found: 2, known: 1, .. }), "{kind}: {error}");
        assert!(error.to_string().contains("use a newer release"), "{error}");
    }
}

#[test]
fn a_kind_of_event_from_a_later_release_is_named_as_such() {
    // Format 1; a block of one event: its time, kind 99, no fields.
    let error = decode("history", &[1, 3, 0, 99, 0]).expect_err("kind 99 is not known");
    assert!(matches!(error, StoreError::NewerFormat { what: "a history", found: 99, .. }), "{error}");
}

#[test]
fn a_value_that_was_cut_off_is_damaged() {
    // Except where the missing bytes are fields that later releases have added.
    let earlier = ["v1.txt", "v2.txt", "v3.txt", "v4.txt", "v5.txt"].into_iter().flat_map(golden);
    let has_grown = |kind: &str| matches!(kind, "counters" | "record" | "app");
    let complete: Vec<_> = earlier.filter(|(kind, _)| has_grown(kind)).map(|(_, bytes)| bytes).collect();
    for (kind, bytes) in encoded(&Samples::of_this_release()) {
        for length in 0..bytes.len() {
            match decode(kind, &bytes[..length]) {
                Err(StoreError::Corrupt(_)) => {}
                Ok(_) if complete.iter().any(|complete| *complete == bytes[..length]) => {}
                other => panic!("{kind} cut to {length} of {} bytes gave {other:?}", bytes.len()),
            }
        }
    }
}

#[test]
fn no_bytes_do_harm() {
    let seed = from_env("DACAPO_SEED", 1);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let values = encoded(&Samples::of_this_release());
    for _ in 0..from_env("DACAPO_ROUNDS", 60_000) {
        let (kind, mut bytes) = values[rng.random_range(0..values.len())].clone();
        match rng.random_range(0..4) {
            0 => {
                bytes = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
                if let Some(format) = bytes.first_mut() {
                    *format = codec::FORMAT;
                }
            }
            1 => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => {
                // Very large lengths.
                let at = rng.random_range(0..bytes.len());
                let end = bytes.len().min(at + rng.random_range(1..12));
                bytes[at..end].fill(0xff);
            }
            _ => {
                let at = rng.random_range(0..bytes.len());
                let other = &values[rng.random_range(0..values.len())].1;
                bytes.truncate(at);
                bytes.extend(&other[rng.random_range(0..other.len())..]);
            }
        }
        // Any result will do; it must not panic.
        let _ = decode(kind, &bytes);
    }
}
