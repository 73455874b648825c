//! The control file: what it stores, and that every change is in the audit log.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use dacapo_core::VersionId;
use dacapo_store::control::{
    AUDIT_PER_SCOPE_MAX, AuditEntry, ControlError, ControlFile, Grants, HOST_NAMES_PER_HUB_MAX, HubRecord, KeyRecord, Role,
    Scope, Wake,
};
use serde_json::json;

struct World {
    file: ControlFile,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn world() -> World {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("control.redb");
    World { file: ControlFile::open(&path).expect("a new file"), path, _directory: directory }
}

impl World {
    fn reopened(self) -> World {
        let Self { file, path, _directory } = self;
        drop(file);
        World { file: ControlFile::open(&path).expect("it was closed"), path, _directory }
    }
}

fn hub(name: &str) -> HubRecord {
    HubRecord { name: name.into(), created_at: 7, ..HubRecord::default() }
}

fn entry(scope: &Scope, action: &str) -> AuditEntry {
    AuditEntry {
        at: 1,
        actor: "root".into(),
        scope: scope.clone(),
        action: action.into(),
        details: json!({ "n": 1 }),
        denied: false,
    }
}

fn of(name: &str) -> Scope {
    Scope::Hub(name.into())
}

fn key(scope: Scope, name: &str) -> KeyRecord {
    KeyRecord { name: name.into(), scope, role: Role::Operate, created_at: 5 }
}

#[test]
fn hubs_are_kept_and_their_names_ignore_case() {
    let world = world();
    let tell = entry(&of("Trial"), "hub.create");
    world.file.create_hub(&hub("Trial"), &tell).expect("it is new");
    assert!(matches!(world.file.create_hub(&hub("tRIAL"), &tell), Err(ControlError::HubExists(name)) if name == "tRIAL"));
    let changed = world.file.change_hub("TRIAL", &tell, |hub| {
        hub.name = "other".into();
        hub.created_at = 0;
        hub.limits.insert("apps".into(), 3);
        hub.suspended = Some("unpaid".into());
        hub.grants = Grants { outbound: vec!["example.org".into()], ..Grants::default() };
    });
    let changed = changed.expect("it is there");
    assert_eq!((changed.name.as_str(), changed.created_at), ("Trial", 7), "its name and creation time do not change");
    let world = world.reopened();
    assert_eq!(world.file.hub("trial").expect("it reads"), Some(changed));
    assert!(matches!(world.file.change_hub("no", &tell, |_| ()), Err(ControlError::NoHub(_))));
    world.file.delete_hub("triaL", &tell).expect("it is there");
    assert_eq!(world.file.hub("Trial").expect("it reads"), None);
    assert!(matches!(world.file.delete_hub("Trial", &tell), Err(ControlError::NoHub(_))));
}

#[test]
fn a_host_name_is_of_one_hub_until_it_is_removed_or_the_hub_deleted() {
    let world = world();
    let tell = entry(&of("Red"), "test");
    for name in ["Red", "blue"] {
        let record = HubRecord { host_names: ["stray.example".to_owned()].into(), ..hub(name) };
        world.file.create_hub(&record, &tell).expect("it is new");
    }
    let owner = |world: &World, host: &str| world.file.host_names().hub_of(host).map(|hub| hub.to_string());
    assert_eq!(owner(&world, "stray.example"), None, "a new hub has none");
    world.file.add_host_name("RED", "Shop.Example", &tell).expect("it is free");
    world.file.add_host_name("red", "shop.example", &tell).expect("it is its own");
    let taken = world.file.add_host_name("blue", "SHOP.example", &tell).unwrap_err();
    assert!(matches!(&taken, ControlError::HostNameTaken { name, hub } if name == "shop.example" && hub == "red"), "{taken}");
    world.file.add_host_name("blue", "*.shop.example", &tell).expect("it is another name");
    assert!(matches!(world.file.add_host_name("green", "g.example", &tell), Err(ControlError::NoHub(_))));
    assert!(matches!(world.file.remove_host_name("blue", "shop.example", &tell), Err(ControlError::NoHostName(_))));
    let changed = world.file.change_hub("red", &tell, |record| record.host_names.clear()).expect("it is there");
    assert_eq!(changed.host_names.len(), 1, "a change of the record leaves them");
    let world = world.reopened();
    for (host, expected) in [
        ("shop.example", Some("red")),
        ("SHOP.EXAMPLE.", Some("red")),
        ("a.shop.example", Some("blue")),
        ("a.b.shop.example", None),
        ("example", None),
        ("", None),
    ] {
        assert_eq!(owner(&world, host).as_deref(), expected, "{host}");
    }
    world.file.remove_host_name("red", "Shop.example", &tell).expect("it is there");
    assert_eq!(owner(&world, "shop.example"), None);
    world.file.add_host_name("blue", "shop.example", &tell).expect("it is free again");
    world.file.delete_hub("Blue", &tell).expect("it is there");
    assert_eq!((owner(&world, "shop.example"), owner(&world, "a.shop.example")), (None, None));
    for number in 0..HOST_NAMES_PER_HUB_MAX {
        world.file.add_host_name("red", &format!("h{number}.example"), &tell).expect("there is room");
    }
    let full = world.file.add_host_name("red", "one-more.example", &tell).unwrap_err();
    assert!(matches!(full, ControlError::TooMany { limit: HOST_NAMES_PER_HUB_MAX, .. }), "{full}");
    assert_eq!(owner(&world, "one-more.example"), None);
}

#[test]
fn a_hub_takes_its_keys_and_secrets_with_it_and_nobody_elses() {
    let world = world();
    for (number, name) in ["a", "ab", "b"].into_iter().enumerate() {
        let tell = entry(&of(name), "test");
        let hash = |n: u8| [n, number as u8].repeat(16).try_into().expect("32 bytes");
        world.file.create_hub(&hub(name), &tell).expect("it is new");
        world.file.add_key(&hash(1), &key(of(name), "one"), &tell).expect("it is new");
        world.file.add_key(&hash(2), &key(of(name), "two"), &tell).expect("it is new");
        world.file.put_secret(name, "token", b"sealed", &tell).expect("there is room");
        world.file.set_wake(name, Wake::Open).expect("there is room");
        world.file.put_usages(&HashMap::from([(name.to_uppercase(), 5)])).expect("there is room");
    }
    world.file.delete_hub("a", &entry(&of("a"), "hub.delete")).expect("it is there");
    assert_eq!(world.file.key(&[1, 0].repeat(16).try_into().expect("32 bytes")).expect("it reads"), None);
    assert_eq!(world.file.secret("a", "token").expect("it reads"), None);
    assert_eq!(world.file.usage::<u64>("a").expect("it reads"), None);
    assert_eq!(world.file.wakes().expect("it reads"), [("ab".into(), Wake::Open), ("b".into(), Wake::Open)]);
    for name in ["ab", "b"] {
        assert_eq!(world.file.keys(&of(name)).expect("it reads").len(), 2);
        assert_eq!(world.file.secret_names(name).expect("it reads"), ["token"]);
        assert_eq!(world.file.usage(name).expect("it reads"), Some(5));
    }
}

#[test]
fn the_highest_number_is_kept() {
    let world = world();
    let highest = |world: &World, number| world.file.highest("bytes", number, || 5).expect("there is room");
    assert_eq!([3, 7, 6].map(|number| highest(&world, number)), [5, 7, 7]);
    assert_eq!(highest(&world.reopened(), 1), 7);
}

#[test]
fn a_module_is_needed_until_no_hub_needs_it() {
    let world = world();
    assert!(!world.file.tracks_modules().expect("it reads"));
    world.file.track_modules().expect("there is room");
    let (one, two) = (VersionId([1; 32]), VersionId([2; 32]));
    for name in ["a", "ab"] {
        world.file.create_hub(&hub(name), &entry(&of(name), "test")).expect("it is new");
        assert_eq!(world.file.need_modules(name, &[one]).expect("there is room"), [one]);
    }
    assert_eq!(world.file.need_modules("A", &[one, two]).expect("there is room"), [two], "the other was noted before");
    let world = world.reopened();
    assert!(world.file.tracks_modules().expect("it reads"));
    let of_hub = |name: &str| world.file.modules_of(name).expect("it reads");
    assert_eq!((of_hub("a"), of_hub("AB"), of_hub("b")), (vec![one, two], vec![one], vec![]));
    assert_eq!(world.file.needed_modules().expect("it reads"), HashSet::from([one, two]));
    world.file.release_modules("AB", &[one, two]).expect("there is room");
    let needed = |module| world.file.is_module_needed(module).expect("it reads");
    assert!(needed(one) && needed(two), "the first hub needs both");
    world.file.delete_hub("a", &entry(&of("a"), "hub.delete")).expect("it is there");
    assert!(!needed(one) && !needed(two) && of_hub("a").is_empty());
}

#[test]
fn what_hubs_have_used_is_kept_while_they_are_there() {
    let world = world();
    world.file.create_hub(&hub("Hub"), &entry(&of("Hub"), "hub.create")).expect("it is new");
    let used = |hub: &str, number: u64| HashMap::from([(hub.to_owned(), number), ("gone".to_owned(), 1)]);
    world.file.put_usages(&used("hUB", 7)).expect("there is room");
    world.file.put_usages(&used("Hub", 9)).expect("there is room");
    let world = world.reopened();
    assert_eq!(world.file.usages().expect("it reads"), HashMap::from([("hub".to_owned(), 9)]));
    assert_eq!(world.file.usage::<u64>("gone").expect("it reads"), None);
}

#[test]
fn keys_are_found_by_hash_and_listed_by_scope() {
    let world = world();
    let tell = entry(&Scope::Host, "key.create");
    world.file.create_hub(&hub("Hub"), &tell).expect("it is new");
    assert!(matches!(world.file.add_key(&[9; 32], &key(of("none"), "k"), &tell), Err(ControlError::NoHub(_))));
    world.file.add_key(&[1; 32], &key(of("hub"), "k"), &tell).expect("it is new");
    world.file.add_key(&[2; 32], &key(Scope::Host, "k"), &tell).expect("another scope");
    assert!(matches!(world.file.add_key(&[3; 32], &key(of("HUB"), "K"), &tell), Err(ControlError::KeyExists(_))));
    assert_eq!(world.file.key(&[3; 32]).expect("it reads"), None, "a refused key leaves nothing behind");

    assert!(world.file.must_note_use(&[1; 32], 1_000));
    assert!(!world.file.must_note_use(&[1; 32], 59_000_000), "noted within the minute");
    assert!(world.file.must_note_use(&[1; 32], 60_001_000));
    world.file.note_use(&[1; 32], 60_001_000).expect("there is room");
    world.file.note_use(&[8; 32], 1).expect("a key that is gone");
    assert_eq!(world.file.keys(&of("Hub")).expect("it reads"), [(key(of("hub"), "k"), Some(60_001_000))]);

    world.file.revoke_key(&of("Hub"), "K", &tell).expect("it is there");
    assert_eq!(world.file.key(&[1; 32]).expect("it reads"), None);
    assert!(world.file.key(&[2; 32]).expect("it reads").is_some(), "that of the host stays");
    assert!(matches!(world.file.revoke_key(&of("Hub"), "k", &tell), Err(ControlError::NoKey(_))));
}

#[test]
fn every_change_and_only_a_change_has_its_line() {
    let world = world();
    world.file.create_hub(&hub("Hub"), &entry(&of("Hub"), "hub.create")).expect("it is new");
    world.file.create_hub(&hub("hub"), &entry(&of("Hub"), "hub.create")).expect_err("it exists");
    world.file.put_secret("Hub", "s", b"", &entry(&of("Hub"), "secret.set")).expect("there is room");
    world.file.delete_secret("Hub", "other", &entry(&of("Hub"), "secret.delete")).expect_err("there is none");
    world.file.note(&AuditEntry { denied: true, ..entry(&of("hub"), "hub.delete") }).expect("there is room");
    world.file.note(&entry(&Scope::Host, "key.create")).expect("there is room");
    let world = world.reopened();
    let read = |scope: Option<&Scope>, before, limit| -> Vec<(u64, String)> {
        let lines = world.file.audit(scope, before, limit).expect("it reads");
        lines.into_iter().map(|(number, entry)| (number, entry.action)).collect()
    };
    let line = |number, action: &str| (number, action.to_owned());
    assert_eq!(read(None, None, 9), [line(4, "key.create"), line(3, "hub.delete"), line(2, "secret.set"), line(1, "hub.create")]);
    assert_eq!(read(Some(&of("HUB")), None, 2), [line(3, "hub.delete"), line(2, "secret.set")]);
    assert_eq!(read(Some(&of("HUB")), Some(2), 2), [line(1, "hub.create")]);
    assert_eq!(read(Some(&Scope::Host), None, 9), [line(4, "key.create")]);
}

#[test]
fn what_is_told_of_one_scope_pushes_out_nothing_of_another() {
    let world = world();
    world.file.note(&entry(&Scope::Host, "first")).expect("there is room");
    world.file.note(&entry(&of("Hub"), "done")).expect("there is room");
    let flood = AuditEntry { denied: true, ..entry(&of("Hub"), "flood") };
    (0..AUDIT_PER_SCOPE_MAX + 7).for_each(|_| world.file.note(&flood).expect("there is room"));
    let of_hub = world.file.audit(Some(&of("Hub")), None, usize::MAX).expect("it reads");
    assert_eq!(of_hub.len() as u64, AUDIT_PER_SCOPE_MAX + 1);
    assert_eq!(of_hub.last().map(|(_, entry)| entry.action.as_str()), Some("done"));
    assert_eq!(world.file.audit(None, None, usize::MAX).expect("it reads").len() as u64, AUDIT_PER_SCOPE_MAX + 2);
    // Entries of single instances, of which there are many, do not displace those of the hub.
    let flood: Vec<AuditEntry> = (0..AUDIT_PER_SCOPE_MAX + 7).map(|_| entry(&of("Hub"), "instance.purge")).collect();
    world.file.note_all(&flood).expect("there is room");
    let of_hub = world.file.audit(Some(&of("Hub")), None, usize::MAX).expect("it reads");
    assert_eq!(of_hub.len() as u64, 2 * AUDIT_PER_SCOPE_MAX + 1);
    assert_eq!(of_hub.last().map(|(_, entry)| entry.action.as_str()), Some("done"));
}

#[test]
fn a_fact_is_made_once() {
    let world = world();
    assert_eq!(world.file.fact("link-key", || vec![1, 2, 3]).expect("there is room"), [1, 2, 3]);
    let world = world.reopened();
    assert_eq!(world.file.fact("link-key", || unreachable!("it is kept")).expect("it reads"), [1, 2, 3]);
}

#[test]
fn thousands_of_hubs_are_found_and_listed_in_pages() {
    let world = world();
    for n in 0..3_000 {
        world.file.create_hub(&hub(&format!("Hub-{n:04}")), &entry(&Scope::Host, "hub.create")).expect("it is new");
    }
    assert_eq!(world.file.hub_count().expect("it reads"), 3_000);
    assert_eq!(world.file.wake("hub-0000").expect("it reads"), None);
    for idle in [Wake::Idle { next_timer: Some(5) }, Wake::Idle { next_timer: None }, Wake::Open] {
        world.file.set_wake("HUB-2999", idle).expect("there is room");
        assert_eq!(world.file.wake("hub-2999").expect("it reads"), Some(idle));
    }
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = world.file.hubs(after.as_deref(), 1_000).expect("it reads");
        let Some(last) = page.last() else { break };
        (after, seen) = (Some(last.name.clone()), seen + page.len());
    }
    assert_eq!(seen, 3_000);
}

#[test]
fn another_file_is_refused() {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    let path = directory.path().join("hub.redb");
    drop(dacapo_store::RedbStore::open(&path, Default::default()).expect("a new file"));
    assert!(ControlFile::open(&path).is_err(), "a hub is no control file");
}
