//! Behaviour of the whole hub: groups of commits, apps, announcements.

use std::sync::mpsc;

use dacapo_core::versioning::{AppVersioning, Match};
use dacapo_core::{Commit, FunctionKind, FunctionName, VersionId};

use super::sample::{self, Instance, at};
use super::{Check, Hub, before_and_after_reopening, commit, commit_ok, everything};
use crate::{AppChange, AppVersion, Receipt, Store, StoreError};

pub(super) const CHECKS: &[Check] = &[
    ("a bad commit does not fail its group", isolation),
    ("apps have versions, and one is active", apps),
    ("versions get labels and weights, are activated and removed", versions),
    ("announcements are stored with their commits, until they are forgotten", announcements),
];

fn isolation(hub: &dyn Hub) {
    let store = hub.open();
    let mut instances: Vec<Instance> = (0..50).map(|i| Instance::new(&format!("i-{i}"), store.next_row())).collect();
    let (sender, receiver) = mpsc::channel();
    for (number, instance) in instances.iter_mut().enumerate() {
        let good = instance.turn(vec![instance.started()]);
        let bad = Commit { record: sample::with_turns(&instance.record, 0..9), ..good.clone() };
        for (kind, change) in [("good", good.clone()), ("repeated", good), ("bad", bad)] {
            let sender = sender.clone();
            let done = move |result: Result<Receipt, StoreError>| {
                sender.send((number, kind, result.map_err(|e| e.to_string()))).expect("the test waits");
            };
            store.commit(change, Box::new(done));
        }
    }
    drop(sender);
    let outcomes: Vec<_> = receiver.iter().collect();
    assert_eq!(outcomes.len(), 150);
    for (position, (number, kind, result)) in outcomes.iter().enumerate() {
        assert_eq!(*number, position / 3, "answered in the order of the calls");
        assert_eq!(result.is_ok(), *kind == "good", "{kind}: {result:?}");
    }
    before_and_after_reopening(hub, store, |store| {
        for instance in &instances {
            assert_eq!(store.instance(&instance.record.id).expect("readable").as_ref(), Some(&instance.record));
        }
        assert_eq!(store.stats().expect("readable").turns, 50);
    });
}

fn apps(hub: &dyn Hub) {
    let store = hub.open();
    let (a1, a2, b1) = (version("a", 9, 1), version("a", 2, 2), version("b", 9, 3));
    for version in [&a1, &b1, &a2] {
        deploy(store.as_ref(), version);
    }
    let store = before_and_after_reopening(hub, store, |store| {
        let expected = vec![(a1.clone(), false), (a2.clone(), true), (b1.clone(), true)];
        assert_eq!(store.apps().expect("readable"), expected);
    });
    let again = AppVersion { deployed_at: at(4), ..a1.clone() };
    deploy(store.as_ref(), &again);
    assert_eq!(store.apps().expect("readable"), vec![(a2, false), (again, true), (b1, true)]);
}

fn versions(hub: &dyn Hub) {
    let store = hub.open();
    let (v1, v2, v3, other) = (version("a", 1, 1), version("a", 2, 2), version("a", 3, 3), version("b", 1, 1));
    for version in [&v1, &v2, &v3, &other] {
        deploy(store.as_ref(), version);
    }
    let v1 = AppVersion { weight: 90, label: "old".into(), activated_at: None, ..v1 };
    let v2 = AppVersion { weight: u32::MAX, ..v2 };
    let change = AppChange {
        app: "a".into(),
        put: vec![v1.clone(), v2.clone()],
        removed: vec![v3.version, VersionId([77; 32])],
        active: Some(v1.version),
    };
    store.change_app(&change).expect("there is room");
    let store = before_and_after_reopening(hub, store, |store| {
        let expected = vec![(v1.clone(), true), (v2.clone(), false), (other.clone(), true)];
        assert_eq!(store.apps().expect("readable"), expected, "the version of another app with the same digest stays");
    });
    let removed = AppChange { app: "a".into(), removed: vec![v1.version], ..AppChange::default() };
    store.change_app(&removed).expect("there is room");
    before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.apps().expect("readable"), vec![(v2.clone(), false), (other.clone(), true)]);
    });
}

fn deploy(store: &dyn Store, version: &AppVersion) {
    let change =
        AppChange { app: version.app.clone(), put: vec![version.clone()], active: Some(version.version), ..AppChange::default() };
    store.change_app(&change).expect("there is room");
}

fn version(app: &str, digest: u8, time: i64) -> AppVersion {
    AppVersion {
        app: app.into(),
        version: VersionId([digest; 32]),
        deployed_at: at(time),
        label: format!("v{digest}"),
        functions: vec![
            (FunctionName::new("Hello").expect("valid"), FunctionKind::Orchestrator),
            (FunctionName::new("say").expect("valid"), FunctionKind::Activity),
            (FunctionName::new("counter").expect("valid"), FunctionKind::Entity),
            (FunctionName::new("http").expect("valid"), FunctionKind::Trigger),
        ],
        triggers: vec![(FunctionName::new("http").expect("valid"), r#"[{"type":"httpTrigger"}]"#.into())],
        route_prefix: Some("v1".into()),
        versioning: AppVersioning { default: "1.0".into(), r#match: Some(Match::Strict), failure: None },
        size: 12_345,
        weight: 0,
        activated_at: Some(at(time)),
    }
}

fn announcements(hub: &dyn Hub) {
    let store = hub.open();
    let (mut a, mut b) = (Instance::new("a", store.next_row()), Instance::new("b", store.next_row()));
    let mut expected = Vec::new();
    for number in 0..3 {
        for instance in [&mut a, &mut b] {
            let change = instance.turn(vec![sample::raised("x", number)]);
            let announced = sample::announcement(&instance.record, number);
            commit_ok(store.as_ref(), Commit { announced: Some(announced.clone()), ..change });
            expected.push(announced);
        }
    }
    let before = everything(store.as_ref());
    let stale = Commit { announced: Some(expected[0].clone()), ..sample::change(&sample::with_turns(&a.record, 0..9)) };
    assert!(commit(store.as_ref(), stale).is_err());
    assert_eq!(everything(store.as_ref()), before, "what is not stored is not announced");
    let store = before_and_after_reopening(hub, store, |store| {
        let all = store.announcements(None, 99).expect("readable");
        assert!(all.is_sorted_by(|(one, _), (other, _)| one < other));
        assert_eq!(all.iter().map(|(_, announced)| announced.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(store.announcements(Some(all[1].0), 2).expect("readable"), all[2..4]);
        assert_eq!(store.stats().expect("readable").announcements, 6);
    });
    let all = store.announcements(None, 99).expect("readable");
    store.forget_announcements(all[3].0).expect("there is room");
    let store = before_and_after_reopening(hub, store, |store| {
        assert_eq!(store.announcements(None, 99).expect("readable"), all[4..]);
    });
    store.forget_announcements(u64::MAX).expect("there is room");
    commit_ok(store.as_ref(), Commit { announced: Some(expected[0].clone()), ..a.turn(vec![]) });
    let newest = store.announcements(None, 99).expect("readable");
    assert_eq!(newest.len(), 1);
    assert!(newest[0].0 > all[5].0, "numbers rise, also after a reopening");
}
