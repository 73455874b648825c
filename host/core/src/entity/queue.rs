//! The order in which a turn handles its messages.

use std::collections::{HashSet, VecDeque};

use crate::{Delivery, Event, MessageKey, Timestamp};

/// Puts the messages of a turn in order: first the scheduled ones that are due, by their time; then the stored ones, in the
/// order in which they were stored; then new ones. A message that is in memory and in the mailbox is taken once.
pub(super) fn in_order(waiting: Vec<Delivery>, inbox: Vec<Delivery>, now: Timestamp) -> VecDeque<Delivery> {
    let mut known: HashSet<MessageKey> = HashSet::new();
    let (mut due, mut stored, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in waiting.into_iter().chain(inbox) {
        if delivery.stored.is_some_and(|key| !known.insert(key)) {
            continue;
        }
        match (deliver_at(&delivery), delivery.stored) {
            (Some(at), _) if at <= now => due.push((at, delivery)),
            (_, Some(_)) => stored.push(delivery),
            (_, None) => new.push(delivery),
        }
    }
    // Of the messages due at the same time, those not stored yet come last.
    due.sort_by_key(|(at, delivery)| (*at, delivery.stored.map_or(u64::MAX, |key| key.number)));
    stored.sort_by_key(|delivery| delivery.stored);
    due.into_iter().map(|(_, delivery)| delivery).chain(stored).chain(new).collect()
}

/// When an operation is to be run, if it is scheduled.
pub(super) fn deliver_at(delivery: &Delivery) -> Option<Timestamp> {
    match &delivery.message.event {
        Event::OperationRequested { deliver_at, .. } => *deliver_at,
        _ => None,
    }
}
