//! A disk that is full or fails: a commit then fails with a clear error and stores nothing, reads still work, and commits work
//! again when there is space.

use std::sync::mpsc;
use std::time::Duration;

use dacapo_core::{Commit, Row, RuntimeStatus};
use dacapo_store::conformance::sample::{self, Instance};
use dacapo_store::conformance::{commit, everything, purge};
use dacapo_store::redb::Medium;
use dacapo_store::{AppChange, AppVersion, RedbStore, Store, StoreError, StoreOptions};
use redb::{Database, TableDefinition};

use crate::disk::{Disk, SyncFault};

fn open(disk: &Disk) -> RedbStore {
    let options = StoreOptions { cache_bytes: 256 << 10, reopen_pause: Duration::ZERO, ..StoreOptions::default() };
    RedbStore::open_on(disk.clone(), options).expect("a disk that works")
}

/// Makes a new instance, with a history of some kilobytes.
fn heavy_start(store: &RedbStore, name: &str) -> (Instance, Commit) {
    let mut instance = Instance::new(name, store.next_row());
    let padding = dacapo_core::Event::EventRaised { name: "padding".into(), data: format!("{:?}", "x".repeat(10_000)).into() };
    let change = instance.turn(vec![instance.started(), padding]);
    (instance, change)
}

#[test]
fn a_full_disk_fails_commits_and_nothing_else() {
    let disk = Disk::default();
    let store = open(&disk);
    let (first, change) = heavy_start(&store, "first");
    commit(&store, change).expect("there is room");
    for round in 0..3 {
        // From no space at all to enough for a few commits.
        disk.leave_room(Some(round * 40));
        let (mut stored, mut failed) = (0, 0);
        while failed < 3 {
            let (_, change) = heavy_start(&store, &format!("i-{round}-{stored}"));
            let before = everything(&store);
            match commit(&store, change) {
                Ok(_) => stored += 1,
                Err(StoreError::DiskFull(_)) => {
                    failed += 1;
                    assert_eq!(everything(&store), before, "nothing of it is stored, and all can be read");
                }
                Err(other) => panic!("expected the error of a full disk: {other:?}"),
            }
            assert!(stored < 1_000, "the disk must fill up");
        }
        assert!(matches!(store.change_app(&app()), Err(StoreError::DiskFull(_)) | Ok(())));
        disk.leave_room(None);
        let (_, change) = heavy_start(&store, &format!("after-{round}"));
        commit(&store, change).expect("there is room again");
        assert_eq!(store.instance(&first.record.id).expect("readable"), Some(first.record.clone()));
    }
    let before = everything(&store);
    drop(store);
    assert_eq!(everything(&open(&disk)), before);
}

fn app() -> AppChange {
    let version = AppVersion {
        app: "app".into(),
        version: dacapo_core::VersionId([1; 32]),
        deployed_at: sample::at(0),
        label: "x".repeat(20_000),
        functions: vec![],
        triggers: vec![],
        route_prefix: None,
        versioning: Default::default(),
        size: 0,
        weight: 0,
        activated_at: None,
    };
    AppChange { app: "app".into(), active: Some(version.version), put: vec![version], removed: vec![] }
}

#[test]
fn a_full_disk_fails_the_whole_group() {
    let disk = Disk::default();
    let store = open(&disk);
    disk.leave_room(Some(60));
    let (sender, receiver) = mpsc::channel();
    for number in 0..200 {
        let (instance, change) = heavy_start(&store, &format!("i-{number}"));
        let sender = sender.clone();
        store.commit(change, Box::new(move |result| sender.send((instance.record, result)).expect("the test waits")));
    }
    drop(sender);
    let mut failed = 0;
    for (record, result) in receiver {
        match result {
            Ok(_) => assert_eq!(store.instance(&record.id).expect("readable"), Some(record)),
            Err(StoreError::DiskFull(_)) => {
                failed += 1;
                assert_eq!(store.instance(&record.id).expect("readable"), None);
            }
            Err(other) => panic!("expected the error of a full disk: {other:?}"),
        }
    }
    assert!(failed > 0);
    disk.leave_room(None);
    let (_, change) = heavy_start(&store, "after");
    commit(&store, change).expect("there is room again");
}

#[test]
fn a_sync_that_fails_after_it_wrote_everything_is_told_as_it_is() {
    let disk = Disk::default();
    let store = open(&disk);
    for fault in [SyncFault::AfterWriting, SyncFault::Losing] {
        let (instance, change) = heavy_start(&store, &format!("{fault:?}"));
        disk.fail_next_sync(fault);
        let stored = match fault {
            SyncFault::AfterWriting => {
                commit(&store, change).expect("it is stored");
                Some(instance.record.clone())
            }
            SyncFault::Losing => {
                assert!(matches!(commit(&store, change), Err(StoreError::Backend(_))));
                None
            }
        };
        assert_eq!(store.instance(&instance.record.id).expect("readable"), stored);
        let (_, change) = heavy_start(&store, &format!("after {fault:?}"));
        commit(&store, change).expect("the disk works again");
    }
    let before = everything(&store);
    drop(store);
    assert_eq!(everything(&open(&disk)), before);
}

