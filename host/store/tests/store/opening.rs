//! Files that the store refuses to open, with the error; and closing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dacapo_core::{Commit, InstanceRecord, Once, RuntimeStatus};
use dacapo_store::codec::{self, Counters, Zone};
use dacapo_store::conformance::sample::{self, Instance};
use dacapo_store::conformance::{commit, everything};
use dacapo_store::{RedbStore, Store, StoreError, StoreOptions};
use redb::{Database, ReadableTable, TableDefinition};

use crate::zones;

fn refusal(path: &Path) -> StoreError {
    match RedbStore::open(path, StoreOptions::default()) {
        Ok(_) => panic!("it must not be opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_host_is_told_who_is_in_its_way() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
    let error = refusal(&path);
    assert!(matches!(&error, StoreError::Locked { path: of, .. } if *of == path));
    assert!(error.to_string().contains("hub.redb is in use by another process"), "{error}");
    drop(store);
    RedbStore::open(&path, StoreOptions::default()).expect("the first has closed it");
}

#[test]
fn a_hub_of_a_newer_release_is_refused() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    drop(RedbStore::open(&path, StoreOptions::default()).expect("a new file"));
    let database = Database::open(&path).expect("it was closed");
    let txn = database.begin_write().expect("the only writer");
    let meta: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
    txn.open_table(meta).expect("it is there").insert("format", [2u8].as_slice()).expect("there is room");
    txn.commit().expect("there is room");
    drop(database);
    assert!(matches!(refusal(&path), StoreError::NewerFormat { found: 2, known: 1, .. }));
}

#[test]
fn other_files_are_refused() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let text = directory.path().join("text");
    std::fs::write(&text, "not a database, but long enough to be one. ".repeat(1_000)).expect("there is room");
    assert!(matches!(refusal(&text), StoreError::Corrupt(_)), "{:?}", refusal(&text));

    let other = directory.path().join("other.redb");
    let database = Database::create(&other).expect("a new file");
    let txn = database.begin_write().expect("the only writer");
    let table: TableDefinition<u64, u64> = TableDefinition::new("somebody else's");
    txn.open_table(table).expect("a new table").insert(1, 1).expect("there is room");
    txn.commit().expect("there is room");
    drop(database);
    assert!(matches!(refusal(&other), StoreError::Corrupt(_)), "{:?}", refusal(&other));

    assert!(matches!(refusal(&directory.path().join("no/such/directory")), StoreError::Backend(_)));
}

/// A file that had vanished, or was emptied, once silently became a new hub.
#[test]
fn a_file_that_was_made_is_never_made_again() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let existing = || RedbStore::open_existing(&path, StoreOptions::default()).map(drop);
    assert!(matches!(existing(), Err(StoreError::Missing { what: "missing", .. })));
    assert!(!path.exists());
    std::fs::write(&path, b"").expect("there is room");
    assert!(matches!(existing(), Err(StoreError::Missing { what: "empty", .. })));
    assert!(matches!(refusal(&path), StoreError::Missing { what: "empty", .. }));
    std::fs::remove_file(&path).expect("it is there");
    drop(RedbStore::open(&path, StoreOptions::default()).expect("a new file"));
    existing().expect("it was made");
}

/// Other users could once read the file.
#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    drop(RedbStore::open(&path, StoreOptions::default()).expect("a new file"));
    assert_eq!(std::fs::metadata(&path).expect("it was made").permissions().mode() & 0o777, 0o600);
}

/// redb writes its magic number last when it creates a file, and refuses a file without it. The crash test found that a host that
/// was killed in its first milliseconds could never be started again.
#[test]
fn a_host_that_was_killed_while_it_made_the_file_makes_it_again() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let unfinished = directory.path().join("hub.redb.new");
    std::fs::write(&unfinished, [0; 100_000]).expect("there is room");
    drop(RedbStore::open(&path, StoreOptions::default()).expect("a new hub"));
    assert!(path.exists() && !unfinished.exists());
}

#[test]
fn closing_writes_what_waits() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
    let durable = Arc::new(AtomicUsize::new(0));
    for number in 0..500 {
        let mut instance = Instance::new(&format!("i-{number}"), store.next_row());
        let durable = durable.clone();
        let done = move |result: Result<_, _>| {
            result.expect("it follows");
            durable.fetch_add(1, Ordering::SeqCst);
        };
        store.commit(instance.turn(vec![instance.started()]), Box::new(done));
    }
    drop(store);
    assert_eq!(durable.load(Ordering::SeqCst), 500);
    let store = RedbStore::open(&path, StoreOptions::default()).expect("it was closed");
    assert_eq!(store.stats().expect("readable").instances, 500);
}

