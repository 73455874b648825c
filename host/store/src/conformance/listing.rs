//! Queries and pages.

use dacapo_core::{InstanceRecord, Row, RuntimeStatus};

use super::sample::{Instance, at, id};
use super::{Check, Hub, before_and_after_reopening, commit_ok, purge};
use crate::codec::ListingFields;
use crate::{Cursor, InstanceQuery, Store};

pub(super) const CHECKS: &[Check] = &[
    ("pages of instances are stable", pages),
    ("queries choose instances", queries),
    ("nothing that matches is passed over", zones),
    ("a cursor of the other order begins anew", foreign_cursors),
];

fn pages(hub: &dyn Hub) {
    let store = hub.open();
    let store = store.as_ref();
    let name = |number: u32| format!("i-{:04}", number * 7919 % 1_000);
    for number in 0..30 {
        let mut instance = Instance::new(&name(number), store.next_row());
        commit_ok(store, instance.turn(vec![instance.started()]));
    }
    let mut more = 30..;
    for prefix in ["", "i-"] {
        let query = InstanceQuery { id_prefix: prefix.into(), ..InstanceQuery::default() };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.instances(&query, after.as_ref(), 7).expect("readable");
            assert!(page.records.len() <= 7);
            seen.extend(page.records);
            let Some(next) = page.next else { break };
            after = Some(next);
            // An instance that is created between two pages moves none of the others.
            let mut between = Instance::new(&name(more.next().expect("numbers")), store.next_row());
            commit_ok(store, between.turn(vec![between.started()]));
        }
        let ordered = match prefix {
            "" => seen.is_sorted_by(|one, other| one.row < other.row),
            _ => seen.is_sorted_by(|one, other| one.id < other.id),
        };
        assert!(ordered, "by row or by id, none twice");
        let ids: Vec<_> = seen.into_iter().map(|record| record.id).collect();
        assert!((0..30).all(|number| ids.contains(&id(&name(number)))), "none that was there is missed");
    }
}

fn queries(hub: &dyn Hub) {
    let store = hub.open();
    for (number, name) in ["a", "order-1", "order-2", "order-3", "ordes", "z"].into_iter().enumerate() {
        let mut instance = Instance::new(name, store.next_row());
        instance.record.created = at(number as i64);
        commit_ok(store.as_ref(), instance.turn(vec![instance.started()]));
        if number % 2 == 1 {
            commit_ok(store.as_ref(), instance.end(RuntimeStatus::Completed));
        }
    }
    before_and_after_reopening(hub, store, |store| {
        let ask = |query: InstanceQuery| -> Vec<String> {
            let page = store.instances(&query, None, 99).expect("readable");
            page.records.into_iter().map(|record| record.id.to_string()).collect()
        };
        let prefix = |prefix: &str| InstanceQuery { id_prefix: prefix.into(), ..InstanceQuery::default() };
        assert_eq!(ask(prefix("order-")), ["order-1", "order-2", "order-3"]);
        assert_eq!(ask(prefix("order-2x")), Vec::<String>::new());
        assert_eq!(ask(InstanceQuery { created_from: Some(at(3)), ..prefix("orde") }), ["order-3", "ordes"]);
        assert_eq!(ask(InstanceQuery { created_to: Some(at(2)), ..prefix("") }), ["a", "order-1", "order-2"]);
        assert_eq!(ask(InstanceQuery { statuses: vec![RuntimeStatus::Completed], ..prefix("") }), ["order-1", "order-3", "z"]);
        assert_eq!(
            ask(InstanceQuery {
                statuses: vec![RuntimeStatus::Failed, RuntimeStatus::Running],
                created_from: Some(at(1)),
                created_to: Some(at(2)),
                ..prefix("o")
            }),
            ["order-2"]
        );
        assert_eq!(ask(InstanceQuery { statuses: vec![RuntimeStatus::Terminated], ..prefix("") }), Vec::<String>::new());
        assert_eq!(ask(InstanceQuery { created_from: Some(at(4)), created_to: Some(at(3)), ..prefix("") }), Vec::<String>::new());
        let after = store.instances(&prefix("order-"), Some(&Cursor::Id(id("order-1"))), 1).expect("readable");
        assert_eq!((after.records.len(), &after.records[0].id), (1, &id("order-2")));
        assert_eq!(after.next, Some(Cursor::Id(id("order-2"))));
    });
}

