//! The behaviour of a store, written once and run for every backend.
//!
//! A backend's test says how to open a hub and calls [`conformance`], which panics at the first broken rule. [`sample`] holds
//! the data of these tests.
//!
//! - `instances`: commits of an instance, which follow one another.
//! - `rewind`: the one commit that takes turns back.
//! - `messages`: how messages between instances are delivered.
//! - `scheduled`: timers and activities.
//! - `entities`: instances with a state and without a history.
//! - `purge`: instances that are removed.
//! - `restore`: instances that are moved to another hub.
//! - `listing`: queries and pages.
//! - `hub`: groups of commits, apps, announcements.

use std::sync::mpsc;

use dacapo_core::{Commit, InstanceRecord, Message, MessageKey, Row, RuntimeStatus, Timestamp};

use crate::{InstanceQuery, Receipt, Store, StoreError};

mod entities;
mod hub;
mod instances;
mod listing;
mod messages;
mod purge;
mod restore;
mod rewind;
pub mod sample;
mod scheduled;

/// A hub that can be closed and opened again.
pub trait Hub {
    /// Opens the hub with what was stored in it before; the former store has been dropped.
    fn open(&self) -> Box<dyn Store>;
}

/// A rule, and a function that panics if it is broken.
type Check = (&'static str, fn(&dyn Hub));

/// Runs every check, each on a new hub.
pub fn conformance<H: Hub>(new_hub: impl Fn() -> H) {
    let subjects: [&[Check]; 9] = [
        instances::CHECKS,
        rewind::CHECKS,
        messages::CHECKS,
        scheduled::CHECKS,
        entities::CHECKS,
        purge::CHECKS,
        restore::CHECKS,
        listing::CHECKS,
        hub::CHECKS,
    ];
    for (name, check) in subjects.concat() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&new_hub())));
        if let Err(panic) = outcome {
            eprintln!("not conforming: {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Commits and waits until that is durable or has failed.
pub fn commit(store: &dyn Store, commit: Commit) -> Result<Receipt, StoreError> {
    let (sender, receiver) = mpsc::channel();
    store.commit(commit, Box::new(move |result| sender.send(result).expect("the test waits for it")));
    receiver.recv().expect("every commit is answered")
}

/// Purges and waits until that is durable or has failed.
pub fn purge(store: &dyn Store, rows: Vec<Row>) -> Result<u64, StoreError> {
    let (sender, receiver) = mpsc::channel();
    store.purge(rows, Box::new(move |result| sender.send(result).expect("the test waits for it")));
    receiver.recv().expect("every purge is answered")
}

fn commit_ok(store: &dyn Store, change: Commit) -> Vec<(MessageKey, Message)> {
    commit(store, change).expect("the commit follows what is stored").delivered
}

fn is_stale(result: Result<Receipt, StoreError>) -> bool {
    matches!(result, Err(StoreError::Stale { .. }))
}

/// All instances that match, page by page.
pub fn matching(store: &dyn Store, query: &InstanceQuery) -> Vec<InstanceRecord> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.instances(query, after.as_ref(), usize::MAX).expect("a readable store");
        found.extend(page.records);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Everything that a store shows, to compare it before and after a change that must change nothing, or a reopening.
pub fn everything(store: &dyn Store) -> Vec<String> {
    let all = matching(store, &InstanceQuery::default());
    for status in RuntimeStatus::ALL {
        let query = InstanceQuery { statuses: vec![status], ..InstanceQuery::default() };
        let found = matching(store, &query);
        let expected: Vec<_> = all.iter().filter(|record| record.status == status).cloned().collect();
        assert_eq!(found, expected, "no zone with a match is passed over");
    }
    let mut lines = Vec::new();
    for record in all {
        assert_eq!(store.instance(&record.id).expect("a readable store").as_ref(), Some(&record));
        lines.push(format!("{record:?}"));
        lines.push(format!("{:?}", store.history(record.row, 0..u32::MAX).expect("a readable store")));
        lines.push(format!("{:?}", store.inbox(record.row).expect("a readable store")));
        lines.push(format!("{:?}", store.entity(record.row).expect("a readable store")));
    }
    lines.push(format!("{:?}", store.undelivered(None, usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.timers(None, Timestamp(i64::MAX), usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.activities(None, usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.announcements(None, usize::MAX).expect("a readable store")));
    lines.push(format!("{:?}", store.apps().expect("a readable store")));
    lines
}

/// Runs `check` on the store, and again on the same content after it was closed and opened.
fn before_and_after_reopening(hub: &dyn Hub, store: Box<dyn Store>, check: impl Fn(&dyn Store)) -> Box<dyn Store> {
    check(store.as_ref());
    let before = everything(store.as_ref());
    drop(store);
    let store = hub.open();
    assert_eq!(everything(store.as_ref()), before, "opened again, it shows the same");
    check(store.as_ref());
    store
}