/// Makes instances that have ended, each with a history of some kilobytes.
fn ended(store: &RedbStore, names: std::ops::Range<u32>) -> Vec<Row> {
    let mut rows = Vec::new();
    for number in names {
        let (mut instance, change) = heavy_start(store, &format!("i-{number}"));
        commit(store, change).expect("there is room");
        commit(store, instance.end(RuntimeStatus::Completed)).expect("there is room");
        rows.push(instance.record.row);
    }
    rows
}

#[test]
fn a_purge_that_fails_purges_nothing() {
    let disk = Disk::default();
    let store = open(&disk);
    let rows = ended(&store, 0..30);
    let before = everything(&store);
    disk.fail_next_sync(SyncFault::Losing);
    assert!(matches!(purge(&store, rows.clone()), Err(StoreError::Backend(_))));
    assert_eq!(everything(&store), before);
    disk.fail_next_sync(SyncFault::AfterWriting);
    assert_eq!(purge(&store, rows[..10].to_vec()).expect("it is stored"), 10);
    assert_eq!(purge(&store, rows).expect("the disk works again"), 20);
    assert_eq!(store.stats().expect("readable").turns, 0);
}

#[test]
fn a_read_that_fails_once_is_repeated() {
    let disk = Disk::default();
    let store = open(&disk);
    let mut all = Vec::new();
    for number in 0..100 {
        let (instance, change) = heavy_start(&store, &format!("i-{number}"));
        commit(&store, change).expect("there is room");
        all.push(instance.record);
    }
    for record in &all {
        disk.fail_reads(1);
        assert_eq!(store.history(record.row, 0..1).expect("read the second time").len(), 3);
    }
    disk.fail_reads(0);
    let (_, change) = heavy_start(&store, "after");
    commit(&store, change).expect("the disk works");
}

#[test]
fn a_disk_that_comes_back_is_taken_up_again() {
    let disk = Disk::default();
    let store = open(&disk);
    let (instance, change) = heavy_start(&store, "a");
    commit(&store, change).expect("there is room");
    disk.fail_reads(u32::MAX);
    let (_, change) = heavy_start(&store, "b");
    assert!(matches!(commit(&store, change), Err(StoreError::Backend(_)) | Ok(_)));
    let missing = (0..50).find_map(|row| store.history(dacapo_core::Row(row), 0..9).err());
    disk.fail_reads(0);
    println!("while it failed: {missing:?}");
    assert_eq!(store.instance(&instance.record.id).expect("the disk is back"), Some(instance.record));
    let (_, change) = heavy_start(&store, "c");
    commit(&store, change).expect("the disk is back");
}

#[test]
fn damage_that_a_commit_meets_fails_that_commit_alone() {
    let disk = Disk::default();
    let store = open(&disk);
    let mut instances = ["damaged", "sender", "other"].map(|name| Instance::new(name, store.next_row()));
    for instance in &mut instances {
        commit(&store, instance.turn(vec![instance.started()])).expect("there is room");
    }
    drop(store);
    let [damaged, sender, other] = &mut instances;
    damage_record(&disk, damaged);
    let store = open(&disk);
    let (sender_before, other_before) = (sender.record.clone(), other.record.clone());
    // The store reaches the damaged instance after it has written the sender's own rows.
    let to_damaged = Commit { sent: vec![sample::message("damaged", sample::raised("x", 1))], ..sender.turn(vec![]) };
    let (answers, received) = mpsc::channel();
    for change in [other.turn(vec![]), to_damaged, other.turn(vec![])] {
        let answers = answers.clone();
        store.commit(change, Box::new(move |result| answers.send(result).expect("the test waits")));
    }
    let results: Vec<_> = received.iter().take(3).collect();
    assert!(matches!(results[..], [Ok(_), Err(StoreError::Corrupt(_)), Ok(_)]), "{results:?}");
    assert_eq!(store.instance(&sender.record.id).expect("readable"), Some(sender_before.clone()));
    assert_eq!(store.history(sender_before.row, 1..9).expect("readable"), vec![]);
    assert_eq!(store.instance(&other.record.id).expect("readable"), Some(other.record.clone()));
    assert_ne!(other.record, other_before);
    assert!(matches!(store.instance(&damaged.record.id), Err(StoreError::Corrupt(_))));
    // A purge that reads the damaged record fails and changes nothing.
    commit(&store, other.end(RuntimeStatus::Completed)).expect("it follows");
    let both = vec![other.record.row, damaged.record.row];
    assert!(matches!(purge(&store, both), Err(StoreError::Corrupt(_))));
    assert_eq!(store.instance(&other.record.id).expect("readable"), Some(other.record.clone()));
    assert_eq!(purge(&store, vec![other.record.row]).expect("there is room"), 1);
}

fn damage_record(disk: &Disk, instance: &Instance) {
    let database = disk.open(&Database::builder()).expect("the store has closed it");
    let txn = database.begin_write().expect("the only writer");
    let records: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
    txn.open_table(records).expect("it is there").insert(instance.record.row.0, [1u8, 200].as_slice()).expect("there is room");
    txn.commit().expect("there is room");
}