/// Pages through a query and expects these.
fn expect_pages(store: &dyn Store, query: &InstanceQuery, limit: usize, expected: &[&InstanceRecord]) {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.instances(query, after.as_ref(), limit).expect("readable");
        assert!(page.records.len() <= limit);
        seen.extend(page.records);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{query:?} in pages of {limit}");
}

fn zones(hub: &dyn Hub) {
    let store = hub.open();
    let mut records = Vec::new();
    for number in 0..1_500i64 {
        let mut instance = Instance::new(&format!("i-{number}"), store.next_row());
        // About in the order of rows, as times are.
        instance.record.created = at(number * 10 + number * 7919 % 50);
        instance.record.status = match number {
            700 | 1_499 => RuntimeStatus::Failed,
            _ if number % 300 == 5 => RuntimeStatus::Terminated,
            _ if number % 2 == 0 => RuntimeStatus::Running,
            _ => RuntimeStatus::Completed,
        };
        store.commit(instance.turn(vec![instance.started()]), Box::new(|result| drop(result.expect("it follows"))));
        records.push(instance.record);
    }
    // One that changes its status, and one that is removed.
    let mut ended = Instance { record: records[900].clone() };
    commit_ok(store.as_ref(), ended.end(RuntimeStatus::Failed));
    records[900] = ended.record;
    assert_eq!(purge(store.as_ref(), vec![records[5].row]).expect("there is room"), 1);
    records.remove(5);
    before_and_after_reopening(hub, store, |store| {
        let times = [(None, None), (Some(3_000), None), (None, Some(120)), (Some(14_990), None), (Some(5_000), Some(5_600))];
        let statuses = RuntimeStatus::ALL.map(|status| vec![status]);
        let two = vec![RuntimeStatus::Failed, RuntimeStatus::Terminated];
        for statuses in statuses.into_iter().chain([vec![], two]) {
            for (from, to) in times {
                let query = InstanceQuery {
                    id_prefix: String::new(),
                    created_from: from.map(at),
                    created_to: to.map(at),
                    statuses: statuses.clone(),
                };
                let by_row: Vec<_> = records.iter().filter(|record| query.wants(listing_fields(record))).collect();
                let mut by_id = by_row.clone();
                by_id.sort_by(|one, other| one.id.cmp(&other.id));
                expect_pages(store, &query, 100, &by_row);
                expect_pages(store, &query, by_row.len().max(1), &by_row);
                expect_pages(store, &InstanceQuery { id_prefix: "i".into(), ..query }, 100, &by_id);
            }
        }
    });
}

fn listing_fields(record: &InstanceRecord) -> ListingFields {
    ListingFields { status: record.status, created: record.created }
}

fn foreign_cursors(hub: &dyn Hub) {
    let store = hub.open();
    for name in ["b", "a", "c"] {
        let mut instance = Instance::new(name, store.next_row());
        commit_ok(store.as_ref(), instance.turn(vec![instance.started()]));
    }
    let ask = |prefix: &str, after: Cursor| -> Vec<String> {
        let query = InstanceQuery { id_prefix: prefix.into(), ..InstanceQuery::default() };
        let page = store.instances(&query, Some(&after), 9).expect("readable");
        page.records.into_iter().map(|record| record.id.to_string()).collect()
    };
    assert_eq!(ask("", Cursor::Id(id("b"))), ["b", "a", "c"], "the other order begins anew");
    assert_eq!(ask("a", Cursor::Row(Row(u64::MAX))), ["a"]);
    assert_eq!(ask("b", Cursor::Id(id("a"))), ["b"], "before the prefix");
    assert_eq!(ask("b", Cursor::Id(id("c"))), Vec::<String>::new(), "behind the prefix");
    assert_eq!(ask("", Cursor::Row(Row(u64::MAX))), Vec::<String>::new(), "behind the last row");
    assert_eq!(ask("", Cursor::Row(Row(0))), ["b", "a", "c"]);
}