#[test]
fn a_done_may_drop_the_last_handle_and_may_panic() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let store = Arc::new(RedbStore::open(&path, StoreOptions::default()).expect("a new file"));
    let mut instance = Instance::new("a", store.next_row());
    store.commit(instance.turn(vec![]), Box::new(|_| panic!("what follows goes wrong")));
    let (sender, receiver) = std::sync::mpsc::channel();
    let handle = store.clone();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let done = move |result: Result<_, _>| {
        released.recv().expect("the test releases it");
        drop(handle);
        sender.send(result.is_ok()).expect("the test waits");
    };
    store.commit(instance.turn(vec![]), Box::new(done));
    drop(store);
    release.send(()).expect("the writer waits");
    assert!(receiver.recv().expect("the writer survives a panic"));
}

/// Changes a closed hub to what the first release would have left: with its counters, and without the tables that it did not
/// know, or with those of a later release that it did not maintain.
fn as_the_first_release_left_it(path: &Path, has_tables: bool) {
    let database = Database::open(path).expect("it was closed");
    let txn = database.begin_write().expect("the only writer");
    {
        let mut meta = txn.open_table(TableDefinition::<&str, &[u8]>::new("meta")).expect("it is there");
        let stored = meta.get("counters").expect("readable").expect("it is there").value().to_vec();
        let counters = codec::decode_counters(&stored).expect("readable");
        let length = codec::encode_counters(Counters { next_announcement: 0, ..counters }).len() - 1;
        meta.insert("counters", &stored[..length]).expect("there is room");
    }
    if has_tables {
        let mut zones = txn.open_table(zones::ZONES).expect("it is there");
        zones.insert(0, codec::encode_zone(&Zone::EMPTY).as_slice()).expect("there is room");
        zones.insert(77, codec::encode_zone(&Zone::EMPTY).as_slice()).expect("there is room");
    } else {
        for table in ["states", "zones", "outbox"] {
            assert!(txn.delete_table(TableDefinition::<u64, &[u8]>::new(table)).expect("there is room"));
        }
    }
    txn.commit().expect("there is room");
}

#[test]
fn a_hub_that_the_first_release_wrote_is_indexed_when_it_is_opened() {
    for has_tables in [false, true] {
        let directory = tempfile::tempdir().expect("a writable directory for temporary files");
        let path = directory.path().join("hub.redb");
        let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
        for number in 0..700 {
            let mut instance = Instance::new(&format!("i-{number}"), store.next_row());
            store.commit(instance.turn(vec![instance.started()]), Box::new(|result| drop(result.expect("it follows"))));
            if number % 3 == 0 {
                store.commit(instance.end(RuntimeStatus::Failed), Box::new(|result| drop(result.expect("it follows"))));
            }
        }
        store.forget_announcements(0).expect("there is room");
        let announced = Commit { announced: Some(sample::announcement(&first(&store), 1)), ..sample::change(&first(&store)) };
        let kept = has_tables.then(|| commit(&store, announced).expect("it follows"));
        let before = everything(&store);
        drop(store);
        as_the_first_release_left_it(&path, has_tables);
        let store = RedbStore::open(&path, StoreOptions::default()).expect("an earlier release wrote it");
        assert_eq!(everything(&store), before);
        let row = store.next_row();
        let mut next = Instance::new("next", row);
        let change = next.turn(vec![next.started()]);
        commit(&store, Commit { announced: Some(sample::announcement(&next.record, 2)), ..change }).expect("it follows");
        assert_eq!(store.announcements(None, 9).expect("readable").len(), 1 + kept.iter().len());
        drop(store);
        zones::assert_exact(&Database::open(&path).expect("it was closed"));
        let store = RedbStore::open(&path, StoreOptions::default()).expect("this release wrote it");
        assert!(store.next_row() > row);
    }
}

/// Files of releases before it lack the table of what calls have sent.
#[test]
fn a_hub_that_lacks_the_newest_table_gets_it_when_it_is_opened() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    let store = RedbStore::open(&path, StoreOptions::default()).expect("a new file");
    let mut instance = Instance::new("a", store.next_row());
    commit(&store, instance.turn(vec![instance.started()])).expect("it follows");
    let before = everything(&store);
    drop(store);
    let database = Database::open(&path).expect("it was closed");
    let txn = database.begin_write().expect("the only writer");
    let once: TableDefinition<(u64, u32, u128), ()> = TableDefinition::new("once");
    assert!(txn.delete_table(once).expect("there is room"));
    txn.commit().expect("there is room");
    drop(database);
    let store = RedbStore::open(&path, StoreOptions::default()).expect("an earlier release wrote it");
    assert_eq!(everything(&store), before);
    let never = Once { caller: instance.record.row, call: Once::ANY_CALL, id: uuid::Uuid::nil() };
    assert!(!store.has_taken(&never).expect("readable"));
}

fn first(store: &RedbStore) -> InstanceRecord {
    store.instance(&sample::id("i-0")).expect("readable").expect("it is there")
}
